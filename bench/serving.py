"""Pages served from a thread of this process, for a browser."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from orchestrator.web.access.access import Access
from orchestrator.web.app import application
from orchestrator.web.desk import Desk


@contextmanager
def serving(desk: Desk, access: Access | None = None) -> Iterator[str]:
    """Serve the pages, to all without `access`; give their address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(application(desk, access), port=port, log_level="warning")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()

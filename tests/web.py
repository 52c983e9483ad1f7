"""A replayed day behind the pages, what leads to each page, and a server for a browser."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import uvicorn

from energy.units import slots_of
from orchestrator.replay.period import RULE, Plan, replayed
from orchestrator.setting.sites import load_setting
from orchestrator.web.app import application
from orchestrator.web.desk import Desk

DAY = date(2019, 6, 4)
SLOTS = slots_of(DAY)
NOON, EVENING = SLOTS[24], SLOTS[37]
KESENNUMA = 6
ADDRESSES = (
    f"/now?at={NOON}",
    f"/slot/{EVENING}",
    f"/site/{KESENNUMA}?day={DAY}",
    "/site/1?month=2019-06",
    f"/battery/{KESENNUMA}?day={DAY}",
    f"/audit?day={DAY}",
)


def played(folder: Path) -> None:
    """Replay the day into a folder: a store, and the audit of its chain."""
    setting = load_setting()
    plan = Plan(DAY, 1, RULE, setting.market.mode, "web", "bundled")
    replayed(setting, plan, folder, lambda *_: None)


@contextmanager
def serving(desk: Desk) -> Iterator[str]:
    """Serve the pages; give their address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(application(desk), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()

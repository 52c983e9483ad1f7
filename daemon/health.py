"""How a daemon shows that it is well: pages on a local port, and systemd's watchdog."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from energy.errors import SettingError

HOST = "127.0.0.1"
REQUEST_SECONDS = 5
METRICS = "text/plain; version=0.0.4"
"""The type of Prometheus' text format."""


class Page(NamedTuple):
    """An answer: its status, its type, its bytes."""

    status: str
    kind: str
    body: bytes


def json_page(value: object, *, well: bool = True) -> Page:
    """Return a value as a page, with status 503 where something is wrong."""
    status = "200 OK" if well else "503 Service Unavailable"
    return Page(status, "application/json", json.dumps(value, ensure_ascii=False).encode() + b"\n")


@asynccontextmanager
async def served(pages: Mapping[str, Callable[[], Page]], port: int) -> AsyncIterator[int]:
    """Serve pages by path, as `/health`, on this machine alone; yields the port.

    Raises:
        SettingError: if the port is taken.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_SECONDS)
            writer.write(_answer(pages, request))
            await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(answer, HOST, port)
    except OSError as error:
        raise SettingError(f"port {port} of {HOST} must be free, got {error}") from error
    async with server:
        yield server.sockets[0].getsockname()[1]


def _answer(pages: Mapping[str, Callable[[], Page]], request: bytes) -> bytes:
    path = b"".join(request.split(b" ")[1:2]).decode("ascii", "replace")
    if request.startswith((b"GET ", b"HEAD ")) and path in pages:
        status, kind, body = pages[path]()
    else:
        there = " and ".join(pages).encode()
        status, kind, body = "404 Not Found", "text/plain", there + b"\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def notify(state: str) -> None:
    """Tell systemd a state, if it is there (sd_notify's protocol)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, contextlib.suppress(OSError):
        channel.sendto(state.encode(), address.replace("@", "\0", 1))

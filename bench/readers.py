"""How long 200 readers at once wait for the pages of a year, in ms.

A real `yui web` over a store of seven sites and a year, in a process of its own on this machine,
and readers in this one, each with a connection that it keeps: the newest half hours, offices by
day and month, a battery, the audit, some as JSON, in both languages, and one page in thirty from
far back in the year, where nobody else looks. At first each looks at a page for some seconds, then
nobody pauses, and at last the store grows beside them, so that pages are made anew. Others listen
for events all the while. Both processes share the machine's cores: the readers are part of what
is waited for.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from bench.desk import fill
from bench.figures import Figure
from bench.origin import SLOTS, THE_DAY, Sites
from chain import tables
from chain.store import opened
from chain.writer import written
from energy.errors import SettingError

READERS, LISTENERS = 200, 50
MOST_MS = 300.0
SITES, DAYS = 7, 365
LAST = SLOTS.start + DAYS * 48 - 1
START_SECONDS = 60
GROWTH_SECONDS = 5.0
LANGUAGES = ("en", "ja")


@dataclass(frozen=True)
class Round:
    """How readers read: so many pages each, looking at each for so long (seconds, the mean)."""

    name: str
    pages: int
    look_seconds: float
    grows: bool = False


ROUNDS = (
    Round("looking at a page for 3 s, from the first one on", 10, 3.0),
    Round("without a pause", 30, 0.0),
    Round(f"for 3 s, while the store grows every {GROWTH_SECONDS:g} s", 10, 3.0, grows=True),
)


@dataclass
class Tally:
    """What the readers saw: waits in seconds, bytes, and answers that were none."""

    waits: list[float] = field(default_factory=list)
    size: int = 0
    wrong: int = 0

    def percentile(self, part: float) -> float:
        """Return the wait in ms that so many of a hundred stayed within."""
        ordered = sorted(self.waits)
        return ordered[min(int(len(ordered) * part / 100), len(ordered) - 1)] * 1000


def figures() -> list[Figure]:
    """Measure a year's store."""
    with tempfile.TemporaryDirectory(prefix="yui-bench-") as folder:
        path = Path(folder) / "store.sqlite"
        engine = opened(str(path))
        fill(engine, SITES, DAYS)
        engine.dispose()
        with served(path) as (port, pid):
            return asyncio.run(measured(path, port, pid))


async def measured(store: Path, port: int, pid: int) -> list[Figure]:
    """Return the figures of a store that is served at a port by a process."""
    events = [0] * LISTENERS
    listening = [asyncio.create_task(_listen(port, events, each)) for each in range(LISTENERS)]
    found: list[Figure] = []
    for number, kind in enumerate(ROUNDS):
        growth = asyncio.create_task(_grow(store)) if kind.grows else None
        begin, busy = time.perf_counter(), _processor_seconds(pid)
        tally = Tally()
        readers = (_read(port, number * READERS + each, kind, tally) for each in range(READERS))
        await asyncio.gather(*readers)
        took, worked = time.perf_counter() - begin, _processor_seconds(pid) - busy
        if growth is not None:
            growth.cancel()
        if tally.wrong:
            raise SettingError(f"every page must be answered with 200, got {tally.wrong} others")
        count = len(tally.waits)
        name = f"{READERS} readers, {kind.name}"
        found += [
            Figure(f"{name}: p50", tally.percentile(50), "ms"),
            Figure(f"{name}: p95", tally.percentile(95), "ms", MOST_MS),
            Figure(f"{name}: p99", tally.percentile(99), "ms"),
            Figure(f"{name}: pages", count / took, "1/s"),
            Figure(f"{name}: server's processor time a page", worked / count * 1000, "ms"),
            Figure(f"{name}: a page", tally.size / count / 1000, "kB"),
        ]
    for task in listening:
        task.cancel()
    heard = await asyncio.gather(*listening, return_exceptions=True)
    gone = [one for one in heard if not isinstance(one, asyncio.CancelledError)]
    if gone or not all(events):
        raise SettingError(f"each listener must stay and hear, got {gone[:1] or min(events)}")
    return [*found, Figure("server's memory", _memory_mb(pid), "MB")]


def addresses(chance: random.Random) -> Iterator[str]:
    """Yield what a reader looks at."""
    while True:
        back = chance.randrange(1, DAYS) if chance.random() < 1 / 30 else 0
        slot = LAST - back * 48 - chance.randrange(6)
        day = THE_DAY + timedelta(days=DAYS - 1 - back)
        site = chance.randrange(SITES)
        yield chance.choice(
            (
                "/now",
                f"/now?at={slot}",
                f"/now.json?at={slot}",
                f"/slot/{slot}",
                f"/site/{site}?day={day}",
                f"/site/{site}.json?day={day}",
                f"/site/{site}?month={day:%Y-%m}",
                f"/battery/0?day={day}",
                f"/audit?day={day}",
            )
        )


async def _read(port: int, number: int, kind: Round, tally: Tally) -> None:
    chance = random.Random(number)
    wanted = addresses(chance)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(kind.pages):
        if kind.look_seconds:
            await asyncio.sleep(chance.uniform(0, 2 * kind.look_seconds))
        begin = time.perf_counter()
        writer.write(_request(port, next(wanted), LANGUAGES[number % 2]))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        tally.waits.append(time.perf_counter() - begin)
        tally.size += length
        tally.wrong += int(head[9:12]) != 200
    writer.close()


async def _listen(port: int, events: list[int], number: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_request(port, "/events", "en"))
    while line := await reader.readline():
        events[number] += line.startswith(b"event: block")
    raise SettingError("a stream of events must go on, got its end")


async def _grow(store: Path) -> None:
    """Put the readings of one slot after the other into the store."""
    engine, sites = opened(str(store)), Sites(SITES, range(0, SITES, 7))
    try:
        slot = LAST
        while True:
            slot += 1
            await asyncio.to_thread(_put, engine, sites, slot)
            await asyncio.sleep(GROWTH_SECONDS)
    finally:
        engine.dispose()


def _put(engine: Engine, sites: Sites, slot: int) -> None:
    with written(engine) as store:
        block = (store.last_block() or (0, b""))[0] + 1
        store.put(tables.BLOCKS, block, [{"hash": block.to_bytes(32), "time": slot * 1800}])
        store.put_readings(block, sites.slot(slot)[0])


def _request(port: int, address: str, language: str) -> bytes:
    return (
        f"GET {address} HTTP/1.1\r\nHost: localhost:{port}\r\nAccept-Encoding: gzip\r\n"
        f"Accept-Language: {language}\r\n\r\n"
    ).encode()


@contextmanager
def served(store: Path, *more: str) -> Iterator[tuple[int, int]]:
    """Run `yui web` over a store, with more options; give its port and its process's number."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    accounts = store.with_name("accounts.sqlite")
    command = [sys.executable, "-m", "orchestrator.entry", "web", "--store", str(store)]
    command += ["--port", str(port), "--accounts", str(accounts), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None or "/now" not in process.stdout.readline():
            raise SettingError(f"yui web must start, got exit code {process.poll()}")
        for _ in range(START_SECONDS * 10):
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def _processor_seconds(pid: int) -> float:
    # After the name in brackets; see proc(5): utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000

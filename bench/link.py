"""The fleet's link: a bulk stop of 1,000 simulated sites, a call to the first change of 100.

Mosquitto, the sites and the room share this machine. The sites run in processes of their own;
each has its own TLS connection, certificate, ledger on disk and battery; the room runs in one of
its own. Where a bar is on wall time, the processor time of all of them stands beside.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bench.figures import Figure
from vpp.commands import Action
from vpp.link.broker import Broker, on_loopback
from vpp.link.folders import room_at
from vpp.link.setup import counted, new_fleet
from vpp.room.room import Room
from vpp.room.store import Outcome, opened, records

SITES = int(os.environ.get("YUI_LINK_SITES", "1000"))
CALLED = 100
STOP_SECONDS, CALL_SECONDS = 10.0, 5.0
REPORT_SECONDS = 5.0
_SITES = """
import asyncio, sys
from pathlib import Path
from vpp.link.simulated import simulated_fleet

async def main(folder, first, last):
    async with simulated_fleet(Path(folder), range(int(first), int(last)), {seconds}):
        print("up", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main(*sys.argv[1:]))
"""


def figures() -> list[Figure]:
    """Measure.

    Raises:
        SettingError: if Mosquitto is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="yui-link-") as name:
        folder = Path(name)
        began = time.monotonic()
        new_fleet(folder, "bench", counted(SITES), on_loopback())
        made_seconds = time.monotonic() - began
        broker = Broker(folder)
        broker.start()
        try:
            began = time.monotonic()
            with _sites(folder) as sites:
                up_seconds = time.monotonic() - began
                found = _in_a_room(folder, [broker.pid, *sites])
        finally:
            broker.stop()
        return [
            *found,
            Figure(f"a fleet of {SITES:,} made", made_seconds, "s"),
            Figure(f"{SITES:,} sites connected", up_seconds, "s"),
        ]


def _in_a_room(folder: Path, others: list[int]) -> list[Figure]:
    """Measure in a process that has loaded what a room needs, and no more."""
    words = [sys.executable, "-m", "bench.link", str(folder), *map(str, others)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return [Figure(**each) for each in json.loads(done.stdout)]


async def _measured(folder: Path, others: list[int]) -> list[Figure]:
    place = room_at(folder)
    engine = opened(str(place.store))
    found: list[Figure] = []
    async with Room(place, engine, place.key(), watch=True).at_work(30) as room:
        while len(room.alive()) < SITES:
            await asyncio.sleep(0.05)
        idle_cpu, idle_began = _cpu(others), time.monotonic()
        await asyncio.sleep(2 * REPORT_SECONDS)
        idle = (_cpu(others) - idle_cpu) / (time.monotonic() - idle_began)

        cpu, began = _cpu(others), time.time()
        calls = [
            room.instruction(site, Action.CALL, power_w=2_000, call="bench", valid=120)
            for site in range(CALLED)
        ]
        told = await room.send(calls, "bench", "", until_changed=True, patience=60)
        changes = [
            each.answer.changed_at - began
            for each in told
            if each.answer is not None and each.answer.changed_at is not None
        ]
        heard = time.time() - began
        found += [
            Figure(
                f"call to first power change, {CALLED} sites, the slowest",
                max(changes) if len(changes) == CALLED else float("inf"),
                "s",
                CALL_SECONDS,
            ),
            Figure("the same, the median", median(changes), "s"),
            Figure("the same, until the room knows of all", heard, "s"),
            Figure("the same, processor time of all", _cpu(others) - cpu, "s"),
        ]

        cpu, began = _cpu(others), time.time()
        stops = [room.instruction(site, Action.STOP) for site in range(SITES)]
        told = await room.send(stops, "bench", "", patience=60)
        seconds = time.time() - began
        taken = sum(each.outcome is Outcome.TAKEN for each in told)
        found += [
            Figure(f"bulk stop of {SITES:,} sites, all acknowledged", seconds, "s", STOP_SECONDS),
            Figure("sites that acknowledged", taken, "", SITES, at_least=True),
            Figure("the same, processor time of all", _cpu(others) - cpu, "s"),
        ]
    with records(engine) as read:
        checked = read.check_trail()
    engine.dispose()
    return [
        *found,
        Figure("audit trail broken", float(checked.broken_at is not None), "", 0),
        Figure(f"at rest, {SITES:,} sites, of a processor", idle, "cores"),
        Figure("memory of the room", _megabytes(os.getpid()), "MB"),
        Figure("memory of the broker", _megabytes(others[0]), "MB"),
        Figure(
            "memory of a simulated site",
            sum(map(_megabytes, others[1:])) / SITES,
            "MB",
        ),
    ]


@contextmanager
def _sites(folder: Path) -> Iterator[list[int]]:
    """Run the sites in two processes."""
    half = SITES // 2
    running = [
        subprocess.Popen(
            [
                *(sys.executable, "-c", _SITES.format(seconds=REPORT_SECONDS), str(folder)),
                *(str(first), str(last)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first, last in ((0, half), (half, SITES))
    ]
    try:
        for each in running:
            assert each.stdout is not None
            if each.stdout.readline() != "up\n":
                raise RuntimeError("simulated sites did not come up")
        yield [each.pid for each in running]
    finally:
        for each in running:
            assert each.stdin is not None
            each.stdin.close()
        for each in running:
            each.wait()


def _cpu(others: list[int]) -> float:
    """Return the processor seconds of this process and others."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime + sum(map(_cpu_of, others))


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    measured = asyncio.run(_measured(Path(sys.argv[1]), [int(each) for each in sys.argv[2:]]))
    print(json.dumps([asdict(each) for each in measured]))

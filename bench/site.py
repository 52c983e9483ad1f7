"""The terminal on site: kills, memory, polling and catching up, against real devices and chain.

Everything is real but time: Modbus over TCP, SQLite on disk, the contract on a node. The
simulated devices run in the measured process as well where their share is not told apart.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure
from chain.anvil import AnvilChain, anvil
from chain.market import MarketContract
from chain.node import NodeChain
from chain.terminal import TerminalChain
from energy.market import MarketRules
from energy.messages import Domain, address_of
from energy.records import Reading
from energy.registry import Ratings, Tariff
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY
from field.modbus import Tcp
from oracle.device import Device, Instruments, SiteDevices
from oracle.keys import KeySigner
from oracle.outbox import Outbox, State
from oracle.plant import Battery
from oracle.simulator import CEILING_W, SiteSimulator
from oracle.terminal import Terminal
from oracle.weather import clear_sky, office

FIRST = 1_000_000
KEY = bytes(31) + b"\x05"
KILLS = 200
SAMPLE_SECONDS = 60
WEEK = 7 * SLOTS_PER_DAY
DEVICES = 20
POLLED_SECONDS = 20
MIB = 1 << 20


def figures() -> list[Figure]:
    """Return what the terminal does under kills, over a week, with many devices, and late."""
    return [*_killed(), *_week(), *_polled()]


# A site in simulated time.


@dataclass
class Rehearsal:
    """A site and its terminal, whose time is told step by step."""

    site: SiteSimulator
    terminal: Terminal
    now: int

    async def step(self, now: int) -> None:
        """Let it be a moment: devices, a sample, and half hours that are over."""
        self.now = now
        self.site.advance(now)
        await self.terminal.sample()
        self.terminal.close_slots()


async def _rehearsed(
    path: Path, market: MarketContract, end: int, play: Callable[[Rehearsal, int], object]
) -> None:
    """Run a site's time from where its outbox ends; `play` is called after every sample.

    The plant is made anew and goes the same steps: it stands where it stood.
    """
    start = FIRST * SLOT_SECONDS
    outbox = Outbox(path)
    last = outbox.last_sample_seconds()
    battery = Battery(44_000, 15_000, initial_wh=22_000)
    site = SiteSimulator(office(20_000), clear_sky(40_000), battery, start_seconds=start - 1)
    done = start if last is None else last + SAMPLE_SECONDS
    for moment in range(start, done, SAMPLE_SECONDS):
        site.advance(moment)
    async with site:
        instruments = Instruments(site.devices())
        signer = KeySigner(market.domain, KEY)
        rehearsal = Rehearsal(site, Terminal(0, instruments, outbox, signer, lambda: 0), done)
        rehearsal.terminal.clock = lambda: rehearsal.now
        try:
            for moment in range(done, end + 1, SAMPLE_SECONDS):
                await rehearsal.step(moment)
                answer = play(rehearsal, moment)
                if asyncio.iscoroutine(answer):
                    await answer
        finally:
            instruments.close()
            outbox.close()


def deployed(node: AnvilChain, first_slot: int, oracle: str) -> MarketContract:
    """Return a market on a node with one site, whose oracle key is given, from a slot on."""
    rules = MarketRules(first_slot - 20, 10, 3600, 600, after_metering=False)
    market = MarketContract.deployed(node, node.sender, rules)
    market.enact_tariff(first_slot - 8, [Tariff(22_000, 8_000, 1_000)] * 48)
    ratings = Ratings(50_000, 30_000, 30_000, 15_000, 44_000, 900)
    market.enrol(first_slot - 8, address_of(KEY), oracle, ratings)
    node.fund(oracle)
    return market


def _of(url: str, address: str) -> TerminalChain:
    return TerminalChain(MarketContract(NodeChain(url, KEY), address))


# Killed at random instants.


def _killed() -> list[Figure]:
    rng = random.Random(5)
    kills = differing = 0
    with tempfile.TemporaryDirectory() as folder:
        undisturbed = _day(Path(folder) / "undisturbed", None)[0]
        rounds = 0
        while kills < KILLS:
            rounds += 1
            readings, killed = _day(Path(folder) / f"killed-{rounds}", rng, KILLS - kills)
            kills += killed
            differing += sum(one != other for one, other in zip(undisturbed, readings, strict=True))
    missing = sum(None in pair for pair in undisturbed)
    return [
        Figure(f"readings that differ after kill -9 at {kills} instants", differing, "", 0),
        Figure("readings of the undisturbed day that are missing", missing, "", 0),
    ]


def _day(
    path: Path, rng: random.Random | None, most: int = 0
) -> tuple[list[tuple[Reading | None, Reading | None]], int]:
    """Run a day, killed at random; return its readings (on chain, on disk) and the kills."""
    start, end = FIRST * SLOT_SECONDS, (FIRST + SLOTS_PER_DAY) * SLOT_SECONDS
    with anvil(start - 20 * SLOT_SECONDS) as node:
        market = deployed(node, FIRST, address_of(KEY))
        node.set_time(end + 60)

        def work() -> None:
            chain = _of(node.url, market.address)

            async def push(rehearsal: Rehearsal, moment: int) -> None:
                if moment % (10 * SAMPLE_SECONDS) == 0:
                    await rehearsal.terminal.push(chain)
                if moment == end:
                    await rehearsal.terminal.push(chain)

            asyncio.run(_rehearsed(path, market, end, push))
            outbox = Outbox(path)
            settle = Terminal(0, None, outbox, KeySigner(market.domain, KEY), lambda: end)  # type: ignore[arg-type]
            asyncio.run(settle.push(chain))
            outbox.close()

        kills = 0
        while True:
            child = os.fork()
            if not child:
                try:
                    work()
                finally:
                    os._exit(0)
            if rng is not None and kills < most:
                time.sleep(rng.uniform(0.02, 0.25))
                if os.waitpid(child, os.WNOHANG)[0]:
                    break  # the day was over first
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                kills += 1
                continue
            os.waitpid(child, 0)
            break
        outbox = Outbox(path)
        final = {entry.reading.slot: entry.reading for entry in outbox.entries(State.FINAL)}
        outbox.close()
        slots = range(FIRST, FIRST + SLOTS_PER_DAY)
        return [(market.reading_of(slot, 0), final.get(slot)) for slot in slots], kills


# A week without the chain, then with it.


def _week() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", "from bench.site import week; week()", folder],
            capture_output=True,
            text=True,
            check=True,
        )
    told = json.loads(done.stdout.splitlines()[-1])
    return [
        Figure("memory after a simulated week, simulator included", told["end"] / MIB, "MiB", 120),
        Figure("memory gained from the second day to the last", told["gain"] / MIB, "MiB", 5),
        Figure("readings caught up after the week", told["caught"], ""),
        Figure("readings of the week that are missing", WEEK - told["caught"], "", 0),
        Figure("catching up", told["seconds"], "s", 60),
        Figure("transactions for it", told["transactions"], "", 5),
    ]


def week() -> None:
    """Run a week off line and catch up; print what was measured as a line of JSON."""
    from oracle import health
    from oracle.service import Service
    from oracle.settings import ChainSettings, KeySettings, Settings

    folder = Path(sys.argv[1])
    start, end = FIRST * SLOT_SECONDS, (FIRST + WEEK) * SLOT_SECONDS
    resident: list[int] = []
    with anvil(start - 20 * SLOT_SECONDS) as node:
        market = deployed(node, FIRST, address_of(KEY))
        node.set_time(end + 60)
        chain = _of(node.url, market.address)
        told: dict[str, float] = {}

        async def play(rehearsal: Rehearsal, moment: int) -> None:
            settings = Settings(
                folder,
                0,
                ChainSettings(node.url, market.address, None, node.chain_id, 0, 0),
                KeySettings(folder, None, None),
                folder,
                folder,
                30,
                SAMPLE_SECONDS,
                1.0,
                0,
                rehearsal.site.devices(),
            )
            if moment % 600 == 0:
                health.metrics_of(Service(settings, rehearsal.terminal, KEY))
            if moment % 86_400 == 0:
                resident.append(_resident())
            if moment == end:
                begun = time.perf_counter()
                height = node.height()
                await rehearsal.terminal.push(chain)
                told["transactions"] = node.height() - height
                await rehearsal.terminal.push(chain)
                told["seconds"] = time.perf_counter() - begun
                told["caught"] = rehearsal.terminal.outbox.tally()[State.FINAL]

        asyncio.run(_rehearsed(folder / "outbox.sqlite", market, end, play))
    print(json.dumps({**told, "end": _resident(), "gain": resident[-1] - resident[1]}))


def _resident() -> int:
    """Return this process's resident memory, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# Twenty devices, once a second.


def _polled() -> list[Figure]:
    command = [sys.executable, "-c", "from bench.site import devices; devices()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        ports = json.loads(server.stdout.readline())
        with tempfile.TemporaryDirectory() as folder:
            share, samples, faults = asyncio.run(_polling(Path(folder), ports))
        server.communicate("")
    return [
        Figure(f"of a core, polling {DEVICES} devices a second", share * 100, "%", 25),
        Figure("seconds without a sample", POLLED_SECONDS - samples, "", 0),
        Figure("samples with a fault", faults, "", 0),
    ]


def devices() -> None:
    """Serve twenty devices in this process until standard input ends; print their ports."""

    async def serve() -> None:
        start = int(time.time())
        sites = [
            SiteSimulator(
                office(20_000), clear_sky(40_000), Battery(44_000, 15_000), start_seconds=start
            )
            for _ in range(7)
        ]
        print(json.dumps([await site.start() for site in sites]), flush=True)
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        while not ended.done():
            for site in sites:
                if int(time.time()) > site.plant.time_seconds:
                    site.advance(int(time.time()))
            await asyncio.sleep(1)

    asyncio.run(serve())


async def _polling(folder: Path, ports: list[int]) -> tuple[float, int, int]:
    roles = [(role, 1 + at) for at, role in enumerate(("meter", "inverter", "battery"))]
    found = [
        Device(role, Tcp("127.0.0.1", port), unit, CEILING_W, f"{role}-{number}")  # type: ignore[arg-type]
        for number, port in enumerate(ports)
        for role, unit in roles
    ][:DEVICES]
    instruments = Instruments(SiteDevices(tuple(found)))
    outbox = Outbox(folder / "outbox.sqlite")
    signer = KeySigner(Domain(1, "0x" + "22" * 20), KEY)
    terminal = Terminal(0, instruments, outbox, signer, lambda: int(time.time()))
    await terminal.sample()
    samples = faults = 0
    counters = len(instruments.devices.ceilings_w)
    wall, used = time.perf_counter(), time.process_time()
    for second in range(1, POLLED_SECONDS + 1):
        await asyncio.sleep(max(wall + second - time.perf_counter(), 0))
        sample = await terminal.sample()
        terminal.close_slots()
        samples += 1
        faults += bool(sample.incidents) or len(sample.counters) != counters
    share = (time.process_time() - used) / (time.perf_counter() - wall)
    instruments.close()
    outbox.close()
    return share, samples, faults

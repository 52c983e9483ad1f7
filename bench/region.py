"""A region of a large town: a market of its own, some half hours of a day, played in an EVM.

Sites are resampled from the bundled seven (`orchestrator.replay.scenarios`); their agents have
real forecasts and signatures. Times are the processor's.
"""

from __future__ import annotations

import gc
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from chain.contract import Chain
from chain.database import opened
from chain.evm import EvmChain
from chain.indexer import indexed
from chain.market import MarketContract
from chain.origin import OriginContract
from chain.recorded import RecordedChain
from energy.messages import address_of
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, slots_of
from orchestrator.auditing.audit import audited
from orchestrator.replay.replay import Replay, SlotResult, known_tariffs
from orchestrator.replay.scenarios import base, resampled
from orchestrator.replay.site import replayed_sites
from orchestrator.replay.town import Town
from orchestrator.steering.steering import RULE
from vpp.forecast import Past

DAY = date(2019, 6, 4)


@dataclass(frozen=True)
class Region:
    """What some half hours of a region took, in memory. The set-up stands apart: deployment,
    enrolments and what the sites' meters showed before. `memory` is the most that the process had
    meanwhile, and `before` what it had when the region began, MB."""

    orders: int
    trades: int
    set_up_seconds: float
    slot_seconds: float
    memory: float
    before: float


@dataclass(frozen=True)
class Kept:
    """What some half hours of a region left in files, beside what the set-up did, bytes; and what
    their audit took."""

    set_up_bytes: int
    chain_bytes: int
    store_bytes: int
    audit_seconds: float


def sample(count: int) -> tuple[int, ...]:
    """Return so many half hours of a day, spread evenly over day and night.

    >>> sample(6)
    (4, 12, 20, 28, 36, 44)
    """
    return tuple(int((number + 0.5) * SLOTS_PER_DAY / count) for number in range(count))


def beginning_of(town: Town) -> int:
    """Return when a chain has to begin, for a town's sites to be enrolled in time; unix seconds."""
    first = slots_of(DAY).start
    return (first - town.setting.market.horizon_slots - 3) * SLOT_SECONDS


def played(sites: int, seed: int, halves: Sequence[int]) -> Region:
    """Play a region's half hours of the day, in memory."""
    before, begun = _memory_from_here(), time.process_time()
    town = resampled(sites, seed)(base())
    chain = EvmChain(beginning_of(town))
    game = Game(chain, town, chain.set_time)
    set_up = time.process_time() - begun
    spent = game.play(halves)
    return Region(*game.came_to, set_up, spent, _memory("VmHWM"), before)


def kept(sites: int, seed: int, halves: Sequence[int]) -> Kept:
    """Play a region's half hours of the day into files, index and audit them."""
    town = resampled(sites, seed)(base())
    with TemporaryDirectory(prefix="yui") as name, ExitStack() as stack:
        file = Path(name) / "chain.sqlite"
        chain = stack.enter_context(closing(RecordedChain(file, beginning_of(town))))
        game = Game(chain, town, chain.set_time)
        market = game.replay.market.address
        origin = OriginContract.deployed(chain, market).address
        first = _indexed(Path(name), chain, market)
        game.play(halves)
        last = _indexed(Path(name), chain, market)
        begun = time.process_time()
        audited(chain, market, origin)
        spent = time.process_time() - begun
    return Kept(sum(first), last[0] - first[0], last[1] - first[1], spent)


def warmed() -> None:
    """Play a few sites for a half hour, so that what a process does once is done."""
    played(10, 0, [20])


class Game:
    """A town's market, deployed and enrolled, and its sites with what they know."""

    def __init__(self, chain: Chain, town: Town, set_time: Callable[[int], None]) -> None:
        self.first = slots_of(DAY).start
        self.counts: Counter[str] = Counter()
        rules = town.setting.market.rules(chain.now() // SLOT_SECONDS)
        market = MarketContract.deployed(chain, chain.sender, rules)
        market.enact_tariff(self.first, town.setting.tariffs)
        tariffs = known_tariffs(town.tariffs_on, town.is_linked)
        sites = replayed_sites(town.setting.sites, town.series, "scale", RULE, tariffs)
        for site in sites:
            keys = address_of(site.trader_key), address_of(site.oracle_key)
            market.enrol(self.first, *keys, site.site.ratings)
        self.replay = Replay(chain, market, sites, town.tariffs_on, set_time, self._count)
        self.remember(self.first)

    def remember(self, slot: int) -> None:
        """Let all sites know what their meters showed in the weeks before a slot."""
        for site in self.replay.sites:
            site.remember(slot)
        self.known = slot

    def play(self, halves: Sequence[int], later: int = 0) -> float:
        """Play half hours of the day, or of a slot so many later, and return what they took; in
        those between them the sites' meters run, and batteries rest."""
        spent = 0.0
        for run in _runs(halves):
            slots = range(*(self.first + later + number for number in (run.start, run.stop)))
            self._pass(slots.start)
            begun = time.process_time()
            self.replay.acts = 0
            for _ in self.replay.run(slots):
                pass
            spent += time.process_time() - begun
            self.known = slots.stop
        return spent

    @property
    def came_to(self) -> tuple[int, int]:
        """How many orders were sent, and how many traded."""
        return self.counts["orders"], self.counts["trades"]

    def _pass(self, until: int) -> None:
        for site in self.replay.sites:
            for slot in range(self.known, until):
                series = site.series
                site.history.slots[slot] = Past(series.load(slot), series.generation(slot))

    def _count(self, slot: SlotResult) -> None:
        self.counts["orders"] += len(slot.orders)
        self.counts["trades"] += len(slot.trades)


def _runs(halves: Sequence[int]) -> Iterator[range]:
    """Yield the runs of half hours that follow each other: those of one overlap."""
    for _, run in groupby(enumerate(halves), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        yield range(numbers[0], numbers[-1] + 1)


def _memory_from_here() -> float:
    """Return the memory that this process has, MB, and let its peak be counted from here on."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(name: str) -> float:
    """Return a line of /proc/self/status in MB; see proc_pid_status(5)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def _indexed(folder: Path, chain: RecordedChain, market: str) -> tuple[int, int]:
    """Bring a chain's file and its store up to date, and return the bytes of both."""
    chain.commit()
    engine = opened(str(folder / "store.sqlite"))
    indexed(engine, chain, market)  # type: ignore[arg-type]
    engine.dispose()
    return _bytes_of(folder / "chain.sqlite"), _bytes_of(folder / "store.sqlite")


def _bytes_of(file: Path) -> int:
    """Return the bytes of a database, with what is still in its log."""
    with closing(sqlite3.connect(file)) as database:
        (pages,) = database.execute("pragma page_count").fetchone()
        (size,) = database.execute("pragma page_size").fetchone()
    return int(pages * size)

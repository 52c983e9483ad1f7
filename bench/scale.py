"""From 100 to 100,000 sites, in regional markets of a thousand at most, for a day.

Each region is a market of its own, played in an EVM by agents with real forecasts and
signatures; regions know nothing of each other and are spread over two processes by Dask. Sites
are resampled from the bundled seven (`orchestrator.replay.scenarios`). Gas is a node's, in the
second use of the ring's words. For the largest size a part of the day is played and counted up,
unless YUI_SCALE_SLOTS says how many half hours to play.
"""

from __future__ import annotations

import math
import os
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from distributed import Client, LocalCluster

from bench.figures import Figure
from chain.anvil import AnvilChain, anvil
from chain.contract import Chain
from chain.database import opened
from chain.evm import EvmChain
from chain.indexer import indexed
from chain.market import MarketContract
from chain.network.genesis import GAS_LIMIT
from chain.origin import OriginContract
from chain.recorded import RecordedChain
from energy.attestation import Attestation, day_number, last_slot_of, signed
from energy.attested import RING as DAYS_HELD
from energy.market import RING
from energy.messages import address_of
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, slots_of
from orchestrator.replay.replay import Replay, SlotResult, known_tariffs
from orchestrator.replay.scenarios import base, resampled
from orchestrator.replay.site import replayed_sites
from orchestrator.replay.town import Town
from orchestrator.steering.steering import RULE

DAY = date(2019, 6, 4)
REGION = 1_000
SIZES = (100, 1_000, 10_000, 100_000)
PARTLY = 50_000
"""Sites from which on a part of the day is played."""
PART = range(18, 48, 8)
"""Half hours of the day that then stand for it: every eighth."""
GAS_SLOTS = range(2, 48, 8)
WORKERS = 2


@dataclass(frozen=True)
class Region:
    """What a region's day took."""

    orders: int
    trades: int
    seconds: float
    peak_mb: float
    chain_bytes: int
    store_bytes: int


def figures() -> list[Figure]:
    """Measure all sizes."""
    found = [*_gas()]
    seconds: dict[int, float] = {}
    with (
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        for size in SIZES:
            figures_, seconds[size] = _size(client, size)
            found += figures_
    few, many = SIZES[1], SIZES[-1]
    power = math.log(seconds[many] / seconds[few]) / math.log(many / few)
    return [*found, Figure("growth of the time from 1,000 sites on: sites to the power", power, "")]


def _size(client: Client, size: int) -> tuple[list[Figure], float]:
    slots = _part(size)
    regions = -(-size // REGION)
    sites = [size // regions] * regions
    begun = time.monotonic()
    futures = client.map(
        _region, sites, range(regions), [slots] * regions, [regions == 1] * regions
    )
    done: list[Region] = client.gather(futures)  # type: ignore[no-untyped-call]
    wall = (time.monotonic() - begun) * SLOTS_PER_DAY / len(slots)
    counted = "" if len(slots) == SLOTS_PER_DAY else f", counted up from {len(slots)} half hours"
    name = f"{size:,} sites in {regions} market{'s' if regions > 1 else ''}"
    found = [
        Figure(f"{name}: a day{counted}", wall, "s"),
        Figure(f"{name}: memory of a process", max(each.peak_mb for each in done), "MB"),
        Figure(f"{name}: orders", sum(each.orders for each in done), "count"),
        Figure(f"{name}: trades", sum(each.trades for each in done), "count"),
    ]
    if regions == 1:
        (only,) = done
        each = size * SLOTS_PER_DAY
        found += [
            Figure(f"{name}: chain on disk, a site and slot", only.chain_bytes / each, "bytes"),
            Figure(f"{name}: store on disk, a site and slot", only.store_bytes / each, "bytes"),
        ]
    return found, wall


def _part(size: int) -> tuple[int, ...]:
    """Return the half hours of the day that are played."""
    wanted = os.environ.get("YUI_SCALE_SLOTS")
    if wanted:
        return tuple(range(SLOTS_PER_DAY))[: int(wanted)]
    return tuple(PART) if size >= PARTLY else tuple(range(SLOTS_PER_DAY))


def _runs(slots: tuple[int, ...]) -> Iterator[range]:
    """Yield the runs of half hours that follow each other."""
    for _, run in groupby(enumerate(slots), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        yield range(numbers[0], numbers[-1] + 1)


def _region(sites: int, seed: int, slots: tuple[int, ...], keeps: bool) -> Region:
    """Play a region's half hours, kept in files and indexed if asked for."""
    begun = time.process_time()
    town = resampled(sites, seed)(base())
    first = slots_of(DAY).start
    with TemporaryDirectory(prefix="yui") as name:
        folder = Path(name)
        start = (first - town.setting.market.horizon_slots - 3) * SLOT_SECONDS
        chain: RecordedChain | EvmChain
        chain = RecordedChain(folder / "chain.sqlite", start) if keeps else EvmChain(start)
        replay, counts = _opened(chain, town, first, chain.set_time)
        for run in _runs(slots):
            replay.acts = 0
            for _ in replay.run(range(first + run.start, first + run.stop)):
                pass
        seconds = time.process_time() - begun
        sizes = (0, 0)
        if isinstance(chain, RecordedChain):
            chain.commit()
            engine = opened(str(folder / "store.sqlite"))
            indexed(engine, chain, replay.market.address)  # type: ignore[arg-type]
            engine.dispose()
            chain.close()
            sizes = _size_of(folder, "chain"), _size_of(folder, "store")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Region(counts["orders"], counts["trades"], seconds, peak, *sizes)


def _size_of(folder: Path, kind: str) -> int:
    return sum(file.stat().st_size for file in folder.glob(f"{kind}.sqlite*"))


def _opened(
    chain: Chain, town: Town, first: int, set_time: Callable[[int], None]
) -> tuple[Replay, Counter[str]]:
    """Deploy a market, enrol a town's sites from a slot on, and make them ready to play."""
    rules = town.setting.market.rules(chain.now() // SLOT_SECONDS)
    market = MarketContract.deployed(chain, chain.sender, rules)
    market.enact_tariff(first, town.setting.tariffs)
    tariffs = known_tariffs(town.tariffs_on, town.is_linked)
    sites = replayed_sites(town.setting.sites, town.series, "scale", RULE, tariffs)
    for site in sites:
        keys = address_of(site.trader_key), address_of(site.oracle_key)
        market.enrol(first, *keys, site.site.ratings)
        site.remember(first)
    counts: Counter[str] = Counter()

    def count(slot: SlotResult) -> None:
        counts["orders"] += len(slot.orders)
        counts["trades"] += len(slot.trades)

    return Replay(chain, market, sites, town.tariffs_on, set_time, count), counts


def _gas() -> Iterator[Figure]:
    """Play some half hours of a thousand sites on a node, each twice in the same place."""
    town = resampled(REGION)(base())
    first = slots_of(DAY).start
    with anvil((first - town.setting.market.horizon_slots - 3) * SLOT_SECONDS) as node:
        replay, counts = _opened(node, town, first, node.set_time)
        for use in range(2):
            replay.gas.clear()
            counts.clear()
            for number in GAS_SLOTS:
                slot = first + number + use * RING
                for site in replay.sites:
                    site.remember(slot)
                replay.acts = 0
                for _ in replay.run(range(slot, slot + 1)):
                    pass
        attesting = _attesting(node, replay)
    share = 1 / (REGION * len(GAS_SLOTS))
    whole = sum(replay.gas.values()) * share
    yield Figure("gas a site and slot, all in, at 1,000 sites", whole + attesting, "gas", 30_000)
    for act, gas in sorted(replay.gas.items()):
        yield Figure(f"of it, to {act}", gas * share, "gas")
    yield Figure("of it, to attest the day's root", attesting, "gas")
    yield Figure("orders a site and slot there", counts["orders"] * share, "count")
    yield Figure("trades a site and slot there", counts["trades"] * share, "count")
    carried = GAS_LIMIT * SLOT_SECONDS / (whole + attesting)
    yield Figure("sites that full blocks of 60 M gas, one a second, would carry", carried, "count")


def _attesting(node: AnvilChain, replay: Replay) -> float:
    """Have all sites attest a day together, and the one that later takes its place in the ring;
    return the gas a site and slot of the second."""
    origin = OriginContract.deployed(node, replay.market.address)
    root = bytes(range(1, 33))
    for day in (day_number(DAY), day_number(DAY) + DAYS_HELD):
        node.set_time(max((last_slot_of(day) + 1) * SLOT_SECONDS, node.now() + 1))
        numbers = [site.site.number for site in replay.sites]
        signatures = [
            signed(Attestation(day, number, root), origin.domain, site.oracle_key)
            for number, site in zip(numbers, replay.sites, strict=True)
        ]
        receipt = origin.attest_together(day, root, numbers, signatures)
    return receipt.gas_used / len(numbers) / SLOTS_PER_DAY

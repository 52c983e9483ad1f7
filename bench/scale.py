"""From 100 to 100,000 sites, in regional markets of a thousand at most, for a day.

Regions know nothing of each other and are spread over two processes by Dask, fresh ones for each
size. All sizes play the same half hours, spread evenly over day and night, in memory; times are
the processor's, summed over the regions, of the half hours alone, and all is counted up to a day.
At 1,000 sites the whole day is played beside them, to see how well they stand for it. Chain and
store on disk are measured for one region of each size, the last, and multiplied by the regions;
that region is audited as well.

`YUI_SCALE_SLOTS` is how many half hours are played (6), `YUI_SCALE_SIZES` the sizes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from distributed import Client, LocalCluster

from bench.carry import Burnt, burnt, carried, told
from bench.figures import Figure
from bench.region import Kept, Region, kept, played, sample, warmed
from energy.units import SITE_LIMIT, SLOTS_PER_DAY

SIZES = (100, 1_000, 10_000, 100_000)
HALVES = 6
WORKERS = 2


@dataclass(frozen=True)
class Size:
    """Regions of so many sites in all, as they were played, and the last of them, kept on disk."""

    sites: int
    regions: Sequence[Region]
    kept: Kept
    wall: float

    @property
    def name(self) -> str:
        """What it is called in the table."""
        markets = len(self.regions)
        return f"{self.sites:,} sites in {markets} market{'s' if markets > 1 else ''}"

    def figures(self, halves: int) -> dict[str, Figure]:
        """Return what a day of it takes, by what grows."""
        up, each = SLOTS_PER_DAY / halves, self.sites * SLOTS_PER_DAY
        seconds = sum(region.slot_seconds for region in self.regions) * up
        disk = {
            "chain": self.kept.chain_bytes * len(self.regions) * up,
            "store": self.kept.store_bytes * len(self.regions) * up,
        }
        memory = max(region.memory for region in self.regions)
        own = max(region.memory - region.before for region in self.regions)
        found = {
            "time": Figure("a day's half hours, processor time", seconds, "s"),
            "set-up": Figure(
                "set-up, processor time", sum(one.set_up_seconds for one in self.regions), "s"
            ),
            "wall": Figure("what was played, by the clock", self.wall, "s"),
            "process": Figure("memory of a process, at most", memory, "MB"),
            "memory": Figure("of it, a region's own, at most", own, "MB"),
            "orders": Figure("orders a day", sum(one.orders for one in self.regions) * up, "count"),
            "trades": Figure("trades a day", sum(one.trades for one in self.regions) * up, "count"),
        }
        for kind, size in disk.items():
            found[kind] = Figure(f"{kind} on disk, a day", size / 2**20, "MiB")
            found[f"{kind} a site"] = Figure(f"{kind} on disk, a site and slot", size / each, "B")
        found["begun"] = Figure(
            "chain and store on disk after the set-up",
            self.kept.set_up_bytes * len(self.regions) / 2**20,
            "MiB",
        )
        found["audit"] = Figure(
            "audit of a region's day, processor time", self.kept.audit_seconds * up, "s"
        )
        return found


def figures() -> list[Figure]:
    """Measure all sizes; ten minutes on two cores."""
    halves = int(os.environ.get("YUI_SCALE_SLOTS", HALVES))
    chosen = os.environ.get("YUI_SCALE_SIZES")
    sizes = tuple(int(size) for size in chosen.split(",")) if chosen else SIZES
    markets = sorted({min(size, SITE_LIMIT) for size in sizes})
    gas: dict[int, Burnt] = {}
    for sites in markets:
        _say(f"gas of {sites:,} sites, on a node")
        gas[sites] = burnt(sites, halves)
    found = [figure for each in gas.values() for figure in told(each, each.sites == SITE_LIMIT)]
    found += carried(gas[markets[-1]])
    last, day = _kept(sizes, halves, markets[-1])
    measured: dict[int, dict[str, Figure]] = {}
    for size in sizes:
        done = _played(size, halves, last[size])
        measured[size] = done.figures(halves)
        each = gas[min(size, SITE_LIMIT)].whole * size * SLOTS_PER_DAY
        measured[size]["gas"] = Figure("gas a day", each / 1e9, "Ggas")
        found += [
            Figure(f"{done.name}: {one.name}", one.value, one.unit)
            for one in measured[size].values()
        ]
    found += _sampled(measured[markets[-1]], day) if markets[-1] in measured else []
    return [*found, *_laws(measured)]


def _regions(size: int) -> list[int]:
    """Return the sites of each region."""
    count = -(-size // SITE_LIMIT)
    return [size // count + (number < size % count) for number in range(count)]


def _played(size: int, halves: int, last: Kept) -> Size:
    regions = _regions(size)
    with _workers() as client:
        begun = time.monotonic()
        futures = client.map(played, regions, range(len(regions)), halves=sample(halves))
        done: list[Region] = []
        for future in futures:
            done.append(future.result())
            _say(f"{size:,} sites: {len(done)} of {len(regions)} regions played")
        return Size(size, done, last, time.monotonic() - begun)


def _kept(sizes: Sequence[int], halves: int, market: int) -> tuple[Mapping[int, Kept], Region]:
    """Play the last region of each size into files; and a whole day of the largest market."""
    _say("a region of each size into files, and a whole day")
    with _workers() as client:
        day = client.submit(played, market, 0, range(SLOTS_PER_DAY))
        futures = {
            size: client.submit(kept, _regions(size)[-1], len(_regions(size)) - 1, sample(halves))
            for size in sizes
        }
        return {size: future.result() for size, future in futures.items()}, day.result()


@contextmanager
def _workers() -> Iterator[Client]:
    with (
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        client.run(warmed)
        yield client


def _sampled(counted_up: Mapping[str, Figure], day: Region) -> Iterator[Figure]:
    """Yield how the half hours that were played, counted up, compare with a whole day."""
    whole = {"time": day.slot_seconds, "orders": day.orders, "trades": day.trades}
    for what, value in whole.items():
        ratio = counted_up[what].value / value if value else float("nan")
        yield Figure(f"{what} counted up, of a whole day's in the largest market", ratio, "x")


def _laws(measured: Mapping[int, Mapping[str, Figure]]) -> Iterator[Figure]:
    """Yield the power of the number of sites that each thing grows with."""
    spans = {
        "in a market": [size for size in measured if size <= SITE_LIMIT],
        "over markets": [size for size in measured if size >= SITE_LIMIT],
    }
    for where, sizes in spans.items():
        if len(sizes) < 2:
            continue
        span = f"{where}, {sizes[0]:,} to {sizes[-1]:,} sites"
        for what in ("time", "memory", "chain", "store", "gas"):
            power = power_of(sizes, [measured[size][what].value for size in sizes])
            yield Figure(f"growth of {what} {span}: sites to the power", power, "")


def power_of(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return the exponent of the power law that fits best, by least squares of the logarithms.

    >>> round(power_of([10, 100, 1000], [3, 300, 30000]), 3)
    2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

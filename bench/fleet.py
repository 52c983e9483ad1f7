"""Joint plans of 100 to 10,000 sites, with what proves them.

The sites are drawn from real series (`orchestrator.setting.fleet`). Times are of the wall,
building the programs included. The last plan's prices are those of the same fleet as it looked
before: loads, sun and prices off by 5 % at random. YUI_FLEET_SITES names the largest fleet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date

from bench.figures import Figure
from orchestrator.setting.fleet import Limits, synthetic
from vpp.fleet.decomposition import GAP, decomposed
from vpp.fleet.exact import exact
from vpp.fleet.model import Fleet
from vpp.fleet.result import JointPlan
from vpp.fleet.workers import local_workers

DAY = date(2019, 6, 4)
SEED = 1
FEW, SOME, MANY = 100, 1_000, 10_000
BEFORE = 0.05
PROCESSES = 2


def figures() -> list[Figure]:
    """Measure all."""
    found: list[Figure] = []
    for tight in (1.0, 2.0):
        found += _figures(f"{FEW} sites, one program", exact(_fleet(FEW, tight)), tight, 3)
        with local_workers(PROCESSES) as workers:
            plan = decomposed(_fleet(SOME, tight), workers)
        found += _figures(f"{SOME:,} sites by prices", plan, tight, 8)
    return [*found, *_largest()]


def _fleet(sites: int, tight: float = 1.0, noise: float = 0.0) -> Fleet:
    return synthetic(sites, DAY, SEED, Limits().tighter(tight), noise)


def _largest() -> Iterator[Figure]:
    sites = int(os.environ.get("YUI_FLEET_SITES", MANY))
    with local_workers(PROCESSES) as workers:
        before = decomposed(_fleet(sites, noise=BEFORE), workers)
        yield from _figures(f"{sites:,} sites, from cold", before, 1.0, None)
        plan = decomposed(_fleet(sites), workers, points=before.points)
        yield from _figures(f"{sites:,} sites, from the last plan's prices", plan, 1.0, 60)


def _figures(name: str, plan: JointPlan, tight: float, bar: float | None) -> Iterator[Figure]:
    is_usual = tight == 1.0
    named = name if is_usual else f"{name}, limits {tight:g} times as tight"
    yield Figure(named, plan.seconds, "s", bar if is_usual else None)
    yield Figure(f"{named}: gap", 100 * plan.gap, "%", 100 * GAP if is_usual else None)
    yield Figure(f"{named}: rounds", plan.rounds, "count")
    yield Figure(f"{named}: faults found by the checker", len(plan.faults), "count", 0)
    yield Figure(f"{named}: half hours in which a limit is missed", len(plan.breaches), "count")

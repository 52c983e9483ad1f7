"""Joint plans of 100 to 10,000 sites, with what proves them, and a call split over 100.

The sites are drawn from real series (`orchestrator.setting.fleet`). Times are of the wall,
building the programs included; beside them stands what the planning process and the busiest of the
workers computed, which is what the wall would show where nothing else runs, or less. The last
plan's prices are those of the same fleet as it looked before: loads, sun and prices off by 5 % at
random. YUI_FLEET_SITES names the largest fleet.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import date

from bench.figures import Figure
from orchestrator.setting.fleet import Limits, synthetic
from vpp.fleet.apart import apart
from vpp.fleet.decomposition import GAP, decomposed
from vpp.fleet.exact import exact
from vpp.fleet.model import Fleet
from vpp.fleet.result import JointPlan
from vpp.fleet.split import split
from vpp.fleet.workers import DaskWorkers, local_workers

DAY = date(2019, 6, 4)
SEED = 1
FEW, SOME, MANY = 100, 1_000, 10_000
BEFORE = 0.05
PROCESSES = 2


CALL_KW, CALL_SLOTS = 300.0, (24, 25, 26)


def figures() -> list[Figure]:
    """Measure all."""
    found: list[Figure] = []
    for tight in (1.0, 2.0):
        few = _fleet(FEW, tight)
        plan, spent = _timed(lambda few=few: exact(few))  # type: ignore[misc]
        found += _figures(f"{FEW} sites, one program", plan, spent, tight, 3)
        if tight == 1.0:
            found += _together(plan)
        with local_workers(PROCESSES) as workers:
            some = _fleet(SOME, tight)
            plan, spent = _timed(lambda some=some: decomposed(some, workers), workers)  # type: ignore[misc]
        found += _figures(f"{SOME:,} sites by prices", plan, spent, tight, 8)
    return [*found, *_largest()]


def _fleet(sites: int, tight: float = 1.0, noise: float = 0.0) -> Fleet:
    return synthetic(sites, DAY, SEED, Limits().tighter(tight), noise)


def _together(plan: JointPlan) -> Iterator[Figure]:
    """Measure what planning together is worth, and how long a call takes to be split."""
    alone = apart(plan.fleet)
    yield Figure(f"{FEW} sites: money if each keeps to its share, of the plan's",
                 100 * alone.money / plan.money, "%")  # fmt: skip
    began = time.perf_counter()
    found = split(plan.fleet, CALL_SLOTS, CALL_KW, plan=plan)
    yield Figure(f"{FEW} sites: a call split", time.perf_counter() - began, "s")
    yield Figure(f"{FEW} sites: a call's shortfall", float(found.shortfall_kw.max()), "kW")


def _largest() -> Iterator[Figure]:
    sites = int(os.environ.get("YUI_FLEET_SITES", MANY))
    fleet = _fleet(sites, noise=BEFORE)
    with local_workers(PROCESSES) as workers:
        before, spent = _timed(lambda: decomposed(fleet, workers), workers)
        yield from _figures(f"{sites:,} sites, from cold", before, spent, 1.0, None)
        now = _fleet(sites)
        plan, spent = _timed(lambda: decomposed(now, workers, points=before.points), workers)
        name = f"{sites:,} sites, from the last plan's prices"
        yield from _figures(name, plan, spent, 1.0, 60)


def _timed(
    make: Callable[[], JointPlan], workers: DaskWorkers | None = None
) -> tuple[JointPlan, float]:
    """Return a plan, and what this process and the busiest worker computed for it, seconds."""

    def spent() -> list[float]:
        return workers.processor_seconds() if workers else [0.0]

    own, others = time.process_time(), spent()
    plan = make()
    own = time.process_time() - own
    return plan, own + max(b - a for a, b in zip(others, spent(), strict=True))


def _figures(
    name: str, plan: JointPlan, spent: float, tight: float, bar: float | None
) -> Iterator[Figure]:
    is_usual = tight == 1.0
    named = name if is_usual else f"{name}, limits {tight:g} times as tight"
    yield Figure(named, plan.seconds, "s", bar if is_usual else None)
    yield Figure(f"{named}: processor time", spent, "s")
    yield Figure(f"{named}: gap", 100 * plan.gap, "%", 100 * GAP if is_usual else None)
    yield Figure(f"{named}: gap, of the money alone", 100 * plan.gap_of_money, "%")
    if plan.gain > 0:
        yield Figure(f"{named}: gap, of what batteries earn", 100 * plan.gap_of_gain, "%")
    yield Figure(f"{named}: rounds", plan.rounds, "count")
    yield Figure(f"{named}: faults found by the checker", len(plan.faults), "count", 0)
    yield Figure(f"{named}: half hours in which a limit is missed", len(plan.breaches), "count")

"""Batteries: what they moved, how deep they cycled, and what ten years would leave of them.

Energies in kWh of what a battery can still deliver, as readings state it; money in JPY.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rainflow

from energy.units import MICROYEN_PER_YEN, PRICE_PER_YEN, SLOTS_PER_DAY
from orchestrator.verification.facts import Facts
from vpp.ageing import Outlook, outlook
from vpp.chemistry import chemistries
from vpp.model import Array, Battery, Problem, Tier, Wear
from vpp.planner import planned
from vpp.safe import safe_plan
from vpp.solver import HighsSolver

WEEK, BEYOND = 7 * SLOTS_PER_DAY, 2 * SLOTS_PER_DAY
"""A plan's slots that are kept, and those that it sees after them."""
STEPS = 10
"""Of the histograms: tenths of the capacity."""
AS_RUN, SELF_USE, PLANNED, SPARING = "as_run", "self_use", "planned", "sparing"
_WH = 1_000
_KW = 10


@dataclass(frozen=True)
class Strategy:
    """A way to run a battery over the period, and what would be left of it after ten years."""

    key: str
    bill: float
    """The site's bill with the utility alone, JPY a year."""
    outlooks: dict[str, Outlook]
    """By chemistry."""


@dataclass(frozen=True)
class Store:
    """A site's battery over the period."""

    site: int
    capacity: float
    power: float
    efficiency: float
    least: float
    charged: float
    discharged: float
    full_cycles: float
    depths: Array
    """Cycles by tenth of depth, half cycles as half."""
    states: Array
    """The part of time in each tenth of the state of charge."""
    strategies: tuple[Strategy, ...]


def battery_figures(facts: Facts) -> list[Store]:
    """Look at each battery of a period."""
    return [_store(facts, site) for site in sorted(facts.batteries)]


def _store(facts: Facts, site: int) -> Store:
    power, capacity, efficiency = facts.batteries[site]
    size, kw = capacity / _KW, power / _KW
    seen = facts.settled & ~facts.missed[:, site]
    path = facts.meters["stored"][seen, site] / _WH
    depths, full = np.zeros(STEPS), 0.0
    turns = path[np.concatenate([[True], np.diff(path) != 0])]
    for depth, _, count, _, _ in rainflow.extract_cycles(turns) if len(turns) > 2 else ():
        depths[min(int(depth / size * STEPS), STEPS - 1)] += count
        full += count * depth / size
    places = np.minimum((path / size * STEPS).astype(int), STEPS - 1)
    return Store(
        site=site,
        capacity=size,
        power=kw,
        efficiency=efficiency / 1_000,
        least=float(path.min()),
        charged=float(facts.meters["charged"][:, site].sum()) / _WH,
        discharged=float(facts.meters["discharged"][:, site].sum()) / _WH,
        full_cycles=full,
        depths=depths,
        states=np.bincount(places, minlength=STEPS) / len(path),
        strategies=_strategies(facts, site, path),
    )


def _strategies(facts: Facts, site: int, path: Array) -> tuple[Strategy, ...]:
    """Return the strategies for the site's own load and sun, the utility's prices, no market.

    Plans see the whole week and two days more: they are bounds, not forecasts.
    """
    days = facts.settled.sum() / SLOTS_PER_DAY
    a_year = 365.25 / days
    used = np.maximum(facts.consumption[:, site], 0) / _WH
    sun = facts.meters["generated"][:, site] / _WH
    prices = facts.selling / PRICE_PER_YEN, facts.buying / PRICE_PER_YEN
    power, capacity, efficiency = facts.batteries[site]
    size, least = capacity / _KW, float(path.min())

    def problem(slots: slice, start: float, wear: Wear | None) -> Problem:
        unit = Battery(
            "site", size, power / _KW, power / _KW, start,
            charge_efficiency=efficiency / 1_000, discharge_efficiency=1.0,
            least_kwh=least, end_least_kwh=least, wear=wear,
        )  # fmt: skip
        tiers = Tier("buy", prices[0][slots]), Tier("sell", prices[1][slots])
        return Problem(used[slots], sun[slots], (tiers[0],), (tiers[1],), (unit,))

    def bill_of(stored: Array, start: float) -> float:
        moved = np.diff(stored, prepend=start)
        into, out = np.maximum(moved, 0) / (efficiency / 1_000), np.maximum(-moved, 0)
        net = used + into - sun - out
        cost = prices[0] * np.maximum(net, 0) - prices[1] * np.maximum(-net, 0)
        return float(cost.sum()) * a_year

    def strategy(key: str, stored: Array, names: list[str], bill: float) -> Strategy:
        found = {name: outlook(stored, float(days), size, chemistries()[name]) for name in names}
        return Strategy(key, bill, found)

    def weekly(wear: Wear | None) -> Array:
        solver, start, parts = HighsSolver(60), least, []
        for first in range(0, len(used), WEEK):
            plan = planned(problem(slice(first, first + WEEK + BEYOND), start, wear), solver)
            parts.append(plan.stored[0][:WEEK])
            start = float(np.clip(parts[-1][-1], least, size))
        return np.concatenate(parts)

    names = sorted(chemistries())
    meters = facts.meters
    as_run = (
        facts.selling * meters["imported"][:, site] - facts.buying * meters["exported"][:, site]
    ).sum() / MICROYEN_PER_YEN
    safe = safe_plan(problem(slice(None), least, None)).stored[0]
    free = weekly(None)
    found = [
        strategy(AS_RUN, path, names, float(as_run) * a_year),
        strategy(SELF_USE, safe, names, bill_of(safe, least)),
        strategy(PLANNED, free, names, bill_of(free, least)),
    ]
    for name in names:
        sparing = weekly(chemistries()[name].wear(size))
        found.append(strategy(SPARING, sparing, [name], bill_of(sparing, least)))
    return tuple(found)

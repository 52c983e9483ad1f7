"""Capacity after ten years of plans: no wear price, a flat one, and wear by depth, with the money.

The same battery on the bundled synthetic prices, every four weeks' first two: perfect foresight,
so that only the wear price differs. Revenue is a year's, in JPY for a kWh of capacity; what is
earned is revenue less wear, priced by the chemistry's replacement and rainflow.
"""

from __future__ import annotations

import numpy as np

from bench.figures import Figure
from vpp.ageing import outlook
from vpp.chemistry import DAYS_PER_YEAR, Chemistry, chemistries
from vpp.model import Array, Battery, Problem, Tier, Wear
from vpp.planner import planned
from vpp.prices import price_days
from vpp.solver import HighsSolver
from vpp.wear import flat, life_used

CAPACITY, POWER = 1_000.0, 500.0
DAYS, EVERY = 14, 28


def figures() -> list[Figure]:
    """Plan sample weeks of a year under each wear price, for each chemistry; under a minute."""
    _, prices = price_days()
    spans = [prices[first : first + DAYS].ravel() for first in range(0, 364 - DAYS, EVERY)]
    found = []
    for chemistry in chemistries().values():
        best = max(
            (1, 2, 4, 8, 16, 32), key=lambda per_kwh: _earned(spans, chemistry, flat(per_kwh))[0]
        )
        for name, wear in (
            ("no wear price", None),
            (f"flat wear price, best of six ({best:g} JPY/kWh)", flat(best)),
            ("wear by depth", chemistry.wear(CAPACITY, 12)),
        ):
            earned, revenue, path = _earned(spans, chemistry, wear)
            after = outlook(path, len(spans) * DAYS, CAPACITY, chemistry)
            title = f"{chemistry.key.upper()}, {name}"
            found += [
                Figure(f"{title}: capacity after ten years", 100 * after.capacity_left, "%"),
                Figure(f"{title}: years to the end of life", after.years_of_life, "years"),
                Figure(f"{title}: full cycles a year", after.full_cycles_a_year, "count"),
                Figure(f"{title}: revenue a year", revenue, "JPY/kWh"),
                Figure(f"{title}: revenue less wear", earned, "JPY/kWh"),
            ]
            if np.isfinite(after.cost_per_kwh):
                found.append(Figure(f"{title}: wear and rest", after.cost_per_kwh, "JPY/kWh given"))
    return found


def _earned(
    spans: list[Array], chemistry: Chemistry, wear: Wear | None
) -> tuple[float, float, Array]:
    """Return (revenue less wear, revenue, path): JPY a year and kWh of capacity, stored kWh."""
    revenue, life, paths, solver = 0.0, 0.0, [], HighsSolver(60)
    half = CAPACITY / 2
    for price in spans:
        unit = Battery(
            "sample", CAPACITY, POWER, POWER, half, 0.95, 0.95, 0.05 * CAPACITY, 0.95 * CAPACITY,
            end_least_kwh=half, wear=wear,
        )  # fmt: skip
        nothing = np.zeros(len(price))
        site = Problem(nothing, nothing, (Tier("buy", price),), (Tier("sell", price),), (unit,))
        plan = planned(site, solver)
        revenue -= plan.money.bill
        path = np.concatenate([[half], plan.stored[0]])
        life += life_used(chemistry.cycle, path, CAPACITY)
        paths.append(path)
    a_year = DAYS_PER_YEAR / (len(spans) * DAYS) / CAPACITY
    worn = life * chemistry.replacement_jpy_per_kwh * CAPACITY
    return (revenue - worn) * a_year, revenue * a_year, np.concatenate(paths)

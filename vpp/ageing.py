"""What is left of a battery after years of such plans: rainflow cycles and a calendar model.

A path of the state of charge recurs; cycles take life as the chemistry's depth law says, rest takes
capacity as its calendar model says, and both add up. Energies in kWh, money in JPY.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vpp.chemistry import DAYS_PER_YEAR, Chemistry
from vpp.model import Array
from vpp.wear import life_used, rainflow_sum

YEARS = 10.0
MOST_YEARS = 60.0


@dataclass(frozen=True)
class Outlook:
    """A battery after years: the part of its first capacity that is left (0 to 1), what of the
    loss is due to cycles, whole cycles' worth a year, years until its end of life (`MOST_YEARS` at
    most), and what wear costs for each kWh that it gives, JPY."""

    capacity_left: float
    lost_to_cycles: float
    lost_to_rest: float
    full_cycles_a_year: float
    years_of_life: float
    cost_per_kwh: float


def outlook(
    path_kwh: Array, days: float, capacity_kwh: float, chemistry: Chemistry, years: float = YEARS
) -> Outlook:
    """Return what a path of stored energy, lasting `days` and recurring, leaves after years.

    Cycles lose capacity in proportion to the life that they take; a path that recurs for ever is
    taken to wear a battery as its first time does.
    """
    soc = np.clip(np.asarray(path_kwh) / capacity_kwh, 0.0, 1.0)
    range_ = 1.0 - chemistry.end_of_life
    a_year = life_used(chemistry.cycle, np.asarray(path_kwh), capacity_kwh) / days * DAYS_PER_YEAR
    full = rainflow_sum(lambda depth: depth, soc) / days * DAYS_PER_YEAR

    def lost(after: float) -> tuple[float, float]:
        return range_ * a_year * after, chemistry.calendar.lost(soc, after * DAYS_PER_YEAR)

    cycles, rest = lost(years)
    life = years_until(lambda after: sum(lost(after)), range_)
    given = full * capacity_kwh * life
    cost = chemistry.replacement_jpy_per_kwh * capacity_kwh / given if given else float("inf")
    return Outlook(max(1.0 - cycles - rest, 0.0), cycles, rest, full, life, cost)


def years_until(lost: Callable[[float], float], range_: float) -> float:
    """Return after how many years a growing loss has come to `range_`, `MOST_YEARS` at most."""
    low, high = 0.0, MOST_YEARS
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if lost(middle) < range_ else (low, middle)
    return high

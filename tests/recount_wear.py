"""What a battery wears, and where the verdict on it turns, computed from readings alone by the laws
that the report prints and the numbers under `given.chemistries`: own rainflow, no project code.

Depths and losses as parts of the capacity, energies in kWh, money in JPY a year.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from tests.recount import ASSUMED, DAYS_PER_YEAR, MICROYEN, WH_PER_KWH, Recount

TEN_YEARS, MOST_YEARS = 10.0, 60.0
DEPTH = 0.8


def cycles_of(path: Sequence[float]) -> list[tuple[float, float]]:
    """Return (range, 1 or 1/2) of each cycle of a path by ASTM E1049-85, 5.4.4.

    >>> cycles_of([-2, 1, -3, 5, -1, 3, -4, 4, -2])
    [(3, 0.5), (4, 0.5), (4, 1.0), (8, 0.5), (9, 0.5), (8, 0.5), (6, 0.5)]
    """
    found: list[tuple[float, float]] = []
    points: list[float] = []
    for turn in turns_of(path):
        points.append(turn)
        while len(points) >= 3:
            newest, before = abs(points[-1] - points[-2]), abs(points[-2] - points[-3])
            if newest < before:
                break
            if len(points) == 3:
                found.append((before, 0.5))
                del points[0]
            else:
                found.append((before, 1.0))
                del points[-3:-1]
    return found + [(abs(b - a), 0.5) for a, b in pairwise(points)]


def turns_of(path: Sequence[float]) -> list[float]:
    """Return a path's first point, its turning points, and its last."""
    moved = [path[0]]
    for value in path[1:]:
        if value != moved[-1]:
            moved.append(value)
    middle = [b for a, b, c in zip(moved, moved[1:], moved[2:], strict=False) if (b > a) != (c > b)]
    return [moved[0], *middle, *moved[1:][-1:]]


@dataclass(frozen=True)
class Worn:
    """A course of a battery by one chemistry: what ten years lose, and what a year is worth."""

    law: dict[str, Any]
    capacity: float
    cycles: float
    rest: float
    worth: float
    spared: float
    idle_rest: float

    def years(self, cycles: float = 1.0, rest: float = 1.0) -> float:
        """Return years of life, with so many times the cycles, and the loss at rest."""
        return self._years(self.cycles / cycles, self.rest * rest)

    def left(
        self,
        buying: bool,
        price: float | None = None,
        cycles: float = 1.0,
        rest: float = 1.0,
        dearer: float = 0.0,
    ) -> float:
        """Return what is left a year."""
        paid = (price or self.law["replacement_jpy_per_kwh"]) * self.capacity
        kept = 0.0 if buying else paid / self._years(0.0, self.idle_rest * rest)
        return self.worth + dearer * self.spared - paid / self.years(cycles, rest) + kept

    @property
    def cycles_of_life(self) -> float:
        """Cycles of 80 % depth."""
        cycle = self.law["cycle"]
        return float(1 / (cycle["factor"] * DEPTH ** cycle["exponent"]))

    def turn(self, buying: bool, name: str, low: float, high: float) -> float:
        """Return where, of one thing that is varied, nothing is left."""

        def gain(value: float) -> float:
            return self.left(buying, **{name: value})

        return root(gain, low, high)

    def turning_years(self, buying: bool) -> float:
        """Return the years of life at which nothing is left; the idle battery's stay."""
        paid = self.law["replacement_jpy_per_kwh"] * self.capacity
        kept = 0.0 if buying else paid / self._years(0.0, self.idle_rest)
        return root(lambda years: self.worth - paid / years + kept, 1e-3, MOST_YEARS)

    def _years(self, cycles: float, rest: float) -> float:
        power, lost = self.law["calendar"]["exponent"], 1 - self.law["end_of_life"]

        def beyond(years: float) -> float:
            part = years / TEN_YEARS
            return float(cycles * part + rest * part**power - lost)

        return MOST_YEARS if beyond(MOST_YEARS) < 0 else float(brentq(beyond, 1e-6, MOST_YEARS))


def root(gain: Callable[[float], float], low: float, high: float) -> float:
    """Return where a gain is 0 between two values, nan if it is not."""
    if gain(low) * gain(high) > 0:
        return math.nan
    return float(brentq(gain, low, high, xtol=1e-12, rtol=1e-14))


def worn(recount: Recount, site: int) -> dict[str, Worn]:
    """Return what a site's battery came to as it ran, by chemistry."""
    battery = next(one for one in recount.given["batteries"] if one["site"] == site)
    capacity = battery["capacity_wh"] / WH_PER_KWH
    rows = recount.readings[recount.readings["site"] == site]
    stored = rows.loc[rows["quality"] < ASSUMED, "stored"] / battery["capacity_wh"]
    a_year = DAYS_PER_YEAR / recount.days
    rows = recount.readings
    ran = rows["imported"] - rows["exported"]
    idle = ran.where(rows["site"] != site, rows["used"] - rows["generated"])
    spared = bought(recount, idle) - bought(recount, ran)
    worth = (recount.together(idle) - recount.together(ran)) / MICROYEN
    found = {}
    for kind, law in recount.given["chemistries"].items():
        cycle, lost = law["cycle"], 1 - law["end_of_life"]
        life = sum(
            count * cycle["factor"] * depth ** cycle["exponent"]
            for depth, count in cycles_of(stored.tolist())
        )
        found[kind] = Worn(
            law,
            capacity,
            lost * life * a_year * TEN_YEARS,
            rested(law["calendar"], stored),
            worth * a_year,
            spared * a_year,
            rested(law["calendar"], stored * 0 + stored.min()),
        )
    return found


def rested(calendar: dict[str, float], charge: pd.Series) -> float:
    """Return what ten years at recurring states of charge lose."""
    stress = (1 + calendar["slope"] * (charge - 0.5)).clip(lower=0).mean()
    days = TEN_YEARS * DAYS_PER_YEAR
    return float(calendar["rate_at_half"] * stress * days ** calendar["exponent"])


def bought(recount: Recount, net: pd.Series) -> float:
    """Return what all together buy of the utility for net imports, kWh."""
    sums = net.groupby(recount.readings["slot"]).sum()
    return float(np.maximum(sums, 0).sum()) / WH_PER_KWH

"""The days of prices that are known, and what models read in them.

A day number counts from the first day told. The inputs of day n come from days before n and from
the calendar of day n, so that they can be had for the day that comes next as for any known one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np

from energy.units import SLOTS_PER_DAY
from vpp.calendar import DayKind, kind_of
from vpp.model import Array

PROFILE_DAYS = 120
LOG_SHIFT = 3.0
"""JPY/kWh added before a logarithm: prices come close to 0, and below."""
FIRST_INPUTS = 7
"""The first day of which there are inputs: they reach a week back."""


class Profile:
    """The mean of past days, of which recent ones and those of the same kind count most, and how
    far off it was: the base to which other models add."""

    def __init__(self, half_life: float, other_kind: float) -> None:
        self._half_life, self._other_kind = half_life, other_kind
        self.means: list[Array] = [np.zeros(SLOTS_PER_DAY)]
        self.errors: list[Array] = []

    def add(self, days: Days) -> None:
        """Take note of the newest day, and form the mean for the day after it."""
        self.errors.append(days.prices[-1] - self.means[-1])
        self.means.append(days.profile(self._half_life, self._other_kind))


class Days:
    """The known days, one row of 48 prices each; `area` is a neighbouring market's."""

    def __init__(self, first: date) -> None:
        self._first = first
        self.prices = np.empty((0, SLOTS_PER_DAY))
        self.area = np.empty((0, SLOTS_PER_DAY))
        self.slow, self.fast = Profile(10.0, 0.05), Profile(5.0, 0.2)
        self._inputs: dict[tuple[object, int], Array] = {}

    def __len__(self) -> int:
        return len(self.prices)

    def add(self, prices: Array, area: Array) -> None:
        """Take note of a day."""
        self.prices = np.vstack([self.prices, prices])
        self.area = np.vstack([self.area, area])
        self.slow.add(self)
        self.fast.add(self)

    def date(self, number: int) -> date:
        """Return the date of a day."""
        return self._first + timedelta(days=number)

    def kind(self, number: int) -> DayKind:
        """Return the kind of a day."""
        return kind_of(self.date(number))

    def profile(self, half_life: float, other_kind: float, *, log: bool = False) -> Array:
        """Return the mean of the past for the next day: a day's weight halves in `half_life` days,
        and is `other_kind` times as much if its kind is another; in logarithms if `log`."""
        now = len(self)
        ago = np.arange(1, min(now, PROFILE_DAYS) + 1)
        alike = [self.kind(now - back) == self.kind(now) for back in ago.tolist()]
        weights = 0.5 ** (ago / half_life) * np.where(alike, 1.0, other_kind)
        weights /= weights.sum()
        days = self.prices[now - ago]
        if log and days.min() > -LOG_SHIFT:
            return np.asarray(np.exp(weights @ np.log(days + LOG_SHIFT)) - LOG_SHIFT)
        return np.asarray(weights @ days)

    def wide(self, number: int) -> Array:
        """Return a day's inputs as LEAR has them: the prices of one, two and seven days before, the
        area's of the day before, the last week's means, and the calendar."""
        return self._once("wide", number, self._wide_of)

    def coarse(self, number: int) -> Array:
        """Return a day's inputs in two-hour blocks: how far the fast profile was off on days
        before, and by how much the area's prices differed."""
        return self._once("coarse", number, self._coarse_of)

    def rows(self, number: int, base: Profile) -> Array:
        """Return the inputs of a day's half hours, a row each, for what adds to a profile."""
        return self._once(base, number, lambda day: self._rows_of(day, base))

    def _once(self, what: object, number: int, make: Callable[[int], Array]) -> Array:
        if (what, number) not in self._inputs:
            self._inputs[what, number] = make(number)
        return self._inputs[what, number]

    def _wide_of(self, number: int) -> Array:
        days, before = self.prices, number - 1
        rows = [days[before], days[number - 2], days[number - 7], self.area[before]]
        means = [days[number - back].mean() for back in range(1, 8)]
        ends = [days[before].min(), days[before].max()]
        kinds = [self.kind(at) == kind for at in (number, before) for kind in DayKind]
        monday = self.date(number).weekday() == 0
        return np.concatenate([*rows, means, ends, np.array([*kinds, monday], dtype=float)])

    def _coarse_of(self, number: int) -> Array:
        off, before, weekday = self.fast.errors, number - 1, self.date(number).weekday()
        blocks = [
            row.reshape(12, 4).mean(1)
            for row in (off[before], off[number - 2], off[number - 7], self._away(before))
        ]
        works = [self.kind(at) == DayKind.WORKING for at in (number, before)]
        return np.concatenate(
            [*blocks, np.array([*works, weekday == 0, weekday == 6], dtype=float)]
        )

    def _rows_of(self, number: int, base: Profile) -> Array:
        mean, off, before = base.means[number], base.errors, number - 1
        last, price, away = off[before], self.prices[before], self._away(before)
        smooth = np.convolve(np.pad(last, 2, mode="edge"), np.ones(5) / 5, "valid")
        whole = [self.kind(number), self.kind(before), self.date(number).weekday()]
        whole += [last.mean(), last[36:].mean(), mean.mean(), last.min(), last.max()]
        whole += [away.mean(), off[number - 7].mean()]
        return np.column_stack(
            [
                np.arange(SLOTS_PER_DAY),
                last,
                smooth,
                off[number - 2],
                *[np.full(SLOTS_PER_DAY, float(value)) for value in whole],
                mean,
                mean - mean.mean(),
                mean - base.means[before],
                off[number - 7],
                away,
                price - price.mean(),
                np.roll(last, 1),
                np.roll(last, -1),
            ]
        )

    def _away(self, number: int) -> Array:
        return np.asarray(self.area[number] - self.prices[number])

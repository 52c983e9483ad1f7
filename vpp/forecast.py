"""Forecasts of a site's load and generation, from its own past readings alone.

`History` is quick and good enough to trade on; `learned` has a well-kept library learn quantiles
from the same past. Both look only at slots before the one they are asked for.

Energy in Wh, as in readings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from energy.errors import SettingError
from energy.records import Reading
from energy.units import SLOTS_PER_DAY, day_of, slot_of_day
from vpp.calendar import kind_of
from vpp.model import Array

HISTORY_DAYS = 28
"""Days of the past that any forecast looks at."""
LOAD_DAYS = 4
"""Days of the same kind (working or not) whose mean is the load forecast."""
SUN_DAYS = 7
"""Days whose mean is the generation forecast, before it is scaled to today's sky."""
SKY_SLOTS = 4
"""Newest readings that say how today's sky compares."""
SKY_REACH = 7
"""Slots for which they say it."""
LEAST_SUN = 200
"""Wh in those slots, as forecast, below which the sky says nothing (dawn, night)."""
MOST_SKY = 2_000
"""Per mille: today is taken for at most twice as bright as the mean."""


class Past(NamedTuple):
    """What a site used and generated in a slot, Wh."""

    used: int
    generated: int


@dataclass
class History:
    """A site's past, by slot. Forecasts look only at slots before the one they are asked for."""

    works_on: Callable[[int], bool]
    """Whether a slot lies on a working day."""
    slots: dict[int, Past] = field(default_factory=dict)

    def add(self, reading: Reading) -> None:
        """Take note of a reading."""
        self.slots[reading.slot] = Past(reading.consumption, reading.generated)

    def load(self, slot: int) -> int:
        """Forecast a slot's consumption: the mean of the same half hour of past days alike."""
        works = self.works_on(slot)
        days = self._same_half_hours(slot, HISTORY_DAYS)
        alike = (past.used for past in days if self.works_on(past.slot) == works)
        return _mean(list(islice(alike, LOAD_DAYS)))

    def generation(self, slot: int, mean_of: Callable[[int], int] | None = None) -> int:
        """Forecast a slot's generation: the mean of past days, scaled to today's sky.

        `mean_of` may stand in for `generation_of_days` where that has been worked out before.
        """
        mean_of = mean_of or self.generation_of_days
        mean = mean_of(slot)
        recent = [near for near in range(slot - 1, slot - 1 - SKY_REACH, -1) if near in self.slots]
        recent = [near for near in recent if day_of(near) == day_of(slot)][:SKY_SLOTS]
        expected = sum(mean_of(near) for near in recent)
        if expected < LEAST_SUN:
            return mean
        seen = sum(self.slots[near].generated for near in recent)
        return mean * min(seen * 1000 // expected, MOST_SKY) // 1000

    def generation_of_days(self, slot: int) -> int:
        """Return the mean generation of the same half hour of past days, whatever the sky today."""
        days = self._same_half_hours(slot, 14)
        return _mean([past.generated for past in islice(days, SUN_DAYS)])

    def _same_half_hours(self, slot: int, days: int) -> Iterator[_Seen]:
        earlier = (slot - SLOTS_PER_DAY * day for day in range(1, days + 1))
        return (_Seen(at, *self.slots[at]) for at in earlier if at in self.slots)


class _Seen(NamedTuple):
    slot: int
    used: int
    generated: int


def _mean(values: list[int]) -> int:
    return sum(values) // len(values) if values else 0


def naive(past: Mapping[int, int], slot: int, days: int = 1) -> int:
    """Return what was `days` before, or as many times that as it takes to be known; 0 if never.

    A day is the naive forecast, seven the seasonal one.
    """
    step = days * SLOTS_PER_DAY
    oldest = min(past, default=slot)
    return next((past[at] for at in range(slot - step, oldest - 1, -step) if at in past), 0)


def quantiles(
    history: History, what: str, slots: range, levels: Sequence[float], days: int = 14
) -> Array:
    """Return quantiles of `load` or `generation` in coming slots, Wh, a row a level.

    The forecast of `History` at the first slot, with the errors that the same forecast would have
    made on each of the last days.
    """
    _checked(levels)
    forecast = getattr(history, what)
    taken = {"load": "used", "generation": "generated"}[what]
    known = {at: past for at, past in history.slots.items() if at < slots.start}
    before = History(history.works_on, known)
    expected = np.array([getattr(before, what)(slot) for slot in slots], dtype=float)
    errors: list[list[float]] = [[] for _ in slots]
    for day in range(1, days + 1):
        back = day * SLOTS_PER_DAY
        start = slots.start - back
        then = History(history.works_on, {at: past for at, past in known.items() if at < start})
        forecast = getattr(then, what)
        for number, slot in enumerate(slots):
            at = slot - back
            if at in known and then.slots:
                errors[number].append(getattr(known[at], taken) - forecast(at))
    rows = [np.quantile(found, levels) if found else np.zeros(len(levels)) for found in errors]
    return np.asarray(np.maximum(expected + np.array(rows).T, 0.0))


def learned(
    past: Mapping[int, int], slots: range, levels: Sequence[float] = (0.1, 0.5, 0.9), weeks: int = 8
) -> Array:
    """Return quantiles of a quantity in coming slots, Wh, a row a level: boosted trees that learn
    from the last weeks before them.

    Features: half hour, kind of day, the same half hour of the days and week before, and the last
    known day's mean. Raises:
        SettingError: if fewer than two weeks are known.
    """
    _checked(levels)
    known = {at: value for at, value in past.items() if at < slots.start}
    first = max(min(known, default=slots.start), slots.start - weeks * 7 * SLOTS_PER_DAY)
    if slots.start - first < 14 * SLOTS_PER_DAY:
        raise SettingError(
            f"learning must have two weeks of the past, got {(slots.start - first) / 48:.1f} days"
        )
    ahead = -(-len(slots) // SLOTS_PER_DAY)
    rows = [at for at in range(first + 7 * SLOTS_PER_DAY, slots.start) if at in known]
    inputs = np.array([_inputs(known, at, ahead) for at in rows])
    wanted = np.array([known[at] for at in rows], dtype=float)
    coming = np.array([_inputs(known, at, ahead) for at in slots])
    # So little is learned at a time that threads cost more than they bring.
    with threadpool_limits(1):
        found = [_trees(level).fit(inputs, wanted).predict(coming) for level in levels]
    return np.asarray(np.maximum(np.sort(np.array(found), axis=0), 0.0))


def _trees(level: float) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        loss="quantile",
        quantile=level,
        max_iter=80,
        max_leaf_nodes=12,
        min_samples_leaf=20,
        random_state=0,
    )


def _inputs(known: Mapping[int, int], slot: int, ahead: int) -> list[float]:
    """Return a slot's features, of which none is nearer than `ahead` days."""
    nan = float("nan")
    day = SLOTS_PER_DAY
    same = [known.get(slot - back * day, nan) for back in range(ahead, ahead + 4)]
    week = known.get(slot - 7 * day * -(-ahead // 7), nan)
    around = [known.get(slot - ahead * day + near, nan) for near in range(-2, 3)]
    start = slot - slot_of_day(slot) - ahead * day
    last = [known[at] for at in range(start - day, start) if at in known]
    mean = sum(last) / len(last) if last else nan
    kinds = [float(kind_of(day_of(slot))), float(kind_of(day_of(slot - ahead * day)))]
    return [float(slot_of_day(slot)), *kinds, *same, week, *around, mean]


def _checked(levels: Sequence[float]) -> None:
    for level in levels:
        if not 0 < level < 1:
            raise SettingError(f"a quantile must lie between 0 and 1, got {level}")

"""A site's forecast for the coming day, slot after slot, as time goes on.

The numbers are those that `History` gives one by one. Within a day ahead, the past that a slot's
forecast rests on is known when it is first asked for; only today's sky is news. So what has been
worked out is kept.

Energy in Wh.
"""

from __future__ import annotations

import numpy as np

from energy.units import SLOTS_PER_DAY
from vpp.forecast import SKY_REACH, History
from vpp.model import Array


class Ahead:
    """Forecasts of the day that begins with a slot, where the slot before has just been read."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._loads: dict[int, int] = {}
        self._suns: dict[int, int] = {}

    def __call__(self, first_slot: int) -> tuple[Array, Array]:
        """Return (load, generation) of the 48 slots from one on, Wh."""
        span = range(first_slot, first_slot + SLOTS_PER_DAY)
        for known in (self._loads, self._suns):
            for old in [slot for slot in known if slot < first_slot - SKY_REACH]:
                del known[old]
        sun = [self._history.generation(slot, self._sun) for slot in span[:SKY_REACH]]
        sun += [self._sun(slot) for slot in span[SKY_REACH:]]
        return np.array([self._load(slot) for slot in span], float), np.array(sun, float)

    def _load(self, slot: int) -> int:
        if slot not in self._loads:
            self._loads[slot] = self._history.load(slot)
        return self._loads[slot]

    def _sun(self, slot: int) -> int:
        if slot not in self._suns:
            self._suns[slot] = self._history.generation_of_days(slot)
        return self._suns[slot]

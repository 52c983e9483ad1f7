"""Futures that a forecast leaves open: what it says, with the errors of days that have passed.

A forecast made at a slot is kept until what it was about has happened. The same forecast made today
is then taken to miss by as much, slot after slot, as that of each of the last days at the same
time: whole days of error, load and sun together, so that a dull day stays dull. Energies in kWh a
slot.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from energy.units import SLOTS_PER_DAY
from vpp.model import Array


class Scenarios:
    """Keeps the forecasts of the last `days` days, and draws futures from their errors."""

    def __init__(self, days: int = 10) -> None:
        self._days = days
        self._made: OrderedDict[int, tuple[Array, Array]] = OrderedDict()

    def made(self, slot: int, load: Array, pv: Array) -> None:
        """Keep a forecast from a slot on."""
        self._made[slot] = load, pv
        while next(iter(self._made)) < slot - (self._days + 1) * SLOTS_PER_DAY:
            self._made.popitem(last=False)

    def futures(
        self, slot: int, load: Array, pv: Array, known: Mapping[int, tuple[float, float]]
    ) -> list[tuple[Array, Array]]:
        """Return (load, PV) of futures from a slot on, one for each of the last days of which a
        forecast was kept.

        `known` has (load, PV) of past slots; slots at or after `slot` are not looked at. Errors
        reach as far as what has happened, a day; beyond it the forecast stands.
        """
        found = []
        for day in range(1, self._days + 1):
            start = slot - day * SLOTS_PER_DAY
            if start not in self._made:
                continue
            errors = np.zeros((2, len(load)))
            for way, (forecast, error) in enumerate(zip(self._made[start], errors, strict=True)):
                for place in range(min(len(load), len(forecast), slot - start)):
                    happened = known.get(start + place)
                    if happened is not None:
                        error[place] = happened[way] - forecast[place]
            found.append((np.maximum(load + errors[0], 0.0), np.maximum(pv + errors[1], 0.0)))
        return found

"""Trading agents: what a site offers and asks for in a slot, from its own past readings alone.

Ahead of a slot an agent forecasts its site's surplus; after metering it quotes what its own
terminal has read. Either way it names its one limit: never sell below, never buy above.

Energy in Wh, prices in 0.001 JPY/kWh.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from energy.records import Order, Reading, Side
from energy.units import SLOTS_PER_DAY, day_of

LOAD_DAYS = 4
"""Days of the same kind (working or not) whose mean is the load forecast."""
SUN_DAYS = 7
"""Days whose mean is the generation forecast, before it is scaled to today's sky."""
SKY_SLOTS = 4
"""Newest readings that say how today's sky compares."""
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
        alike = [
            past.used
            for past in self._same_half_hours(slot, 28)
            if self.works_on(past.slot) == self.works_on(slot)
        ]
        return _mean(alike[:LOAD_DAYS])

    def generation(self, slot: int) -> int:
        """Forecast a slot's generation: the mean of past days, scaled to today's sky."""
        mean = self._mean_sun(slot)
        recent = [near for near in range(slot - 1, slot - 8, -1) if near in self.slots]
        recent = [near for near in recent if day_of(near) == day_of(slot)][:SKY_SLOTS]
        expected = sum(self._mean_sun(near) for near in recent)
        if expected < LEAST_SUN:
            return mean
        seen = sum(self.slots[near].generated for near in recent)
        return mean * min(seen * 1000 // expected, MOST_SKY) // 1000

    def _mean_sun(self, slot: int) -> int:
        found = [past.generated for past in self._same_half_hours(slot, 14)]
        return _mean(found[:SUN_DAYS])

    def _same_half_hours(self, slot: int, days: int) -> list[_Seen]:
        earlier = (slot - SLOTS_PER_DAY * day for day in range(1, days + 1))
        return [_Seen(at, *self.slots[at]) for at in earlier if at in self.slots]


class _Seen(NamedTuple):
    slot: int
    used: int
    generated: int


def _mean(values: list[int]) -> int:
    return sum(values) // len(values) if values else 0


@dataclass(frozen=True, slots=True)
class Limits:
    """A site never sells below `ask` and never buys above `bid`; energies within the rating."""

    ask: int
    bid: int
    most_energy: int


def order_for(slot: int, site: int, net_export: int, limits: Limits, sequence: int) -> Order | None:
    """Return the order for an expected net export (below zero: import) in Wh; None for none."""
    energy = min(abs(net_export), limits.most_energy)
    if not energy:
        return None
    side, price = (Side.ASK, limits.ask) if net_export > 0 else (Side.BID, limits.bid)
    return Order(slot, site, side, energy, price, sequence)


def net_export(reading: Reading) -> int:
    """Return what a site quotes after metering, in Wh: its export, or below zero its import.

    A meter can show both in a half hour; the larger is quoted, since a bid and an ask of one
    site that would trade with each other are void.
    """
    return reading.exported if reading.exported >= reading.imported else -reading.imported

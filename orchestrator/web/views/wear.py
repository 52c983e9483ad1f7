"""What a battery's days took of its life: by depth of cycling, and for the time energy was held.

Energies in Wh that can be delivered, money in microyen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chain.overview import Charge
from energy.attestation import date_of
from energy.units import MICROYEN_PER_YEN, SLOTS_PER_DAY, slot_of_day
from orchestrator.steering.plan import WH
from vpp.chemistry import Chemistry
from vpp.model import HALF_HOUR, Array
from vpp.wear import follow


@dataclass(frozen=True, slots=True)
class DayOfWear:
    """What a battery did on a day, and what that costs of its life."""

    day: str
    charged_wh: int
    discharged_wh: int
    cycling_microyen: int
    standing_microyen: int
    """For the time that energy was held."""


def worn_by_day(
    life: list[Charge], capacity: int, efficiency: int, kind: Chemistry
) -> list[DayOfWear]:
    """Return each day's part of the wear: followers of the state of charge pay as they move (see
    `vpp.wear`), so that the days add up to what rainflow counts over all of it."""
    if not life:
        return []
    one_way = (efficiency / 1000) ** 0.5
    slots, charged, discharged, stored = (np.array(column) for column in zip(*life, strict=True))
    inside, whole = stored / WH / one_way, capacity / WH / one_way
    cycling = _followed(kind, inside, whole)
    standing = np.zeros(len(inside))
    for rest in kind.rests():
        standing += np.maximum(inside - rest.above_kwh, 0.0) * rest.price * HALF_HOUR
    numbers, places = np.unique((slots + slot_of_day(0)) // SLOTS_PER_DAY, return_inverse=True)
    sums = [np.bincount(places, one) for one in (charged, discharged, cycling, standing)]
    return [
        DayOfWear(
            date_of(int(number)).isoformat(),
            round(charged),
            round(discharged),
            round(cycle * MICROYEN_PER_YEN),
            round(rest * MICROYEN_PER_YEN),
        )
        for number, charged, discharged, cycle, rest in zip(numbers, *sums, strict=True)
    ]


def _followed(kind: Chemistry, stored: Array, capacity: float) -> Array:
    """Return what each step of a path costs, JPY: the first one nothing."""
    wear = kind.wear(capacity)
    moves = np.flatnonzero(np.diff(stored, prepend=np.nan))  # nan differs from anything
    path = stored[moves]
    paid = np.zeros(len(stored))
    kinks, slopes = np.asarray(wear.kinks_kwh), np.asarray(wear.slopes)
    for kink, slope in zip(kinks, slopes, strict=True):
        places = follow(path, kink)
        paid[moves] += slope / 2 * np.abs(np.diff(places, prepend=places[0]))
    return paid

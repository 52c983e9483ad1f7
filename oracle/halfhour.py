"""A slot's reading from running totals.

The energy of a slot is the difference of the totals at its two boundaries. A boundary that
lies between two samples is interpolated in integers, always between the same two, so that
neighbouring slots share it: whatever the gaps, the slots' sum is the totals' advance, to
the Wh.

| quality      | said when                                                                   |
| ------------ | --------------------------------------------------------------------------- |
| INTERPOLATED | a boundary lies between two samples                                         |
| INTEGRATED   | power was integrated in a part of the slot                                  |
| PARTIAL      | a counter was reset or exchanged, and what came meanwhile is left out; or a |
|              | boundary lies in a gap of more than `GAP_SECONDS`                           |
| RECONCILED   | generation was raised to what the revenue meter says                        |

Units: totals in milliwatt-hours, readings in Wh, time in unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from energy.errors import ReadingImpossible
from energy.records import Quality, Reading
from energy.units import ENERGY_LIMIT, SLOT_SECONDS
from oracle.quantity import STORED, quantity_of
from oracle.totals import GAP_SECONDS, Total

TOLERANCE_WH = 50
TOLERANCE_PER_MILLE = 10
"""Inverter and meter may differ by 50 Wh or 1 %, whichever is more."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """A total (Wh) at a slot's boundary, and how far apart the samples beside it are."""

    wh: int
    gap_seconds: int

    @property
    def quality(self) -> Quality:
        """MEASURED where a sample is right there."""
        quality = Quality.MEASURED
        if self.gap_seconds > 0:
            quality |= Quality.INTERPOLATED
        if self.gap_seconds > GAP_SECONDS:
            quality |= Quality.PARTIAL
        return quality


def boundary_at(totals: Sequence[Total], time_seconds: int) -> Boundary | None:
    """Return the total at a moment; None if it is not between two of them.

    >>> boundary_at([Total(1700, 5_000_000), Total(1900, 6_000_000)], 1800)
    Boundary(wh=5500, gap_seconds=200)
    """
    before = max(
        (total for total in totals if total.time_seconds <= time_seconds),
        key=lambda total: total.time_seconds,
        default=None,
    )
    after = min(
        (total for total in totals if total.time_seconds >= time_seconds),
        key=lambda total: total.time_seconds,
        default=None,
    )
    if before is None or after is None:
        return None
    gap = after.time_seconds - before.time_seconds
    advance = after.milliwatthours - before.milliwatthours
    share = advance * (time_seconds - before.time_seconds) // gap if gap else 0
    return Boundary((before.milliwatthours + share) // 1000, gap)


def reading_of(slot: int, site: int, totals: Mapping[str, Sequence[Total]]) -> Reading | None:
    """Return a slot's reading, or None as long as not every quantity has told its end.

    `totals` has, in order of time, those of each device's quantity by its key, from the last
    at or before the slot's start to the first at or after its end; for `stored`, the state
    takes the place of the total. Devices are summed, quantity by quantity.

    Raises:
        ReadingImpossible: if there never can be one: no sample at its start, more than a
            reading can hold, or the devices contradict each other.
    """
    start, end = slot * SLOT_SECONDS, (slot + 1) * SLOT_SECONDS
    energies: dict[str, int] = {}
    quality = Quality.MEASURED
    for key, known in totals.items():
        quantity = quantity_of(key)
        last = boundary_at(known, end)
        if last is None:
            return None
        quality |= last.quality
        if quantity == STORED:
            energies[quantity] = energies.get(quantity, 0) + last.wh
            continue
        first = boundary_at(known, start)
        if first is None:
            raise ReadingImpossible(
                f"slot {slot} must begin with a sample of {key} at or before {start} s, "
                f"got the first at {known[0].time_seconds} s"
            )
        energies[quantity] = energies.get(quantity, 0) + last.wh - first.wh
        quality |= first.quality | _marks(known, start, end)
    for quantity, energy_wh in energies.items():
        if energy_wh >= ENERGY_LIMIT:
            raise ReadingImpossible(
                f"slot {slot}: {quantity} must be below {ENERGY_LIMIT} Wh, got {energy_wh} Wh"
            )
    return reconciled(Reading(slot, site, **energies, quality=quality))


def _marks(totals: Sequence[Total], start: int, end: int) -> Quality:
    """Return what the intervals that overlap a slot were marked with."""
    quality = Quality.MEASURED
    for before, after in pairwise(totals):
        if before.time_seconds < end and after.time_seconds > start:
            if after.broken:
                quality |= Quality.PARTIAL
            if after.integrated:
                quality |= Quality.INTEGRATED
    return quality


def reconciled(reading: Reading) -> Reading:
    """Return the reading with generation raised, if need be, to what the revenue meter says.

    Exports must come from generation or discharge, and no consumption is below zero.

    >>> reconciled(Reading(0, 0, exported=1000, generated=990)).generated
    1000

    Raises:
        ReadingImpossible: if that is more than the tolerance.
    """
    supplied_wh = max(reading.exported, reading.exported + reading.charged - reading.imported)
    needed_wh = max(supplied_wh - reading.discharged, 0)
    if reading.generated >= needed_wh:
        return reading
    tolerance_wh = max(TOLERANCE_WH, needed_wh * TOLERANCE_PER_MILLE // 1000)
    if needed_wh - reading.generated > tolerance_wh:
        raise ReadingImpossible(
            f"slot {reading.slot}: generated must be at least {needed_wh} Wh for what meter "
            f"and battery say, less {tolerance_wh} Wh, got {reading.generated} Wh"
        )
    return replace(reading, generated=needed_wh, quality=reading.quality | Quality.RECONCILED)

"""The period that a report covers: whole Japan-time days."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from energy.errors import SettingError
from energy.units import SLOTS_PER_DAY, day_of, slot_of_day, slots_of
from orchestrator.dates import period_named

Array = npt.NDArray[Any]
"""Whole numbers, parts or flags; a docstring says which."""


def period_from(text: str | None, settled: range) -> range:
    """Return the slots of a period as people name it; without text, of the days settled.

    >>> len(period_from("2019-02", range(0)))
    1344

    Raises:
        SettingError: if the text names no period, or nothing of it is settled.
    """
    slots = period_named(text) if text else _whole_days(settled)
    if len(settled) and not range(max(slots[0], settled[0]), min(slots[-1], settled[-1]) + 1):
        raise SettingError(
            f"--period must hold settled half hours, got {text}: the store has "
            f"{day_of(settled[0])}..{day_of(settled[-1])}"
        )
    return slots


def _whole_days(settled: range) -> range:
    if not len(settled):
        raise SettingError("the store must hold settled half hours, got none")
    return range(slots_of(day_of(settled[0])).start, slots_of(day_of(settled[-1])).stop)


def halves(slots: range) -> Array:
    """Return each slot's number within its day, 0 to 47."""
    return (np.arange(len(slots)) + slot_of_day(slots.start)) % SLOTS_PER_DAY


def months(slots: range) -> tuple[list[str], Array]:
    """Return the period's months, as 2019-05, and each slot's place among them."""
    days = [day_of(slot).isoformat()[:7] for slot in slots[::SLOTS_PER_DAY]]
    names = sorted(set(days))
    places = np.repeat([names.index(day) for day in days], SLOTS_PER_DAY)
    return names, places[: len(slots)]

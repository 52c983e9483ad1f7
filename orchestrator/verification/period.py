"""The period that a report covers: whole Japan-time days."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from energy.errors import SettingError
from energy.units import SLOTS_PER_DAY, day_of, slot_of_day, slots_of

Array = npt.NDArray[Any]
"""Whole numbers, parts or flags; a docstring says which."""


def period_from(text: str | None, settled: range) -> range:
    """Return the slots of a year, month, day, or of days `from..to`; without text, those settled.

    >>> len(period_from("2019-02", range(0)))
    1344

    Raises:
        SettingError: if the text names no period, or nothing of it is settled.
    """
    slots = _named(text) if text else _whole_days(settled)
    if len(settled) and not range(max(slots[0], settled[0]), min(slots[-1], settled[-1]) + 1):
        raise SettingError(
            f"--period must hold settled half hours, got {text}: the store has "
            f"{day_of(settled[0])}..{day_of(settled[-1])}"
        )
    return slots


def _named(text: str) -> range:
    try:
        if re.fullmatch(r"\d{4}", text):
            first, last = date(int(text), 1, 1), date(int(text), 12, 31)
        elif re.fullmatch(r"\d{4}-\d{2}", text):
            first = date.fromisoformat(f"{text}-01")
            last = first.replace(day=monthrange(first.year, first.month)[1])
        else:
            begin, _, end = text.partition("..")
            first, last = date.fromisoformat(begin), date.fromisoformat(end or begin)
    except ValueError as error:
        raise SettingError(
            f"--period must be as 2019, 2019-05, 2019-05-15 or 2019-05-15..2019-06-11, got {text!r}"
        ) from error
    if last < first:
        raise SettingError(f"--period must end at its first day or later, got {text!r}")
    return range(slots_of(first).start, slots_of(last).stop)


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

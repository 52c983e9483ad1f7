"""Kinds of days in Japan: working days, Saturdays, and Sundays with holidays.

Holidays come from the `holidays` package; the days when offices are closed by custom (New Year, 29
December to 3 January, and Obon, 13 to 15 August) count as holidays as well.
"""

from __future__ import annotations

from datetime import date
from enum import IntEnum
from functools import cache

import holidays

from energy.units import day_of, slot_of_day


class DayKind(IntEnum):
    """What kind of day it is."""

    WORKING = 0
    SATURDAY = 1
    HOLIDAY = 2


@cache
def _holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("JP", years=year))


@cache
def kind_of(day: date) -> DayKind:
    """Return a day's kind.

    >>> kind_of(date(2024, 4, 29)).name, kind_of(date(2024, 4, 30)).name
    ('HOLIDAY', 'WORKING')
    """
    new_year = (day.month, day.day) <= (1, 3) or (day.month, day.day) >= (12, 29)
    obon = day.month == 8 and 13 <= day.day <= 15
    if new_year or obon or day.weekday() == 6 or day in _holidays(day.year):
        return DayKind.HOLIDAY
    return DayKind.SATURDAY if day.weekday() == 5 else DayKind.WORKING


def works_on(slot: int) -> bool:
    """Return whether a slot lies on a working day."""
    return _works_from(slot - slot_of_day(slot))


@cache
def _works_from(first_slot: int) -> bool:
    return kind_of(day_of(first_slot)) is DayKind.WORKING

"""A slot in records: its number, and day and half hour for people."""

from __future__ import annotations

from typing import Any

from energy.units import day_of, half_hour

Row = dict[str, Any]
"""A record by column."""

WHEN = ("slot", "day", "half_hour")


def when(slot: int, prefix: str = "") -> Row:
    """Return a slot's columns, each named with a prefix.

    >>> when(866_450, "origin_")
    {'origin_slot': 866450, 'origin_day': '2019-06-04', 'origin_half_hour': '10:00-10:30'}
    """
    columns = (f"{prefix}{column}" for column in WHEN)
    return dict(zip(columns, (slot, day_of(slot).isoformat(), half_hour(slot)), strict=True))

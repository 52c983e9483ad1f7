"""Units and time of the market.

| Quantity | Unit                       | Python | Range                | On chain |
| -------- | -------------------------- | ------ | -------------------- | -------- |
| slot     | unix seconds // 1800       | int    | 0 ..< 2**32          | uint32   |
| site     | dense id, from 0           | int    | 0 ..< 1000           | uint16   |
| energy   | Wh                         | int    | 0 ..< 2**32          | uint32   |
| price    | 0.001 JPY per kWh          | int    | 0 ..< 2**24          | uint24   |
| money    | microyen (0.000001 JPY)    | int    | any sign             | int128   |
| power    | 0.1 kW (ratings only)      | int    | 0 ..< 2**16          | uint16   |

Wh x price is microyen exactly: 1 Wh at 1,000 (1 JPY/kWh) is 1,000 microyen.
A day in Japan has 48 slots, always: Japan Standard Time is UTC+9 without summer time.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

SLOT_SECONDS = 1800
SLOTS_PER_DAY = 48
JST = timezone(timedelta(hours=9), "JST")
MICROYEN_PER_YEN = 1_000_000
PRICE_PER_YEN = 1_000
"""Price units in 1 JPY/kWh."""

SLOT_LIMIT = 2**32
ENERGY_LIMIT = 2**32
PRICE_LIMIT = 2**24
SITE_LIMIT = 1_000
TIME_LIMIT = 2**33
"""Unix seconds, in the year 2242: calendars end, and who writes 9999 means something else."""

_JST_SHIFT_SLOTS = 18  # nine hours
_FIRST_DAY = date(1970, 1, 1).toordinal()


def slot_at(time: datetime | int) -> int:
    """Return the slot that holds a moment.

    `time` is an aware datetime or unix seconds.

    >>> slot_at(datetime(2019, 6, 4, 10, 15, tzinfo=JST))
    866450
    """
    seconds = time if isinstance(time, int) else int(time.timestamp())
    return seconds // SLOT_SECONDS


def start_of(slot: int) -> datetime:
    """Return the moment at which a slot begins, in Japan time."""
    return datetime.fromtimestamp(slot * SLOT_SECONDS, UTC).astimezone(JST)


def slot_of_day(slot: int) -> int:
    """Return a slot's number within its Japan-time day, 0 (00:00-00:30) to 47.

    >>> slot_of_day(0)  # 1970-01-01 09:00 in Japan
    18
    """
    return (slot + _JST_SHIFT_SLOTS) % SLOTS_PER_DAY


def day_of(slot: int) -> date:
    """Return the Japan-time date of a slot.

    >>> day_of(slots_of(date(2019, 6, 4))[47])
    datetime.date(2019, 6, 4)
    """
    # Whole numbers, as it is asked a million times: a quarter of the time of `start_of`.
    return date.fromordinal(_FIRST_DAY + (slot + _JST_SHIFT_SLOTS) // SLOTS_PER_DAY)


def slots_of(day: date) -> range:
    """Return the 48 slots of a Japan-time date."""
    first = slot_at(datetime(day.year, day.month, day.day, tzinfo=JST))
    return range(first, first + SLOTS_PER_DAY)


def half_hour(slot: int) -> str:
    """Return a slot's hours as people write them; the day's last slot ends at 24:00.

    >>> half_hour(slots_of(date(2019, 6, 4))[20])
    '10:00-10:30'
    >>> half_hour(slots_of(date(2019, 6, 4))[47])
    '23:30-24:00'
    """
    begin = slot_of_day(slot) * 30
    end = begin + 30
    return f"{begin // 60:02d}:{begin % 60:02d}-{end // 60:02d}:{end % 60:02d}"


def slot_from(text: str) -> int:
    """Return the slot that a person names: a slot number or `2019-06-04 10:00`.

    Raises:
        ValueError: if the text names no slot.
    """
    text = text.strip()
    if text.isdecimal() and int(text) < SLOT_LIMIT:
        return int(text)
    match = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})[ T](\d{1,2}):(00|30)(?:-\d{1,2}:\d{2})?", text)
    if match is None:
        raise ValueError(
            f"a slot must be a number or a half hour such as '2019-06-04 10:00', got {text!r}"
        )
    year, month, day, hour, minute = map(int, match.groups())
    return slot_at(datetime(year, month, day, hour, minute, tzinfo=JST))


def yen(microyen: int) -> float:
    """Return money in JPY, for the screen only."""
    return microyen / MICROYEN_PER_YEN


def kwh(energy_wh: int) -> float:
    """Return energy in kWh, for the screen only."""
    return energy_wh / 1_000

"""Days, months and half hours as people in Japan write them.

A day: 2019-06-04, 2019/6/4, 2019年6月4日, 令和元年6月4日, R1.6.4. A month: 2019-06, 2019/6,
2019年6月, 令和元年6月. A year: 2019, 2019年, 令和元年. A half hour: a day and 10:00, 10:00-10:30 or
10時30分; or the slot's number. A time: a day and 17:05, 17時5分. Full-width digits and signs count
as the narrow ones.
"""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange
from datetime import date, datetime

from energy.errors import SettingError
from energy.units import JST, SLOT_LIMIT, slot_at, slots_of

ERAS = {"令和": 2019, "R": 2019, "平成": 1989, "H": 1989, "昭和": 1926, "S": 1926}
"""The first year of each era."""
_BEGINNINGS = {2019: date(2019, 5, 1), 1989: date(1989, 1, 8), 1926: date(1926, 12, 25)}
_ENDINGS = {1989: date(2019, 4, 30), 1926: date(1989, 1, 7)}

_YEAR = r"(?:(?P<era>令和|平成|昭和|[RHS])\s*)?(?P<year>\d{1,4}|元)"
_MONTH = re.compile(_YEAR + r"\s*[-/.年]\s*(?P<month>\d{1,2})\s*月?")
_DAY = re.compile(_MONTH.pattern + r"\s*(?:[-/.]|(?<=月))\s*(?P<day>\d{1,2})\s*日?")
_WHOLE_YEAR = re.compile(_YEAR + r"\s*年?")
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2})|時(?:(?P<past>\d{1,2})分|(?P<half>半))?)"
)
_TIME = re.compile(
    r"(?P<hour>\d{1,2})(?::(?P<minute>00|30)|時(?P<half>30分|半|00分|0分)?)"
    r"(?:\s*[-~]\s*(?P<end_hour>\d{1,2})(?::(?P<end_minute>00|30)|時(?P<end_half>30分|半)?))?"
)


def day_named(text: str) -> date:
    """Return the day that a person names.

    >>> [day_named(text).isoformat() for text in ("2019/6/4", "令和元年6月4日", "R1.6.4")]
    ['2019-06-04', '2019-06-04', '2019-06-04']

    Raises:
        SettingError: if it is none.
    """
    match = _DAY.fullmatch(_narrow(text))
    if match is None:
        raise SettingError(
            f"a day must be as 2019-06-04, 2019/6/4, 2019年6月4日 or 令和元年6月4日, got {text!r}"
        )
    return _date(match, int(match["day"]), text)


def moment(seconds: float) -> str:
    """Return a time (unix seconds) as it is in Japan.

    >>> moment(866450 * 1800)
    '2019-06-04 10:00:00'
    """
    return f"{datetime.fromtimestamp(int(seconds), JST):%Y-%m-%d %H:%M:%S}"


def month_named(text: str) -> range:
    """Return the slots of the month that a person names.

    Raises:
        SettingError: if it is none.
    """
    match = _MONTH.fullmatch(_narrow(text))
    if match is None:
        raise SettingError(
            f"a month must be as 2019-06, 2019/6, 2019年6月 or 令和元年6月, got {text!r}"
        )
    first = _date(match, None, text)
    last = first.replace(day=monthrange(first.year, first.month)[1])
    return range(slots_of(first).start, slots_of(last).stop)


def slot_named(text: str) -> int:
    """Return the slot that a person names.

    >>> slot_named("2019年6月4日 10:00-10:30"), slot_named("令和元年6月4日 10時30分")
    (866450, 866451)

    Raises:
        SettingError: if it is none.
    """
    narrow = _narrow(text)
    if narrow.isdecimal() and int(narrow) < SLOT_LIMIT:
        return int(narrow)
    match = re.fullmatch(rf"(?P<date>.*?\S)[\sT]*(?P<time>{_TIME.pattern})", narrow)
    found = None if match is None else _half_hour(match)
    if match is None or found is None or not _DAY.fullmatch(match["date"]):
        raise SettingError(
            "a half hour must be a slot's number or as '2019-06-04 10:00' or "
            f"'2019年6月4日 10:00-10:30', got {text!r}"
        )
    day = day_named(match["date"])
    return slot_at(datetime(day.year, day.month, day.day, tzinfo=JST)) + found


def slots_named(text: str) -> range:
    """Return the slots of a month or a day, or the one slot, that a person names.

    Raises:
        SettingError: if it is none of them.
    """
    if _MONTH.fullmatch(_narrow(text)):
        return month_named(text)
    if _DAY.fullmatch(_narrow(text)):
        return slots_of(day_named(text))
    slot = slot_named(text)
    return range(slot, slot + 1)


def period_named(text: str) -> range:
    """Return the slots of the year, month, day, or days `from..to` (or `from~to`) that a person
    names.

    >>> [len(period_named(text)) // 48 for text in ("2019", "令和元年6月", "2019/5/15〜2019/6/11")]
    [365, 30, 28]

    Raises:
        SettingError: if it is none of them, or ends before it begins.
    """
    narrow = _narrow(text)
    begin, dots, end = narrow.replace("~", "..").partition("..")
    if dots:
        first, last = slots_of(day_named(begin)), slots_of(day_named(end))
        if last.start < first.start:
            raise SettingError(f"a period must end at its first day or later, got {text!r}")
        return range(first.start, last.stop)
    year = _WHOLE_YEAR.fullmatch(narrow)
    if year is not None:
        number = _year(year, text)
        return range(slots_of(date(number, 1, 1)).start, slots_of(date(number, 12, 31)).stop)
    if _MONTH.fullmatch(narrow):
        return month_named(narrow)
    if _DAY.fullmatch(narrow):
        return slots_of(day_named(narrow))
    raise SettingError(
        "a period must be as 2019, 2019-05, 2019年5月, 2019-05-15 or 2019-05-15..2019-06-11, "
        f"got {text!r}"
    )


def time_named(text: str) -> datetime:
    """Return the time that a person names, in Japan if no other zone is said.

    >>> time_named("令和8年11月25日 17時半").isoformat()
    '2026-11-25T17:30:00+09:00'

    Raises:
        SettingError: if it is none.
    """
    narrow = _narrow(text)
    match = re.fullmatch(rf"(?P<date>.*?[\d日])[\sT]*(?P<time>{_CLOCK.pattern})", narrow)
    if match is not None and _DAY.fullmatch(match["date"]):
        hour, minute = int(match["hour"]), int(match["minute"] or match["past"] or 0)
        minute = 30 if match["half"] else minute
        if hour < 24 and minute < 60:
            day = day_named(match["date"])
            return datetime(day.year, day.month, day.day, hour, minute, tzinfo=JST)
    try:
        found = datetime.fromisoformat(narrow)
    except ValueError as error:
        raise SettingError(
            f"a time must be as '2026-11-25 17:00', '2026年11月25日 17時' or ISO 8601, got {text!r}"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=JST)


def _narrow(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().replace("〜", "~")


def _half_hour(match: re.Match[str]) -> int | None:
    """Return the half hour of the day that a time names; None if it is no half hour."""
    begin = int(match["hour"]) * 2 + ((match["minute"] or match["half"]) in ("30", "30分", "半"))
    if match["end_hour"] is not None:
        late = (match["end_minute"] or match["end_half"]) in ("30", "30分", "半")
        if int(match["end_hour"]) * 2 + late != begin + 1:
            return None
    return begin if begin < 48 else None


def _year(match: re.Match[str], text: str) -> int:
    """Return the year that is written, by an era or with four digits."""
    year = 1 if match["year"] == "元" else int(match["year"])
    first = ERAS[match["era"]] if match["era"] else None
    if match["year"] == "元" and first is None:
        raise SettingError(f"元年 must follow an era's name, got {text!r}")
    year = year if first is None else first + year - 1
    if not 1000 <= year <= date.max.year:
        raise SettingError(f"a year must have four digits or an era, got {text!r}")
    return year


def _date(match: re.Match[str], day: int | None, text: str) -> date:
    year = _year(match, text)
    try:
        found = date(year, int(match["month"]), day or 1)
    except ValueError as error:
        what = "month" if day is None else "day"
        raise SettingError(f"a {what} must be one of the calendar, got {text!r}") from error
    if match["era"] and day is not None:
        first = ERAS[match["era"]]
        begin, end = _BEGINNINGS[first], _ENDINGS.get(first, date.max)
        if not begin <= found <= end:
            raise SettingError(f"a day must lie within its era, {begin} to {end}, got {text!r}")
    return found

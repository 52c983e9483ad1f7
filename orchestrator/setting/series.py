"""The bundled year: seven office loads and a PV roof, half hour by half hour.

Loads are kWh of each hour of 2019, local time; PV is the mean power of each half hour of
2024-02-28 to 2025-02-27 as a part of the series' peak. Both are read as Japan time. What the
series are, and what they stand in for, is said in `README.md` beside them.

Units: energy in Wh, power in 0.1 kW, parts of the peak in 0.0001.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import StringIO
from itertools import pairwise

from energy.errors import SettingError
from energy.registry import WH_PER_POWER_UNIT
from energy.units import SLOTS_PER_DAY, day_of, slot_of_day

WHOLE_PEAK = 10_000
LOADS_NAME = (
    "Cambridge University Estates building electricity usage, 2019 (DOI 10.5281/zenodo.10955332)"
)
PV_NAME = "EMHASS sample data, roof PV in eastern France, 2024-02-28 to 2025-02-27"
"""What the bundled series are called; neither was measured at the offices that they play."""
HOURS_PER_DAY = 24


@dataclass(frozen=True)
class LoadSeries:
    """The Wh of each hour from 00:00 of `first_day`, by column."""

    first_day: date
    hours: Mapping[str, Sequence[int]]

    @property
    def last_day(self) -> date:
        """The last day that the series holds."""
        hours = len(next(iter(self.hours.values())))
        return self.first_day + timedelta(days=hours // HOURS_PER_DAY - 1)

    def day(self, column: str, day: date) -> tuple[int, ...]:
        """Return the Wh of a day's 48 half hours.

        Raises:
            SettingError: if there is no such column or day.
        """
        hours = self.hours.get(column)
        if hours is None:
            raise SettingError(
                f"a load column must be one of {', '.join(self.hours)}, got {column!r}"
            )
        if not self.first_day <= day <= self.last_day:
            raise SettingError(
                f"a day must be within {self.first_day} and {self.last_day}, got {day}"
            )
        first = (day - self.first_day).days * HOURS_PER_DAY
        halves: list[int] = []
        for hour in range(first, first + HOURS_PER_DAY):
            before = hours[max(hour - 1, 0)]
            after = hours[min(hour + 1, len(hours) - 1)]
            halves.extend(halved(before, hours[hour], after))
        return tuple(halves)

    def load(self, column: str, slot: int) -> int:
        """Return the Wh of a slot.

        Raises:
            SettingError: as `day`.
        """
        return self.day(column, day_of(slot))[slot_of_day(slot)]


@dataclass(frozen=True)
class PvSeries:
    """The mean power of each half hour as a part of the peak, by month and day.

    A day of any year is played by the series' day of the same month and day. What the source
    lacks is 0, as it is there: see `has_gap`.
    """

    parts: Mapping[tuple[int, int], Sequence[int]]

    def day(self, power: int, day: date) -> tuple[int, ...]:
        """Return the Wh that a roof of `power` generates in a day's 48 half hours."""
        return tuple(
            (part * power * WH_PER_POWER_UNIT + WHOLE_PEAK // 2) // WHOLE_PEAK
            for part in self.parts[day.month, day.day]
        )

    def generation(self, power: int, slot: int) -> int:
        """Return the Wh that a roof of `power` generates in a slot."""
        return self.day(power, day_of(slot))[slot_of_day(slot)]

    def has_gap(self, day: date) -> bool:
        """Say whether the source measured nothing on the day that plays this one."""
        return not any(self.parts[day.month, day.day])


def halved(before: int, hour: int, after: int) -> tuple[int, int]:
    """Divide an hour's Wh into its two half hours, given the hours beside it.

    The power is taken to run straight through the hour, as steep as from the hour before to
    the hour after: the first half gets floor((8 x hour + before - after) / 16), between 0 and
    the hour's Wh, and the second half the rest. So each hour keeps its energy to the Wh.

    >>> halved(4_000, 6_000, 8_000)  # rising
    (2750, 3250)
    >>> halved(5_000, 5_001, 5_000)
    (2500, 2501)
    >>> halved(90_000, 2_000, 0)  # no half hour is negative
    (2000, 0)
    """
    first = min(max((8 * hour + before - after) // 16, 0), hour)
    return first, hour - first


def load_series(file: Traversable | None = None) -> LoadSeries:
    """Read hourly loads (kWh, whole Wh) from CSV, the bundled ones if no file is given.

    Columns: `hour_start`, then one for each load. Hours follow each other, whole days.

    Raises:
        SettingError: naming the file and line of what is wrong.
    """
    file = file or files("orchestrator.setting").joinpath("office_load_2019_hourly_kwh.csv")
    header, times, rows = _rows(file, "hour_start", timedelta(hours=1))
    if len(header) < 2 or times[0].hour or len(times) % HOURS_PER_DAY:
        raise SettingError(f"{file} must hold columns of loads for whole days")
    columns = {
        name: tuple(_scaled(file, line, row[number], 1000) for line, row in enumerate(rows, 2))
        for number, name in enumerate(header[1:], start=1)
    }
    return LoadSeries(times[0].date(), columns)


def pv_series(file: Traversable | None = None) -> PvSeries:
    """Read a year of PV (parts of the peak) from CSV, the bundled one if no file is given.

    Columns: `slot_start` and the part, 0 to 1. Half hours follow each other and cover at most
    one day of each month and day; those that are missing at the ends are 0.

    Raises:
        SettingError: naming the file and line of what is wrong.
    """
    file = file or files("orchestrator.setting").joinpath("pv_2024_30min_per_unit.csv")
    _, times, rows = _rows(file, "slot_start", timedelta(minutes=30))
    days: dict[date, list[int]] = {}
    for line, (time, row) in enumerate(zip(times, rows, strict=True), 2):
        part = _scaled(file, line, row[1], WHOLE_PEAK)
        if part > WHOLE_PEAK:
            raise SettingError(f"{file}, line {line}: a part must be at most 1, got {row[1]}")
        number = time.hour * 2 + time.minute // 30
        days.setdefault(time.date(), [0] * SLOTS_PER_DAY)[number] = part
    parts = {(day.month, day.day): tuple(values) for day, values in days.items()}
    if len(parts) != len(days) or len(parts) < 365:
        raise SettingError(f"{file} must hold each day of one year, got {len(days)} days")
    parts.setdefault((2, 29), parts[2, 28])
    return PvSeries(parts)


def _rows(
    file: Traversable, first_column: str, step: timedelta
) -> tuple[list[str], list[datetime], list[list[str]]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{file} must be a CSV file, got {error}") from error
    header, *rows = list(csv.reader(StringIO(text, newline=""))) or [[]]
    if header[:1] != [first_column] or not rows:
        raise SettingError(f"{file} must begin with the column {first_column} and hold rows")
    times: list[datetime] = []
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise SettingError(f"{file}, line {line}: {len(header)} values must stand here")
        try:
            times.append(datetime.fromisoformat(row[0]))
        except ValueError as error:
            raise SettingError(f"{file}, line {line}: {error}") from error
    for line, (before, after) in enumerate(pairwise(times), 3):
        if after - before != step:
            raise SettingError(f"{file}, line {line}: {before + step} must follow, got {after}")
    if times[0].minute % (step.seconds // 60) or times[0].second:
        raise SettingError(f"{file}, line 2: times must be on the half hour, got {times[0]}")
    return header, times, rows


def _scaled(file: Traversable, line: int, text: str, units: int) -> int:
    try:
        value = round(float(text) * units)
    except (ValueError, OverflowError):
        value = -1
    if value < 0:
        raise SettingError(f"{file}, line {line}: a number from 0 must stand here, got {text!r}")
    return value

"""The utility's prices on the days of a replay, where they are not the sites file's: linked to an
exchange's, or from a file of prices that change from a date on.

Prices in 0.001 JPY/kWh; in files, JPY/kWh.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from math import isnan
from pathlib import Path

from energy.errors import SettingError
from energy.registry import Tariff
from energy.units import PRICE_LIMIT, PRICE_PER_YEN, SLOTS_PER_DAY
from vpp.prices import price_days

LINKED_HORIZON = 24
"""Half hours ahead for which orders are taken at most, where prices are known the day before."""
COLUMNS = ("from_date", "from_time", "selling", "buying", "fee")
TariffsOn = Callable[[date], Sequence[Tariff]]


@dataclass(frozen=True)
class LinkedPrices:
    """The utility buys at an exchange's price (at 0 where that is below) and sells at `markup`
    more. Without a file of prices by day, the bundled synthetic year, begun again at its end."""

    file: Path | None
    fee: int
    markup: int

    def __call__(self, day: date) -> Sequence[Tariff]:
        """Return the prices of a day's half hours.

        Raises:
            SettingError: if the file does not hold the day.
        """
        first, prices = _exchange(self.file)
        number = (day - first).days
        if self.file is None:
            number %= len(prices)
        if not 0 <= number < len(prices) or any(map(isnan, prices[number])):
            last = first + timedelta(days=len(prices) - 1)
            raise SettingError(
                f"{self.file} must hold a price for each half hour of {day}, got {first} to {last}"
            )
        bought = [round(max(price, 0.0) * PRICE_PER_YEN) for price in prices[number]]
        return [Tariff(price + self.markup, price, self.fee) for price in bought]


@cache
def _exchange(file: Path | None) -> tuple[date, Sequence[Sequence[float]]]:
    first, prices = price_days(file)
    return first, prices.tolist()


@dataclass(frozen=True)
class DatedPrices:
    """Prices that hold from a date on until the next one."""

    by_date: Mapping[date, Sequence[Tariff]]
    source: str

    def __call__(self, day: date) -> Sequence[Tariff]:
        """Return the prices of a day's half hours.

        Raises:
            SettingError: for a day before the first date.
        """
        began = max((since for since in self.by_date if since <= day), default=None)
        if began is None:
            raise SettingError(
                f"{self.source} must hold prices from {day} or before, got {min(self.by_date)}"
            )
        return self.by_date[began]


def dated_prices(file: Path) -> DatedPrices:
    """Read prices that change from a date on.

    Columns: `from_date`, `from_time` (a half hour's beginning, as 13:00), `selling`, `buying`,
    `fee`, JPY/kWh. A date's rows begin at 00:00, and each holds until the next one of the date.

    Raises:
        SettingError: naming the file, line and value that is wrong.
    """
    try:
        rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{file} must be a file of prices, got {error}") from error
    if not rows or tuple(rows[0]) != COLUMNS or len(rows) == 1:
        raise SettingError(f"{file} must begin with the columns {','.join(COLUMNS)} and hold rows")
    days: dict[date, list[tuple[int, Tariff]]] = {}
    before = date.min, 0
    for line, row in enumerate(rows[1:], start=2):
        try:
            day, number, tariff = _read(row)
        except (SettingError, ValueError) as error:
            raise SettingError(f"{file}, line {line}: {error}") from error
        if (day, number) <= before or (number and day not in days):
            raise SettingError(
                f"{file}, line {line}: dates and times must rise, and each date begin at 00:00, "
                f"got {row[0]} {row[1]}"
            )
        before = day, number
        days.setdefault(day, []).append((number, tariff))
    return DatedPrices({day: list(_stretched(known)) for day, known in days.items()}, str(file))


def _stretched(changes: Sequence[tuple[int, Tariff]]) -> Iterator[Tariff]:
    ends = [number for number, _ in changes[1:]] + [SLOTS_PER_DAY]
    for (number, tariff), end in zip(changes, ends, strict=True):
        yield from [tariff] * (end - number)


def _read(row: Sequence[str]) -> tuple[date, int, Tariff]:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(COLUMNS)} values must stand here, got {len(row)}")
    hours, _, minutes = row[1].partition(":")
    if not hours.isdecimal() or minutes not in ("00", "30") or int(hours) > 23:
        raise ValueError(f"from_time must be a half hour as 13:30, got {row[1]!r}")
    prices = (_price(name, text) for name, text in zip(COLUMNS[2:], row[2:], strict=True))
    tariff = checked_tariff(Tariff(*prices))
    return date.fromisoformat(row[0]), int(hours) * 2 + (minutes == "30"), tariff


def _price(name: str, text: str) -> int:
    try:
        price = Decimal(text) * PRICE_PER_YEN
    except InvalidOperation:
        price = Decimal("nan")
    if not price.is_finite() or not 0 <= price < PRICE_LIMIT or price != int(price):
        most = Decimal(PRICE_LIMIT - 1) / PRICE_PER_YEN
        raise ValueError(f"{name} must be 0 to {most} JPY/kWh in steps of 0.001, got {text!r}")
    return int(price)


def checked_tariff(tariff: Tariff) -> Tariff:
    """Return a tariff that trading is possible under.

    Raises:
        SettingError: if the utility sells at less than it buys and two fees.
    """
    least = tariff.buying + 2 * tariff.fee
    if tariff.selling < least:
        raise SettingError(
            f"selling must be at least the buying price and two fees, {least / PRICE_PER_YEN:g}, "
            f"got {tariff.selling / PRICE_PER_YEN:g} JPY/kWh"
        )
    return tariff

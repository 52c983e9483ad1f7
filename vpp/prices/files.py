"""Read price files: a row a day, its date and 48 prices in JPY/kWh."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path

import numpy as np

from energy.errors import SettingError
from energy.units import SLOTS_PER_DAY
from vpp.model import Array


def price_days(path: Path | None = None) -> tuple[date, Array]:
    """Return (first day, prices of days x 48) of a price file: a row a day, its date and 48
    prices in JPY/kWh, nan where a cell is empty. Without a path, the bundled synthetic year.

    Raises:
        SettingError: naming the file, line and value that is wrong.
    """
    source = path or files("vpp") / "data" / "synthetic_prices_jpy_per_kwh.csv"
    try:
        rows = list(csv.reader(source.read_text(encoding="utf-8").splitlines()))[1:]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{source} must be a price file, got {error}") from error
    first: date | None = None
    days: list[list[float]] = []
    for line, row in enumerate(rows, start=2):
        try:
            day = date.fromisoformat(row[0])
            prices = [float(text) if text.strip() else np.nan for text in row[1:]]
        except (ValueError, IndexError) as error:
            raise SettingError(
                f"{source} line {line} must be a date and prices, got {error}"
            ) from error
        first = first or day
        if day != first + timedelta(days=len(days)):
            raise SettingError(f"{source} line {line} must be the day after the last, got {day}")
        if len(prices) != SLOTS_PER_DAY or np.isinf(prices).any():
            raise SettingError(
                f"{source} line {line} must have {SLOTS_PER_DAY} finite prices, got {row[1:]}"
            )
        days.append(prices)
    if first is None:
        raise SettingError(f"{source} must hold a day of prices at least, got none")
    return first, np.array(days)

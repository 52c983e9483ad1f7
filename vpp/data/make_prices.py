"""Write the synthetic price year: `python -m vpp.data.make_prices`.

No market's prices: a daily shape (morning and evening peaks, a solar valley), lower on days off,
with weather that lasts some days, noise, and rare evening spikes. JPY/kWh, floor 0.01.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np

from vpp.calendar import DayKind, kind_of

FIRST, DAYS, SEED = date(2019, 1, 1), 365, 2019
FILE = Path(__file__).with_name("synthetic_prices_jpy_per_kwh.csv")


def main() -> None:
    """Write the file."""
    chance = np.random.default_rng(SEED)
    hours = np.arange(48) / 2
    lines = ["date," + ",".join(f"{int(h):02d}:{int(h % 1 * 60):02d}" for h in hours)]
    sky, level = 0.0, 0.0
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        season = np.cos((number - 15) / 365 * 2 * np.pi)
        sky, level = 0.6 * sky + chance.normal(0, 0.5), 0.9 * level + chance.normal(0, 0.5)
        works = {DayKind.WORKING: 1.0, DayKind.SATURDAY: 0.85, DayKind.HOLIDAY: 0.75}[kind_of(day)]
        morning = 3.5 * np.exp(-(((hours - 8) / 1.5) ** 2))
        evening = (5.0 + season) * np.exp(-(((hours - 18.5) / 2) ** 2))
        sun = np.exp(-(((hours - 12) / 2.8) ** 2)) * np.clip(6.0 - 2.0 * season + 2.5 * sky, 0, 12)
        spike = 30 * np.exp(-(((hours - 18) / 0.8) ** 2)) if chance.random() < 0.02 else 0.0
        noise = np.convolve(chance.normal(0, 0.8, 50), np.ones(3) / 3, "valid")
        base = 11.0 + 1.5 * abs(season) + level
        prices = np.maximum((base + morning + evening) * works - sun + noise + spike, 0.01)
        lines.append(f"{day}," + ",".join(f"{price:.2f}" for price in prices))
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Forecast the next day's prices, half hour by half hour, from the days before it.

A forecaster is told one day after the other and forecasts the one that follows: what it has not
been told it cannot use. Three families of models are averaged with equal weight, each over its
members:

- profile: the mean of past days, in logarithms, recent days and days of the same kind counting
  most;
- ridge: all 48 prices of the next day on the days before (as in LEAR, J. Lago et al., "Forecasting
  day-ahead electricity prices", Applied Energy 293 (2021) 116983), over all days and over the last
  42, and on how the last day differed from its profile;
- trees: boosted trees on that difference, and extremely randomised trees on the days before.

The settings are ones that did well on January to March 2024 (system price, Japan); how far that
proves anything for later months is said in `docs/battery.md`. Prices in JPY/kWh; a day is 48
prices.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from energy.errors import SettingError
from energy.units import SLOTS_PER_DAY
from vpp.calendar import DayKind, kind_of
from vpp.model import Array

LEARNING_DAYS = 21
"""Days from which models are learned; before, the profile alone forecasts."""
PROFILE_DAYS = 79
OTHER_KIND = 0.05
"""Weight of a day of another kind in a profile."""
LOG_SHIFT = 3.0
"""JPY/kWh added before the logarithm: prices come close to 0, and below."""
RENEWED = 3
"""Days after which trees are grown anew."""


class PriceForecaster:
    """Forecasts the day after those that it has been told, from `first_day` on."""

    def __init__(self, first_day: date) -> None:
        self._first = first_day
        self._days = np.empty((0, SLOTS_PER_DAY))
        self._area = np.empty((0, SLOTS_PER_DAY))
        self._profiles: list[Array] = []
        self._forecasts: dict[int, Array] = {}
        self._boosted: tuple[int, HistGradientBoostingRegressor] | None = None
        self._random: tuple[int, ExtraTreesRegressor] | None = None

    @property
    def day(self) -> date:
        """The day that is forecast next."""
        return self._first + timedelta(days=len(self._days))

    def observe(
        self, prices: Sequence[float] | Array, area: Sequence[float] | Array | None = None
    ) -> None:
        """Take note of a day's 48 prices, and of those of a neighbouring market if there are
        any."""
        known = [np.asarray(prices, dtype=float)]
        known.append(known[0] if area is None else np.asarray(area, dtype=float))
        for row in known:
            if row.shape != (SLOTS_PER_DAY,) or not np.isfinite(row).all():
                raise SettingError(f"{self.day} must have {SLOTS_PER_DAY} finite prices, got {row}")
        if len(self._profiles) == len(self._days):
            self._profiles.append(self._profile(10.0, log=False))
        self._days = np.vstack([self._days, known[0]])
        self._area = np.vstack([self._area, known[1]])

    def forecast(self) -> Array:
        """Return the next day's expected prices."""
        now = len(self._days)
        if not now:
            raise SettingError("a price forecast must have one day before it at least, got none")
        if now not in self._forecasts:
            if len(self._profiles) == now:
                self._profiles.append(self._profile(10.0, log=False))
            # So little is learned at a time that threads cost more than they bring.
            with threadpool_limits(1):
                families = self._families(now)
            self._forecasts[now] = np.mean([np.mean(family, axis=0) for family in families], axis=0)
        return self._forecasts[now]

    def _families(self, now: int) -> list[list[Array]]:
        families = [[self._profile(7.0, log=True)]]
        if now >= LEARNING_DAYS:
            families.append([self._ridge(None), self._ridge(42), self._ridge_of_errors()])
            families.append([self._boosted_trees(), self._random_trees()])
        return families

    def quantiles(self, levels: Sequence[float], days: int = 28) -> Array:
        """Return quantiles of the next day's prices, a row a level: the forecast with its own
        errors of the last days that it has forecast, each half hour by itself."""
        expected = self.forecast()
        known = [now for now in self._forecasts if now < len(self._days)][-days:]
        if not known:
            return np.tile(expected, (len(levels), 1))
        errors = np.array([self._days[now] - self._forecasts[now] for now in known])
        return np.asarray(expected + np.quantile(errors, levels, axis=0))

    def _kind(self, number: int) -> DayKind:
        return kind_of(self._first + timedelta(days=number))

    def _profile(self, half_life: float, *, log: bool) -> Array:
        now = len(self._days)
        if not now:
            return np.zeros(SLOTS_PER_DAY)
        ago = np.arange(1, min(now, PROFILE_DAYS) + 1)
        alike = [self._kind(now - back) == self._kind(now) for back in ago.tolist()]
        weights = 0.5 ** (ago / half_life) * np.where(alike, 1.0, OTHER_KIND)
        weights /= weights.sum()
        days = self._days[now - ago]
        if log and days.min() > -LOG_SHIFT:
            return np.exp(weights @ np.log(days + LOG_SHIFT)) - LOG_SHIFT
        return np.asarray(weights @ days)

    def _inputs(self, number: int) -> Array:
        days, before = self._days, number - 1
        kinds = [self._kind(at) == kind for at in (number, before) for kind in DayKind]
        monday = (self._first + timedelta(days=number)).weekday() == 0
        means = [days[number - back].mean() for back in range(1, 8)]
        ends = [days[before].min(), days[before].max()]
        rows = [days[before], days[number - 2], days[number - 7], self._area[before]]
        return np.concatenate([*rows, means, ends, np.array([*kinds, monday], dtype=float)])

    def _ridge(self, window: int | None) -> Array:
        now = len(self._days)
        past = range(max(7, now - (window or now)), now)
        inputs = np.array([self._inputs(number) for number in past])
        middle, spread = inputs.mean(0), inputs.std(0)
        spread = np.where(spread < 1e-2, 1.0, spread)
        model = Ridge(alpha=300.0).fit((inputs - middle) / spread, self._days[past.start : now])
        return np.asarray(model.predict(((self._inputs(now) - middle) / spread)[None])[0])

    def _error(self, number: int) -> Array:
        return np.asarray(self._days[number] - self._profiles[number])

    def _ridge_of_errors(self) -> Array:
        now = len(self._days)
        rows = [self._error(number) for number in range(13, now)]
        inputs = np.array([np.append(row, 3 * row.mean()) for row in rows])
        spread = inputs[:-1].std() + 1e-3
        model = Ridge(alpha=1000.0, fit_intercept=False)
        model.fit(inputs[:-1] / spread, np.array(rows[1:]))
        return np.asarray(self._profiles[now] + model.predict(inputs[-1:] / spread)[0])

    def _error_inputs(self, number: int) -> Array:
        last, profile = self._error(number - 1), self._profiles[number]
        smooth = np.convolve(np.pad(last, 2, mode="edge"), np.ones(5) / 5, "valid")
        weekday = (self._first + timedelta(days=number)).weekday()
        whole = [self._kind(number), self._kind(number - 1), weekday]
        whole += [last.mean(), last[36:].mean(), profile.mean()]
        return np.array(
            [
                np.arange(SLOTS_PER_DAY),
                last,
                smooth,
                self._error(number - 2),
                *[np.full(SLOTS_PER_DAY, value) for value in whole],
                profile,
                profile - profile.mean(),
                profile - self._profiles[number - 1],
                self._error(number - 7),
            ]
        ).T

    def _boosted_trees(self) -> Array:
        now = len(self._days)
        if self._boosted is None or now - self._boosted[0] >= RENEWED:
            model = HistGradientBoostingRegressor(
                max_iter=60,
                max_leaf_nodes=8,
                min_samples_leaf=60,
                learning_rate=0.05,
                l2_regularization=50.0,
                random_state=0,
            )
            past = range(16, now)
            model.fit(
                np.concatenate([self._error_inputs(number) for number in past]),
                np.concatenate([self._error(number) for number in past]),
            )
            self._boosted = now, model
        return np.asarray(self._profiles[now] + self._boosted[1].predict(self._error_inputs(now)))

    def _day_inputs(self, number: int) -> Array:
        days, before = self._days, number - 1
        last = days[before]
        weekday = (self._first + timedelta(days=number)).weekday()
        alike = [at for at in range(before, -1, -1) if self._kind(at) == self._kind(number)][:4]
        alike = alike or [before]
        whole = [self._kind(number), self._kind(before), weekday]
        whole += [days[number - back].mean() for back in (1, 2, 7)]
        whole += [last[40:].mean(), last.min(), last.max(), last[18:30].mean(), last[34:42].mean()]
        whole += [self._area[before].mean(), days[number - 7 : number].mean()]
        return np.array(
            [
                np.arange(SLOTS_PER_DAY),
                *[np.full(SLOTS_PER_DAY, value) for value in whole],
                *[days[number - back] for back in (1, 2, 3, 7)],
                self._area[before],
                days[number - 7 : number].mean(0),
                days[number - 3 : number].mean(0),
                np.roll(last, 1),
                np.roll(last, -1),
                days[alike].mean(0),
                days[alike[0]],
            ]
        ).T

    def _random_trees(self) -> Array:
        now = len(self._days)
        alike = -2  # the column of _day_inputs that is forecast to continue
        if self._random is None or now - self._random[0] >= RENEWED:
            model = ExtraTreesRegressor(60, min_samples_leaf=5, max_features=0.5, random_state=0)
            rows = [self._day_inputs(number) for number in range(7, now)]
            away = [self._days[7 + at] - row[:, alike] for at, row in enumerate(rows)]
            model.fit(np.concatenate(rows), np.concatenate(away))
            self._random = now, model
        inputs = self._day_inputs(now)
        return np.asarray(inputs[:, alike] + self._random[1].predict(inputs))


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

"""Ridge regressions of the next day's prices on the days before, as in LEAR without its lasso.

Source: J. Lago, G. Marcjasz, B. De Schutter, R. Weron, "Forecasting day-ahead electricity prices",
Applied Energy 293 (2021) 116983: regressions over windows of several lengths, averaged.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import Ridge

from energy.units import SLOTS_PER_DAY
from vpp.calendar import DayKind
from vpp.model import Array
from vpp.prices.days import FIRST_INPUTS, Days

Learner = Callable[[Days], Array]


def fitted(inputs: Array, wanted: Array, coming: Array, alpha: float) -> Array:
    """Return a ridge regression's answer to `coming`, learned from standardised rows."""
    middle, spread = inputs.mean(0), inputs.std(0)
    spread = np.where(spread < 1e-2, 1.0, spread)
    model = Ridge(alpha=alpha).fit((inputs - middle) / spread, wanted)
    return np.asarray(model.predict(((coming - middle) / spread)[None])[0])


def window(days: Days, first: int, length: int | None) -> range:
    """Return the days to learn from: the last `length`, or all from `first` on."""
    now = len(days)
    return range(max(first, now - (length or now)), now)


def whole_day(alpha: float, length: int | None) -> Learner:
    """Return the model of all 48 prices at once on the wide inputs."""

    def forecast(days: Days) -> Array:
        past = window(days, FIRST_INPUTS, length)
        inputs = np.array([days.wide(number) for number in past])
        wanted = days.prices[past.start :]
        return fitted(inputs, wanted, days.wide(len(days)), alpha)

    return forecast


def above_profile(length: int | None) -> Learner:
    """Return the model, on the wide inputs, of how far the slow profile will be off."""

    def forecast(days: Days) -> Array:
        past = window(days, 10, length)
        inputs = np.array([days.wide(number) for number in past])
        off = np.array(days.slow.errors[past.start :])
        return days.slow.means[-1] + fitted(inputs, off, days.wide(len(days)), 1000.0)

    return forecast


def coarse(length: int | None) -> Learner:
    """Return the model, on the coarse inputs, of how far the fast profile will be off."""

    def forecast(days: Days) -> Array:
        past = window(days, 9, length)
        inputs = np.array([days.coarse(number) for number in past])
        off = np.array(days.fast.errors[past.start :])
        return days.fast.means[-1] + fitted(inputs, off, days.coarse(len(days)), 200.0)

    return forecast


def half_hours(length: int) -> Learner:
    """Return the model of each half hour by itself: its prices of days before, and the profile."""

    def forecast(days: Days) -> Array:
        now, past = len(days), np.array(window(days, 8, length))
        means = np.array(days.slow.means)
        kinds = np.array([days.kind(number) for number in range(now + 1)])

        def inputs(numbers: np.ndarray, half_hour: int) -> Array:
            before, week = numbers - 1, numbers - 7
            prices, area = days.prices, days.area
            return np.column_stack(
                [
                    prices[before, half_hour],
                    prices[numbers - 2, half_hour],
                    prices[week, half_hour],
                    means[numbers, half_hour],
                    area[before, half_hour],
                    prices[before].mean(1),
                    prices[week].mean(1),
                    prices[before, -1],
                    prices[before].min(1),
                    prices[before].max(1),
                    kinds[numbers] == DayKind.WORKING,
                    kinds[numbers] == DayKind.SATURDAY,
                    kinds[before] == DayKind.WORKING,
                ]
            )

        coming = np.array([now])
        return np.array(
            [
                fitted(inputs(past, at), days.prices[past, at], inputs(coming, at)[0], 20.0)
                for at in range(SLOTS_PER_DAY)
            ]
        )

    return forecast

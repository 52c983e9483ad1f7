"""Forecasts from days alike: profiles of days of the same kind, and of days that followed a
similar one."""

from __future__ import annotations

import numpy as np
from sklearn.kernel_ridge import KernelRidge

from vpp.model import Array
from vpp.prices.days import Days
from vpp.prices.linear import Learner, window


def profile(half_life: float, other_kind: float) -> Learner:
    """Return the mean of past days, in logarithms."""
    return lambda days: days.profile(half_life, other_kind, log=True)


def carried(part: float) -> Learner:
    """Return the slow profile with a part of how far it was off on the last day."""
    return lambda days: days.slow.means[-1] + part * days.slow.errors[-1]


def neighbours(count: int) -> Learner:
    """Return the fast profile with how far it was off on the `count` days whose days before
    resemble the last one most."""

    def forecast(days: Days) -> Array:
        now, off = len(days), np.array(days.fast.errors)
        past = np.arange(10, now)
        kinds = np.array([days.kind(number) for number in range(now + 1)])
        away = ((off[past - 1] - off[now - 1]) ** 2).mean(1)
        away += 0.5 * ((off[past - 7] - off[now - 7]) ** 2).mean(1) + 4.0 * (
            kinds[past] != kinds[now]
        )
        nearest = np.argsort(away, kind="stable")[:count]
        weights = np.exp(-away[nearest] / (away[nearest].mean() + 1e-9))
        weights *= 0.5 ** ((now - past[nearest]) / 60)
        return np.asarray(days.fast.means[-1] + weights / weights.sum() @ off[past[nearest]])

    return forecast


def kernel(length: int) -> Learner:
    """Return the fast profile with a kernel ridge regression, on the coarse inputs, of how far it
    will be off."""

    def forecast(days: Days) -> Array:
        past = window(days, 8, length)
        inputs = np.array([days.coarse(number) for number in past])
        middle, spread = inputs.mean(0), inputs.std(0)
        spread = np.where(spread < 1e-2, 1.0, spread)
        model = KernelRidge(alpha=3.0, kernel="rbf", gamma=0.5 / inputs.shape[1])
        model.fit((inputs - middle) / spread, np.array(days.fast.errors[past.start :]))
        coming = (days.coarse(len(days)) - middle) / spread
        return np.asarray(days.fast.means[-1] + model.predict(coming[None])[0])

    return forecast

"""Many small models, weighted by how far off each has been so far.

The weights are exponential in each model's mean loss of all days that it has forecast, taken in
standard deviations among the models (Hedge: Y. Freund, R. E. Schapire, "A decision-theoretic
generalization of on-line learning", J. Computer and System Sciences 55 (1997)). The loss is the
mean squared error of the day's shape: a battery earns by when prices are high, not by how high
they are all day, so an error that is even over the day counts as none.

A forecast is made before the day's prices are told, by every model: what has not been told cannot
be used, neither by a model nor by a weight. How the models and `RATE` were chosen, and how far that
proves anything, is said in `docs/battery.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from threadpoolctl import threadpool_limits

from energy.errors import SettingError
from energy.units import SLOTS_PER_DAY
from vpp.model import Array
from vpp.prices.days import Days
from vpp.prices.linear import Learner
from vpp.prices.members import members

LEARNING_DAYS = 30
"""Days from which models are learned; before, a profile alone forecasts."""
RATE = 2.0
"""How sharply weights fall with the loss, by standard deviation."""


class PriceForecaster:
    """Forecasts the day after those that it has been told, from `first_day` on.

    `models` are by name, all of `members` unless others are given (`quick_members`); they belong
    to this forecaster alone, for trees keep what they have grown.
    """

    def __init__(self, first_day: date, models: Mapping[str, Learner] | None = None) -> None:
        self._days = Days(first_day)
        self._models = members() if models is None else models
        self._losses: list[Array] = []
        self._believed: Array | None = None
        self._errors: list[Array] = []

    @property
    def day(self) -> date:
        """The day that is forecast next."""
        return self._days.date(len(self._days))

    @property
    def weights(self) -> dict[str, float]:
        """What part each model has in the next day's forecast."""
        return dict(
            zip(
                self._models,
                exponential_weights(self._losses, len(self._models)).tolist(),
                strict=True,
            )
        )

    def observe(
        self, prices: Sequence[float] | Array, area: Sequence[float] | Array | None = None
    ) -> None:
        """Take note of a day's 48 prices, and of those of a neighbouring market if there are
        any. Every model forecasts the day first."""
        known = [np.asarray(prices, dtype=float)]
        known.append(known[0] if area is None else np.asarray(area, dtype=float))
        for row in known:
            if row.shape != (SLOTS_PER_DAY,) or not np.isfinite(row).all():
                raise SettingError(f"{self.day} must have {SLOTS_PER_DAY} finite prices, got {row}")
        if len(self._days):
            self._errors.append(known[0] - self.forecast())
        if len(self._days) >= LEARNING_DAYS:
            self._losses.append(shape_losses(self.forecasts(), known[0]))
        self._days.add(*known)
        self._believed = None

    def forecasts(self) -> Array:
        """Return what each model expects of the next day, a row each."""
        if self._believed is None:
            # So little is learned at a time that threads cost more than they bring.
            with threadpool_limits(1):
                if len(self._days) >= LEARNING_DAYS:
                    rows = [model(self._days) for model in self._models.values()]
                else:
                    rows = [self._days.profile(7.0, 0.05, log=True)]
            self._believed = np.array(rows)
        return self._believed

    def forecast(self) -> Array:
        """Return the next day's expected prices.

        Raises:
            SettingError: if no day has been told.
        """
        if not len(self._days):
            raise SettingError("a price forecast must have one day before it at least, got none")
        rows = self.forecasts()
        return np.asarray(exponential_weights(self._losses, len(rows)) @ rows)

    def quantiles(self, levels: Sequence[float], days: int = 28) -> Array:
        """Return quantiles of the next day's prices, a row a level: the forecast with its own
        errors of the last days, each half hour by itself."""
        expected = self.forecast()
        if not self._errors:
            return np.tile(expected, (len(levels), 1))
        return np.asarray(expected + np.quantile(self._errors[-days:], levels, axis=0))


def shape_losses(forecasts: Array, prices: Array) -> Array:
    """Return each forecast's mean squared error, less what is even over the day."""
    off = forecasts - prices
    return np.asarray(((off - off.mean(1, keepdims=True)) ** 2).mean(1))


def exponential_weights(losses: Sequence[Array], count: int) -> Array:
    """Return the weights of `count` models from the losses of past days, a row a day; equal
    without a past.

    >>> exponential_weights([], 2).tolist()
    [0.5, 0.5]
    >>> exponential_weights([np.array([1.0, 3.0])], 2).round(3).tolist()
    [0.982, 0.018]
    """
    if not losses:
        return np.full(count, 1.0 / count)
    mean = np.mean(losses, axis=0)
    weights = np.exp(-RATE * (mean - mean.min()) / max(mean.std(), 1e-9))
    return np.asarray(weights / weights.sum())

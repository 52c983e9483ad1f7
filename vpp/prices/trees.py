"""Trees that learn how far a profile will be off, half hour by half hour, from scikit-learn.

They are grown anew every few days; in between they see the newest day's inputs all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor

from energy.units import SLOTS_PER_DAY
from vpp.model import Array
from vpp.prices.days import Days, Profile

RENEWED = 3
"""Days after which trees are grown anew."""
FIRST_LEARNED = 10
"""The first day learned from: profiles before it have hardly a past."""


class Trees(Protocol):
    """What scikit-learn's trees have in common."""

    def fit(self, inputs: Array, wanted: Array, sample_weight: Array | None) -> Any:
        """Learn."""

    def predict(self, inputs: Array) -> Any:
        """Return an answer a row."""


class TreesOverProfile:
    """A profile, `slow` or `fast`, with what trees add to it; they learn from the last `length`
    days, or from all, of which old ones may count less by a half-life."""

    def __init__(
        self,
        make: Callable[[], Trees],
        base: Literal["slow", "fast"],
        length: int | None = None,
        half_life: float | None = None,
    ) -> None:
        self._make, self._base = make, base
        self._length, self._half_life = length, half_life
        self._grown: tuple[int, Trees] | None = None

    def __call__(self, days: Days) -> Array:
        """Return the forecast for the day after those known."""
        now = len(days)
        base: Profile = getattr(days, self._base)
        if self._grown is None or now - self._grown[0] >= RENEWED:
            self._grown = now, self._learned(days, base)
        return np.asarray(base.means[-1] + self._grown[1].predict(days.rows(now, base)))

    def _learned(self, days: Days, base: Profile) -> Trees:
        now = len(days)
        past = np.arange(max(FIRST_LEARNED, now - (self._length or now)), now)
        weights = None
        if self._half_life is not None:
            weights = np.repeat(0.5 ** ((now - past) / self._half_life), SLOTS_PER_DAY)
        inputs = np.concatenate([days.rows(number, base) for number in past.tolist()])
        grown = self._make()
        grown.fit(inputs, np.concatenate(base.errors[past[0] :]), sample_weight=weights)
        return grown


def boosted(loss: str = "squared_error") -> HistGradientBoostingRegressor:
    """Return boosted trees, small and slow to learn: days are few."""
    return HistGradientBoostingRegressor(
        loss=loss,
        max_iter=60,
        max_leaf_nodes=8,
        min_samples_leaf=60,
        learning_rate=0.05,
        l2_regularization=50.0,
        random_state=0,
    )


def boosted_absolute() -> HistGradientBoostingRegressor:
    """Return the same for the absolute error: its medians mind no spike."""
    return boosted("absolute_error")


def random() -> ExtraTreesRegressor:
    """Return extremely randomised trees."""
    return ExtraTreesRegressor(40, min_samples_leaf=8, max_features=0.5, random_state=0)

"""Series of numbers, one a slot, and how they are checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from energy.errors import SettingError

Array = NDArray[np.float64]
Series = float | Sequence[float] | Array


def checked(
    name: str,
    value: Series,
    least: float = -np.inf,
    most: float = np.inf,
    *,
    endless: bool = False,
    gaps: bool = False,
) -> Array:
    """Return a series as an array, refusing what is not finite or out of bounds.

    `endless` allows infinity (no limit), `gaps` allows nan (nothing asked).
    """
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{name} must be a number or a number a slot, got {value!r}") from error
    if array.ndim > 1:
        raise SettingError(f"{name} must be a number or a number a slot, got {array.ndim} axes")
    allowed = ~np.isnan(array) | gaps
    if not endless:
        allowed &= ~np.isinf(array)
    bounds = np.isnan(array) | ((array >= least) & (array <= most))
    wrong = np.flatnonzero(~(allowed & bounds))
    if wrong.size:
        slot = f" in slot {wrong[0]}" if array.ndim else ""
        got = np.atleast_1d(array)[wrong[0]]
        wanted = "a finite number"
        if np.isfinite(least) or np.isfinite(most):
            wanted = f"from {least:g} to {most:g}" if np.isfinite(most) else f"{least:g} or more"
        raise SettingError(f"{name}{slot} must be {wanted}, got {got:g}")
    return array

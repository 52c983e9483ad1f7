"""What is not known yet: gaps in forecasts and prices, filled so that there is a plan, and said.

A gap is nan. A `Problem` takes none: what is filled in here is a guess, and a plan carries the
note.
"""

from __future__ import annotations

import numpy as np

from energy.units import SLOTS_PER_DAY
from vpp.model import Array


def filled(name: str, series: Array, otherwise: Array | float) -> tuple[Array, list[str]]:
    """Return a series without gaps, and a note where there was one.

    A gap takes the nearest day's value of the same half hour in the series, the earlier one
    first; where no day knows it, `otherwise`.

    >>> filled("price", np.array([1.0, np.nan]), 7.0)
    (array([1., 7.]), ['price is not known in 1 of 2 slots, from slot 1 on: filled in'])
    """
    gaps = np.flatnonzero(np.isnan(series))
    if not gaps.size:
        return series, []
    whole = np.array(series, dtype=float)
    guess = np.broadcast_to(np.asarray(otherwise, dtype=float), series.shape)
    days = range(1, len(series) // SLOTS_PER_DAY + 1)
    for slot in gaps:
        near = (slot + way * day * SLOTS_PER_DAY for day in days for way in (-1, 1))
        known = (series[at] for at in near if 0 <= at < len(series) and not np.isnan(series[at]))
        whole[slot] = next(known, guess[slot])
    note = (
        f"{name} is not known in {gaps.size} of {len(series)} slots, from slot {gaps[0]} on: "
        "filled in"
    )
    return whole, [note]

"""One site's part in a linear program, which may hold several sites or futures."""

from __future__ import annotations

import numpy as np

from vpp.model import Array, Problem
from vpp.program import Builder, Index, Terms


class Part:
    """Adds one problem's columns and rows to a builder of many, its names behind a prefix and its
    costs weighted.

    `relaxed` asks for the soft limits' breaches; `offers` are the columns of reserve, by way.
    """

    def __init__(
        self, builder: Builder, problem: Problem, relaxed: bool, prefix: str, weight: float
    ) -> None:
        self.builder, self.problem, self.relaxed = builder, problem, relaxed
        self.prefix, self.weight, self.slots = prefix, weight, problem.slots
        self.offers: dict[str, list[Index]] = {"up": [], "down": []}

    def column(
        self,
        name: str,
        count: int,
        cost: Array | float = 0.0,
        lower: Array | float = 0.0,
        upper: Array | float = np.inf,
        steering: bool = False,
        integral: bool = False,
    ) -> Index:
        """Add columns; return their indices."""
        return self.builder.column(
            self.prefix + name,
            count,
            np.asarray(cost) * self.weight,
            lower,
            upper,
            steering=steering,
            integral=integral,
        )

    def row(
        self,
        name: str,
        terms: Terms,
        lower: Array | float,
        upper: Array | float,
        count: int | None = None,
    ) -> Index:
        """Add rows, one a slot unless `count` says otherwise; return their indices."""
        count = self.slots if count is None else count
        return self.builder.row(self.prefix + name, count, terms, lower, upper)

    def breach(self, name: str, count: int, most: Array | float = np.inf) -> Index:
        """Add columns for a breach of a soft limit, priced by area and by height."""
        softness = self.problem.softness
        found = self.column(f"breach {name}", count, softness.area, 0.0, most, steering=True)
        if count > 1:
            top = self.column(f"height {name}", 1, softness.height, steering=True)
            self.row(f"height {name}", [(found, 1.0), (top[0], -1.0)], -np.inf, 0.0, count)
        return found

"""A linear program as arrays, and the builder that collects it many columns and rows at a time.

minimise cost @ x  where  row_lower <= matrix @ x <= row_upper,  lower <= x <= upper

What the columns and rows mean is said where they are added: `vpp.matrix`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from vpp.model import Array

Index = NDArray[np.int64]
Terms = Sequence[tuple[Index | int, Array | float]]


@dataclass(frozen=True)
class Program:
    """A linear program, and where in it things stand.

    `columns` and `rows` give the indices by name, one a slot where it is a series. Names of a
    battery's things carry its number: `charge.0`. `steering` marks the columns whose cost is no
    money. `integral` marks binaries.
    """

    cost: Array
    matrix: csc_array
    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array
    integral: NDArray[np.bool_]
    steering: NDArray[np.bool_]
    columns: dict[str, Index]
    rows: dict[str, Index]


class Builder:
    """Collects columns and rows, many at a time."""

    def __init__(self) -> None:
        self.columns: dict[str, Index] = {}
        self.rows: dict[str, Index] = {}
        self._column_count = 0
        self._row_count = 0
        self._column_parts: list[tuple[Array, Array, Array, bool, bool]] = []
        self._row_bounds: list[tuple[Array, Array]] = []
        self._entries: list[tuple[Index, Index, Array]] = []

    def column(
        self,
        name: str,
        count: int,
        cost: Array | float = 0.0,
        lower: Array | float = 0.0,
        upper: Array | float = np.inf,
        *,
        steering: bool = False,
        integral: bool = False,
    ) -> Index:
        """Add columns; return their indices."""
        found = np.arange(self._column_count, self._column_count + count)
        self._column_count += count
        parts = [_spread(x, count) for x in (cost, lower, upper)]
        self._column_parts.append((parts[0], parts[1], parts[2], steering, integral))
        self.columns[name] = found
        return found

    def row(
        self, name: str, count: int, terms: Terms, lower: Array | float, upper: Array | float
    ) -> Index:
        """Add rows, each the sum of `terms` in its place; return their indices.

        A term is (columns, factors); one column for all rows is allowed, and so are fewer
        columns than rows, which then stand in the last ones (what lies a slot back).
        """
        found = np.arange(self._row_count, self._row_count + count)
        self._row_count += count
        self._row_bounds.append((_spread(lower, count), _spread(upper, count)))
        for columns, factors in terms:
            places = np.asarray(columns)
            if places.ndim == 0:
                rows, places = found, np.full(count, places)
            else:
                rows = found[count - places.size :]
            self._entries.append((rows, places, _spread(factors, rows.size)))
        self.rows[name] = found
        return found

    def program(self) -> Program:
        """Return all that was collected."""
        rows, places, factors = _joined(self._entries, int, int, float)
        row_lower, row_upper = _joined(self._row_bounds, float, float)
        parts = self._column_parts
        cost, lower, upper = _joined([part[:3] for part in parts], float, float, float)
        shape = (self._row_count, self._column_count)
        matrix = csc_array((factors, (rows, places)), shape=shape)
        matrix.sum_duplicates()
        counts = [part[0].size for part in parts]
        return Program(
            cost=cost,
            matrix=matrix,
            row_lower=row_lower,
            row_upper=row_upper,
            lower=lower,
            upper=upper,
            steering=np.repeat(np.array([part[3] for part in parts], bool), counts),
            integral=np.repeat(np.array([part[4] for part in parts], bool), counts),
            columns=self.columns,
            rows=self.rows,
        )


def _joined(parts: Sequence[tuple[Any, ...]], *kinds: type) -> list[Any]:
    """Return tuples of arrays as one array for each place; of none, empty ones of some kinds."""
    return [
        np.concatenate([np.zeros(0, kind), *(part[place] for part in parts)])
        for place, kind in enumerate(kinds)
    ]


def _spread(value: Array | float, count: int) -> Array:
    """Return a number, or an array of one number each, as an array: quicker than numpy's own."""
    array = np.asarray(value, dtype=float)
    return array if array.shape == (count,) else np.full(count, array)

"""A linear program as arrays, and the builder that collects it many columns and rows at a time.

minimise cost @ x  where  row_lower <= matrix @ x <= row_upper,  lower <= x <= upper

What the columns and rows mean is said where they are added: `vpp.matrix`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
        parts = [np.broadcast_to(np.asarray(x, dtype=float), count) for x in (cost, lower, upper)]
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
        ends = [np.broadcast_to(np.asarray(x, dtype=float), count) for x in (lower, upper)]
        self._row_bounds.append((ends[0], ends[1]))
        for columns, factors in terms:
            places = np.asarray(columns)
            rows = found if places.ndim == 0 else found[count - places.size :]
            self._entries.append(
                (
                    rows,
                    np.broadcast_to(places, rows.shape),
                    np.broadcast_to(np.asarray(factors, dtype=float), rows.shape),
                )
            )
        self.rows[name] = found
        return found

    def program(self) -> Program:
        """Return all that was collected."""
        rows, places, factors = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        shape = (self._row_count, self._column_count)
        matrix = csc_array((factors, (rows, places)), shape=shape)
        matrix.sum_duplicates()
        parts = self._column_parts
        counts = [part[0].size for part in parts]
        return Program(
            cost=np.concatenate([part[0] for part in parts]),
            matrix=matrix,
            row_lower=np.concatenate([bounds[0] for bounds in self._row_bounds]),
            row_upper=np.concatenate([bounds[1] for bounds in self._row_bounds]),
            lower=np.concatenate([part[1] for part in parts]),
            upper=np.concatenate([part[2] for part in parts]),
            steering=np.repeat([part[3] for part in parts], counts),
            integral=np.repeat([part[4] for part in parts], counts),
            columns=self.columns,
            rows=self.rows,
        )

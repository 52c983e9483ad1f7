"""A program without the rows that nothing within its columns' bounds can break.

A connection is usually wider than what load, roof and battery can ask of it, and a reserve that is
offered in six half hours has rows in all: a third of a site's rows never matter. What is left has
the same solutions and is solved sooner, thousands of times.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from scipy.sparse import csc_array

from vpp.model import Array
from vpp.program import Program

MARGIN = 1e-9
"""kWh or kW by which a row may be broken and still count as idle: less than a solver sees."""


def slim(program: Program, kept: Collection[str] = ()) -> Program:
    """Return a program without its idle rows, but for those of some names."""
    with np.errstate(invalid="ignore"):
        matrix = program.matrix
        most = _sums(matrix, program.upper, program.lower)
        least = _sums(matrix, program.lower, program.upper)
        # What is not a number (no bound times nothing) is no proof.
        idle = (most <= program.row_upper + MARGIN) | np.isinf(program.row_upper)
        idle &= (least >= program.row_lower - MARGIN) | np.isinf(program.row_lower)
    for name in kept:
        idle[program.rows[name]] = False
    stays = ~idle
    places = np.cumsum(stays) - 1
    entries = stays[matrix.indices]
    counts = np.concatenate([[0], np.cumsum(entries)])
    return replace(
        program,
        matrix=csc_array(
            (matrix.data[entries], places[matrix.indices[entries]], counts[matrix.indptr]),
            shape=(int(stays.sum()), program.cost.size),
        ),
        row_lower=program.row_lower[stays],
        row_upper=program.row_upper[stays],
        rows={name: places[index[stays[index]]] for name, index in program.rows.items()},
    )


def _sums(matrix: csc_array, rising: Array, falling: Array) -> Array:
    """Return each row's sum with every column at the bound that its factor's sign points to."""
    bounds = np.repeat(np.arange(rising.size), np.diff(matrix.indptr))
    values = matrix.data * np.where(matrix.data > 0, rising[bounds], falling[bounds])
    return np.bincount(matrix.indices, values, matrix.shape[0]).astype(float)

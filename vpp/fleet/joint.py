"""The joint program of a fleet: its sites block by block, and the limits that they share as rows.

Each block is what `vpp.matrix` builds for the site alone, its names behind the site's number:
`3/charge.0`. Shared rows and their breaches have names without a number.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csc_array, csr_array

from vpp.fleet.limits import Limit
from vpp.fleet.model import Fleet
from vpp.fleet.slim import slim
from vpp.matrix import add_site
from vpp.model import Array, Softness
from vpp.program import Builder, Index, Program, Terms


def prefix_of(number: int) -> str:
    """Return what stands before the names of a site's block."""
    return f"{number}/"


def blocks_program(fleet: Fleet, relaxed: Collection[int] = ()) -> Program:
    """Return the program of a fleet's sites, side by side, without what they share.

    Sites in `relaxed` have their own limits' breaches as columns.
    """
    builder = Builder()
    _add_blocks(builder, fleet, relaxed)
    return slim(builder.program())


def joint_program(fleet: Fleet, relaxed: Collection[int] = ()) -> Program:
    """Return the program of all of a fleet's sites and of what they share."""
    builder = Builder()
    _add_blocks(builder, fleet, relaxed)
    problems = fleet.problems
    for limit in fleet.limits:
        terms: list[tuple[Index | int, Array | float]] = []
        constant = np.zeros(limit.slots.size)
        for number, problem in enumerate(problems):
            if not limit.concerns(fleet.members[number].name):
                continue
            terms += limit.terms(problem, builder.columns, prefix_of(number))
            constant += limit.constant(problem)
        add_limit(builder, limit, terms, constant, fleet.softness)
    return slim(builder.program(), [limit.kind for limit in fleet.limits])


def add_limit(
    builder: Builder,
    limit: Limit,
    terms: Sequence[tuple[Index | int, Array | float]],
    constant: Array,
    softness: Softness,
) -> None:
    """Add a shared limit's rows: the terms and the constant sum to what its bounds allow."""
    found: Terms = terms
    if limit.soft:
        breach, side = add_breach(builder, limit, softness)
        found = [*terms, (breach, side)]
    builder.row(limit.kind, limit.slots.size, found, limit.lower - constant, limit.upper - constant)


def add_breach(builder: Builder, limit: Limit, softness: Softness) -> tuple[Index, float]:
    """Add the columns of a limit's breach, priced by area and height; return them and their sign.

    A cap is exceeded; what has been sold of a reserve, or is called for, is missed.
    """
    kind, count = limit.kind, limit.slots.size
    area, height = limit.weight * softness.area, limit.weight * softness.height
    found = builder.column(f"breach {kind}", count, area, steering=True)
    top = builder.column(f"height {kind}", 1, height, steering=True)
    builder.row(f"height {kind}", count, [(found, 1.0), (int(top[0]), -1.0)], -np.inf, 0.0)
    return found, 1.0 if limit.is_least else -1.0


def uses_of(fleet: Fleet, program: Program) -> tuple[csr_array, Array]:
    """Return (matrix, constants) of what sites take of the shared limits.

    The matrix has a row a limit and slot, in the order of `fleet.limits`, and a column for each of
    the program's; constants have a row a limit and slot and a column a site.
    """
    rows, places, factors = [np.zeros(0, int)], [np.zeros(0, int)], [np.zeros(0)]
    height, width = sum(limit.slots.size for limit in fleet.limits), program.cost.size
    constants = np.zeros((height, len(fleet.members)))
    for number in range(len(fleet.members)):
        problem, first = fleet.problems[number], 0
        for limit in fleet.limits:
            span = np.arange(first, first + limit.slots.size)
            first += limit.slots.size
            if not limit.concerns(fleet.members[number].name):
                continue
            for index, factor in limit.terms(problem, program.columns, prefix_of(number)):
                rows.append(span)
                places.append(np.asarray(index))
                factors.append(np.broadcast_to(np.asarray(factor, dtype=float), span.shape))
            constants[span, number] = limit.constant(problem)
    entries = (np.concatenate(factors), (np.concatenate(rows), np.concatenate(places)))
    return csr_array(entries, shape=(height, width)), constants


@dataclass(frozen=True)
class Block:
    """Where a site's columns and rows stand in a program of many."""

    columns: slice
    rows: slice


def blocks_of(program: Program, sites: int) -> list[Block]:
    """Return where each site stands: one after the other, from the first column and row on."""
    ends = []
    for places in (program.columns, program.rows):
        last = [0] * sites
        for name, index in places.items():
            number, found, _ = name.partition("/")
            if found and index.size:
                last[int(number)] = max(last[int(number)], int(index[-1]) + 1)
        ends.append([slice(a, b) for a, b in pairwise([0, *last])])
    return [Block(columns, rows) for columns, rows in zip(*ends, strict=True)]


def program_at(program: Program, block: Block) -> Program:
    """Return a site's part of a program of many, as its own, without names."""
    columns, rows = block.columns, block.rows
    starts = program.matrix.indptr[columns.start : columns.stop + 1]
    entries = slice(starts[0], starts[-1])
    indices, data = program.matrix.indices[entries], program.matrix.data[entries]
    inside = (indices >= rows.start) & (indices < rows.stop)
    counts = np.concatenate([[0], np.cumsum(inside)])
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    return Program(
        cost=program.cost[columns],
        matrix=csc_array(
            (data[inside], indices[inside] - rows.start, counts[starts - starts[0]]), shape=shape
        ),
        row_lower=program.row_lower[rows],
        row_upper=program.row_upper[rows],
        lower=program.lower[columns],
        upper=program.upper[columns],
        integral=program.integral[columns],
        steering=program.steering[columns],
        columns={},
        rows={},
    )


def names_of(program: Program, sites: int) -> list[dict[str, Index]]:
    """Return each site's columns by the names that they have in a program of its own, counted from
    its first."""
    found: list[dict[str, Index]] = [{} for _ in range(sites)]
    starts = [block.columns.start for block in blocks_of(program, sites)]
    for name, index in program.columns.items():
        number, inside, own = name.partition("/")
        if inside:
            found[int(number)][own] = index - starts[int(number)]
    return found


def _add_blocks(builder: Builder, fleet: Fleet, relaxed: Collection[int]) -> None:
    for number in range(len(fleet.members)):
        add_site(builder, fleet.problems[number], prefix_of(number), relaxed=number in relaxed)

"""Solve a program: HiGHS directly, kept warm from solve to solve, or through scipy.

scipy is the reference and the fallback; it cannot start from the last solution. Both are given
the arrays of `vpp.program.Program`. Duals are changes of the cost for a unit more of a row's bound.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import vstack

from vpp.model import Array
from vpp.program import Program

DUAL_TOLERANCE = 1e-6
FEASIBLE = 2
"""HiGHS's word for a solution that keeps all limits."""
CHOOSE, DEVEX = -1, 1
"""HiGHS's words for how dual simplex weighs rows."""
PRIMAL = 4
"""HiGHS's number for the primal simplex."""
CLOSE, CLOSE_OF_MANY, MANY = 1e-4, 2e-3, 64
"""Relative gap at which a program with binaries counts as solved, and that of one with more than so
many: there the last parts in a thousand take twenty times as long. A plan says what is open."""


@dataclass(frozen=True)
class Solution:
    """What a solver found. `status` is optimal, infeasible, time limit, or what else it said; `x`
    is None without a solution, `duals` None where there are binaries, else one a row. `bound` is
    the cost that no solution can beat, as a solver of binaries says it; None without them."""

    status: str
    x: Array | None
    duals: Array | None
    seconds: float
    bound: float | None = None

    @property
    def is_optimal(self) -> bool:
        """Whether the optimum was found."""
        return self.status == "optimal"


class Solver(Protocol):
    """Something that solves programs."""

    def solve(self, program: Program) -> Solution:
        """Return the solution of a program; failures are a status, never an exception."""
        ...


class ScipySolver:
    """scipy's `linprog` and `milp`, with a time limit in seconds."""

    def __init__(self, time_limit: float = 10.0) -> None:
        self._time_limit = time_limit

    def solve(self, program: Program) -> Solution:
        """Return the solution of a program."""
        began = time.perf_counter()
        options = {"time_limit": self._time_limit}
        if program.integral.any():
            found: Any = milp(
                program.cost,
                integrality=program.integral.astype(int),
                bounds=Bounds(program.lower, program.upper),
                constraints=LinearConstraint(program.matrix, program.row_lower, program.row_upper),
                options={**options, "mip_rel_gap": closeness(program)},
            )
            duals, bound = None, found.mip_dual_bound
        else:
            (found, duals), bound = self._linear(program, options), None
        status = {0: "optimal", 1: "time limit", 2: "infeasible", 3: "unbounded"}.get(
            found.status, str(found.message)
        )
        x = None if found.x is None else np.asarray(found.x)
        return Solution(status, x, duals, time.perf_counter() - began, bound)

    def _linear(self, program: Program, options: dict[str, float]) -> tuple[Any, Array | None]:
        equal = program.row_lower == program.row_upper
        above = np.isfinite(program.row_upper) & ~equal
        below = np.isfinite(program.row_lower) & ~equal
        matrix = program.matrix.tocsr()
        found = linprog(
            program.cost,
            A_ub=vstack([matrix[above], -matrix[below]]),
            b_ub=np.concatenate([program.row_upper[above], -program.row_lower[below]]),
            A_eq=matrix[equal],
            b_eq=program.row_lower[equal],
            bounds=np.column_stack([program.lower, program.upper]),
            method="highs",
            options=options,
        )
        if found.status != 0:
            return found, None
        duals = np.zeros(matrix.shape[0])
        duals[equal] = found.eqlin.marginals
        count = int(above.sum())
        duals[above] += found.ineqlin.marginals[:count]
        duals[below] -= found.ineqlin.marginals[count:]
        return found, duals


class HighsSolver:
    """HiGHS with a model that stays: a program of the last one's matrix starts from its basis.

    Tell it if it is to solve `once`: it then chooses rows by Devex weights, a fifth sooner from
    nothing, but they are of little use to a next solve, which would take twice as long. `primal`
    chooses the primal simplex: the quicker one where costs change or columns are added, as the last
    solution then still keeps all limits.
    """

    def __init__(
        self, time_limit: float = 10.0, *, once: bool = False, primal: bool = False
    ) -> None:
        with _quiet():
            # On first use it prints a banner, which would stand in front of printed JSON.
            import highspy

            self._highspy = highspy
        self._time_limit, self._primal = time_limit, primal
        self._edge_weights = DEVEX if once else CHOOSE
        self._highs = self._fresh()
        self._held: Program | None = None
        self._is_quiet = False

    def _fresh(self) -> Any:
        with _quiet():
            highs: Any = self._highspy.Highs()  # type: ignore[no-untyped-call]
            highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        highs.setOptionValue("simplex_dual_edge_weight_strategy", self._edge_weights)
        if self._primal:
            highs.setOptionValue("simplex_strategy", PRIMAL)
            highs.setOptionValue("primal_simplex_bound_perturbation_multiplier", 0.0)
        return highs

    def solve(self, program: Program) -> Solution:
        """Return the solution of a program."""
        self.load(program)
        return self.run(program)

    def forget(self) -> None:
        """Let the next solve start from nothing."""
        self._held = None

    def load(self, program: Program) -> None:
        """Hand over a program: what has changed of the last one, or all."""
        if self._held is not None and _same_matrix(self._held, program):
            self._change(self._held, program)
        else:
            self._pass(program)
        self._held = program

    def run(self, program: Program) -> Solution:
        """Solve what was loaded."""
        highs = self._highs
        # Its clock runs on from solve to solve.
        highs.setOptionValue("time_limit", highs.getRunTime() + self._time_limit)
        began = time.perf_counter()
        with contextlib.nullcontext() if self._is_quiet else _quiet():
            highs.run()
        # A linear program run once prints nothing any more.
        self._is_quiet = not program.integral.any()
        seconds = time.perf_counter() - began
        kinds = self._highspy.HighsModelStatus
        status = {
            kinds.kOptimal: "optimal",
            kinds.kInfeasible: "infeasible",
            kinds.kUnboundedOrInfeasible: "infeasible",
            kinds.kUnbounded: "unbounded",
            kinds.kTimeLimit: "time limit",
        }.get(highs.getModelStatus(), str(highs.getModelStatus()))
        found = highs.getInfo().primal_solution_status == FEASIBLE
        if status != "optimal" and not (found and program.integral.any()):
            # A basis of a failure is no start for the next solve.
            self._held = None
            return Solution(status, None, None, seconds)
        solution = highs.getSolution()
        x = np.array(solution.col_value)
        if program.integral.any():
            # Where time was up, its best so far; the bound says how good that is.
            return Solution("optimal", x, None, seconds, highs.getInfo().mip_dual_bound)
        return Solution(status, x, np.array(solution.row_dual), seconds)

    def repriced(self, cost: Array) -> Solution:
        """Return the solution of what was loaded at other costs: the quickest way to a next one."""
        assert self._held is not None
        held = replace(self._held, cost=cost)
        self._highs.changeColsCost(cost.size, np.arange(cost.size, dtype=np.int32), cost)
        self._held = held
        return self.run(held)

    def widened(self, program: Program) -> Solution:
        """Return the solution of what was loaded, at other costs and bounds of its columns, with
        more columns behind its own."""
        if self._held is None:
            return self.solve(program)
        old = self._held.cost.size
        more = program.matrix[:, old:]
        highs = self._highs
        if more.shape[1]:
            highs.addCols(
                more.shape[1], program.cost[old:], program.lower[old:], program.upper[old:],
                more.nnz, more.indptr[:-1].astype(np.int32), more.indices.astype(np.int32),
                more.data,
            )  # fmt: skip
        places = np.arange(old, dtype=np.int32)
        highs.changeColsCost(old, places, program.cost[:old])
        highs.changeColsBounds(old, places, program.lower[:old], program.upper[:old])
        self._held = program
        return self.run(program)

    def _pass(self, program: Program) -> None:
        lp = self._highspy.HighsLp()
        rows, columns = program.matrix.shape
        lp.num_row_, lp.num_col_ = rows, columns
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = program.cost, program.lower, program.upper
        lp.row_lower_, lp.row_upper_ = program.row_lower, program.row_upper
        lp.a_matrix_.format_ = self._highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = program.matrix.indptr
        lp.a_matrix_.index_ = program.matrix.indices
        lp.a_matrix_.value_ = program.matrix.data
        if program.integral.any():
            kinds = self._highspy.HighsVarType
            lp.integrality_ = [
                kinds.kInteger if whole else kinds.kContinuous for whole in program.integral
            ]
        if self._held is not None and (self._held.integral.any() or program.integral.any()):
            # Its search for binaries counts time from another start than its simplex.
            self._highs = self._fresh()
        # A program of a few thousand rows is solved sooner than it is simplified.
        self._highs.setOptionValue("mip_rel_gap", closeness(program))
        self._highs.setOptionValue("presolve", "choose" if program.integral.any() else "off")
        with _quiet():
            self._highs.clearModel()
            self._highs.passModel(lp)

    def _change(self, old: Program, new: Program) -> None:
        highs = self._highs
        costs = np.flatnonzero(old.cost != new.cost).astype(np.int32)
        if costs.size:
            highs.changeColsCost(costs.size, costs, new.cost[costs])
        bounds = (old.lower != new.lower) | (old.upper != new.upper)
        columns = np.flatnonzero(bounds).astype(np.int32)
        if columns.size:
            highs.changeColsBounds(columns.size, columns, new.lower[columns], new.upper[columns])
        bounds = (old.row_lower != new.row_lower) | (old.row_upper != new.row_upper)
        rows = np.flatnonzero(bounds).astype(np.int32)
        if rows.size:
            highs.changeRowsBounds(rows.size, rows, new.row_lower[rows], new.row_upper[rows])


def closeness(program: Program) -> float:
    """Return the relative gap at which a program counts as solved."""
    return CLOSE_OF_MANY if program.integral.sum() > MANY else CLOSE


def dual_bound(program: Program, duals: Array) -> float:
    """Return the cost that no solution of a linear program can beat, from any duals.

    Weak duality, from the matrix alone: whatever the solver, it needs no trust. A dual on a bound
    that is infinite counts as none, where it is no more than a solver's tolerance.
    """
    reduced = program.cost - program.matrix.T @ duals
    total = 0.0
    for price, lower, upper in (
        (duals, program.row_lower, program.row_upper),
        (reduced, program.lower, program.upper),
    ):
        bound = np.where(price > 0, lower, upper)
        price = np.where(np.isinf(bound) & (np.abs(price) <= DUAL_TOLERANCE), 0.0, price)
        total += float(np.where(price == 0, 0.0, price * np.where(price == 0, 0.0, bound)).sum())
    return total


def _same_matrix(one: Program, other: Program) -> bool:
    a, b = one.matrix, other.matrix
    return (
        a.shape == b.shape
        and np.array_equal(a.indptr, b.indptr)
        and np.array_equal(a.indices, b.indices)
        and np.array_equal(a.data, b.data)
        and np.array_equal(one.integral, other.integral)
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what a C library prints off the standard output."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)

"""The master program: which mix of the schedules found so far is best for the whole fleet.

Each group of sites has found schedules at several prices. Any mix of a group's schedules is one
that its sites can carry out, so the best mix within the shared limits is a joint plan, and its
duals are the prices at which sites should look for better schedules (Dantzig and Wolfe 1960).
Early on those prices jump about; a box around the best prices so far keeps them near (Marsten,
Hogan and Blankenship, 1975, "The boxstep method").

Prices are JPY for a unit that a site adds to a shared sum; below 0 where adding is paid for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csc_array, hstack

from vpp.fleet.group import Answer
from vpp.fleet.joint import add_limit
from vpp.fleet.model import Fleet
from vpp.fleet.result import by_limit
from vpp.model import Array
from vpp.program import Builder, Program
from vpp.solver import HighsSolver

MASTER_TIME = 60.0
"""Seconds that the master may take where it must begin from nothing."""


@dataclass(frozen=True)
class Mix:
    """A solution of the master: its cost with breaches, weights of groups x rounds, and prices."""

    cost: float
    weights: Array
    prices: Array


class Master:
    """Holds each group's answers, round by round, as columns of one program that grows."""

    def __init__(self, fleet: Fleet, groups: int) -> None:
        self.fleet, self._groups, self._rounds = fleet, groups, 0
        self._program = _without_rounds(fleet, groups)
        self._fixed = self._program.cost.size
        names = [each.kind for each in fleet.limits]
        self._shared = np.concatenate([np.zeros(0, int), *(self._program.rows[n] for n in names)])
        self._free, self._boxed = HighsSolver(primal=True), HighsSolver(primal=True)

    def add(self, answers: Sequence[Answer]) -> None:
        """Take a round: an answer of each group."""
        old, groups = self._program, self._groups
        entries = np.zeros((old.row_lower.size, groups))
        entries[self._shared] = np.array([answer.uses for answer in answers]).T
        entries[old.rows["whole"], np.arange(groups)] = 1.0
        nothing = np.zeros(groups, bool)
        self._program = replace(
            old,
            matrix=csc_array(hstack([old.matrix, csc_array(entries)])),
            cost=np.append(old.cost, [answer.cost for answer in answers]),
            lower=np.append(old.lower, np.zeros(groups)),
            upper=np.append(old.upper, np.full(groups, np.inf)),
            integral=np.append(old.integral, nothing),
            steering=np.append(old.steering, nothing),
        )
        self._rounds += 1

    def mix(self) -> Mix:
        """Return the best mix."""
        return self._solved(self._program, self._free)

    def prices_near(self, centre: Array, radius: Array) -> Array:
        """Return the master's prices within a box: beyond its edges one can buy and sell."""
        cost, upper = self._program.cost.copy(), self._program.upper.copy()
        ends = by_limit(self.fleet, centre - radius), by_limit(self.fleet, centre + radius)
        for limit in self.fleet.limits:
            less, more = (self._program.columns[f"{w} {limit.kind}"] for w in ("less", "more"))
            cost[less], cost[more] = ends[1][limit.kind], -ends[0][limit.kind]
            upper[less] = upper[more] = np.inf
        return self._solved(replace(self._program, cost=cost, upper=upper), self._boxed).prices

    def _solved(self, program: Program, solver: HighsSolver) -> Mix:
        solution = solver.widened(program)
        if solution.x is None or solution.duals is None:
            solution = HighsSolver(MASTER_TIME).solve(program)
        x, duals = solution.x, solution.duals
        assert x is not None, solution.status
        assert duals is not None
        weights = np.maximum(x[self._fixed :].reshape(self._rounds, self._groups).T, 0.0)
        return Mix(
            cost=float(program.cost @ x),
            weights=weights / weights.sum(axis=1, keepdims=True),
            prices=-duals[self._shared],
        )


def _without_rounds(fleet: Fleet, groups: int) -> Program:
    """Return the master's program before any answer: rows, breaches, and the sides of a box, which
    are shut."""
    builder = Builder()
    for limit in fleet.limits:
        count = limit.slots.size
        less = builder.column(f"less {limit.kind}", count, 0.0, 0.0, 0.0)
        more = builder.column(f"more {limit.kind}", count, 0.0, 0.0, 0.0)
        add_limit(builder, limit, [(less, -1.0), (more, 1.0)], np.zeros(count), fleet.softness)
    builder.row("whole", groups, [], 1.0, 1.0)
    return builder.program()


def bound_of(fleet: Fleet, prices: Array, answers: list[Answer]) -> float:
    """Return the cost that no joint plan can beat, from any prices and the sites' certified bounds.

    Prices beyond what a breach costs prove nothing: see `admissible`.
    """
    total = sum(answer.bound for answer in answers)
    first = 0
    for limit in fleet.limits:
        part = prices[first : first + limit.slots.size]
        edge = np.where(part > 0, limit.upper, limit.lower)
        total -= float(np.where(part == 0, 0.0, part * np.where(part == 0, 0.0, edge)).sum())
        first += limit.slots.size
    return total


def admissible(fleet: Fleet, prices: Array) -> Array:
    """Return the nearest prices that bound anything: none on a side that has no limit, and none
    above what breaches cost, by area and, all of a limit's slots together, by height."""
    found, first = prices.copy(), 0
    for limit in fleet.limits:
        part = found[first : first + limit.slots.size]
        part[:] = np.where(np.isinf(limit.upper) & (part > 0), 0.0, part)
        part[:] = np.where(np.isinf(limit.lower) & (part < 0), 0.0, part)
        if limit.soft:
            area, height = (
                limit.weight * each for each in (fleet.softness.area, fleet.softness.height)
            )
            dear = part < 0 if limit.is_least else part > 0
            over = np.where(dear, np.maximum(np.abs(part) - area, 0.0), 0.0)
            if over.sum() > height:
                part -= np.sign(part) * over * (1 - height / over.sum())
        first += limit.slots.size
    return found

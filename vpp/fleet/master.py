"""The master program: which mix of the schedules found so far is best for the whole fleet.

Each group of sites has found schedules at several prices. Any mix of a group's schedules is one
that its sites can carry out, so the best mix within the shared limits is a joint plan, and its
duals are the prices at which sites should look for better schedules (Dantzig and Wolfe 1960).
Early on those prices jump about; a box around the best prices so far keeps them near (Marsten,
Hogan and Blankenship, 1975, "The boxstep method").

Prices are JPY for a unit that a site adds to a shared sum; below 0 where adding is paid for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.fleet.group import Answer
from vpp.fleet.joint import add_limit
from vpp.fleet.model import Fleet
from vpp.model import Array
from vpp.program import Builder, Index, Program
from vpp.solver import HighsSolver


@dataclass(frozen=True)
class Mix:
    """A solution of the master: its cost with breaches, the part of it that is steering, weights of
    groups x rounds, prices, and the breaches by limit."""

    cost: float
    steering: float
    weights: Array
    prices: Array
    breaches: dict[str, Array]


class Master:
    """Holds each group's answers, round by round."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.rounds: list[list[Answer]] = []
        self._free, self._boxed = HighsSolver(), HighsSolver()

    def add(self, answers: list[Answer]) -> None:
        """Take a round: an answer of each group."""
        self.rounds.append(answers)

    def mix(self) -> Mix:
        """Return the best mix."""
        return self._solved(self._program(None), self._free)

    def prices_near(self, centre: Array, radius: Array) -> Array:
        """Return the master's prices within a box."""
        return self._solved(self._program((centre - radius, centre + radius)), self._boxed).prices

    def _program(self, box: tuple[Array, Array] | None) -> Program:
        builder, fleet = Builder(), self.fleet
        groups = len(self.rounds[0])
        costs = np.array([[answer.cost for answer in answers] for answers in self.rounds])
        columns = np.array(
            [builder.column(f"round {n}", groups, costs[n]) for n in range(len(self.rounds))]
        )
        first = 0
        for limit in fleet.limits:
            count = limit.slots.size
            terms: list[tuple[Index | int, Array | float]] = [
                (int(columns[n, group]), answer.uses[first : first + count])
                for n, answers in enumerate(self.rounds)
                for group, answer in enumerate(answers)
            ]
            if box is not None:
                low, high = (each[first : first + count] for each in box)
                less = builder.column(f"less {limit.kind}", count, high)
                more = builder.column(f"more {limit.kind}", count, -low)
                terms += [(less, -1.0), (more, 1.0)]
            add_limit(builder, limit, terms, np.zeros(count), fleet.softness)
            first += count
        builder.row("whole", groups, [(each, 1.0) for each in columns], 1.0, 1.0)
        return builder.program()

    def _solved(self, program: Program, solver: HighsSolver) -> Mix:
        solution = solver.solve(program)
        x, duals = solution.x, solution.duals
        assert x is not None, solution.status
        assert duals is not None
        weights = np.array([x[program.columns[f"round {n}"]] for n in range(len(self.rounds))]).T
        kinds = [limit.kind for limit in self.fleet.limits]
        prices = [-duals[program.rows[kind]] for kind in kinds]
        return Mix(
            cost=float(program.cost @ x),
            steering=float((program.cost * program.steering) @ x),
            weights=np.maximum(weights, 0.0) / np.maximum(weights, 0.0).sum(axis=1, keepdims=True),
            prices=np.concatenate(prices) if prices else np.zeros(0),
            breaches={
                kind: x[program.columns[f"breach {kind}"]]
                for kind in kinds
                if f"breach {kind}" in program.columns
            },
        )


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

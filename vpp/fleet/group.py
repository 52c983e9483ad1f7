"""Some of a fleet's sites, each with a solver of its own that stays warm from price to price.

At the prices of what is shared each site is a small program by itself. A group solves them one by
one, keeps every schedule it found, and answers with sums alone: what crosses to another process is
a few numbers a round.

Sums are in JPY, and in kWh or kW of the shared limits, in the order of `Fleet.limits`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from energy.errors import YuiError
from vpp.fleet.joint import blocks_of, blocks_program, names_of, program_at, uses_of
from vpp.fleet.model import Fleet
from vpp.fleet.schedule import SitePlan, plan_from, site_plan
from vpp.model import Array
from vpp.planner import planned
from vpp.program import Program
from vpp.solver import HighsSolver, Solution, dual_bound


class SiteUnsolved(YuiError):
    """A solver found no schedule for a site, not even with its limits relaxed."""


@dataclass(frozen=True)
class Answer:
    """What a group would do at some prices: its own cost, what it takes of the shared limits, and
    the certified least of cost plus prices times what it takes (by weak duality)."""

    cost: float
    uses: Array
    bound: float


class Group:
    """Some sites of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._relaxed: set[int] = set()
        self._solvers = [HighsSolver(primal=True) for _ in fleet.members]
        self._build()

    def _build(self) -> None:
        self._program = blocks_program(self.fleet, self._relaxed)
        self._uses, constants = uses_of(self.fleet, self._program)
        self._constant = constants.sum(axis=1)
        self._blocks = blocks_of(self._program, len(self.fleet.members))
        self._schedules: list[Array] = []
        for solver, block in zip(self._solvers, self._blocks, strict=True):
            solver.load(program_at(self._program, block))

    def answer(self, prices: Array) -> Answer:
        """Return what the sites would do at these prices (JPY a unit of each shared limit), and
        keep their schedules.

        Raises:
            SiteUnsolved: if a site has no schedule, however its own limits are relaxed.
        """
        program = self._program
        cost = program.cost + self._uses.T @ prices
        x, duals = np.empty(program.cost.size), np.empty(program.row_lower.size)
        stuck = set()
        for number, block in enumerate(self._blocks):
            solution = self._solved(number, cost)
            if solution.x is None or solution.duals is None:
                if solution.status != "infeasible" or number in self._relaxed:
                    name = self.fleet.members[number].name
                    raise SiteUnsolved(f"site {name} must have a schedule, got {solution.status}")
                stuck.add(number)
                continue
            x[block.columns], duals[block.rows] = solution.x, solution.duals
        if stuck:
            # Nothing keeps all limits of these sites: from now on they may be missed at a price.
            self._relaxed |= stuck
            self._build()
            return self.answer(prices)
        x = np.clip(x, program.lower, program.upper)
        self._schedules.append(x)
        bound = dual_bound(replace(program, cost=cost), duals)
        return Answer(
            float(program.cost @ x),
            self._uses @ x + self._constant,
            bound + float(prices @ self._constant),
        )

    def _solved(self, number: int, cost: Array) -> Solution:
        block, solver = self._blocks[number], self._solvers[number]
        solution = solver.repriced(cost[block.columns])
        if solution.status in ("optimal", "infeasible"):
            return solution
        # A basis that has gone bad: from the start again.
        fresh = self._solvers[number] = HighsSolver()
        return fresh.solve(replace(program_at(self._program, block), cost=cost[block.columns]))

    def plans(self, weights: Array) -> list[SitePlan]:
        """Return the sites' plans: the rounds' schedules mixed by weight, one for each round.

        A mix is one that a site can carry out, since its limits are linear.
        """
        mixed = sum(
            (w * x for w, x in zip(weights, self._schedules, strict=True) if w > 0),
            np.zeros(self._program.cost.size),
        )
        heaviest = self._schedules[int(np.argmax(weights))]
        return plans_of(self.fleet, self._program, (mixed, heaviest))


def plans_of(fleet: Fleet, program: Program, tries: tuple[Array, ...]) -> list[SitePlan]:
    """Return each site's plan from the first of some solutions that passes its check; where none
    does, the site is planned for itself, with an alarm that says so."""
    sites = len(fleet.members)
    names, found = names_of(program, sites), []
    for number, (member, block) in enumerate(
        zip(fleet.members, blocks_of(program, sites), strict=True)
    ):
        problem = fleet.problems[number]
        own = replace(program_at(program, block), columns=names[number])
        for x in tries:
            plan = site_plan(member.name, plan_from(problem, own, x[block.columns]))
            if not plan.faults:
                break
        else:
            alone = planned(problem)
            alarm = f"the joint plan's part failed its check: {plan.faults[0]}"
            plan = site_plan(member.name, replace(alone, alarms=(*alone.alarms, alarm)))
        found.append(plan)
    return found

"""Make a plan, whatever happens.

`planned` solves the linear program; adds binaries where the optimum would go both ways at once, and
only there; relaxes the soft limits where no plan keeps them all; and has the result checked by
`vpp.check`. If all that fails, the safe rule of `vpp.safe` stands in, with an alarm that says why.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vpp.check import faults
from vpp.matrix import Exclusive, program_of
from vpp.model import Array, Problem
from vpp.plan import TINY, Plan, plan_of
from vpp.program import Program
from vpp.safe import safe_plan
from vpp.solver import HighsSolver, ScipySolver, Solution, Solver


def planned(problem: Problem, solver: Solver | None = None, fallback: Solver | None = None) -> Plan:
    """Return the plan for a problem, whatever happens.

    `solver` may be one that was used before: it then starts from the last plan.
    """
    alarms: list[str] = []
    solvers = [solver or HighsSolver(once=True), fallback or ScipySolver()]
    for each in solvers:
        name = type(each).__name__
        try:
            plan = _optimal(problem, each)
        except Exception as error:  # a solver may fail in any way; the battery must not
            alarms.append(f"{name} failed: {error!r}")
            continue
        if isinstance(plan, str):
            alarms.append(f"{name} found no plan: {plan}")
            continue
        found = faults(plan)
        if not found:
            return replace(plan, alarms=tuple(alarms))
        alarms.append(f"{name}'s plan failed its check: {found[0]}")
    return replace(safe_plan(problem), alarms=tuple(alarms))


def _optimal(problem: Problem, solver: Solver) -> Plan | str:
    """Return the optimal plan, or why there is none."""
    exclusive: dict[int | None, set[int]] = {}
    relaxed, seconds = False, 0.0
    for _ in range(1 + problem.slots * (1 + len(problem.batteries))):
        ways = [Exclusive(number, tuple(sorted(slots))) for number, slots in exclusive.items()]
        program = program_of(problem, relaxed=relaxed, exclusive=ways)
        solution = solver.solve(program)
        seconds += solution.seconds
        if solution.status == "infeasible" and not relaxed:
            relaxed = True
            continue
        if solution.x is None or not solution.is_optimal:
            return solution.status
        both = _both_ways(problem, program, solution.x)
        fresh = {number: slots - exclusive.get(number, set()) for number, slots in both.items()}
        if not any(fresh.values()):
            break
        for number, slots in fresh.items():
            exclusive.setdefault(number, set()).update(slots)
            if not exclusive[number]:
                del exclusive[number]
    if exclusive:
        # Duals are those of the program with its binaries fixed; its solution may go both ways in
        # another slot, at the same cost, and is not taken.
        again = solver.solve(_with_ways(program, solution))
        solution = replace(solution, duals=again.duals if again.is_optimal else None)
    binaries = sum(len(slots) for slots in exclusive.values())
    made_by = "HiGHS" if isinstance(solver, HighsSolver) else "scipy"
    return plan_of(problem, program, solution, made_by=made_by, seconds=seconds, binaries=binaries)


def _both_ways(problem: Problem, program: Program, x: Array) -> dict[int | None, set[int]]:
    """Return the slots in which a battery, or the meter (None), goes both ways at once."""
    bought, sold = (
        np.sum([x[program.columns[tier.name]] for tier in tiers], axis=0)
        for tiers in (problem.purchases, problem.sales)
    )
    found: dict[int | None, set[int]] = {None: _overlap(bought, sold)}
    for number in range(len(problem.batteries)):
        charge, discharge = (x[program.columns[f"{w}.{number}"]] for w in ("charge", "discharge"))
        found[number] = _overlap(charge, discharge)
    return {number: slots for number, slots in found.items() if slots}


def _overlap(one: Array, other: Array) -> set[int]:
    return {int(slot) for slot in np.flatnonzero(np.minimum(one, other) > TINY)}


def _with_ways(program: Program, solution: Solution) -> Program:
    """Return a program with its binaries fixed as a solution has them: a linear one."""
    assert solution.x is not None
    chosen = np.round(solution.x)
    fixed = program.integral
    return replace(
        program,
        lower=np.where(fixed, chosen, program.lower),
        upper=np.where(fixed, chosen, program.upper),
        integral=np.zeros_like(fixed),
    )

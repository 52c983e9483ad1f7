"""Make a plan, whatever happens.

`planned` solves the linear program; adds binaries where the optimum would go both ways at once, and
only there; relaxes the soft limits where no plan keeps them all; and has the result checked by
`vpp.check`. If all that fails, or takes too long, the safe rule of `vpp.safe` stands in, with an
alarm that says why.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from vpp.check import faults
from vpp.matrix import Exclusive, program_of
from vpp.model import Array, Problem
from vpp.plan import TINY, Plan, plan_of
from vpp.program import Program
from vpp.safe import safe_plan
from vpp.solver import HighsSolver, ScipySolver, Solution, Solver, closeness

PATIENCE = 30.0
"""Seconds after which no further search for a plan is begun; one search may take a third more."""


def planned(
    problem: Problem,
    solver: Solver | None = None,
    fallback: Solver | None = None,
    patience: float = PATIENCE,
) -> Plan:
    """Return the plan for a problem, whatever happens.

    `solver` may be one that was used before: it then starts from the last plan. `patience` is in
    seconds.
    """
    alarms: list[str] = []
    until = time.monotonic() + patience
    for each in (solver or HighsSolver(once=True), fallback or ScipySolver()):
        name = type(each).__name__
        try:
            plan = _optimal(problem, each, until)
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


def _optimal(problem: Problem, solver: Solver, until: float) -> Plan | str:
    """Return the optimal plan, or why there is none; no search is begun after `until`."""
    exclusive: dict[int | None, set[int]] = {}
    relaxed, seconds = False, 0.0
    while True:
        if time.monotonic() >= until:
            binaries = sum(len(slots) for slots in exclusive.values())
            return f"time limit, with {binaries} binaries"
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
            if slots:
                exclusive.setdefault(number, set()).update(_as_tempting(problem, number, slots))
    notes = []
    if exclusive:
        missed = float(program.cost @ solution.x) - (solution.bound or 0.0)
        if solution.bound is not None and missed > 2 * closeness(program) * abs(solution.bound):
            notes.append(f"time was up: another plan may be {missed:,.0f} JPY cheaper")
        # Duals are those of the program with its binaries fixed; its solution may go both ways in
        # another slot, at the same cost, and is not taken.
        again = solver.solve(_with_ways(program, solution))
        solution = replace(solution, duals=again.duals if again.is_optimal else None)
    binaries = sum(len(slots) for slots in exclusive.values())
    made_by = "HiGHS" if isinstance(solver, HighsSolver) else "scipy"
    plan = plan_of(problem, program, solution, made_by=made_by, seconds=seconds, binaries=binaries)
    return replace(plan, notes=tuple(notes))


def _as_tempting(problem: Problem, number: int | None, slots: set[int]) -> set[int]:
    """Return the slots in which going both ways pays at least as much as in some of `slots`.

    Forbidden in one, it would be tried in the next: few rounds of many binaries are quicker than
    many of few.
    """
    cheapest = np.min([np.asarray(tier.price) for tier in problem.purchases], axis=0)
    gain = -cheapest
    if number is None:
        gain = np.max([np.asarray(tier.price) for tier in problem.sales], axis=0) - cheapest
    least = min(gain[slot] for slot in slots)
    return {int(slot) for slot in np.flatnonzero(gain >= least)}


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

"""Plan again each slot with what was measured: model-predictive control.

A `Controller` keeps the solver warm, the followers of wear where the battery's path has left them,
and the month's peak. With several futures (`vpp.scenarios` draws some) it solves one program whose
first slot is common to all (two stages). Off unless futures are given: played over months it did
not pay, as `docs/battery.md` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from energy.errors import SettingError
from vpp.check import faults
from vpp.matrix import scenarios_program
from vpp.model import Array, Battery, Demand, Problem, Wear
from vpp.plan import Plan, plan_of
from vpp.planner import planned
from vpp.solver import HighsSolver
from vpp.wear import remembered


class Controller:
    """Plans a site's slots one after the other.

    `warm` starts each solve from the last plan; without it a plan depends on nothing but its
    problem and the followers, where otherwise it could be another one of the same cost.
    """

    def __init__(self, *, warm: bool = True) -> None:
        self._warm = warm
        self._solver = HighsSolver()
        self._scenarios = HighsSolver()
        self._plan: Plan | None = None
        self._peak_kw = 0.0
        self._wear: dict[str, Wear] = {}

    @property
    def peak_kw(self) -> float:
        """The highest mean power bought so far."""
        return self._peak_kw

    def plan(self, problem: Problem, futures: Sequence[Problem] = ()) -> Plan:
        """Return the plan from now on for a problem that holds the measured state.

        `futures` are equally likely others of the same slots and batteries. The plan returned is
        that of the problem, with the first slot common to all.
        """
        problem = self._carried(problem)
        if not self._warm:
            self._solver.forget()
        plan = planned(problem, self._solver)
        if futures and not plan.is_safe_rule:
            plan = self._common(plan, [problem, *(self._carried(each) for each in futures)])
        self._plan = plan
        return plan

    def measured(self, stored_kwh: Sequence[float], imported_kwh: float) -> None:
        """Take note of a slot that is over: where each battery ended, what the meter bought."""
        plan = self._plan
        if plan is None:
            raise SettingError("a slot must have been planned before it is measured")
        self._peak_kw = max(self._peak_kw, imported_kwh / plan.problem.hours)
        for battery, after in zip(plan.problem.batteries, stored_kwh, strict=True):
            if battery.wear is not None:
                path = np.array([battery.initial_kwh, after])
                self._wear[battery.name] = remembered(battery.wear, path)

    def go_on(self, name: str, wear: Wear, stored_kwh: Array) -> None:
        """Take over a battery whose followers stood as `wear` has them when its path began."""
        self._wear[name] = remembered(wear, stored_kwh)

    def new_month(self) -> None:
        """Forget the peak: the demand charge begins anew."""
        self._peak_kw = 0.0

    def _carried(self, problem: Problem) -> Problem:
        batteries = tuple(self._with_memory(battery) for battery in problem.batteries)
        demand = problem.demand
        if demand is not None:
            demand = Demand(demand.price, max(demand.reached_kw, self._peak_kw))
        return replace(problem, batteries=batteries, demand=demand)

    def _with_memory(self, battery: Battery) -> Battery:
        known = self._wear.get(battery.name)
        if battery.wear is None or known is None or battery.wear.followers_kwh is not None:
            return battery
        return replace(battery, wear=replace(battery.wear, followers_kwh=known.followers_kwh))

    def _common(self, single: Plan, futures: list[Problem]) -> Plan:
        """Return the first future's plan with the first slot common to all; else the single one."""
        weights = [1.0 / len(futures)] * len(futures)
        program = scenarios_program(futures, weights, relaxed=bool(single.breaches))
        solution = self._scenarios.solve(program)
        if not solution.is_optimal:
            return replace(single, notes=(*single.notes, f"scenarios: {solution.status}"))
        plan = plan_of(
            futures[0],
            program,
            solution,
            made_by="HiGHS, scenarios",
            seconds=single.seconds + solution.seconds,
            prefix="0/",
        )
        found = faults(plan)
        if found:
            return replace(single, notes=(*single.notes, f"scenarios: {found[0]}"))
        return plan

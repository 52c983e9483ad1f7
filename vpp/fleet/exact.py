"""The joint plan as one program, exact: for fleets of some hundred sites."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from energy.errors import YuiError
from vpp.fleet.group import plans_of
from vpp.fleet.joint import joint_program
from vpp.fleet.model import Fleet
from vpp.fleet.result import JointPlan, by_limit
from vpp.solver import HighsSolver, dual_bound

TIME_LIMIT = 300.0


class NoJointPlan(YuiError):
    """The solver found no joint plan within its time."""


def exact(fleet: Fleet, time_limit: float = TIME_LIMIT) -> JointPlan:
    """Return the best joint plan. Sites' own limits are relaxed only if none keeps them all.

    Raises:
        NoJointPlan: if the solver does not end within `time_limit` seconds.
    """
    began = time.perf_counter()
    solver = HighsSolver(time_limit, once=True)
    program = joint_program(fleet)
    solution = solver.solve(program)
    if solution.status == "infeasible":
        program = joint_program(fleet, relaxed=range(len(fleet.members)))
        solution = solver.solve(program)
    if solution.x is None or solution.duals is None:
        raise NoJointPlan(
            f"{len(fleet.members)} sites must be planned within {time_limit:g} s, "
            f"got {solution.status}"
        )
    x = np.clip(solution.x, program.lower, program.upper)
    duals = [-solution.duals[program.rows[limit.kind]] for limit in fleet.limits]
    prices = np.concatenate(duals) if duals else np.zeros(0)
    plan = JointPlan(
        fleet=fleet,
        sites=tuple(plans_of(fleet, program, (x,))),
        prices=by_limit(fleet, prices),
        bound=dual_bound(program, solution.duals),
        rounds=1,
        seconds=0.0,
        made_by="one program",
        points=prices[None, :],
    )
    return replace(plan, seconds=time.perf_counter() - began)

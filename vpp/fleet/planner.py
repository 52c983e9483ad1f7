"""The joint plan of a fleet of any size, by the way that is quicker for it."""

from __future__ import annotations

from vpp.fleet.decomposition import GAP, Progress, decomposed
from vpp.fleet.exact import exact
from vpp.fleet.model import Fleet
from vpp.fleet.result import JointPlan
from vpp.fleet.workers import Workers
from vpp.model import Array

EXACT_UP_TO = 200
"""Sites up to which one program is quicker than prices."""


def joint_plan(
    fleet: Fleet,
    workers: Workers | None = None,
    *,
    points: Array | None = None,
    gap: float = GAP,
    progress: Progress | None = None,
) -> JointPlan:
    """Return a joint plan: exact for some hundred sites, within `gap` of the best for more.

    `points` are prices to begin with, where it is made by prices: those of a plan before.

    Raises:
        SiteUnsolved, NoJointPlan: if there is none at all.
    """
    if len(fleet.members) <= EXACT_UP_TO:
        return exact(fleet)
    return decomposed(fleet, workers, points=points, gap=gap, progress=progress)

"""Choosing who steers a site's battery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from energy.errors import SettingError
from orchestrator.setting.sites import Site
from orchestrator.steering.steering import (
    NONE,
    OWN_USE,
    RULE,
    STEERINGS,
    Keeps,
    Steering,
    Tariffs,
)

if TYPE_CHECKING:
    from orchestrator.steering.neighbours import Neighbours, Wanted
    from vpp.forecast import History

InSteering = Annotated[
    str,
    typer.Option(
        "--battery",
        help="Who steers batteries: plan, renewed each half hour, rule, own-use, or none.",
    ),
]


def check_steering(how: str) -> None:
    """Demand that there is such a steering.

    Raises:
        SettingError: naming those that there are.
    """
    if how not in STEERINGS:
        raise SettingError(f"--battery must be one of {', '.join(STEERINGS)}, got {how!r}")


def steering_of(
    how: str,
    site: Site,
    history: History,
    tariffs: Tariffs,
    neighbours: Neighbours | None = None,
    alarm: Callable[[str], None] = lambda _: None,
    keeps: Keeps = lambda _: None,
) -> Steering:
    """Return what steers a site's battery, by one of `STEERINGS`, from its least charge on."""
    # A plan's forecasts take seconds to load, and this module names the choices as well.
    from orchestrator.steering.plan import ByPlan
    from orchestrator.steering.rule import ByRule, Idle, own_use

    if how == NONE or site.battery is None:
        return Idle(history)
    size = site.battery.size
    if how == RULE:
        return ByRule(history, size)
    if how == OWN_USE:
        return ByRule(history, size, own_use)
    wanted = None
    if neighbours is not None:

        def wanted(slot: int, fees: Sequence[int]) -> Wanted:
            return neighbours.wanted(slot, site.number, site.ask, fees)

    return ByPlan(history, size, tariffs, wanted, alarm, keeps)

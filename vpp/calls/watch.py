"""Whether a site does what a call wants of it: judged by its last report, and only by that.

Units: W; time in unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from vpp.calls.reserve import UNFIT
from vpp.commands import Following, Report

VANISHED = "vanished"


@dataclass(frozen=True)
class Patience:
    """How long the control room looks on before it asks others.

    A site has `answer_seconds` to answer, and as long from a share's beginning to follow it. It is
    gone when its last report is older than `gone_seconds`. One that gives less than it should by
    more than `tolerance` of its share (and by more than `least_w`) for `short_seconds` is taken at
    what it gives. After `again_seconds` a site that did not answer may be asked again.
    """

    answer_seconds: int = 30
    gone_seconds: int = 60
    short_seconds: int = 60
    tolerance: float = 0.1
    least_w: int = 200
    again_seconds: int = 300


@dataclass(frozen=True)
class Fault:
    """Why a site does not give its share, and what it does give, without its sign.

    A `passing` one counts when it has lasted for a while.
    """

    reason: str
    gives_w: int = 0
    passing: bool = False


def fault_of(
    report: Report | None,
    call: str,
    share_w: int,
    told_for: int,
    now: int,
    planned_w: int = 0,
    patience: Patience | None = None,
) -> Fault | None:
    """Return what is wrong at a site that is to give `share_w` (signed); None if nothing is.

    `told_for` is how long the share has held and the site has known it, in seconds; below 0 if it
    is still to come.
    """
    patience = patience or Patience()
    if report is None or now - report.at > patience.gone_seconds:
        return Fault(VANISHED)
    if report.following in UNFIT:
        return Fault(f"follows {report.following.value}")
    if told_for < patience.answer_seconds:
        return None
    if report.following is not Following.CALL or report.call != call:
        return Fault(f"follows {report.following.value} instead of the call")
    if report.target_w is None or report.battery_w is None:
        return Fault("does not say what its battery does")
    sign = 1 if share_w > 0 else -1
    allowed = max(patience.tolerance * abs(share_w), patience.least_w)
    most = report.discharge_w if share_w > 0 else report.charge_w
    for behind, what in (
        (sign * (planned_w + share_w) - most, "can give"),
        (sign * (report.target_w - report.battery_w), "gives"),
    ):
        if behind > allowed:
            left = max(abs(share_w) - behind, 0)
            return Fault(f"{what} {left} W of {abs(share_w)} W", left, passing=True)
    return None

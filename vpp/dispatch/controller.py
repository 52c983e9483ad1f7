"""From what is known and what is followed to one set-point: a pure function.

A plan is energy: the power that is still owed over the time that is left, so that whatever load,
sun, ramps and the device's own ways did to the half hour so far, its energy comes out as planned. A
call comes on top, and so does its energy: the plan's is still owed beneath it.

A set-point stands while it leads to the owed energy within `tolerance_wh`: a device is written to
only when that matters. The room that owner, device and state of charge leave binds always, the ramp
for all but a stop.

Power in W, positive out of the battery; energy in Wh; time in unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from vpp.commands import Following
from vpp.dispatch.device import Setpoint
from vpp.dispatch.image import Image
from vpp.dispatch.ledger import Ledger
from vpp.dispatch.limits import Room
from vpp.dispatch.standing import Duty


@dataclass(frozen=True, slots=True)
class Tuning:
    """How closely a set-point follows; `ramp_w` is the most that it changes in a second (0: any).

    Where a plan is missed by less than `tolerance_wh` at the slot's end, or a power by less than
    `deadband_w`, the set-point that stands is kept.
    """

    tolerance_wh: float = 5.0
    deadband_w: int = 100
    ramp_w: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """A set-point (None: self-consumption), the power that was aimed at, and what it met."""

    setpoint: Setpoint | None
    target_w: int | None = None
    bound: str = ""
    """What kept it from its target: `room` or `ramp`."""


def decided(
    now: float,
    image: Image,
    duty: Duty,
    ledger: Ledger | None,
    room: Room,
    tuning: Tuning,
    *,
    follows_ranges: bool,
    before: Setpoint | None = None,
    elapsed: float = 1.0,
) -> Decision:
    """Return the set-point.

    `now` is in unix seconds; `before` is the set-point that stands, for `elapsed` seconds.
    """
    if duty.following is Following.STOP:
        return Decision(Setpoint.exactly(0), 0)
    room = room.narrowed(duty.limit_w)
    wanted_w, keep_w = _wanted(now, image, duty, ledger, tuning)
    if wanted_w is None:
        return _own(image, duty, room, tuning, follows_ranges, before)
    bounded_w = room.bounded(wanted_w)
    bound = "room" if abs(bounded_w - wanted_w) > tuning.deadband_w else ""
    standing_w = before.power_w if before is not None else None
    if (
        standing_w is not None
        and room.bounded(standing_w) == standing_w
        and abs(bounded_w - standing_w) <= keep_w
        and (bounded_w or not standing_w)  # a zero is wanted as such
    ):
        return Decision(Setpoint.exactly(standing_w), bounded_w, bound)
    from_w = standing_w if standing_w is not None else image.battery_w
    if tuning.ramp_w and from_w is not None:
        step_w = tuning.ramp_w * elapsed
        ramped_w = round(min(max(bounded_w, from_w - step_w), from_w + step_w))
        if ramped_w != bounded_w:
            return Decision(Setpoint.exactly(ramped_w), bounded_w, "ramp")
    return Decision(Setpoint.exactly(bounded_w), bounded_w, bound)


def _wanted(
    now: float, image: Image, duty: Duty, ledger: Ledger | None, tuning: Tuning
) -> tuple[float | None, float]:
    """Return the power that is wanted, None to be on its own, and how far one may be from it."""
    if duty.power_w is not None:
        return duty.power_w + duty.call_w, 0.0
    if duty.plan_wh is not None and ledger is not None:
        left = max(ledger.end - now, 1.0)
        owed_wh = duty.plan_wh + ledger.called_wh - ledger.delivered_wh
        return owed_wh * 3600 / left + duty.call_w, tuning.tolerance_wh * 3600 / left
    if duty.call_w:
        # Beside the call it would be on its own: it would cover the site's need.
        need_w = image.need_w
        return (need_w if need_w is not None else 0) + duty.call_w, tuning.deadband_w
    return None, 0.0


def _own(
    image: Image,
    duty: Duty,
    room: Room,
    tuning: Tuning,
    follows_ranges: bool,
    before: Setpoint | None,
) -> Decision:
    """Return self-consumption, by itself or within a limit."""
    if duty.limit_w is None:
        return Decision(None)
    if follows_ranges:
        return Decision(Setpoint(-duty.limit_w, duty.limit_w), bound="room")
    if image.need_w is None:
        return Decision(Setpoint.exactly(0), 0, "room")
    wanted_w = room.bounded(image.need_w)
    standing_w = before.power_w if before is not None else None
    is_near = standing_w is not None and abs(wanted_w - standing_w) <= tuning.deadband_w
    if is_near and standing_w is not None and room.bounded(standing_w) == standing_w:
        return Decision(Setpoint.exactly(standing_w), wanted_w)
    return Decision(Setpoint.exactly(wanted_w), wanted_w)

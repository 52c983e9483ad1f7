"""From what is known and what is followed to one set-point: a pure function.

A plan is energy: the power that is still owed over the time that is left, so that whatever load,
sun, ramps and the device's own ways did to the half hour so far, its energy comes out as planned. A
call comes on top, and so does its energy: the plan's is still owed beneath it.

A device gives a little more or less than it is told: losses between its terminals and its battery,
a scale that is not quite right. What share it gives is learned while a set-point stands, and told
for; else the last minutes of a half hour would have to make good what its first ones missed.

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

SETTLED = 15.0
"""So long after a set-point that is quite another one, in seconds, power counts as settled."""
LEARNED = 20
"""Readings in which most of a share is learned."""
FEWEST, MOST = 0.75, 1.25
"""Beyond these it is no share: the battery does not follow, or is near its end."""
LEAST_SHARE = 0.05
"""Of its rating: of a smaller power nothing is learned, and a smaller change is none."""


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
class Share:
    """What share of a set-point a battery gives, as learned so far."""

    value: float = 1.0
    told_w: int | None = None
    since: float = 0.0

    def learned(self, now: float, told_w: int | None, power_w: int, rating_w: int) -> Share:
        """Return the share after a reading; `told_w` is the one power that it holds, if any.

        >>> share = Share()
        >>> for second in range(1, 300):
        ...     share = share.learned(second, 10_000, 9_500, 15_000)
        >>> round(share.value, 2)
        0.95
        """
        least_w = LEAST_SHARE * rating_w
        if told_w is None or self.told_w is None or abs(told_w - self.told_w) > least_w:
            return Share(self.value, told_w, now)
        if abs(told_w) < least_w or now - self.since < SETTLED:
            return Share(self.value, told_w, self.since)
        step = (power_w / told_w - self.value) / LEARNED
        return Share(min(max(self.value + step, FEWEST), MOST), told_w, self.since)


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
    share: float = 1.0,
) -> Decision:
    """Return the set-point.

    `now` is in unix seconds; `before` is the set-point that stands, for `elapsed` seconds; of it
    the battery gives a `share`.
    """
    if duty.following is Following.STOP:
        return Decision(Setpoint.exactly(0), 0)
    room = room.narrowed(duty.limit_w)
    wanted_w, keep_w = _wanted(now, image, duty, ledger, tuning, share)
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


def short_wh(now: float, duty: Duty, ledger: Ledger, room: Room) -> float:
    """Return what of a half hour's planned and called energy can no longer be met, at least.

    Beyond the end of a call nothing is known: what it still asks for is left out.
    """
    if duty.plan_wh is None:
        return 0.0
    hours = max(ledger.end - now, 0.0) / 3600
    room = room.narrowed(duty.limit_w)
    owed_wh = duty.plan_wh + ledger.called_wh - ledger.delivered_wh
    return owed_wh - min(max(owed_wh, -room.charge_w * hours), room.discharge_w * hours)


def _wanted(
    now: float, image: Image, duty: Duty, ledger: Ledger | None, tuning: Tuning, share: float
) -> tuple[float | None, float]:
    """Return the power that is wanted, None to be on its own, and how far one may be from it."""
    if duty.power_w is not None:
        return duty.power_w + duty.call_w, 0.0
    if duty.plan_wh is not None and ledger is not None:
        left = max(ledger.end - now, 1.0)
        owed_wh = duty.plan_wh + ledger.called_wh - ledger.delivered_wh
        wanted_w = owed_wh * 3600 / left + duty.call_w
        return wanted_w / share, tuning.tolerance_wh * 3600 / left
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

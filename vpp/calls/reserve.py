"""What a site can give at call, by its state: never more than its power, its energy and its plan.

A site can be asked for no more than lies between what its battery is planned to do and the most
that it may do now, and for no longer than what it stores, or has room for, lasts. What is not
known counts as nothing.

Units: W, Wh; time in unix seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energy.units import SLOT_SECONDS
from vpp.calls.call import Direction, Step
from vpp.calls.room import Planned
from vpp.commands import Following, Report

UNFIT = (Following.OUT, Following.STOP, Following.OVERRIDE)
"""A site that follows one of these does not follow a call."""


@dataclass(frozen=True)
class Caution:
    """How far a state is trusted.

    A report older than `stale_seconds` says nothing any more. Of a battery, the part of its
    capacity below `floor` and above `ceiling` is left alone; of what goes in or out `efficiency`
    arrives.
    """

    stale_seconds: int = 60
    floor: float = 0.05
    ceiling: float = 1.0
    efficiency: float = 0.95


@dataclass(frozen=True)
class Headroom:
    """What a site can give beyond its plan: at most `power_w` in each of some steps, and
    `energy_wh` over all of them."""

    power_w: tuple[int, ...]
    energy_wh: int

    def level(self, steps: Sequence[Step]) -> int:
        """Return the power that it can give in all of the steps alike."""
        seconds = sum(step.ends_at - step.starts_at for step in steps)
        lasts = self.energy_wh * 3600 // seconds if seconds else 0
        return max(min(*self.power_w, lasts) if self.power_w else 0, 0)


def headroom(
    report: Report,
    direction: Direction,
    steps: Sequence[Step],
    now: int,
    planned: Planned,
    caution: Caution | None = None,
    gives_w: int = 0,
) -> Headroom:
    """Return what a site can give in some steps, as far as is known now.

    `gives_w` is what it gives a call already (signed): it is in its battery's power, and is to be
    given on.
    """
    caution = caution or Caution()
    nothing = Headroom((0,) * len(steps), 0)
    if report.following in UNFIT or now - report.at > caution.stale_seconds:
        return nothing
    if report.alarms and not gives_w:
        # Whoever serves already goes on with it: whether it gives what it should is watched.
        return nothing
    if report.stored_wh is None or not report.capacity_wh or not steps:
        return nothing
    most = report.discharge_w if direction is Direction.UP else report.charge_w
    sign = direction.sign
    base_w = (report.battery_w or 0) - gives_w
    by_step = [_planned_w(report.site, step, planned, base_w) for step in steps]
    power = tuple(max(most - max(sign * w for _, w in spans), 0) for spans in by_step)
    if direction is Direction.UP:
        held = report.stored_wh - caution.floor * report.capacity_wh
        energy = held * caution.efficiency
    else:
        energy = (caution.ceiling * report.capacity_wh - report.stored_wh) / caution.efficiency
    # What the plan takes is gone; what it would first have to bring in is not counted on.
    before = Step(now, steps[0].starts_at, 1) if steps[0].starts_at > now else None
    earlier = _planned_w(report.site, before, planned, base_w) if before else []
    for seconds, plan_w in [*earlier, *(span for spans in by_step for span in spans)]:
        energy -= max(sign * plan_w, 0) * seconds / 3600
    return Headroom(power, max(int(energy), 0))


def _planned_w(site: int, step: Step, planned: Planned, base_w: int) -> list[tuple[int, int]]:
    """Return the planned power in each half hour of a step, with its seconds; `base_w` where there
    is no plan."""
    found = []
    for slot in range(step.starts_at // SLOT_SECONDS, -(-step.ends_at // SLOT_SECONDS)):
        start, end = slot * SLOT_SECONDS, (slot + 1) * SLOT_SECONDS
        wh = planned(site, slot)
        watts = base_w if wh is None else wh * 3600 // SLOT_SECONDS
        found.append((min(end, step.ends_at) - max(start, step.starts_at), watts))
    return found


@dataclass(frozen=True)
class Offer:
    """What a site offers for a time, W."""

    site: int
    name: str
    municipality: str
    power_w: int


def offers(
    reports: Sequence[Report],
    direction: Direction,
    starts_at: int,
    seconds: int,
    now: int,
    planned: Planned,
    promised: frozenset[int] = frozenset(),
    caution: Caution | None = None,
) -> list[Offer]:
    """Return what each site can offer, alike for all of a time; `promised` sites offer nothing."""
    span = (Step(starts_at, starts_at + seconds, 1),)
    return [
        Offer(
            report.site,
            report.name,
            report.municipality,
            0
            if report.site in promised
            else headroom(report, direction, span, now, planned, caution).level(span),
        )
        for report in reports
    ]

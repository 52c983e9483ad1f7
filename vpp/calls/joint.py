"""A call split by cost: the fleet's day is planned again with it, from where the batteries are now.

The split has a few seconds. What it does not say in time goes by `vpp.calls.split` alone: sites
answer a call within its response time in any case.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from energy.errors import YuiError
from energy.units import SLOT_SECONDS
from vpp.calls.call import Call, Step
from vpp.commands import Report
from vpp.fleet.model import Fleet, Member
from vpp.fleet.split import split
from vpp.model import Battery, Wear

_log = logging.getLogger("yui.calls")

SECONDS = 3.0
_Part = TypeVar("_Part")


class JointSplit:
    """What a joint plan wants of the sites; `fleet` gives the newest problems, None if there are
    none. Its members are the sites of those names."""

    def __init__(
        self,
        fleet: Callable[[], Fleet | None],
        now: Callable[[], int],
        seconds: float = SECONDS,
    ) -> None:
        self._fleet = fleet
        self._now = now
        self._seconds = seconds

    async def __call__(
        self, call: Call, steps: Sequence[Step], reports: Sequence[Report]
    ) -> Mapping[int, tuple[int, ...]]:
        """Return what each site is to give in a call's steps, W; nothing where no plan says it."""
        fleet = self._fleet()
        if fleet is None:
            return {}
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.to_thread(
                    wanted_of, fleet, call, steps, reports, self._now() // SLOT_SECONDS
                )
        except (TimeoutError, YuiError) as error:
            _log.warning("call_unplanned call=%s reason=%r", call.name, str(error))
            return {}


def wanted_of(
    fleet: Fleet, call: Call, steps: Sequence[Step], reports: Sequence[Report], now_slot: int
) -> dict[int, tuple[int, ...]]:
    """Return what each site is to give in a call's steps at least cost, W without sign.

    Steps of different power are split each by itself; whoever uses the result sees to it that a
    battery's energy suffices for all of them. Sites that do not report are absent. A site that the
    plan would have go the other way, to sell what the others then spare, is asked for nothing.

    Raises:
        SettingError: if the fleet's slots do not reach the call.
        SiteUnsolved, NoJointPlan: if there is no plan at all.
    """
    now = as_of(fleet, now_slot, {report.name: report for report in reports})
    sites = {report.name: report.site for report in reports}
    absent = [member.name for member in now.members if member.name not in sites]
    given: dict[str, list[int]] = defaultdict(lambda: [0] * len(steps))
    sign = call.direction.sign
    by_power: dict[int, list[int]] = defaultdict(list)
    for number, step in enumerate(steps):
        by_power[step.power_w].append(number)
    for power_w, numbers in by_power.items():
        slots = {number: _slots(steps[number], now_slot) for number in numbers}
        called = sorted({slot for each in slots.values() for slot in each})
        kw = sign * power_w / 1000
        found = split(now, called, kw, absent=absent)
        for name, by_slot in found.by_site.items():
            for number in numbers:
                mean = np.mean([by_slot[called.index(slot)] for slot in slots[number]])
                given[name][number] = max(round(sign * float(mean) * 1000), 0)
    return {
        sites[name]: tuple(powers)
        for name, powers in given.items()
        if name in sites and any(powers)
    }


def as_of(fleet: Fleet, slot: int, reports: Mapping[str, Report]) -> Fleet:
    """Return a fleet from a slot on, its batteries holding what the sites report."""
    gone = max(slot - fleet.members[0].problem.first_slot, 0)

    def now(member: Member) -> Member:
        problem = _later(member.problem, gone, member.problem.slots)
        report = reports.get(member.name)
        held = None if report is None else report.stored_wh
        if held is not None and len(problem.batteries) == 1:
            problem = problem.with_batteries(_holding(problem.batteries[0], held / 1000))
        return replace(
            member, problem=replace(problem, first_slot=member.problem.first_slot + gone)
        )

    shared = {
        name: _later(getattr(fleet, name), gone, fleet.slots)
        for name in ("import_kw", "export_kw", "reserve_up", "reserve_down")
    }
    return replace(fleet, members=tuple(map(now, fleet.members)), **shared)


def _holding(battery: Battery, kwh: float) -> Battery:
    most = battery.capacity_kwh if battery.most_kwh is None else np.min(battery.most_kwh)
    least = np.max(battery.least_kwh)
    return replace(battery, initial_kwh=float(np.clip(kwh, least, most)))


def _slots(step: Step, first: int) -> list[int]:
    """Return the slots of a step, counted from a first one."""
    begin, end = step.starts_at // SLOT_SECONDS, -(-step.ends_at // SLOT_SECONDS)
    return [slot - first for slot in range(begin, end)]


def _later(part: _Part, gone: int, slots: int) -> _Part:
    """Return a part of a model without its first slots: of every series what is left."""
    found: Any = part
    if gone == 0 or isinstance(part, Wear):
        return part
    if isinstance(part, np.ndarray) and part.shape == (slots,):
        found = part[gone:]
    elif isinstance(part, tuple):
        found = tuple(_later(each, gone, slots) for each in part)
    elif is_dataclass(part) and not isinstance(part, type):
        changes = {
            each.name: _later(getattr(part, each.name), gone, slots)
            for each in fields(part)
            if each.init
        }
        found = replace(part, **changes)
    return found  # type: ignore[no-any-return]

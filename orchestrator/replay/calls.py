"""Balancing calls in a replay: who serves them is decided anew as each half hour begins.

A call is split as the control room splits it (`vpp.calls.split`): the fullest batteries first, by
what lies between each one's plan and what it may do, for as long as what it holds lasts. A battery
gives its share on top of what its steering told it, and stores no more than its own site's surplus.
As in the control room, a site serves one call at a time, those of the lowest priority first, and a
call of the opposite direction behind another rests.

What leaves a battery is positive. Energy in Wh, power in W, time in unix seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chain.files import write_whole
from energy.errors import SettingError
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY
from orchestrator.replay.asked import FILE, KEPT, asked_at
from orchestrator.steering.steering import Kept
from vpp.calls.call import Call, Direction, Step
from vpp.calls.document import to_json
from vpp.calls.reserve import Headroom
from vpp.calls.split import Candidate, by_charge, split
from vpp.commands import Following, Report

if TYPE_CHECKING:
    from orchestrator.replay.site import ReplayedSite


class Calls:
    """The calls of a replay, and what became of them."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.calls = sorted(calls, key=lambda call: call.starts_at)
        self._by_slot: dict[int, list[Call]] = {}
        for call in sorted(self.calls, key=lambda call: call.rank):
            for slot in call.slots:
                self._by_slot.setdefault(slot, []).append(call)
        self._shares: dict[tuple[str, int], int] = {}
        """By call and site: what it is asked for in the slot that runs."""
        self._kept: dict[str, dict[str, dict[int, list[int]]]] = {
            call.name: {what: {} for what in KEPT} for call in self.calls
        }

    def begin(self, slot: int, sites: Sequence[ReplayedSite]) -> None:
        """Say to each site what is wanted of it besides, in a slot that begins."""
        self._shares.clear()
        begins, ends = slot * SLOT_SECONDS, (slot + 1) * SLOT_SECONDS
        free = [site for site in sites if site.size]
        first: Call | None = None
        for call in self._by_slot.get(slot, ()):
            if call.received_at > begins or (first and call.direction is not first.direction):
                continue
            first = first or call
            steps = list(_half_hours(call.steps_from(begins)))
            costs = by_charge(call, steps, [_report(site, begins) for site in free])
            found = split(
                steps,
                [
                    Candidate(
                        site.site.number,
                        headroom_of(site, call.direction, steps),
                        costs[site.site.number],
                    )
                    for site in free
                ],
            )
            for site in list(free):
                powers = found.shares.get(site.site.number)
                if powers is None:
                    continue
                energy = sum(
                    replace(step, power_w=power).wh_in(begins, ends)
                    for step, power in zip(steps, powers, strict=True)
                )
                site.called_wh = call.direction.sign * energy
                self._shares[call.name, site.site.number] = energy
                free.remove(site)

    def read(self, slot: int, sites: Iterable[ReplayedSite]) -> None:
        """Note what sites did in a slot that is over."""
        for call in self._by_slot.get(slot, ()):
            at, kept = slot - call.slots.start, self._kept[call.name]
            for site in sites:
                if not site.size:
                    continue
                number = site.site.number
                asked = self._shares.get((call.name, number), 0)
                reading = site.readings[slot]
                more = reading.discharged - reading.charged - site.told_wh
                given = more * call.direction.sign if asked else 0
                for what, value in zip(KEPT, (asked, site.told_wh, given), strict=True):
                    kept[what].setdefault(number, [0] * len(call.slots))[at] = value

    def keeps(self, sites: Sequence[ReplayedSite], number: int, slot: int) -> Kept | None:
        """Return what the calls known of when a slot begins want of a site's battery."""
        sizes = {site.site.number: site.size.capacity_wh for site in sites if site.size}
        return kept_for(self.calls, sizes, number, slot)

    def to_json(self) -> list[dict[str, Any]]:
        """Return each call with what was asked of each site that served it, what its battery would
        have done without it, and by how much that was exceeded: Wh a half hour."""
        found = []
        for call in self.calls:
            kept = self._kept[call.name]
            served = [site for site, asked in sorted(kept["shares"].items()) if any(asked)]
            found.append(
                {**to_json(call)}
                | {what: {str(site): kept[what][site] for site in served} for what in KEPT}
            )
        return found

    def write(self, folder: Path) -> None:
        """Leave in a folder what became of the calls so far; a kill leaves the old file or the
        new one."""
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        write_whole(folder / FILE, text)

    def go_on(self, folder: Path) -> None:
        """Know again what the folder says became of them.

        Raises:
            SettingError: if it does not say it.
        """
        file = folder / FILE
        for one in asked_at(file):
            if one.shares is None:
                raise SettingError(
                    f"{file} must say what became of the calls so far, got none of {one.call.name}"
                )
            if one.call.name not in self._kept:
                raise SettingError(f"{file} must hold this replay's calls, got {one.call.name}")
            said = one.shares, one.planned, one.given
            for what, known in zip(KEPT, said, strict=True):
                self._kept[one.call.name][what] = {
                    site: list(values) for site, values in known.items()
                }


def kept_for(
    calls: Iterable[Call], sizes: Mapping[int, int], number: int, slot: int
) -> Kept | None:
    """Return what the calls known of when a slot begins want of a site's battery: of the upward
    ones, by its part of all that batteries hold (`sizes`, Wh by site).

    What is to be left is wanted to the end: what a call takes is in no plan.
    """
    span = range(slot, slot + SLOTS_PER_DAY)
    known = [
        call
        for call in calls
        if call.direction is Direction.UP
        and call.received_at <= slot * SLOT_SECONDS
        and call.touches(span)
    ]
    if not known or number not in sizes:
        return None
    left, free = [0] * SLOTS_PER_DAY, [0] * SLOTS_PER_DAY
    for call in known:

        def part(energy: int) -> int:
            return energy * sizes[number] // sum(sizes.values())

        asked = part(call.asked_wh(slot * SLOT_SECONDS, call.ends_at))
        for place, at in enumerate(span):
            if at >= call.slots.start - 1:
                left[place] = min(left[place] + asked, sizes[number])
            free[place] += part(call.asked_wh(at * SLOT_SECONDS, (at + 1) * SLOT_SECONDS))
    return Kept(left, free)


def headroom_of(site: ReplayedSite, direction: Direction, steps: Sequence[Step]) -> Headroom:
    """Return what a site's battery can give in half hours to come beyond what is planned for it.

    Downward it gives less out, and stores its site's surplus, as forecast: nothing from the
    network. What the plan takes is gone; what it would first have to bring in is not counted on.
    """
    size = site.size
    assert size is not None
    power, planned = [], 0
    room = (size.capacity_wh - site.available_wh) * 1000 // size.efficiency
    for step in steps:
        slot = step.starts_at // SLOT_SECONDS
        seconds = step.ends_at - step.starts_at
        plan_wh = site.steering.planned(slot)
        if direction is Direction.UP:
            free_wh = size.slot_limit_wh - plan_wh
            planned += max(plan_wh, 0) * seconds // SLOT_SECONDS
        else:
            surplus = max(site.history.generation(slot) - site.history.load(slot), 0)
            free_wh = plan_wh + min(surplus, size.slot_limit_wh)
            planned -= plan_wh * seconds // SLOT_SECONDS
        power.append(max(free_wh, 0) * 3600 // SLOT_SECONDS)
    held = site.available_wh if direction is Direction.UP else room
    return Headroom(tuple(power), max(held - planned, 0))


def _half_hours(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        at = step.starts_at
        while at < step.ends_at:
            end = min((at // SLOT_SECONDS + 1) * SLOT_SECONDS, step.ends_at)
            yield Step(at, end, step.power_w)
            at = end


def _report(site: ReplayedSite, now: int) -> Report:
    """Return how a site stands, as far as a replay knows."""
    size = site.size
    assert size is not None
    return Report(
        site=site.site.number,
        name=site.site.name,
        municipality=site.site.region,
        kind="pv+battery",
        at=now,
        following=Following.PLAN,
        stored_wh=site.available_wh,
        capacity_wh=size.capacity_wh,
    )

"""Calls split by the cost of the joint plan, and told to the sites that it wants."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from typing import cast

import numpy as np
import pytest

from energy.errors import SettingError
from energy.units import SLOT_SECONDS
from orchestrator.setting.fleet import synthetic
from tests.steered import Battery, Clock, MemoryRoom
from vpp.calls.call import Call, Direction, Step
from vpp.calls.desk import Desk
from vpp.calls.joint import JointSplit, as_of, wanted_of
from vpp.calls.store import CallStore
from vpp.fleet.split import split

FLEET = synthetic(12, date(2019, 6, 4), seed=3)
FIRST = FLEET.members[0].problem.first_slot
NOW_SLOT = FIRST + 30
START = (FIRST + 34) * SLOT_SECONDS
"""17:00, two hours after now."""


class Hall:
    def __init__(self):
        self.clock = Clock(NOW_SLOT * SLOT_SECONDS)
        self.sites = []
        for number, member in enumerate(FLEET.members):
            battery = member.problem.batteries[0]
            made = Battery(
                number,
                self.clock,
                stored_wh=round(battery.capacity_kwh * 600),
                capacity_wh=round(battery.capacity_kwh * 1000),
                rated_w=round(float(np.max(battery.discharge_kw)) * 1000),
            )
            self.sites.append(Named(made, member.name))
        self.room = MemoryRoom([])
        self.room.sites = {site.site: cast(Battery, site) for site in self.sites}


class Named:
    """A battery under the name that the fleet knows it by."""

    def __init__(self, battery, name):
        self._battery, self.name = battery, name

    def __getattr__(self, name):
        return getattr(self._battery, name)

    def report(self):
        return replace(self._battery.report(), name=self.name)


def a_call(kw=20, direction=Direction.UP, hours=1):
    steps = (Step(START, START + hours * 3600, kw * 1000),)
    return Call("c1", direction, steps, NOW_SLOT * SLOT_SECONDS)


def test_a_fleet_as_of_now_begins_now_with_what_batteries_hold():
    hall = Hall()
    now = as_of(FLEET, NOW_SLOT, {each.name: each for each in hall.room.states()})
    assert now.slots == FLEET.slots - 30
    for before, after in zip(FLEET.members, now.members, strict=True):
        assert after.problem.first_slot == NOW_SLOT
        assert np.array_equal(after.problem.load_kwh, np.asarray(before.problem.load_kwh)[30:])
        battery = before.problem.batteries[0]
        assert after.problem.batteries[0].initial_kwh == pytest.approx(
            0.6 * battery.capacity_kwh, abs=1e-3
        )


def test_who_gives_what_is_what_the_joint_plan_says():
    hall = Hall()
    reports = hall.room.states()
    call = a_call()
    wanted = wanted_of(FLEET, call, call.steps, reports, NOW_SLOT)
    now = as_of(FLEET, NOW_SLOT, {each.name: each for each in reports})
    found = split(now, [4, 5], 20.0)
    assert sum(powers[0] for powers in wanted.values()) >= 20_000 - 20
    for number, name in enumerate(found.names):
        mean = max(float(np.mean(found.by_site[name])), 0.0)
        assert wanted.get(number, (0,))[0] == pytest.approx(mean * 1000, abs=1)


def test_the_desk_tells_the_sites_that_the_plan_wants(tmp_path):
    hall = Hall()
    joint = JointSplit(lambda: FLEET, lambda: int(hall.clock()), seconds=60)
    store = CallStore.at(str(tmp_path / "calls.sqlite"), durable=False)

    async def day():
        desk = Desk(store, hall.room, lambda site, slot: 0, wanted=joint, clock=hall.clock)
        await desk.receive(a_call())
        await desk.round()
        await desk.teller.idle()

    asyncio.run(day())
    call = store.call("c1").call
    wanted = wanted_of(FLEET, call, call.steps, hall.room.states(), NOW_SLOT)
    shares = {share.site: share.power_w for share in store.shares("c1")}
    assert sum(shares.values()) == 20_000
    # Only sites that the plan wants, none with more than it wants.
    assert all(power <= wanted[site][0] for site, power in shares.items())
    assert len(shares) > 3


def test_a_site_that_does_not_report_is_left_out():
    hall = Hall()
    reports = hall.room.states()[1:]
    call = a_call()
    assert 0 not in wanted_of(FLEET, call, call.steps, reports, NOW_SLOT)


def test_steps_of_different_power_are_split_each():
    hall = Hall()
    half = START + SLOT_SECONDS
    steps = (Step(START, half, 30_000), Step(half, half + SLOT_SECONDS, 10_000))
    call = Call("c1", Direction.DOWN, steps, 0)
    wanted = wanted_of(FLEET, call, steps, hall.room.states(), NOW_SLOT)
    sums = np.sum(list(wanted.values()), axis=0)
    assert all(sums >= [30_000 - 20, 10_000 - 20])


def test_a_plan_that_is_late_or_does_not_reach_the_call_is_done_without():
    hall = Hall()
    call = a_call()
    reports = hall.room.states()

    async def ask(fleet, seconds, asked):
        joint = JointSplit(lambda: fleet, lambda: int(hall.clock()), seconds)
        return await joint(asked, asked.steps, reports)

    assert asyncio.run(ask(None, 60, call)) == {}
    assert asyncio.run(ask(FLEET, 0.001, call)) == {}
    late = Call("c1", Direction.UP, (Step(START + 86_400, START + 90_000, 1000),), 0)
    assert asyncio.run(ask(FLEET, 60, late)) == {}
    with pytest.raises(SettingError, match="a call must be for slots from 0 to"):
        wanted_of(FLEET, late, late.steps, reports, NOW_SLOT)

"""Half hours that a battery follows second by second over Modbus, with noise in load and sun.

A simulated site (44 kWh, 15 kW, 1 kW/s) on a clock of its own, its meter, inverter and battery
read and commanded over real Modbus TCP in a cycle a second. Each half hour's energy, by the
plant's own counters, is held against what was planned and called. The plans are random within what
power and state of charge allow; YUI_DISPATCH_SLOTS says how many half hours (8). Times are of the
processor: the simulated devices' share is in them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from statistics import mean

from bench.figures import Figure
from energy.units import SLOT_SECONDS
from field.modbus import Line, Tcp
from oracle.plant import Battery
from oracle.simulator import BATTERY, INVERTER, METER, SECOND_PARTS, SiteSimulator
from oracle.weather import clear_sky, gusts, office
from vpp.commands import Action, Instruction
from vpp.dispatch.instruments import Instruments
from vpp.dispatch.limits import OwnerLimits
from vpp.dispatch.site import Place, SiteDispatch
from vpp.dispatch.store import Store
from vpp.dispatch.sunspec import ACTIVE, STORAGE, SunSpecBattery, SunSpecPower

SLOTS = 8
SEED = 1
FIRST = 866_448 + 4
"""11:00 on 4 June 2019: sun and load are both there."""
SIZE = Battery(44_000, 15_000, initial_wh=22_000, ramp_w=1_000)
MOST_SHARE = 0.01
MOST_WH = 50
CALL_W = 5_000
CALL_SECONDS = 900
"""A call begins five minutes into the last half hour but one."""


@dataclass(frozen=True)
class Followed:
    """What came of some half hours: Wh planned, called and delivered; how it was done."""

    halves: list[tuple[int, float, float]]
    commands: int
    steepest_w: int
    answered_seconds: float
    cycles: int
    processor_seconds: float


def figures() -> list[Figure]:
    """Measure all."""
    slots = int(os.environ.get("YUI_DISPATCH_SLOTS", SLOTS))
    found: list[Figure] = []
    for control in (STORAGE, ACTIVE):
        found += _figures(control, asyncio.run(followed(control, slots)))
    return found


def _figures(control: int, done: Followed) -> Iterator[Figure]:
    name = f"model {control}"
    missed = [abs(given - planned - called) for planned, called, given in done.halves]
    allowed = [max(MOST_WH, MOST_SHARE * abs(p + c)) for p, c, _ in done.halves]
    shares = [100 * miss / most for miss, most in zip(missed, allowed, strict=True)]
    yield Figure(f"{name}: half hours", len(missed), "count")
    yield Figure(f"{name}: worst half hour, of what 1 % or 50 Wh allow", max(shares), "%", 100)
    yield Figure(f"{name}: worst half hour", max(missed), "Wh")
    yield Figure(f"{name}: mean half hour", mean(missed), "Wh")
    hours = len(missed) / 2
    yield Figure(f"{name}: commands an hour", done.commands / hours, "count")
    yield Figure(f"{name}: steepest change in a second", done.steepest_w, "W")
    yield Figure(f"{name}: call to first change of power", done.answered_seconds, "s", 5)
    each = 1000 * done.processor_seconds / done.cycles
    yield Figure(f"{name}: processor time of a cycle", each, "ms")


async def followed(control: int, slots: int) -> Followed:
    """Let a battery follow random half hours, and a call in one of them."""
    start = FIRST * SLOT_SECONDS
    site = SiteSimulator(
        office(20_000),
        clear_sky(40_000),
        SIZE,
        start_seconds=start,
        parts=SECOND_PARTS,
        noise=gusts(SEED),
        controlled_by=(control,),
    )
    async with site:
        line = Line(Tcp("127.0.0.1", site.port), retries=0)

        def now() -> float:
            return float(site.plant.time_seconds)

        dispatch = SiteDispatch(
            Place(0),
            Instruments(
                SunSpecBattery(line, BATTERY),
                SunSpecPower(line, METER, SunSpecPower.METER),
                SunSpecPower(line, INVERTER, SunSpecPower.INVERTER),
            ),
            OwnerLimits(SIZE.power_w, SIZE.power_w),
            Store(":memory:"),
            clock=now,
            monotonic=now,
        )
        plan = _plan(slots)
        end = start + slots * SLOT_SECONDS
        await dispatch.give(Instruction(0, 1, Action.PLAN, start, end, end, plan_wh=plan))
        called_at = end - 2 * SLOT_SECONDS + 300
        steepest, changed_at, last_w = 0, 0.0, 0
        halves, before = [], _net(site)
        begun = time.process_time()
        for second in range(slots * SLOT_SECONDS):
            if start + second == called_at:
                until = called_at + CALL_SECONDS
                call = Instruction(
                    0, 2, Action.CALL, called_at, until, until, power_w=CALL_W, call="bench"
                )
                await dispatch.give(call)
                called_from_w = last_w
            site.advance(start + second + 1)
            await dispatch.cycle()
            power_w = site.plant.power_w(site.plant.last.discharged - site.plant.last.charged)
            steepest, last_w = max(steepest, abs(power_w - last_w)), power_w
            if now() > called_at and not changed_at and power_w > called_from_w + 250:
                changed_at = now()
            if (second + 1) % SLOT_SECONDS == 0:
                number, net = second // SLOT_SECONDS, _net(site)
                called = CALL_W * CALL_SECONDS / 3600 if number == slots - 2 else 0.0
                halves.append((plan[number], called, net - before))
                before = net
        spent = time.process_time() - begun
        line.close()
    commands = dispatch.hand.commands
    return Followed(halves, commands, steepest, changed_at - called_at, slots * SLOT_SECONDS, spent)


def _plan(slots: int) -> tuple[int, ...]:
    """Random half hours that leave room for the call and keep the battery from its ends."""
    random, held, plan = Random(SEED), float(SIZE.initial_wh), []
    for _ in range(slots):
        energy = random.choice([0, *range(-5_000, 5_001, 250)])
        after = held - energy if energy > 0 else held - energy * SIZE.efficiency / 1000
        if not 6_000 < after < 38_000:
            energy = -energy
        held -= energy if energy > 0 else energy * SIZE.efficiency / 1000
        plan.append(energy)
    return tuple(plan)


def _net(site: SiteSimulator) -> float:
    """What left the battery so far, by the plant, in Wh."""
    counters = site.plant.counters
    return (counters.discharged - counters.charged) / site.plant.parts

"""Dispatch of a simulated battery over real Modbus TCP, second by second on a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from energy.units import SLOT_SECONDS
from field.modbus import Line, Tcp
from field.sunspec import MODELS
from oracle.plant import Battery
from oracle.simulator import BATTERY, INVERTER, METER, SECOND_PARTS, Fault, SiteSimulator
from oracle.weather import gusts
from vpp.commands import Action, Following, Instruction
from vpp.dispatch.controller import Tuning
from vpp.dispatch.hand import Rhythm
from vpp.dispatch.instruments import Instruments
from vpp.dispatch.limits import OwnerLimits
from vpp.dispatch.site import Place, SiteDispatch, Watch
from vpp.dispatch.standing import Override
from vpp.dispatch.store import Owner, Store
from vpp.dispatch.sunspec import ACTIVE, STORAGE, SunSpecBattery, SunSpecPower
from vpp.dispatch.trust import Patience

START = 1_000 * SLOT_SECONDS
KESENNUMA = Battery(44_000, 15_000, initial_wh=22_000)
LIMITS = OwnerLimits(15_000, 15_000)
NEVER = 2**40


@dataclass
class Stand:
    """A site with its dispatch, whose seconds pass when they are told to."""

    site: Recorded
    limits: OwnerLimits = LIMITS
    tuning: Tuning = field(default_factory=Tuning)
    rhythm: Rhythm = field(default_factory=Rhythm)
    patience: Patience = field(default_factory=Patience)
    state: Path | str = ":memory:"
    control: int | None = None

    def connect(self) -> None:
        """Begin a dispatch on what is on disk, as a new process does."""
        self.line = Line(Tcp("127.0.0.1", self.site.port), timeout_seconds=0.2, retries=0)
        self.store = Store(self.state)
        self.dispatch = SiteDispatch(
            Place(0, "Kesennuma", "Kesennuma", "pv+battery"),
            Instruments(
                SunSpecBattery(
                    self.line,
                    BATTERY,
                    control=self.control,
                    grid_charging=self.limits.grid_charging,
                ),
                SunSpecPower(self.line, METER, SunSpecPower.METER),
                SunSpecPower(self.line, INVERTER, SunSpecPower.INVERTER),
            ),
            self.limits,
            self.store,
            tuning=self.tuning,
            rhythm=self.rhythm,
            patience=self.patience,
            clock=lambda: float(self.now),
            monotonic=lambda: float(self.now),
        )

    def hang_up(self) -> None:
        """End the dispatch without a word, as a killed process does."""
        self.line.close()
        self.store.close()

    @property
    def now(self) -> int:
        return self.site.plant.time_seconds

    @property
    def battery_w(self) -> int:
        """What leaves the battery, by the plant."""
        plant = self.site.plant
        return plant.power_w(plant.last.discharged - plant.last.charged)

    async def run(self, seconds: int, every: int = 1) -> None:
        """Let seconds pass, with a cycle after each `every` of them."""
        for _ in range(0, seconds, every):
            self.site.advance(self.now + every)
            await self.dispatch.cycle()

    async def told(self, action: Action, **more: Any) -> str:
        """Give an instruction for the next hour; return why it was refused."""
        values: dict[str, Any] = {
            "site": 0,
            "sequence": self.dispatch.standing.sequence + 1,
            "starts_at": self.now,
            "ends_at": self.now + 3600,
            "expires_at": self.now + 30,
            **more,
        }
        return (await self.dispatch.give(Instruction(action=action, **values))).refused

    async def planned(self, *plan_wh: int) -> None:
        """Take a plan from this half hour on."""
        start = self.now - self.now % SLOT_SECONDS
        end = start + len(plan_wh) * SLOT_SECONDS
        assert not await self.told(Action.PLAN, starts_at=start, ends_at=end, plan_wh=plan_wh)

    def following(self) -> Following:
        return self.dispatch.report().following

    def alarms(self) -> set[str]:
        return {alarm.partition(":")[0] for alarm in self.dispatch.report().alarms}


class Recorded(SiteSimulator):
    """A site that remembers what was written to its battery, and when."""

    def __init__(self, *values: Any, **more: Any) -> None:
        super().__init__(*values, **more)
        self.writes: list[tuple[int, int, int]] = []

    def _written(self, unit: int, address: int, words: list[int]) -> Any:
        self.writes.append((self.plant.time_seconds, address, len(words)))
        return super()._written(unit, address, words)


def simulated(kind: type[Recorded] = Recorded, **more: Any) -> Recorded:
    values: dict[str, Any] = {
        "load": lambda _: 4_000,
        "generation": lambda _: 3_000,
        "battery": KESENNUMA,
        "start_seconds": START,
        "parts": SECOND_PARTS,
        **more,
    }
    load, generation, battery = (values.pop(name) for name in ("load", "generation", "battery"))
    return kind(load, generation, battery, **values)


def play(
    scene: Callable[[Stand], Awaitable[None]], site: Recorded | None = None, **more: Any
) -> None:
    """Play a scene at a stand."""

    async def played() -> None:
        stand = Stand(site or simulated(), **more)
        async with stand.site:
            stand.connect()
            try:
                await stand.dispatch.cycle()
                await scene(stand)
            finally:
                stand.hang_up()

    asyncio.run(played())


# What is followed.


@pytest.mark.parametrize("control", [STORAGE, ACTIVE])
def test_a_half_hours_energy_is_as_planned_whatever_load_and_sun_and_ramp_do(control: int):
    async def scene(stand: Stand) -> None:
        await stand.planned(3_000, -4_000)
        await stand.run(2 * SLOT_SECONDS + 5, every=5)
        first, second = stand.store.slots()
        assert (first.planned_wh, second.planned_wh) == (3_000, -4_000)
        assert first.known
        for result in (first, second):
            assert result.missed_wh is not None
            assert abs(result.missed_wh) < 10
        flows = stand.site.plant.counters_wh
        assert flows.discharged - 100_000 == pytest.approx(3_000, abs=10)
        assert flows.charged - 100_000 == pytest.approx(4_000, abs=25)

    play(
        scene,
        simulated(battery=replace(KESENNUMA, ramp_w=500), noise=gusts(1), controlled_by=(control,)),
    )


class Lossy(Recorded):
    """A site whose battery gives nine tenths of what it is told."""

    def _step(self, seconds: int, load: int, generation: int) -> None:
        told = self.controls
        charge, discharge = int(told.charge_rate * 0.9), int(told.discharge_rate * 0.9)
        self.controls = replace(told, charge_rate=charge, discharge_rate=discharge)
        super()._step(seconds, load, generation)
        charge, discharge = told.charge_rate, told.discharge_rate
        self.controls = replace(self.controls, charge_rate=charge, discharge_rate=discharge)


def test_a_battery_that_loses_a_tenth_is_told_more_in_time():
    async def scene(stand: Stand) -> None:
        await stand.planned(6_500)
        await stand.run(SLOT_SECONDS + 5, every=5)
        (result,) = stand.store.slots()
        assert abs(result.missed_wh or 99) < 20
        assert stand.dispatch.share.value == pytest.approx(0.9, abs=0.01)

    play(scene, simulated(Lossy))


def test_what_was_missed_in_a_half_hour_is_made_good_within_it():
    async def scene(stand: Stand) -> None:
        await stand.planned(3_000)
        stand.dispatch.take_over(Owner(override=Override(0, START + 900)))
        await stand.run(895, every=5)
        assert stand.following() is Following.OVERRIDE
        assert stand.dispatch.ledger is not None
        assert abs(stand.dispatch.ledger.delivered_wh) < 20
        await stand.run(15)
        assert stand.battery_w == pytest.approx(12_000, rel=0.02), "twice as much, half as long"
        await stand.run(900, every=5)
        (result,) = stand.store.slots()
        assert abs(result.missed_wh or 99) < 10

    play(scene)


def test_a_call_comes_on_top_of_the_plan_and_so_does_its_energy():
    async def scene(stand: Stand) -> None:
        await stand.planned(1_000, 1_000)
        await stand.run(300, every=5)
        assert stand.battery_w == pytest.approx(2_000, abs=100)
        await stand.told(
            Action.CALL, power_w=6_000, call="C1", starts_at=START + 600, ends_at=START + 1200
        )
        await stand.run(400, every=5)
        assert stand.following() is Following.CALL
        assert stand.dispatch.report().call == "C1"
        answer = stand.dispatch.answer_of(stand.dispatch.standing.sequence)
        assert answer is not None
        assert answer.changed_at is not None
        assert START + 600 < answer.changed_at <= START + 610
        assert stand.battery_w == pytest.approx(8_000, abs=100)
        await stand.run(1_105, every=5)
        (result,) = stand.store.slots()
        assert result.called_wh == pytest.approx(1_000, abs=20)
        assert abs(result.missed_wh or 99) < 10
        assert stand.battery_w == pytest.approx(2_000, abs=100)

    play(scene)


def test_a_call_without_a_plan_is_relative_to_self_consumption():
    async def scene(stand: Stand) -> None:
        await stand.run(3)
        assert stand.battery_w == 2_000, "load 8 kW, sun 6 kW"
        await stand.told(Action.CALL, power_w=3_000, call="C2")
        await stand.run(5)
        assert stand.battery_w == pytest.approx(5_000, abs=100)

    play(scene)


def test_of_all_that_was_told_the_first_in_order_is_followed():
    async def scene(stand: Stand) -> None:
        seen = []

        async def see() -> None:
            await stand.run(4)
            seen.append((stand.following(), stand.battery_w))

        await see()
        await stand.planned(2_000)
        await see()
        await stand.told(Action.CHARGE, power_w=3_000)
        await see()
        await stand.told(Action.CALL, power_w=1_000, call="C")
        await see()
        stand.dispatch.take_over(Owner(override=Override(500)))
        await see()
        await stand.told(Action.STOP)
        await see()
        await stand.told(Action.RESUME)
        await see()
        stand.dispatch.take_over(Owner())
        await see()
        expected = [
            (Following.SELF, 2_000),
            (Following.PLAN, 4_000),
            (Following.COMMAND, -3_000),
            (Following.CALL, -2_000),
            (Following.OVERRIDE, 500),
            (Following.STOP, 0),
            (Following.OVERRIDE, 500),
        ]
        for (following, power_w), (wanted, wanted_w) in zip(seen[:7], expected, strict=True):
            assert following is wanted
            assert power_w == pytest.approx(wanted_w, abs=100), wanted
        assert seen[7][0] is Following.PLAN, "resumed, the plan is left"

    play(scene)


@pytest.mark.parametrize("control", [STORAGE, ACTIVE])
def test_a_limit_narrows_what_is_followed_and_self_consumption_too(control: int):
    async def scene(stand: Stand) -> None:
        await stand.told(Action.LIMIT, power_w=1_500)
        await stand.run(6)
        assert stand.following() is Following.SELF
        assert stand.battery_w == pytest.approx(1_500, abs=2)
        await stand.told(Action.CHARGE, power_w=9_000)
        await stand.run(4)
        assert stand.battery_w == pytest.approx(-1_500, abs=2)

    play(scene, simulated(controlled_by=(control,)))


def test_a_set_point_changes_no_faster_than_the_ramp_but_for_a_stop():
    async def scene(stand: Stand) -> None:
        await stand.told(Action.DISCHARGE, power_w=10_000)
        powers = []
        for _ in range(12):
            await stand.run(1)
            powers.append(stand.battery_w)
        assert all(b - a <= 2 * 1_000 + 2 for a, b in pairwise(powers))
        await stand.run(12)
        assert stand.battery_w == pytest.approx(10_000, abs=2)
        await stand.told(Action.STOP)
        await stand.run(2)
        assert stand.battery_w == 0

    play(scene, tuning=Tuning(ramp_w=1_000))


def test_the_owners_window_of_the_state_of_charge_bounds_what_is_told():
    async def scene(stand: Stand) -> None:
        await stand.told(Action.DISCHARGE, power_w=15_000, ends_at=START + 7200)
        await stand.run(3_000, every=5)
        assert stand.site.plant.stored_wh == pytest.approx(17_600, abs=60)
        assert stand.battery_w == 0
        assert stand.dispatch.report().discharge_w == 0
        assert stand.dispatch.report().charge_w == 15_000

    play(scene, limits=replace(LIMITS, least_percent=40))


def test_a_half_hour_that_will_be_missed_is_told_while_it_lasts():
    async def scene(stand: Stand) -> None:
        await stand.planned(7_500)
        stand.dispatch.take_over(Owner(override=Override(0, START + 600)))
        await stand.run(590, every=5)
        assert stand.alarms() == set()
        await stand.run(20, every=5)
        assert stand.alarms() == {"short"}
        assert "will be missed by 2499 Wh" in str(stand.dispatch.report().alarms)
        assert stand.battery_w == pytest.approx(15_000, abs=2), "all that can be is given"

    play(scene)


def test_a_clock_that_is_set_costs_the_half_hour_nothing():
    async def scene(stand: Stand) -> None:
        await stand.planned(3_000)
        await stand.run(600, every=5)
        ahead = 60
        stand.dispatch.clock = lambda: float(stand.now + ahead)
        await stand.run(SLOT_SECONDS - 600 - ahead + 5, every=5)
        (result,) = stand.store.slots()
        assert abs(result.missed_wh or 99) < 15

    play(scene)


@pytest.mark.parametrize("control", [STORAGE, ACTIVE])
def test_where_the_network_may_not_charge_only_the_surplus_does(control: int):
    async def scene(stand: Stand) -> None:
        await stand.told(Action.CHARGE, power_w=9_000)
        await stand.run(6)
        assert stand.battery_w == pytest.approx(-4_000, abs=2), "sun 12 kW, load 8 kW"

    site = simulated(generation=lambda _: 6_000, controlled_by=(control,))
    play(scene, site, limits=replace(LIMITS, grid_charging=False))


# The dead man's switch.


@pytest.mark.parametrize("control", [STORAGE, ACTIVE])
def test_killed_it_leaves_the_battery_to_itself_within_the_revert_time(control: int):
    async def scene(stand: Stand) -> None:
        await stand.planned(-5_000)
        await stand.run(100)
        assert stand.battery_w == pytest.approx(-10_000, abs=50)
        stand.hang_up()
        stand.site.advance(stand.now + 61)
        assert stand.battery_w == pytest.approx(2_000, abs=2), "self-consumption"
        stand.connect()

    play(scene, simulated(controlled_by=(control,)))


@pytest.mark.parametrize("before", [Action.HOLD, Action.DISCHARGE])
def test_a_stop_outlives_whoever_gave_it(before: Action, tmp_path: Path):
    async def scene(stand: Stand) -> None:
        await stand.told(before, power_w=5_000 if before is Action.DISCHARGE else 0)
        await stand.run(5)
        await stand.told(Action.STOP)
        await stand.run(2)
        stand.hang_up()
        stand.site.advance(stand.now + 86_400)
        assert stand.site.plant.last.discharged == 0
        stand.connect()
        await stand.run(5)
        assert stand.following() is Following.STOP
        await stand.told(Action.RESUME)
        await stand.run(5)
        assert stand.battery_w == pytest.approx(2_000, abs=2)

    play(scene, state=tmp_path / "state.sqlite")


def test_killed_in_a_half_hour_it_goes_on_with_what_is_owed(tmp_path: Path):
    async def scene(stand: Stand) -> None:
        await stand.planned(3_000)
        await stand.run(700, every=5)
        stand.hang_up()
        stand.site.advance(stand.now + 300)
        stand.connect()
        await stand.run(SLOT_SECONDS - 1_000 + 5, every=5)
        (result,) = stand.store.slots()
        assert result.delivered_wh == pytest.approx(3_000, abs=15)
        flows = stand.site.plant.counters_wh
        assert flows.discharged - flows.charged == pytest.approx(3_000, abs=20), "by the plant"

    play(scene, state=tmp_path / "state.sqlite")


def test_a_set_point_is_renewed_at_half_the_devices_time_and_no_more():
    async def scene(stand: Stand) -> None:
        await stand.told(Action.DISCHARGE, power_w=5_000)
        await stand.run(10)
        site = stand.site
        site.writes.clear()
        await stand.run(600)
        pairs = [at for at, _, _ in site.writes]
        assert len(pairs) == 20
        assert {b - a for a, b in pairwise(pairs)} == {30}

    play(scene)


def test_it_never_writes_faster_than_the_device_stands():
    async def scene(stand: Stand) -> None:
        site = stand.site
        for number in range(40):
            await stand.told(Action.DISCHARGE, power_w=1_000 + 200 * number)
            await stand.run(1)
        seconds = sorted({at for at, _, _ in site.writes})
        assert all(b - a >= 10 for a, b in pairwise(seconds)), seconds
        await stand.told(Action.STOP)
        await stand.run(1)
        assert stand.battery_w == 0 or site.controls.charge_rate == 0, "a stop does not wait"

    play(scene, rhythm=Rhythm(60, 10.0))


def test_both_rates_of_model_124_are_written_in_one_message():
    async def scene(stand: Stand) -> None:
        await stand.told(Action.DISCHARGE, power_w=5_000)
        await stand.run(1)
        site = stand.site
        begin = 40_000 + 2 + 2 + MODELS[1].length
        pair = begin + MODELS[124].points["OutWRte"].offset
        assert [count for _, address, count in site.writes if address == pair] == [2]

    play(scene)


# Who is no longer heard.


@pytest.mark.parametrize("name", ["link", "chain"])
def test_without_link_or_chain_the_battery_is_left_to_itself(name: str):
    async def scene(stand: Stand) -> None:
        await stand.planned(-5_000)
        stand.dispatch.watches[name] = Watch(60, stand.now)
        await stand.run(50)
        assert stand.following() is Following.PLAN
        await stand.run(15)
        assert stand.following() is Following.SELF
        assert f"{name}-lost" in stand.alarms()
        assert stand.battery_w == pytest.approx(2_000, abs=2)
        stand.dispatch.heard(name)
        await stand.run(3)
        assert stand.following() is Following.PLAN
        assert stand.alarms() == set()

    play(scene)


def test_at_the_end_of_the_plan_it_is_left_to_itself():
    async def scene(stand: Stand) -> None:
        await stand.planned(-5_000)
        await stand.run(SLOT_SECONDS + 5, every=5)
        assert stand.following() is Following.SELF
        await stand.run(2)
        assert stand.site.controls.limits_charge is False

    play(scene)


# Nonsense.


@pytest.mark.parametrize(
    ("fault", "alarm", "within"),
    [
        (Fault.OVERFULL, "nonsense", 1),
        (Fault.OVERPOWER, "nonsense", 1),
        (Fault.NOT_IMPLEMENTED, "nonsense", 1),
        (Fault.NO_ANSWER, "no-answer", 8),
        (Fault.EXCEPTION, "no-answer", 8),
        (Fault.GARBAGE, "no-answer", 8),
        (Fault.STUCK, "frozen", 35),
        (Fault.FROZEN, "frozen", 35),
        (Fault.DECLINES, "does-not-obey", 100),
        (Fault.FORGETS, "does-not-obey", 100),
        (Fault.IGNORES, "does-not-follow", 100),
    ],
)
def test_nonsense_takes_the_device_out_of_dispatch_until_it_was_sane_for_a_while(
    fault: Fault, alarm: str, within: int
):
    async def scene(stand: Stand) -> None:
        await stand.told(Action.DISCHARGE, power_w=5_000)
        await stand.run(10)
        assert stand.following() is Following.COMMAND
        stand.site.break_(BATTERY, fault)
        await stand.told(Action.DISCHARGE, power_w=9_000)
        for _ in range(within):
            await stand.run(1)
            if stand.following() is Following.OUT:
                break
        assert stand.following() is Following.OUT
        assert alarm in stand.alarms()
        report = stand.dispatch.report()
        assert (report.charge_w, report.discharge_w) == (0, 0)
        if fault not in (Fault.DECLINES, Fault.FORGETS, Fault.IGNORES):
            await stand.run(70, every=5)
            assert stand.battery_w == pytest.approx(2_000, abs=2), "left to itself"
        stand.site.mend(BATTERY)
        await stand.run(20, every=5)
        assert stand.following() is Following.OUT, "not yet believed"
        await stand.run(150, every=5)
        assert stand.following() is Following.COMMAND
        assert stand.battery_w == pytest.approx(9_000, abs=2)
        assert stand.alarms() == set()

    play(scene)


def test_a_slow_device_is_a_silent_one():
    async def scene(stand: Stand) -> None:
        await stand.run(3)
        stand.site.break_(BATTERY, Fault.SLOW)
        stand.site.slow_seconds = 0.5
        await stand.run(7)
        assert stand.following() is Following.OUT
        assert "no-answer" in stand.alarms()

    play(scene)


def test_nothing_is_decided_on_a_value_that_is_too_old():
    async def scene(stand: Stand) -> None:
        await stand.told(Action.CALL, power_w=1_000, call="C")
        await stand.run(3)
        report = stand.dispatch.report()
        assert None not in (report.battery_w, report.imported_w, report.stored_wh)
        stand.site.break_(METER, Fault.NO_ANSWER)
        await stand.run(7)
        report = stand.dispatch.report()
        assert report.imported_w is None
        assert report.battery_w is not None
        assert "meter" in stand.alarms()
        stand.site.break_(BATTERY, Fault.NO_ANSWER)
        await stand.run(7)
        assert stand.dispatch.report().battery_w is None
        assert stand.dispatch.report().stored_wh is None

    play(scene)


def test_a_stop_reaches_a_device_that_talks_nonsense():
    async def scene(stand: Stand) -> None:
        await stand.run(2)
        stand.site.break_(BATTERY, Fault.OVERFULL)
        await stand.run(2)
        await stand.told(Action.STOP)
        await stand.run(2)
        assert stand.battery_w == 0
        assert stand.following() is Following.STOP

    play(scene)


def test_what_another_hand_writes_is_seen_and_written_over():
    async def scene(stand: Stand) -> None:
        await stand.told(Action.DISCHARGE, power_w=5_000)
        await stand.run(5)
        stand.site.controls = replace(stand.site.controls, charge_rate=0, discharge_rate=0)
        await stand.run(1)
        assert "readback" in stand.alarms()
        await stand.run(4)
        assert stand.alarms() == set()
        assert stand.battery_w == pytest.approx(5_000, abs=2)

    play(scene)


def test_a_device_that_comes_back_empty_is_told_again():
    async def scene(stand: Stand) -> None:
        await stand.told(Action.DISCHARGE, power_w=5_000)
        await stand.run(5)
        await stand.site.stop()
        stand.site.controls = type(stand.site.controls)()
        await stand.run(20)
        assert stand.following() is Following.OUT
        await stand.site.start(port=stand.site.port)
        await stand.run(45)
        assert stand.following() is Following.COMMAND
        assert stand.battery_w == pytest.approx(5_000, abs=2)

    play(scene)


# What is refused.


@pytest.mark.parametrize(
    ("action", "more", "why"),
    [
        (Action.DISCHARGE, {"power_w": 12_001}, r"discharging with must be at most 12000 W"),
        (Action.CHARGE, {"power_w": 9_001}, r"charging with must be at most 9000 W .* got 9001 W"),
        (Action.CALL, {"power_w": -9_001, "call": "C"}, r"at most 9000 W"),
        (Action.HOLD, {}, r"action must be one that the owner allows \(.*\), got hold"),
        (Action.PLAN, {"plan_wh": (4_000, 6_001)}, r"discharging from .* at most 6000 Wh"),
        (Action.PLAN, {"plan_wh": (1,), "starts_at": START + 60}, r"must begin with a half hour"),
        (Action.DISCHARGE, {"power_w": 1, "expires_at": START - 1}, r"must be taken before"),
        (Action.DISCHARGE, {"power_w": 1, "site": 7}, r"site must be 0, got 7"),
        (
            Action.DISCHARGE,
            {"power_w": 1, "starts_at": START + 36_000, "ends_at": START + 39_600},
            r"the hours must be those that the owner allows \(05:00-14:00\), got",
        ),
    ],
)
def test_what_the_owner_does_not_allow_is_refused_with_value_and_limit(
    action: Action, more: dict[str, Any], why: str
):
    async def scene(stand: Stand) -> None:
        refused = await stand.told(action, **more)
        with pytest.raises(AssertionError, match=why):
            raise AssertionError(refused)
        assert stand.dispatch.standing.sequence == 0
        await stand.run(2)
        assert stand.following() is Following.SELF

    limits = OwnerLimits(
        9_000,
        12_000,
        actions=frozenset(Action) - {Action.HOLD},
        hours=frozenset(range(10, 28)),
    )
    play(scene, limits=limits)


def test_an_older_sequence_is_refused_and_the_same_instruction_is_taken_twice():
    async def scene(stand: Stand) -> None:
        assert not await stand.told(Action.DISCHARGE, power_w=2_000, sequence=10)
        assert not await stand.told(Action.DISCHARGE, power_w=2_000, sequence=10)
        refused = await stand.told(Action.DISCHARGE, power_w=3_000, sequence=9)
        assert refused == "sequence must be above 10, got 9"

    play(scene)

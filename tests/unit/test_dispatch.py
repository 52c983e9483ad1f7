"""Dispatch without devices: what is followed, what is owed, what is believed, what is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.errors import DeviceError, SettingError, StoreError
from energy.units import SLOT_SECONDS
from field.sunspec import MODELS, Block, registers_from
from vpp.commands import Action, Following, Instruction
from vpp.dispatch.controller import Share, Tuning, decided, short_wh
from vpp.dispatch.device import BatteryShown, Held, Setpoint
from vpp.dispatch.hand import Hand, Rhythm
from vpp.dispatch.image import Aged, Image
from vpp.dispatch.ledger import Ledger
from vpp.dispatch.limits import OwnerLimits, Room, hours_from, spelled
from vpp.dispatch.planfile import PlanFile, plan_from
from vpp.dispatch.settings import load_settings
from vpp.dispatch.standing import Duty, Override, Standing
from vpp.dispatch.store import Owner, SlotResult, Store
from vpp.dispatch.sunspec import held_by, shown_by, writes_of
from vpp.dispatch.template import settings_text
from vpp.dispatch.trust import Patience, Trust

START = 1_000 * SLOT_SECONDS
WIDE = Room(15_000, 15_000)
WELL = BatteryShown(
    power_w=0,
    stored_wh=22_000,
    capacity_wh=44_000,
    charge_w=15_000,
    discharge_w=15_000,
    charged_mwh=0,
    discharged_mwh=0,
    step_mwh=1_000,
)


def told(action: Action, sequence: int = 1, **more: Any) -> Instruction:
    values = {"starts_at": START, "ends_at": START + 3600, "expires_at": START + 60, **more}
    return Instruction(0, sequence, action, **values)


def plan(*plan_wh: int, starts_at: int = START, sequence: int = 1) -> Instruction:
    ends_at = starts_at + len(plan_wh) * SLOT_SECONDS
    return told(Action.PLAN, sequence, starts_at=starts_at, ends_at=ends_at, plan_wh=tuple(plan_wh))


# What is followed.


def test_a_newer_plan_replaces_an_older_one_from_its_own_first_half_hour_on():
    standing = Standing().taking(plan(1, 2, 3))
    standing = standing.taking(plan(20, 30, 40, starts_at=START + SLOT_SECONDS, sequence=2))
    assert [standing.planned_wh(1_000 + place) for place in range(-1, 5)] == [
        None,
        1,
        20,
        30,
        40,
        None,
    ]


def test_a_newer_plan_that_begins_earlier_takes_the_whole_place():
    standing = Standing().taking(plan(1, 2, starts_at=START + SLOT_SECONDS))
    standing = standing.taking(plan(7, sequence=2))
    assert [standing.planned_wh(slot) for slot in (1_000, 1_001, 1_002)] == [7, None, None]


def test_of_commands_that_hold_together_the_newest_is_followed():
    standing = Standing().taking(told(Action.CHARGE, 1, power_w=100))
    standing = standing.taking(told(Action.DISCHARGE, 2, power_w=200, starts_at=START + 600))
    assert standing.duty(START).power_w == -100
    assert standing.duty(START + 600).power_w == 200
    assert standing.taking(told(Action.HOLD, 3)).duty(START + 600).power_w == 0


def test_what_is_over_is_followed_no_more():
    standing = Standing(override=Override(500, START + 10)).taking(told(Action.CHARGE, power_w=100))
    assert standing.duty(START + 9).following is Following.OVERRIDE
    assert standing.duty(START + 10).following is Following.COMMAND
    assert standing.duty(START + 3600).following is Following.SELF
    later = standing.at(START + 3600)
    assert (later.override, later.told) == (None, {})
    assert standing.at(START) is standing


def test_a_stop_of_the_control_room_ends_by_its_resume_and_the_owners_by_himself():
    standing = Standing(stopped_here=True).taking(told(Action.STOP))
    assert standing.duty(START + 10**8).following is Following.STOP
    resumed = standing.taking(told(Action.RESUME, 2))
    assert resumed.duty(START).following is Following.STOP
    assert replace(resumed, stopped_here=False).duty(START).following is Following.SELF
    assert replace(standing, stopped_here=False).duty(START).following is Following.STOP


def test_whoever_is_lost_is_not_followed_but_a_limit_stays():
    standing = Standing().taking(plan(500)).taking(told(Action.LIMIT, 2, power_w=700))
    standing = standing.taking(told(Action.CALL, 3, power_w=100, call="C"))
    assert standing.duty(START).following is Following.CALL
    assert standing.duty(START, ["link"]) == Duty(Following.SELF, limit_w=700)


def test_the_files_plan_is_followed_for_want_of_the_control_rooms():
    filed = (plan(70, 80),)
    standing = Standing().taking(plan(500))
    assert standing.duty(START, filed=filed).plan_wh == 500
    assert standing.duty(START + SLOT_SECONDS, filed=filed).plan_wh == 80


# What the owner allows.


def test_a_limit_of_the_state_of_charge_that_was_met_holds_until_there_is_room_again():
    limits = OwnerLimits(15_000, 15_000, least_percent=50)
    room = limits.room(replace(WELL, stored_wh=22_000))
    assert room == Room(15_000, 0, empty=True)
    assert limits.room(replace(WELL, stored_wh=22_200), room).discharge_w == 0
    assert limits.room(replace(WELL, stored_wh=22_221), room).discharge_w == 15_000
    assert limits.room(replace(WELL, stored_wh=22_200)).discharge_w == 15_000


def test_what_the_device_keeps_back_by_itself_is_no_room():
    limits = OwnerLimits(15_000, 15_000, least_percent=10)
    kept = replace(WELL, stored_wh=8_800, reserve_wh=8_800)
    assert limits.room(kept).discharge_w == 0
    assert limits.room(replace(kept, stored_wh=8_801)).discharge_w == 15_000
    held = storage(MinRsvPct=20, MinRsvPct_SF=0)
    capacity = Block(MODELS[713], 0, tuple(registers_from(713, {"WHRtg": 44_000, "WH_SF": 0})))
    assert shown_by({124: held, 713: capacity}).reserve_wh == 8_800


def test_a_battery_that_does_not_tell_what_it_holds_has_no_room():
    assert OwnerLimits(1, 1).room(replace(WELL, stored_wh=None)) == Room(0, 0)


def test_where_the_network_may_not_charge_only_the_surplus_does():
    limits = OwnerLimits(15_000, 15_000)
    assert limits.room(WELL, surplus_w=4_000).charge_w == 4_000
    assert limits.room(WELL, surplus_w=-4_000).charge_w == 0


@pytest.mark.parametrize("text", ["", "8-20", "08:15-09:00", "08:00", "25:00-26:00", "09:00-09:00"])
def test_hours_that_are_none_are_refused(text: str):
    with pytest.raises(SettingError, match="hours must be as '08:00-20:00', on half hours, got"):
        hours_from(text)


@given(st.frozensets(st.integers(0, 47), min_size=1))
def test_hours_are_read_as_they_are_spelled(hours: frozenset[int]):
    assert hours_from(spelled(hours)) == hours


# From what is owed to a set-point.


def image(power_w: int = 0, import_w: int | None = 0) -> Image:
    imported = None if import_w is None else Aged(import_w, 0.0)
    return Image(0.0, 5.0, Aged(replace(WELL, power_w=power_w), 0.0), imported)


def decide(duty: Duty, ledger: Ledger | None = None, now: float = START, **more: Any) -> Any:
    values: dict[str, Any] = {"follows_ranges": True, **more}
    room, tuning = values.pop("room", WIDE), values.pop("tuning", Tuning())
    shown = values.pop("image", image())
    return decided(now, shown, duty, ledger, room, tuning, **values)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(-4_000, 4_000),
    st.integers(0, 900),
    st.integers(-1_500, 1_500),
    st.floats(0.8, 1.0),
    st.integers(1, 5),
)
def test_law_a_half_hour_that_can_be_met_is_met_however_the_device_falls_short(
    plan_wh: int, begun: int, delivered_wh: int, obeys: float, every: int
):
    """A device that loses up to a fifth of what it is told still ends where it should."""
    duty = Duty(Following.PLAN, plan_wh=plan_wh)
    owed_w = (plan_wh - delivered_wh) * 3600 / (SLOT_SECONDS - begun)
    if abs(owed_w) > 14_500 * obeys:
        return
    ledger = Ledger(1_000, START + begun, delivered_wh * 1000.0)
    before: Setpoint | None = None
    share = Share()
    for second in range(begun, SLOT_SECONDS, every):
        if before is not None and before.power_w is not None:
            power_w = round(before.power_w * obeys)
            share = share.learned(second, before.power_w, power_w, 15_000)
        decision = decide(duty, ledger, START + second, before=before, share=share.value)
        before = decision.setpoint
        assert before is not None
        assert before.power_w is not None
        assert abs(before.power_w) <= 15_000
        seconds = min(every, SLOT_SECONDS - second)
        ledger = replace(
            ledger, delivered_mwh=ledger.delivered_mwh + before.power_w * obeys * seconds / 3.6
        )
    assert abs(ledger.delivered_wh - plan_wh) <= 50


def test_a_set_point_that_leads_there_within_the_tolerance_stands():
    duty, ledger = Duty(Following.PLAN, plan_wh=1_000), Ledger(1_000, START)
    assert decide(duty, ledger, before=Setpoint.exactly(2_009)).setpoint == Setpoint.exactly(2_009)
    assert decide(duty, ledger, before=Setpoint.exactly(2_011)).setpoint == Setpoint.exactly(2_000)


def test_a_set_point_beyond_the_room_does_not_stand():
    duty, ledger = Duty(Following.PLAN, plan_wh=1_000), Ledger(1_000, START)
    found = decide(duty, ledger, before=Setpoint.exactly(2_000), room=Room(15_000, 0))
    assert (found.setpoint, found.bound) == (Setpoint.exactly(0), "room")


def test_a_stop_is_nothing_at_once_whatever_else_holds():
    tuning = Tuning(ramp_w=1)
    found = decide(Duty(Following.STOP, 0), before=Setpoint.exactly(9_000), tuning=tuning)
    assert found.setpoint == Setpoint.exactly(0)


def test_a_ramp_begins_where_the_battery_is():
    tuning, duty = Tuning(ramp_w=100), Duty(Following.COMMAND, 5_000)
    first = decide(duty, image=image(-1_000), tuning=tuning)
    assert (first.setpoint, first.bound) == (Setpoint.exactly(-900), "ramp")
    later = decide(duty, before=Setpoint.exactly(-900), elapsed=10.0, tuning=tuning)
    assert later.setpoint == Setpoint.exactly(100)


def test_a_call_is_relative_to_what_would_be_followed():
    call: dict[str, Any] = {"call_w": -2_000, "call": "C"}
    assert decide(Duty(Following.CALL, 5_000, **call)).setpoint == Setpoint.exactly(3_000)
    need = image(power_w=1_000, import_w=500)
    assert decide(Duty(Following.CALL, **call), image=need).setpoint == Setpoint.exactly(-500)
    ledger = Ledger(1_000, START + 900, 500_000.0, called_mwh=-500_000.0)
    found = decide(Duty(Following.CALL, plan_wh=2_000, **call), ledger, START + 900)
    assert found.setpoint == Setpoint.exactly(2_000), "1,000 Wh in 15 minutes, less the call"


def test_a_limit_of_self_consumption_is_a_range_or_followed_from_the_meter():
    duty = Duty(Following.SELF, limit_w=700)
    assert decide(duty).setpoint == Setpoint(-700, 700)
    need = image(power_w=300, import_w=200)
    assert decide(duty, image=need, follows_ranges=False).setpoint == Setpoint.exactly(500)
    blind = image(import_w=None)
    assert decide(duty, image=blind, follows_ranges=False).setpoint == Setpoint.exactly(0)
    assert decide(Duty(Following.SELF)).setpoint is None


def test_what_can_no_longer_be_met_is_known_while_it_lasts():
    ledger = Ledger(1_000, START + 900, 500_000.0)
    duty = Duty(Following.PLAN, plan_wh=4_500)
    assert short_wh(START + 900, duty, ledger, WIDE) == pytest.approx(250)
    assert short_wh(START + 900, duty, ledger, Room(15_000, 16_000)) == 0
    assert short_wh(START + 900, replace(duty, limit_w=1_000), ledger, WIDE) == pytest.approx(3_750)
    assert short_wh(START + 900, Duty(Following.SELF), ledger, WIDE) == 0
    into = Duty(Following.PLAN, plan_wh=-4_500)
    assert short_wh(START + 900, into, ledger, WIDE) == pytest.approx(-1_250)


# The half hour's energy.


def shown(power_w: int, wh: float, step_wh: int = 1) -> BatteryShown:
    """A battery whose counters tell a net energy, rounded down to their step."""
    out, into = int(max(wh, 0)), int(max(-wh, 0))
    return replace(
        WELL,
        power_w=power_w,
        discharged_mwh=out // step_wh * step_wh * 1000,
        charged_mwh=into // step_wh * step_wh * 1000,
        step_mwh=step_wh * 1000,
    )


@given(st.lists(st.integers(-15_000, 15_000), min_size=2, max_size=40), st.integers(1, 100))
def test_law_the_ledger_stays_within_a_step_of_the_counter(powers: list[int], step_wh: int):
    """Also where the power that is shown is not that between two readings."""
    true_wh, now = 0.0, float(START)
    ledger = Ledger.opened(now, shown(powers[0], 0.0, step_wh))
    for power_w in powers[1:]:
        true_wh += power_w * 9 / 3600
        now += 9
        ledger, _ = ledger.advanced(now, shown(power_w, true_wh, step_wh))
        assert abs(ledger.delivered_wh - true_wh) <= 3 * step_wh


def test_half_hours_add_up_over_their_ends():
    ledger = Ledger.opened(START + 1_795, shown(3_600, 0))
    assert not ledger.known
    ledger, closed = ledger.advanced(START + 1_803, shown(3_600, 8), call_w=1_800)
    assert closed is not None
    assert (closed.slot, closed.delivered_wh, closed.called_wh) == (1_000, 5.0, 2.5)
    assert (ledger.slot, ledger.delivered_wh, ledger.called_wh) == (1_001, 3.0, 1.5)
    assert ledger.known


def test_after_a_gap_the_counter_tells_what_came_meanwhile():
    ledger = Ledger.opened(START, shown(2_000, 0))
    ledger, _ = ledger.advanced(START + 600, shown(0, 50))
    assert ledger.delivered_wh == pytest.approx(50)


def test_without_a_counter_power_tells():
    bare = replace(WELL, power_w=3_600, charged_mwh=None, discharged_mwh=None)
    ledger = Ledger.opened(START, bare)
    ledger, _ = ledger.advanced(START + 10, bare)
    assert ledger.delivered_wh == pytest.approx(10)


def test_a_counter_that_jumps_is_another_one():
    ledger = Ledger.opened(START, shown(3_600, 0))
    ledger, _ = ledger.advanced(START + 1, shown(3_600, 9_000))
    assert ledger.delivered_wh == pytest.approx(1)
    ledger, _ = ledger.advanced(START + 2, shown(3_600, 9_001))
    assert ledger.delivered_wh == pytest.approx(2)


def test_a_clock_that_is_set_back_adds_nothing():
    ledger = Ledger.opened(START + 100, shown(3_600, 0))
    ledger, closed = ledger.advanced(START + 40, shown(3_600, 0))
    assert (ledger.delivered_wh, closed) == (0.0, None)
    ledger, _ = ledger.advanced(START + 41, shown(3_600, 1))
    assert ledger.delivered_wh == pytest.approx(1)


def test_a_half_hour_kept_by_a_clock_that_ran_ahead_is_not_gone_on_with():
    kept = Ledger(1_048, START + 48 * SLOT_SECONDS + 60.0, 500.0, counter_mwh=0.0, last_mwh=500)
    ledger, closed = kept.advanced(START + 100, shown(0, 1))
    assert (ledger.slot, ledger.known, closed) == (1_000, False, None)
    ledger, _ = ledger.advanced(START + 101, shown(0, 5))
    assert ledger.delivered_wh == 3.5, "what came since it was kept: the counter's, less its step"


def test_a_clock_that_is_set_back_over_the_border_does_not_close_a_half_hour_twice():
    ledger = Ledger.opened(START + 1, shown(3_600, 0))
    ledger, closed = ledger.advanced(START - 0.5, shown(3_600, 0))
    assert (ledger.slot, closed) == (1_000, None)


def test_a_clock_that_is_set_moves_the_half_hour_with_it():
    ledger = Ledger(1_000, START + 100.0, 500.0, counter_mwh=0.0, last_mwh=500)
    assert ledger.moved(60) == replace(ledger, at=START + 160.0)
    other = ledger.moved(SLOT_SECONDS)
    assert (other.slot, other.delivered_mwh, other.counter_mwh, other.known) == (
        1_001,
        0.0,
        500,
        False,
    )


def test_half_hours_that_nobody_kept_are_not_known():
    ledger = Ledger.opened(START, shown(0, 0))
    ledger, closed = ledger.advanced(START + 5 * SLOT_SECONDS, shown(0, 0))
    assert closed is not None
    assert (closed.slot, closed.known, ledger.slot, ledger.known) == (1_000, False, 1_005, False)


# Who is believed.

PATIENCE = Patience()


def trusted(*seen: BatteryShown | None, told_w: int | None = None, every: float = 1.0) -> Trust:
    trust = Trust()
    for number, each in enumerate(seen):
        trust = trust.judged(number * every, each, PATIENCE, told_w)
    return trust


@pytest.mark.parametrize(
    ("nonsense", "why"),
    [
        ({"power_w": None}, "power must be told, got none"),
        ({"power_w": 16_501}, "power must be at most 15000 W, got 16501 W"),
        ({"power_w": -16_501}, "power must be at most 15000 W, got 16501 W"),
        ({"stored_wh": None}, "the stored energy and the capacity must be told, got none"),
        ({"stored_wh": 44_001}, "the stored energy must be 0 to 44000 Wh, got 44001 Wh"),
        ({"nonsense": ("713 SoC must be at most 100 %, got 140 %",)}, "got 140 %"),
    ],
)
def test_one_value_that_cannot_be_is_enough(nonsense: dict[str, Any], why: str):
    trust = trusted(WELL, replace(WELL, **nonsense))
    assert (trust.out, trust.alarm) == (True, "nonsense")
    assert why in trust.why


def test_what_is_sane_again_is_believed_after_a_while():
    trust = trusted(WELL, replace(WELL, power_w=None))
    for second in range(2, 32):
        trust = trust.judged(second, WELL, PATIENCE, None)
        assert trust.out
    trust = trust.judged(32, WELL, PATIENCE, None)
    assert (trust.out, trust.alarm, trust.why) == (False, "", "")


def test_a_battery_that_never_answered_is_out_and_a_silent_one_soon():
    assert trusted(None).out
    assert not trusted(WELL, *[None] * 5).out
    assert trusted(WELL, *[None] * 6).alarm == "no-answer"


def test_counters_that_stand_while_power_flows_are_frozen():
    still = replace(WELL, power_w=5_000)
    assert not trusted(*[still] * 31).out
    assert trusted(*[still] * 33).alarm == "frozen"
    moving = [replace(still, discharged_mwh=number * 1_389) for number in range(40)]
    assert not trusted(*moving).out
    assert not trusted(*[replace(WELL, power_w=199)] * 200).out


def test_a_battery_away_from_its_set_point_does_not_follow_unless_it_is_near_its_end():
    def at(stored_wh: int, power_w: int) -> list[BatteryShown]:
        # Its counters go on, so that it is not frozen.
        each = replace(WELL, stored_wh=stored_wh, power_w=power_w)
        return [replace(each, discharged_mwh=number * 10_000) for number in range(70)]

    assert trusted(*at(22_000, 1_000), told_w=5_000).alarm == "does-not-follow"
    assert not trusted(*at(22_000, 4_100), told_w=5_000).out
    assert trusted(*at(22_000, 3_900), told_w=5_000).alarm == "does-not-follow"
    assert not trusted(*at(4_000, 1_000), told_w=5_000).out
    assert not trusted(*at(42_000, -1_000), told_w=-5_000).out
    reserved = [replace(each, reserve_wh=11_000) for each in at(12_000, 1_000)]
    assert not trusted(*reserved, told_w=5_000).out
    assert trusted(*at(42_000, 1_000), told_w=-5_000).alarm == "does-not-follow"


def test_one_that_did_not_obey_waits_twice_as_long_each_time():
    trust = trusted(WELL)
    waits = []
    now = 0.0
    for _ in range(3):
        for _ in range(PATIENCE.refusals):
            assert not trust.out
            trust = trust.refusing("it declines", PATIENCE)
        assert trust.alarm == "does-not-obey"
        begun = now
        while trust.out:
            now += 1
            trust = trust.judged(now, WELL, PATIENCE, None)
        waits.append(now - begun)
    assert waits == [61, 121, 241]
    assert replace(trust, refused=2).obeying().refused == 0


# When it is written.


class Mute:
    """A battery that takes everything."""

    follows_ranges = True
    reverts = True

    async def read(self) -> BatteryShown:
        return WELL

    async def command(self, setpoint: Setpoint | None, revert_seconds: int) -> Setpoint | None:
        return setpoint

    def close(self) -> None: ...


def hand(**more: Any) -> Hand:
    return Hand(Mute(), Rhythm(60, 10.0), **more)


def test_a_command_waits_for_the_last_one_but_a_stop_does_not():
    one, other = Setpoint.exactly(1), Setpoint.exactly(2)
    last = hand(told=one, held=one, at=100.0, tried_at=100.0)
    assert not last.is_due(other, 109.9)
    assert last.is_due(other, 110.0)
    assert last.is_due(Setpoint.exactly(0), 100.1, stop=True)
    assert not last.is_due(one, 129.9)
    assert last.is_due(one, 130.0), "half of its time"
    last.failures = 8
    assert last.is_due(Setpoint.exactly(0), 100.1, stop=True), "whatever failed before"


def test_what_has_no_timer_is_not_renewed():
    zero = Setpoint.exactly(0)
    stopped = hand(told=zero, stopped=True, held=zero, at=100.0, tried_at=100.0, tried_stop=True)
    assert not stopped.is_due(zero, 10**9, stop=True)
    assert stopped.is_due(zero, 10**9, stop=True, strayed=True)
    let_go = hand(at=100.0, tried_at=100.0)
    assert not let_go.is_due(None, 10**9)


def test_a_stop_is_another_thing_than_holding_still():
    zero = Setpoint.exactly(0)
    holding = hand(told=zero, held=zero, at=100.0, tried_at=100.0)
    assert holding.is_due(zero, 100.1, stop=True), "a timer runs"
    stopped = hand(told=zero, stopped=True, held=zero, at=100.0, tried_at=100.0, tried_stop=True)
    assert stopped.is_due(zero, 110.0), "no timer runs"


def test_a_device_that_declines_is_tried_ever_later_but_within_its_time():
    one = Setpoint.exactly(1)
    pauses = []
    for failures in range(6):
        failing = hand(told=one, at=0.0, tried_at=100.0, failures=failures)
        due = (pause for pause in range(100) if failing.is_due(one, 100 + pause, strayed=True))
        pauses.append(next(due))
    assert pauses == [10, 20, 30, 30, 30, 30]


def test_what_the_device_holds_from_before_is_taken_over():
    fresh = hand()
    fresh.take_over(Held(Setpoint.exactly(7), 60), 5.0)
    assert (fresh.told, fresh.at) == (Setpoint.exactly(7), None)
    assert fresh.is_due(None, 5.0)
    assert fresh.is_due(Setpoint.exactly(7), 5.0), "how much of its time is left is not known"
    idle = hand()
    idle.take_over(Held(None), 5.0)
    assert not idle.is_due(None, 5.0)


# SunSpec.


def storage(**points: int) -> Block:
    values = {
        "WChaMax": 15_000,
        "WChaMax_SF": 0,
        "StorCtl_Mod": 0,
        "InWRte": 10_000,
        "OutWRte": 10_000,
        "InOutWRte_SF": -2,
        "InOutWRte_RvrtTms": 0,
        "ChaGriSet": 0,
        **points,
    }
    kept = {name: value for name, value in values.items() if value is not None}
    return Block(MODELS[124], 40_000, tuple(registers_from(124, kept)))


def active(**points: int) -> Block:
    values = {"WSetEna": 0, "WSetMod": 1, "WSet": 0, "WSetRvrtTms": 0, "WSet_SF": 0, **points}
    return Block(MODELS[704], 40_000, tuple(registers_from(704, values)))


def written(block: Block, setpoint: Setpoint | None) -> list[dict[str, int]]:
    return [dict(write.points) for write in writes_of(block, setpoint, 60, True, "battery")]


def test_the_timer_comes_first_and_the_switch_last():
    assert written(storage(), Setpoint.exactly(6_000)) == [
        {"InOutWRte_RvrtTms": 60},
        {"OutWRte": 4_000, "InWRte": -4_000},
        {"ChaGriSet": 1},
        {"StorCtl_Mod": 3},
    ]
    assert written(active(), Setpoint.exactly(-6_000)) == [
        {"WSetEnaRvrt": 0, "WSetRvrtTms": 60},
        {"WSetEna": 1, "WSetMod": 1, "WSet": -6_000},
    ]
    assert written(storage(), None) == [{"StorCtl_Mod": 0}]
    assert written(active(), None) == [{"WSetEna": 0}]


@given(st.integers(-20_000, 20_000), st.integers(-2, 0))
def test_law_what_is_written_is_held_no_further_than_asked(power_w: int, scale: int):
    for block in (storage(InOutWRte_SF=scale), active(WSet_SF=1)):
        points = {}
        for write in written(block, Setpoint.exactly(power_w)):
            points.update(write)
        numbers = {
            name: value % (1 << 16 * block.model.points[name].registers)
            for name, value in points.items()
        }
        registers = list(block.registers)
        for name, number in numbers.items():
            point = block.model.points[name]
            for place in range(point.registers):
                shift = 16 * (point.registers - 1 - place)
                registers[point.offset + place] = number >> shift & 0xFFFF
        held = held_by(replace(block, registers=tuple(registers)))
        assert held.setpoint is not None
        assert held.setpoint.power_w is not None
        assert abs(held.setpoint.power_w) <= abs(power_w)
        step = 15_000 * 10**scale / 100 if block.model.number == 124 else 10
        most_w = 15_000 if block.model.number == 124 else 20_000
        assert min(abs(power_w), most_w) - abs(held.setpoint.power_w) <= step + 1


def test_a_device_held_by_one_limit_alone_holds_a_range():
    assert held_by(storage(StorCtl_Mod=2, OutWRte=0)).setpoint == Setpoint(-15_000, 0)
    assert held_by(storage(StorCtl_Mod=1, InWRte=0)).setpoint == Setpoint(0, 15_000)
    crossed = held_by(storage(StorCtl_Mod=3, InWRte=-5_000, OutWRte=2_000)).setpoint
    assert crossed == Setpoint.exactly(0)
    assert held_by(storage()).setpoint is None


def test_what_a_device_lacks_to_be_commanded_is_named():
    with pytest.raises(DeviceError, match="battery must state WChaMax above 0 W, got 0"):
        written(storage(WChaMax=0), Setpoint.exactly(1))
    with pytest.raises(SettingError, match=r"given one power by model 704, got -5\.\.5 W"):
        written(active(), Setpoint(-5, 5))
    bare = Block(MODELS[704], 0, tuple(registers_from(704, {"WSetEna": 0})))
    with pytest.raises(DeviceError, match="battery must state WSet_SF, got none"):
        written(bare, Setpoint.exactly(1))


def test_a_battery_that_says_it_is_disconnected_or_broken_is_not_believed():
    def base(state: int) -> Block:
        return Block(MODELS[802], 0, tuple(registers_from(802, {"State": state})))

    assert any(
        "802 State must be connected, got 99" in each for each in shown_by({802: base(99)}).nonsense
    )
    assert not any("State" in each for each in shown_by({802: base(3)}).nonsense)
    capacity = Block(MODELS[713], 0, tuple(registers_from(713, {"Sta": 2})))
    assert any("713 Sta must be OK" in each for each in shown_by({713: capacity}).nonsense)


def test_a_setpoint_turned_round_is_refused():
    with pytest.raises(ValueError, match="least_w must be at most 1 W, got 2 W"):
        Setpoint(2, 1)


# On disk.


def test_what_was_told_is_there_again(tmp_path: Path):
    standing = Standing(stopped=True).taking(plan(1, -2)).taking(told(Action.LIMIT, 5, power_w=9))
    ledger = Ledger.opened(START, WELL)
    store = Store(tmp_path / "state.sqlite")
    store.keep_standing(standing)
    store.keep_ledger(ledger)
    store.keep_owner(Owner(True, Override(-5, START)))
    for slot in range(3):
        store.keep_slot(SlotResult(slot, None if slot else 100.0, 5.0, 104.0, True))
    store.close()
    again = Store(tmp_path / "state.sqlite")
    assert (again.standing(), again.ledger()) == (standing, ledger)
    assert again.owner() == Owner(True, Override(-5, START))
    assert [result.missed_wh for result in again.slots()] == [-1.0, None, None]
    copy = Store.copied(tmp_path / "state.sqlite")
    copy.keep_standing(Standing())
    assert again.standing() == standing
    assert Store.copied(tmp_path / "none.sqlite").standing() == Standing()
    assert not (tmp_path / "none.sqlite").exists()


def test_a_file_that_is_no_state_is_refused_and_a_disk_that_is_gone_is_told(tmp_path: Path):
    path = tmp_path / "state.sqlite"
    path.write_text("not a database, by any means" * 100)
    with pytest.raises(SettingError, match=r"state\.sqlite must be a dispatch state file, got"):
        Store(path)
    store = Store(":memory:")
    store.close()
    with pytest.raises(StoreError, match="must take what is kept, got"):
        store.keep_standing(Standing())
    with pytest.raises(StoreError, match="must tell what is kept, got"):
        store.standing()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "must have starts_at and plan_wh"),
        ('{"starts_at": 1800}', "must have starts_at and plan_wh"),
        ('{"starts_at": 1801, "plan_wh": [1]}', "starts_at must begin a half hour, .* got 1801"),
        ('{"starts_at": 1800, "plan_wh": []}', "plan_wh must be a list of whole Wh"),
        (
            '{"starts_at": 1800, "plan_wh": [1.5]}',
            r"plan_wh must be a list of whole Wh, got \[1\.5\]",
        ),
        ('{"starts_at": 1800, "plan_wh": [true]}', "plan_wh must be a list of whole Wh"),
    ],
)
def test_a_plan_file_that_is_none_is_refused(text: str, why: str):
    with pytest.raises(SettingError, match=why):
        plan_from(text, 0)


def test_a_plan_file_may_come_change_be_wrong_and_go(tmp_path: Path):
    path = tmp_path / "plan.json"
    file = PlanFile(path, 0, OwnerLimits(2_000, 2_000))
    assert not file.read()
    path.write_text(json.dumps({"starts_at": START, "plan_wh": [900]}))
    assert file.read()
    assert file.plans[0].plan_wh == (900,)
    assert not file.read()
    path.write_text(json.dumps({"starts_at": START, "plan_wh": [900, 1_001]}))
    assert file.read()
    assert file.plans == ()
    assert "must be at most 1000 Wh (the owner's limit), got 1001 Wh" in file.trouble
    path.unlink()
    assert file.read()
    assert (file.plans, file.trouble) == ((), "")


# Settings.


def settings_with(folder: Path, change: str = "", to: str = "") -> Path:
    path = folder / "dispatch.toml"
    text = settings_text(6, "Kesennuma", "Kesennuma", 15_000)
    assert change in text
    path.write_text(text.replace(change, to, 1) if change else text)
    return path


def test_the_settings_that_init_writes_are_read(tmp_path: Path):
    found = load_settings(settings_with(tmp_path))
    assert found.place.site == 6
    assert found.limits.discharge_w == 15_000
    assert found.state == tmp_path / "dispatch.sqlite"
    assert (found.rhythm.revert_seconds, found.rhythm.refresh_seconds) == (60, 30.0)
    assert [device.unit for device in found.meters] == [1]


@pytest.mark.parametrize(
    ("change", "to", "why"),
    [
        ('"plan", "call"', '"plan", "dance"', r"\[owner\] actions must be some of .*, got 'dance'"),
        (
            "least_percent = 10",
            "least_percent = 95",
            r"least_percent must be below most_percent 95",
        ),
        ("00:00-24:00", "noon", r"\[owner\] hours must be as '08:00-20:00'"),
        ("charge_w = 15000", "charge_w = 0", r"\[owner\] charge_w must be 1 to"),
        ("write_seconds = 2.0", "write_seconds = 31.0", r"write_seconds must be at most half of"),
        ("port = 9465", "cycle_seconds = 31.0", r"cycle_seconds must be at most half of"),
        ("[lost]", "[trust]\nstale_seconds = 0.5\n[lost]", r"stale_seconds must be at least cycle"),
        (
            "revert_seconds = 60",
            "revert_second = 60",
            r"\[device\] revert_second must be a setting",
        ),
        (
            "unit = 3",
            "unit = 3\ncontrol = 123",
            r"battery 1: control must be one of 124, 704, got 123",
        ),
        ("[[meter]]", "[[battery]]", r"\[\[battery\]\] must be one"),
        ("[[battery]]", "[[meter]]", r"battery must be one table or more"),
        ("number = 6", "", r"\[site\] number must be there"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_key_and_value(
    tmp_path: Path, change: str, to: str, why: str
):
    with pytest.raises(SettingError, match=why):
        load_settings(settings_with(tmp_path, change, to))


def test_without_a_meter_the_network_cannot_be_kept_from_charging(tmp_path: Path):
    path = settings_with(tmp_path, "grid_charging = true", "grid_charging = false")
    load_settings(path)
    text = path.read_text()
    path.write_text(text.partition("[[meter]]")[0])
    with pytest.raises(SettingError, match=r"\[\[meter\]\] must be there where grid_charging"):
        load_settings(path)


@pytest.mark.parametrize(("site", "power_w"), [(-1, 1), (2**32, 1), (0, 0)])
def test_a_template_of_the_impossible_is_refused(site: int, power_w: int):
    with pytest.raises(SettingError, match="must be"):
        settings_text(site, "", "", power_w)

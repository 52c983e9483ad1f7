"""What sites can give, and who gives how much: laws that hold for any fleet."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.errors import SettingError
from energy.units import SLOT_SECONDS
from vpp.calls.call import Call, Direction, Product, Step, by_half_hour
from vpp.calls.reserve import Caution, Headroom, headroom, offers
from vpp.calls.split import LEAST_W, Candidate, split
from vpp.commands import Action, Following, Instruction, Report

NOW = 1_000_000 * SLOT_SECONDS + 700
CAPACITY = 40_000
CAUTION = Caution()


def a_report(stored=20_000, battery_w=0, at=NOW, **changes):
    values = {
        "site": 1,
        "name": "Site",
        "municipality": "Town",
        "kind": "pv+battery",
        "at": at,
        "following": Following.PLAN,
        "stored_wh": stored,
        "capacity_wh": CAPACITY,
        "battery_w": battery_w,
        "charge_w": 10_000,
        "discharge_w": 10_000,
    }
    return Report(**(values | changes))


def planned_at(watts):
    return lambda site, slot: watts // 2


@settings(max_examples=300, deadline=None)
@given(
    stored=st.integers(0, CAPACITY),
    plan_w=st.integers(-10_000, 10_000),
    direction=st.sampled_from(Direction),
    minutes=st.integers(1, 600),
    wait=st.integers(0, 7200),
)
def test_a_reserve_that_is_offered_can_be_given_whenever_it_is_called(
    stored, plan_w, direction, minutes, wait
):
    """Reserve offered never exceeds what duration and state allow: played minute by minute."""
    start = NOW + wait
    (offer,) = offers(
        [a_report(stored)], direction, start, minutes * 60, NOW, planned_at(plan_w), caution=CAUTION
    )
    if not offer.power_w:
        return
    held, given_w, plan = float(stored), direction.sign * offer.power_w, plan_w // 2 * 2
    assert direction.sign * (plan + given_w) <= 10_000
    for second in range(NOW, start + minutes * 60, 60):
        battery = plan + given_w if second >= start else plan
        # What the plan would first have to bring is not counted on: it may not come.
        if second < start and direction.sign * battery < 0:
            continue
        held -= battery * (1 / CAUTION.efficiency if battery > 0 else CAUTION.efficiency) / 60
    # Minutes are whole here: the first or last one may be over the call's edge.
    if direction is Direction.UP:
        assert held >= CAUTION.floor * CAPACITY - 400
    else:
        assert held <= CAPACITY + 400


@pytest.mark.parametrize(
    "changes",
    [
        {"following": Following.OUT},
        {"following": Following.STOP},
        {"following": Following.OVERRIDE},
        {"at": NOW - 61},
        {"alarms": ("state of charge 140 %",)},
        {"stored": None},
        {"capacity_wh": None},
    ],
)
def test_a_site_that_cannot_be_counted_on_offers_nothing(changes):
    for direction in Direction:
        (offer,) = offers([a_report(**changes)], direction, NOW, 1800, NOW, planned_at(0))
        assert offer.power_w == 0


def test_a_plan_takes_its_part_of_power_and_energy():
    steps = [Step(NOW, NOW + 3600, 1)]
    up = headroom(a_report(), Direction.UP, steps, NOW, planned_at(4_000))
    assert up.power_w == (6_000,)
    assert up.energy_wh == int((20_000 - 2_000) * 0.95 - 4_000)
    # A plan to charge leaves more power to give: charging less counts as well.
    charging = headroom(a_report(), Direction.UP, steps, NOW, planned_at(-4_000))
    assert charging.power_w == (14_000,)
    down = headroom(a_report(), Direction.DOWN, steps, NOW, planned_at(-4_000))
    assert down.power_w == (6_000,)
    assert down.energy_wh == int(20_000 / 0.95 - 4_000)


def test_without_a_plan_a_battery_goes_on_as_it_does_less_what_it_gives_the_call():
    steps = [Step(NOW, NOW + 3600, 1)]
    found = headroom(
        a_report(battery_w=7_000), Direction.UP, steps, NOW, lambda *_: None, gives_w=5_000
    )
    assert found.power_w == (8_000,)


def headrooms(steps):
    return st.builds(
        Headroom,
        st.tuples(*[st.integers(0, 10_000)] * steps),
        st.integers(0, 20_000),
    )


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(1, 8))
def test_nobody_gives_more_than_it_can_and_no_more_is_given_than_asked(data, steps, sites):
    asked = [
        Step(NOW + n * 1800, NOW + (n + 1) * 1800, data.draw(st.integers(1, 60_000)))
        for n in range(steps)
    ]
    candidates = [
        Candidate(
            n,
            data.draw(headrooms(steps)),
            data.draw(st.floats(0, 30)),
            data.draw(st.one_of(st.just(()), st.tuples(*[st.integers(0, 12_000)] * steps))),
        )
        for n in range(sites)
    ]
    found = split(asked, candidates)
    for each in candidates:
        shares = found.shares.get(each.site, (0,) * steps)
        assert all(0 <= w <= most for w, most in zip(shares, each.headroom.power_w, strict=True))
        assert sum(shares) / 2 <= each.headroom.energy_wh
    for number, step in enumerate(asked):
        given_w = sum(shares[number] for shares in found.shares.values())
        assert given_w + found.missing_w[number] == step.power_w
        assert found.missing_w[number] >= 0
    # What is missing, nobody has left: neither power nor energy, but for crumbs.
    for number, missing in enumerate(found.missing_w):
        if missing < LEAST_W:
            continue
        for each in candidates:
            shares = found.shares.get(each.site, (0,) * steps)
            power = each.headroom.power_w[number] - shares[number]
            energy = each.headroom.energy_wh - sum(shares) / 2
            assert min(power, energy * 2) < LEAST_W + 1


def test_the_cheapest_give_first_and_evenly():
    asked = [Step(0, 1800, 12_000), Step(1800, 3600, 9_000)]
    room = Headroom((8_000, 8_000), 100_000)
    found = split(
        asked, [Candidate(1, room, 5.0), Candidate(2, room, 1.0), Candidate(3, room, 9.0)]
    )
    assert found.shares == {2: (8_000, 8_000), 1: (4_000, 1_000)}
    assert found.missing_w == (0, 0)


def test_what_the_plan_wants_comes_before_the_cheapest():
    asked = [Step(0, 1800, 12_000)]
    room = Headroom((8_000,), 100_000)
    dear = Candidate(3, room, 9.0, wanted=(5_000,))
    found = split(asked, [Candidate(1, room, 5.0), Candidate(2, room, 1.0), dear])
    assert found.shares == {3: (5_000,), 2: (7_000,)}


def test_power_for_a_part_of_the_time_is_used_where_it_is_needed():
    asked = [Step(0, 1800, 10_000), Step(1800, 3600, 10_000)]
    short = Candidate(1, Headroom((10_000, 10_000), 6_000), 1.0)
    long = Candidate(2, Headroom((5_000, 10_000), 10_000), 2.0)
    found = split(asked, [short, long])
    assert found.shares == {1: (6_000, 6_000), 2: (4_000, 4_000)}


def test_a_call_by_half_hours():
    assert by_half_hour(0, 5400, [10, 0, 20]) == (Step(0, 1800, 10), Step(3600, 5400, 20))
    with pytest.raises(SettingError, match="for each of 3 half hours, got 2"):
        by_half_hour(0, 5400, [1, 2])


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ((), "must ask for power at some time"),
        ((Step(10, 10, 5),), "steps must follow each other"),
        ((Step(10, 20, 5), Step(15, 30, 5)), "steps must follow each other"),
        ((Step(10, 20, 0),), "power_w must be 1 to"),
        ((Step(0, 86_401, 5),), "seconds must be 1 to 86400"),
    ],
)
def test_a_call_that_is_none(steps, error):
    with pytest.raises(SettingError, match=error):
        Call("c", Direction.UP, steps, 0)


def test_terms_that_are_none():
    for changes, error in (
        ({"price_kwh": -1}, "price_kwh must be 0 to"),
        ({"penalty": 101}, "penalty must be 0 to 100"),
        ({"name": ""}, "a product's name must be like"),
    ):
        with pytest.raises(SettingError, match=error):
            Product(**changes)


def test_a_call_of_nothing_takes_one_back_and_one_without_a_name_is_none():
    over = Instruction(1, 1, Action.CALL, 0, 10, 10, power_w=0, call="c1")
    assert over.power_w == 0
    with pytest.raises(SettingError, match="a call must have a name, got ''"):
        Instruction(1, 1, Action.CALL, 0, 10, 10, power_w=5)

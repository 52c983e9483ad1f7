"""Wear: the followers' sum is rainflow's, in the small, at random, and inside a plan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.errors import SettingError
from vpp.ageing import outlook
from vpp.chemistry import chemistries, chemistry
from vpp.matrix import program_of
from vpp.model import Battery, Problem, Tier, Wear
from vpp.planner import planned
from vpp.solver import HighsSolver
from vpp.wear import (
    DepthLaw,
    chords,
    even_depths,
    flat,
    follow,
    life_used,
    rainflow_sum,
    remembered,
    tangents,
    travelled,
    wear_cost,
)

PIECES = Wear([0.0, 0.5, 1.0, 2.3, 4.0], [1.0, 0.2, 0.3, 0.7, 0.1])
paths = st.lists(st.integers(0, 40), min_size=1, max_size=60).map(lambda p: np.array(p) / 4)


def test_a_nested_cycle_counts_by_itself():
    """Down 8, up 3, down 5 (a small cycle of 3 inside), up again: ASTM's rule in small."""
    path = np.array([10.0, 2.0, 5.0, 0.0, 10.0])
    assert rainflow_sum(lambda d: d**2, path) == pytest.approx(3**2 + 10**2 / 2 + 10**2 / 2)


@settings(max_examples=300, deadline=None)
@given(paths)
def test_followers_travel_what_rainflow_counts(path):
    assert travelled(PIECES, path) == pytest.approx(wear_cost(PIECES, path), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(paths, st.floats(0, 5))
def test_no_path_within_half_a_width_travels_less_than_the_follower(path, width):
    """Against the linear program of the least travel itself."""
    wear = Wear([0.0, width + 0.01], [0.0, 2.0])
    site = Problem(
        np.zeros(len(path)), np.zeros(len(path)), (Tier("buy", 0.0),), (Tier("sell", 0.0),),
        (Battery("b", 10.0, 100.0, 100.0, float(path[0]), 1.0, 1.0, path, path, wear=wear),),
    )  # fmt: skip
    program = program_of(site)
    found = HighsSolver().solve(program)
    assert found.x is not None
    whole = np.concatenate([path[:1], path])
    assert program.cost @ found.x == pytest.approx(travelled(wear, whole), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(paths, paths)
def test_followers_remember_begun_cycles_from_plan_to_plan(first, second):
    """Two plans in a row cost what one path costs, once the first follower has its place."""
    path = np.concatenate([first, second])
    start = [float(follow(path, kink)[0]) for kink in np.asarray(PIECES.kinks_kwh)]
    begun = Wear(PIECES.kinks_kwh, PIECES.slopes, start)
    halves = travelled(begun, first) + travelled(
        remembered(begun, first), np.concatenate([first[-1:], second])
    )
    assert halves == pytest.approx(travelled(begun, path), abs=1e-9)


def test_chords_lie_above_the_law_and_tangents_below():
    law, depths = DepthLaw(5.24e-4, 2.03), np.linspace(0, 1, 101)
    for make, sign in ((chords, 1), (tangents, -1)):
        wear = make(law, 10.0, 1e6, even_depths(12))
        for depth in depths:
            pieces = float(
                np.asarray(wear.slopes) @ np.maximum(10 * depth - np.asarray(wear.kinks_kwh), 0)
            )
            assert sign * (pieces - 1e6 * law(depth)) >= -1e-6
    assert np.asarray(flat(3.0).slopes).tolist() == [3.0]


@pytest.mark.parametrize("memory", [False, True])
def test_a_plans_wear_is_what_rainflow_finds_in_its_path(memory):
    law = chords(DepthLaw(5.24e-4, 2.03), 10.0, 300_000.0, even_depths(8))
    if memory:
        law = remembered(law, np.array([5.0, 9.0, 2.0, 5.0]))
    price = 15 + 9 * np.sin(np.arange(96) / 48 * 4 * np.pi)
    unit = Battery("b", 10.0, 5.0, 5.0, 5.0, wear=law)
    plan = planned(
        Problem(np.zeros(96), np.zeros(96), (Tier("buy", price),), (Tier("sell", price),), (unit,))
    )
    assert not plan.alarms
    assert plan.money.wear > 0
    assert abs(plan.gap) < 1e-6
    path = np.concatenate([[5.0], plan.stored[0]])
    assert plan.money.wear == pytest.approx(travelled(law, path))
    if not memory:
        assert plan.money.wear == pytest.approx(wear_cost(law, path))


def test_a_cycles_wear_is_the_laws_part_of_life():
    law = DepthLaw(1e-3, 2.0)
    assert life_used(law, np.array([0.0, 5.0, 0.0] * 10), 10.0) == pytest.approx(10 * 1e-3 / 4)


def test_laws_that_are_not_convex_are_refused():
    with pytest.raises(SettingError, match="exponent must be 1 or more, got 0.5"):
        DepthLaw(1.0, 0.5)
    with pytest.raises(SettingError, match="factor must be 0 or more"):
        DepthLaw(-1.0, 2.0)


def test_every_number_of_a_chemistry_says_where_it_comes_from():
    for each in chemistries().values():
        numbers = {"end_of_life", "replacement_jpy_per_kwh"}
        numbers |= {f"cycle.{name}" for name in vars(each.cycle)}
        numbers |= {f"calendar.{name}" for name in vars(each.calendar)}
        assert set(each.sources) == numbers
        for name, source in each.sources.items():
            kind, _, where = source.partition(": ")
            assert kind in ("published", "fitted", "assumed"), name
            assert kind == "assumed" or "doi:" in where, name


def test_fitted_numbers_of_lfp_follow_from_what_is_published():
    lfp = chemistry("lfp")
    depth = np.linspace(0.1, 1, 91)
    part = depth * (4.0253 * (depth - 0.6) ** 3 + 1.0923) ** 2
    exponent = np.polyfit(np.log(depth), np.log(part), 1)[0]
    assert lfp.cycle.exponent == pytest.approx(exponent, abs=0.005)
    assert float(lfp.cycle(0.8)) == pytest.approx(1 / 6000, rel=0.001)
    soc = np.linspace(0, 1, 1001)
    rate = 1.2571e-5 * (2.8575 * (soc - 0.5) ** 3 + 0.60225) * np.sqrt(86_400)
    slope, at_half = np.polyfit(soc - 0.5, rate, 1)
    assert lfp.calendar.rate_at_half == pytest.approx(at_half, rel=0.005)
    assert lfp.calendar.slope == pytest.approx(slope / at_half, abs=0.005)


def test_chemistries_give_wear_and_a_price_of_rest():
    for each in chemistries().values():
        assert each.wear(10.0).slopes is not None
        assert each.rests()[0].price > 0
    with pytest.raises(SettingError, match="one of lfp, nmc, got 'lead'"):
        chemistry("lead")


def test_a_price_of_rest_is_what_the_calendar_takes_at_every_charge():
    """A plan that looks at the price alone must not hold energy that ages the battery for free."""
    for each in chemistries().values():
        (rest,) = each.rests()
        days = 10 * 365.25
        for low, high in ((0.0, 0.1), (0.3, 0.5), (0.8, 1.0)):
            taken = [each.calendar.lost(np.full(48, soc), days) for soc in (low, high)]
            life = (taken[1] - taken[0]) / (1 - each.end_of_life)
            held = [max(10.0 * soc - rest.above_kwh, 0.0) for soc in (low, high)]
            paid = rest.price * (held[1] - held[0]) * days * 24
            assert paid == pytest.approx(life * each.replacement_jpy_per_kwh * 10.0)


def test_a_battery_that_rests_low_outlives_one_that_cycles_or_rests_high():
    nmc = chemistry("nmc")
    low, high = np.full(48, 3.0), np.full(48, 9.5)
    cycled = np.tile([1.0, 9.0], 24)
    lives = [
        outlook(path, 1.0 if path is not cycled else 24.0, 10.0, nmc)
        for path in (low, high, cycled)
    ]
    assert lives[0].years_of_life > lives[1].years_of_life > lives[2].years_of_life
    assert lives[0].full_cycles_a_year == 0
    assert lives[2].lost_to_cycles > lives[2].lost_to_rest
    assert lives[2].capacity_left == pytest.approx(
        1 - lives[2].lost_to_cycles - lives[2].lost_to_rest
    )

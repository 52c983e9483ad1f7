"""A balancing call is given by those to whom it costs least, and never beyond what they can."""

from datetime import date

import numpy as np
import pytest

from energy.errors import SettingError
from orchestrator.setting.fleet import Limits, synthetic
from vpp.fleet import planner
from vpp.fleet.exact import exact
from vpp.fleet.limits import Pool
from vpp.fleet.model import Fleet, Member
from vpp.fleet.split import split
from vpp.model import Battery, Problem, Reserve, Tier

DAY = date(2019, 6, 4)


@pytest.fixture(scope="module")
def fleet():
    return synthetic(12, DAY, 3, Limits())


@pytest.fixture(scope="module")
def plan(fleet):
    return exact(fleet)


def site(name, stored=50.0, power=20.0, price=20.0, pv=0.0, sold=0.0, export=np.inf, slots=6):
    """A site with a battery of 100 kWh that loses a tenth each way: to give 1 kWh costs the price
    of 1/9 kWh, to take 1 a tenth of it, and to do neither nothing."""
    battery = Battery("battery", 100.0, power, power, stored, 0.9, 0.9, end_value=price)
    return Member(
        name,
        Problem(
            load_kwh=np.full(slots, 10.0), pv_kwh=np.full(slots, pv),
            purchases=(Tier("bought", price),), sales=(Tier("sold", sold),),
            batteries=(battery,), export_kw=export,
        ),
    )  # fmt: skip


@pytest.mark.parametrize("kw", [40.0, -40.0])
def test_a_call_is_given_in_full_and_by_plans_that_pass_every_check(fleet, plan, kw):
    found = split(fleet, [12, 13], kw, plan=plan)
    assert found.kw.shape == (12, 2)
    assert found.kw.sum(axis=0) == pytest.approx([kw, kw])
    assert found.shortfall_kw == pytest.approx([0, 0], abs=1e-6)
    assert found.plan.faults == []
    assert (found.kw * np.sign(kw) >= -1e-6).all()
    assert list(found.by_site) == [member.name for member in fleet.members]


def test_the_price_is_what_one_more_kilowatt_hour_costs(fleet, plan):
    one, more = (split(fleet, [12], kw, plan=plan) for kw in (40.0, 42.0))
    assert one.price[0] > 0
    # A kW more of a half hour, at a price between the two.
    per_kwh = (more.cost - one.cost) / (2.0 * fleet.hours)
    assert one.price[0] - 1e-6 <= per_kwh <= more.price[0] + 1e-6
    assert one.cost > 0


def test_the_cheapest_give_first():
    dear, cheap = site("dear", price=30.0), site("cheap")
    found = split(Fleet((dear, cheap)), [1], 10.0)
    assert found.by_site["cheap"] == pytest.approx([10.0])
    assert found.by_site["dear"] == pytest.approx([0.0], abs=1e-6)
    both = split(Fleet((dear, cheap)), [1], 30.0)
    assert both.by_site["cheap"] == pytest.approx([20.0])
    assert both.by_site["dear"] == pytest.approx([10.0])
    assert found.price == pytest.approx([20.0 / 9])
    assert both.price == pytest.approx([30.0 / 9])
    assert both.cost == pytest.approx(0.5 * (20.0 * 20.0 + 10.0 * 30.0) / 9)


def test_no_site_gives_more_than_its_power_and_what_it_stores():
    few = Fleet((site("full", stored=80.0, power=20.0), site("low", stored=5.0, power=20.0)))
    found = split(few, [0, 1, 2, 3], 100.0)
    assert found.by_site["full"].max() <= 20.0 + 1e-6
    assert found.by_site["low"].sum() * few.hours == pytest.approx(0.9 * 5.0)
    assert found.shortfall_kw.min() >= 60.0 - 1e-6
    assert found.kw.sum(axis=0) + found.shortfall_kw == pytest.approx([100.0] * 4)
    assert found.plan.faults == []


def test_a_call_down_ends_where_the_battery_is_full():
    few = Fleet((site("nearly full", stored=95.5),))
    found = split(few, [0, 1], -20.0)
    assert -found.kw.sum() * few.hours == pytest.approx(5.0)
    assert found.shortfall_kw.sum() * few.hours == pytest.approx(15.0)


def test_power_held_for_the_other_way_and_for_later_is_not_given_where_it_need_not_be():
    holding, free = site("holding", stored=25.0), site("free", stored=60.0)
    least = np.array([0, 0, 0, 0, 10.0, 0])
    made = Fleet((holding, free), reserve_up=Reserve(0.0, 2.0, least))
    found = split(made, [1], 30.0)
    held = np.array([each.reserve_up for each in found.plan.sites])
    assert found.shortfall_kw == pytest.approx([0.0], abs=1e-6)
    assert held[:, 4].sum() == pytest.approx(10.0)
    for each, kept in zip(found.plan.sites, held, strict=True):
        assert kept[4] * 2.0 / 0.9 <= min(each.stored[3], each.stored[4]) + 1e-6


def test_reserve_that_is_called_is_not_held_a_second_time():
    least = np.array([0, 10.0, 10.0, 0, 0, 0])
    made = Fleet((site("one", stored=40.0),), reserve_up=Reserve(3.0, 1.0, least, least))
    before = exact(made)
    found = split(made, [1], 20.0, plan=before)
    assert before.sums["reserve up"][1] == pytest.approx(10.0)
    assert found.kw == pytest.approx(np.array([[20.0]]))
    assert found.plan.sites[0].reserve_up[1] == pytest.approx(0.0, abs=1e-6)
    # It is paid for all the same: what the call costs is what discharging loses.
    assert found.cost == pytest.approx(10.0 * 20.0 / 9)
    # Nor is what the call leaves of the battery's power sold again in its half hour.
    half = split(made, [1], 10.0, plan=before)
    assert half.plan.sites[0].reserve_up[1] == pytest.approx(0.0, abs=1e-6)
    assert half.cost == pytest.approx(5.0 * 20.0 / 9)


def test_a_pool_that_is_called_is_paid_and_not_held_a_second_time():
    least = np.array([0, 10.0, 10.0, 0, 0, 0])
    one, two = site("one", stored=40.0), site("two", stored=40.0)
    pool = Pool("north", "up", Reserve(3.0, 1.0, least, least), frozenset({"one"}))
    found = split(Fleet((one, two), pools=(pool,)), [1], 40.0)
    assert found.kw == pytest.approx(np.array([[20.0], [20.0]]))
    assert found.plan.sites[0].reserve_up[1] == pytest.approx(0.0, abs=1e-6)
    assert found.cost == pytest.approx(2 * 10.0 * 20.0 / 9)


def test_a_cap_comes_before_a_call_and_what_is_missing_is_stated():
    # Together they use 40 kW and could give as much: 45 at a cap of 5 for what they export.
    capped = Fleet((site("one", power=30.0), site("two", power=30.0)), export_kw=5.0)
    found = split(capped, [2], 80.0)
    assert {breach.limit for breach in found.plan.breaches} == {"call up"}
    assert found.kw.sum() == pytest.approx(45.0)
    assert found.shortfall_kw == pytest.approx([35.0])


def test_pv_is_no_part_of_an_answer():
    # 40 kW of sun beyond the load, 10 of which the wire carries: the plan charges and curtails.
    sunny = site("sunny", stored=95.0, pv=30.0, sold=8.0, export=10.0)
    made = Fleet((sunny,))
    before = exact(made)
    assert before.sites[0].curtailed[2] > 1.0
    up = split(made, [2], 5.0, plan=before)
    assert up.kw.sum() + up.shortfall_kw.sum() == pytest.approx(5.0)
    flow = up.plan.sites[0].net_export[2] - before.sites[0].net_export[2]
    assert flow / made.hours == pytest.approx(up.kw[0, 0], abs=1e-6)
    down = split(made, [2], -5.0, plan=before)
    flow = down.plan.sites[0].net_export[2] - before.sites[0].net_export[2]
    assert flow / made.hours == pytest.approx(down.kw[0, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("kw", "pv", "caps"), [(30.0, 20.0, {"export_kw": 70.0}), (-30.0, 0.0, {"import_kw": 70.0})]
)
def test_an_absent_site_gives_nothing_and_keeps_its_part_of_the_cap(kw, pv, caps):
    # Each of three exports, or imports, 20 kW: 10 more are allowed.
    names = ("here", "away", "there")
    made = Fleet(tuple(site(name, pv=pv, sold=18.5) for name in names), **caps)
    found = split(made, [1], kw, absent=["away"])
    assert found.by_site["away"] == pytest.approx([0.0])
    assert abs(found.kw.sum()) == pytest.approx(10.0)
    assert found.shortfall_kw == pytest.approx([20.0])
    assert [each.name for each in found.plan.sites] == ["here", "there"]


def test_many_sites_are_asked_by_prices_and_come_to_the_same(fleet, plan, monkeypatch):
    whole = split(fleet, [12, 13], 40.0, plan=plan)
    monkeypatch.setattr(planner, "EXACT_UP_TO", 1)
    priced = split(fleet, [12, 13], 40.0, plan=plan)
    assert priced.plan.made_by == "prices"
    assert priced.plan.faults == []
    assert priced.shortfall_kw == pytest.approx([0, 0], abs=1e-3)
    assert priced.plan.cost == pytest.approx(whole.plan.cost, rel=1e-3)
    assert (priced.kw.sum(axis=0) <= 40.0 + 1e-3).all()


def test_bad_calls_are_refused_by_name(fleet, plan):
    for slots in ([], [-1], [48]):
        with pytest.raises(SettingError, match="slots from 0 to 47"):
            split(fleet, slots, 10.0, plan=plan)
    for kw in (0.0, np.nan, np.inf):
        with pytest.raises(SettingError, match=f"other than 0, got {kw}"):
            split(fleet, [1], kw, plan=plan)
    with pytest.raises(SettingError, match="got nowhere"):
        split(fleet, [1], 10.0, plan=plan, absent=["nowhere"])
    with pytest.raises(SettingError, match="got none"):
        split(fleet, [1], 10.0, plan=plan, absent=[m.name for m in fleet.members])
    with pytest.raises(SettingError, match="sites of its plan"):
        split(fleet.only([0, 1]), [1], 10.0, plan=plan)

"""Who steers a battery: what is offered, what is told, and that nobody sees what is to come."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from energy.errors import SettingError
from energy.records import Order, Reading, Side, Trade
from energy.registry import Tariff
from energy.units import SLOTS_PER_DAY, slots_of
from oracle.plant import FULL_RATE, Battery, Controls, battery_energy
from orchestrator.replay.replay import known_tariffs
from orchestrator.replay.series import SiteSeries
from orchestrator.replay.site import ReplayedSite, replayed_sites
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import load_setting
from orchestrator.steering.choice import check_steering, steering_of
from orchestrator.steering.neighbours import Neighbours
from orchestrator.steering.plan import ByPlan, offers_of
from orchestrator.steering.rule import ByRule, Idle
from orchestrator.steering.steering import (
    NONE,
    OPEN,
    OWN_USE,
    PLAN,
    RULE,
    STEERINGS,
    Kept,
    Position,
    net_offers,
    position_of,
)
from orchestrator.trading.rehearsal import Rehearsed, rehearsed
from orchestrator.web.words_plant import PLANT_WORDS
from vpp.ahead import Ahead
from vpp.calendar import works_on
from vpp.control import setpoint_of
from vpp.dispatch.device import Setpoint
from vpp.forecast import History, Past
from vpp.rule import BatterySize, Command, Mode, expected_flows

DAY = slots_of(date(2019, 6, 4))
NOON, EVENING = DAY[24], DAY[38]
SIZE = BatterySize(capacity_wh=39_600, power_w=15_000, efficiency=900)
TARIFF = Tariff(22_000, 8_000, 1_000)
SETTING = load_setting()


def tariffs(slot: int, now: int) -> Tariff:
    return TARIFF


def history(before: int, used: int = 2_000, sun: int = 20_000) -> History:
    """A month in which each day has the same load, and the same sun from 8 to 16."""
    found = History(works_on)
    for slot in range(before - 28 * SLOTS_PER_DAY, before):
        found.slots[slot] = Past(used, sun if 16 <= (slot - DAY.start) % SLOTS_PER_DAY < 32 else 0)
    return found


def sites(how: str, start: int) -> list[ReplayedSite]:
    loads, sun = load_series(), pv_series()
    series = [SiteSeries.of(site, loads, sun) for site in SETTING.sites]
    known = known_tariffs(lambda _: SETTING.tariffs, enacts_daily=False)
    found = replayed_sites(SETTING.sites, series, "test", how, known)
    for site in found:
        site.remember(start)
    return found


def played(how: str, slots: range, after_metering: bool = False) -> list[Rehearsed]:
    playing = sites(how, slots.start)
    return list(rehearsed(playing, lambda _: SETTING.tariffs, slots, after_metering))


def test_a_steering_is_chosen_by_name() -> None:
    with_battery, without = SETTING.sites[6], SETTING.sites[0]
    kinds = {NONE: Idle, RULE: ByRule, OWN_USE: ByRule, PLAN: ByPlan}
    for how in STEERINGS:
        assert type(steering_of(how, with_battery, history(NOON), tariffs)) is kinds[how]
        assert type(steering_of(how, without, history(NOON), tariffs)) is Idle
        check_steering(how)
        assert f"steered_by_{how}" in PLANT_WORDS
    with pytest.raises(
        SettingError, match="--battery must be one of none, rule, own-use, plan, got 'ai'"
    ):
        check_steering("ai")


def test_forecasts_that_are_kept_are_those_that_are_made_one_by_one() -> None:
    past = history(NOON)
    ahead = Ahead(past)
    rng = np.random.default_rng(1)
    for slot in range(NOON, NOON + 60):
        load, sun = ahead(slot)
        span = range(slot, slot + SLOTS_PER_DAY)
        assert load.tolist() == [past.load(at) for at in span]
        assert sun.tolist() == [past.generation(at) for at in span]
        past.slots[slot] = Past(*(int(each) for each in rng.integers(0, 9_000, 2)))


def test_a_position_is_what_was_sold_and_what_others_did_not_get() -> None:
    orders = [
        Order(NOON, 6, Side.ASK, 5_000, 9_000, 1),
        Order(NOON, 0, Side.BID, 8_000, 20_000, 1),
        Order(NOON, 1, Side.ASK, 2_000, 9_000, 1),
    ]
    trades = [Trade(NOON, 6, 0, 5_000), Trade(NOON, 1, 0, 1_500)]
    assert position_of(6, orders, trades) == Position(5_000, wanted=1_500, offered=500)
    assert position_of(0, orders, trades) == Position(-6_500, wanted=0, offered=500)


def test_what_is_offered_by_day_is_worth_what_charging_would_bring() -> None:
    """Half of the surplus fits into the battery at its power; the rest is worth what the utility
    pays. What the battery could give is worth more than what it takes."""
    steering = ByPlan(history(NOON), SIZE, tariffs)
    steering.begin(NOON - 1, 20_000, Position())
    rest, stores, gives = steering.offers(NOON)
    assert [each.side for each in (rest, stores, gives)] == [Side.ASK] * 3
    assert (rest.energy, stores.energy, gives.energy) == (10_500, 7_500, 7_500)
    assert rest.worth == TARIFF.buying
    assert stores.worth is not None
    assert gives.worth is not None
    assert TARIFF.buying <= stores.worth < gives.worth < TARIFF.selling


def test_at_night_what_the_battery_would_serve_is_wanted_at_what_keeping_it_is_worth() -> None:
    steering = ByPlan(history(EVENING), SIZE, tariffs)
    assert steering.begin(EVENING - 1, 30_000, Position()).mode is Mode.SERVE
    (bid,) = (each for each in steering.offers(EVENING) if each.side is Side.BID)
    assert bid.energy == 2_000
    assert bid.worth is not None
    assert TARIFF.buying < bid.worth <= TARIFF.selling


def test_what_the_book_commits_to_is_given_though_the_sun_fails() -> None:
    """Sold beyond what the roof will give, the battery serves the rest: that is cheaper than to
    break the trade."""
    steering = ByPlan(history(EVENING), SIZE, tariffs)
    command = steering.begin(EVENING, 30_000, Position(sold=3_000))
    assert command.mode is Mode.DISCHARGE
    assert command.power_w == 2 * (3_000 + 2_000)


def test_what_is_sold_by_day_is_not_charged() -> None:
    """With five half hours of sun left there is no time to wait: it would charge in each."""
    late = NOON + 3
    steering = ByPlan(history(late), SIZE, tariffs)
    free = steering.begin(late, 0, Position())
    sold = steering.begin(late, 0, Position(sold=18_000))
    assert free == Command(Mode.STORE)
    assert sold.mode is Mode.HOLD


def test_a_surplus_that_neighbours_still_want_goes_to_the_pool_rather_than_into_the_battery() -> (
    None
):
    """There is no time to wait, and it is worth less stored than the pool pays, wear counted."""
    late = NOON + 3
    steering = ByPlan(history(late), SIZE, tariffs)
    assert steering.begin(late, 0, Position(wanted=40_000)).mode is Mode.HOLD
    assert steering.begin(late, 0, Position(wanted=40_000, offered=40_000)).mode is Mode.STORE


def test_serving_never_takes_what_is_kept_for_an_outage() -> None:
    steering = ByPlan(history(EVENING), SIZE, tariffs)
    command = steering.begin(EVENING, 500, Position())
    assert command == Command(Mode.SERVE, 1_000)
    assert setpoint_of(command) == Setpoint(0, 1_000)
    device = Battery(44_000, SIZE.power_w, 900)
    limits = Controls(True, True, 0, 1_000 * FULL_RATE // SIZE.power_w)
    for surplus in (-9_000, -200, 0, 5_000):
        flow = battery_energy(device, limits, 4_900_000, surplus, 7_500)
        charged, discharged = expected_flows(command, surplus, 500, SIZE)
        assert flow == pytest.approx(charged - discharged, abs=1)
        assert discharged <= 500


def test_where_the_solver_fails_the_safe_rule_stands_in_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no license")

    monkeypatch.setattr("vpp.solver.HighsSolver.solve", fails)
    monkeypatch.setattr("vpp.solver.ScipySolver.solve", fails)
    said: list[str] = []
    steering = ByPlan(history(NOON), SIZE, tariffs, alarm=said.append)
    assert steering.begin(NOON, 0, Position()) == Command(Mode.STORE)
    assert any("no license" in each for each in said)
    assert steering.offers(NOON + 1) == net_offers(NOON + 1, 18_000 - 7_500)


def test_one_who_starts_again_plans_the_same() -> None:
    """The followers of wear are where the path left them, and no plan rests on the one before."""
    path = [0, 6_750, 13_500, 12_000, 18_750]
    lasting, fresh = (ByPlan(history(NOON + 9, sun=3_000), SIZE, tariffs) for _ in range(2))
    for number, stored in enumerate(path):
        lasting.begin(NOON + number, stored, Position())
    fresh.go_on(path[1:])
    slot = NOON + len(path)
    assert lasting.begin(slot, 25_000, OPEN) == fresh.begin(slot, 25_000, OPEN)
    assert lasting.offers(slot + 1) == fresh.offers(slot + 1)
    elsewhere = ByPlan(history(NOON + 9, sun=3_000), SIZE, tariffs)
    elsewhere.go_on([39_600, 39_600])
    elsewhere.begin(slot, 25_000, OPEN)
    assert elsewhere.offers(slot + 1) != fresh.offers(slot + 1)


def test_prices_that_are_not_enacted_yet_are_not_known() -> None:
    """Enacted at 11:00 for the next day, until then today's stand for tomorrow's."""
    dear = Tariff(30_000, 20_000, 1_000)
    by_day = {DAY.start: TARIFF, DAY.stop: dear}

    def of_day(day: date) -> list[Tariff]:
        return [by_day[slots_of(day).start]] * SLOTS_PER_DAY

    known = known_tariffs(of_day, enacts_daily=True)
    assert known(DAY.stop, DAY[21]) == TARIFF
    assert known(DAY.stop, DAY[22]) == dear
    assert known_tariffs(of_day, enacts_daily=False)(DAY.stop, DAY[0]) == dear


def test_a_neighbour_wants_what_it_lacks_at_what_it_bid_last() -> None:
    neighbours = Neighbours(dict.fromkeys(range(3), works_on))
    for slot in range(DAY.start - 7 * SLOTS_PER_DAY, DAY.start):
        neighbours.read(
            [
                Reading(slot, 0, imported=6_000),
                Reading(slot, 1, exported=2_000, generated=2_000),
                Reading(slot, 2, exported=9_000, generated=9_000),
            ]
        )
    fees = [1_000] * SLOTS_PER_DAY
    unknown, _ = neighbours.wanted(DAY.start, 2, 15_000, fees)
    assert not unknown.round().any()
    last = DAY.start - 1
    neighbours.ordered(
        [Order(last, 0, Side.BID, 6_000, 21_000, 1), Order(last, 1, Side.ASK, 2_000, 9_000, 1)]
    )
    energy, price = neighbours.wanted(DAY.start, 2, 15_000, fees)
    assert energy.round(-1).tolist() == [4_000.0] * SLOTS_PER_DAY
    assert price.tolist() == [20_000.0] * SLOTS_PER_DAY
    undersold, _ = neighbours.wanted(DAY.start, 2, 8_000, fees)
    assert undersold.round(-1).tolist() == [6_000.0] * SLOTS_PER_DAY


@pytest.mark.parametrize("how", STEERINGS)
def test_a_rehearsal_pays_all_and_breaks_no_battery(how: str) -> None:
    found = played(how, DAY)
    assert [slot.slot for slot in found] == list(DAY)
    for slot in found:
        assert sum(slot.settlement.entries) == 0
        battery = slot.readings[6]
        assert 4_400 <= battery.stored <= 44_000
        assert max(battery.charged, battery.discharged) <= 7_500
        assert battery.charged <= battery.generated
    moved = sum(slot.readings[6].charged for slot in found)
    assert (moved > 20_000) is (how != NONE)


def test_own_use_stores_all_surplus_and_serves_all_it_can_and_offers_what_is_left() -> None:
    site = sites(OWN_USE, DAY.start)[6]
    assert site.size is not None
    for slot in DAY:
        held = site.available_wh
        site.begin(slot, OPEN)
        surplus = site.history.generation(slot + 1) - site.history.load(slot + 1)
        offered = sum(
            offer.energy * (1 if offer.side is Side.ASK else -1)
            for offer in site.steering.offers(slot + 1)
        )
        assert offered == surplus + site.steering.planned(slot + 1)
        reading = site.read(slot)
        lack = reading.consumption - reading.generated
        if lack > 0:
            assert reading.discharged == min(lack, held, site.size.slot_limit_wh)
        full = site.stored_wh >= 43_990
        assert full or reading.charged == max(min(-lack, site.size.slot_limit_wh), 0)
    assert site.available_wh < site.size.capacity_wh


def test_what_a_rule_will_do_is_known_ahead() -> None:
    steering = ByRule(history(EVENING), SIZE)
    assert steering.planned(DAY[36]) == 0
    steering.begin(DAY[35], 8_000, OPEN)  # it holds until 18:00
    assert [steering.planned(slot) for slot in DAY[35:38]] == [0, 1_000, 1_000]


def test_a_plan_leaves_what_is_spoken_for() -> None:
    """A call from 20:00 to 21:00 that is known of at 19:00 will want 6 kWh, 3 in each half hour."""

    def spoken_for(slot: int) -> Kept:
        span = range(slot, slot + SLOTS_PER_DAY)
        left = [6_000 if at >= DAY[39] else 0 for at in span]
        return Kept(left, [3_000 if at in (DAY[40], DAY[41]) else 0 for at in span])

    past = history(EVENING, used=16_000)
    free = ByPlan(past, SIZE, tariffs)
    bound = ByPlan(past, SIZE, tariffs, keeps=spoken_for)
    for steering in (free, bound):
        steering.begin(EVENING, 30_000, Position())
    assert [free.planned(slot) for slot in DAY[38:43]] == [7_500, 7_500, 7_500, 7_500, 0]
    assert [bound.planned(slot) for slot in DAY[38:43]] == [7_500, 7_500, 4_500, 4_500, 0]
    # Told to serve whatever the site lacks, it is told no more than what is left of it.
    served = ByPlan(history(EVENING, used=600), SIZE, tariffs, keeps=spoken_for)
    assert served.begin(DAY[39], 7_000, Position()) == Command(Mode.SERVE, 2_000)


class Dark(SiteSeries):
    """A roof that gives nothing from noon of the day on."""

    def generation(self, slot: int) -> int:
        return 0 if slot >= NOON else super().generation(slot)


def test_what_is_still_to_come_changes_no_order_and_no_command() -> None:
    playing = sites(PLAN, DAY.start)
    for site in playing:
        site.series = Dark(**vars(site.series))
    dark = list(rehearsed(playing, lambda _: SETTING.tariffs, DAY))
    whole = played(PLAN, DAY)
    number = NOON - DAY.start
    for one, other in zip(whole[:number], dark[:number], strict=True):
        assert (one.orders, one.readings) == (other.orders, other.readings)
    assert whole[number].orders == dark[number].orders
    assert whole[number + 1].orders == dark[number + 1].orders
    assert whole[number + 2].orders != dark[number + 2].orders


def test_after_metering_only_what_was_metered_is_quoted() -> None:
    found = played(PLAN, range(DAY[20], DAY[24]), after_metering=True)
    for slot in found:
        for order in slot.orders:
            reading = slot.readings[order.site]
            assert order.energy == (
                reading.exported if order.side is Side.ASK else reading.imported
            )
        assert sum(slot.settlement.entries) == 0


def test_an_offer_of_a_plan_without_duals_is_what_it_exports() -> None:
    steering = ByPlan(history(NOON), SIZE, tariffs)
    steering.begin(NOON, 0, Position())
    assert steering._plan is not None
    bare = replace(steering._plan, duals=None)
    net = round(float(bare.net_export[1]) * 1_000)
    assert offers_of(bare, NOON + 1, TARIFF) == net_offers(NOON + 1, net)

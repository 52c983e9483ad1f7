"""What surrounds a plan: reasons, quotes, re-planning, forecasts, the command. kWh, JPY."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from energy.errors import SettingError
from energy.records import Side, Trade
from energy.units import SLOTS_PER_DAY, slots_of
from orchestrator.cli import app
from orchestrator.planning.view import first_day
from orchestrator.words import Language, say
from vpp.calendar import DayKind, kind_of, works_on
from vpp.explain import Why, reasons, thresholds
from vpp.forecast import History, Past, learned, naive, quantiles
from vpp.gaps import filled
from vpp.market import committed, orders, quotes
from vpp.matrix import scenarios_program
from vpp.model import Battery, Demand, Problem, Reserve, Series, Tier
from vpp.mpc import Controller
from vpp.plan import LIMITS, Plan
from vpp.planner import planned
from vpp.safe import safe_plan
from vpp.solver import HighsSolver
from vpp.wear import DepthLaw, chords, even_depths, flat

DAY = slots_of(date(2019, 6, 4))


def unit(**changes: object) -> Battery:
    given_: dict[str, object] = {
        "name": "b",
        "capacity_kwh": 10.0,
        "charge_kw": 5.0,
        "discharge_kw": 5.0,
        "initial_kwh": 0.0,
        "charge_efficiency": 0.9,
        "discharge_efficiency": 0.9,
    }
    return Battery(**{**given_, **changes})  # type: ignore[arg-type]


def site(buy: Series, sell: Series, battery: Battery, **changes: object) -> Problem:
    nothing = np.zeros(np.size(buy))
    given_: dict[str, object] = {
        "load_kwh": nothing,
        "pv_kwh": nothing,
        "purchases": (Tier("buy", buy),),
        "sales": (Tier("sell", sell),),
        "batteries": (battery,),
        "first_slot": DAY.start,
    }
    return Problem(**{**given_, **changes})  # type: ignore[arg-type]


def whys(problem: Problem) -> list[Why]:
    return [reason.why for reason in reasons(planned(problem))]


def test_each_reason_is_given_where_it_holds():
    assert whys(site([10, 30], [9, 29], unit())) == [Why.SPREAD, Why.SPREAD]
    surplus = site([22, 22], [8, 8], unit(), pv_kwh=[2, 0], load_kwh=[0, 2])
    assert whys(surplus) == [Why.SURPLUS, Why.OWN_USE]
    peak = site(
        [20, 20],
        [5, 5],
        unit(initial_kwh=1.0, end_value=25.0),
        load_kwh=[1, 3],
        demand=Demand(900.0),
    )
    assert Why.PEAK in whys(peak)
    reserved = site(
        [20, 20], [18, 18], unit(initial_kwh=5.0), reserve_up=Reserve(30.0, 2.0), load_kwh=[2, 2]
    )  # fmt: skip
    assert Why.RESERVE in whys(reserved)
    called = site([20], [5], unit(initial_kwh=5), call_kwh=[1.0])
    assert whys(called) == [Why.CALL]
    worn = site([10, 20], [9, 19], unit(initial_kwh=5, end_value=16.0, wear=flat(30.0)))
    assert Why.WEAR in whys(worn)
    assert whys(site([10, 11], [9, 10], unit()))[0] in (Why.EMPTY, Why.NO_SPREAD)
    # Enough for one of three equal half hours: it could as well be another.
    tie = whys(site([20] * 3, [5] * 3, unit(initial_kwh=1.0), load_kwh=[2.0] * 3))
    assert Why.OWN_USE in tie
    assert set(tie) <= {Why.OWN_USE, Why.EITHER, Why.EMPTY}
    early = site([20, 20], [5, 5], unit(initial_kwh=3.0, least_kwh=[3.0, 0.0]), load_kwh=[2.0] * 2)
    assert whys(early)[0] is not Why.EITHER


def test_a_price_beyond_a_threshold_changes_the_decision_and_one_within_does_not():
    prices = [12.0, 15.0, 20.0, 14.0]
    battery = unit(initial_kwh=2.0, end_value=15.0)

    def at(price: float) -> float:
        changed = [prices[0], price, *prices[2:]]
        plan = planned(site(changed, changed, battery))
        return float(plan.charge[0][1] - plan.discharge[0][1])

    plan = planned(site(prices, prices, battery))
    below, above, _, _ = thresholds(plan)
    assert at(prices[1]) == pytest.approx(0, abs=1e-6)
    assert at(below[1] - 0.01) > 0.1
    assert at(above[1] + 0.01) < -0.1
    assert at((below[1] + above[1]) / 2) == pytest.approx(0, abs=1e-6)


def test_the_safe_rule_is_explained_without_prices():
    plan = safe_plan(site([22, 22], [8, 8], unit(), pv_kwh=[2, 0], load_kwh=[0, 1]))
    found = reasons(plan)
    assert [reason.why for reason in found] == [Why.SURPLUS, Why.RULE]
    assert np.isnan(found[0].stored_value)


def test_quotes_are_the_plans_own_worth_and_never_worse_for_the_site():
    plan = planned(site([22, 22], [8, 8], unit(), pv_kwh=[9, 0], load_kwh=[0, 9]))
    ask, bid = quotes(plan, fee=1_000)
    assert (ask.side, ask.slot, ask.price) == (Side.ASK, DAY.start, 8_000)
    assert (bid.side, bid.slot, bid.price) == (Side.BID, DAY.start + 1, 22_000)
    assert ask.energy == round(1000 * plan.exported[0])
    made = orders([ask, bid], site=6, sequences={DAY.start: 3}, most_energy=5_000)
    assert [(each.sequence, each.energy) for each in made] == [(3, 5_000), (1, 5_000)]
    own = quotes(plan, fee=1_000, own_ask=15_000, own_bid=16_000)
    assert [quote.price for quote in own] == [15_000, 16_000]
    assert not quotes(safe_plan(plan.problem), fee=1_000)


def test_what_is_traded_comes_back_as_a_commitment_that_costs_nothing_to_keep():
    problem = site([22, 22], [8, 8], unit(), pv_kwh=[9, 0], load_kwh=[0, 9])
    plan = planned(problem)
    ask = quotes(plan, fee=1_000)[0]
    trade = Trade(slot=ask.slot, seller=6, buyer=1, energy=ask.energy)
    sold = committed([trade], 6, DAY.start, 2)
    assert sold == pytest.approx([ask.energy / 1000, 0])
    assert committed([trade], 1, DAY.start, 2) == pytest.approx(-sold)
    assert not committed([trade], 6, DAY.start + 9, 2).any()
    again = planned(replace(problem, sold_kwh=sold))
    assert again.charge[0] == pytest.approx(plan.charge[0], abs=1e-3)
    assert again.net_export == pytest.approx(plan.net_export, abs=1e-3)
    # The utility's 8 JPY for it are gone; the book's price is on another bill.
    assert again.money.bill == pytest.approx(plan.money.bill + 8 * sold[0])


def test_a_controller_carries_the_peak_and_begun_cycles():
    controller = Controller()
    battery = unit(initial_kwh=5.0, wear=flat(1.0))
    with pytest.raises(SettingError, match="must have been planned"):
        controller.measured([5.0], 1.0)
    problem = site([20, 20], [5, 5], battery, load_kwh=[4, 4], demand=Demand(100.0))
    controller.plan(problem)
    controller.measured([3.0], 2.5)
    assert controller.peak_kw == 5.0
    plan = controller.plan(replace(problem, batteries=(replace(battery, initial_kwh=3.0),)))
    assert plan.problem.demand is not None
    assert plan.problem.demand.reached_kw == 5.0
    assert plan.problem.batteries[0].wear is not None
    assert np.asarray(plan.problem.batteries[0].wear.followers_kwh).tolist() == [3.0]
    controller.new_month()
    assert controller.peak_kw == 0.0


def test_scenarios_share_their_first_slot_and_cost_what_they_weigh():
    battery = unit(initial_kwh=5.0)
    dry, wet = (
        site([20, 30, 25], [5, 6, 7], battery, load_kwh=[1, 4, 1], pv_kwh=[0, sun, sun])
        for sun in (0.0, 6.0)
    )
    program = scenarios_program([dry, wet], [0.5, 0.5])
    found = HighsSolver().solve(program)
    assert found.x is not None
    for flow in ("charge.0", "discharge.0"):
        one, other = (found.x[program.columns[f"{n}/{flow}"][0]] for n in (0, 1))
        assert one == pytest.approx(other, abs=1e-7)
    alone = [planned(each).money.total for each in (dry, wet)]
    assert program.cost @ found.x >= sum(alone) / 2 - 1e-6
    plan = Controller().plan(dry, [wet])
    assert plan.made_by == "HiGHS, scenarios"
    assert not plan.notes


def test_of_equal_scenarios_comes_the_single_plan():
    problem = site([20, 30, 25], [5, 6, 7], unit(initial_kwh=5.0), load_kwh=[1, 4, 1])
    assert Controller().plan(problem, [problem, problem]).money.total == pytest.approx(
        planned(problem).money.total
    )


def days_of_use(days: int, chance: np.random.Generator) -> dict[int, Past]:
    first = DAY.start - days * SLOTS_PER_DAY
    shape = 2_000 + 1_500 * np.sin(np.arange(48) / 48 * 2 * np.pi - 1.5)
    return {
        first + at: Past(
            int(shape[at % 48] * chance.uniform(0.9, 1.1)), int(chance.integers(0, 900))
        )
        for at in range((days + 2) * SLOTS_PER_DAY)
    }


@pytest.mark.parametrize("how", ["quantiles", "learned", "naive"])
def test_no_forecast_sees_its_own_slots_or_later_ones(how: str):
    past = days_of_use(30, np.random.default_rng(1))
    spoilt = {at: each if at < DAY.start else Past(99_999, 99_999) for at, each in past.items()}

    def forecast(slots: dict[int, Past]) -> np.ndarray:
        used = {at: each.used for at, each in slots.items()}
        if how == "quantiles":
            return quantiles(History(works_on, slots), "load", DAY[:6], (0.1, 0.9), 5)
        if how == "learned":
            return learned(used, DAY[:6], (0.1, 0.9))
        return np.array([naive(used, slot) for slot in DAY])

    assert np.array_equal(forecast(past), forecast(spoilt))


def test_quantiles_are_in_order_and_hold_about_as_often_as_they_say():
    past = days_of_use(40, np.random.default_rng(2))
    history = History(works_on, past)
    low, middle, high = quantiles(history, "load", DAY, (0.1, 0.5, 0.9), 14)
    assert (low <= middle).all()
    assert (middle <= high).all()
    truth = np.array([past[slot].used for slot in DAY])
    assert 0.6 < ((truth >= low) & (truth <= high)).mean() <= 1
    bad = learned({at: each.used for at, each in past.items()}, DAY, (0.1, 0.9))
    assert (bad[0] <= bad[1]).all()


def test_forecasts_say_what_they_lack():
    with pytest.raises(SettingError, match="two weeks"):
        learned({DAY.start - 48: 1}, DAY)
    with pytest.raises(SettingError, match="between 0 and 1, got 1.5"):
        quantiles(History(works_on), "load", DAY, (1.5,))
    assert naive({}, DAY.start) == 0


@settings(max_examples=50, deadline=None)
@given(st.dates(date(2015, 1, 1), date(2030, 12, 31)))
def test_every_day_has_a_kind(day: date):
    if day.weekday() == 6:
        assert kind_of(day) is DayKind.HOLIDAY
    assert works_on(slots_of(day)[20]) == (kind_of(day) is DayKind.WORKING)


def test_golden_week_and_new_year_are_no_working_days():
    assert kind_of(date(2019, 5, 1)) is DayKind.HOLIDAY  # the accession
    assert kind_of(date(2019, 12, 30)) is DayKind.HOLIDAY
    assert kind_of(date(2019, 6, 4)) is DayKind.WORKING
    assert kind_of(date(2019, 6, 8)) is DayKind.SATURDAY


def asked(*words: str) -> str:
    answer = CliRunner().invoke(app, ["plan", *words])
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_the_command_prints_json_and_nothing_else():
    told = json.loads(asked("--json", "--prices", "synthetic", "--day", "2019-06-11", "--known"))
    assert told["site"] == "Kesennuma"
    assert told["alarms"] == []
    assert len(told["stored_kwh"]) == told["slots"] == 96
    assert abs(told["gap_jpy"]) < 1e-3
    assert sum(told["discharge_kwh"][32:44]) > 10, "it sells into the spike of the evening"
    assert {quote["side"] for quote in told["quotes"]} <= {"ask", "bid"}


def test_the_command_explains_in_both_languages_and_draws(tmp_path):
    chart = tmp_path / "plan.svg"
    told = asked("--explain", "--day", "2019-05-10", "--known", "--chart", str(chart))
    assert "stores surplus sun" in told
    assert "</svg>" in chart.read_text()
    picture = tmp_path / "plan.png"
    told = asked(
        "--explain",
        "--language",
        "ja",
        "--chart",
        str(picture),
        "--reserve",
        "2",
        "--demand",
        "1800",
    )
    assert "余剰太陽光" in told
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--site", "Sendai"], "Sendai must have a battery"),
        (["--site", "Tokyo"], "a site must be one of"),
        (["--day", "soon"], "a day must be as"),
        (["--chemistry", "lead"], "a chemistry must be one of lfp, nmc"),
        (["--stored", "60"], "initial_kwh must be from 0 to"),
        (["--prices", "none.csv"], "must be a price file"),
        (["--chart", "plan.gif"], "a chart must be one of .png, .svg"),
        (["--prices", "synthetic", "--day", "2020-01-01"], "a day must be within"),
    ],
)
def test_the_command_refuses_what_cannot_be(words, error):
    answer = CliRunner().invoke(app, ["plan", *words])
    assert isinstance(answer.exception, SettingError)
    assert error in str(answer.exception)


def test_what_is_not_known_is_guessed_and_said(tmp_path):
    hours = np.tile(np.arange(48.0), 2)
    gappy = hours.copy()
    gappy[[3, 60]] = np.nan
    assert filled("load", gappy, 0.0)[0] == pytest.approx(hours)
    assert filled("load", hours, 0.0) == (hours, [])
    prices = tmp_path / "prices.csv"
    prices.write_text("header\n2019-01-01," + ",".join(["12"] * 40 + [""] * 8) + "\n")
    told = json.loads(asked("--json", "--day", "2019-01-01", "--prices", str(prices)))
    assert [note.split(":")[0] for note in told["notes"]] == [
        "No past, no forecast",
        "The price is not known in 56 of 96 half hours, from 2019-01-01 20",
    ]
    assert told["alarms"] == []
    assert told["made_by"] == "HiGHS"


def test_a_plan_says_what_it_is():
    plan: Plan = planned(site([10, 30], [9, 29], unit()))
    assert plan.made_by == "HiGHS"
    assert not plan.is_safe_rule
    assert plan.imported.sum() > 0
    assert plan.exported.sum() > 0


def test_the_first_days_costs_and_the_next_ones_are_the_plans():
    prices = np.random.default_rng(4).uniform(5, 30, 96)
    law = chords(DepthLaw(5.24e-4, 2.03), 10.0, 200_000.0, even_depths(4))
    reserve = Reserve(0.5, 1.0, most_kw=1.0)
    plan = planned(site(prices, prices - 5, unit(wear=law), reserve_up=reserve))
    day = first_day(plan)
    later = slice(48, 96)
    assert day.purchases + prices[later] @ plan.purchases["buy"][later] == pytest.approx(
        plan.money.purchases
    )
    assert day.reserve == pytest.approx(-0.5 * plan.reserve_up[0][:48].sum())
    assert 0 < day.wear < plan.money.wear
    assert first_day(planned(site(prices[:48], prices[:48] - 5, unit()))).bill == pytest.approx(
        planned(site(prices[:48], prices[:48] - 5, unit())).money.bill
    )


def test_every_limit_reason_and_tier_has_its_words():
    for language in Language:
        for limit in LIMITS.values():
            assert say(language, f"limit_{limit}")
        for why in Why:
            assert say(language, f"why_{why.name}")


def test_what_the_battery_saves_counts_what_was_in_it():
    told = json.loads(asked("--json", "--day", "2019-06-04", "--known", "--stored", "40"))
    less = json.loads(asked("--json", "--day", "2019-06-04", "--known", "--stored", "10"))
    assert told["without_battery_jpy"] == less["without_battery_jpy"]
    assert told["total_jpy"] < less["total_jpy"]
    shown = asked("--day", "2019-06-04", "--known", "--language", "ja")
    assert "円を節約する" in shown
    assert "余剰太陽光を蓄電" in shown

"""Plans against worked examples, both solvers, and their checker. kWh, kW, JPY."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from energy.errors import SettingError
from vpp.check import faults
from vpp.matrix import program_of
from vpp.model import Battery, Demand, Problem, Reserve, Rest, Taper, Tier, Wear
from vpp.plan import Plan
from vpp.planner import planned
from vpp.program import Program
from vpp.solver import HighsSolver, ScipySolver, Solution, dual_bound
from vpp.wear import DepthLaw, chords, even_depths, flat


def battery(**changes: object) -> Battery:
    given: dict[str, object] = {
        "name": "b",
        "capacity_kwh": 10.0,
        "charge_kw": 5.0,
        "discharge_kw": 5.0,
        "initial_kwh": 5.0,
        "charge_efficiency": 0.9,
        "discharge_efficiency": 0.9,
    }
    return Battery(**{**given, **changes})  # type: ignore[arg-type]


def problem(buy: object, sell: object, *batteries: Battery, **changes: object) -> Problem:
    slots = len(buy)  # type: ignore[arg-type]
    given: dict[str, object] = {
        "load_kwh": np.zeros(slots),
        "pv_kwh": np.zeros(slots),
        "purchases": (Tier("buy", buy),),  # type: ignore[arg-type]
        "sales": (Tier("sell", sell),),  # type: ignore[arg-type]
        "batteries": batteries,
    }
    return Problem(**{**given, **changes})  # type: ignore[arg-type]


def proven(plan: Plan) -> Plan:
    """A plan that is the optimum, with its proof, and nothing to be said against."""
    assert not plan.alarms
    assert not faults(plan)
    assert abs(plan.gap) < 1e-5 * max(1.0, abs(plan.money.total + plan.steering))
    return plan


def test_energy_moves_from_cheap_to_dear_as_far_as_power_and_losses_let_it():
    plan = proven(planned(problem([10, 10, 30, 30], [8, 8, 28, 28], battery(initial_kwh=0))))
    # 2.5 kWh a slot into the battery, 0.9 of it stored; 0.9 of that comes out and is sold at 28.
    assert plan.charge[0] == pytest.approx([2.5, 2.5, 0, 0])
    assert plan.money.bill == pytest.approx(2 * 2.5 * 10 - 2 * 2.5 * 0.81 * 28)
    assert plan.money.total == plan.money.bill


def test_surplus_is_stored_for_the_evening_and_what_finds_no_buyer_is_curtailed():
    plan = proven(
        planned(
            problem(
                [22, 22],
                [8, 8],
                battery(initial_kwh=0),
                load_kwh=[0, 2],
                pv_kwh=[5, 0],
                export_kw=2.0,
            )
        )
    )
    assert plan.charge[0][0] == pytest.approx(2.5)
    assert plan.exported[0] == pytest.approx(1.0)
    assert plan.curtailed[0] == pytest.approx(1.5)
    assert plan.discharge[0][1] == pytest.approx(2.5 * 0.81)


def test_the_peak_already_reached_costs_no_more_and_a_higher_one_is_shaved():
    free = planned(problem([20] * 3, [5] * 3, load_kwh=[1, 4, 1], demand=Demand(500.0, 8.0)))
    assert proven(free).money.demand == 4000
    shaved = planned(
        problem(
            [20] * 3, [5] * 3, battery(initial_kwh=5), load_kwh=[1, 4, 1], demand=Demand(500.0, 2.0)
        )
    )
    assert proven(shaved).peak_kw == pytest.approx(3.0)
    assert shaved.discharge[0][1] == pytest.approx(2.5)


def test_wear_that_costs_more_than_the_spread_keeps_the_battery_at_rest():
    prices = [10, 20] * 4
    eager = proven(planned(problem(prices, prices, battery(initial_kwh=0))))
    spared = proven(planned(problem(prices, prices, battery(initial_kwh=0, wear=flat(10.0)))))
    assert eager.discharge[0].sum() > 5
    assert spared.discharge[0].sum() == pytest.approx(0)


def test_a_cycle_goes_as_deep_as_its_last_kwh_pays_for_its_wear():
    prices = [10] * 6 + [20] * 6
    law = chords(DepthLaw(0.01, 2.0), 10.0, 8_000.0, even_depths(8))
    plan = proven(planned(problem(prices, prices, battery(initial_kwh=0, wear=law))))
    # A cycle of depth d earns (20 * 0.9 - 10 / 0.9) d and wears 80 (d / 10) ** 2: the best d is
    # 4.3, and in pieces of 1.25 the nearest end of one.
    assert plan.stored[0].max() == pytest.approx(4.3, abs=1.25)


def test_time_at_a_high_charge_costs_so_charging_waits():
    prices = [10, 10, 10, 30]
    rests = (Rest(0.0, 1.0),)
    plan = proven(
        planned(problem(prices, prices, battery(initial_kwh=0, discharge_kw=2.0, rests=rests)))
    )
    assert np.flatnonzero(plan.charge[0] > 1e-6).tolist() == [2]
    assert plan.money.rest > 0


def test_reserve_is_paid_only_with_the_energy_and_power_to_deliver_it():
    up = Reserve(price=3.0, hours=2.0)
    plan = proven(
        planned(problem([10] * 4, [10] * 4, battery(charge_kw=0.0, end_value=20.0), reserve_up=up))
    )
    # 5 kWh stored give 4.5 at the meter: 2.25 kW for two hours.
    assert plan.reserve_up[0] == pytest.approx([2.25] * 4)
    assert plan.money.reserve == pytest.approx(-3.0 * 2.25 * 4)


def test_reserve_both_ways_keeps_to_the_middle():
    both = Reserve(price=50.0, hours=1.0)
    unit = battery(charge_kw=20.0, discharge_kw=20.0)
    plan = proven(planned(problem([10] * 3, [10] * 3, unit, reserve_up=both, reserve_down=both)))
    assert plan.reserve_up[0][1:] == pytest.approx(plan.stored[0][:-1] * 0.9)
    assert plan.reserve_down[0][1:] == pytest.approx((10 - plan.stored[0][:-1]) / 0.9)


def test_power_that_falls_with_the_charge_is_kept_to():
    taper = Taper(5.0, -0.5)
    plan = proven(
        planned(
            problem([1] * 4, [0] * 4, battery(initial_kwh=0, charge_tapers=(taper,), end_value=9.0))
        )
    )
    assert (plan.charge[0] <= (5 - 0.5 * plan.stored[0]) * 0.5 + 1e-6).all()
    assert plan.charge[0][0] > plan.charge[0][3] > 0


def test_maintenance_leaves_the_battery_alone():
    out = [5.0, 0.0, 0.0, 5.0]
    unit = battery(charge_kw=out, discharge_kw=out)
    plan = proven(planned(problem([1, 40, 1, 40], [1, 39, 1, 39], unit)))
    assert plan.charge[0][1:3] == pytest.approx([0, 0])
    assert plan.discharge[0][1:3] == pytest.approx([0, 0])


def test_two_batteries_share_a_meter():
    small = battery(name="small", capacity_kwh=2.0, initial_kwh=0.0)
    large = battery(name="large", initial_kwh=0.0, charge_efficiency=0.5)
    plan = proven(planned(problem([1, 1, 40, 40], [0, 0, 39, 39], small, large)))
    assert plan.stored[0][1] == pytest.approx(2.0)
    assert plan.stored[1][1] == pytest.approx(2.5)


def test_what_was_sold_in_the_book_is_delivered_or_bought_back():
    sold = problem([20, 20], [5, 5], battery(initial_kwh=2), sold_kwh=[3, 0])
    plan = proven(planned(sold))
    assert plan.discharge[0][0] == pytest.approx(1.8)
    assert plan.purchases["buy"][0] == pytest.approx(1.2)
    assert plan.net_export[0] == pytest.approx(1.8)


def test_the_books_better_price_is_taken_first_and_no_further_than_it_goes():
    plan = proven(
        planned(
            problem(
                [22], [8],
                load_kwh=[3.0],
                purchases=(Tier("utility", 22.0), Tier("book", 15.0, 2.0)),
            )
        )
    )  # fmt: skip
    assert plan.purchases == {"utility": pytest.approx([1.0]), "book": pytest.approx([2.0])}


def test_a_call_from_the_grid_is_met():
    calls = [np.nan, 2.0, np.nan]
    plan = proven(planned(problem([20] * 3, [5] * 3, battery(), load_kwh=[1] * 3, call_kwh=calls)))
    assert plan.net_export[1] == pytest.approx(2.0 - 0.5) or plan.breaches
    assert plan.breaches[0].limit == "energy called for"
    assert plan.breaches[0].amount == pytest.approx(0.5)


@pytest.mark.parametrize("initial", [0.5, 9.9])
def test_a_start_outside_the_limits_is_planned_back_and_said(initial: float):
    unit = battery(initial_kwh=initial, least_kwh=4.0, most_kwh=6.0)
    plan = proven(planned(problem([10] * 6, [9] * 6, unit)))
    limits = {breach.limit for breach in plan.breaches}
    assert limits == {f"{'least' if initial < 4 else 'most'} stored energy of b"}
    assert 4 - 1e-6 <= plan.stored[0][-1] <= 6 + 1e-6
    assert plan.steering > 1000
    assert abs(plan.money.bill) < 100, "no bill contains a penalty"


def test_load_beyond_the_connection_is_served_and_said():
    plan = proven(planned(problem([10], [9], load_kwh=[5.0], import_kw=8.0)))
    (breach,) = plan.breaches
    assert (breach.limit, breach.slot) == ("import limit", 0)
    assert breach.amount == pytest.approx(1.0)
    assert plan.money.bill == pytest.approx(50)


def test_a_reserve_sold_that_is_not_there_is_said():
    up = Reserve(price=1.0, hours=1.0, least_kw=[0.0, 4.0])
    plan = proven(
        planned(problem([90, 10], [80, 10], battery(initial_kwh=3.0, most_kwh=3.5), reserve_up=up))
    )
    assert ("reserve sold, upward", 1) in {(b.limit, b.slot) for b in plan.breaches}


def test_binaries_come_only_where_the_optimum_would_go_both_ways_at_once():
    calm = proven(planned(problem([10, 20], [9, 19], battery())))
    assert calm.binaries == 0
    paid_to_burn = problem([-10, -10, 20], [-12, -12, 19], battery(initial_kwh=9.5))
    loose = program_of(paid_to_burn)
    x = HighsSolver().solve(loose).x
    assert x is not None
    both = np.minimum(x[loose.columns["charge.0"]], x[loose.columns["discharge.0"]])
    assert both.max() > 0.1, "without binaries it charges and discharges at once"
    plan = proven(planned(paid_to_burn))
    assert plan.binaries > 0
    assert np.minimum(plan.charge[0], plan.discharge[0]).max() < 1e-6


def test_selling_dearer_than_buying_is_no_machine_for_money():
    plan = proven(
        planned(problem([10, 10], [12, 12], battery(), load_kwh=[1.0, 1.0], pv_kwh=[2.0, 0.0]))
    )
    assert plan.binaries > 0
    assert min(plan.imported[0], plan.exported[0]) < 1e-6


class Hurried:
    """A solver that knows a bound a part of the cost below what it found, as when time is up."""

    def solve(self, program: Program) -> Solution:
        found = HighsSolver().solve(program)
        if found.bound is None:
            return found
        return replace(found, bound=found.bound - 0.005 * abs(found.bound))


def test_a_search_for_binaries_that_ran_out_of_time_says_what_it_may_have_missed():
    site = problem([-10, -10, 20], [-12, -12, 19], battery(initial_kwh=9.5))
    plan = planned(site, Hurried())
    assert plan.binaries > 0
    assert plan.gap > 0
    assert any("another plan may be" in note for note in plan.notes)
    assert not any("another plan" in note for note in planned(site).notes)


def test_when_patience_is_over_the_safe_rule_stands_in_with_an_alarm():
    site = problem([-10, -10, 20], [-12, -12, 19], battery(initial_kwh=9.5))
    plan = planned(site, patience=0.0)
    assert plan.is_safe_rule
    assert any("time limit" in alarm for alarm in plan.alarms)


def test_a_day_of_prices_below_zero_is_searched_in_two_rounds():
    rounds = []

    class Counting(HighsSolver):
        def solve(self, program: Program) -> Solution:
            rounds.append(int(program.integral.sum()))
            return super().solve(program)

    prices = -np.random.default_rng(3).uniform(1, 20, 48)
    plan = proven(planned(problem(prices, prices - 5, battery()), Counting()))
    assert plan.binaries > 24
    assert np.minimum(plan.charge[0], plan.discharge[0]).max() < 1e-6
    # Without binaries, with them, and with them fixed for the duals.
    assert len(rounds) <= 4


class Broken:
    """A solver that fails as it is told to."""

    def __init__(self, status: str, x: object = None) -> None:
        self.status, self.x = status, x

    def solve(self, program: Program) -> Solution:
        if self.status == "raises":
            raise RuntimeError("no licence")
        if self.x is None:
            return Solution(self.status, None, None, 0.1)
        found = ScipySolver().solve(program)
        assert found.x is not None
        return replace(found, x=found.x * self.x)  # type: ignore[operator]


@pytest.mark.parametrize("status", ["time limit", "raises", "unbounded"])
def test_a_solver_that_fails_yields_the_safe_rule_and_an_alarm(status: str):
    site = problem([22] * 3, [8] * 3, battery(), load_kwh=[0, 1, 9], pv_kwh=[3, 0, 0])
    plan = planned(site, Broken(status), Broken("time limit"))
    assert plan.is_safe_rule
    assert len(plan.alarms) == 2
    assert ("no licence" if status == "raises" else status) in plan.alarms[0]
    assert not faults(plan)
    assert plan.charge[0] == pytest.approx([2.5, 0, 0])
    assert plan.discharge[0] == pytest.approx([0, 1, 2.5])


def test_scipy_stands_in_for_highs():
    plan = planned(problem([10, 20], [9, 19], battery()), Broken("raises"))
    assert plan.made_by == "scipy"
    assert plan.alarms


def test_a_plan_that_fails_its_check_is_not_handed_on():
    plan = planned(
        problem([10, 20], [9, 19], battery(), load_kwh=[1, 1]),
        Broken("optimal", 1.01),
        Broken("time limit"),
    )
    assert plan.is_safe_rule
    assert "failed its check" in plan.alarms[0]


SPOILT = {
    "balance": lambda p: replace(p, curtailed=p.curtailed + 1),
    "its state": lambda p: replace(p, stored=(p.stored[0] + 0.1,)),
    "bill": lambda p: replace(p, money=replace(p.money, purchases=p.money.purchases + 1)),
    "wear": lambda p: replace(p, money=replace(p.money, wear=p.money.wear + 1)),
    "proof": lambda p: replace(p, gap=1.0),
    "finite": lambda p: replace(p, curtailed=p.curtailed * np.nan),
    "energy at": lambda p: replace(p, reserve_up=(p.reserve_up[0] + 0.5,)),
    "the peak": lambda p: replace(
        p, peak_kw=p.peak_kw - 0.5, money=replace(p.money, demand=10 * (p.peak_kw - 0.5))
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_the_checker_sees(what: str):
    site = problem(
        [10, 20, 30], [9, 19, 29], battery(wear=flat(1.0)),
        load_kwh=[2, 2, 2], pv_kwh=[1, 1, 1], demand=Demand(10.0),
        reserve_up=Reserve(5.0, 2.0),
    )  # fmt: skip
    plan = proven(planned(site))
    assert any(what in fault for fault in faults(SPOILT[what](plan)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"capacity_kwh": 0}, "capacity_kwh must be above 0, got 0"),
        ({"charge_efficiency": 1.1}, "charge_efficiency must be above 0 and at most 1, got 1.1"),
        ({"least_kwh": 8, "most_kwh": 6}, "least_kwh must be at most most_kwh, got 8 and 6"),
        ({"charge_kw": -1}, "charge_kw must be 0 or more, got -1"),
        ({"initial_kwh": 11}, "initial_kwh must be from 0 to 10, got 11"),
        ({"discharge_kw": [1.0, np.nan]}, "discharge_kw in slot 1 must be 0 or more, got nan"),
        ({"charge_tapers": (Taper(1.0, -1.0),)}, "a taper in slot 1 must be 0 or more, got -9"),
    ],
)  # fmt: skip
def test_an_impossible_battery_is_refused_by_name_value_and_limit(changes, words):
    with pytest.raises(SettingError, match=words.replace(".", r"\.")):
        battery(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"purchases": (Tier("buy", [1, np.inf]),)},
            "buy: price in slot 1 must be a finite number",
        ),
        ({"purchases": (Tier("buy", [1, 2, 3]),)}, "buy: price must have 2 slots, got 3"),
        ({"purchases": ()}, "one of the purchases must be without a limit"),
        ({"sales": (Tier("sell", 1, 5.0),)}, "one of the sales must be without a limit"),
        ({"load_kwh": [1, -1]}, "load_kwh in slot 1 must be 0 or more, got -1"),
        ({"pv_kwh": [np.nan, 1]}, "pv_kwh in slot 0 must be 0 or more, got nan"),
        ({"hours": 0}, "more than 0 hours, got 0"),
        ({"demand": Demand(-1.0)}, "demand price must be 0 or more, got -1"),
        ({"reserve_up": Reserve(1.0, 1.0, 5.0, 2.0)}, "least_kw must be at most most_kw"),
        ({"batteries": (battery(), battery())}, "different names"),
    ],
)
def test_an_impossible_site_is_refused_by_name_value_and_limit(changes, words):
    with pytest.raises(SettingError, match=words):
        problem([1, 2], [1, 2], **changes)


@pytest.mark.parametrize(
    ("kinks", "slopes", "words"),
    [
        ([0, 1], [1], "as many slopes as kinks"),
        ([1, 2], [1, 1], "rise from 0"),
        ([0, 1], [1, -1], "0 or more"),
    ],
)
def test_wear_that_is_not_convex_is_refused(kinks, slopes, words):
    with pytest.raises(SettingError, match=words):
        Wear(kinks, slopes)


def test_any_duals_give_a_bound_and_the_optimums_close_it():
    program = program_of(problem([10, 20, 15], [9, 19, 14], battery()))
    found = ScipySolver().solve(program)
    assert found.duals is not None
    assert found.x is not None
    best = float(program.cost @ found.x)
    assert dual_bound(program, found.duals) == pytest.approx(best)
    assert dual_bound(program, found.duals * 0.9) < best


def test_a_warm_solver_finds_what_a_cold_one_finds():
    chance, warm = np.random.default_rng(3), HighsSolver()
    for _ in range(20):
        prices = chance.uniform(0, 30, 48)
        site = problem(prices, prices - 2, battery(initial_kwh=chance.uniform(0, 10)))
        hot, cold = planned(site, warm), planned(site, ScipySolver())
        assert hot.money.total == pytest.approx(cold.money.total, abs=1e-6)


def test_the_time_limit_holds_for_each_solve_and_not_for_all_of_them(monkeypatch):
    solver = HighsSolver(time_limit=0.2)
    site = problem(np.arange(48) % 7, np.arange(48) % 7 - 1.0, battery())
    program = program_of(site)
    for _ in range(400):
        assert solver.solve(replace(program, cost=program.cost * 1.01)).is_optimal

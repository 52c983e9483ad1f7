"""Futures from the errors of past forecasts, and how a plan is carried out at the meter."""

from __future__ import annotations

import numpy as np
import pytest

from bench import stages
from vpp.model import Battery, Demand, Problem, Tier
from vpp.planner import planned
from vpp.scenarios import Scenarios

DAY = 48
NOW = 1_000 * DAY


def test_a_future_is_the_forecast_with_a_past_days_errors_and_sees_nothing_later():
    scenarios, known = Scenarios(days=3), dict[int, tuple[float, float]]()
    load, pv = np.full(DAY, 2.0), np.full(DAY, 5.0)
    for day in (2, 1):
        start = NOW - day * DAY
        scenarios.made(start, load, pv)
        known |= {start + place: (2.0 + day, 5.0 - 3.0 * day) for place in range(DAY)}
    futures = scenarios.futures(NOW, load, pv, known)
    assert [(each[0][0], each[1][0]) for each in futures] == [(3.0, 2.0), (4.0, 0.0)]
    known |= {NOW + place: (99.0, 99.0) for place in range(DAY)}
    later = scenarios.futures(NOW, load, pv, known)
    assert all(np.array_equal(a, b) for a, b in zip(futures, later, strict=True))


def test_errors_reach_only_as_far_as_the_past_and_old_forecasts_are_forgotten():
    scenarios = Scenarios(days=1)
    load, pv = np.full(2 * DAY, 2.0), np.zeros(2 * DAY)
    scenarios.made(NOW - DAY, load, pv)
    known = dict.fromkeys(range(NOW - DAY, NOW + DAY), (3.0, 0.0))
    ((future, _),) = scenarios.futures(NOW, load, pv, known)
    assert future[:DAY].tolist() == [3.0] * DAY
    assert future[DAY:].tolist() == [2.0] * DAY
    scenarios.made(NOW + 2 * DAY, load, pv)
    assert scenarios.futures(NOW, load, pv, known) == []


@pytest.mark.parametrize(
    ("need", "blind", "charged"), [(-3.0, True, 5.0), (-3.0, False, 3.0), (1.0, False, 0.0)]
)
def test_where_the_plan_stores_surplus_no_more_than_the_surplus_is_stored(need, blind, charged):
    unit = Battery("one", 20.0, 10.0, 10.0, 0.0)
    plan = planned(
        Problem([0.0, 9.0], [5.0, 0.0], (Tier("buy", 22.0),), (Tier("sell", 8.0),), (unit,))
    )
    assert plan.charge[0][0] == pytest.approx(5.0)
    assert stages.carried_out(plan, need, 0.0, blind)[0] == pytest.approx(charged)


def test_the_plans_peak_is_kept_where_the_load_is_higher():
    unit = Battery("one", 20.0, 10.0, 10.0, 10.0, end_value=21.0)
    plan = planned(
        Problem(
            [2.0, 2.0], [0.0, 0.0], (Tier("buy", 22.0),), (Tier("sell", 8.0),), (unit,),
            demand=Demand(100.0, reached_kw=4.0),
        )
    )  # fmt: skip
    assert plan.discharge[0][0] == pytest.approx(0.0, abs=1e-6)
    assert stages.carried_out(plan, 3.5, 10.0, blind=False)[1] == pytest.approx(1.5)
    assert stages.carried_out(plan, 3.5, 10.0, blind=True)[1] == pytest.approx(0.0, abs=1e-6)
    # No more than it can.
    assert stages.carried_out(plan, 99.0, 10.0, blind=False)[1] == pytest.approx(5.0)


def test_a_paired_interval_is_students():
    low, high = stages.interval([1.0, 2.0, 3.0])
    assert low == pytest.approx(-0.484, abs=0.001)
    assert high == pytest.approx(4.484, abs=0.001)

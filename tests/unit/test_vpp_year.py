"""A year of random sites: every day has a plan, and the checker accepts each."""

from __future__ import annotations

import numpy as np
import pytest

from vpp.check import faults
from vpp.model import Battery, Demand, Problem, Reserve, Rest, Taper, Tier
from vpp.planner import planned
from vpp.safe import safe_plan
from vpp.solver import HighsSolver, ScipySolver
from vpp.wear import DepthLaw, chords, even_depths

SLOTS, DAYS = 48, 365


def random_battery(chance: np.random.Generator, name: str) -> Battery:
    capacity = chance.uniform(5, 200)
    rated = chance.uniform(0.1, 0.6) * capacity
    works = chance.random(SLOTS) > chance.choice([0.0, 0.2])
    law = DepthLaw(5e-4, chance.uniform(1, 2.5))
    wears = chance.random() < 0.25
    return Battery(
        name,
        capacity,
        rated * works,
        rated,
        chance.uniform(0, 1) * capacity,
        chance.uniform(0.8, 1),
        chance.uniform(0.8, 1),
        chance.uniform(0, 0.3) * capacity,
        chance.uniform(0.7, 1) * capacity,
        standby_kw=chance.choice([0, 0.05]),
        leak=chance.choice([0, 0.001]),
        end_value=chance.uniform(0, 20),
        end_least_kwh=capacity * 0.5 if chance.random() < 0.3 else None,
        wear=chords(law, capacity, 30_000 * capacity, even_depths(5, 0.9)) if wears else None,
        rests=(Rest(0.6 * capacity, 0.02),) if chance.random() < 0.3 else (),
        charge_tapers=(Taper(rated, -rated / capacity),) if chance.random() < 0.3 else (),
        discharge_tapers=(Taper(0.1 * rated, rated / capacity),) if chance.random() < 0.3 else (),
    )


def random_problem(chance: np.random.Generator) -> Problem:
    names = ("one", "two")[: 1 + (chance.random() < 0.25)]
    sunny = (np.arange(SLOTS) > 20) & (np.arange(SLOTS) < 27) & (chance.random() < 0.1)
    buy = chance.normal(15, 3, SLOTS) - 20 * sunny
    sell = buy - chance.uniform(0.5, 8, SLOTS)
    sun = np.maximum(0, np.sin((np.arange(SLOTS) - 12) / 24 * np.pi))
    calls = np.full(SLOTS, np.nan)
    if chance.random() < 0.2:
        calls[chance.integers(SLOTS)] = chance.uniform(-20, 20)
    reserve = Reserve(
        chance.uniform(0, 10),
        float(chance.choice([0.5, 1, 3])),
        np.where(chance.random(SLOTS) > 0.9, 2.0, 0.0),
    )
    return Problem(
        load_kwh=chance.uniform(0, 20, SLOTS),
        pv_kwh=sun * chance.uniform(0, 40),
        purchases=(Tier("utility", buy), Tier("book", buy - 0.4, chance.uniform(0, 5))),
        sales=(Tier("feed-in", sell),),
        batteries=tuple(random_battery(chance, name) for name in names),
        import_kw=chance.choice([np.inf, 45]),
        export_kw=chance.choice([np.inf, 20]),
        demand=Demand(500.0, 20.0) if chance.random() < 0.4 else None,
        reserve_up=reserve if chance.random() < 0.4 else None,
        reserve_down=Reserve(chance.uniform(0, 10), 1.0) if chance.random() < 0.3 else None,
        sold_kwh=chance.choice([0, 1]) * chance.uniform(-3, 3, SLOTS),
        call_kwh=calls,
    )


def test_every_day_of_a_random_year_has_a_proven_plan():
    chance, solver = np.random.default_rng(365), HighsSolver()
    breached = binaries = 0
    for day in range(DAYS):
        site = random_problem(chance)
        plan = planned(site, solver)
        assert not plan.alarms, (day, plan.alarms)
        assert not faults(plan), day
        assert not faults(safe_plan(site)), day
        breached += bool(plan.breaches)
        binaries += plan.binaries > 0
        if day % 30 == 0:
            other = planned(site, ScipySolver())
            assert plan.money.total + plan.steering == pytest.approx(
                other.money.total + other.steering, rel=1e-6, abs=1e-3
            )
    assert breached > 10
    assert binaries > 10

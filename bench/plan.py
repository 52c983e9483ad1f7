"""How long a plan takes: a battery behind a meter with PV and a demand charge, cold and warm.

Times are of handing the program over and solving it, in processor time, which for one thread is the
clock's on a machine of its own; building the model is left out. Warm is the same program at other
prices. Every figure is the median of a dozen days.
"""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

import numpy as np

from bench import backtest
from bench.figures import Figure
from vpp.matrix import program_of
from vpp.model import Battery, Demand, Problem, Tier
from vpp.planner import PATIENCE, planned
from vpp.program import Program
from vpp.solver import HighsSolver, ScipySolver
from vpp.wear import DepthLaw, chords, even_depths

DAYS, SEED = 12, 8
CAPACITY = 44.0
BARS = {(48, 0): (3.0, 0.5), (48, 8): (10.0, 1.5), (336, 0): (15.0, 3.0), (336, 8): (120.0, 20.0)}
"""Milliseconds, cold and warm, by slots and kinks."""


def figures() -> list[Figure]:
    """Time all sizes, and play two weeks; some minutes."""
    found = []
    for (slots, kinks), bars in BARS.items():
        what = f"{slots} slots, {kinks} wear kinks" if kinks else f"{slots} slots"
        cold, warm, reference = _times(slots, kinks)
        found += [
            Figure(f"{what}: cold", cold, "ms", bars[0]),
            Figure(f"{what}: warm", warm, "ms", bars[1]),
            Figure(f"{what}: through scipy", reference, "ms"),
        ]
    return [*found, *below_zero(), *backtest.figures()]


def below_zero() -> list[Figure]:
    """Time a day on which being paid to burn energy tempts three batteries in every slot."""
    chance = np.random.default_rng(SEED)
    day = problem(48, 0, chance)
    (unit,) = day.batteries
    price = -chance.uniform(1, 20, 48)
    hard = replace(
        day,
        purchases=(Tier("buy", price),),
        sales=(Tier("sell", price - 5),),
        batteries=tuple(replace(unit, name=f"office {number}") for number in range(3)),
    )
    began = time.process_time()
    plan = planned(hard, HighsSolver(600), patience=600)
    took = time.process_time() - began
    name = "48 slots, three batteries, all prices below 0"
    return [
        Figure(f"{name}: processor time", took, "s", PATIENCE),
        Figure(f"{name}: binaries", plan.binaries, "count"),
        Figure(
            f"{name}: cost that may be missed", 100 * plan.gap / abs(plan.money.total), "%", 1.0
        ),
    ]


def _times(slots: int, kinks: int) -> tuple[float, float, float]:
    chance = np.random.default_rng(SEED)
    cold, warm, reference = [], [], []
    kept = HighsSolver()
    for _ in range(DAYS):
        program = program_of(problem(slots, kinks, chance))
        cold.append(_milliseconds(HighsSolver(), program))
        kept.solve(program)
        prices = np.concatenate([program.columns[name] for name in ("buy", "sell")])
        cost = program.cost.copy()
        cost[prices] *= 1 + chance.normal(0, 0.02, prices.size)
        warm.append(_milliseconds(kept, replace(program, cost=cost)))
        reference.append(_milliseconds(ScipySolver(), program))
    return median(cold), median(warm), median(reference)


def _milliseconds(solver: HighsSolver | ScipySolver, program: Program) -> float:
    began = time.process_time()
    solution = solver.solve(program)
    took = time.process_time() - began
    assert solution.is_optimal
    return 1000 * took


def problem(slots: int, kinks: int, chance: np.random.Generator) -> Problem:
    """Return a random day, or week, of an office with PV and a battery."""
    time_of_day = np.arange(slots) % 48
    sun = np.maximum(0, np.sin((time_of_day - 12) / 24 * np.pi))
    works = (time_of_day > 16) & (time_of_day < 38)
    price = 15 + 6 * np.sin(time_of_day / 48 * 4 * np.pi) + chance.normal(0, 1.5, slots)
    wear = None
    if kinks:
        # The first kink is at depth 0; it needs no follower, and is not counted.
        law = DepthLaw(5.24e-4, 2.03)
        wear = chords(law, CAPACITY, CAPACITY * 20_000, even_depths(kinks + 1, 0.9))
    unit = Battery(
        "office", CAPACITY, 15.0, 15.0, 20.0 + chance.uniform(-2, 2), 0.95, 0.95, 4.4,
        end_value=12.0, wear=wear,
    )  # fmt: skip
    return Problem(
        load_kwh=6 + 6 * works * chance.uniform(0.8, 1.2, slots),
        pv_kwh=20 * sun * chance.uniform(0.3, 1, slots),
        purchases=(Tier("buy", price),),
        sales=(Tier("sell", price - 5),),
        batteries=(unit,),
        demand=Demand(50.0, 18.0),
    )

"""A battery on JEPX's day-ahead prices of 2024: what perfect and causal forecasts earn, and wear.

The battery of all figures: 1 MWh, 0.5 MW, 10 to 90 %, 95 % each way, half charged at the start. The
prices may not be carried in this project: they are read where they lie, beside its folder.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from bench.figures import Figure
from energy.errors import SettingError
from vpp.matrix import program_of
from vpp.model import Array, Battery, Problem, Tier, Wear
from vpp.prices import PriceForecaster
from vpp.prices.forecaster import RATE
from vpp.program import Program
from vpp.solver import HighsSolver
from vpp.wear import DepthLaw, chords, even_depths, flat, life_used, remembered, tangents

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "jepx_spot_2024_30min.csv"
FIRST = date(2024, 1, 1)
FORECAST_FROM = 30
"""The first day forecast, 31 January: before it there is too little to learn from."""
RESAMPLED = 10_000
APRIL = (date(2024, 4, 1) - FIRST).days
CAPACITY, HALF = 1_000.0, 500.0
PUBLISHED = 2_128_330.27
"""JPY that perfect foresight earns from April to December."""
LAW = DepthLaw(5.24e-4, 2.03)
WEAR_FIRST, WEAR_SLOTS = (date(2024, 3, 31) - FIRST).days * 48, 28 * 48
WINDOW, KEPT = 432, 336
"""Slots planned, and slots kept of them, in the wear-aware plan: nine days and seven."""


def figures() -> list[Figure]:
    """Measure all; about five minutes, most of them spent on learning.

    Raises:
        SettingError: if the prices are not there.
    """
    system, tohoku = prices()
    return [*foresight(system), *forecast(system, tohoku), *wear(system)]


def prices() -> tuple[Array, Array]:
    """Return the system's and the Tohoku area's prices, days x 48, JPY/kWh."""
    if not DATA.exists():
        raise SettingError(f"JEPX's prices of 2024 must be at {DATA}: they may not be bundled")
    with DATA.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = ("system_jpy_per_kwh", "tohoku_jpy_per_kwh")
    system, tohoku = (np.array([float(row[name]) for row in rows]) for name in columns)
    return system.reshape(-1, 48), tohoku.reshape(-1, 48)


def battery(initial: float = HALF, end: float | None = HALF, most: float | None = None) -> Battery:
    """Return the battery of all figures."""
    return Battery(
        "JEPX", CAPACITY, 500.0, 500.0, initial, 0.95, 0.95, 100.0, 900.0,
        end_least_kwh=end, end_most_kwh=most,
    )  # fmt: skip


def problem(price: Array, unit: Battery) -> Problem:
    """Return the problem of a battery alone at prices."""
    nothing = np.zeros(len(price))
    return Problem(nothing, nothing, (Tier("buy", price),), (Tier("sell", price),), (unit,))


class Day:
    """Schedules of a day from half charge to half charge, by the prices one believes in."""

    def __init__(self) -> None:
        self._program: Program = program_of(problem(np.zeros(48), battery(most=HALF)))
        self._solver = HighsSolver()

    def discharge(self, price: Array) -> Array:
        """Return the discharge less the charge of each slot, kWh."""
        columns, cost = self._program.columns, self._program.cost.copy()
        cost[columns["buy"]], cost[columns["sell"]] = price, -price
        x = self._solver.solve(replace(self._program, cost=cost)).x
        assert x is not None
        return np.asarray(x[columns["discharge.0"]] - x[columns["charge.0"]])


def foresight(system: Array) -> list[Figure]:
    """Return what perfect foresight earns, and how far that is from what is published."""
    day = Day()
    earned = sum(float(price @ day.discharge(price)) for price in system[APRIL:])
    return [
        Figure("perfect foresight, April to December", earned, "JPY"),
        Figure("away from the published sum", abs(earned - PUBLISHED), "JPY", 0.01),
    ]


def believed(system: Array, tohoku: Array, first: int = FORECAST_FROM) -> dict[int, Array]:
    """Return what every model expects of each day from number `first` on, and in the last row the
    forecast: each made from the days before it."""
    forecaster = PriceForecaster(FIRST)
    found: dict[int, Array] = {}
    for number, (price, area) in enumerate(zip(system, tohoku, strict=True)):
        if number >= first:
            found[number] = np.vstack([forecaster.forecasts(), forecaster.forecast()])
        forecaster.observe(price, area)
    return found


def forecast(system: Array, tohoku: Array) -> list[Figure]:
    """Return the shares of perfect foresight that causal forecasts earn."""
    day, rows = Day(), believed(system, tohoku)
    expected = {number: row[-1] for number, row in rows.items()}
    # Ties: where prices are equal, the earlier slot.
    nudge = np.arange(48) * 1e-6
    after = range(APRIL, len(system))

    def earned(days: range, prices: Callable[[int], Array]) -> Array:
        return np.array([float(system[n] @ day.discharge(prices(n))) for n in days])

    def share(days: range, prices: Callable[[int], Array]) -> float:
        return 100 * float(earned(days, prices).sum() / earned(days, system.__getitem__).sum())

    got, most = earned(after, expected.__getitem__), earned(after, system.__getitem__)
    drawn = np.random.default_rng(0).integers(0, got.size, (RESAMPLED, got.size))
    low, high = np.percentile(100 * got[drawn].sum(1) / most[drawn].sum(1), (2.5, 97.5))
    perfect = float(most.sum())
    known, guessed = (_rolling(system, expected, foresees) for foresees in (True, False))
    models = len(rows[APRIL]) - 1
    rule = f"{models} models, weights exp(-{RATE:g} x mean squared error / its deviation)"
    return [
        Figure(
            f"causal forecast, {rule}, April to December",
            100 * got.sum() / perfect,
            "%",
            89.0,
            True,
        ),
        Figure(
            "the same where it was chosen, 31 January to March",
            share(range(FORECAST_FROM, APRIL), expected.__getitem__),
            "%",
        ),
        Figure("days of April to December drawn again, 2.5th percentile", low, "%"),
        Figure("days of April to December drawn again, 97.5th percentile", high, "%"),
        Figure("the same models, equal weights", share(after, lambda n: rows[n][:-1].mean(0)), "%"),
        Figure("previous day", share(after, lambda n: system[n - 1] + nudge), "%"),
        Figure("no daily reset, next day known", 100 * known / perfect, "%"),
        Figure("no daily reset, next day forecast", 100 * guessed / perfect, "%"),
    ]


def _rolling(system: Array, expected: dict[int, Array], knows_next: bool) -> float:
    """Return what plans of two days earn of which the first is kept, without a daily reset.

    Either both days are known, or the first is forecast on the day before and the second, further
    off than the forecaster looks, is taken to be like it.
    """
    stored, earned, solver = HALF, 0.0, HighsSolver()
    for number in range(APRIL, len(system)):
        today = system[number] if knows_next else expected[number]
        last = number + 1 == len(system)
        tomorrow = system[number + 1] if knows_next and not last else today
        price = today if last else np.concatenate([today, tomorrow])
        program = program_of(problem(price, battery(stored)))
        x = solver.solve(program).x
        assert x is not None
        columns = program.columns
        moved = x[columns["discharge.0"]] - x[columns["charge.0"]]
        earned += float(system[number] @ moved[:48])
        stored = float(np.clip(x[columns["stored.0"]][47], 100, 900))
    return earned


def wear(system: Array) -> list[Figure]:
    """Return what wear-aware plans of 28 days earn less wear by rainflow, and their bound."""
    price = system.ravel()[WEAR_FIRST : WEAR_FIRST + WEAR_SLOTS]
    found = []
    # Where wear is dear cycles are shallow and few, and fewer chords do.
    for replacement, pieces, bar in ((20_000, 20, 80_500), (40_000, 16, 42_400)):
        cost = replacement * CAPACITY
        law = chords(LAW, CAPACITY, cost, 0.8 * (even_depths(pieces)) ** 1.1)
        stored, earned, seconds = rolled(price, law)
        worth = earned - cost * life_used(LAW, stored, CAPACITY)
        best, at = max((_flat(price, each, cost), each) for each in range(31))
        unit = replace(battery(), wear=tangents(LAW, CAPACITY, cost, even_depths(12, 0.8)))
        program = program_of(problem(price, unit))
        bound = HighsSolver(60, once=True).solve(program).x
        assert bound is not None
        name = f"wear at {replacement:,} JPY/kWh"
        found += [
            Figure(f"{name}: revenue less wear", worth, "JPY", bar, True),
            Figure(f"{name}: processor time to plan", seconds, "s", 1.0),
            Figure(f"{name}: best flat wear price, in sample", best, "JPY"),
            Figure(f"{name}: that flat price", at, "JPY/kWh"),
            Figure(f"{name}: upper bound by tangents", -float(program.cost @ bound), "JPY"),
        ]
    return found


def rolled(price: Array, law: Wear) -> tuple[Array, float, float]:
    """Return (stored energy, revenue, seconds of solving) of nine-day plans of which seven are
    kept.

    The followers carry begun cycles from plan to plan, so that little is lost by planning in parts,
    and the time grows with the length, not with its square.
    """
    stored, earned, seconds, at = [HALF], 0.0, 0.0, 0
    while at < len(price):
        until = min(at + WINDOW, len(price))
        kept = until - at if until == len(price) else KEPT
        unit = replace(battery(stored[-1]), wear=law)
        program = program_of(problem(price[at:until], unit))
        solver = HighsSolver(60, once=True)
        # The solver has one thread: on a machine of its own this is the time by the clock.
        began = time.process_time()
        x = solver.solve(program).x
        seconds += time.process_time() - began
        assert x is not None
        columns = program.columns
        moved = (x[columns["discharge.0"]] - x[columns["charge.0"]])[:kept]
        path = np.clip(x[columns["stored.0"]][:kept], 100, 900)
        earned += float(price[at : at + kept] @ moved)
        law = remembered(law, np.concatenate([stored[-1:], path]))
        stored += path.tolist()
        at += kept
    return np.array(stored), earned, seconds


def _flat(price: Array, per_kwh: float, cost: float) -> float:
    unit = replace(battery(), wear=flat(per_kwh))
    program = program_of(problem(price, unit))
    x = HighsSolver(60, once=True).solve(program).x
    assert x is not None
    columns = program.columns
    moved = x[columns["discharge.0"]] - x[columns["charge.0"]]
    stored = np.concatenate([[HALF], x[columns["stored.0"]]])
    return float(price @ moved) - cost * life_used(LAW, stored, CAPACITY)

"""What planning earned: Kesennuma's office played over two weeks of May, re-planned each slot.

Forecasts see only what was read before. A plan's first slot is carried out as it stands: the
battery does what it was told, as far as its energy goes, and the meter takes the difference. The
bill is that of what happened, at prices of the bundled synthetic year plus 5 JPY/kWh for buying;
wear is rainflow's over the path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from bench.figures import Figure
from energy.units import SLOTS_PER_DAY, slots_of
from orchestrator.planning.plan import battery_of
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import load_setting
from vpp.calendar import works_on
from vpp.forecast import History, Past, learned, naive
from vpp.model import Array, Battery, Problem, Tier
from vpp.mpc import Controller
from vpp.plan import Plan
from vpp.prices import price_days
from vpp.safe import safe_plan
from vpp.wear import wear_cost

FIRST, DAYS, HORIZON = date(2019, 5, 7), 14, 48
MARKUP = 5.0


@dataclass
class Played:
    """Kesennuma's past and future, Wh a slot, and prices, JPY/kWh."""

    past: dict[int, Past]
    price: dict[int, float]
    battery: Battery


@dataclass
class Strategy:
    """Something that plans from a slot that begins with what is stored; `controller` is told what
    came of it."""

    plan: Callable[[int, float], Plan]
    controller: Controller | None = None


def figures() -> list[Figure]:
    """Play the weeks with each strategy, and score the forecasts; about a minute."""
    played = _played()
    slots = range(slots_of(FIRST).start, slots_of(FIRST).start + DAYS * SLOTS_PER_DAY)
    found = []
    for name, strategy in _strategies(played).items():
        bill, wear = _run(played, slots, strategy)
        found += [
            Figure(f"{DAYS} days, {name}: bill and wear", bill + wear, "JPY"),
            Figure(f"{DAYS} days, {name}: wear", wear, "JPY"),
        ]
    return [*found, *_scores(played)]


def _played() -> Played:
    setting = load_setting()
    site = next(site for site in setting.sites if site.battery)
    loads, sun = load_series(), pv_series()
    column = str(site.load_column)
    first, prices = price_days()
    start = slots_of(FIRST).start
    span = range(start - 56 * SLOTS_PER_DAY, start + (DAYS + 2) * SLOTS_PER_DAY)
    origin = slots_of(first).start
    return Played(
        {at: Past(loads.load(column, at), sun.generation(site.pv_power, at)) for at in span},
        {at: float(prices.ravel()[at - origin]) for at in span},
        battery_of(site, None, "lfp", float(prices.mean())),
    )


def _problem(played: Played, slot: int, stored: float, load: Array, pv: Array) -> Problem:
    price = np.array([played.price[at] for at in range(slot, slot + HORIZON)])
    return Problem(
        load_kwh=load,
        pv_kwh=pv,
        purchases=(Tier("buy", price + MARKUP),),
        sales=(Tier("sell", price),),
        batteries=(replace(played.battery, initial_kwh=stored),),
        first_slot=slot,
    )


def _known(played: Played, slot: int) -> tuple[Array, Array]:
    span = range(slot, slot + HORIZON)
    load, pv = (
        np.array([getattr(played.past[at], what) for at in span]) / 1000
        for what in ("used", "generated")
    )
    return load, pv


def _strategies(played: Played) -> dict[str, Strategy]:
    once, each, sure = Controller(), Controller(), Controller()

    def history(slot: int) -> History:
        return History(works_on, {at: p for at, p in played.past.items() if at < slot})

    def expected(slot: int, stored: float) -> Problem:
        past = history(slot)
        span = range(slot, slot + HORIZON)
        load, pv = (np.array([f(at) for at in span]) / 1000 for f in (past.load, past.generation))
        return _problem(played, slot, stored, load, pv)

    held: dict[str, Plan] = {}

    def daily(slot: int, stored: float) -> Plan:
        place = (slot - slots_of(FIRST).start) % SLOTS_PER_DAY
        if not place:
            held["plan"] = once.plan(expected(slot, stored))
        return _from(held["plan"], place)

    def replanned(slot: int, stored: float) -> Plan:
        return each.plan(expected(slot, stored))

    def foresight(slot: int, stored: float) -> Plan:
        return sure.plan(_problem(played, slot, stored, *_known(played, slot)))

    def rule(slot: int, stored: float) -> Plan:
        return safe_plan(_problem(played, slot, stored, *_known(played, slot)))

    def idle(slot: int, stored: float) -> Plan:
        still, nothing = rule(slot, stored), np.zeros(HORIZON)
        return replace(still, charge=(nothing,), discharge=(nothing,))

    return {
        "no battery": Strategy(idle),
        "safe rule": Strategy(rule),
        "planned at midnight": Strategy(daily),
        "re-planned each slot": Strategy(replanned, each),
        "perfect foresight of a day": Strategy(foresight, sure),
    }


def _from(plan: Plan, place: int) -> Plan:
    return replace(plan, charge=(plan.charge[0][place:],), discharge=(plan.discharge[0][place:],))


def _run(played: Played, slots: range, strategy: Strategy) -> tuple[float, float]:
    """Return (bill, wear) with what is left in the battery counted at its end value."""
    unit = played.battery
    least, most = float(np.max(unit.least_kwh)), float(np.min(np.asarray(unit.most_kwh)))
    bill, path = 0.0, [unit.initial_kwh]
    for slot in slots:
        plan = strategy.plan(slot, path[-1])
        charge = min(plan.charge[0][0], (most - path[-1]) / unit.charge_efficiency)
        discharge = min(plan.discharge[0][0], (path[-1] - least) * unit.discharge_efficiency)
        charge, discharge = max(charge, 0.0), max(discharge, 0.0)
        path.append(
            path[-1] + charge * unit.charge_efficiency - discharge / unit.discharge_efficiency
        )
        past = played.past[slot]
        need = (past.used - past.generated) / 1000 + charge - discharge
        price = played.price[slot]
        bill += need * (price + MARKUP if need > 0 else price)
        if strategy.controller is not None:
            strategy.controller.measured([path[-1]], max(need, 0.0))
    assert unit.wear is not None
    bill -= (path[-1] - path[0]) * unit.end_value
    return bill, wear_cost(unit.wear, np.array(path))


def _scores(played: Played) -> list[Figure]:
    """Return mean absolute errors a half hour of forecasts made at midnight, of the same days."""
    kinds: dict[str, dict[str, Callable[[range, History, str], Array]]] = {}
    for what in ("load", "generation"):
        kinds[what] = {
            "day before": lambda day, past, field: _naive(day, past, field, 1),
            "week before": lambda day, past, field: _naive(day, past, field, 7),
            "history": lambda day, past, field: np.array(
                [(past.load if field == "used" else past.generation)(at) for at in day]
            ),
            "learned": lambda day, past, field: learned(_series(past, field), day)[1],
        }
    found = []
    start = slots_of(FIRST).start
    for what, taken in (("load", "used"), ("generation", "generated")):
        for name, forecast in kinds[what].items():
            errors = []
            for number in range(DAYS):
                day = range(start + number * 48, start + (number + 1) * 48)
                past = History(works_on, {a: p for a, p in played.past.items() if a < day.start})
                truth = np.array([getattr(played.past[at], taken) for at in day])
                errors.append(np.abs(forecast(day, past, taken) - truth).mean())
            found.append(Figure(f"{what}, {name}: mean error", float(np.mean(errors)), "Wh"))
    return found


def _series(past: History, field: str) -> dict[int, int]:
    return {at: getattr(each, field) for at, each in past.slots.items()}


def _naive(day: range, past: History, field: str, days: int) -> Array:
    series = _series(past, field)
    return np.array([naive(series, at, days) for at in day])

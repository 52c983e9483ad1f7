"""Whether planning for several futures with a common first step pays: Kesennuma, month by month.

Months of the bundled year, re-planned each half hour from forecasts that see only what was
before; prices of the bundled synthetic year, plus 5 JPY/kWh for buying; with and without a charge
on each month's peak. `one` plans for what is expected, `two` for the errors of the last days as
well (`vpp.scenarios`). What is planned is carried out by a controller at the meter: it stores no
more than the surplus where the plan stores surplus, discharges no more than the load where the plan
spares buying, and keeps the plan's peak as far as the battery can. `blind` does what it was told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from scipy import stats

from bench.backtest import HORIZON, MARKUP
from bench.figures import Figure
from energy.units import SLOTS_PER_DAY, slots_of
from orchestrator.planning.plan import battery_of
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import load_setting
from vpp.calendar import works_on
from vpp.chemistry import chemistry
from vpp.forecast import History, Past
from vpp.model import Array, Battery, Demand, Problem, Tier
from vpp.mpc import Controller
from vpp.plan import Plan
from vpp.prices import price_days
from vpp.scenarios import Scenarios
from vpp.wear import wear_cost

MONTHS = tuple(range(1, 12))
"""December's plans would reach beyond the year."""
QUARTERS = (2, 5, 8, 11)
FUTURES = 6
KINKS = 4
CHARGE = 1_800.0
"""JPY a kW of the month's peak, as of a Japanese contract at high voltage."""
LEARNED_DAYS, BEFORE_DAYS = 28, 14


@dataclass(frozen=True)
class Year:
    """Kesennuma's year: Wh a slot, JPY/kWh by slot, and its battery."""

    past: dict[int, Past]
    price: dict[int, float]
    battery: Battery


@dataclass(frozen=True)
class Played:
    """What a month came to, JPY: by day without wear and peak, and the rest."""

    days: Array
    wear: float
    peak_kw: float

    def total(self, charge: float) -> float:
        """Return all of it."""
        return float(self.days.sum()) + self.wear + charge * self.peak_kw


def figures() -> list[Figure]:
    """Play the months in three ways; a quarter of an hour."""
    year = _year()
    found = []
    for months, charge, blind in (
        (MONTHS, CHARGE, False),
        (QUARTERS, 0.0, False),
        (QUARTERS, CHARGE, True),
    ):
        pairs = [
            [play(year, month, futures, charge, blind) for futures in (0, FUTURES)]
            for month in months
        ]
        name = "peak charged" if charge else "no charge on the peak"
        name += ", carried out blindly" if blind else ""
        gains = [one.total(charge) - two.total(charge) for one, two in pairs]
        if not charge:
            days = np.concatenate([one.days - two.days for one, two in pairs])
            low, high = interval(days)
            found += [
                Figure(f"{name}: two stages gain a day, without wear", days.mean(), "JPY"),
                Figure(f"{name}: 95 % interval over days, from", low, "JPY"),
                Figure(f"{name}: 95 % interval over days, to", high, "JPY"),
            ]
        low, high = interval(gains)
        found += [
            Figure(
                f"{name}: one plan costs a month", _mean([p[0].total(charge) for p in pairs]), "JPY"
            ),
            Figure(f"{name}: two stages gain a month", _mean(gains), "JPY"),
            Figure(f"{name}: 95 % interval over months, from", low, "JPY"),
            Figure(f"{name}: 95 % interval over months, to", high, "JPY"),
        ]
    return found


def interval(differences: Sequence[float] | Array) -> tuple[float, float]:
    """Return the paired 95 % interval of a mean difference, by Student's t."""
    values = np.asarray(differences)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def play(year: Year, month: int, futures: int, charge: float, blind: bool) -> Played:
    """Play a month, planned for `futures` more futures than the expected one."""
    unit, controller, scenarios = year.battery, Controller(), Scenarios(futures)
    first, last = (slots_of(date(2019, at, 1)).start for at in (month, month + 1))
    start = max(first - BEFORE_DAYS * SLOTS_PER_DAY, min(year.past))
    history = History(works_on)
    for slot in range(start - LEARNED_DAYS * SLOTS_PER_DAY, start):
        if slot in year.past:
            history.slots[slot] = year.past[slot]
    known = {at: (past.used / 1000, past.generated / 1000) for at, past in history.slots.items()}
    path, days, peak = [unit.initial_kwh], np.zeros((last - first) // SLOTS_PER_DAY), 0.0
    for slot in range(start, last):
        span = range(slot, slot + HORIZON)
        load, pv = (
            np.array([of(at) for at in span]) / 1000 for of in (history.load, history.generation)
        )
        used, generated = (wh / 1000 for wh in year.past[slot])
        if futures:
            scenarios.made(slot, load, pv)
        if slot >= first:
            now = replace(unit, initial_kwh=path[-1])
            others = scenarios.futures(slot, load, pv, known) if futures else []
            problems = [_problem(year, slot, now, charge, *each) for each in [(load, pv), *others]]
            plan = controller.plan(problems[0], problems[1:])
            charged, given = carried_out(plan, used - generated, path[-1], blind)
            path.append(
                path[-1] + charged * unit.charge_efficiency - given / unit.discharge_efficiency
            )
            need = used - generated + charged - given
            day = (slot - first) // SLOTS_PER_DAY
            days[day] += need * (year.price[slot] + (MARKUP if need > 0 else 0.0))
            days[day] -= (path[-1] - path[-2]) * unit.end_value
            peak = max(peak, 2 * need)
            controller.measured([path[-1]], max(need, 0.0))
        history.slots[slot], known[slot] = year.past[slot], (used, generated)
    assert unit.wear is not None
    return Played(days, wear_cost(unit.wear, np.array(path)), peak)


def carried_out(plan: Plan, net: float, stored: float, blind: bool) -> tuple[float, float]:
    """Return (charged, discharged) kWh of a plan's first slot, where the site needs `net` kWh.

    Never more than the battery holds or has room for.
    """
    (unit,) = plan.problem.batteries
    charge, discharge = float(plan.charge[0][0]), float(plan.discharge[0][0])
    room = (float(np.asarray(unit.most_kwh)[0]) - stored) / unit.charge_efficiency
    held = (stored - float(np.asarray(unit.least_kwh)[0])) * unit.discharge_efficiency
    charge, discharge = max(min(charge, room), 0.0), max(min(discharge, held), 0.0)
    if blind:
        return charge, discharge
    if plan.imported[0] < 1e-6:
        charge = max(min(charge, -net), 0.0)
    if plan.exported[0] < 1e-6:
        discharge = max(min(discharge, net), 0.0)
    if plan.problem.demand is not None:
        over = net + charge - discharge - plan.peak_kw * plan.problem.hours
        less = max(min(charge, over), 0.0)
        charge, over = charge - less, over - less
        if charge == 0.0:
            power = float(np.asarray(unit.discharge_kw)[0]) * plan.problem.hours
            discharge += max(min(over, power - discharge, held - discharge), 0.0)
    return charge, discharge


def _problem(
    year: Year, slot: int, unit: Battery, charge: float, load: Array, pv: Array
) -> Problem:
    price = np.array([year.price[at] for at in range(slot, slot + HORIZON)])
    return Problem(
        load_kwh=load,
        pv_kwh=pv,
        purchases=(Tier("buy", price + MARKUP),),
        sales=(Tier("sell", price),),
        batteries=(unit,),
        demand=Demand(charge) if charge else None,
        first_slot=slot,
    )


def _year() -> Year:
    site = next(site for site in load_setting().sites if site.battery)
    loads, sun = load_series(), pv_series()
    column = str(site.load_column)
    span = range(slots_of(loads.first_day).start, slots_of(loads.last_day).stop)
    first, prices = price_days()
    flat, origin = prices.ravel(), slots_of(first).start
    battery = battery_of(site, None, "lfp", float(prices.mean()))
    wear = chemistry("lfp").wear(battery.capacity_kwh, KINKS)
    return Year(
        {at: Past(loads.load(column, at), sun.generation(site.pv_power, at)) for at in span},
        {at: float(flat[at - origin]) for at in span},
        replace(battery, wear=wear),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))

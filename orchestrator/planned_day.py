"""The plan that a site's battery could have had at midnight, made again from a store.

It knows what was known then: the site's readings of the days before, the tariff, and what was
traded in the last week. Nothing of the day itself is used but what was stored when it began.

Energy in kWh and prices in JPY/kWh, as in `vpp`; `Known` says what the forecast rests on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chain.overview import slot_lines
from chain.store import Store
from energy.errors import SettingError
from energy.units import PRICE_PER_YEN, SLOTS_PER_DAY, slot_of_day, slots_of
from orchestrator.plan import HISTORY_DAYS, battery_of
from orchestrator.report import newest
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import Site
from vpp.calendar import works_on
from vpp.forecast import History, Past
from vpp.model import Array, Battery, Problem, Tier
from vpp.plan import Plan
from vpp.planner import planned

BEYOND = SLOTS_PER_DAY
"""Slots planned beyond the day, so that its evening does not end the world."""
BOOK_DAYS = 7
WH = 1_000
CHEMISTRY = "lfp"
"""What a battery is taken for, as `yui plan` does."""


@dataclass(frozen=True)
class DayPlan:
    """A plan whose first 48 slots are a day's, the battery that it was made for, and the days of
    the past that its forecast rests on: `days` of readings, `stand_in_days` of the series that
    plays the site."""

    plan: Plan
    battery: Battery
    days: int
    stand_in_days: int


def planned_day(store: Store, number: int, site: Site, slots: range) -> DayPlan:
    """Return the plan for a day's slots of a site (`number` in the store) with a battery.

    Raises:
        SettingError: if the site has no battery.
    """
    if site.battery is None:
        raise SettingError(f"{site.name} must have a battery to plan for, and has none")
    history, days, stand_in = _history(store, number, site, slots)
    span = range(slots.start, slots.stop + BEYOND)
    known = store.tariffs()
    tariffs = [known.at(slot) for slot in span]
    selling = np.array([tariff.selling for tariff in tariffs]) / PRICE_PER_YEN
    buying = np.array([tariff.buying for tariff in tariffs]) / PRICE_PER_YEN
    fee = np.array([tariff.fee for tariff in tariffs]) / PRICE_PER_YEN
    price, most = _book(store, span)
    battery = battery_of(site, _at_midnight(store, number, site, slots), CHEMISTRY, buying.mean())
    problem = Problem(
        load_kwh=np.array([history.load(slot) for slot in span]) / WH,
        pv_kwh=np.array([history.generation(slot) for slot in span]) / WH,
        purchases=(Tier("utility", selling), Tier("book, bought", price + fee, most)),
        sales=(Tier("utility, sold", buying), Tier("book, sold", price, most)),
        batteries=(battery,),
        import_kw=site.connection_power / 10,
        export_kw=site.connection_power / 10,
        first_slot=slots.start,
    )
    return DayPlan(planned(problem), battery, days, stand_in)


def _history(store: Store, number: int, site: Site, slots: range) -> tuple[History, int, int]:
    """Return what was known of load and sun, and how many days of it are readings and stand-ins."""
    past = range(slots.start - HISTORY_DAYS * SLOTS_PER_DAY, slots.start)
    history = History(works_on)
    for reading in newest(store.readings(past, number)):
        history.add(reading)
    read = len(history.slots)
    if site.load_column is not None and read < len(past):
        loads, sun = load_series(), pv_series()
        known = range(slots_of(loads.first_day).start, slots_of(loads.last_day).stop)
        for slot in past:
            if slot in known and slot not in history.slots:
                load = loads.load(site.load_column, slot)
                history.slots[slot] = Past(load, sun.generation(site.pv_power, slot))
    return history, read // SLOTS_PER_DAY, (len(history.slots) - read) // SLOTS_PER_DAY


def _book(store: Store, span: range) -> tuple[Array, Array]:
    """Return the price and the energy that trades of the last week lead to expect in each slot:
    the means of the same half hours; no energy where nothing was traded."""
    worth, traded, days = (np.zeros(SLOTS_PER_DAY) for _ in range(3))
    for line in slot_lines(store, range(span.start - BOOK_DAYS * SLOTS_PER_DAY, span.start)):
        place = slot_of_day(line.slot)
        days[place] += 1
        traded[place] += line.traded / WH
        worth[place] += line.traded / WH * (line.price or 0) / PRICE_PER_YEN
    places = [slot_of_day(slot) for slot in span]
    price = np.divide(worth, traded, out=np.zeros(SLOTS_PER_DAY), where=traded > 0)
    most = np.divide(traded, days, out=np.zeros(SLOTS_PER_DAY), where=days > 0)
    return price[places], most[places]


def _at_midnight(store: Store, number: int, site: Site, slots: range) -> float | None:
    """Return what the battery could deliver when the day began, kWh; None if nobody knows."""
    before = newest(store.readings(range(slots.start - 1, slots.start), number))
    if before:
        return before[0].stored / WH
    first = newest(store.readings(slots, number))[:1]
    for reading in first:
        assert site.battery is not None
        moved = reading.charged * site.battery.efficiency // 1000 - reading.discharged
        return min(max(reading.stored - moved, 0), site.battery.capacity_wh) / WH
    return None

"""What steered a site's battery on a day, made again from a store.

Whoever steers decides by readings, books and the tariff alone, all of which the chain keeps: so
each half hour's plan can be made again at any time, by anybody, as it was made when the half hour
began. Where the past before the first reading was played from a series, the series stands in.

Energy in Wh; `slots` are a day's.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from chain.overview import charges
from chain.store import Store
from energy.errors import SettingError
from energy.records import Reading
from energy.units import SLOTS_PER_DAY, slots_of
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import Site
from orchestrator.statements.day import newest
from orchestrator.steering.choice import steering_of
from orchestrator.steering.neighbours import Neighbours
from orchestrator.steering.plan import ByPlan
from orchestrator.steering.steering import PLAN, STEERINGS, Keeps, position_of
from vpp.calendar import works_on
from vpp.forecast import HISTORY_DAYS, History, Past
from vpp.plan import Plan
from vpp.rule import Command, called_flows, expected_flows

NEAR_WH, NEAR_PART = 50, 0.01
"""How near a measured flow must come to what was told to count as that: what dispatch keeps to."""

MOST_NEIGHBOURS = 100
"""Sites of a market up to which their past is read as well: a page waits for it."""


@dataclass(frozen=True)
class Begun:
    """A half hour as it began: what the battery was told, and the plan behind it (by a rule:
    none). `stored_wh` is what it could deliver then."""

    slot: int
    command: Command
    stored_wh: int
    plan: Plan | None


@dataclass(frozen=True)
class SteeredDay:
    """A day's half hours that have begun, and what the forecasts rest on: `days` of readings,
    `stand_in_days` of the series that plays the site."""

    how: str
    is_known: bool
    """Whether the store says who steered; else it is taken to have been the plan."""
    begun: tuple[Begun, ...]
    days: int
    stand_in_days: int
    has_neighbours: bool
    """Whether what others were going to need has been made again as well."""


def steered_day(
    store: Store, number: int, site: Site, slots: range, keeps: Keeps = lambda _: None
) -> SteeredDay:
    """Return how a site (`number` in the store) with a battery was steered in a day's slots;
    `keeps` says what balancing calls had the plans keep for them.

    Raises:
        SettingError: if the site has no battery.
    """
    if site.battery is None:
        raise SettingError(f"{site.name} must have a battery to be steered, and has none")
    told = store.setting("battery")
    how = told if told in STEERINGS else PLAN
    least = site.battery.minimum_wh
    site = replace(site, number=number)
    past = range(slots.start - HISTORY_DAYS * SLOTS_PER_DAY, slots.start)
    sites = store.sites_at(slots.start)
    has_neighbours = how == PLAN and len(sites) <= MOST_NEIGHBOURS
    whose = None if has_neighbours else number
    readings = newest(store.readings(range(past.start, slots.stop), whose))
    own = {reading.slot: reading for reading in readings if reading.site == number}
    history, days, stand_in = _history(own, site, past)
    neighbours = Neighbours(dict.fromkeys(sites, works_on)) if has_neighbours else None
    # What others did before the day matters to a plan alone.
    begin = past.start if neighbours else slots.start
    read, book = defaultdict(list), defaultdict(list)
    for reading in readings:
        read[reading.slot].append(reading)
    for order in store.orders(range(begin, slots.stop)):
        book[order.slot].append(order)
    tariff_of = store.tariffs().at
    steering = steering_of(
        how, site, history, lambda slot, _: tariff_of(slot), neighbours, keeps=keeps
    )
    life = charges(store, number, range(store.first_slot() or past.start, slots.start))
    steering.go_on([max(one.stored - least, 0) for one in life])
    stored = life[-1].stored if life else _stored_before(own.get(slots.start), site)
    trades = [trade for trade, _ in store.trades(slots)]
    running = max(own, default=slots.start - 1) + 1
    begun = []
    for slot in range(begin, min(running + 1, slots.stop)):
        if slot in slots:
            sold = [trade for trade in trades if trade.slot == slot]
            position = position_of(number, book[slot], sold)
            command = steering.begin(slot, max(stored - least, 0), position)
            plan = steering.plan if isinstance(steering, ByPlan) else None
            begun.append(Begun(slot, command, stored, plan))
            if slot in own:
                history.add(own[slot])
                stored = own[slot].stored
        if neighbours:
            neighbours.read(read[slot])
            neighbours.ordered(book[slot])
    return SteeredDay(how, told in STEERINGS, tuple(begun), days, stand_in, has_neighbours)


def told_flows(begun: Begun, reading: Reading, site: Site) -> tuple[int, int]:
    """Return the (charged, discharged) Wh that what a battery was told comes to with the sun and
    the load that its half hour then had."""
    assert site.battery is not None
    surplus = reading.generated - reading.consumption
    available = max(begun.stored_wh - site.battery.minimum_wh, 0)
    return expected_flows(begun.command, surplus, available, site.battery.size)


def kept_to(begun: Begun, reading: Reading, site: Site, called_wh: int = 0) -> bool:
    """Return whether a battery did in a half hour what it was told, and what calls wanted of it
    besides: `called_wh` more out of it (below 0: less), as far as it could."""
    assert site.battery is not None
    wanted = told_flows(begun, reading, site)
    if called_wh:
        surplus = reading.generated - reading.consumption
        available = max(begun.stored_wh - site.battery.minimum_wh, 0)
        wanted = called_flows(wanted, called_wh, surplus, available, site.battery.size)
    return all(
        abs(flow - told) <= max(NEAR_WH, NEAR_PART * told)
        for flow, told in zip((reading.charged, reading.discharged), wanted, strict=True)
    )


def _history(own: dict[int, Reading], site: Site, past: range) -> tuple[History, int, int]:
    """Return what was known of load and sun, and how many days of it are readings and stand-ins."""
    history = History(works_on)
    for slot in past:
        if slot in own:
            history.add(own[slot])
    read = len(history.slots)
    if site.load_column is not None and read < len(past):
        loads, sun = load_series(), pv_series()
        known = range(slots_of(loads.first_day).start, slots_of(loads.last_day).stop)
        for slot in past:
            if slot in known and slot not in history.slots:
                load = loads.load(site.load_column, slot)
                history.slots[slot] = Past(load, sun.generation(site.pv_power, slot))
    return history, read // SLOTS_PER_DAY, (len(history.slots) - read) // SLOTS_PER_DAY


def _stored_before(first: Reading | None, site: Site) -> int:
    """Return what the battery could deliver before its first reading; without one, its least."""
    assert site.battery is not None
    if first is None:
        return site.battery.minimum_wh
    moved = first.charged * site.battery.efficiency // 1000 - first.discharged
    return min(max(first.stored - moved, 0), site.battery.capacity_wh)

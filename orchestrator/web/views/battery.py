"""*Battery*: what a site's battery was told and did, half hour by half hour, why, and what it wore.

Energies in Wh that can be delivered, prices in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np

from chain.overview import charges
from energy.records import Reading
from energy.units import (
    JST,
    MICROYEN_PER_YEN,
    PRICE_PER_YEN,
    half_hour,
    slots_of,
)
from orchestrator.replay.calls import kept_for
from orchestrator.setting.sites import Site
from orchestrator.steering.again import Begun, SteeredDay, kept_to, steered_day, told_flows
from orchestrator.steering.plan import CHEMISTRY, WH
from orchestrator.steering.steering import Keeps
from orchestrator.web.called import Wanted, planned_for, wanted_of
from orchestrator.web.reads import NotThere, Ref, Source
from orchestrator.web.views.wear import DayOfWear, worn_by_day
from vpp.chemistry import chemistry
from vpp.explain import reasons

SHOWN_DAYS = 31
"""Days whose wear is shown, up to the one that is asked for."""


@dataclass(frozen=True, slots=True)
class BatteryHalfHour:
    """A half hour as planned when it began and as measured; None where there is no plan, no
    reading, or no price (a rule knows none). Those to come are as the newest plan has them."""

    slot: int
    half_hour: str
    planned_charged_wh: int | None
    planned_discharged_wh: int | None
    planned_stored_wh: int | None
    """As planned when the day began."""
    charged_wh: int | None
    discharged_wh: int | None
    stored_wh: int | None
    price_milliyen_per_kwh: int | None
    """What a kWh is worth at the meter."""
    value_milliyen_per_kwh: int | None
    """What a kWh in the battery is worth."""
    charge_below_milliyen_per_kwh: int | None
    discharge_above_milliyen_per_kwh: int | None
    why: str | None
    """The plan's reason, by its key."""
    called_wh: int
    """What balancing calls wanted of it besides: more out of it above 0, less below."""
    is_kept_to: bool | None
    """Whether what was measured is what the battery was told and called for."""


@dataclass(frozen=True, slots=True)
class BatteryCall:
    """A balancing call that the battery answered on the day; energies count in its direction."""

    name: str
    direction: str
    """`up`: more out of batteries; `down`: less."""
    starts_at: str
    ends_at: str
    asked_wh: int
    """Of this battery, besides what its plan told it."""
    given_wh: int | None
    """By how much it exceeded in those half hours what its plan told it; None where a reading or a
    plan is missing, or another call wanted something of it as well."""


@dataclass(frozen=True, slots=True)
class PlanBasis:
    """Who steered, by what plans, and what their forecasts rest on."""

    how: str
    is_known: bool
    """Whether the store says who steered."""
    half_hours_kept_to: int
    half_hours_read: int
    made_by: str | None
    """What made the plans; None for a rule."""
    gap_microyen: int | None
    """How far from the optimum a plan of the day was at most, as their duals prove; None: not
    proved."""
    days_of_readings: int
    days_of_stand_in: int
    has_neighbours: bool
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatteryPage:
    """A battery's day, and its life so far. Without `is_shown` it is not for who looks."""

    site: Ref
    day: str
    is_shown: bool
    capacity_wh: int
    power_w: int
    efficiency_per_mille: int
    minimum_wh: int
    charge: float | None
    """The state of charge at the newest reading of the day, 0 to 1."""
    charged_wh: int
    discharged_wh: int
    planned_charged_wh: int | None
    planned_discharged_wh: int | None
    basis: PlanBasis | None
    half_hours: tuple[BatteryHalfHour, ...]
    calls: tuple[BatteryCall, ...]
    chemistry: str
    """Its key in `vpp.chemistry`."""
    cycles: float
    """Full cycles since the store begins: all that was discharged, in capacities."""
    worn_microyen: int
    """What that, and the time that energy was held, took of its life."""
    life_used: float
    """The same as a part of the battery's whole price, 0 to 1."""
    days: tuple[DayOfWear, ...]
    sites: tuple[Ref, ...]
    """The sites with a battery."""


def battery_view(source: Source, site: int, day: date | None) -> BatteryPage:
    """Return a battery's day; the newest settled one if none is asked for.

    Raises:
        SettingError: if there is no such site, or it has no battery.
    """
    source.check_site(site)
    the_day = source.day_or_last(day)
    slots = slots_of(the_day)
    terms = source.store.sites_at(slots[-1])
    batteries = tuple(source.ref(one) for one, has in terms.items() if has["battery_capacity"])
    if site not in [one.number for one in batteries]:
        raise NotThere(f"{source.ref(site).en} must have a battery on {the_day}, and has none")
    capacity, efficiency = 100 * terms[site]["battery_capacity"], terms[site]["battery_efficiency"]
    described = source.described(site)
    is_shown = source.viewer.sees_load_of(site)
    kind = chemistry(CHEMISTRY)
    readings = source.readings(slots, site) if is_shown else []
    steered, wanted = None, wanted_of(source.calls, site, slots) if is_shown else []
    if is_shown and described and described.battery:
        steered = steered_day(source.store, site, described, slots, _keeps(source, site))
    half_hours = _half_hours(slots, readings, steered, described, wanted) if is_shown else ()
    until = range(source.store.first_slot() or slots.start, slots.stop)
    life = charges(source.store, site, until) if is_shown else []
    days = worn_by_day(life, capacity, efficiency, kind)
    worn = sum(one.cycling_microyen + one.standing_microyen for one in days)
    return BatteryPage(
        site=source.ref(site),
        day=the_day.isoformat(),
        is_shown=is_shown,
        capacity_wh=capacity,
        power_w=100 * terms[site]["battery_power"],
        efficiency_per_mille=efficiency,
        minimum_wh=described.battery.minimum_wh if described and described.battery else 0,
        charge=min(readings[-1].stored / capacity, 1.0) if readings else None,
        charged_wh=sum(reading.charged for reading in readings),
        discharged_wh=sum(reading.discharged for reading in readings),
        planned_charged_wh=_sum([one.planned_charged_wh for one in half_hours]),
        planned_discharged_wh=_sum([one.planned_discharged_wh for one in half_hours]),
        basis=_basis(steered, half_hours) if steered else None,
        half_hours=half_hours,
        calls=_calls(wanted, _beyond(readings, steered, described, wanted)),
        chemistry=kind.key,
        cycles=sum(one.discharged for one in life) / capacity,
        worn_microyen=worn,
        life_used=worn / MICROYEN_PER_YEN / (kind.replacement_jpy_per_kwh * capacity / WH),
        days=_last(days, the_day),
        sites=batteries,
    )


def _keeps(source: Source, site: int) -> Keeps:
    """Return what the plans kept for balancing calls, as far as they knew of them."""
    calls = planned_for(source.calls)
    if not calls:
        return lambda _: None
    found = {number: source.described(number) for number in source.names}
    sizes = {
        number: one.battery.size.capacity_wh for number, one in found.items() if one and one.battery
    }
    return lambda slot: kept_for(calls, sizes, site, slot)


def _called(wanted: list[Wanted]) -> Counter[int]:
    """Return what all calls wanted in each slot."""
    sums: Counter[int] = Counter()
    for one in wanted:
        sums.update(one.by_slot)
    return sums


def _calls(wanted: list[Wanted], beyond: dict[int, int]) -> tuple[BatteryCall, ...]:
    """Return the calls of a day; `beyond` is how much more left the battery in each slot than it
    was told, Wh."""
    serving = Counter(slot for one in wanted for slot in one.by_slot)
    found = []
    for one in wanted:
        sign = one.call.direction.sign
        more = [beyond[slot] for slot in one.by_slot if slot in beyond and serving[slot] == 1]
        found.append(
            BatteryCall(
                one.call.name,
                one.call.direction.value,
                datetime.fromtimestamp(one.call.starts_at, JST).isoformat(),
                datetime.fromtimestamp(one.call.ends_at, JST).isoformat(),
                sign * sum(one.by_slot.values()),
                sign * sum(more) if len(more) == len(one.by_slot) else None,
            )
        )
    return tuple(found)


def _beyond(
    readings: list[Reading], steered: SteeredDay | None, site: Site | None, wanted: list[Wanted]
) -> dict[int, int]:
    """Return how much more left the battery in each slot than it was told: by its steering, or
    else as the calls kept it."""
    begun = {one.slot: one for one in steered.begun} if steered and site else {}
    told = {slot: wh for one in wanted for slot, wh in one.planned.items()}
    for reading in readings:
        if reading.slot in begun and site:
            charged, discharged = told_flows(begun[reading.slot], reading, site)
            told[reading.slot] = discharged - charged
    return {
        reading.slot: reading.discharged - reading.charged - told[reading.slot]
        for reading in readings
        if reading.slot in told
    }


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _last(days: list[DayOfWear], until: date) -> tuple[DayOfWear, ...]:
    first = (until - timedelta(days=SHOWN_DAYS - 1)).isoformat()
    return tuple(one for one in days if one.day >= first)


def _basis(steered: SteeredDay, half_hours: tuple[BatteryHalfHour, ...]) -> PlanBasis:
    plans = [one.plan for one in steered.begun if one.plan]
    gap = max((plan.gap for plan in plans), default=np.inf)
    kept = [one.is_kept_to for one in half_hours if one.is_kept_to is not None]
    return PlanBasis(
        how=steered.how,
        is_known=steered.is_known,
        half_hours_kept_to=sum(kept),
        half_hours_read=len(kept),
        made_by=plans[-1].made_by if plans else None,
        gap_microyen=round(gap * MICROYEN_PER_YEN) if np.isfinite(gap) else None,
        days_of_readings=steered.days,
        days_of_stand_in=steered.stand_in_days,
        has_neighbours=steered.has_neighbours,
        alarms=tuple(dict.fromkeys(alarm for plan in plans for alarm in plan.alarms)),
    )


def _half_hours(
    slots: range,
    readings: list[Reading],
    steered: SteeredDay | None,
    site: Site | None,
    wanted: list[Wanted],
) -> tuple[BatteryHalfHour, ...]:
    read = {reading.slot: reading for reading in readings}
    begun = {one.slot: one for one in steered.begun} if steered else {}
    planned = {slot: _planned(slot, begun, read.get(slot), site) for slot in slots}
    stored = _stored_from(begun[slots.start], site) if slots.start in begun and site else {}
    called, found = _called(wanted), []
    for slot in slots:
        one, plan = read.get(slot), planned[slot]
        is_kept = None
        if one and site and slot in begun:
            is_kept = kept_to(begun[slot], one, site, called[slot])
        found.append(
            BatteryHalfHour(
                slot,
                half_hour(slot),
                plan.charged,
                plan.discharged,
                stored.get(slot),
                one.charged if one else None,
                one.discharged if one else None,
                one.stored if one else None,
                plan.price,
                plan.value,
                plan.below,
                plan.above,
                plan.why,
                called[slot],
                is_kept,
            )
        )
    return tuple(found)


class _Planned(NamedTuple):
    """A planned half hour, in the units of the page."""

    charged: int | None = None
    discharged: int | None = None
    price: int | None = None
    value: int | None = None
    below: int | None = None
    above: int | None = None
    why: str | None = None


def _planned(
    slot: int, begun: dict[int, Begun], reading: Reading | None, site: Site | None
) -> _Planned:
    """Return what was planned of a slot when it began, or, before that, by the newest plan."""
    if not begun or site is None:
        return _Planned()
    one = begun.get(slot) or begun[max(begun)]
    if one.plan is None:
        if reading is None or slot not in begun:
            return _Planned()
        return _Planned(*told_flows(one, reading, site), why="rule")
    place = slot - one.slot
    (reason,) = reasons(one.plan, slots=range(place, place + 1))
    return _Planned(
        round(reason.charge * WH),
        round(reason.discharge * WH),
        _milliyen(reason.energy_price),
        _milliyen(reason.stored_value),
        _milliyen(reason.charge_below),
        _milliyen(reason.discharge_above),
        reason.why.name.lower(),
    )


def _stored_from(midnight: Begun, site: Site) -> dict[int, int]:
    """Return what the plan of a day's beginning would have had stored after each slot, Wh that can
    be delivered."""
    if midnight.plan is None or site.battery is None:
        return {}
    one_way = midnight.plan.problem.batteries[0].discharge_efficiency
    least = site.battery.minimum_wh
    return {
        midnight.slot + place: round(float(inside) * one_way * WH) + least
        for place, inside in enumerate(midnight.plan.stored[0])
    }


def _milliyen(price: float) -> int | None:
    return round(price * PRICE_PER_YEN) if np.isfinite(price) else None

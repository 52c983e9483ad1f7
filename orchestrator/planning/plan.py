"""What a site's battery should do in the coming day, by forecasts from the bundled series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import sqrt
from pathlib import Path

import numpy as np

from energy.errors import SettingError
from energy.units import PRICE_PER_YEN, SLOTS_PER_DAY, slot_of_day, slots_of
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import Setting, Site
from orchestrator.words import Language, say, say_slot, short
from vpp.calendar import works_on
from vpp.chemistry import chemistry
from vpp.forecast import HISTORY_DAYS, SUN_DAYS, History, Past
from vpp.gaps import filled
from vpp.market import Quote, quotes
from vpp.model import Array, Battery, Demand, Problem, Reserve, Tier
from vpp.plan import Plan
from vpp.planner import planned
from vpp.prices import PriceForecaster, price_days, quick_members

PRICE_DAYS = 60
"""Days of prices from which the next day's are forecast."""
BEYOND = SLOTS_PER_DAY
"""Slots planned beyond the day that is shown, so that its evening does not end the world."""
WH = 1_000
TARIFF, SYNTHETIC = "tariff", "synthetic"


@dataclass(frozen=True)
class Asked:
    """What a plan is asked for; powers in kW, energies in kWh, money in JPY."""

    site: str
    day: date
    prices: str = TARIFF
    """`TARIFF`, `SYNTHETIC`, or the path of a file of prices by day."""
    markup: float = 5.0
    book: float | None = None
    book_kwh: float = 5.0
    known: bool = False
    stored: float | None = None
    demand: float = 0.0
    reached: float = 0.0
    reserve: float = 0.0
    reserve_hours: float = 1.0
    kind: str = "lfp"


@dataclass(frozen=True)
class Planned:
    """A site's plan, what the same day would be without its battery, and its day's quotes."""

    place: Site
    plan: Plan
    without: Plan
    quotes: tuple[Quote, ...]


def planned_site(setting: Setting, asked: Asked, language: Language) -> Planned:
    """Plan a site's day; the plan's notes are in a language.

    Raises:
        SettingError: if the site has no battery, or the day no series or prices.
    """
    place, slots = _battery_site(setting, asked.site), slots_of(asked.day)
    span = range(slots.start, slots.stop + BEYOND)
    load, pv, notes = _expected(place, slots, span, asked.known, language)
    purchases, sales, unknown = _tiers(
        setting, asked.day, span, asked.prices, asked.markup, language
    )
    if asked.book is not None:
        fee = setting.tariffs[0].fee / PRICE_PER_YEN
        purchases = (*purchases, Tier("book, bought", asked.book + fee, asked.book_kwh))
        sales = (*sales, Tier("book, sold", asked.book, asked.book_kwh))
    reserve = Reserve(asked.reserve, asked.reserve_hours) if asked.reserve else None
    problem = Problem(
        load_kwh=load,
        pv_kwh=pv,
        purchases=purchases,
        sales=sales,
        batteries=(battery_of(place, asked.stored, asked.kind, _worth(sales)),),
        import_kw=place.connection_power / 10,
        export_kw=place.connection_power / 10,
        demand=Demand(asked.demand, asked.reached) if asked.demand else None,
        reserve_up=reserve,
        reserve_down=reserve,
        first_slot=slots.start,
    )
    made = planned(problem)
    without = planned(
        replace(problem, batteries=(), reserve_up=None, reserve_down=None, call_kwh=np.nan)
    )
    made = replace(made, notes=(*made.notes, *notes, *unknown))
    offers = quotes(made, setting.tariffs[0].fee, place.ask, place.bid)
    return Planned(place, made, without, tuple(offer for offer in offers if offer.slot in slots))


def battery_of(site: Site, stored_kwh: float | None, kind: str, worth: float) -> Battery:
    """Return a site's battery for planning, half full if nothing is said of it.

    The sites file states what can be delivered and the round trip; half of the loss is taken to
    fall on each way. `kind` is a chemistry's key or `none`; what is left in it at the end is worth
    `worth` JPY for each kWh that can be delivered.
    """
    assert site.battery is not None
    given = site.battery
    one_way = sqrt(given.efficiency / 1000)
    capacity, least = (wh / WH / one_way for wh in (given.capacity_wh, given.minimum_wh))
    initial = (capacity + least) / 2 if stored_kwh is None else stored_kwh / one_way
    power = given.power / 10
    battery = Battery(
        site.name, capacity, power, power, initial, one_way, one_way, least,
        end_value=worth * one_way,
    )  # fmt: skip
    if kind == "none":
        return battery
    of_kind = chemistry(kind)
    return replace(battery, wear=of_kind.wear(capacity), rests=of_kind.rests())


def _battery_site(setting: Setting, wanted: str) -> Site:
    for site in setting.sites:
        names = (str(site.number), site.name.lower(), site.name_ja, short(site.name_ja))
        if wanted.lower() in names:
            if site.battery is None:
                raise SettingError(f"{site.name} must have a battery to plan for, and has none")
            return site
    known = ", ".join(site.name for site in setting.sites)
    raise SettingError(f"a site must be one of {known}, got {wanted!r}")


def _expected(
    site: Site, day: range, span: range, known: bool, language: Language
) -> tuple[Array, Array, list[str]]:
    """Return (load, PV, notes): kWh a slot, forecast from the days before or as they were."""
    if site.load_column is None:
        raise SettingError(f"{site.name} must have a load_column in the sites file to be played")
    loads, sun, column = load_series(), pv_series(), site.load_column
    last = slots_of(loads.last_day).stop

    def happened(slots: Iterable[int]) -> Iterable[tuple[int, Past]]:
        for slot in slots:
            yield slot, Past(loads.load(column, slot), sun.generation(site.pv_power, slot))

    if known:
        # Beyond the series' end the day repeats.
        inside = [slot if slot < last else slot - SLOTS_PER_DAY for slot in span]
        pasts = [past for _, past in happened(inside)]
        return (
            np.array([past.used for past in pasts]) / WH,
            np.array([past.generated for past in pasts]) / WH,
            [],
        )
    first = max(day.start - HISTORY_DAYS * SLOTS_PER_DAY, slots_of(loads.first_day).start)
    history = History(works_on, dict(happened(range(first, day.start))))
    load = np.array([history.load(slot) for slot in span]) / WH
    pv = np.array([history.generation(slot) for slot in span]) / WH
    days = len(history.slots) // SLOTS_PER_DAY
    if not days:
        return load, pv, [say(language, "plan_no_past")]
    generated = np.array([past.generated for past in history.slots.values()]) / WH
    sums = generated.reshape(days, SLOTS_PER_DAY).sum(1)
    pv_day, low, high = pv[:SLOTS_PER_DAY].sum(), sums.min(), sums.max()
    words = {"pv": f"{pv_day:.0f}", "low": f"{low:.0f}", "high": f"{high:.0f}"}
    notes = [say(language, "plan_forecast", **words)]
    if days < SUN_DAYS:
        notes.append(say(language, "plan_short_past", days=days))
    return load, pv, notes


def _tiers(
    setting: Setting, day: date, span: range, prices: str, markup: float, language: Language
) -> tuple[tuple[Tier, ...], tuple[Tier, ...], list[str]]:
    """Return (what buying costs, what selling brings, notes)."""
    if prices == TARIFF:
        tariffs = [setting.tariffs[slot_of_day(slot)] for slot in span]
        buy, sell = (
            np.array([getattr(tariff, way) for tariff in tariffs]) / PRICE_PER_YEN
            for way in ("selling", "buying")  # the utility's view
        )
        return (Tier("utility", buy),), (Tier("utility, sold", sell),), []
    first, days = price_days(None if prices == SYNTHETIC else Path(prices))
    number = (day - first).days
    if not 0 <= number < len(days):
        last = first + timedelta(days=len(days) - 1)
        raise SettingError(f"a day must be within {first} and {last} for these prices, got {day}")
    notes = []
    tomorrow = _next_day(first, days[: number + 1])
    if np.isfinite(tomorrow).all():
        notes.append(say(language, "plan_next_forecast"))
    price = np.concatenate([days[number], tomorrow])
    gaps = np.flatnonzero(np.isnan(price))
    if gaps.size:
        tariff = np.array([setting.tariffs[slot_of_day(slot)].buying for slot in span])
        price, _ = filled("the price", price, tariff / PRICE_PER_YEN)
        when = say_slot(language, span[gaps[0]])
        words = {"count": gaps.size, "slots": len(price), "when": when}
        notes.append(say(language, "plan_unknown_price", **words))
    return (Tier("utility", price + markup),), (Tier("utility, sold", price),), notes


def _next_day(first: date, days: Array) -> Array:
    """Return what the day after the known ones is expected to cost: at midnight its prices are
    not published yet. Unknown where a day before has gaps."""
    known = days[-PRICE_DAYS:]
    if np.isnan(known).any():
        return np.full(SLOTS_PER_DAY, np.nan)
    forecaster = PriceForecaster(first + timedelta(days=len(days) - len(known)), quick_members())
    for prices in known:
        forecaster.observe(prices)
    return forecaster.forecast()


def _worth(sales: tuple[Tier, ...]) -> float:
    """Return what energy left at the end could at least be sold for: the mean price."""
    return float(np.mean(sales[0].price))

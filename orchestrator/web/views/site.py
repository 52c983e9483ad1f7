"""*Site*: an office's day or month: what it used by origin, where its energy went, its money.

Energies in Wh, money in microyen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from energy.errors import SettingError
from energy.lots import Kind
from energy.rows import Row
from energy.units import day_of, half_hour, slots_of
from orchestrator.statements.statement import Statement, statement_of, unread_of
from orchestrator.web.reads import Ref, Source, days_of_month

ORIGINS = ("own", "office", "grid", "initial", "unexplained")
ENDS = ("used_here", "used_there", "held", "lost", "utility", "unmetered")


@dataclass(frozen=True, slots=True)
class Part:
    """What a site did in a half hour of the day, or on a day of the month."""

    label: str
    slot: int
    """The half hour, or the day's first."""
    own_wh: int
    office_wh: int
    grid_wh: int
    initial_wh: int
    unexplained_wh: int
    used_here_wh: int
    used_there_wh: int
    held_wh: int
    lost_wh: int
    utility_wh: int
    unmetered_wh: int
    owed_microyen: int
    """What the settlement owes the site; below zero, what it pays."""

    @property
    def used_wh(self) -> int:
        """Its consumption."""
        return sum(getattr(self, f"{kind}_wh") for kind in ORIGINS)

    @property
    def generated_wh(self) -> int:
        """Its generation."""
        return sum(getattr(self, f"{end}_wh") for end in ENDS)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Energy from, and to, another office."""

    site: Ref
    from_wh: int
    to_wh: int


@dataclass(frozen=True, slots=True)
class Bill:
    """What the site paid, by component, microyen; negative what it received."""

    bought: int
    sold: int
    fees: int
    rest: int
    corrections: int
    total: int
    without_yui: int
    """What the utility alone would have billed for the same readings."""


@dataclass(frozen=True, slots=True)
class SitePage:
    """An office's day or month. Without `is_shown` its detail is not for who looks."""

    site: Ref
    region: str | None
    region_en: str | None
    pv_kw: float | None
    battery_kwh: float | None
    span: str
    """`day` or `month`."""
    start: str
    is_shown: bool
    parts: tuple[Part, ...]
    used_wh: int
    generated_wh: int
    renewable_wh: int
    through_battery_wh: int
    neighbours: tuple[Neighbour, ...]
    bill: Bill | None
    slots_without_reading: int
    slots_not_final: int
    """Half hours of the past that are not settled yet."""
    days: tuple[str, str] | None
    """The first and the last day of those asked for of which the store holds anything."""
    is_whole: bool
    """Whether that is all of what was asked for."""
    sites: tuple[Ref, ...]


def site_view(source: Source, site: int, day: date | None, month: str | None) -> SitePage:
    """Return an office's day, or its month (2019-06).

    Raises:
        SettingError: if there is no such site or month.
    """
    source.check_site(site)
    if month is not None:
        slots, start = days_of_month(month), month
    else:
        the_day = source.day_or_last(day)
        slots, start = slots_of(the_day), the_day.isoformat()
    asked, slots = slots, source.recorded(slots)
    described = source.described(site)
    is_shown = source.viewer.sees_load_of(site)
    used = source.store.origins("used", slots, site) if is_shown else []
    sent = _sent(source, site, slots) if is_shown else []
    drawn = asked if month is None else slots
    parts = _parts(source, site, drawn, month is not None, used, sent) if is_shown else ()
    statement = _statement(source, site, slots) if is_shown and slots else None
    return SitePage(
        site=source.ref(site),
        region=described.region if described else None,
        region_en=described.region_en if described else None,
        pv_kw=described.pv_power / 10 if described else None,
        battery_kwh=described.battery.capacity_wh / 1000
        if described and described.battery
        else None,
        span="month" if month is not None else "day",
        start=start,
        is_shown=is_shown,
        parts=parts,
        used_wh=sum(part.used_wh for part in parts),
        generated_wh=sum(part.generated_wh for part in parts),
        renewable_wh=sum(part.own_wh + part.office_wh for part in parts),
        through_battery_wh=statement.energies.through_battery if statement else 0,
        neighbours=_neighbours(source, site, used, sent),
        bill=_bill(source, site, slots, statement) if statement else None,
        slots_without_reading=len(unread_of(source.store, site, slots)) if is_shown else 0,
        slots_not_final=len(statement.open) if statement else 0,
        days=(day_of(slots[0]).isoformat(), day_of(slots[-1]).isoformat()) if slots else None,
        is_whole=slots == asked,
        sites=tuple(source.ref(one) for one in source.sites(asked[-1])),
    )


def _statement(source: Source, site: int, slots: range) -> Statement | None:
    try:
        return statement_of(source.store, site, slots)
    except SettingError:
        return None  # nothing of it is settled yet


def _sent(source: Source, site: int, slots: range) -> list[tuple[str, Row]]:
    ended = source.store.destinations(site, slots)
    held = [
        ("held", row)
        for row in source.store.holdings().rows()
        if row.origin[:2] == (Kind.GENERATION, site) and row.origin.slot in slots
    ]
    return [*ended, *held]


def _parts(
    source: Source,
    site: int,
    slots: range,
    by_day: bool,
    used: Iterable[Row],
    sent: Iterable[tuple[str, Row]],
) -> tuple[Part, ...]:
    def start_of_part(slot: int) -> int:
        return slots_of(day_of(slot)).start if by_day else slot

    sums: Counter[tuple[int, str]] = Counter()
    for row in used:
        kind = row.origin.kind.name.lower()
        if row.origin.kind == Kind.GENERATION:
            kind = "own" if row.origin.site == site else "office"
        sums[start_of_part(row.slot), kind] += row.energy
    for end, row in sent:
        if end == "used":
            end = "used_here" if row.site == site else "used_there"
        sums[start_of_part(row.origin.slot), end] += row.energy
    for slot, microyen in source.money(slots, site).items():
        sums[start_of_part(slot), "owed"] += microyen
    label: Callable[[int], str] = (lambda slot: str(day_of(slot).day)) if by_day else half_hour
    starts = sorted({start_of_part(slot) for slot in slots})
    return tuple(
        Part(
            label(start),
            start,
            *(sums[start, kind] for kind in (*ORIGINS, *ENDS, "owed")),
        )
        for start in starts
    )


def _neighbours(
    source: Source, site: int, used: Iterable[Row], sent: Iterable[tuple[str, Row]]
) -> tuple[Neighbour, ...]:
    came: Counter[int] = Counter()
    went: Counter[int] = Counter()
    for row in used:
        if row.origin.kind == Kind.GENERATION and row.origin.site != site:
            came[row.origin.site] += row.energy
    for end, row in sent:
        if end == "used" and row.site != site:
            went[row.site] += row.energy
    return tuple(
        Neighbour(source.ref(other), came[other], went[other]) for other in sorted({*came, *went})
    )


def _bill(source: Source, site: int, slots: range, statement: Statement) -> Bill:
    costs = statement.costs
    alone = 0
    for reading in source.readings(slots, site):
        tariff = source.tariff(reading.slot)
        alone += tariff.selling * reading.imported - tariff.buying * reading.exported
    return Bill(
        costs.bought,
        costs.sold,
        costs.fees,
        costs.rest,
        costs.corrections,
        costs.total,
        alone,
    )

"""What a store says in brief: slots in a line each, sites by day, added up by the database.

Energy in Wh, price in 0.001 JPY/kWh, money in microyen; days are Japan-time dates.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Subquery, func, select

from chain.store import Store, within
from chain.tables import CLEARINGS, ENERGIES, ENTRIES, ORDERS, ORIGINS, READINGS, SETTLEMENTS
from energy.attestation import date_of
from energy.lots import Kind
from energy.records import Quality
from energy.units import SLOTS_PER_DAY, slot_of_day


class SlotLine(NamedTuple):
    """A slot in brief. What it has not come to yet is None."""

    slot: int
    orders: int
    price: int | None
    trades: int
    traded: int
    delivered: int | None
    pooled: int | None
    missing: int | None
    """How many sites' readings did not come."""
    is_final: bool

    @property
    def stage(self) -> str:
        """Return how far it is: open, cleared, settled or final."""
        if self.is_final:
            return "final"
        if self.delivered is not None:
            return "settled"
        return "open" if self.price is None else "cleared"


class Energies(NamedTuple):
    """What a site's readings add up to; `readings` counts the slots that have one."""

    readings: int
    imported: int
    exported: int
    generated: int
    charged: int
    discharged: int

    @property
    def used(self) -> int:
        """The site's consumption."""
        return self.imported + self.generated + self.discharged - self.exported - self.charged


class SiteDay(NamedTuple):
    """A site's day: its energies, and what it is owed for it (below zero: owes)."""

    day: date
    energies: Energies
    microyen: int


class Share(NamedTuple):
    """Wh of a day by where they came from, or went: `site` is the other end's, by `kind`."""

    day: date
    kind: str
    site: int
    energy: int


def slot_lines(store: Store, slots: range) -> list[SlotLine]:
    """Return those of some slots that have orders or are settled, in order."""
    clearings: dict[int, tuple[int, ...]] = {
        row[0]: tuple(row[1:])
        for row in store.connection.execute(
            select(
                CLEARINGS.c.slot,
                CLEARINGS.c.orders,
                CLEARINGS.c.price,
                CLEARINGS.c.trades,
                CLEARINGS.c.energy,
            ).where(within(CLEARINGS.c.slot, slots))
        )
    }
    settlements: dict[int, tuple[int | None, ...]] = {
        row[0]: tuple(row[1:])
        for row in store.connection.execute(
            select(
                SETTLEMENTS.c.slot,
                SETTLEMENTS.c.delivered,
                SETTLEMENTS.c.pooled,
                SETTLEMENTS.c.missing,
                SETTLEMENTS.c.block,
            ).where(within(SETTLEMENTS.c.slot, slots))
        )
    }
    # What is traced is settled: only later slots can have a book that is not cleared.
    traced = store.last_traced()
    since = range(slots.start if traced is None else max(traced + 1, slots.start), slots.stop)
    counted = store.connection.execute(
        select(ORDERS.c.slot, func.count())
        .where(within(ORDERS.c.slot, since))
        .group_by(ORDERS.c.slot)
    )
    waiting: dict[int, int] = dict(counted.all())
    final = store.final_block()
    found = []
    for slot in sorted({*clearings, *settlements, *waiting}):
        orders, price, trades, traded = clearings.get(slot, (waiting.get(slot, 0), None, 0, 0))
        delivered, pooled, missing, block = settlements.get(slot, (None, None, None, None))
        is_final = block is not None and block <= final
        found.append(
            SlotLine(slot, orders, price, trades, traded, delivered, pooled, missing, is_final)
        )
    return found


def slot_lines_of(store: Store, site: int, slots: range) -> list[SlotLine]:
    """Return those of some slots in which a site takes part, as `slot_lines`, counting only its own
    orders, trades, deliveries, flows through the pool and missing readings."""
    terms = store.sites()
    counted = store.connection.execute(
        select(ORDERS.c.slot, func.count())
        .where(within(ORDERS.c.slot, slots), ORDERS.c.site == site)
        .group_by(ORDERS.c.slot)
    )
    orders: dict[int, int] = dict(counted.all())
    trades: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for trade, delivered in store.trades(slots, site):
        trades[trade.slot].append((trade.energy, delivered or 0))
    pooled: dict[int, int] = defaultdict(int)
    for flow in store.pool(slots, site):
        pooled[flow.slot] += flow.energy
    assumed = select(READINGS.c.slot).where(
        within(READINGS.c.slot, slots),
        READINGS.c.site == site,
        READINGS.c.quality == int(Quality.ASSUMED),
    )
    missing = set(store.connection.scalars(assumed))
    found = []
    for line in slot_lines(store, slots):
        if not (terms.at(site, line.slot) or {}).get("trader"):
            continue
        traded, is_settled = trades[line.slot], line.delivered is not None
        found.append(
            line._replace(
                orders=orders.get(line.slot, 0),
                trades=len(traded),
                traded=sum(energy for energy, _ in traded),
                delivered=sum(energy for _, energy in traded) if is_settled else None,
                pooled=pooled[line.slot] if is_settled else None,
                missing=int(line.slot in missing) if is_settled else None,
            )
        )
    return found


def site_days(store: Store, site: int, slots: range) -> list[SiteDay]:
    """Return a site's days of some slots, in order; those without reading and money left out."""
    readings = _newest(slots, READINGS.c.site == site)
    day = _day(readings.c.slot)
    energies = {
        number: Energies(*map(int, sums))
        for number, *sums in store.connection.execute(_added_up(readings, day).group_by(day))
    }
    day = _day(ENTRIES.c.slot)
    owed = store.connection.execute(
        select(day, func.sum(ENTRIES.c.microyen))
        .where(within(ENTRIES.c.slot, slots), ENTRIES.c.account == site)
        .group_by(day)
    )
    money = {number: int(microyen) for number, microyen in owed}
    return [
        SiteDay(date_of(number), energies.get(number, _NOTHING), money.get(number, 0))
        for number in sorted({*energies, *money})
    ]


def site_sums(store: Store, slots: range) -> dict[int, tuple[Energies, int]]:
    """Return each site's energies in some slots, and what it is owed for them, by site."""
    readings = _newest(slots)
    site = readings.c.site
    energies = {
        number: Energies(*map(int, sums))
        for number, *sums in store.connection.execute(_added_up(readings, site).group_by(site))
    }
    owed = store.connection.execute(
        select(ENTRIES.c.account, func.sum(ENTRIES.c.microyen))
        .where(within(ENTRIES.c.slot, slots))
        .group_by(ENTRIES.c.account)
    )
    money: dict[int, int] = defaultdict(int)
    money.update((account, int(microyen)) for account, microyen in owed)
    return {number: (energies[number], money[number]) for number in sorted(energies)}


class Charge(NamedTuple):
    """What a battery did in a slot, and what it can deliver at its end."""

    slot: int
    charged: int
    discharged: int
    stored: int


def charges(store: Store, site: int, slots: range) -> list[Charge]:
    """Return what a site's battery did in each of some slots that has a reading, in order."""
    readings = _newest(slots, READINGS.c.site == site)
    columns = (readings.c.slot, readings.c.charged, readings.c.discharged, readings.c.stored)
    found = store.connection.execute(select(*columns).order_by(readings.c.slot))
    return [Charge(*row) for row in found]


def used_by_origin(store: Store, site: int, slots: range) -> list[Share]:
    """Return what a site used on the days of some slots, by `Kind` and site of origin."""
    day = _day(ORIGINS.c.slot)
    by = (day, ORIGINS.c.kind, ORIGINS.c.origin_site)
    found = store.connection.execute(
        select(*by, func.sum(ORIGINS.c.energy))
        .where(ORIGINS.c.site == site, ORIGINS.c.part == "used", within(ORIGINS.c.slot, slots))
        .group_by(*by)
        .order_by(*by)
    )
    return [
        Share(date_of(number), Kind(kind).name.lower(), other, int(energy))
        for number, kind, other, energy in found
    ]


def generated_by_end(store: Store, site: int, slots: range) -> list[Share]:
    """Return where the energy went that a site generated on the days of some slots.

    The kinds are `used`, `lost`, `utility` and `unmetered`; what is still held is left out.
    """
    day = _day(ORIGINS.c.origin_slot)
    by = (day, ORIGINS.c.part, ORIGINS.c.site)
    found = store.connection.execute(
        select(*by, func.sum(ORIGINS.c.energy))
        .where(
            ORIGINS.c.origin_site == site,
            ORIGINS.c.kind == int(Kind.GENERATION),
            within(ORIGINS.c.origin_slot, slots),
            ORIGINS.c.part.in_(["used", "lost", "utility", "unmetered"]),
        )
        .group_by(*by)
        .order_by(*by)
    )
    return [Share(date_of(number), part, end, int(energy)) for number, part, end, energy in found]


_NOTHING = Energies(0, 0, 0, 0, 0, 0)
_SHIFT = slot_of_day(0)
_SUMMED = ("imported", "exported", "generated", "charged", "discharged")


def _day(slot: ColumnElement[int]) -> ColumnElement[int]:
    """Return the number of a slot's day (see `energy.attestation.day_number`)."""
    return (slot + _SHIFT) // SLOTS_PER_DAY


def _newest(slots: range, *conditions: ColumnElement[bool]) -> Subquery:
    """Return the newest reading of each slot and site."""
    order = (READINGS.c.block.desc(), READINGS.c.revision.desc())
    place = func.row_number().over(partition_by=(READINGS.c.slot, READINGS.c.site), order_by=order)
    columns = (READINGS.c.slot, READINGS.c.site, *(READINGS.c[name] for name in ENERGIES))
    query = select(*columns, place.label("place"))
    placed = query.where(within(READINGS.c.slot, slots), *conditions).subquery()
    return select(placed).where(placed.c.place == 1).subquery()


def _added_up(readings: Subquery, by: ColumnElement[int]) -> Any:
    return select(by, func.count(), *(func.sum(readings.c[name]) for name in _SUMMED))

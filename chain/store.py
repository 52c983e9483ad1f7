"""The read model: what a chain's events say, asked for in the market's records.

It is a cache: delete it, index again, and it is the same (`chain.indexer`).

Units as in `energy.units`: energy in Wh, price in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, and_, func, or_, select

from chain import database
from chain.database import opened
from chain.tables import (
    ATTESTATIONS,
    BLOCKS,
    CLAIMS,
    CLEARINGS,
    ENERGIES,
    ENTRIES,
    EVENTFUL,
    FLOWS,
    HOLDINGS,
    ORDERS,
    ORIGINS,
    READINGS,
    SETTINGS,
    SETTLEMENTS,
    SITES,
    TARIFFS,
)
from energy.errors import SettingError
from energy.lots import Kind, Origin
from energy.market import RING
from energy.records import Order, Quality, Reading, Side, Trade
from energy.registry import Tariff
from energy.rows import Holdings, Row
from energy.units import slot_of_day

_Version = TypeVar("_Version")

__all__ = ["Store", "opened", "stored"]


@contextmanager
def stored(engine: Engine) -> Iterator[Store]:
    """Give a store to read, as it is at one moment.

    Raises:
        StoreError: if it does not answer.
    """
    with database.reading(engine) as connection:
        yield Store(connection)


class Store:
    """The tables within one transaction of a connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def setting(self, name: str) -> str | None:
        """Return a kept setting."""
        return self.connection.scalar(select(SETTINGS.c.value).where(SETTINGS.c.name == name))

    def last_block(self) -> tuple[int, bytes] | None:
        """Return the newest indexed block's number and hash."""
        row = self.connection.execute(
            select(BLOCKS.c.block, BLOCKS.c.hash).order_by(BLOCKS.c.block.desc()).limit(1)
        ).first()
        return (row.block, bytes(row.hash)) if row else None

    def last_eventful(self) -> int:
        """Return the newest block in which anything of the market happened; -1 if there is none."""
        newest = [select(func.max(table.c.block)).scalar_subquery() for table in EVENTFUL]
        found = self.connection.execute(select(*newest)).one()
        return max((int(block) for block in found if block is not None), default=-1)

    def block_hash(self, number: int) -> bytes | None:
        """Return the hash of an indexed block."""
        found = self.connection.scalar(select(BLOCKS.c.hash).where(BLOCKS.c.block == number))
        return None if found is None else bytes(found)

    def blocks_after(self, number: int) -> list[tuple[int, bytes]]:
        """Return the indexed blocks after a number, each with its hash, in order."""
        query = select(BLOCKS).where(BLOCKS.c.block > number).order_by(BLOCKS.c.block)
        return [(row.block, bytes(row.hash)) for row in self.connection.execute(query)]

    def final_block(self) -> int:
        """Return the newest block that is final; -1 before the first."""
        return int(self.setting("final") or -1)

    def block_time(self, block: int) -> int | None:
        """Return an indexed block's time, unix seconds; None if it is not known."""
        return self.connection.scalar(select(BLOCKS.c.time).where(BLOCKS.c.block == block))

    def final_slots(self, slots: range) -> frozenset[int]:
        """Return those of some slots whose settlement is final."""
        query = select(SETTLEMENTS.c.slot).where(
            within(SETTLEMENTS.c.slot, slots), SETTLEMENTS.c.block <= self.final_block()
        )
        return frozenset(self.connection.scalars(query))

    def slots(self, slots: range | None = None) -> list[int]:
        """Return the settled slots, of some or of all, in order."""
        query = select(SETTLEMENTS.c.slot).order_by(SETTLEMENTS.c.slot)
        if slots is not None:
            query = query.where(within(SETTLEMENTS.c.slot, slots))
        return list(self.connection.scalars(query))

    def last_settled(self) -> int | None:
        """Return the newest settled slot."""
        found: int | None = self.connection.scalar(select(func.max(SETTLEMENTS.c.slot)))
        return found

    def passed_over(self, slots: range) -> frozenset[int]:
        """Return those of some slots that are not settled and never can be.

        A later slot has their place in the ring. The contract lets no slot go that an order or a
        reading has touched before it is settled (`Market.sol`, `_opened`): they hold neither.
        """
        newest: dict[int, int] = {}
        for table in (ORDERS, READINGS, SETTLEMENTS):
            query = select(table.c.slot).where(table.c.slot >= slots.start + RING).distinct()
            for slot in self.connection.scalars(query):
                newest[slot % RING] = max(slot, newest.get(slot % RING, slot))
        if not newest:
            return frozenset()
        gone = {slot for slot in slots if newest.get(slot % RING, -1) > slot}
        return frozenset(gone.difference(self.slots(slots)))

    def orders(self, slots: range, site: int | None = None) -> list[Order]:
        """Return the accepted orders of some slots, by slot and arrival."""
        query = _of_slots(ORDERS, slots, site, _ORDER_COLUMNS)
        return [
            Order(slot, site, Side(side), energy, price, sequence, fresh)
            for slot, site, side, energy, price, sequence, fresh in self.connection.execute(
                query.order_by(ORDERS.c.slot, ORDERS.c.position)
            )
        ]

    def order_count(self, slot: int) -> int:
        """Return how many orders of a slot were accepted."""
        query = select(func.count()).select_from(ORDERS).where(ORDERS.c.slot == slot)
        return self.connection.scalar(query) or 0

    def accepted(self, slot: int, block: int) -> frozenset[tuple[int, int]]:
        """Return site and sequence of a slot's orders that were accepted up to a block."""
        query = select(ORDERS.c.site, ORDERS.c.sequence)
        query = query.where(ORDERS.c.slot == slot, ORDERS.c.block <= block)
        return frozenset((site, sequence) for site, sequence in self.connection.execute(query))

    def price(self, slot: int) -> int | None:
        """Return the price of a cleared slot; None if it was not cleared."""
        return self.connection.scalar(select(CLEARINGS.c.price).where(CLEARINGS.c.slot == slot))

    def prices(self, slots: range) -> dict[int, int]:
        """Return the price of each cleared slot of some."""
        query = select(CLEARINGS.c.slot, CLEARINGS.c.price)
        found = self.connection.execute(query.where(within(CLEARINGS.c.slot, slots)))
        return dict(found.all())

    def trades(self, slots: range, site: int | None = None) -> list[tuple[Trade, int | None]]:
        """Return the trades of some slots, each with what was delivered (None: not settled).

        With a site, those in which it sold or bought.
        """
        found = self._flows(slots, site, "delivery")
        delivered = {(slot, position): energy for slot, position, _, _, energy in found}
        return [
            (Trade(slot, seller, buyer, energy), delivered.get((slot, position)))
            for slot, position, seller, buyer, energy in self._flows(slots, site, "trade")
        ]

    def flows(self, slots: range, site: int | None = None) -> list[Trade]:
        """Return what flowed between sites in some slots: each slot's deliveries, then pool."""
        rows = [*self._flows(slots, site, "delivery"), *self._flows(slots, site, "pool")]
        flows = [Trade(slot, seller, buyer, energy) for slot, _, seller, buyer, energy in rows]
        return sorted(flows, key=lambda flow: flow.slot)

    def pool(self, slots: range, site: int | None = None) -> list[Trade]:
        """Return what flowed through the pool in some slots."""
        return [
            Trade(slot, seller, buyer, energy)
            for slot, _, seller, buyer, energy in self._flows(slots, site, "pool")
        ]

    def _flows(self, slots: range, site: int | None, kind: str) -> Sequence[Any]:
        span = within(FLOWS.c.slot, slots)
        if site is not None:
            # Each side with its slots, so that each is found by its index.
            span = or_(and_(FLOWS.c.seller == site, span), and_(FLOWS.c.buyer == site, span))
        columns = (FLOWS.c.slot, FLOWS.c.position, FLOWS.c.seller, FLOWS.c.buyer, FLOWS.c.energy)
        query = select(*columns).where(span, FLOWS.c.kind == kind)
        return self.connection.execute(query.order_by(FLOWS.c.slot, FLOWS.c.position)).all()

    def readings(self, slots: range, site: int | None = None) -> list[Reading]:
        """Return the readings of some slots, corrections included, by slot, site, revision."""
        order = (READINGS.c.slot, READINGS.c.site, READINGS.c.block, READINGS.c.revision)
        query = _of_slots(READINGS, slots, site, _READING_COLUMNS).order_by(*order)
        return [
            Reading(*values, quality=Quality(quality), revision=revision)  # type: ignore[misc]
            for *values, quality, revision in self.connection.execute(query)
        ]

    def entries(self, slots: range, account: int | None = None) -> list[tuple[int, int, int]]:
        """Return (slot, account, microyen) of some slots, corrections included."""
        query = select(ENTRIES.c.slot, ENTRIES.c.account, ENTRIES.c.microyen).where(
            within(ENTRIES.c.slot, slots)
        )
        if account is not None:
            query = query.where(ENTRIES.c.account == account)
        order = (ENTRIES.c.slot, ENTRIES.c.account, ENTRIES.c.block, ENTRIES.c.revision)
        found = self.connection.execute(query.order_by(*order))
        return [(slot, account, microyen) for slot, account, microyen in found]

    def owed(self, account: int, slots: range) -> tuple[int, int]:
        """Return what some slots' settlements owe an account, and their corrections, microyen."""
        settled, corrected = (
            self.connection.scalar(
                select(func.coalesce(func.sum(ENTRIES.c.microyen), 0)).where(
                    within(ENTRIES.c.slot, slots), ENTRIES.c.account == account, revision
                )
            )
            for revision in (ENTRIES.c.revision == -1, ENTRIES.c.revision != -1)
        )
        return int(settled or 0), int(corrected or 0)

    def block_of(self, table: Table, **values: int) -> int | None:
        """Return the first block that gave rise to a row with these values."""
        query = select(func.min(table.c.block))
        for name, value in values.items():
            query = query.where(table.c[name] == value)
        found: int | None = self.connection.scalar(query)
        return found

    def sites(self) -> Versions[dict[str, Any]]:
        """Return every site's columns (see `SITES`) as they changed, by site."""
        found = self.connection.execute(select(SITES).order_by(SITES.c.change))
        return Versions((row.site, row.from_slot, dict(row._mapping)) for row in found)

    def sites_at(self, slot: int) -> dict[int, dict[str, Any]]:
        """Return the active sites' columns (see `SITES`) in a slot, by site."""
        return {site: row for site, row in self.sites().all_at(slot).items() if row["trader"]}

    def first_slot(self) -> int | None:
        """Return the first slot in which any site takes part."""
        found: int | None = self.connection.scalar(select(func.min(SITES.c.from_slot)))
        return found

    def tariffs(self) -> Tariffs:
        """Return the tariff as it changed."""
        found = self.connection.execute(select(TARIFFS).order_by(TARIFFS.c.change))
        return Tariffs(
            Versions(
                (row.slot_of_day, row.from_slot, Tariff(row.selling, row.buying, row.fee))
                for row in found
            )
        )

    def tariff(self, slot: int, slot_of_day: int) -> Tariff:
        """Return a slot's tariff; all zero before the first."""
        row = self.connection.execute(
            select(TARIFFS)
            .where(TARIFFS.c.from_slot <= slot, TARIFFS.c.slot_of_day == slot_of_day)
            .order_by(TARIFFS.c.change.desc())
            .limit(1)
        ).first()
        return Tariff(row.selling, row.buying, row.fee) if row else NO_TARIFF

    def origins(self, part: str, slots: range, site: int | None = None) -> list[Row]:
        """Return rows of one part of `SlotOrigins`, by slot, then as they were poured."""
        query = _of_slots(ORIGINS, slots, site, _ROW_COLUMNS).where(ORIGINS.c.part == part)
        found = self.connection.execute(query.order_by(ORIGINS.c.slot, ORIGINS.c.position))
        return [_row(values) for values in found]

    def destinations(self, site: int, slots: range) -> list[tuple[str, Row]]:
        """Return where the energy went that a site generated in some slots, by part and row."""
        query = select(ORIGINS.c.part, *(ORIGINS.c[name] for name in _ROW_COLUMNS)).where(
            ORIGINS.c.origin_site == site,
            ORIGINS.c.kind == int(Kind.GENERATION),
            within(ORIGINS.c.origin_slot, slots),
            ORIGINS.c.part.in_(["used", "lost", "utility", "unmetered"]),
        )
        order = (ORIGINS.c.slot, ORIGINS.c.position, ORIGINS.c.part)
        found = self.connection.execute(query.order_by(*order))
        return [(part, _row(values)) for part, *values in found]

    def holdings(self) -> Holdings:
        """Return what the batteries hold after the last traced slot."""
        query = select(HOLDINGS.c.state).order_by(HOLDINGS.c.slot.desc()).limit(1)
        state = self.connection.scalar(query)
        return Holdings.from_json(state) if state else Holdings()

    def last_traced(self) -> int | None:
        """Return the newest slot whose energy is traced."""
        found: int | None = self.connection.scalar(select(func.max(HOLDINGS.c.slot)))
        return found

    def last_final(self) -> int | None:
        """Return the newest slot that no fork can change any more: its tracing is final."""
        query = select(func.max(HOLDINGS.c.slot)).where(HOLDINGS.c.block <= self.final_block())
        found: int | None = self.connection.scalar(query)
        return found

    def traced(self, slots: range) -> dict[int, int]:
        """Return those of some slots whose energy is traced, each with the block that let it be."""
        query = select(HOLDINGS.c.slot, HOLDINGS.c.block).where(within(HOLDINGS.c.slot, slots))
        return dict(self.connection.execute(query.order_by(HOLDINGS.c.slot)).all())

    def claimed(self, days: range) -> int:
        """Return how many Wh of some days (by number) are claimed."""
        query = select(func.coalesce(func.sum(CLAIMS.c.energy), 0))
        return int(self.connection.scalar(query.where(within(CLAIMS.c.day, days))) or 0)

    def roots(self, days: range) -> dict[int, dict[int, bytes]]:
        """Return the root that each site attests of some days, by day's number and site."""
        query = select(ATTESTATIONS.c.day, ATTESTATIONS.c.site, ATTESTATIONS.c.root).where(
            within(ATTESTATIONS.c.day, days)
        )
        found: dict[int, dict[int, bytes]] = {}
        for day, site, root in self.connection.execute(query.order_by(ATTESTATIONS.c.block)):
            found.setdefault(day, {})[site] = bytes(root)
        return found


NO_TARIFF = Tariff(0, 0, 0)


class Versions(Generic[_Version]):
    """What is true from a slot on, by key: the last change that has begun by a slot holds.

    A change replaces what was planned for its slot or later. Made of (key, first slot, what is
    then true), in the order of the changes.
    """

    def __init__(self, changes: Iterable[tuple[int, int, _Version]]) -> None:
        self._changes: dict[int, tuple[list[int], list[_Version]]] = {}
        for key, first, version in changes:
            firsts, versions = self._changes.setdefault(key, ([], []))
            until = bisect_left(firsts, first)
            firsts[until:], versions[until:] = [first], [version]

    def at(self, key: int, slot: int) -> _Version | None:
        """Return what is true in a slot; None before the first change."""
        firsts, versions = self._changes.get(key, ([], []))
        begun = bisect_right(firsts, slot)
        return versions[begun - 1] if begun else None

    def all_at(self, slot: int) -> dict[int, _Version]:
        """Return what is true in a slot, by key."""
        found = ((key, self.at(key, slot)) for key in sorted(self._changes))
        return {key: version for key, version in found if version is not None}


@dataclass(frozen=True)
class Tariffs:
    """The tariff as it changed, by slot of day."""

    versions: Versions[Tariff]

    def at(self, slot: int) -> Tariff:
        """Return a slot's tariff; all zero before the first."""
        return self.versions.at(slot_of_day(slot), slot) or NO_TARIFF


_ORDER_COLUMNS = ("slot", "site", "side", "energy", "price", "sequence", "fresh")
_READING_COLUMNS = ("slot", "site", *ENERGIES, "quality", "revision")
_ROW_COLUMNS = ("slot", "site", "energy", "kind", "origin_site", "origin_slot", "through")


def _row(values: Sequence[Any]) -> Row:
    slot, site, energy, kind, origin_site, origin_slot, through = values
    return Row(slot, site, energy, Origin(Kind(kind), origin_site, origin_slot), through)


def _of_slots(
    table: Table, slots: range, site: int | None, columns: Sequence[str]
) -> Select[tuple[Any, ...]]:
    query = select(*(table.c[name] for name in columns)).where(within(table.c.slot, slots))
    return query if site is None else query.where(table.c.site == site)


def within(column: ColumnElement[int], numbers: range) -> ColumnElement[bool]:
    """Return that a column is one of some numbers that follow each other.

    Raises:
        SettingError: if they do not.
    """
    if numbers.step != 1:
        raise SettingError(f"slots must follow each other, got a step of {numbers.step}")
    return and_(column >= numbers.start, column < numbers.stop)

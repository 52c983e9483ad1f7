"""The read model: what a chain's events say, in tables.

It is a cache: delete it, index again, and it is the same. Each row carries the block that it
came from, so that blocks which a chain gave up can be taken back.

Units as in `energy.units`: energy in Wh, price in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    func,
    insert,
    select,
)

from energy.errors import SettingError
from energy.lots import Kind, Origin
from energy.records import Order, Quality, Reading, Side, Trade
from energy.registry import SiteTerms, Tariff
from energy.rows import Holdings, Row, SlotOrigins

_META = MetaData()


def _table(name: str, *columns: Column[Any], indices: Sequence[str] = ()) -> Table:
    return Table(
        name,
        _META,
        Column("block", BigInteger, nullable=False, index=True),
        *columns,
        *(Index(f"{name}_by_{column}", column) for column in indices),
    )


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


SETTINGS = Table(
    "settings",
    _META,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
BLOCKS = _table("blocks", Column("hash", LargeBinary, nullable=False))
ORDERS = _table(
    "orders",
    *map(_number, ("slot", "position", "site", "side", "energy", "price", "sequence")),
    Column("fresh", Boolean, nullable=False),
    indices=["slot"],
)
CLEARINGS = _table("clearings", *map(_number, ("slot", "price")), indices=["slot"])
FLOWS = _table(
    "flows",
    Column("kind", String, nullable=False),
    *map(_number, ("slot", "position", "seller", "buyer", "energy")),
    indices=["slot"],
)
"""Of kind `trade` (cleared), `delivery` (what flowed of the trade at that position) or `pool`."""
_ENERGIES = ("imported", "exported", "generated", "charged", "discharged", "stored")
READINGS = _table(
    "readings",
    *map(_number, ("slot", "site", *_ENERGIES, "quality", "revision")),
    indices=["slot"],
)
ENTRIES = _table(
    "entries",
    *map(_number, ("slot", "account", "microyen", "revision")),
    indices=["slot"],
)
"""Settlements have revision -1, corrections that of their reading."""
SITES = _table(
    "sites",
    *map(_number, ("change", "site", "from_slot")),
    Column("trader", String),
    Column("oracle", String),
    *map(
        _number,
        (
            "order_energy",
            "import_power",
            "generation_power",
            "battery_power",
            "battery_capacity",
            "battery_efficiency",
        ),
    ),
)
TARIFFS = _table(
    "tariffs", *map(_number, ("change", "from_slot", "slot_of_day", "selling", "buying", "fee"))
)
ORIGINS = _table(
    "origins",
    _number("slot"),
    Column("part", String, nullable=False),
    *map(_number, ("position", "site", "energy", "kind", "origin_site", "origin_slot")),
    Column("through", Integer),
    indices=["slot", "origin_slot"],
)
HOLDINGS = _table("holdings", _number("slot"), Column("state", String, nullable=False))

_PARTS = ("used", "entered", "charged", "drawn", "lost", "utility", "unmetered")


def opened(url: str) -> Engine:
    """Return the store at an SQLAlchemy URL, or a path of an SQLite file; made if need be."""
    if "://" not in url:
        Path(url).parent.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{url}"
    engine = create_engine(url)
    _META.create_all(engine)
    return engine


class Store:
    """The tables within one transaction of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # -- writing -----------------------------------------------------------------------------

    def put(self, table: Table, block: int, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows that a block gave rise to."""
        rows = [{"block": block, **row} for row in rows]
        if rows:
            self._connection.execute(insert(table), rows)

    def put_change(self, table: Table, block: int, rows: Iterable[dict[str, Any]]) -> None:
        """Add a version of a site or tariff: it replaces what was planned for its slot or later.

        The last change that has begun by a slot is then what holds in it.
        """
        last = self._connection.scalar(select(func.max(table.c.change)))
        change = 0 if last is None else last + 1
        self.put(table, block, ({"change": change, **row} for row in rows))

    def put_origins(self, block: int, origins: SlotOrigins, holdings: Holdings) -> None:
        """Add a traced slot's rows, and what the batteries hold after it."""
        self.put(
            ORIGINS,
            block,
            (
                {
                    "slot": row.slot,
                    "part": part,
                    "position": position,
                    "site": row.site,
                    "energy": row.energy,
                    "kind": int(row.origin.kind),
                    "origin_site": row.origin.site,
                    "origin_slot": row.origin.slot,
                    "through": row.through,
                }
                for part in _PARTS
                for position, row in enumerate(getattr(origins, part))
            ),
        )
        self.put(HOLDINGS, block, [{"slot": origins.slot, "state": holdings.to_json()}])

    def put_flows(self, block: int, kind: str, flows: Sequence[Trade]) -> None:
        """Add a slot's trades, deliveries or pool flows, in their order."""
        self.put(
            FLOWS,
            block,
            (
                {
                    "kind": kind,
                    "slot": flow.slot,
                    "position": position,
                    "seller": flow.seller,
                    "buyer": flow.buyer,
                    "energy": flow.energy,
                }
                for position, flow in enumerate(flows)
            ),
        )

    def take_back(self, block: int) -> None:
        """Forget what came from a block and those after it."""
        for table in _META.sorted_tables:
            if "block" in table.c:
                self._connection.execute(delete(table).where(table.c.block >= block))

    def set(self, name: str, value: str) -> None:
        """Keep a setting."""
        self._connection.execute(delete(SETTINGS).where(SETTINGS.c.name == name))
        self._connection.execute(insert(SETTINGS).values(name=name, value=value))

    # -- reading -----------------------------------------------------------------------------

    def setting(self, name: str) -> str | None:
        """Return a kept setting."""
        return self._connection.scalar(select(SETTINGS.c.value).where(SETTINGS.c.name == name))

    def last_block(self) -> tuple[int, bytes] | None:
        """Return the newest indexed block's number and hash."""
        row = self._connection.execute(
            select(BLOCKS.c.block, BLOCKS.c.hash).order_by(BLOCKS.c.block.desc()).limit(1)
        ).first()
        return (row.block, bytes(row.hash)) if row else None

    def blocks_after(self, number: int) -> list[tuple[int, bytes]]:
        """Return the indexed blocks after a number, each with its hash, in order."""
        query = select(BLOCKS).where(BLOCKS.c.block > number).order_by(BLOCKS.c.block)
        return [(row.block, bytes(row.hash)) for row in self._connection.execute(query)]

    def final_block(self) -> int:
        """Return the newest block that is final; -1 before the first."""
        return int(self.setting("final") or -1)

    def final_slots(self, slots: range) -> frozenset[int]:
        """Return those of some slots whose settlement is final."""
        query = select(ENTRIES.c.slot).where(
            _within(ENTRIES, slots),
            ENTRIES.c.revision == -1,
            ENTRIES.c.block <= self.final_block(),
        )
        return frozenset(self._connection.scalars(query.distinct()))

    def slots(self) -> list[int]:
        """Return the settled slots, in order."""
        query = select(ENTRIES.c.slot).where(ENTRIES.c.revision == -1).distinct()
        return sorted(self._connection.scalars(query))

    def orders(self, slots: range) -> list[Order]:
        """Return the accepted orders of some slots, by slot and arrival."""
        query = select(ORDERS).where(_within(ORDERS, slots))
        return [
            Order(r.slot, r.site, Side(r.side), r.energy, r.price, r.sequence, r.fresh)
            for r in self._connection.execute(query.order_by(ORDERS.c.slot, ORDERS.c.position))
        ]

    def order_count(self, slot: int) -> int:
        """Return how many orders of a slot were accepted."""
        query = select(func.count()).select_from(ORDERS).where(ORDERS.c.slot == slot)
        return self._connection.scalar(query) or 0

    def price(self, slot: int) -> int | None:
        """Return the price of a cleared slot; None if it was not cleared."""
        return self._connection.scalar(select(CLEARINGS.c.price).where(CLEARINGS.c.slot == slot))

    def trades(self, slots: range) -> list[tuple[Trade, int | None]]:
        """Return the trades of some slots, each with what was delivered (None: not settled)."""
        delivered = {(r.slot, r.position): r.energy for r in self._flow_rows(slots, "delivery")}
        return [
            (Trade(r.slot, r.seller, r.buyer, r.energy), delivered.get((r.slot, r.position)))
            for r in self._flow_rows(slots, "trade")
        ]

    def flows(self, slots: range) -> list[Trade]:
        """Return what flowed between sites in some slots: each slot's deliveries, then pool."""
        rows = [*self._flow_rows(slots, "delivery"), *self._flow_rows(slots, "pool")]
        flows = [Trade(r.slot, r.seller, r.buyer, r.energy) for r in rows]
        return sorted(flows, key=lambda flow: flow.slot)

    def pool(self, slots: range) -> list[Trade]:
        """Return what flowed through the pool in some slots."""
        return [Trade(r.slot, r.seller, r.buyer, r.energy) for r in self._flow_rows(slots, "pool")]

    def _flow_rows(self, slots: range, kind: str) -> Sequence[Any]:
        query = select(FLOWS).where(_within(FLOWS, slots), FLOWS.c.kind == kind)
        return self._connection.execute(query.order_by(FLOWS.c.slot, FLOWS.c.position)).all()

    def readings(self, slots: range) -> list[Reading]:
        """Return the readings of some slots, corrections included, by slot, site, revision."""
        query = select(READINGS).where(_within(READINGS, slots))
        order = (READINGS.c.slot, READINGS.c.site, READINGS.c.block, READINGS.c.revision)
        return [
            Reading(
                slot=r.slot,
                site=r.site,
                imported=r.imported,
                exported=r.exported,
                generated=r.generated,
                charged=r.charged,
                discharged=r.discharged,
                stored=r.stored,
                quality=Quality(r.quality),
                revision=r.revision,
            )
            for r in self._connection.execute(query.order_by(*order))
        ]

    def entries(self, slots: range) -> list[tuple[int, int, int]]:
        """Return (slot, account, microyen) of some slots, corrections included."""
        query = select(ENTRIES).where(_within(ENTRIES, slots))
        return [
            (r.slot, r.account, r.microyen)
            for r in self._connection.execute(query.order_by(ENTRIES.c.slot, ENTRIES.c.account))
        ]

    def owed(self, account: int, slots: range) -> tuple[int, int]:
        """Return what some slots' settlements owe an account, and their corrections, microyen."""
        settled, corrected = (
            self._connection.scalar(
                select(func.coalesce(func.sum(ENTRIES.c.microyen), 0)).where(
                    _within(ENTRIES, slots), ENTRIES.c.account == account, revision
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
        found: int | None = self._connection.scalar(query)
        return found

    def sites_at(self, slot: int) -> dict[int, dict[str, Any]]:
        """Return the active sites' columns (see `SITES`) in a slot, by site."""
        query = select(SITES).where(SITES.c.from_slot <= slot)
        latest = {
            row.site: dict(row._mapping)
            for row in self._connection.execute(query.order_by(SITES.c.change))
        }
        return {site: row for site, row in sorted(latest.items()) if row["trader"]}

    def first_slot(self) -> int | None:
        """Return the first slot in which any site takes part."""
        found: int | None = self._connection.scalar(select(func.min(SITES.c.from_slot)))
        return found

    def tariff(self, slot: int, slot_of_day: int) -> Tariff:
        """Return a slot's tariff; all zero before the first."""
        row = self._connection.execute(
            select(TARIFFS)
            .where(TARIFFS.c.from_slot <= slot, TARIFFS.c.slot_of_day == slot_of_day)
            .order_by(TARIFFS.c.change.desc())
            .limit(1)
        ).first()
        return Tariff(row.selling, row.buying, row.fee) if row else Tariff(0, 0, 0)

    def origins(self, part: str, slots: range, site: int | None = None) -> list[Row]:
        """Return rows of one part of `SlotOrigins`, by slot, then as they were poured."""
        query = select(ORIGINS).where(_within(ORIGINS, slots), ORIGINS.c.part == part)
        if site is not None:
            query = query.where(ORIGINS.c.site == site)
        return [
            _origin_row(r)
            for r in self._connection.execute(query.order_by(ORIGINS.c.slot, ORIGINS.c.position))
        ]

    def destinations(self, site: int, slots: range) -> list[tuple[str, Row]]:
        """Return where the energy went that a site generated in some slots, by part and row."""
        query = select(ORIGINS).where(
            ORIGINS.c.origin_site == site,
            ORIGINS.c.kind == int(Kind.GENERATION),
            ORIGINS.c.origin_slot >= slots.start,
            ORIGINS.c.origin_slot < slots.stop,
            ORIGINS.c.part.in_(["used", "lost", "utility", "unmetered"]),
        )
        return [
            (r.part, _origin_row(r))
            for r in self._connection.execute(query.order_by(ORIGINS.c.slot, ORIGINS.c.position))
        ]

    def holdings(self) -> Holdings:
        """Return what the batteries hold after the last traced slot."""
        query = select(HOLDINGS.c.state).order_by(HOLDINGS.c.slot.desc()).limit(1)
        state = self._connection.scalar(query)
        return Holdings.from_json(state) if state else Holdings()


def _origin_row(found: Any) -> Row:
    return Row(
        found.slot,
        found.site,
        found.energy,
        Origin(Kind(found.kind), found.origin_site, found.origin_slot),
        found.through,
    )


def _within(table: Table, slots: range) -> Any:
    if slots.step != 1:
        raise SettingError(f"slots must follow each other, got a step of {slots.step}")
    return (table.c.slot >= slots.start) & (table.c.slot < slots.stop)


def terms_row(site: int, terms: SiteTerms) -> dict[str, Any]:
    """Return a site's version as a row of `SITES`."""
    ratings = terms.ratings
    return {
        "site": site,
        "from_slot": terms.from_slot,
        "trader": terms.trader,
        "oracle": terms.oracle,
        "order_energy": ratings.order_energy,
        "import_power": ratings.import_power,
        "generation_power": ratings.generation_power,
        "battery_power": ratings.battery_power,
        "battery_capacity": ratings.battery_capacity,
        "battery_efficiency": ratings.battery_efficiency,
    }

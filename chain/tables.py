"""The read model's tables, as the newest migration leaves them (`chain.migrations`).

Each row carries the block that it came from, so that blocks which a chain gave up can be taken
back. Units as in `energy.units`: energy in Wh, price in 0.001 JPY/kWh, money in microyen;
times in unix seconds.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

META = MetaData()


def _table(name: str, *columns: Column[Any], **indices: tuple[str, ...]) -> Table:
    return Table(
        name,
        META,
        Column("block", BigInteger, nullable=False),
        *columns,
        Index(f"ix_{name}_block", "block"),
        *(Index(f"{name}_{suffix}", *over) for suffix, over in indices.items()),
    )


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


SETTINGS = Table(
    "settings",
    META,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
BLOCKS = Table(
    "blocks",
    META,
    Column("block", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("time", BigInteger),
    Index("blocks_once", "block", unique=True),
)
"""Of what a block gave rise to, all is committed with its row here, and so once; `time` is not
known of what was indexed before the store kept it."""
ORDERS = _table(
    "orders",
    *map(_number, ("slot", "position", "site", "side", "energy", "price", "sequence")),
    Column("fresh", Boolean, nullable=False),
    by_slot=("slot",),
    by_site=("site", "slot"),
)
CLEARINGS = _table(
    "clearings",
    *map(_number, ("slot", "price", "orders", "trades", "energy")),
    by_slot=("slot",),
)
"""How many orders the book held, and how many trades it gave, of how much energy."""
FLOWS = _table(
    "flows",
    Column("kind", String, nullable=False),
    *map(_number, ("slot", "position", "seller", "buyer", "energy")),
    by_slot=("slot",),
    by_seller=("seller", "slot"),
    by_buyer=("buyer", "slot"),
)
"""Of kind `trade` (cleared), `delivery` (what flowed of the trade at that position) or `pool`."""
ENERGIES = ("imported", "exported", "generated", "charged", "discharged", "stored")
READINGS = _table(
    "readings",
    *map(_number, ("slot", "site", *ENERGIES, "quality", "revision")),
    by_slot=("slot",),
    by_site=("site", "slot"),
)
ENTRIES = _table(
    "entries",
    *map(_number, ("slot", "account", "microyen", "revision")),
    by_slot=("slot",),
    by_account=("account", "slot"),
)
"""Settlements have revision -1, corrections that of their reading."""
SETTLEMENTS = _table(
    "settlements",
    *map(_number, ("slot", "delivered", "pooled", "missing")),
    by_slot=("slot",),
)
"""A slot's settlement in brief; `missing` counts the sites whose reading did not come."""
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
    by_slot=("slot",),
    by_site=("site", "part", "slot"),
    by_generator=("origin_site", "origin_slot"),
)
PARTS = ("used", "entered", "charged", "drawn", "lost", "utility", "unmetered")
HOLDINGS = _table(
    "holdings", _number("slot"), Column("state", String, nullable=False), by_slot=("slot",)
)
ATTESTATIONS = _table(
    "attestations",
    *map(_number, ("day", "site")),
    Column("root", LargeBinary, nullable=False),
    Column("replaced", LargeBinary, nullable=False),
    by_day=("day",),
)
"""Roots that sites attested, in order; a later one of a day and site replaces the earlier."""
CLAIMS = _table(
    "claims",
    *map(_number, ("day", "site")),
    Column("leaf", LargeBinary, nullable=False),
    *map(_number, ("start", "energy")),
    Column("beneficiary", String, nullable=False),
    Column("purpose", String, nullable=False),
    by_day=("day",),
)
EVENTFUL = (ORDERS, CLEARINGS, READINGS, SETTLEMENTS, ENTRIES, SITES, TARIFFS, ATTESTATIONS, CLAIMS)
"""The tables of events; the others follow from them, or have a row for each block."""

"""A store's tables, step by step, from the first that there was: each step once, in order.

A step is a function; `MIGRATIONS` and a loop are the whole engine. A step that was released is
never changed: a new one follows it. What a step builds is written out here, since
`chain.tables` goes on to what comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    inspect,
    select,
    text,
)

from energy.errors import StoreError

_RECORD = Table(
    "migrations",
    MetaData(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String, nullable=False),
)


def m001_events_of_the_market(connection: Connection) -> None:
    """Make the first tables; a store from before steps were numbered has them."""
    numbers = {
        "orders": "slot position site side energy price sequence",
        "clearings": "slot price",
        "flows": "slot position seller buyer energy",
        "readings": "slot site imported exported generated charged discharged stored quality "
        "revision",
        "entries": "slot account microyen revision",
        "sites": "change site from_slot order_energy import_power generation_power "
        "battery_power battery_capacity battery_efficiency",
        "tariffs": "change from_slot slot_of_day selling buying fee",
        "origins": "slot position site energy kind origin_site origin_slot",
        "holdings": "slot",
        "blocks": "",
    }
    others: dict[str, list[Column[Any]]] = {
        "orders": [Column("fresh", Boolean, nullable=False)],
        "flows": [Column("kind", String, nullable=False)],
        "sites": [Column("trader", String), Column("oracle", String)],
        "origins": [Column("part", String, nullable=False), Column("through", Integer)],
        "holdings": [Column("state", String, nullable=False)],
        "blocks": [Column("hash", LargeBinary, nullable=False)],
    }
    if inspect(connection).has_table("blocks"):
        return
    meta = MetaData()
    for name, columns in numbers.items():
        Table(
            name,
            meta,
            Column("block", BigInteger, nullable=False, index=True),
            *(Column(column, BigInteger, nullable=False) for column in columns.split()),
            *others.get(name, []),
        )
    Table(
        "settings",
        meta,
        Column("name", String, primary_key=True),
        Column("value", String, nullable=False),
    )
    meta.create_all(connection)
    for name in ("orders", "clearings", "flows", "readings", "entries", "origins"):
        connection.execute(text(f"CREATE INDEX {name}_by_slot ON {name} (slot)"))
    connection.execute(text("CREATE INDEX origins_by_origin_slot ON origins (origin_slot)"))


def m002_blocks_once_and_with_their_time(connection: Connection) -> None:
    """Keep two indexers of one store from counting a block twice."""
    _run(
        connection,
        "DROP INDEX ix_blocks_block",
        "CREATE UNIQUE INDEX blocks_once ON blocks (block)",
        "ALTER TABLE blocks ADD COLUMN time BIGINT",
    )


def m003_by_site(connection: Connection) -> None:
    """Find a site's month among a thousand sites'."""
    _run(
        connection,
        "CREATE INDEX orders_by_site ON orders (site, slot)",
        "CREATE INDEX readings_by_site ON readings (site, slot)",
        "CREATE INDEX entries_by_account ON entries (account, slot)",
        "CREATE INDEX flows_by_seller ON flows (seller, slot)",
        "CREATE INDEX flows_by_buyer ON flows (buyer, slot)",
        "CREATE INDEX origins_by_site ON origins (site, part, slot)",
        "CREATE INDEX origins_by_generator ON origins (origin_site, origin_slot)",
        "DROP INDEX origins_by_origin_slot",
    )


def m004_slots_in_brief(connection: Connection) -> None:
    """List slots without counting what each of them holds."""
    _run(
        connection,
        *(
            f"ALTER TABLE clearings ADD COLUMN {column} BIGINT NOT NULL DEFAULT 0"
            for column in ("orders", "trades", "energy")
        ),
        "UPDATE clearings SET "
        "orders = (SELECT count(*) FROM orders o WHERE o.slot = clearings.slot), "
        "trades = (SELECT count(*) FROM flows f "
        "WHERE f.slot = clearings.slot AND f.kind = 'trade'), "
        "energy = (SELECT coalesce(sum(f.energy), 0) FROM flows f "
        "WHERE f.slot = clearings.slot AND f.kind = 'trade')",
    )
    meta = MetaData()
    names = ("block", "slot", "delivered", "pooled", "missing")
    Table("settlements", meta, *(Column(name, BigInteger, nullable=False) for name in names))
    meta.create_all(connection)
    flowed = (
        "(SELECT coalesce(sum(f.energy), 0) FROM flows f WHERE f.slot = e.slot AND f.kind = '{}')"
    )
    _run(
        connection,
        "INSERT INTO settlements (block, slot, delivered, pooled, missing) "
        f"SELECT e.block, e.slot, {flowed.format('delivery')}, {flowed.format('pool')}, "
        "(SELECT count(*) FROM readings r WHERE r.slot = e.slot AND r.block = e.block "
        "AND r.quality = 128) "
        "FROM entries e WHERE e.revision = -1 GROUP BY e.block, e.slot ORDER BY e.slot",
        "CREATE INDEX ix_settlements_block ON settlements (block)",
        "CREATE INDEX settlements_by_slot ON settlements (slot)",
    )


_ROOTS: dict[str, Any] = {"root": LargeBinary, "replaced": LargeBinary}
_CLAIM: dict[str, Any] = {
    "leaf": LargeBinary,
    "start": BigInteger,
    "energy": BigInteger,
    "beneficiary": String,
    "purpose": String,
}


def m005_attested_and_claimed(connection: Connection) -> None:
    """Keep what the ledger of origins says; an indexer that is told of one fills it."""
    meta = MetaData()
    for name, columns in (
        ("attestations", {"day": BigInteger, "site": BigInteger} | _ROOTS),
        ("claims", {"slot": BigInteger, "site": BigInteger} | _CLAIM),
    ):
        Table(
            name,
            meta,
            Column("block", BigInteger, nullable=False, index=True),
            *(Column(column, kind, nullable=False) for column, kind in columns.items()),
        )
    meta.create_all(connection)
    _run(
        connection,
        "CREATE INDEX attestations_by_day ON attestations (day)",
        "CREATE INDEX claims_by_slot ON claims (slot)",
    )


def m006_claims_by_day(connection: Connection) -> None:
    """A claim is of a day's rows together: it says the day, and no slot."""
    _run(
        connection,
        "DROP INDEX claims_by_slot",
        "ALTER TABLE claims RENAME COLUMN slot TO day",
        "UPDATE claims SET day = (day + 18) / 48",
        "CREATE INDEX claims_by_day ON claims (day)",
    )


def m007_holdings_by_slot(connection: Connection) -> None:
    """Find the newest of what batteries held among years of it: it is asked for at each block."""
    _run(connection, "CREATE INDEX holdings_by_slot ON holdings (slot)")


Steps = Sequence[Callable[[Connection], None]]

MIGRATIONS: Steps = (
    m001_events_of_the_market,
    m002_blocks_once_and_with_their_time,
    m003_by_site,
    m004_slots_in_brief,
    m005_attested_and_claimed,
    m006_claims_by_day,
    m007_holdings_by_slot,
)


def pending(connection: Connection, steps: Steps | None = None) -> int:
    """Return how many steps a store lacks: the market's, or those given of another kind.

    Raises:
        StoreError: if it has steps that are not known here.
    """
    steps = MIGRATIONS if steps is None else steps
    done: list[int] = []
    if inspect(connection).has_table(_RECORD.name):
        done = sorted(connection.scalars(select(_RECORD.c.number)))
    if done != list(range(1, len(done) + 1)) or len(done) > len(steps):
        raise StoreError(
            f"a store must be of this version or an older one (steps up to {len(steps)}), "
            f"got step {done[-1]}: use a newer yui, or a new store"
        )
    return len(steps) - len(done)


def migrate(connection: Connection, steps: Steps | None = None) -> None:
    """Do the steps that a store lacks, in order, and record them in it."""
    steps = MIGRATIONS if steps is None else steps
    behind = pending(connection, steps)
    _RECORD.create(connection, checkfirst=True)
    for number, step in enumerate(steps, 1):
        if number > len(steps) - behind:
            step(connection)
            connection.execute(insert(_RECORD).values(number=number, name=step.__name__))


def _run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(text(statement))

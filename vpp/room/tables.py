"""The tables of the control room's store, and the steps that make them.

Units as in `vpp.commands`: W, Wh, unix seconds.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    MetaData,
    String,
    Table,
    Text,
)

from chain.migrations import Steps

META = MetaData()


def _numbers(*names: str) -> list[Column[Any]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


def _perhaps(*names: str) -> list[Column[Any]]:
    return [Column(name, BigInteger) for name in names]


def _key(*names: str) -> list[Column[Any]]:
    return [Column(name, BigInteger, primary_key=True, autoincrement=False) for name in names]


def _texts(*names: str) -> list[Column[Any]]:
    return [Column(name, Text, nullable=False) for name in names]


SITES = Table("sites", META, *_key("site"), *_texts("name", "name_ja", "municipality", "kind"))
"""The fleet's register, as the set-up made it."""

LATEST = Table(
    "latest",
    META,
    *_key("site"),
    Column("heard_at", Float, nullable=False),
    Column("linked", Boolean, nullable=False),
    *_texts("name", "municipality", "kind"),
    *_numbers("at"),
    *_texts("following"),
    *_numbers("sequence"),
    *_perhaps("stored_wh", "capacity_wh", "battery_w", "generated_w", "imported_w"),
    *_numbers("charge_w", "discharge_w"),
    *_perhaps("target_w"),
    *_texts("call", "alarms"),
)
"""Each site's last report; `linked` is False once the broker has seen it vanish."""

MEANS = ("battery_w", "generated_w", "imported_w", "target_w")
MINUTES = Table(
    "minutes",
    META,
    *_key("site", "minute"),
    *_numbers("reports"),
    *(Column(name, Float) for name in MEANS),
    *_perhaps("stored_wh"),
    *_texts("following", "call"),
    Index("minutes_by_minute", "minute"),
)
"""A site's reports of a minute (unix seconds // 60) as one row: powers are means over them, the
rest is the last. Of what is older than `vpp.room.keeper.KEPT_MINUTES_DAYS` each half hour's
first minute stands for it, with means over the half hour."""

INSTRUCTIONS = Table(
    "instructions",
    META,
    *_key("site", "sequence"),
    *_texts("action"),
    *_numbers("starts_at", "ends_at", "expires_at", "power_w"),
    *_texts("plan_wh", "call"),
    *_numbers("trail"),
    Column("made_at", Float, nullable=False),
    *_texts("by", "why", "envelope", "of"),
    Column("state", String, nullable=False),
    *_perhaps("answered_at"),
    *_texts("refused"),
    Column("changed_at", Float),
    Index("instructions_by_state", "state", "site"),
    Index("instructions_by_made", "made_at"),
    Index("instructions_by_call", "call"),
)
"""What was told, as it went out (`envelope`, named `of` in answers), and what was answered.
`state`: open, taken, refused or expired."""

TRAIL = Table("trail", META, *_key("number"), *_numbers("at"), *_texts("kind", "said", "hash"))
"""The audit trail, see `vpp.room.trail`."""


def m001_the_first_tables(connection: Connection) -> None:
    """Make the tables."""
    META.create_all(connection)


STEPS: Steps = (m001_the_first_tables,)

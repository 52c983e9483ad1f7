"""The tables of calls: what was asked, who was to give what, who was told, and what was seen.

Units: power in W, energy in Wh; times in unix seconds, `changed_at` with fractions.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)

from chain.migrations import Steps

META = MetaData()


def _number(name: str, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=False, primary_key=key, autoincrement=False)


CALLS = Table(
    "calls",
    META,
    Column("name", String, primary_key=True),
    Column("state", String, nullable=False),
    _number("changed_at"),
    Column("external", String, nullable=False),
    Column("document", String, nullable=False),
)
"""`document` is the call as `vpp.calls.document` writes it."""
SHARES = Table(
    "call_shares",
    META,
    Column("call", String, nullable=False),
    *map(_number, ("site", "starts_at", "ends_at", "power_w")),
    Index("call_shares_by_call", "call", "starts_at"),
)
"""Who was to give how much, when; what was split anew is cut off at the moment it was."""
TOLD = Table(
    "call_instructions",
    META,
    _number("sequence", key=True),
    _number("site", key=True),
    Column("call", String, nullable=False),
    *map(_number, ("starts_at", "ends_at", "power_w", "sent_at")),
    Column("answered_at", BigInteger),
    Column("refused", String, nullable=False, server_default=""),
    Column("changed_at", Float),
    Index("call_instructions_by_call", "call", "site", "sequence"),
)
"""Every instruction; `answered_at` is empty as long as the site has not answered."""
PLANS = Table(
    "call_plans",
    META,
    Column("call", String, primary_key=True),
    _number("site", key=True),
    _number("slot", key=True),
    _number("battery_wh"),
)
"""What a site's battery was planned to give in a half hour, when the site was first asked."""
MINUTES = Table(
    "site_minutes",
    META,
    _number("site", key=True),
    _number("minute", key=True),
    Column("samples", Integer, nullable=False),
    *map(_number, ("battery_w", "imported_w", "generated_w")),
)
"""What sites reported in a minute (unix seconds // 60): sums over the samples."""
JOURNAL = Table(
    "call_journal",
    META,
    Column("number", Integer, primary_key=True),
    Column("call", String, nullable=False, index=True),
    _number("at"),
    Column("event", String, nullable=False),
    Column("site", BigInteger),
    Column("detail", String, nullable=False),
)
SENT = Table(
    "call_reports",
    META,
    Column("call", String, primary_key=True),
    Column("report", String, primary_key=True),
    Column("id", String, nullable=False),
    _number("at"),
)
"""What the caller was reported, by the report's name: the id that it gave the report."""


def m001_the_first_tables(connection: Connection) -> None:
    """Make the tables."""
    META.create_all(connection)


STEPS: Steps = (m001_the_first_tables,)

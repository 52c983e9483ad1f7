"""The control room's store, as pages, calls and commands read it; `vpp.room.keeper` writes it.

    engine = opened("room.sqlite")
    with records(engine) as read:
        for state in read.states():
            print(state.name, state.standing(time.time()), state.report)

Units as in `vpp.commands`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Engine, select

from chain import database
from vpp.commands import Action, Answer, Following, Instruction, Report
from vpp.room import trail
from vpp.room.tables import INSTRUCTIONS, LATEST, MINUTES, SITES, STEPS

LOST_SECONDS = 30.0
"""A site is lost when its last report is older; sites report every few seconds."""
MINUTE_SECONDS = 60


class Standing(Enum):
    """Whether a site can be counted on."""

    ALIVE = "alive"
    LOST = "lost"
    """It has vanished: it is planned around."""
    UNHEARD = "unheard"
    """It has never reported."""


class Outcome(Enum):
    """How far an instruction is."""

    OPEN = "open"
    TAKEN = "taken"
    REFUSED = "refused"
    EXPIRED = "expired"
    """No answer came before it expired."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A site of the fleet's register."""

    site: int
    name: str
    municipality: str
    kind: str = "pv+battery"
    name_ja: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """How a site stands, as far as the control room knows."""

    site: int
    name: str
    municipality: str
    kind: str
    report: Report | None = None
    heard_at: float | None = None
    linked: bool = False
    name_ja: str = ""

    def age(self, now: float) -> float | None:
        """Return how old its report is, in seconds, by whichever clock says older."""
        if self.report is None or self.heard_at is None:
            return None
        return max(now - min(self.heard_at, float(self.report.at)), 0.0)

    def standing(self, now: float, lost_seconds: float = LOST_SECONDS) -> Standing:
        """Return whether it can be counted on."""
        age = self.age(now)
        if age is None:
            return Standing.UNHEARD
        return Standing.ALIVE if self.linked and age <= lost_seconds else Standing.LOST


@dataclass(frozen=True, slots=True)
class Minute:
    """A site's reports within a minute from `at` on: mean powers, then what was last."""

    site: int
    at: int
    reports: int
    battery_w: float | None
    generated_w: float | None
    imported_w: float | None
    target_w: float | None
    stored_wh: int | None
    following: Following
    call: str


@dataclass(frozen=True, slots=True)
class Sent:
    """An instruction that went out: by whom, why, and what became of it."""

    instruction: Instruction
    by: str
    why: str
    made_at: float
    outcome: Outcome
    answer: Answer | None
    trail: int
    envelope: str
    of: str
    """What answers name it by."""


def opened(url: str) -> Engine:
    """Return the room's store at a path or URL, made if need be.

    Raises:
        SettingError, StoreError: as `chain.database.opened`.
    """
    return database.opened(url, STEPS, durable=True)


@contextmanager
def records(engine: Engine) -> Iterator[Records]:
    """Give the store to read, as it is at one moment.

    Raises:
        StoreError: if it does not answer.
    """
    with database.reading(engine) as connection:
        yield Records(connection)


class Records:
    """The store within one transaction of a connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def states(self) -> list[State]:
        """Return how each site of the register stands, and others that were heard of."""
        known = {row.site: row for row in self.connection.execute(select(SITES))}
        latest = {row.site: row for row in self.connection.execute(select(LATEST))}
        return [
            _state(site, known.get(site), latest.get(site)) for site in sorted({*known, *latest})
        ]

    def minutes(self, site: int, start: int, end: int) -> list[Minute]:
        """Return a site's minutes that begin from a time (unix seconds) to before another."""
        first, last = -(-start // MINUTE_SECONDS), -(-end // MINUTE_SECONDS)
        query = (
            select(MINUTES)
            .where(MINUTES.c.site == site, MINUTES.c.minute >= first, MINUTES.c.minute < last)
            .order_by(MINUTES.c.minute)
        )
        return [_minute(row) for row in self.connection.execute(query)]

    def instructions(
        self,
        site: int | None = None,
        outcome: Outcome | None = None,
        call: str | None = None,
        limit: int | None = None,
    ) -> list[Sent]:
        """Return what was sent, newest first."""
        query = select(INSTRUCTIONS).order_by(INSTRUCTIONS.c.sequence.desc()).limit(limit)
        for column, wanted in (
            (INSTRUCTIONS.c.site, site),
            (INSTRUCTIONS.c.state, outcome and outcome.value),
            (INSTRUCTIONS.c.call, call),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        return [sent_from(row) for row in self.connection.execute(query)]

    def entries(self, limit: int = 100) -> list[trail.Entry]:
        """Return the newest entries of the audit trail, in order."""
        return trail.entries(self.connection, limit=limit, newest=True)

    def check_trail(self, witnessed: str | None = None) -> trail.Checked:
        """Follow the whole audit trail."""
        return trail.check(trail.every(self.connection), witnessed)


REPORTED = (
    *("at", "sequence", "stored_wh", "capacity_wh", "battery_w", "generated_w", "imported_w"),
    *("charge_w", "discharge_w", "target_w", "call", "name", "municipality", "kind", "site"),
)


def _state(site: int, known: Any, latest: Any) -> State:
    named = known if known is not None else latest
    report = None
    if latest is not None:
        report = Report(
            **{name: latest._mapping[name] for name in REPORTED},
            following=Following(latest.following),
            alarms=tuple(json.loads(latest.alarms)),
        )
    return State(
        site,
        named.name,
        named.municipality,
        named.kind,
        report,
        latest.heard_at if latest is not None else None,
        bool(latest is not None and latest.linked),
        known.name_ja if known is not None else "",
    )


def _minute(row: Any) -> Minute:
    return Minute(
        row.site,
        row.minute * MINUTE_SECONDS,
        row.reports,
        row.battery_w,
        row.generated_w,
        row.imported_w,
        row.target_w,
        row.stored_wh,
        Following(row.following),
        row.call,
    )


def sent_from(row: Any) -> Sent:
    instruction = Instruction(
        row.site,
        row.sequence,
        Action(row.action),
        row.starts_at,
        row.ends_at,
        row.expires_at,
        row.power_w,
        tuple(json.loads(row.plan_wh)),
        row.call,
    )
    answer = None
    if row.answered_at is not None:
        answer = Answer(row.site, row.sequence, row.answered_at, row.refused, row.changed_at)
    return Sent(
        instruction,
        row.by,
        row.why,
        row.made_at,
        Outcome(row.state),
        answer,
        row.trail,
        row.envelope,
        row.of,
    )

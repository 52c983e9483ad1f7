"""The control room's audit trail: entries that are only ever added, each over the one before.

    hash(n) = SHA-256(hash(n - 1), number, time, kind, what was said)

Whoever takes an entry out, changes one or puts one in breaks the chain from there on. Cutting
off its end does not: for that, each instruction carries the hash of its own entry under its
signature to its site, which keeps it. `check` is told such a hash and says whether it stands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from vpp.room.tables import TRAIL

BEGINNING = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; `kind` is one of `KINDS`, `said` a JSON object."""

    number: int
    at: int
    kind: str
    said: str
    hash: str

    @property
    def content(self) -> dict[str, Any]:
        """What was said."""
        found: dict[str, Any] = json.loads(self.said)
        return found

    def follows(self, previous: str) -> bool:
        """Whether its hash is right after another's."""
        return self.hash == _hash(previous, self.number, self.at, self.kind, self.said)


KINDS = {
    "sent": "instructions went out: by whom, why, to which sites",
    "answered": "sites took them, or refused them and said why",
    "followed": "the first power change after an instruction was seen",
    "expired": "instructions that no site answered in time",
    "lost": "sites that vanished",
    "back": "sites that came back",
    "stray": "an answer to what was never sent, or a message that makes no sense",
    "room": "the control room began or ended its watch",
    "fleet": "the fleet was made; a certificate was made or revoked",
    "unkept": "what was sent while the store took no writes",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of the chain found; `broken_at` is the first entry that does not follow."""

    entries: int
    head: str
    broken_at: int | None = None
    reason: str = ""


def added(connection: Connection, kind: str, content: object, at: int) -> Entry:
    """Add an entry, in the caller's write transaction, and return it."""
    last = connection.execute(
        select(TRAIL.c.number, TRAIL.c.hash).order_by(TRAIL.c.number.desc()).limit(1)
    ).first()
    number, previous = (last.number + 1, last.hash) if last else (1, BEGINNING)
    said = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    entry = Entry(number, at, kind, said, _hash(previous, number, at, kind, said))
    connection.execute(
        insert(TRAIL).values(
            number=entry.number, at=entry.at, kind=entry.kind, said=entry.said, hash=entry.hash
        )
    )
    return entry


def entries(
    connection: Connection, after: int = 0, limit: int | None = None, newest: bool = False
) -> list[Entry]:
    """Return entries after a number, in order; of `limit` the newest, or else the first."""
    query = select(TRAIL).where(TRAIL.c.number > after).limit(limit)
    query = query.order_by(TRAIL.c.number.desc() if newest else TRAIL.c.number)
    found = [_entry(row) for row in connection.execute(query)]
    return found[::-1] if newest else found


def every(connection: Connection) -> Iterator[Entry]:
    """Yield all entries in order, a page at a time."""
    after = 0
    while page := entries(connection, after, 1_000):
        yield from page
        after = page[-1].number


def check(found: Iterable[Entry], witnessed: str | None = None) -> Checked:
    """Follow the chain from its beginning; `witnessed` is a hash that must be in it."""
    previous, number, seen = BEGINNING, 0, witnessed is None
    for entry in found:
        if entry.number != number + 1:
            reason = f"entry {number + 1} must be there, got {entry.number} after {number}"
            return Checked(number, previous, number + 1, reason)
        if not entry.follows(previous):
            reason = f"entry {entry.number} must have the hash of what it says and follows"
            return Checked(number, previous, entry.number, reason)
        previous, number = entry.hash, entry.number
        seen = seen or entry.hash == witnessed
    if not seen:
        reason = f"an entry of hash {witnessed} must be there, got none: the trail was cut"
        return Checked(number, previous, number + 1, reason)
    return Checked(number, previous)


def _hash(previous: str, number: int, at: int, kind: str, said: str) -> str:
    over = "\n".join((previous, str(number), str(at), kind, said))
    return hashlib.sha256(over.encode()).hexdigest()


def _entry(row: Any) -> Entry:
    return Entry(row.number, row.at, row.kind, row.said, row.hash)

"""What a site keeps of what it was told: each instruction before it acts, and its answer.

SQLite with a write-ahead log. That an instruction was taken up is on the disk, power cut or not,
before anything is done about it, so that none is ever done again on a replay. An answer that a
power cut takes away is given again: the instruction is done anew where it still holds. Of refused
messages the last `KEPT_REFUSALS` are kept: who forges a million fills no disk.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from energy.errors import StoreError
from vpp.commands import Action, Answer, Instruction
from vpp.link.wire import Envelope, envelope_from

KEPT_INSTRUCTIONS, KEPT_REFUSALS = 10_000, 1_000
_PRUNED_EVERY = 64
_TABLES = """
CREATE TABLE IF NOT EXISTS instruction (
    sequence INTEGER PRIMARY KEY,
    action TEXT NOT NULL,
    of TEXT NOT NULL,
    envelope TEXT NOT NULL,
    taken_up_at REAL NOT NULL,
    answered_at INTEGER,
    refused TEXT NOT NULL DEFAULT '',
    changed_at REAL,
    told INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS refusal (
    number INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """An instruction that was taken up, and the answer; None if it was cut off in between."""

    envelope: Envelope
    taken_up_at: float
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that was refused before anyone was asked, and why."""

    at: float
    reason: str
    detail: str
    message: str


class Ledger:
    """A site's ledger in a file, or in memory for `:memory:`.

    Raises:
        StoreError: if the file cannot be used; on each call, if the disk takes nothing.
    """

    def __init__(self, path: Path | str, kept: int = KEPT_INSTRUCTIONS) -> None:
        self.path = str(path)
        self._kept, self._written = kept, 0
        try:
            self._base = sqlite3.connect(self.path, isolation_level=None)
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")
            self._base.executescript(_TABLES)
            (self._last,) = self._base.execute("SELECT max(sequence) FROM instruction").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{path} must be a ledger that works, got: {error}") from error
        self._last = self._last or 0

    @property
    def last(self) -> int:
        """The highest sequence that was taken up; 0 before the first."""
        return int(self._last)

    def take_up(self, envelope: Envelope, at: float) -> None:
        """Keep an instruction before anything is done about it."""
        told = envelope.order.instruction
        sequence = told.sequence
        self._base.execute("PRAGMA synchronous = FULL")
        try:
            self._write(
                "INSERT INTO instruction (sequence, action, of, envelope, taken_up_at) "
                "VALUES (?, ?, ?, ?, ?)",
                (sequence, told.action.value, envelope.of, envelope.payload, at),
            )
        finally:
            self._base.execute("PRAGMA synchronous = NORMAL")
        self._last = max(self.last, sequence)
        self._written += 1
        if not self._written % _PRUNED_EVERY:
            # A stop holds until it is ended, however much is told in between.
            self._write(
                "DELETE FROM instruction WHERE action NOT IN ('stop', 'resume') "
                "AND sequence NOT IN "
                "(SELECT sequence FROM instruction ORDER BY sequence DESC LIMIT ?)",
                (self._kept,),
            )

    def answer(self, answer: Answer) -> None:
        """Keep the answer to an instruction, which nobody has been told yet."""
        self._write(
            "UPDATE instruction SET answered_at = ?, refused = ?, changed_at = ?, told = 0 "
            "WHERE sequence = ?",
            (answer.at, answer.refused, answer.changed_at, answer.sequence),
        )

    def told(self, answer: Answer) -> None:
        """Keep that the broker has taken an answer."""
        self._write(
            "UPDATE instruction SET told = 1 WHERE sequence = ? AND changed_at IS ?",
            (answer.sequence, answer.changed_at),
        )

    def found(self, envelope: Envelope) -> Kept | None:
        """Return what is kept of an envelope."""
        sequence = envelope.order.instruction.sequence
        if sequence > self.last:
            return None
        return next(iter(self._read("sequence = ? AND of = ?", (sequence, envelope.of))), None)

    def untold(self) -> list[Kept]:
        """Return the answers that the broker has not taken yet, oldest first."""
        return self._read("told = 0 AND answered_at IS NOT NULL", ())

    def holding(self, now: float) -> list[Kept]:
        """Return what still holds, or was cut off before its answer, oldest first.

        Of an action the newest alone holds, and nothing before a resume but the plan.
        """
        newest: dict[Action, Kept] = {}
        for kept in self._read("refused = ''", ()):
            told = kept.envelope.order.instruction
            if told.action is Action.RESUME:
                newest = {each: value for each, value in newest.items() if each is Action.PLAN}
            if _holds(told, now) or (kept.answer is None and told.expires_at >= now):
                newest[told.action] = kept
            elif told.action in newest:
                del newest[told.action]
        return sorted(newest.values(), key=lambda each: each.envelope.order.instruction.sequence)

    def refuse(self, reason: str, detail: str, message: bytes, at: float) -> None:
        """Keep that a message was refused, and the beginning of it."""
        self._write(
            "INSERT INTO refusal (at, reason, detail, message) VALUES (?, ?, ?, ?)",
            (at, reason, detail[:500], message[:2_000].decode(errors="replace")),
        )
        self._write(
            "DELETE FROM refusal WHERE number <= (SELECT max(number) FROM refusal) - ?",
            (KEPT_REFUSALS,),
        )

    def refusals(self) -> list[Refused]:
        """Return the messages that were refused, oldest first."""
        rows = self._base.execute("SELECT at, reason, detail, message FROM refusal ORDER BY number")
        return [Refused(*row) for row in rows]

    def kept(self) -> list[Kept]:
        """Return all instructions that are kept, oldest first."""
        return self._read("1", ())

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._base.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path} must take what is kept, got: {error}") from error

    def _read(self, where: str, values: tuple[object, ...]) -> list[Kept]:
        rows = self._base.execute(
            "SELECT envelope, taken_up_at, answered_at, refused, changed_at FROM instruction "
            f"WHERE {where} ORDER BY sequence",
            values,
        )
        return [_kept(*row) for row in rows]


def _kept(
    payload: str, taken_up_at: float, answered_at: int | None, refused: str, changed: float | None
) -> Kept:
    envelope = envelope_from(payload)
    told = envelope.order.instruction
    answer = None
    if answered_at is not None:
        answer = Answer(told.site, told.sequence, answered_at, refused, changed)
    return Kept(envelope, taken_up_at, answer)


def _holds(told: Instruction, now: float) -> bool:
    return told.action is Action.STOP or (told.action is not Action.RESUME and told.ends_at > now)

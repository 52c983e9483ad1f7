"""What a terminal keeps on disk: what it measured, and each reading until the chain has it.

SQLite with a write-ahead log, synchronised at every commit: what a function here returned
from is there after a power cut, and what it did not return from is there whole or not at
all. A reading's way:

    made ──► sent (a transaction carries it) ──► final (the chain holds it, deep enough)
      ▲  ╲      │  ╲
      │   ╲     │   ╲──► refused (by a rule, or another reading stands: never sent again)
      └────╲────┘ (the transaction is gone)
            ╲──► refused

A slot for which there never can be a reading is `absent`, with the reason.

Units: totals in milliwatt-hours, time in unix seconds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from energy.errors import SettingError
from energy.records import Reading
from oracle.device import Sample
from oracle.totals import Counter, Total, Track

SCHEMA = 1
_TABLES = """
CREATE TABLE sample (time_seconds INTEGER PRIMARY KEY, shown TEXT NOT NULL) STRICT;
CREATE TABLE fault (time_seconds INTEGER NOT NULL, fault TEXT NOT NULL) STRICT;
CREATE TABLE track (quantity TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE total (
    quantity TEXT NOT NULL,
    time_seconds INTEGER NOT NULL,
    milliwatthours INTEGER NOT NULL,
    broken INTEGER NOT NULL,
    integrated INTEGER NOT NULL,
    PRIMARY KEY (quantity, time_seconds)
) STRICT, WITHOUT ROWID;
CREATE TABLE reading (
    slot INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    word BLOB NOT NULL,
    state TEXT NOT NULL,
    remark TEXT NOT NULL,
    changed_seconds INTEGER NOT NULL,
    PRIMARY KEY (slot, revision)
) STRICT;
CREATE INDEX reading_by_state ON reading (state, slot);
CREATE TABLE absent (slot INTEGER PRIMARY KEY, reason TEXT NOT NULL) STRICT;
"""


class State(StrEnum):
    """Where a reading is on its way."""

    MADE = "made"
    SENT = "sent"
    FINAL = "final"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Entry:
    """A reading in the outbox; `remark` is its transaction or why it was refused."""

    reading: Reading
    state: State
    remark: str
    changed_seconds: int


class Outbox:
    """The file of one site's terminal.

    Raises:
        SettingError: if the file is no outbox, or one of another version.
    """

    def __init__(self, path: Path | str) -> None:
        self._store = sqlite3.connect(path, isolation_level=None)
        try:
            self._store.execute("PRAGMA journal_mode = WAL")
            self._store.execute("PRAGMA synchronous = FULL")
            with self._store:
                self._store.execute("BEGIN IMMEDIATE")
                (version,) = self._store.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in _TABLES.split(";"):
                        self._store.execute(statement)
                    self._store.execute(f"PRAGMA user_version = {SCHEMA}")
        except sqlite3.DatabaseError as error:
            self._store.close()
            raise SettingError(f"{path} must be a terminal's outbox, got: {error}") from error
        if version not in (0, SCHEMA):
            self._store.close()
            raise SettingError(f"{path} must be an outbox of version {SCHEMA}, got {version}")

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def keep_sample(
        self, sample: Sample, tracks: Mapping[str, Track], faults: Iterable[str]
    ) -> None:
        """Write a sample, the tracks after it with their new totals, and what went wrong.

        For `stored`, the track's total is the state itself. A sample of a second that is
        there already is not kept twice.
        """
        with self._store:
            self._store.execute("BEGIN IMMEDIATE")
            self._store.execute(
                "INSERT OR IGNORE INTO sample VALUES (?, ?)",
                (sample.time_seconds, json.dumps(_shown(sample))),
            )
            self._store.executemany(
                "INSERT INTO fault VALUES (?, ?)",
                [(sample.time_seconds, fault) for fault in faults],
            )
            self._store.executemany(
                "INSERT OR REPLACE INTO track VALUES (?, ?)",
                [(quantity, json.dumps(asdict(track))) for quantity, track in tracks.items()],
            )
            self._store.executemany(
                "INSERT OR IGNORE INTO total VALUES (?, ?, ?, ?, ?)",
                [
                    (
                        quantity,
                        track.total.time_seconds,
                        track.total.milliwatthours,
                        track.total.broken,
                        track.total.integrated,
                    )
                    for quantity, track in tracks.items()
                    if track.total is not None
                ],
            )

    def tracks(self) -> dict[str, Track]:
        """Return the tracks as the last sample left them."""
        rows = self._store.execute("SELECT quantity, state FROM track")
        return {quantity: _track_from(json.loads(state)) for quantity, state in rows}

    def totals_around(self, quantity: str, start: int, end: int) -> list[Total]:
        """Return a quantity's totals from the last at or before `start` to the first from `end`."""
        rows = self._store.execute(
            """
            SELECT time_seconds, milliwatthours, broken, integrated FROM total
            WHERE quantity = :quantity
            AND time_seconds >= coalesce((SELECT max(time_seconds) FROM total
                WHERE quantity = :quantity AND time_seconds <= :start), :start)
            AND time_seconds <= coalesce((SELECT min(time_seconds) FROM total
                WHERE quantity = :quantity AND time_seconds >= :end), :end)
            ORDER BY time_seconds
            """,
            {"quantity": quantity, "start": start, "end": end},
        )
        return [
            Total(time, energy, bool(broken), bool(power)) for time, energy, broken, power in rows
        ]

    def faults_since(self, time_seconds: int) -> list[tuple[int, str]]:
        """Return what went wrong at samples from a moment on, with the time of each."""
        rows = self._store.execute(
            "SELECT time_seconds, fault FROM fault WHERE time_seconds >= ? ORDER BY rowid",
            (time_seconds,),
        )
        return rows.fetchall()

    def keep_reading(self, reading: Reading, now_seconds: int) -> Reading:
        """Write a reading as made, and return it; what is there already stays and is returned."""
        with self._store:
            self._store.execute("BEGIN IMMEDIATE")
            self._store.execute(
                "INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?, '', ?)",
                (reading.slot, reading.revision, reading.to_bytes(), State.MADE, now_seconds),
            )
        (word,) = self._store.execute(
            "SELECT word FROM reading WHERE slot = ? AND revision = ?",
            (reading.slot, reading.revision),
        ).fetchone()
        return Reading.from_bytes(word)

    def keep_absent(self, slot: int, reason: str) -> None:
        """Write that a slot never has a reading."""
        self._store.execute("INSERT OR IGNORE INTO absent VALUES (?, ?)", (slot, reason))

    def absence_of(self, slot: int) -> str | None:
        """Return why a slot never has a reading; None if that is not so."""
        row = self._store.execute("SELECT reason FROM absent WHERE slot = ?", (slot,)).fetchone()
        return row[0] if row else None

    def reading_of(self, slot: int) -> Entry | None:
        """Return the latest revision of a slot's reading."""
        found = self._entries("WHERE slot = ? ORDER BY revision DESC LIMIT 1", (slot,))
        return found[0] if found else None

    def entries(self, state: State) -> list[Entry]:
        """Return the readings in a state, oldest slot first."""
        return self._entries("WHERE state = ? ORDER BY slot, revision", (state,))

    def mark(
        self, readings: Iterable[Reading], state: State, remark: str, now_seconds: int
    ) -> None:
        """Move readings to a state."""
        with self._store:
            self._store.execute("BEGIN IMMEDIATE")
            self._store.executemany(
                "UPDATE reading SET state = ?, remark = ?, changed_seconds = ? "
                "WHERE slot = ? AND revision = ?",
                [(state, remark, now_seconds, each.slot, each.revision) for each in readings],
            )

    def _entries(self, clause: str, values: tuple[int | str, ...]) -> list[Entry]:
        rows = self._store.execute(
            f"SELECT word, state, remark, changed_seconds FROM reading {clause}", values
        )
        return [
            Entry(Reading.from_bytes(word), State(state), remark, changed)
            for word, state, remark, changed in rows
        ]


def _shown(sample: Sample) -> dict[str, object]:
    return {
        "counters": {name: asdict(counter) for name, counter in sample.counters.items()},
        "powers_w": dict(sample.powers_w),
        "stored_wh": sample.stored_wh,
    }


def _track_from(state: dict[str, Any]) -> Track:
    total, counter, suspect = state["total"], state["counter"], state["suspect"]
    return Track(
        Total(**total) if total else None,
        Counter(**counter) if counter else None,
        state["power_w"],
        (suspect[0], Counter(**suspect[1])) if suspect else None,
    )

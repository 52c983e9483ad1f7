"""What a terminal keeps on disk: what it measured, and each reading until the chain has it.

SQLite with a write-ahead log, synchronised at every commit: what a function here returned
from is there after a power cut, and what it did not return from is there whole or not at
all. A reading's way:

    made ──► sent (a transaction carries it) ──► final (the chain holds it, deep enough)
      ▲  ╲      │  ╲                               │
      │   ╲     │   ╲──► refused (by a rule, or    │
      │    ╲────┼──────►  another reading stands)  │
      └─────────┴──────────────────────────────────┘ (the chain has lost it)

A refused reading is never sent again unless someone asks for it (`retry`). A slot for which
there never can be a reading is `absent`, with the reason. What goes wrong is kept as
incidents, one row from when it began to when it was last seen.

Readings are kept for good (a few megabytes a year); samples and totals for as long as `prune`
is told, and as long as a slot still needs them.

Units: totals in milliwatt-hours, time in unix seconds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from energy.errors import SettingError, YuiError
from energy.records import Reading
from energy.units import SLOT_SECONDS
from oracle.quantity import Incident, Sample
from oracle.totals import Counter, Total, Track

SCHEMA = 2
_TABLES = """
CREATE TABLE identity (deployment TEXT NOT NULL) STRICT;
CREATE TABLE sample (time_seconds INTEGER PRIMARY KEY, shown TEXT NOT NULL) STRICT;
CREATE TABLE incident (
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    first_seconds INTEGER NOT NULL,
    last_seconds INTEGER NOT NULL,
    times INTEGER NOT NULL
) STRICT;
CREATE INDEX incident_by_end ON incident (last_seconds);
CREATE TABLE track (key TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE total (
    key TEXT NOT NULL,
    time_seconds INTEGER NOT NULL,
    milliwatthours INTEGER NOT NULL,
    broken INTEGER NOT NULL,
    integrated INTEGER NOT NULL,
    PRIMARY KEY (key, time_seconds)
) STRICT, WITHOUT ROWID;
CREATE TABLE reading (
    slot INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    word BLOB NOT NULL,
    state TEXT NOT NULL,
    remark TEXT NOT NULL,
    changed_seconds INTEGER NOT NULL,
    late INTEGER NOT NULL,
    PRIMARY KEY (slot, revision)
) STRICT;
CREATE INDEX reading_by_state ON reading (state, slot);
CREATE TABLE absent (slot INTEGER PRIMARY KEY, reason TEXT NOT NULL) STRICT;
"""


class StoreFailed(YuiError):
    """The disk is full or broken: nothing was written, what was there is whole."""


class State(StrEnum):
    """Where a reading is on its way."""

    MADE = "made"
    SENT = "sent"
    FINAL = "final"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Entry:
    """A reading in the outbox; `remark` is its transaction or why it was refused.

    `late`: it was made or sent after its deadline.
    """

    reading: Reading
    state: State
    remark: str
    changed_seconds: int
    late: bool = False


@dataclass(frozen=True, slots=True)
class Episode:
    """An incident from the first sample that had it to the last in a row."""

    incident: Incident
    first_seconds: int
    last_seconds: int
    times: int


class Outbox:
    """The file of one site's terminal.

    Raises:
        SettingError: if the file is no outbox, or one of another version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        try:
            self._store = sqlite3.connect(path, isolation_level=None)
        except sqlite3.OperationalError as error:
            raise SettingError(
                f"{path} must be a file that can be written, got: {error}"
            ) from error
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

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            with self._store:
                self._store.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.OperationalError as error:
            raise StoreFailed(f"{self.path} must take what is written, got: {error}") from error

    def claim(self, deployment: str) -> None:
        """Let the file belong to one site of one deployment.

        Raises:
            SettingError: if it belongs to another one.
        """
        with self._written():
            row = self._store.execute("SELECT deployment FROM identity").fetchone()
            if row is None:
                self._store.execute("INSERT INTO identity VALUES (?)", (deployment,))
        if row is not None and row[0] != deployment:
            raise SettingError(
                f"{self.path} must be the outbox of {deployment}, got that of {row[0]}"
            )

    # What was measured.

    def keep_sample(
        self, sample: Sample, tracks: Mapping[str, Track], incidents: Iterable[Incident]
    ) -> None:
        """Write a sample, the tracks after it with their new totals, and what went wrong.

        For `stored`, the track's total is the state itself. A sample of a second that is
        there already is not kept twice.

        Raises:
            StoreFailed: if the disk does not take it; then nothing of it is there.
        """
        now = sample.time_seconds
        with self._written():
            (before,) = self._store.execute(
                "SELECT coalesce(max(time_seconds), 0) FROM sample WHERE time_seconds < ?", (now,)
            ).fetchone()
            self._store.execute(
                "INSERT OR IGNORE INTO sample VALUES (?, ?)", (now, json.dumps(_shown(sample)))
            )
            for incident in incidents:
                self._note(incident, now, before)
            self._store.executemany(
                "INSERT OR REPLACE INTO track VALUES (?, ?)",
                [(key, json.dumps(asdict(track))) for key, track in tracks.items()],
            )
            self._store.executemany(
                "INSERT OR IGNORE INTO total VALUES (?, ?, ?, ?, ?)",
                [
                    (
                        key,
                        track.total.time_seconds,
                        track.total.milliwatthours,
                        track.total.broken,
                        track.total.integrated,
                    )
                    for key, track in tracks.items()
                    if track.total is not None
                ],
            )

    def keep_incident(self, incident: Incident, now_seconds: int, patience_seconds: int) -> None:
        """Write what went wrong beside the samples; it goes on if it was seen within patience.

        Raises:
            StoreFailed: if the disk does not take it.
        """
        with self._written():
            self._note(incident, now_seconds, now_seconds - patience_seconds)

    def _note(self, incident: Incident, now_seconds: int, since_seconds: int) -> None:
        """Write an incident, as going on if it was last seen at a moment or later."""
        source, kind, detail = incident
        goes_on = self._store.execute(
            "UPDATE incident SET last_seconds = max(last_seconds, ?), times = times + 1 "
            "WHERE source = ? AND kind = ? AND last_seconds >= ?",
            (now_seconds, source, kind, since_seconds),
        )
        if not goes_on.rowcount:
            self._store.execute(
                "INSERT INTO incident VALUES (?, ?, ?, ?, ?, 1)",
                (source, kind, detail, now_seconds, now_seconds),
            )

    def tracks(self) -> dict[str, Track]:
        """Return the tracks as the last sample left them, by key."""
        rows = self._store.execute("SELECT key, state FROM track")
        return {key: _track_from(json.loads(state)) for key, state in rows}

    def last_sample_seconds(self) -> int | None:
        """Return the time of the last sample, if there is one."""
        (last,) = self._store.execute("SELECT max(time_seconds) FROM sample").fetchone()
        return None if last is None else int(last)

    def totals_around(self, key: str, start: int, end: int) -> list[Total]:
        """Return a key's totals from the last at or before `start` to the first from `end`."""
        rows = self._store.execute(
            """
            SELECT time_seconds, milliwatthours, broken, integrated FROM total
            WHERE key = :key
            AND time_seconds >= coalesce((SELECT max(time_seconds) FROM total
                WHERE key = :key AND time_seconds <= :start), :start)
            AND time_seconds <= coalesce((SELECT min(time_seconds) FROM total
                WHERE key = :key AND time_seconds >= :end), :end)
            ORDER BY time_seconds
            """,
            {"key": key, "start": start, "end": end},
        )
        return [
            Total(time, energy, bool(broken), bool(power)) for time, energy, broken, power in rows
        ]

    def incidents_since(self, time_seconds: int) -> list[Episode]:
        """Return what went wrong at samples from a moment on, in order of its beginning."""
        rows = self._store.execute(
            "SELECT source, kind, detail, first_seconds, last_seconds, times FROM incident "
            "WHERE last_seconds >= ? ORDER BY first_seconds, rowid",
            (time_seconds,),
        )
        return [Episode(Incident(*row[:3]), *row[3:]) for row in rows]

    # What is made of it.

    def keep_reading(self, reading: Reading, now_seconds: int, late: bool = False) -> Reading:
        """Write a reading as made, and return it; what is there already stays and is returned."""
        with self._written():
            self._store.execute(
                "INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?, '', ?, ?)",
                (
                    reading.slot,
                    reading.revision,
                    reading.to_bytes(),
                    State.MADE,
                    now_seconds,
                    late,
                ),
            )
        (word,) = self._store.execute(
            "SELECT word FROM reading WHERE slot = ? AND revision = ?",
            (reading.slot, reading.revision),
        ).fetchone()
        return Reading.from_bytes(word)

    def keep_absent(self, slot: int, reason: str) -> None:
        """Write that a slot never has a reading."""
        with self._written():
            self._store.execute("INSERT OR IGNORE INTO absent VALUES (?, ?)", (slot, reason))

    def absence_of(self, slot: int) -> str | None:
        """Return why a slot never has a reading; None if that is not so."""
        row = self._store.execute("SELECT reason FROM absent WHERE slot = ?", (slot,)).fetchone()
        return row[0] if row else None

    def absences(self, since_slot: int = 0) -> list[tuple[int, str]]:
        """Return the slots from one on that never have a reading, with the reason."""
        rows = self._store.execute(
            "SELECT slot, reason FROM absent WHERE slot >= ? ORDER BY slot", (since_slot,)
        )
        return rows.fetchall()

    def reading_of(self, slot: int) -> Entry | None:
        """Return the latest revision of a slot's reading."""
        found = self._entries("WHERE slot = ? ORDER BY revision DESC LIMIT 1", (slot,))
        return found[0] if found else None

    def entries(self, state: State, since_seconds: int = 0) -> list[Entry]:
        """Return the readings that are in a state, since a moment or later, oldest slot first."""
        return self._entries(
            "WHERE state = ? AND changed_seconds >= ? ORDER BY slot, revision",
            (state, since_seconds),
        )

    def latest(self, number: int) -> list[Entry]:
        """Return the readings of the latest slots, newest first."""
        return self._entries("ORDER BY slot DESC, revision DESC LIMIT ?", (number,))

    def tally(self) -> dict[State, int]:
        """Return how many readings are in each state."""
        rows = self._store.execute("SELECT state, count(*) FROM reading GROUP BY state")
        return dict.fromkeys(State, 0) | {State(state): number for state, number in rows}

    def open_slots(self, end_slot: int) -> list[int]:
        """Return the slots before `end_slot` that have neither reading nor absence, oldest first.

        They begin with the half hour of the first total that is kept.
        """
        (first,) = self._store.execute("SELECT min(time_seconds) FROM total").fetchone()
        if first is None:
            return []
        start = first // SLOT_SECONDS
        rows = self._store.execute(
            "SELECT slot FROM reading WHERE slot >= ? "
            "UNION SELECT slot FROM absent WHERE slot >= ?",
            (start, start),
        )
        closed = {slot for (slot,) in rows}
        return [slot for slot in range(start, end_slot) if slot not in closed]

    def mark(
        self,
        readings: Iterable[Reading],
        state: State,
        remark: str,
        now_seconds: int,
        deadline_seconds: int | None = None,
    ) -> None:
        """Move readings to a state; late are those of slots that ended before a deadline's time."""
        latest_seconds = now_seconds - deadline_seconds if deadline_seconds is not None else 0
        with self._written():
            self._store.executemany(
                "UPDATE reading SET state = ?, remark = ?, changed_seconds = ?, "
                "late = max(late, (slot + 1) * ? < ?) WHERE slot = ? AND revision = ?",
                [
                    (
                        state,
                        remark,
                        now_seconds,
                        SLOT_SECONDS,
                        latest_seconds,
                        each.slot,
                        each.revision,
                    )
                    for each in readings
                ],
            )

    # What is no longer needed, or no longer true.

    def rewind(self, now_seconds: int) -> list[int]:
        """Forget what a clock that ran ahead has dated after now; return the slots left open.

        Counters go on from where they stood: their advance is dated again. Readings that have
        been sent stay.
        """
        tracks, certain = self.tracks(), now_seconds
        with self._written():
            self._store.execute("DELETE FROM total WHERE time_seconds > ?", (now_seconds,))
            self._store.execute("DELETE FROM sample WHERE time_seconds > ?", (now_seconds,))
            for key, track in tracks.items():
                if track.latest_seconds <= now_seconds:
                    continue
                moved = replace(track, suspect=None, seen_seconds=0)
                if track.total is not None and track.total.time_seconds > now_seconds:
                    (last,) = self._store.execute(
                        "SELECT max(time_seconds) FROM total WHERE key = ?", (key,)
                    ).fetchone()
                    last = now_seconds if last is None else last
                    certain = min(certain, last)
                    moved = replace(moved, total=replace(track.total, time_seconds=last))
                self._store.execute(
                    "INSERT OR REPLACE INTO track VALUES (?, ?)", (key, json.dumps(asdict(moved)))
                )
            first = certain // SLOT_SECONDS
            reopened = self._store.execute(
                "DELETE FROM reading WHERE slot >= ? AND state = ? RETURNING slot",
                (first, State.MADE),
            ).fetchall()
            self._store.execute("DELETE FROM absent WHERE slot >= ?", (first,))
        return sorted(slot for (slot,) in reopened)

    def prune(self, before_seconds: int) -> None:
        """Forget samples, totals and incidents before a moment, but what open slots need."""
        open_slots = self.open_slots(before_seconds // SLOT_SECONDS)
        if open_slots:
            before_seconds = min(before_seconds, open_slots[0] * SLOT_SECONDS)
        with self._written():
            self._store.execute("DELETE FROM sample WHERE time_seconds < ?", (before_seconds,))
            self._store.execute("DELETE FROM incident WHERE last_seconds < ?", (before_seconds,))
            self._store.execute(
                "DELETE FROM total WHERE time_seconds < (SELECT max(other.time_seconds) "
                "FROM total AS other WHERE other.key = total.key AND other.time_seconds <= ?)",
                (before_seconds,),
            )

    def _entries(self, clause: str, values: tuple[int | str, ...]) -> list[Entry]:
        rows = self._store.execute(
            f"SELECT word, state, remark, changed_seconds, late FROM reading {clause}", values
        )
        return [
            Entry(Reading.from_bytes(word), State(state), remark, changed, bool(late))
            for word, state, remark, changed, late in rows
        ]


def _shown(sample: Sample) -> dict[str, object]:
    return {
        "counters_mwh": {key: counter.value for key, counter in sample.counters.items()},
        "powers_w": dict(sample.powers_w),
        "stored_wh": dict(sample.stored_wh),
    }


def _track_from(state: dict[str, Any]) -> Track:
    total, counter, suspect = state.pop("total"), state.pop("counter"), state.pop("suspect")
    return Track(
        Total(**total) if total else None,
        Counter(**counter) if counter else None,
        suspect=(suspect[0], Counter(**suspect[1])) if suspect else None,
        **state,
    )

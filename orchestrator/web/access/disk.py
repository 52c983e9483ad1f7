"""The file that accounts and sessions are kept in: SQLite, readable by its owner alone.

It lies apart from the store: a store can be deleted and is indexed again, accounts are not.
Of passwords it has argon2 hashes, of tokens (sessions, invitations) their SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from energy.errors import StoreError

IN_MEMORY = ":memory:"
_STEPS = (
    """
    CREATE TABLE users (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE,
        role TEXT NOT NULL, site INTEGER, password TEXT, handle BLOB NOT NULL UNIQUE,
        since REAL NOT NULL
    );
    CREATE TABLE passkeys (
        credential BLOB PRIMARY KEY, user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
        public_key BLOB NOT NULL, uses INTEGER NOT NULL, label TEXT NOT NULL,
        since REAL NOT NULL, used REAL
    );
    CREATE TABLE sessions (
        token BLOB PRIMARY KEY, user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
        way TEXT NOT NULL, address TEXT NOT NULL, since REAL NOT NULL, seen REAL NOT NULL
    );
    CREATE TABLE invitations (
        user INTEGER PRIMARY KEY REFERENCES users ON DELETE CASCADE,
        token BLOB NOT NULL UNIQUE, until REAL NOT NULL
    );
    CREATE TABLE challenges (
        challenge BLOB PRIMARY KEY, browser BLOB NOT NULL, until REAL NOT NULL
    );
    CREATE TABLE attempts (
        who TEXT PRIMARY KEY, failures INTEGER NOT NULL, last REAL NOT NULL
    );
    CREATE TABLE log_ins (
        number INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, user TEXT,
        address TEXT NOT NULL, way TEXT NOT NULL, outcome TEXT NOT NULL
    );
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    """,
)
"""What each version of the file adds to the one before."""


class Disk:
    """The file, for several threads and processes."""

    def __init__(self, path: Path | str) -> None:
        """Open the file at a path, or `IN_MEMORY`; made if need be.

        Raises:
            StoreError: if it cannot be, or is of a newer version.
        """
        self._lock = threading.Lock()
        try:
            if path != IN_MEMORY:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._disk = sqlite3.connect(
                path, timeout=10, check_same_thread=False, isolation_level=None
            )
            self._disk.execute("PRAGMA journal_mode = WAL")
            self._disk.execute("PRAGMA foreign_keys = ON")
            self._bring_up_to_date(path)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path} must be a file of accounts, got: {error}") from error

    def _bring_up_to_date(self, path: Path | str) -> None:
        with self.writing():
            version = self._disk.execute("PRAGMA user_version").fetchone()[0]
            if version > len(_STEPS):
                raise StoreError(
                    f"{path} must be of version {len(_STEPS)} or before, got {version}"
                )
            for step in _STEPS[version:]:
                for statement in step.split(";"):
                    self._disk.execute(statement)
            self._disk.execute(f"PRAGMA user_version = {len(_STEPS)}")

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what a question finds."""
        with self._lock:
            return self._disk.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row that a question finds."""
        with self._lock:
            found: tuple[Any, ...] | None = self._disk.execute(sql, values).fetchone()
            return found

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write all of it or nothing, one writer at a time."""
        with self._lock:
            self._disk.execute("BEGIN IMMEDIATE")
            try:
                yield self._disk
            except BaseException:
                self._disk.execute("ROLLBACK")
                raise
            self._disk.execute("COMMIT")

    def write(self, sql: str, *values: Any) -> int:
        """Write one statement; return how many rows it touched."""
        with self.writing() as disk:
            return disk.execute(sql, values).rowcount

    def fact(self, name: str) -> str | None:
        """Return a fact that was noted."""
        found = self.row("SELECT value FROM facts WHERE name = ?", name)
        return None if found is None else str(found[0])

    def note(self, name: str, value: str) -> None:
        """Note a fact."""
        self.write("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, value)

    def noted(self, name: str, value: str) -> str:
        """Note a fact unless it is there; return what is there then."""
        self.write("INSERT OR IGNORE INTO facts VALUES (?, ?)", name, value)
        return self.fact(name) or value

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._disk.close()


def hash_of(token: str) -> bytes:
    """Return what is kept of a token: it has 256 random bits, so that plain SHA-256 will do."""
    return hashlib.sha256(token.encode()).digest()

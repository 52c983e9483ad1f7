"""Sessions: who is logged in, for how long. The browser has a token, the file its hash."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.web.access.accounts import User
from orchestrator.web.access.disk import Disk, hash_of

IDLE_SECONDS = 3600
"""After so long without a request a session is over."""
WHOLE_SECONDS = 12 * 3600
"""After so long it is over in any case: a working day."""
NOTED_SECONDS = 60
"""How exactly it is noted when a session was last seen, so that not each request writes."""


@dataclass(frozen=True, slots=True)
class Session:
    """A log-in; `key` is what the file has of its token, `way` is `password` or `passkey`."""

    key: bytes
    user: User
    way: str
    address: str
    since: float
    seen: float


class Sessions:
    """The sessions in a file."""

    def __init__(self, disk: Disk, clock: Callable[[], float] = time.time) -> None:
        self._disk = disk
        self._clock = clock

    def begin(self, user: User, way: str, address: str) -> str:
        """Return the token of a new session; those that are over are forgotten."""
        token, now = secrets.token_urlsafe(32), self._clock()
        with self._disk.writing() as disk:
            disk.execute(
                "DELETE FROM sessions WHERE seen <= ? OR since <= ?",
                (now - IDLE_SECONDS, now - WHOLE_SECONDS),
            )
            disk.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)",
                (hash_of(token), user.number, way, address, now, now),
            )
        return token

    def of(self, token: str) -> Session | None:
        """Return the session of a token; None if it is over, or never was."""
        now = self._clock()
        row = self._disk.row(
            "SELECT token, way, address, sessions.since, seen, number, name, role, site, handle, "
            "password IS NOT NULL, users.since FROM sessions JOIN users ON user = number "
            "WHERE token = ? AND seen > ? AND sessions.since > ?",
            *(hash_of(token), now - IDLE_SECONDS, now - WHOLE_SECONDS),
        )
        if row is None:
            return None
        key, way, address, since, seen, *user = row
        return Session(key, User.of(tuple(user)), way, address, since, seen)

    def is_due(self, session: Session) -> bool:
        """Return whether it is to be noted anew that a session was seen."""
        return self._clock() - session.seen >= NOTED_SECONDS

    def see(self, session: Session) -> None:
        """Note that somebody is there."""
        self._disk.write("UPDATE sessions SET seen = ? WHERE token = ?", self._clock(), session.key)

    def end(self, session: Session) -> None:
        """End a session."""
        self._disk.write("DELETE FROM sessions WHERE token = ?", session.key)

    def end_all(self, user: User) -> int:
        """End a user's sessions; return how many there were."""
        return self._disk.write("DELETE FROM sessions WHERE user = ?", user.number)

    def end_others(self, session: Session) -> int:
        """End a user's other sessions; return how many there were."""
        return self._disk.write(
            "DELETE FROM sessions WHERE user = ? AND token <> ?", session.user.number, session.key
        )

    def count(self, user: User) -> int:
        """Return how many sessions a user has."""
        now = self._clock()
        found = self._disk.row(
            "SELECT count(*) FROM sessions WHERE user = ? AND seen > ? AND since > ?",
            *(user.number, now - IDLE_SECONDS, now - WHOLE_SECONDS),
        )
        return int(found[0]) if found else 0

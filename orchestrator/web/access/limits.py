"""How often one may try to log in, and the log of those who did.

Failures are counted for each user and for each address. Beyond what is free, each further one
doubles the wait, up to a quarter of an hour; a day without a failure, and all is forgotten. An
attempt counts from when it begins, so that many at once are no way around it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from orchestrator.web.access.accounts import folded
from orchestrator.web.access.disk import Disk

FREE_OF_USER, FREE_OF_ADDRESS = 5, 20
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 15, 900
FORGOTTEN_SECONDS = 86_400
MOST_LOGGED = 100_000

log = logging.getLogger("yui.web")


@dataclass(frozen=True, slots=True)
class LogIn:
    """An attempt to log in; `user` is None where the name is nobody's, and so is not kept.

    It may be a password, typed into the wrong field.
    """

    time: float
    user: str | None
    address: str
    way: str
    outcome: str
    """`logged-in`, `refused`, `held` (too many attempts), `logged-out`, `added` or `removed` (a
    passkey)."""


class Limits:
    """The attempts in a file."""

    def __init__(self, disk: Disk, clock: Callable[[], float] = time.time) -> None:
        self._disk = disk
        self._clock = clock

    def attempt(self, name: str | None, address: str) -> int:
        """Count an attempt; return how many seconds it has to wait, 0 if it may go on.

        One that has to wait is not counted.
        """
        now = self._clock()
        with self._disk.writing() as disk:
            disk.execute("DELETE FROM attempts WHERE last <= ?", (now - FORGOTTEN_SECONDS,))
            waits = [0.0]
            for who, free in _counted(name, address):
                row = disk.execute(
                    "SELECT failures, last FROM attempts WHERE who = ?", (who,)
                ).fetchone()
                if row is not None:
                    waits.append(row[1] + wait_after(row[0] - free) - now)
            if max(waits) > 0:
                return int(max(waits)) + 1
            for who, _ in _counted(name, address):
                disk.execute(
                    "INSERT INTO attempts VALUES (?, 1, ?) ON CONFLICT (who) "
                    "DO UPDATE SET failures = failures + 1, last = excluded.last",
                    (who, now),
                )
        return 0

    def succeeded(self, name: str | None, address: str) -> None:
        """Take back that an attempt counted; a user's earlier failures are forgotten."""
        with self._disk.writing() as disk:
            for who, free in _counted(name, address):
                if free == FREE_OF_USER:
                    disk.execute("DELETE FROM attempts WHERE who = ?", (who,))
                else:
                    disk.execute(
                        "UPDATE attempts SET failures = max(failures - 1, 0) WHERE who = ?", (who,)
                    )

    def record(self, user: str | None, address: str, way: str, outcome: str) -> None:
        """Write an attempt into the log."""
        with self._disk.writing() as disk:
            row = disk.execute(
                "INSERT INTO log_ins (time, user, address, way, outcome) VALUES (?, ?, ?, ?, ?)",
                (self._clock(), user, address, way, outcome),
            )
            oldest = (row.lastrowid or 0) - MOST_LOGGED
            disk.execute("DELETE FROM log_ins WHERE number <= ?", (oldest,))
        log.info("log-in outcome=%s user=%r address=%s way=%s", outcome, user, address, way)

    def log_ins(self, user: str | None = None, most: int = 200) -> list[LogIn]:
        """Return the newest attempts, of one user or of all, newest first."""
        found = self._disk.rows(
            "SELECT time, user, address, way, outcome FROM log_ins "
            "WHERE ? IS NULL OR user = ? ORDER BY number DESC LIMIT ?",
            *(user, user, most),
        )
        return [LogIn(*row) for row in found]


def wait_after(beyond: int) -> float:
    """Return the wait in seconds after so many failures beyond the free ones.

    >>> [wait_after(beyond) for beyond in (-1, 0, 1, 2, 60)]
    [0.0, 15.0, 30.0, 60.0, 900.0]
    """
    if beyond < 0:
        return 0.0
    return float(min(FIRST_WAIT_SECONDS * 2 ** min(beyond, 10), LONGEST_WAIT_SECONDS))


def _counted(name: str | None, address: str) -> list[tuple[str, int]]:
    of_address = (f"address {network_of(address)}", FREE_OF_ADDRESS)
    return [of_address] if name is None else [(f"user {folded(name)}", FREE_OF_USER), of_address]


def network_of(address: str) -> str:
    """Return what counts as one address: of IPv6 the /64 that a subscriber has.

    >>> network_of("192.0.2.7"), network_of("2001:db8:1:2:3:4:5:6"), network_of("unknown")
    ('192.0.2.7', '2001:db8:1:2::/64', 'unknown')
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(ip_network((found, 64), strict=False))
    return str(found)

"""Signed orders on disk until they are final on the chain, or their gate has closed.

What the inbox has answered for is not lost when the process is killed: it is on disk first. An
order comes once: the same one again changes nothing, another one of its site, slot and sequence
is refused.

Whatever the disk says, a full one too, is a `StoreError`: the next try may do better. It need not
be there yet: the file is opened, or made, when it is first asked.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from chain.database import check_room_for, check_writable, read_only
from energy.errors import SettingError, StoreError
from energy.messages import Domain, signer_of
from energy.records import Order
from orchestrator.moving.mover import SignedOrder

MOST_OF_A_SITE = 2_000
"""Orders of one site that may wait: a member that gives more keeps nobody else's out."""


class Inbox:
    """Signed orders that wait; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None

    @property
    def _disk(self) -> sqlite3.Connection:
        if self._opened is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            disk = sqlite3.connect(self._path, timeout=30, check_same_thread=False)
            try:
                disk.execute("PRAGMA journal_mode = WAL")
                disk.execute("PRAGMA synchronous = FULL")
                disk.execute(
                    "CREATE TABLE IF NOT EXISTS orders (slot INTEGER, site INTEGER, "
                    "sequence INTEGER, packed BLOB NOT NULL, signature BLOB NOT NULL, "
                    "PRIMARY KEY (slot, site, sequence))"
                )
                disk.execute("CREATE INDEX IF NOT EXISTS of_site ON orders (site)")
                disk.commit()
            except sqlite3.Error:
                disk.close()
                raise
            self._opened = disk
        return self._opened

    def take(self, orders: Iterable[SignedOrder]) -> int:
        """Put orders on disk, all or none; return how many of them are new.

        Raises:
            SettingError: if another order of a site, slot and sequence waits, or too many of a
                site do.
            StoreError: if the disk does not take them.
        """
        waiting: Counter[int] = Counter()
        with self._asked("take an order"), self._disk:
            return sum(self._take(signed, waiting) for signed in orders)

    def _take(self, signed: SignedOrder, waiting: Counter[int]) -> bool:
        order = signed.order
        key = (order.slot, order.site, order.sequence)
        found = self._disk.execute(
            "SELECT packed FROM orders WHERE slot = ? AND site = ? AND sequence = ?", key
        ).fetchone()
        if found is not None:
            if found[0] != order.to_bytes():
                raise SettingError(
                    f"order {order.sequence} of site {order.site} for slot {order.slot} must be "
                    "the one that waits already, got another"
                )
            return False
        if order.site not in waiting:
            query = "SELECT count(*) FROM orders WHERE site = ?"
            waiting[order.site] = self._disk.execute(query, (order.site,)).fetchone()[0]
        waiting[order.site] += 1
        if waiting[order.site] > MOST_OF_A_SITE:
            raise SettingError(
                f"at most {MOST_OF_A_SITE} orders of site {order.site} may wait, got one more"
            )
        values = (*key, order.to_bytes(), signed.signature)
        self._disk.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", values)
        return True

    def waiting(self) -> list[SignedOrder]:
        """Return the orders that wait, by slot, site and sequence."""
        query = "SELECT slot, packed, signature FROM orders ORDER BY slot, site, sequence"
        with self._asked("tell what waits"):
            found = self._disk.execute(query).fetchall()
        return [
            SignedOrder(Order.from_bytes(slot, packed), signature)
            for slot, packed, signature in found
        ]

    def let_go(self, orders: Iterable[Order]) -> None:
        """Forget orders: they are final, or were refused for good."""
        keys = [(order.slot, order.site, order.sequence) for order in orders]
        if not keys:
            return
        with self._asked("let go of an order"), self._disk:
            self._disk.executemany(
                "DELETE FROM orders WHERE slot = ? AND site = ? AND sequence = ?", keys
            )

    def sequence_of(self, slot: int, site: int) -> int:
        """Return the highest sequence of a site's orders for a slot that waits; 0 for none."""
        query = "SELECT max(sequence) FROM orders WHERE slot = ? AND site = ?"
        with self._asked("tell a sequence"):
            return int(self._disk.execute(query, (slot, site)).fetchone()[0] or 0)

    def count(self) -> int:
        """Return how many orders wait."""
        with self._asked("count its orders"):
            return int(self._disk.execute("SELECT count(*) FROM orders").fetchone()[0])

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (sqlite3.Error, OSError) as error:
                raise StoreError(f"the inbox must {what}, got: {error}") from error

    def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.close()


def waiting_in(path: Path) -> int | None:
    """Return how many orders wait in an inbox's file, of which nothing is changed; None if there
    is no file yet.

    Raises:
        SettingError: if it may not be written, or made.
        StoreError: if it is no inbox, or broken.
    """
    if not path.exists():
        check_room_for(path)
        return None
    try:
        with closing(read_only(path, False)) as disk:
            count = int(disk.execute("SELECT count(*) FROM orders").fetchone()[0])
    except sqlite3.Error as error:
        raise StoreError(f"{path} must be an inbox that works, got: {error}") from error
    check_writable(path)
    return count


def signed_from(values: object, domain: Domain) -> SignedOrder:
    """Read a signed order from JSON: `slot`, `order` and `signature` (hex, packed).

    Raises:
        SettingError: naming what is wrong.
    """
    if not isinstance(values, dict) or set(values) != {"slot", "order", "signature"}:
        raise SettingError("an order must have slot, order and signature, got others")
    try:
        slot = values["slot"]
        packed = bytes.fromhex(str(values["order"]).removeprefix("0x"))
        signature = bytes.fromhex(str(values["signature"]).removeprefix("0x"))
        if isinstance(slot, bool) or not isinstance(slot, int) or len(signature) != 64:
            raise ValueError
        order = Order.from_bytes(slot, packed)
        signer = signer_of(order, domain, signature)
    except (ValueError, IndexError, OverflowError) as error:
        raise SettingError(
            "an order must be a slot's number, 10 bytes and a signature of 64, in hex"
        ) from error
    if signer is None:
        raise SettingError("an order's signature must be one, got nonsense")
    return SignedOrder(order, signature)

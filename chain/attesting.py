"""A site's duty after each day: recompute the day's root from the chain, sign it, send it.

The store is the site's own, indexed from the site's own node: nobody else's word is taken.
Days are Japan-time dates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from chain.contract import Receipt
from chain.indexer import Progress, indexed
from chain.origin import OriginContract
from chain.store import Store, stored
from energy.attestation import NO_ROOT, Attestation, day_number, signed
from energy.attested import ROOT_BYTES
from energy.errors import SettingError
from energy.merkle import MerkleTree
from energy.units import SLOT_SECONDS, day_of, slots_of

if TYPE_CHECKING:
    from chain.node import NodeChain

LOOK_BACK_DAYS = 40
"""How late a day is still attested, for a terminal that was away, or after a slot that was not
settled until its place in the ring was taken (32 days)."""


def day_tree(store: Store, day: date) -> MerkleTree:
    """Return the tree of all that was used on a day.

    Raises:
        SettingError: if the day is not settled to its end (its rows can still change), or if
            no site used anything.
    """
    slots = slots_of(day)
    traced = store.last_traced()
    if traced is None or traced < slots[-1]:
        done = "none" if traced is None else f"slots up to {traced}"
        raise SettingError(f"day {day} must be settled up to slot {slots[-1]}, got {done}")
    rows = store.origins("used", slots)
    if not rows:
        raise SettingError(f"day {day} must have a row to be attested, got none")
    return MerkleTree(rows)


@dataclass(frozen=True)
class Attestor:
    """Attests days for one site; transactions are paid for by the contract's chain's sender."""

    store: Engine
    node: NodeChain
    market: str
    origin: OriginContract
    site: int
    sign: Callable[[Attestation], bytes]
    """Give the compact signature (64 bytes) by the site's oracle key."""

    def attest_due(self, progress: Progress | None = None) -> list[date]:
        """Attest every day that is over, final and not attested so by the site; return them.

        A root that the site attested before and now finds otherwise is replaced.

        Raises:
            Refusal, ChainError: days before the one that failed are attested.
        """
        indexed(self.store, self.node, self.market, progress)
        done = []
        for day in self._over():
            if self.attest(day):
                done.append(day)
        return done

    def attest(self, day: date) -> Receipt | None:
        """Attest a day of the indexed store; None if the site attests its root already.

        Raises:
            SettingError: if the day is not settled or has no rows.
            Refusal, ChainError.
        """
        with stored(self.store) as store:
            root = day_tree(store, day).root
        number = day_number(day)
        known = self.origin.root_of(number, self.site)
        standing = self.origin.standing_of(number)
        # Sent again, it counts for a root that replaced one from which the site dissented.
        if known == root[:ROOT_BYTES] and not (standing.dissenting and standing.root == known):
            return None
        replaced = known.ljust(len(NO_ROOT), b"\0")
        attestation = Attestation(number, self.site, root, replaced)
        return self.origin.attest(attestation, self.sign(attestation))

    def _over(self) -> list[date]:
        """Return the days that are over and hold rows that no fork can change, oldest first."""
        with stored(self.store) as store:
            first, final = store.first_slot(), store.last_final()
            if first is None or final is None:
                return []
            # A day's batteries hold what the days before it left in them: all are final with it.
            last = day_of(min(final + 1, self.node.now() // SLOT_SECONDS)) - timedelta(days=1)
            begin = max(day_of(first), last - timedelta(days=LOOK_BACK_DAYS - 1))
            days = [begin + timedelta(days=n) for n in range((last - begin).days + 1)]
            return [
                day
                for day in days
                if self.site in store.sites_at(slots_of(day)[-1])
                and store.origins("used", slots_of(day))
            ]


def key_signed(origin: OriginContract, key: bytes) -> Callable[[Attestation], bytes]:
    """Return a signer of attestations by a 32-byte private key."""
    return lambda attestation: signed(attestation, origin.domain, key)

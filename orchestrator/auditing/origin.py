"""The audit's second half: every attestation and claim run again, every root recomputed.

Roots come from the rows that the auditor has traced itself; a day's rows are forgotten once its
root is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from eth_abi.exceptions import DecodingError

from chain.contract import interface
from chain.history import Call, Transaction
from chain.origin import (
    Claimed,
    OriginContract,
    RootAttested,
    attestation_from,
    attestations_from,
    claim_from,
    claimed_by,
    origin_events,
)
from energy.attestation import NO_ROOT, date_of, day_number, day_of_row, last_slot_of
from energy.attested import ROOT_BYTES, OriginLedger
from energy.errors import AuditError, Refusal
from energy.merkle import MerkleTree
from energy.messages import Domain
from energy.registry import Registry
from energy.rows import Row
from energy.units import day_of

_ORIGIN = interface("Origin")
T = TypeVar("T")


def readable(block: int, events: Callable[[], T]) -> T:
    """Return a block's events.

    Raises:
        AuditError: if the node tells something that no contract writes.
    """
    try:
        return events()
    except (DecodingError, ValueError) as error:
        raise AuditError(f"block {block}: its logs must be readable, got {error}") from error


def out_of_sight(transaction: Transaction, what: str) -> AuditError:
    """Return the error that names a transaction of which the calldata cannot be had."""
    return AuditError(
        f"block {transaction.block}: transaction 0x{transaction.hash.hex()} came by way of "
        f"{transaction.to}; a node that traces must tell what it called with "
        f"(debug_traceTransaction, callTracer), got no trace: {what} cannot be checked"
    )


class Counts(Protocol):
    """What the audit counts of roots and claims."""

    signatures: int
    roots: int
    attestations: int
    claims: int
    claimed_wh: int


class OriginAuditor:
    """A twin that follows the transactions of a ledger of origins."""

    def __init__(
        self, address: str, market: str, registry: Registry, domain: Domain, counts: Counts
    ) -> None:
        self.address = address.lower()
        self._market = market.lower()
        self.ledger = OriginLedger(registry, domain)
        self.counts = counts
        self.roots: dict[int, bytes] = {}
        self._is_created = False
        self._rows: dict[int, list[Row]] = {}
        self._attested: dict[tuple[int, int], tuple[int, bytes]] = {}
        """The block in which a site attested a day last, and the root."""
        self._claimed: set[Row] = set()

    def traced(self, slot: int, used: Iterable[Row]) -> None:
        """Take a slot's rows; the slots come in order."""
        day = day_number(day_of(slot))
        rows = self._rows.setdefault(day, [])
        rows += used
        if slot == last_slot_of(day):
            del self._rows[day]
            if rows:
                self.roots[day] = MerkleTree(rows).root
                self.counts.roots += 1

    def follow(self, transaction: Transaction, calls: Sequence[Call] | None) -> None:
        """Run a transaction's calls of the ledger again and compare; None if nobody tells them.

        Raises:
            AuditError: at the first thing that the rules do not allow.
        """
        logs = transaction.logs_of(self.address)
        if not logs:
            return
        block = transaction.block
        if transaction.to is None:
            self._create(transaction)
            return
        if not self._is_created:
            raise AuditError(f"block {block}: the ledger of origins must have been created")
        if calls is None:
            raise out_of_sight(transaction, "what was attested or claimed")
        try:
            expected = [event for call in calls for event in self._run(transaction, call)]
        except Refusal as refusal:
            raise AuditError(
                f"block {block}: a transaction must have been refused, got status 1: {refusal}"
            ) from refusal
        found = readable(block, lambda: origin_events(logs))
        if found != expected:
            raise AuditError(f"block {block}: events must be {expected}, got {found}")

    def finish(self, contract: OriginContract) -> None:
        """Compare roots with the rows, and what the chain keeps of roots and claims."""
        for (day, site), (block, root) in sorted(self._attested.items()):
            self._check_root(block, day, root, f"site {site} attests")
        for (day, site), root in sorted(self.ledger.roots().items()):
            kept = contract.root_of(day, site)
            if kept != root:
                raise AuditError(
                    f"day {date_of(day)}: the root of site {site} must be 0x{root.hex()}, "
                    f"got 0x{kept.hex()}"
                )
        for day in {day for day, _ in self._attested}:
            standing, kept_standing = self.ledger.standing_of(day), contract.standing_of(day)
            if standing != kept_standing:
                raise AuditError(
                    f"day {date_of(day)}: its standing must be {standing}, got {kept_standing}"
                )
        for row in sorted(self._claimed, key=lambda row: (row.slot, row.site)):
            claimed, kept_claimed = self.ledger.claimed_of(row), contract.claimed_of(row)
            if claimed != kept_claimed:
                raise AuditError(
                    f"slot {row.slot}: of a row of site {row.site} {claimed} Wh must be claimed, "
                    f"got {kept_claimed} Wh"
                )

    def _create(self, transaction: Transaction) -> None:
        arguments = _ORIGIN.constructor_arguments(transaction.data)
        if arguments is None:
            raise AuditError(
                f"block {transaction.block}: the code must be this version's ledger of origins"
            )
        if arguments[0].lower() != self._market:
            raise AuditError(
                f"block {transaction.block}: the registry must be {self._market}, "
                f"got {arguments[0]}"
            )
        self._is_created = True

    def _run(self, transaction: Transaction, call: Call) -> list[RootAttested | Claimed]:
        read = _ORIGIN.read_call(call.data)
        if read is None:
            raise AuditError(f"block {transaction.block}: a call must be known, got none")
        name, values = read
        if name in ("attest", "attestTogether"):
            return self._attest(transaction, name, values)
        self.counts.signatures += 1
        said = claim_from(values)
        site, slices = said.claim.site, said.claim.slices
        day = day_of_row(slices[0].row)
        self._check_root(transaction.block, day, said.root, f"site {site} claims on")
        self.ledger.claim(
            transaction.time, said.claim, said.root, said.proof, said.flags, said.signature
        )
        self.counts.claims += 1
        self.counts.claimed_wh += sum(one.energy for one in slices)
        self._claimed |= {one.row for one in slices}
        return [claimed_by(said.claim)]

    def _attest(
        self, transaction: Transaction, name: str, values: Sequence[Any]
    ) -> list[RootAttested | Claimed]:
        replaced = NO_ROOT
        if name == "attest":
            said, signature = attestation_from(values)
            day, root, replaced = said.day, said.root, said.replaced
            self.counts.signatures += 1
            new = [said.site] if self.ledger.attest(transaction.time, said, signature) else []
        else:
            day, root, sites, signatures = attestations_from(values)
            new = self.ledger.attest_together(transaction.time, day, root, sites, signatures)
            self.counts.signatures += len(new)
        self.counts.attestations += len(new)
        for site in new:
            self._attested[day, site] = transaction.block, root
        return [RootAttested(day, site, root, replaced) for site in new]

    def _check_root(self, block: int, day: int, root: bytes, who: str) -> None:
        """A root is that of the rows which the chain's readings and flows give."""
        own = self.roots.get(day)
        if own is None:
            raise AuditError(
                f"block {block}: day {date_of(day)} must be settled to its end before {who} "
                f"a root of it, got 0x{root.hex()}"
            )
        if own[:ROOT_BYTES] != root[:ROOT_BYTES]:
            raise AuditError(
                f"block {block}: the root of day {date_of(day)} that {who} must be that of its "
                f"rows, 0x{own.hex()}, got 0x{root.hex()}"
            )

"""What a site claims in which transactions: slices of its rows, a day's together.

Energies in Wh. A claim is of one day, since a day has one root.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from chain.attesting import day_tree
from chain.contract import Receipt
from chain.origin import OriginContract
from chain.store import Store
from energy.attestation import Claim, Slice, date_of, day_of_row, signed
from energy.attested import is_held
from energy.errors import SettingError
from energy.lots import Kind
from energy.merkle import MerkleTree, MultiProof
from energy.rows import Row

MOST_SLICES = 150
"""Slices of a transaction: about 90 of the 128 KiB that a node takes, and 3 M gas."""


@dataclass(frozen=True)
class Draft:
    """A claim that can be signed, with the proof of its rows; slices in the proof's order."""

    day: date
    slices: tuple[Slice, ...]
    proof: MultiProof
    tree: MerkleTree

    @property
    def energy(self) -> int:
        """All slices together, Wh."""
        return sum(one.energy for one in self.slices)

    def send(self, contract: OriginContract, beneficiary: str, purpose: str, key: bytes) -> Receipt:
        """Sign it by the trader's 32-byte private key, and claim.

        Raises:
            Refusal, ChainError.
        """
        claim = Claim(self.slices, beneficiary, purpose)
        by_trader = signed(claim, contract.domain, key)
        return contract.claim(claim, self.tree.root, self.proof, by_trader)


@dataclass(frozen=True)
class Claimable:
    """What can be claimed, and of which days nothing can, with the reason."""

    drafts: tuple[Draft, ...]
    left_out: dict[date, str]


def claimable(
    store: Store,
    contract: OriginContract,
    rows: Iterable[Row],
    maker: int | None = None,
    energy: int | None = None,
) -> Claimable:
    """Return the claims of what is left of a site's rows, in the order of the rows.

    Only what was generated counts, and if `maker` is given, by that site. `energy` is how many
    Wh in all; None for all that is left.

    Raises:
        SettingError: if less than that is left, or nothing.
        ChainError.
    """
    wanted = [
        row
        for row in rows
        if row.origin.kind == Kind.GENERATION and maker in (None, row.origin.site)
    ]
    drafts: list[Draft] = []
    left_out: dict[date, str] = {}
    left = energy
    for number, of_day in groupby(wanted, key=day_of_row):
        day = date_of(number)
        reason = _obstacle(contract, number)
        if reason:
            left_out[day] = reason
            continue
        slices, left = _slices(contract, of_day, left)
        drafts += _drafts(store, day, slices)
    free = sum(draft.energy for draft in drafts)
    if not free or (energy is not None and free < energy):
        least = "at least 1" if energy is None else energy
        because = "".join(f"; {day}: {reason}" for day, reason in left_out.items())
        raise SettingError(f"unclaimed solar energy must be {least} Wh, got {free} Wh{because}")
    return Claimable(tuple(drafts), left_out)


def _slices(
    contract: OriginContract, rows: Iterable[Row], left: int | None
) -> tuple[list[Slice], int | None]:
    """Return what to claim of rows, at most `left` Wh, and what is left of them after it."""
    slices = []
    for row in rows:
        if left == 0:
            break
        claimed = contract.claimed_of(row)
        part = row.energy - claimed if left is None else min(row.energy - claimed, left)
        if part:
            slices.append(Slice(row, claimed, part))
            left = None if left is None else left - part
    return slices, left


def _drafts(store: Store, day: date, slices: Sequence[Slice]) -> Iterator[Draft]:
    if not slices:
        return
    tree = day_tree(store, day)
    for start in range(0, len(slices), MOST_SLICES):
        of_row = {one.row: one for one in slices[start : start + MOST_SLICES]}
        proof = tree.multiproof(of_row)
        yield Draft(day, tuple(of_row[row] for row in proof.rows), proof, tree)


def _obstacle(contract: OriginContract, day: int) -> str:
    """Return why nothing of a day can be claimed; nothing if it can."""
    if not is_held(contract.chain.now(), day):
        return "too old, held no more"
    standing = contract.standing_of(day)
    if standing.dissenting:
        return f"roots conflict, {standing.dissenting} sites dissent"
    if not standing.stands:
        return f"{standing.attesting} sites attest it, {standing.needed} must"
    return ""

"""The reference ledger of roots and claims: the twin of `contracts/Origin.sol`.

`now` is the block's time in unix seconds, days are numbers (see `energy.attestation`), energies
Wh. Every refusal is the contract's, and a refused call changes nothing. As on the chain a root
is told by its first 24 bytes.

A root stands when two thirds of the sites that were active in the day's last slot attest it and
none attests another. Messages are signed with the keys of now: a key that was replaced signs
nothing any more, also not for days before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from energy import errors
from energy.attestation import Attestation, Claim, day_of_row, last_slot_of, signer
from energy.lots import Kind
from energy.merkle import leads_to, leaf_of
from energy.messages import SIGNATURE_BYTES, Domain
from energy.registry import Registry
from energy.rows import Row
from energy.units import SLOT_SECONDS

SITES_IN_A_WORD = 50
ROOT_BYTES = 24
_NONE = bytes(ROOT_BYTES)


@dataclass(frozen=True)
class Standing:
    """A day's root (24 bytes, zero without one), and how many sites stand how to it."""

    root: bytes
    attesting: int
    dissenting: int
    active: int

    @property
    def needed(self) -> int:
        """How many must attest: two thirds, rounded up."""
        return -(-2 * self.active // 3)

    @property
    def stands(self) -> bool:
        """Whether rows can be claimed on it."""
        return self.root != _NONE and not self.dissenting and self.attesting >= self.needed


@dataclass
class _Word:
    """What 50 sites attest of a day: the root attested first, who else attests what."""

    root: bytes = _NONE
    attesting: set[int] = field(default_factory=set)
    dissenting: dict[int, bytes] = field(default_factory=dict)


@dataclass
class OriginLedger:
    """The roots and claims of a deployment; sites and keys are those of a registry."""

    registry: Registry
    domain: Domain
    _words: dict[tuple[int, int], _Word] = field(default_factory=dict)
    _claimed: dict[Row, int] = field(default_factory=dict)

    def attest(self, now: int, attestation: Attestation, signature: bytes) -> bool:
        """Record a site's root; False if nothing changes by it.

        Raises:
            Refusal: see `IOrigin.attest`.
        """
        day, site = attestation.day, attestation.site
        last = last_slot_of(day)
        if now < (last + 1) * SLOT_SECONDS:
            raise errors.DayNotOver(day, (last + 1) * SLOT_SECONDS)
        root, replaced = attestation.root[:ROOT_BYTES], attestation.replaced[:ROOT_BYTES]
        if root == _NONE:
            raise errors.RootMissing(day)
        terms = self.registry.site_at(site, now // SLOT_SECONDS)
        if terms is None or self.registry.site_at(site, last) is None:
            raise errors.UnknownSite(0, site)
        _check_signature(attestation, self.domain, signature, terms.oracle, site)
        word = self._words.setdefault((day, site // SITES_IN_A_WORD), _Word())
        known = self.root_of(day, site)
        if known == root and (site in word.attesting or word.root != root):
            return False
        if known not in (root, replaced):
            raise errors.RootNotReplaced(day, site)
        word.attesting.discard(site)
        word.dissenting.pop(site, None)
        if not word.attesting:
            word.root = root
        if word.root == root:
            word.attesting.add(site)
        else:
            word.dissenting[site] = root
        return True

    def claim(
        self, now: int, claim: Claim, root: bytes, proof: Sequence[bytes], signature: bytes
    ) -> None:
        """Record a claim of a row by the site that used it; `signature` is the trader's signature.

        Raises:
            Refusal: see `IOrigin.claim`.
        """
        row = claim.row
        if row.origin.kind != Kind.GENERATION:
            raise errors.NotGenerated(int(row.origin.kind))
        day = day_of_row(row)
        standing = self.standing_of(day)
        if standing.dissenting:
            raise errors.RootsConflict(day, standing.dissenting)
        if not standing.stands:
            raise errors.RootNotStanding(day, standing.attesting, standing.needed)
        if root[:ROOT_BYTES] != standing.root or not leads_to(leaf_of(row), proof, root):
            raise errors.ProofWrong(day)
        terms = self.registry.site_at(row.site, now // SLOT_SECONDS)
        if terms is None:
            raise errors.UnknownSite(0, row.site)
        _check_signature(claim, self.domain, signature, terms.trader, row.site)
        claimed, end = self.claimed_of(row), claim.start + claim.energy
        if claim.start != claimed:
            raise errors.AlreadyClaimed(claim.start, claimed)
        if not claim.energy or end > row.energy:
            raise errors.ClaimBeyondRow(end, row.energy)
        self._claimed[_place(row)] = end

    def standing_of(self, day: int) -> Standing:
        """Return a day's root and how its sites stand to it."""
        last = last_slot_of(day)
        root, attesting, dissenting = _NONE, 0, 0
        for group in range(-(-self.registry.enrolled_at(last) // SITES_IN_A_WORD)):
            word = self._words.get((day, group), _Word())
            if root == _NONE:
                root = word.root
            if word.root == root:
                attesting += len(word.attesting)
            else:
                dissenting += len(word.attesting)
            dissenting += len(word.dissenting)
        return Standing(root, attesting, dissenting, len(self.registry.active_at(last)))

    def root_of(self, day: int, site: int) -> bytes:
        """Return the 24 bytes of the root that a site attests; zero if it attests none."""
        word = self._words.get((day, site // SITES_IN_A_WORD), _Word())
        return word.root if site in word.attesting else word.dissenting.get(site, _NONE)

    def claimed_of(self, row: Row) -> int:
        """Return how much of a row was claimed, Wh."""
        return self._claimed.get(_place(row), 0)

    def roots(self) -> dict[tuple[int, int], bytes]:
        """Return what every site attests, by day and site."""
        found: dict[tuple[int, int], bytes] = {}
        for (day, _), word in self._words.items():
            found |= {(day, site): word.root for site in word.attesting}
            found |= {(day, site): root for site, root in word.dissenting.items()}
        return found


def _place(row: Row) -> Row:
    """Return a row without its energy: what it is claimed by."""
    return Row(row.slot, row.site, 0, row.origin, row.through)


def _check_signature(
    message: Attestation | Claim, domain: Domain, signature: bytes, key: str | None, site: int
) -> None:
    if len(signature) != SIGNATURE_BYTES:
        raise errors.WrongLength(len(signature), SIGNATURE_BYTES)
    if signer(message, domain, signature) != key:
        raise errors.WrongSigner(0, site)

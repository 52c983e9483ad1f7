"""The reference ledger of roots and claims: the twin of `contracts/Origin.sol`.

`now` is the block's time in unix seconds, days are numbers (see `energy.attestation`), energies
Wh. Every refusal is the contract's, and a refused call changes nothing. As on the chain a root
is told by its first 24 bytes.

Days lie in a ring, and so do the counts of what was claimed: what is older than `RING` days is
refused, and its place is taken by what comes next.

A root stands when two thirds of the sites that were active in the day's last slot attest it and
none attests another. Messages are signed with the keys of now: a key that was replaced signs
nothing any more, also not for days before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from energy import errors
from energy.attestation import (
    Attestation,
    Claim,
    Slice,
    day_number,
    day_of_row,
    last_slot_of,
    signer,
)
from energy.lots import Kind, Origin
from energy.merkle import lead_to, leaf_of
from energy.messages import SIGNATURE_BYTES, Domain
from energy.registry import Registry
from energy.rows import Row
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, day_of

RING = 550
"""Days that the contract holds; see there."""
SITES_IN_A_WORD = 44
SLOTS_IN_A_WORD = 6
"""Slots of which claims are counted in one word."""
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
    """What 44 sites attest of a day: the root attested first, who else attests what."""

    day: int
    root: bytes = _NONE
    attesting: set[int] = field(default_factory=set)
    dissenting: dict[int, bytes] = field(default_factory=dict)

    def root_of(self, site: int) -> bytes:
        return self.root if site in self.attesting else self.dissenting.get(site, _NONE)


@dataclass
class OriginLedger:
    """The roots and claims of a deployment; sites and keys are those of a registry."""

    registry: Registry
    domain: Domain
    _words: dict[tuple[int, int], _Word] = field(default_factory=dict)
    """By place in the ring and group of sites."""
    _claimed: dict[_Place, tuple[int, dict[int, int]]] = field(default_factory=dict)
    """By place: its three hours, and the Wh by slot in them."""

    def attest(self, now: int, attestation: Attestation, signature: bytes) -> bool:
        """Record a site's root; False if nothing changes by it.

        Raises:
            Refusal: see `IOrigin.attest`.
        """
        _require_attestable(now, attestation.day, attestation.root)
        self._check(0, now, attestation, signature)
        return self._record(attestation)

    def attest_together(
        self, now: int, day: int, root: bytes, sites: Sequence[int], signatures: Sequence[bytes]
    ) -> list[int]:
        """Record many sites' root; return those of which none was known, in their order.

        Raises:
            Refusal: see `IOrigin.attestTogether`.
        """
        _require_attestable(now, day, root)
        new: list[int] = []
        for index, (site, signature) in enumerate(zip(sites, signatures, strict=True)):
            if self.root_of(day, site) == _NONE and site not in new:
                self._check(index, now, Attestation(day, site, root), signature)
                new.append(site)
        for site in new:
            self._record(Attestation(day, site, root))
        return new

    def _check(self, index: int, now: int, attestation: Attestation, signature: bytes) -> None:
        site, last = attestation.site, last_slot_of(attestation.day)
        terms = self.registry.site_at(site, now // SLOT_SECONDS)
        if terms is None or self.registry.site_at(site, last) is None:
            raise errors.UnknownSite(index, site)
        _check_signature(attestation, self.domain, signature, terms.oracle, site, index)

    def _record(self, attestation: Attestation) -> bool:
        day, site = attestation.day, attestation.site
        root, replaced = attestation.root[:ROOT_BYTES], attestation.replaced[:ROOT_BYTES]
        word = self._word(day, site // SITES_IN_A_WORD)
        known = word.root_of(site)
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
        self._words[day % RING, site // SITES_IN_A_WORD] = word
        return True

    def claim(
        self,
        now: int,
        claim: Claim,
        root: bytes,
        proof: Sequence[bytes],
        flags: Sequence[bool],
        signature: bytes,
    ) -> None:
        """Record a claim by the site that used the rows; `signature` is its trader's.

        Raises:
            Refusal: see `IOrigin.claim`.
        """
        if not claim.slices:
            raise errors.ClaimEmpty
        site, day = claim.site, day_of_row(claim.slices[0].row)
        _require_held(now, day)
        standing = self.standing_of(day)
        if standing.dissenting:
            raise errors.RootsConflict(day, standing.dissenting)
        if not standing.stands:
            raise errors.RootNotStanding(day, standing.attesting, standing.needed)
        if root[:ROOT_BYTES] != standing.root:
            raise errors.ProofWrong(day)
        ends: dict[Row, int] = {}
        for index, one in enumerate(claim.slices):
            if (one.row.site, day_of_row(one.row)) != (site, day):
                raise errors.ClaimMixed(index)
            place = _bare(one.row)
            ends[place] = _end_of(index, one, ends.get(place, self.claimed_of(one.row)))
        if not lead_to([leaf_of(one.row) for one in claim.slices], proof, flags, root):
            raise errors.ProofWrong(day)
        terms = self.registry.site_at(site, now // SLOT_SECONDS)
        if terms is None:
            raise errors.UnknownSite(0, site)
        _check_signature(claim, self.domain, signature, terms.trader, site)
        for row, end in ends.items():
            hours, counts = self._claimed.get(_place(row), (0, {}))
            kept = counts if hours == _hours(row) else {}
            self._claimed[_place(row)] = _hours(row), {**kept, row.slot: end}

    def standing_of(self, day: int) -> Standing:
        """Return a day's root and how its sites stand to it."""
        last = last_slot_of(day)
        root, attesting, dissenting = _NONE, 0, 0
        for group in range(-(-self.registry.enrolled_at(last) // SITES_IN_A_WORD)):
            word = self._word(day, group)
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
        return self._word(day, site // SITES_IN_A_WORD).root_of(site)

    def claimed_of(self, row: Row) -> int:
        """Return how much of a row was claimed, Wh."""
        hours, counts = self._claimed.get(_place(row), (0, {}))
        return counts.get(row.slot, 0) if hours == _hours(row) else 0

    def roots(self) -> dict[tuple[int, int], bytes]:
        """Return what every site attests of the days that are held, by day and site."""
        found: dict[tuple[int, int], bytes] = {}
        for word in self._words.values():
            found |= {(word.day, site): word.root for site in word.attesting}
            found |= {(word.day, site): root for site, root in word.dissenting.items()}
        return found

    def _word(self, day: int, group: int) -> _Word:
        word = self._words.get((day % RING, group))
        return word if word and word.day == day else _Word(day)


_Place = tuple[int, int, Origin, int | None]


def _place(row: Row) -> _Place:
    """Return where what was claimed of a row is counted; the origin's slot is how long before."""
    place = _hours(row) % (RING * SLOTS_PER_DAY // SLOTS_IN_A_WORD)
    kind, site, slot = row.origin
    return place, row.site, Origin(kind, site, row.slot - slot), row.through


def _hours(row: Row) -> int:
    return row.slot // SLOTS_IN_A_WORD


def _bare(row: Row) -> Row:
    """Return a row without its energy: what it is claimed by."""
    return Row(row.slot, row.site, 0, row.origin, row.through)


def _end_of(index: int, one: Slice, claimed: int) -> int:
    """Return where a slice ends in its row, Wh."""
    if one.row.origin.kind != Kind.GENERATION:
        raise errors.NotGenerated(index, int(one.row.origin.kind))
    if one.start != claimed:
        raise errors.AlreadyClaimed(index, one.start, claimed)
    end = claimed + one.energy
    if not one.energy or end > one.row.energy:
        raise errors.ClaimBeyondRow(index, end, one.row.energy)
    return end


def is_held(now: int, day: int) -> bool:
    """Say whether the ring still holds a day."""
    return _today(now) < day + RING


def _today(now: int) -> int:
    return day_number(day_of(now // SLOT_SECONDS))


def _require_held(now: int, day: int) -> None:
    if not is_held(now, day):
        raise errors.DayGone(day, _today(now) + 1 - RING)


def _require_attestable(now: int, day: int, root: bytes) -> None:
    end = (last_slot_of(day) + 1) * SLOT_SECONDS
    if now < end:
        raise errors.DayNotOver(day, end)
    _require_held(now, day)
    if root[:ROOT_BYTES] == _NONE:
        raise errors.RootMissing(day)


def _check_signature(
    message: Attestation | Claim,
    domain: Domain,
    signature: bytes,
    key: str | None,
    site: int,
    index: int = 0,
) -> None:
    if len(signature) != SIGNATURE_BYTES:
        raise errors.WrongLength(len(signature), SIGNATURE_BYTES)
    if signer(message, domain, signature) != key:
        raise errors.WrongSigner(index, site)

"""The contract of roots and claims as Python calls, on any chain.

Energies in Wh; days are numbers (see `energy.attestation`); roots are told by 24 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address

from chain.contract import Chain, Log, Receipt, interface
from energy.attestation import Attestation, Claim, Slice, day_of_row
from energy.attested import Standing
from energy.lots import Kind, Origin
from energy.merkle import NO_BATTERY, MultiProof, leaf_of, leaf_values
from energy.messages import SIGNATURE_BYTES, Domain
from energy.rows import Row

_ORIGIN = interface("Origin")


@dataclass(frozen=True)
class RootAttested:
    """A site attests a day's root; `replaced` is the one it withdrew, zero for none."""

    day: int
    site: int
    root: bytes
    replaced: bytes


@dataclass(frozen=True)
class Taken:
    """Wh of a row, by its leaf."""

    leaf: bytes
    start: int
    energy: int


@dataclass(frozen=True)
class Claimed:
    """Slices of rows of a day were claimed by the site that used them."""

    day: int
    site: int
    taken: tuple[Taken, ...]
    beneficiary: str
    purpose: str


def claimed_by(claim: Claim) -> Claimed:
    """Return the event of a claim that is taken."""
    taken = (Taken(leaf_of(one.row), one.start, one.energy) for one in claim.slices)
    day = day_of_row(claim.slices[0].row)
    return Claimed(day, claim.site, tuple(taken), claim.beneficiary, claim.purpose)


def origin_events(logs: Iterable[Log]) -> list[RootAttested | Claimed]:
    """Read the contract's events from logs; others' are left out."""
    found: list[RootAttested | Claimed] = []
    for event in _ORIGIN.events(logs):
        values = event.arguments
        if event.name == "RootAttested":
            found.append(
                RootAttested(values["day"], values["site"], values["root"], values["replaced"])
            )
        elif event.name == "Claimed":
            taken = tuple(Taken(*one) for one in values["taken"])
            names = ("beneficiary", "purpose")
            found.append(
                Claimed(values["day"], values["site"], taken, *(values[name] for name in names))
            )
    return found


def row_from(values: Sequence[int]) -> Row:
    """Read a row from the words of its leaf; see `energy.merkle.leaf_values`."""
    slot, site, energy, kind, origin_site, origin_slot, through = values
    origin = Origin(Kind(kind), origin_site, origin_slot)
    return Row(slot, site, energy, origin, None if through == NO_BATTERY else through)


def attestation_from(values: Sequence[Any]) -> tuple[Attestation, bytes]:
    """Read the arguments of an `attest` call: the attestation and its signature."""
    day, site, root, replaced, signature = values
    return Attestation(day, site, root, replaced), signature


def attestations_from(values: Sequence[Any]) -> tuple[int, bytes, list[int], list[bytes]]:
    """Read the arguments of an `attestTogether` call: day, root, sites and their signatures."""
    day, root, sites, signatures = values
    numbers = [int.from_bytes(sites[at : at + 2]) for at in range(0, len(sites), 2)]
    ends = range(SIGNATURE_BYTES, len(signatures) + 1, SIGNATURE_BYTES)
    return day, root, numbers, [signatures[end - SIGNATURE_BYTES : end] for end in ends]


@dataclass(frozen=True)
class ClaimCall:
    """The arguments of a `claim` call."""

    claim: Claim
    root: bytes
    proof: tuple[bytes, ...]
    flags: tuple[bool, ...]
    signature: bytes


def claim_from(values: Sequence[Any]) -> ClaimCall:
    """Read the arguments of a `claim` call."""
    slices, beneficiary, purpose, root, proof, flags, signature = values
    claimed = tuple(Slice(row_from(row), start, energy) for row, start, energy in slices)
    claim = Claim(claimed, beneficiary, purpose)
    return ClaimCall(claim, root, tuple(proof), tuple(flags), signature)


@dataclass(frozen=True)
class OriginContract:
    """A deployed ledger of roots and claims. Calls may raise a `Refusal` or a `ChainError`."""

    chain: Chain
    address: str

    @classmethod
    def deployed(cls, chain: Chain, registry: str) -> OriginContract:
        """Deploy it beside a market, as a test or bench does it; see `deploy/` for the real way."""
        address, _ = chain.deploy(_ORIGIN.init_code([registry]))
        return cls(chain, address)

    @property
    def domain(self) -> Domain:
        """The deployment that signatures are for."""
        return Domain(self.chain.chain_id, self.address)

    def attest(self, attestation: Attestation, signature: bytes) -> Receipt:
        """Attest a day's root for a site."""
        message = attestation
        return self._send(
            "attest", message.day, message.site, message.root, message.replaced, signature
        )

    def attest_together(
        self, day: int, root: bytes, sites: Sequence[int], signatures: Sequence[bytes]
    ) -> Receipt:
        """Attest a day's root for many sites, none of which attests another."""
        numbers = b"".join(site.to_bytes(2) for site in sites)
        return self._send("attestTogether", day, root, numbers, b"".join(signatures))

    def claim(self, claim: Claim, root: bytes, proof: MultiProof, signature: bytes) -> Receipt:
        """Claim slices of rows by the site that used them; they stand in the proof's order."""
        return self._send(
            "claim",
            [(leaf_values(one.row), one.start, one.energy) for one in claim.slices],
            claim.beneficiary,
            claim.purpose,
            root,
            proof.nodes,
            proof.flags,
            signature,
        )

    def standing_of(self, day: int) -> Standing:
        """Return a day's root and how its sites stand to it."""
        return Standing(*self._ask("standingOf", day))

    def root_of(self, day: int, site: int) -> bytes:
        """Return the 24 bytes of the root that a site attests; zero if it attests none."""
        return bytes(self._ask("rootOf", day, site))

    def claimed_of(self, row: Row) -> int:
        """Return how much of a row was claimed, Wh."""
        return int(self._ask("claimedOf", leaf_values(row)))

    def registry(self) -> str:
        """Return the market whose sites and keys count."""
        return to_checksum_address(self._ask("registry"))

    def domain_separator(self) -> bytes:
        """Return the domain separator that the contract checks signatures with."""
        return bytes(self._ask("domainSeparator"))

    def _send(self, function: str, *arguments: Any) -> Receipt:
        return self.chain.send(self.address, _ORIGIN.call(function, *arguments))

    def _ask(self, function: str, *arguments: Any) -> Any:
        data = self.chain.call(self.address, _ORIGIN.call(function, *arguments))
        return _ORIGIN.result(function, data)

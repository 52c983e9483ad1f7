"""What sites sign about origins: a day's root, and claims of rows.

EIP-712 structs as in `energy.messages`, for the domain of the `Origin` contract. Days are
Japan-time dates; on the wire they count from 1970-01-01. Energies in Wh.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from eth_utils.crypto import keccak

from energy.merkle import encoded, leaf_values
from energy.messages import (
    MESSAGE_DOMAIN,
    MESSAGE_TYPES,
    Domain,
    digest_of,
    signature_of,
    signer_of_digest,
    type_string,
    types_of,
)
from energy.rows import Row
from energy.units import day_of, slots_of

NO_ROOT = bytes(32)

_TYPE_HASHES = {
    name: keccak(text=type_string(name)) for name in ("Attestation", "Claim", "Row", "Slice")
}
_ROW_NAMES = [member["name"] for member in MESSAGE_TYPES["Row"]]

_EPOCH = date(1970, 1, 1).toordinal()


def day_number(day: date) -> int:
    """Return a date's number on the wire.

    >>> day_number(date(2019, 6, 4))
    18051
    """
    return day.toordinal() - _EPOCH


def date_of(number: int) -> date:
    """Return the date of a day's number."""
    return date.fromordinal(number + _EPOCH)


def day_of_row(row: Row) -> int:
    """Return the number of the day that a row's slot is in."""
    return day_number(day_of(row.slot))


def last_slot_of(number: int) -> int:
    """Return the last slot of a day by its number."""
    return slots_of(date_of(number))[-1]


@dataclass(frozen=True, slots=True)
class Attestation:
    """A site says that a day (by number) has this root; `replaced` is the one it withdraws."""

    day: int
    site: int
    root: bytes
    replaced: bytes = NO_ROOT

    def digest(self, domain: Domain) -> bytes:
        """Return the 32 bytes that the site's oracle signs."""
        words = self.day.to_bytes(32) + self.site.to_bytes(32) + self.root + self.replaced
        return digest_of(keccak(_TYPE_HASHES["Attestation"] + words), domain)


@dataclass(frozen=True, slots=True)
class Slice:
    """`energy` Wh of a row, from Wh `start` on.

    `start` is how much of the row was claimed before: so each Wh is claimed once, and a claim
    that is sent twice is refused.
    """

    row: Row
    start: int
    energy: int

    def struct_hash(self) -> bytes:
        """Return its hash after EIP-712."""
        row = keccak(_TYPE_HASHES["Row"] + encoded(self.row))
        words = row + self.start.to_bytes(32) + self.energy.to_bytes(32)
        return keccak(_TYPE_HASHES["Slice"] + words)


@dataclass(frozen=True, slots=True)
class Claim:
    """The using site claims slices of its rows of one day, for someone and to some end."""

    slices: tuple[Slice, ...]
    beneficiary: str
    purpose: str

    @property
    def site(self) -> int:
        """The site that used the energy."""
        return self.slices[0].row.site

    def digest(self, domain: Domain) -> bytes:
        """Return the 32 bytes that the site's trader signs."""
        words = (
            keccak(b"".join(one.struct_hash() for one in self.slices))
            + keccak(text=self.beneficiary)
            + keccak(text=self.purpose)
        )
        return digest_of(keccak(_TYPE_HASHES["Claim"] + words), domain)


def signed(message: Attestation | Claim, domain: Domain, key: bytes) -> bytes:
    """Return the compact signature (64 bytes) of a message by a 32-byte private key."""
    return signature_of(message.digest(domain), key)


def signer(message: Attestation | Claim, domain: Domain, signature: bytes) -> str | None:
    """Return the address that signed a message; None if the signature is none at all."""
    return signer_of_digest(message.digest(domain), signature)


def typed(message: Attestation | Claim, domain: Domain) -> dict[str, object]:
    """Return a message as a wallet wants it (eth_signTypedData_v4)."""
    content: dict[str, object]
    if isinstance(message, Attestation):
        content = {"day": message.day, "site": message.site}
        content |= {"root": message.root, "replaced": message.replaced}
    else:
        slices = [
            {
                "row": dict(zip(_ROW_NAMES, leaf_values(one.row), strict=True)),
                "from": one.start,
                "energy": one.energy,
            }
            for one in message.slices
        ]
        content = {"slices": slices}
        content |= {"beneficiary": message.beneficiary, "purpose": message.purpose}
    name = type(message).__name__
    kinds = ("EIP712Domain", *sorted(types_of(name)))
    return {
        "types": {kind: MESSAGE_TYPES[kind] for kind in kinds},
        "primaryType": name,
        "domain": {
            **MESSAGE_DOMAIN,
            "chainId": domain.chain_id,
            "verifyingContract": domain.contract,
        },
        "message": content,
    }

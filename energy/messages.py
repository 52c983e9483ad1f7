"""What people and devices sign: EIP-712 structs of the records, in compact signatures.

The types stand in `eip712.json`, for a wallet or another program to read. Signatures are 64
bytes, r and then s with the parity in its top bit (EIP-2098), s in the lower half (EIP-2).
Sources: EIP-712 (typed data), EIP-2098 (compact signatures).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from coincurve import PrivateKey, PublicKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from energy.records import Order, Reading

SIGNATURE_BYTES = 64

_PUBLISHED = json.loads(files("energy").joinpath("eip712.json").read_text(encoding="utf-8"))
MESSAGE_DOMAIN: dict[str, str] = _PUBLISHED["domain"]
MESSAGE_TYPES: dict[str, list[dict[str, str]]] = _PUBLISHED["types"]


def type_string(name: str) -> str:
    """Return a struct's canonical type, with those of the structs in it behind it.

    >>> type_string("Order")
    'Order(uint32 slot,uint16 site,uint8 side,uint32 energy,uint24 price,uint8 sequence,bool fresh)'
    """
    written = []
    for part in (name, *sorted(types_of(name) - {name})):
        members = ",".join(f"{field['type']} {field['name']}" for field in MESSAGE_TYPES[part])
        written.append(f"{part}({members})")
    return "".join(written)


def types_of(name: str) -> set[str]:
    """Return a struct's name and those of the structs in it.

    >>> sorted(types_of("Claim"))
    ['Claim', 'Row', 'Slice']
    """
    kinds = {one["type"].removesuffix("[]") for one in MESSAGE_TYPES[name]}
    return {name}.union(*(types_of(kind) for kind in kinds if kind in MESSAGE_TYPES))


@dataclass(frozen=True)
class Domain:
    """The deployment that a signature is for: chain id and contract address."""

    chain_id: int
    contract: str

    @property
    def separator(self) -> bytes:
        """The 32-byte domain separator."""
        return _separator(self.chain_id, self.contract)


@lru_cache
def _separator(chain_id: int, contract: str) -> bytes:
    return keccak(
        keccak(text=type_string("EIP712Domain"))
        + keccak(text=MESSAGE_DOMAIN["name"])
        + keccak(text=MESSAGE_DOMAIN["version"])
        + chain_id.to_bytes(32)
        + bytes.fromhex(contract.removeprefix("0x")).rjust(32, b"\0")
    )


_TYPE_HASHES = {
    Order: keccak(text=type_string("Order")),
    Reading: keccak(text=type_string("Reading")),
}
_FIELDS = {
    Order: [field["name"] for field in MESSAGE_TYPES["Order"]],
    Reading: [field["name"] for field in MESSAGE_TYPES["Reading"]],
}


def digest(record: Order | Reading, domain: Domain) -> bytes:
    """Return the 32 bytes that are signed for a record."""
    kind = type(record)
    values = b"".join(int(getattr(record, name)).to_bytes(32) for name in _FIELDS[kind])
    return digest_of(keccak(_TYPE_HASHES[kind] + values), domain)


def digest_of(struct_hash: bytes, domain: Domain) -> bytes:
    """Return the 32 bytes that are signed for an EIP-712 struct of this hash."""
    return keccak(b"\x19\x01" + domain.separator + struct_hash)


def sign(record: Order | Reading, domain: Domain, key: bytes) -> bytes:
    """Return the compact signature (64 bytes) of a record by a 32-byte private key."""
    return signature_of(digest(record, domain), key)


def signature_of(signed_digest: bytes, key: bytes) -> bytes:
    """Return the compact signature (64 bytes) of a digest by a 32-byte private key."""
    signed = _private_key(key).sign_recoverable(signed_digest, hasher=None)
    r, s, parity = signed[:32], int.from_bytes(signed[32:64]), signed[64]
    return r + (parity << 255 | s).to_bytes(32)


# Making the key's object costs as much as a signature.
@lru_cache(maxsize=64)
def _private_key(key: bytes) -> PrivateKey:
    return PrivateKey(key)


def signer_of(record: Order | Reading, domain: Domain, signature: bytes) -> str | None:
    """Return the address that signed a record; None if the signature is none at all."""
    return signer_of_digest(digest(record, domain), signature)


def signer_of_digest(signed_digest: bytes, signature: bytes) -> str | None:
    """Return the address that signed a digest; None if the signature is none at all."""
    if len(signature) != SIGNATURE_BYTES:
        return None
    vs = int.from_bytes(signature[32:])
    s, parity = vs & (1 << 255) - 1, vs >> 255
    if s > HALF_ORDER:
        return None
    try:
        public = PublicKey.from_signature_and_message(
            signature[:32] + s.to_bytes(32) + bytes([parity]), signed_digest, hasher=None
        )
    except ValueError:
        return None
    return address_of(public)


HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half the order of secp256k1: a larger s is refused, since n - s would sign as well."""


def address_of(key: bytes | PublicKey) -> str:
    """Return the checksummed address of a private key (32 bytes) or a public key."""
    public = key if isinstance(key, PublicKey) else PrivateKey(key).public_key
    return to_checksum_address(keccak(public.format(compressed=False)[1:])[12:])


def typed_message(record: Order | Reading, domain: Domain) -> dict[str, object]:
    """Return the full EIP-712 message of a record, as a wallet wants it (eth_signTypedData_v4)."""
    name = type(record).__name__
    return {
        "types": {kind: MESSAGE_TYPES[kind] for kind in ("EIP712Domain", name)},
        "primaryType": name,
        "domain": {
            **MESSAGE_DOMAIN,
            "chainId": domain.chain_id,
            "verifyingContract": domain.contract,
        },
        "message": {
            field: (bool if field == "fresh" else int)(getattr(record, field))
            for field in _FIELDS[type(record)]
        },
    }

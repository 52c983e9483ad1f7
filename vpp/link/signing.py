"""What the control room signs: an instruction, with who wants it and why, for one fleet.

The EIP-712 struct stands in `eip712.json`; its domain's salt is the fleet's own 32 random bytes,
so that no fleet's instruction is another's. Signatures are compact, as all of Yui's.
Source: EIP-712 (typed data).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib.resources import files
from typing import Any

from eth_utils.crypto import keccak

from energy.messages import signature_of, signer_of_digest
from vpp.commands import Instruction

PUBLISHED: dict[str, Any] = json.loads(
    files("vpp.link").joinpath("eip712.json").read_text(encoding="utf-8")
)
FIELDS = {each["name"]: each["type"] for each in PUBLISHED["types"]["Instruction"]}
NO_TRAIL = bytes(32)


@dataclass(frozen=True, slots=True)
class Order:
    """An instruction as it is signed: `by` whom and `why` it is given, and the hash of its entry
    in the room's audit trail, which the site thus keeps (32 bytes; zeros: it has none)."""

    instruction: Instruction
    by: str = ""
    why: str = ""
    trail: bytes = NO_TRAIL

    def signed(self, fleet: bytes, key: bytes) -> bytes:
        """Return the signature (64 bytes) for a fleet by a private key (both 32 bytes)."""
        return signature_of(digest(self, fleet), key)

    def signer(self, fleet: bytes, signature: bytes) -> str | None:
        """Return the address that signed it for a fleet; None if the signature is none."""
        return signer_of_digest(digest(self, fleet), signature)


def digest(order: Order, fleet: bytes) -> bytes:
    """Return the 32 bytes that are signed."""
    values = message(order)
    encoded = b"".join(_encoded(kind, values[name]) for name, kind in FIELDS.items())
    return keccak(b"\x19\x01" + _separator(fleet) + keccak(_type_hash("Instruction") + encoded))


def message(order: Order) -> dict[str, Any]:
    """Return the struct's values by field."""
    found: dict[str, Any] = {}
    for name in FIELDS:
        source = order if hasattr(order, name) else order.instruction
        value = getattr(source, name)
        if isinstance(value, Enum):
            value = value.value
        found[name] = list(value) if isinstance(value, tuple) else value
    return found


def typed_message(order: Order, fleet: bytes) -> dict[str, Any]:
    """Return the full EIP-712 message, as a wallet or another program wants it."""
    return {
        "types": PUBLISHED["types"],
        "primaryType": "Instruction",
        "domain": {**PUBLISHED["domain"], "salt": fleet},
        "message": message(order),
    }


@lru_cache
def _separator(fleet: bytes) -> bytes:
    named = b"".join(keccak(text=PUBLISHED["domain"][name]) for name in ("name", "version"))
    return keccak(_type_hash("EIP712Domain") + named + fleet)


@lru_cache
def _type_hash(name: str) -> bytes:
    members = ",".join(f"{one['type']} {one['name']}" for one in PUBLISHED["types"][name])
    return keccak(text=f"{name}({members})")


def _encoded(kind: str, value: Any) -> bytes:
    if kind == "string":
        return keccak(text=value)
    if kind == "bytes32":
        return bytes(value)
    if kind.endswith("[]"):
        return keccak(b"".join(_encoded(kind[:-2], each) for each in value))
    return int(value).to_bytes(32, signed=kind.startswith("int"))

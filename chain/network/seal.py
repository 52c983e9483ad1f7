"""Who sealed a block of a Clique network (EIP-225), by the seal's signature.

The last 65 bytes of a block's extra data sign the header without them. So the sealer need not be
asked of a node: any node that tells the header will do, and cannot lie about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rlp
from coincurve import PublicKey
from eth_utils.crypto import keccak

SEAL_BYTES = 65
_HASHES = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot",
    "logsBloom",
)  # fmt: skip
_NUMBERS = ("difficulty", "number", "gasLimit", "gasUsed", "timestamp")


def sealer_of(block: Mapping[str, Any]) -> str | None:
    """Return the address of who sealed a block, as a node's JSON tells it; lower case.

    None where the block bears no seal, as on a chain of one node, or another one's hash.
    """
    extra = _bytes(block["extraData"])
    if len(extra) < SEAL_BYTES or _digest(block, extra) != _bytes(block["hash"]):
        return None
    key = PublicKey.from_signature_and_message(
        extra[-SEAL_BYTES:], _digest(block, extra[:-SEAL_BYTES]), hasher=None
    )
    return "0x" + keccak(key.format(compressed=False)[1:])[-20:].hex()


def _digest(block: Mapping[str, Any], extra: bytes) -> bytes:
    """Return the hash of a header, up to London, with some extra data."""
    fields = [
        *(_bytes(block[name]) for name in _HASHES),
        *(_number(block[name]) for name in _NUMBERS),
        extra,
        _bytes(block["mixHash"]),
        _bytes(block["nonce"]),
    ]
    if "baseFeePerGas" in block:
        fields.append(_number(block["baseFeePerGas"]))
    return bytes(keccak(rlp.encode(fields)))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _number(text: str) -> bytes:
    value = int(text, 16)
    return value.to_bytes((value.bit_length() + 7) // 8)

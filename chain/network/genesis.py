"""The first block: who seals, the rules, who has money, and the council's contracts.

Clique (EIP-225) with London's rules from the start. Amounts in wei; gas is paid with a coin
that has no other use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chain.safe import LIBRARY

GAS_LIMIT = 60_000_000
GAS_PRICE_WEI = 10**9
COIN = 10**18
_EPOCH = 30_000
_FORKS = (
    *("homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople"),
    *("petersburg", "istanbul", "berlin", "london"),
)


def genesis(
    chain_id: int,
    period_seconds: int,
    validators: Sequence[str],
    balances: Mapping[str, int],
    timestamp: int,
) -> dict[str, Any]:
    """Return the first block as geth reads it; balances in wei by address.

    Its base fee is as low as it goes, so that nearly all that is paid for gas reaches the
    sealers and stays in use.
    """
    sealers = sorted(address.removeprefix("0x").lower() for address in validators)
    code = {
        contract.address: {
            "balance": "0x0",
            "code": "0x" + contract.runtime.hex(),
            "storage": {f"0x{slot:064x}": f"0x{value:064x}" for slot, value in contract.storage},
        }
        for contract in LIBRARY
    }
    money = {address: {"balance": hex(wei)} for address, wei in balances.items()}
    return {
        "config": {
            "chainId": chain_id,
            **{f"{fork}Block": 0 for fork in _FORKS},
            "clique": {"period": period_seconds, "epoch": _EPOCH},
        },
        "difficulty": "0x1",
        "gasLimit": hex(GAS_LIMIT),
        "baseFeePerGas": "0x7",
        "timestamp": hex(timestamp),
        "extraData": "0x" + "00" * 32 + "".join(sealers) + "00" * 65,
        "alloc": {**money, **code},
    }

"""A Safe multisig: its address and what its owners sign.

Safe 1.5.0 as published. The contracts that it needs stand at fixed addresses from a network's
first block (`LIBRARY`), so that the council's own address is known before the network is, and
money can be put there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from chain.contract import interface

_SAFE, _FACTORY = interface("Safe"), interface("SafeProxyFactory")
_MULTI_SEND = interface("MultiSendCallOnly")
_NOBODY = "0x" + "00" * 20
_THRESHOLD_SLOT = 4
CALL, DELEGATE_CALL = 0, 1


@dataclass(frozen=True)
class Placed:
    """A contract that stands from the first block: address, code, storage words by slot."""

    name: str
    address: str
    runtime: bytes
    storage: tuple[tuple[int, int], ...] = ()


def _placed(name: str, number: int, *storage: tuple[int, int]) -> Placed:
    address = to_checksum_address("0x5afe" + f"{number:036x}")
    return Placed(name, address, interface(name).runtime, storage)


# Its constructor gives the original a threshold, so that nobody can set it up for himself.
SINGLETON = _placed("Safe", 1, (_THRESHOLD_SLOT, 1))
FACTORY = _placed("SafeProxyFactory", 2)
HANDLER = _placed("CompatibilityFallbackHandler", 3)
MULTI_SEND = _placed("MultiSendCallOnly", 4)
LIBRARY = (SINGLETON, FACTORY, HANDLER, MULTI_SEND)


@dataclass(frozen=True)
class Call:
    """What an account does to another: value in wei, data."""

    to: str
    data: bytes
    value: int = 0


@dataclass(frozen=True)
class SafeTransaction:
    """What the owners of a Safe sign: calls, done together or not at all, once, in turn.

    `nonce` counts what the Safe has executed.
    """

    chain_id: int
    safe: str
    nonce: int
    calls: tuple[Call, ...]

    def _whole(self) -> tuple[Call, int]:
        if len(self.calls) == 1:
            return self.calls[0], CALL
        packed = b"".join(
            b"\0"
            + to_canonical_address(call.to)
            + call.value.to_bytes(32)
            + len(call.data).to_bytes(32)
            + call.data
            for call in self.calls
        )
        return Call(MULTI_SEND.address, _MULTI_SEND.call("multiSend", packed)), DELEGATE_CALL

    @property
    def digest(self) -> bytes:
        """The EIP-712 hash that owners sign (`getTransactionHash`)."""
        call, operation = self._whole()
        domain = keccak(
            encode(
                ["bytes32", "uint256", "address"],
                [
                    keccak(text="EIP712Domain(uint256 chainId,address verifyingContract)"),
                    self.chain_id,
                    self.safe,
                ],
            )
        )
        kinds = ["address", "uint256", "bytes32", "uint8", *["uint256"] * 3, *["address"] * 2]
        message = keccak(
            encode(
                ["bytes32", *kinds, "uint256"],
                [
                    keccak(
                        text="SafeTx(address to,uint256 value,bytes data,uint8 operation,"
                        "uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,"
                        "address refundReceiver,uint256 nonce)"
                    ),
                    *(call.to, call.value, keccak(call.data), operation),
                    *(0, 0, 0, _NOBODY, _NOBODY, self.nonce),
                ],
            )
        )
        return keccak(b"\x19\x01" + domain + message)

    def execution(self, signatures: Mapping[str, bytes]) -> bytes:
        """Return the data of the transaction to the Safe; 65-byte signatures by owner."""
        call, operation = self._whole()
        in_order = b"".join(
            signatures[owner] for owner in sorted(signatures, key=lambda owner: owner.lower())
        )
        return _SAFE.call(
            "execTransaction",
            *(call.to, call.value, call.data, operation),
            *(0, 0, 0, _NOBODY, _NOBODY, in_order),
        )


def setup_of(owners: Sequence[str], threshold: int) -> bytes:
    """Return the call that gives a new Safe its owners; their order makes no difference here."""
    ordered = sorted(owners, key=str.lower)
    return _SAFE.call(
        "setup", ordered, threshold, _NOBODY, b"", HANDLER.address, _NOBODY, 0, _NOBODY
    )


def address_of_safe(owners: Sequence[str], threshold: int) -> str:
    """Return where the Safe of these owners stands, or will (EIP-1014)."""
    code = interface("SafeProxy").bytecode + encode(["address"], [SINGLETON.address])
    salt = keccak(keccak(setup_of(owners, threshold)) + bytes(32))
    hashed = keccak(b"\xff" + to_canonical_address(FACTORY.address) + salt + keccak(code))
    return to_checksum_address(hashed[12:])


def creation_of(owners: Sequence[str], threshold: int) -> Call:
    """Return the call that creates the Safe of these owners, for whoever pays."""
    data = _FACTORY.call("createProxyWithNonce", SINGLETON.address, setup_of(owners, threshold), 0)
    return Call(FACTORY.address, data)

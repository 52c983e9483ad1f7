"""The council: what its members propose, sign off line, and execute together.

A proposal is a file. It holds acts, and signatures over them; what is shown of it in words and
what is signed are both made from the acts, so that they cannot differ. The file travels by any
means, and copies that were signed apart are joined.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from coincurve import PrivateKey, PublicKey
from eth_abi.exceptions import EncodingError
from eth_utils.address import to_checksum_address

from chain.contract import Receipt, interface
from chain.files import write_whole
from chain.node import NodeChain
from chain.safe import Call, SafeTransaction
from energy.errors import ChainError, SettingError
from energy.messages import address_of
from energy.reason import reason_of

MARKET, COUNCIL, ACCOUNT = "market", "council", "account"
_ABI = {MARKET: "Market", COUNCIL: "Safe"}
_SAFE = interface("Safe")


@dataclass(frozen=True)
class Act:
    """One thing to be done: a function of a market or of the council itself, or a payment.

    `arguments` are in the function's order; a payment to an account has neither function nor
    arguments. `value` in wei.
    """

    contract: str
    to: str
    function: str = ""
    arguments: tuple[Any, ...] = ()
    value: int = 0

    def call(self) -> Call:
        """Return it as the contract is told.

        Raises:
            SettingError: if there is no such function, or its arguments do not fit.
        """
        if self.contract == ACCOUNT:
            return Call(self.to, b"", self.value)
        try:
            data = interface(_ABI[self.contract]).call(self.function, *self.arguments)
        except (KeyError, EncodingError, TypeError, ValueError) as error:
            raise SettingError(
                f"an act must be one of the {self.contract}'s functions with its arguments, got "
                f"{self.function}{self.arguments}: {reason_of(error)}"
            ) from None
        return Call(self.to, data, self.value)


@dataclass(frozen=True)
class Proposal:
    """Acts that the council does together, or not at all; 65-byte signatures by owner."""

    chain_id: int
    safe: str
    nonce: int
    acts: tuple[Act, ...]
    signatures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def transaction(self) -> SafeTransaction:
        """What is signed."""
        calls = tuple(act.call() for act in self.acts)
        return SafeTransaction(self.chain_id, self.safe, self.nonce, calls)

    @property
    def digest(self) -> bytes:
        """What stands for it: members may compare it by telephone."""
        return self.transaction.digest

    def with_act(self, act: Act) -> Proposal:
        """Return it with one more act.

        Raises:
            SettingError: if somebody has signed it as it is.
        """
        if self.signatures:
            raise SettingError(
                f"a proposal must not be signed yet to be changed, got {len(self.signatures)} "
                "signatures"
            )
        return replace(self, acts=(*self.acts, act))

    def signed(self, key: bytes) -> Proposal:
        """Return it with the signature of a 32-byte private key."""
        signed = PrivateKey(key).sign_recoverable(self.digest, hasher=None)
        signature = signed[:64] + bytes([27 + signed[64]])
        return replace(self, signatures={**self.signatures, address_of(key): signature})

    def joined(self, other: Proposal) -> Proposal:
        """Return it with the signatures of another copy as well.

        Raises:
            SettingError: if the other is not the same proposal.
        """
        if other.digest != self.digest:
            raise SettingError(
                f"copies of a proposal must have the same hash, got 0x{self.digest.hex()} and "
                f"0x{other.digest.hex()}"
            )
        return replace(self, signatures={**self.signatures, **other.signatures})

    def write(self, file: Path) -> None:
        """Write it, whole or not at all."""
        acts = [asdict(act) for act in self.acts]
        signatures = {owner: "0x" + each.hex() for owner, each in self.signatures.items()}
        values = {**asdict(replace(self, acts=(), signatures={})), "acts": acts}
        write_whole(file, json.dumps({**values, "signatures": signatures}, indent=2) + "\n")


def proposal_at(file: Path) -> Proposal:
    """Read a proposal; each signature must be its owner's, over what the file holds.

    Raises:
        SettingError: if the file is no proposal, or was changed after somebody signed.
    """
    try:
        values = json.loads(file.read_text())
        acts = tuple(
            Act(**{**act, "arguments": _tuples(act["arguments"])}) for act in values.pop("acts")
        )
        signatures: dict[str, bytes] = {
            to_checksum_address(owner): bytes.fromhex(each[2:])
            for owner, each in values.pop("signatures").items()
        }
        proposal = Proposal(acts=acts, signatures=signatures, **values)
        digest = proposal.digest
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EncodingError) as error:
        raise SettingError(f"{file} must be a proposal, got {reason_of(error)}") from error
    for owner, signature in signatures.items():
        if _signer_of(digest, signature) != owner:
            raise SettingError(
                f"{file} must be as {owner} signed it, got another content or signature"
            )
    return proposal


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _signer_of(digest: bytes, signature: bytes) -> str | None:
    try:
        compact = signature[:64] + bytes([signature[64] - 27])
        return address_of(PublicKey.from_signature_and_message(compact, digest, hasher=None))
    except (ValueError, IndexError):
        return None


@dataclass(frozen=True)
class Council:
    """A council that stands on a chain. Each call may raise a `ChainError`."""

    chain: NodeChain
    safe: str

    def owners(self) -> tuple[str, ...]:
        """Return who may sign."""
        return tuple(to_checksum_address(owner) for owner in self._ask("getOwners"))

    def threshold(self) -> int:
        """Return how many must sign."""
        return int(self._ask("getThreshold"))

    def nonce(self) -> int:
        """Return how many proposals were executed: the next one's number."""
        return int(self._ask("nonce"))

    def proposal(self, acts: Sequence[Act], nonce: int | None = None) -> Proposal:
        """Return a proposal to be signed, by default for the council's next turn."""
        turn = self.nonce() if nonce is None else nonce
        return Proposal(self.chain.chain_id, self.safe, turn, tuple(acts))

    def execute(self, proposal: Proposal) -> Receipt:
        """Carry a proposal out; the chain's sender pays for it and needs no right.

        Raises:
            SettingError: if it is another council's, was overtaken, or too few have signed.
            Refusal: if a market turns an act down; then none is done.
            ChainError: if the chain does not take it.
        """
        if (proposal.chain_id, proposal.safe) != (self.chain.chain_id, self.safe):
            raise SettingError(
                f"a proposal must be for council {self.safe} on chain {self.chain.chain_id}, "
                f"got {proposal.safe} on chain {proposal.chain_id}"
            )
        if proposal.nonce != (nonce := self.nonce()):
            raise SettingError(
                f"a proposal must be the council's next, number {nonce}, got {proposal.nonce}: "
                f"{'it was executed or overtaken' if proposal.nonce < nonce else 'others first'}"
            )
        owners = self.owners()
        ours = {who: each for who, each in proposal.signatures.items() if who in owners}
        if len(ours) < (needed := self.threshold()):
            raise SettingError(f"{needed} of the members must have signed, got {len(ours)}")
        receipt = self.chain.send(self.safe, proposal.transaction.execution(ours))
        done = [event.name for event in _SAFE.events(receipt.logs)]
        if "ExecutionSuccess" not in done:
            raise ChainError("the council must have executed the proposal, got no such event")
        return receipt

    def _ask(self, function: str) -> Any:
        data = self.chain.call(self.safe, _SAFE.call(function))
        if not data:
            raise ChainError(f"the council must stand at {self.safe}, got no code there")
        return _SAFE.result(function, data)

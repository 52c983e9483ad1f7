"""A chain inside this process: the real bytecode on revm, without a node.

Its clock stands still until it is set. For differential tests and replays: a transaction takes
well under a millisecond. It reports no gas: the binding keeps storage warm from one
transaction to the next, so that its figures are too low; ask a node.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from eth_utils.crypto import keccak
from pyrevm import EVM, AccountInfo, BlockEnv, CfgEnv, Env

from chain.contract import Log, Receipt, refusal_or_error
from energy.errors import ChainError

SENDER = "0x00000000000000000000000000000000000000e1"
GAS_LIMIT = 60_000_000


class EvmChain:
    """An EVM with London's rules, a chain id and a clock (unix seconds) of its own."""

    def __init__(self, time: int, chain_id: int = 7_000) -> None:
        self.chain_id = chain_id
        self.sender = SENDER
        self._time = time
        self._block = 1
        block = BlockEnv(number=1, timestamp=time, basefee=0, gas_limit=GAS_LIMIT)
        self._evm = EVM(
            env=Env(cfg=CfgEnv(chain_id=chain_id), block=block),
            gas_limit=GAS_LIMIT,
            spec_id="LONDON",
        )
        self._evm.insert_account_info(SENDER, AccountInfo())

    def now(self) -> int:
        """Return the time, unix seconds."""
        return self._time

    def set_time(self, time: int) -> None:
        """Let the next transactions happen at a moment, unix seconds."""
        self._time = time
        self._block += 1
        self._evm.set_block_env(
            BlockEnv(number=self._block, timestamp=time, basefee=0, gas_limit=GAS_LIMIT)
        )

    def code_at(self, address: str) -> bytes:
        """Return the code of an account, with zeros after it; empty if it has none."""
        return bytes(self._evm.get_code(address) or b"")

    def storage_at(self, address: str, slot: int) -> int:
        """Return a word of a contract's storage."""
        return int(self._evm.storage(address, slot))

    def deploy(self, init_code: bytes) -> tuple[str, Receipt]:
        """Create a contract and return its address."""
        try:
            address = self._evm.deploy(self.sender, init_code)
        except RuntimeError as error:
            raise _error("a deployment", error) from None
        return address, self._receipt(init_code)

    def send(self, to: str, data: bytes) -> Receipt:
        """Run a transaction."""
        try:
            self._evm.message_call(self.sender, to, calldata=data)
        except RuntimeError as error:
            raise _error("a transaction", error) from None
        return self._receipt(data)

    def call(self, to: str, data: bytes) -> bytes:
        """Ask without a transaction."""
        try:
            return bytes(self._evm.message_call(self.sender, to, calldata=data, is_static=True))
        except RuntimeError as error:
            raise _error("a call", error) from None

    def calls(self, to: str, data: Sequence[bytes]) -> list[bytes]:
        """Ask many things of a contract, as `call` does."""
        return [self.call(to, one) for one in data]

    def _receipt(self, data: bytes) -> Receipt:
        result = self._evm.result
        assert result is not None
        logs = tuple(
            Log(log.address, tuple(bytes.fromhex(t[2:]) for t in log.topics), bytes(log.data[1]))
            for log in result.logs
        )
        return Receipt(keccak(data), self._block, 0, logs)


def _error(what: str, error: RuntimeError) -> Exception:
    revert = re.search(r"output: 0x([0-9a-f]*)", str(error))
    if revert is None:
        return ChainError(f"{what} must run to its end, got {error}")
    return refusal_or_error(bytes.fromhex(revert[1]), what)

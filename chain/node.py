"""A chain behind a node's JSON-RPC, by web3.

Transactions carry a legacy gas price, so that a proof-of-authority node takes them. The sender
is a local key, or an account that the node itself holds (a development node).

What is *seen* can vanish while the chain forks; what is *final* has `depth` blocks on top and
stays. On a network of members the depth is that of its profile (`chain.network`); a chain of
one node has depth 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from typing import Any

from coincurve import PrivateKey
from eth_account import Account
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.exceptions import (
    ContractLogicError,
    TransactionNotFound,
    Web3Exception,
    Web3RPCError,
)
from web3.middleware import ExtraDataToPOAMiddleware
from web3.types import BlockIdentifier, RPCEndpoint, TxParams, TxReceipt, Wei

from chain import history
from chain.contract import Log, Receipt, refusal_or_error
from chain.history import LOGS_BLOCKS, Call, Transaction
from energy.errors import ChainError
from energy.reason import reason_of

RECEIPT_TIMEOUT_SECONDS = 60.0
FINAL_TIMEOUT_SECONDS = 120.0
GAS_MARGIN = 1.25
"""Gas given over the estimate: another transaction may come first and make ours dearer."""
CALLS = 200
"""Calls asked for at a time."""


class NodeChain:
    """A chain at a URL; `key` is the 32-byte private key of who pays for transactions.

    A `gas_price_wei` above 0 is raised to twice the base fee where that is more. Where its
    `chain_id` is known, the node is not asked before it is needed: it may be away, and
    `told_chain_id` says later whether it is of that chain.
    """

    def __init__(
        self,
        url: str,
        key: bytes | None = None,
        gas_price_wei: int = 0,
        depth: int = 0,
        chain_id: int | None = None,
    ) -> None:
        self.url = url
        self.depth = depth
        self._key = key
        self.web3 = Web3(HTTPProvider(url, request_kwargs={"timeout": 30}))
        self.web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        self._account = Account.from_key(key) if key else None
        self._gas_price = gas_price_wei
        self._asked_block: Callable[[], BlockIdentifier] = lambda: "latest"
        try:
            self.chain_id = self.web3.eth.chain_id if chain_id is None else chain_id
            accounts = [self._account.address] if self._account else []
            if not self._account and chain_id is None:
                accounts = list(self.web3.eth.accounts)
        except (OSError, Web3Exception) as error:
            raise ChainError(f"a node must answer at {url}, got {reason_of(error)}") from error
        self.sender = str(accounts[0]) if accounts else "0x" + "00" * 20

    def as_sender(self, key: bytes) -> NodeChain:
        """Return the same chain with another key that pays."""
        return NodeChain(self.url, key, self._gas_price, self.depth)

    def as_final(self) -> NodeChain:
        """Return the same chain with calls answered by what is final when they are made."""
        final = copy(self)
        final._asked_block = lambda: max(self.final_height(), 0)
        return final

    @property
    def key(self) -> bytes | None:
        """The private key that pays; None where the node holds it."""
        return self._key

    @property
    def gas_price_wei(self) -> int:
        """What is paid for a gas where its base fee is low; 0 where gas is free."""
        return self._gas_price

    def told_chain_id(self) -> int:
        """Return the chain's number as the node tells it."""
        with _answered():
            return int(self.web3.eth.chain_id)

    def now(self) -> int:
        """Return the newest block's time, unix seconds."""
        return self.head()[1]

    def height(self) -> int:
        """Return the newest block's number."""
        return self.head()[0]

    def head(self) -> tuple[int, int]:
        """Return the newest block's number and time, unix seconds.

        Raises:
            ChainError: if the node does not answer, as whatever is asked of it.
        """
        with _answered():
            block = self.web3.eth.get_block("latest")
        return int(block["number"]), int(block["timestamp"])

    def at_block(self, number: int) -> NodeChain:
        """Return the same chain with calls answered as of a block."""
        past = copy(self)
        past._asked_block = lambda: number
        return past

    def final_height(self) -> int:
        """Return the newest final block's number; -1 while there is none."""
        return max(self.height() - self.depth, -1)

    def wait_until_final(self, block: int, timeout_seconds: float = FINAL_TIMEOUT_SECONDS) -> None:
        """Return once a block of that number is final.

        Raises:
            ChainError: if it takes longer.
        """
        end = time.monotonic() + timeout_seconds
        while (height := self.final_height()) < block:
            if time.monotonic() > end:
                raise ChainError(
                    f"block {block} must be final within {timeout_seconds:g} s, got {height}"
                )
            time.sleep(0.1)

    def finally_in(
        self, receipt: Receipt, timeout_seconds: float = FINAL_TIMEOUT_SECONDS
    ) -> Receipt:
        """Return a transaction's receipt once it is final: a fork can move it to another block.

        Raises:
            ChainError: if that takes longer, as where a fork has left it out.
        """
        end = time.monotonic() + timeout_seconds
        while True:
            final = self.final_height()
            with _answered(), suppress(TransactionNotFound):
                found = self.web3.eth.get_transaction_receipt(HexBytes(receipt.transaction))
                if int(found["blockNumber"]) <= final:
                    return self._receipt(found)
            if time.monotonic() > end:
                raise ChainError(
                    f"transaction 0x{receipt.transaction.hex()} must be final within "
                    f"{timeout_seconds:g} s, and is not"
                )
            time.sleep(0.1)

    def balance_of(self, address: str, block: int | None = None) -> int:
        """Return what an account has to pay gas with, wei; now, or as of a block.

        Raises:
            ChainError: if the node does not answer, or has let go of that block's state.
        """
        with _answered():
            return int(
                self.web3.eth.get_balance(
                    Web3.to_checksum_address(address), "latest" if block is None else block
                )
            )

    def time_of(self, number: int) -> int:
        """Return a block's time, unix seconds."""
        with _answered():
            return int(self.web3.eth.get_block(number)["timestamp"])

    def block_at(self, moment: int) -> int:
        """Return the number of the newest block that is not after a moment; 0 if all are."""
        first, beyond = 0, self.height() + 1
        while beyond - first > 1:
            middle = (first + beyond) // 2
            if self.time_of(middle) <= moment:
                first = middle
            else:
                beyond = middle
        return first

    def block_hash(self, number: int) -> bytes:
        """Return a block's hash."""
        with _answered():
            return bytes(self.web3.eth.get_block(number)["hash"])

    def code_at(self, address: str) -> bytes:
        """Return the code of an account, as of the block of calls; empty if it has none."""
        with _answered():
            return bytes(
                self.web3.eth.get_code(Web3.to_checksum_address(address), self._asked_block())
            )

    def deploy(self, init_code: bytes) -> tuple[str, Receipt]:
        """Create a contract and return its address."""
        receipt = self._sent({"data": HexBytes(init_code)})
        address = receipt["contractAddress"]
        assert address is not None
        return str(address), self._receipt(receipt)

    def send(self, to: str, data: bytes, value_wei: int = 0) -> Receipt:
        """Send a transaction and wait until it is in a block."""
        transaction: TxParams = {"to": Web3.to_checksum_address(to), "data": HexBytes(data)}
        if value_wei:
            transaction["value"] = Web3.to_wei(value_wei, "wei")
        return self._receipt(self._sent(transaction))

    def call(self, to: str, data: bytes) -> bytes:
        """Ask without a transaction, at the newest block, or as `at_block` and `as_final` say."""
        call: TxParams = {"to": Web3.to_checksum_address(to), "data": HexBytes(data)}
        with _answered("a call"):
            return bytes(self.web3.eth.call(call, self._asked_block()))

    def logs(
        self,
        addresses: str | Sequence[str],
        first_block: int,
        last_block: int,
        topics: Sequence[int | None] = (),
    ) -> Iterator[tuple[tuple[int, bytes], Log]]:
        """Yield some contracts' logs with their block's number and hash, in order of the chain.

        Only those with these topics, where one is given.
        """
        named = [addresses] if isinstance(addresses, str) else addresses
        wanted = [Web3.to_checksum_address(address) for address in named]
        words = [None if topic is None else HexBytes(topic.to_bytes(32)) for topic in topics]
        for start in range(first_block, last_block + 1, LOGS_BLOCKS):
            end = min(start + LOGS_BLOCKS - 1, last_block)
            with _answered():
                found = self.web3.eth.get_logs(
                    {"address": wanted, "fromBlock": start, "toBlock": end, "topics": words}
                )
            for log in found:
                yield (int(log["blockNumber"]), bytes(log["blockHash"])), _log(log)

    def transactions(
        self, addresses: str | Sequence[str], first_block: int, last_block: int
    ) -> Iterator[Transaction]:
        """Yield the transactions that made some contracts log anything, in order of the chain.

        Others changed nothing in them.
        """
        named = [addresses] if isinstance(addresses, str) else addresses
        return history.transactions(self.batch, named, first_block, last_block)

    def calls_of(self, transaction: Transaction, address: str) -> list[Call] | None:
        """Return the calls by which a transaction made a contract log, but those that failed.

        None if they were made by another contract, and the node does not trace.
        """
        return history.calls_of(self.batch, transaction, address)

    def batch(self, method: str, parameters: Sequence[Sequence[Any]]) -> list[Any]:
        """Ask the same of many things at once; return the answers as the node words them.

        Raises:
            ChainError: if the node does not answer, or answers one of them with an error.
        """
        requests = [(RPCEndpoint(method), list(given)) for given in parameters]
        with _answered():
            answers = self.web3.provider.make_batch_request(requests)  # type: ignore[attr-defined]
        if not isinstance(answers, list):
            answers = [answers]
        for answer in answers:
            if "error" in answer:
                raise ChainError(f"{method} must be answered by the node, got {answer['error']}")
        return [answer["result"] for answer in answers]

    def calls(self, to: str, data: Sequence[bytes]) -> list[bytes]:
        """Ask many things of a contract, as `call` does."""
        block = self._asked_block()
        number = hex(block) if isinstance(block, int) else block
        found: list[bytes] = []
        for at in range(0, len(data), CALLS):
            asked = [
                [{"to": to, "data": "0x" + one.hex()}, number] for one in data[at : at + CALLS]
            ]
            found += [bytes(HexBytes(answer)) for answer in self.batch("eth_call", asked)]
        return found

    def _sent(self, transaction: TxParams) -> TxReceipt:
        eth = self.web3.eth
        transaction["from"] = Web3.to_checksum_address(self.sender)
        with _answered("a transaction"):
            transaction["gas"] = int(eth.estimate_gas(transaction) * GAS_MARGIN)
            transaction["gasPrice"] = self._price()
            if self._account:
                transaction["nonce"] = eth.get_transaction_count(self._account.address, "pending")
                transaction["chainId"] = self.chain_id
                signed = self._account.sign_transaction(transaction)
                sent = eth.send_raw_transaction(signed.raw_transaction)
            else:
                sent = eth.send_transaction(transaction)
            receipt = eth.wait_for_transaction_receipt(
                sent, timeout=RECEIPT_TIMEOUT_SECONDS, poll_latency=0.005
            )
        return self._checked(receipt, transaction)

    def _checked(self, receipt: TxReceipt, transaction: TxParams) -> TxReceipt:
        if receipt["status"] == 0:
            # It was good when estimated: something came before it. Ask what it meets now.
            self.call(str(transaction.get("to", "")), bytes(HexBytes(transaction["data"])))
            sent = receipt["transactionHash"].to_0x_hex()
            raise ChainError(f"transaction {sent} must succeed, got status 0")
        return receipt

    def _price(self) -> Wei:
        if not self._gas_price:
            return Wei(0)
        base_fee = self.web3.eth.get_block("latest").get("baseFeePerGas", 0)
        return Wei(max(self._gas_price, 2 * base_fee))

    def _receipt(self, receipt: TxReceipt) -> Receipt:
        return Receipt(
            bytes(receipt["transactionHash"]),
            int(receipt["blockNumber"]),
            int(receipt["gasUsed"]),
            tuple(_log(log) for log in receipt["logs"]),
        )


def _log(log: Any) -> Log:
    return Log(
        str(log["address"]), tuple(bytes(topic) for topic in log["topics"]), bytes(log["data"])
    )


@contextmanager
def _answered(what: str = "a question") -> Iterator[None]:
    """Turn what web3 raises into errors of ours; `what` the node is asked for."""
    try:
        yield
    except (OSError, Web3Exception) as error:
        raise call_error(what, error) from error


def call_error(what: str, error: Exception) -> Exception:
    """Return what a node's answer means: a refusal, or an error of the chain."""
    if isinstance(error, ContractLogicError) and isinstance(error.data, str):
        return refusal_or_error(bytes(HexBytes(error.data)), what)
    if isinstance(error, TransactionNotFound):
        return ChainError(f"{what} must be in a block within {RECEIPT_TIMEOUT_SECONDS:.0f} s")
    if isinstance(error, Web3RPCError):
        return ChainError(f"{what} must be taken by the node, got {reason_of(error)}")
    return ChainError(f"a node must answer, got {reason_of(error)}")


def fresh_key() -> bytes:
    """Return a new private key, for a development chain."""
    return PrivateKey().secret

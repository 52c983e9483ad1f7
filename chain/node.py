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

from chain.contract import Log, Receipt, refusal_or_error
from energy.errors import ChainError

RECEIPT_TIMEOUT_SECONDS = 60.0
GAS_MARGIN = 1.25
"""Gas given over the estimate: another transaction may come first and make ours dearer."""
LOGS_BLOCKS = 2_000
"""Blocks asked for in one query of logs."""
CALLS = 200
"""Calls asked for at a time."""


class NodeChain:
    """A chain at a URL; `key` is the 32-byte private key of who pays for transactions.

    A `gas_price_wei` above 0 is raised to twice the base fee where that is more.
    """

    def __init__(
        self, url: str, key: bytes | None = None, gas_price_wei: int = 0, depth: int = 0
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
            self.chain_id = self.web3.eth.chain_id
        except (OSError, Web3Exception) as error:
            raise ChainError(f"a node must answer at {url}, got {_short(error)}") from error
        if self._account:
            self.sender = str(self._account.address)
        else:
            accounts = self.web3.eth.accounts
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

    def now(self) -> int:
        """Return the newest block's time, unix seconds."""
        return int(self.web3.eth.get_block("latest")["timestamp"])

    def height(self) -> int:
        """Return the newest block's number."""
        return self.head()[0]

    def head(self) -> tuple[int, int]:
        """Return the newest block's number and time, unix seconds.

        Raises:
            ChainError: if the node does not answer.
        """
        try:
            block = self.web3.eth.get_block("latest")
        except (OSError, Web3Exception) as error:
            raise _error("a question", error) from error
        return int(block["number"]), int(block["timestamp"])

    def at_block(self, number: int) -> NodeChain:
        """Return the same chain with calls answered as of a block."""
        past = copy(self)
        past._asked_block = lambda: number
        return past

    def final_height(self) -> int:
        """Return the newest final block's number; -1 while there is none."""
        return max(self.height() - self.depth, -1)

    def wait_until_final(self, block: int, timeout_seconds: float = 120.0) -> None:
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

    def balance_of(self, address: str) -> int:
        """Return what an account has to pay gas with, wei."""
        return int(self.web3.eth.get_balance(Web3.to_checksum_address(address)))

    def time_of(self, number: int) -> int:
        """Return a block's time, unix seconds."""
        return int(self.web3.eth.get_block(number)["timestamp"])

    def block_hash(self, number: int) -> bytes:
        """Return a block's hash."""
        return bytes(self.web3.eth.get_block(number)["hash"])

    def code_at(self, address: str) -> bytes:
        """Return the code of an account; empty if it has none."""
        return bytes(self.web3.eth.get_code(Web3.to_checksum_address(address)))

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
        try:
            return bytes(self.web3.eth.call(call, self._asked_block()))
        except (OSError, Web3Exception) as error:
            raise _error("a call", error) from error

    def logs(
        self,
        address: str,
        first_block: int,
        last_block: int,
        topics: Sequence[int | None] = (),
    ) -> Iterator[tuple[tuple[int, bytes], Log]]:
        """Yield a contract's logs with their block's number and hash, in order of the chain.

        Only those with these topics, where one is given.
        """
        words = [None if topic is None else HexBytes(topic.to_bytes(32)) for topic in topics]
        for start in range(first_block, last_block + 1, LOGS_BLOCKS):
            end = min(start + LOGS_BLOCKS - 1, last_block)
            for log in self.web3.eth.get_logs(
                {
                    "address": Web3.to_checksum_address(address),
                    "fromBlock": start,
                    "toBlock": end,
                    "topics": words,
                }
            ):
                yield (int(log["blockNumber"]), bytes(log["blockHash"])), _log(log)

    def batch(self, method: str, parameters: Sequence[Sequence[Any]]) -> list[Any]:
        """Ask the same of many things at once; return the answers as the node words them.

        Raises:
            ChainError: if the node does not answer, or answers one of them with an error.
        """
        requests = [(RPCEndpoint(method), list(given)) for given in parameters]
        try:
            answers = self.web3.provider.make_batch_request(requests)  # type: ignore[attr-defined]
        except (OSError, ValueError, Web3Exception) as error:
            raise _error("a question", error) from error
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
        try:
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
        except (OSError, Web3Exception) as error:
            raise _error("a transaction", error) from error
        if receipt["status"] == 0:
            # It was good when estimated: something came before it. Ask what it meets now.
            self.call(str(transaction.get("to", "")), bytes(HexBytes(transaction["data"])))
            raise ChainError(f"transaction {sent.to_0x_hex()} must succeed, got status 0")
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


def _error(what: str, error: Exception) -> Exception:
    if isinstance(error, ContractLogicError) and isinstance(error.data, str):
        return refusal_or_error(bytes(HexBytes(error.data)), what)
    if isinstance(error, TransactionNotFound):
        return ChainError(f"{what} must be in a block within {RECEIPT_TIMEOUT_SECONDS:.0f} s")
    if isinstance(error, Web3RPCError):
        return ChainError(f"{what} must be taken by the node, got {_short(error)}")
    return ChainError(f"a node must answer, got {_short(error)}")


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def fresh_key() -> bytes:
    """Return a new private key, for a development chain."""
    return PrivateKey().secret

"""A chain's past, for who runs it again: what was sent to contracts, and what they logged.

Blocks are fetched in batches, and ahead of who reads them. What reached a contract by way of
another one stands in no transaction's data: a node's trace tells it, if the node traces.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from web3 import Web3

from chain.contract import Log
from energy.errors import ChainError

Ask = Callable[[str, Sequence[Sequence[Any]]], list[Any]]
"""Asks a node the same of many things; returns its answers as it words them."""
LOGS_BLOCKS = 2_000
"""Blocks asked for in one query of logs."""
BATCH = 100
"""Blocks asked for at a time."""
AHEAD = 2
"""Batches that are fetched while one is read."""


@dataclass(frozen=True)
class Transaction:
    """A transaction as it stands in a block, with what some contracts logged in it."""

    hash: bytes
    block: int
    time: int
    """Of its block, unix seconds."""
    sender: str
    to: str | None
    """None if it creates a contract."""
    data: bytes
    logs: tuple[Log, ...]

    def logs_of(self, address: str) -> list[Log]:
        """Return what one contract logged."""
        return [log for log in self.logs if log.address.lower() == address.lower()]


@dataclass(frozen=True)
class Call:
    """A call of a contract: by a transaction, or by another contract within one."""

    sender: str
    data: bytes


def transactions(
    ask: Ask, addresses: Sequence[str], first_block: int, last_block: int
) -> Iterator[Transaction]:
    """Yield the transactions that made some contracts log anything, in order of the chain.

    Others changed nothing in them.

    Raises:
        ChainError: if the node does not answer.
    """
    wanted = [Web3.to_checksum_address(address) for address in addresses]
    with ThreadPoolExecutor(AHEAD) as fetchers:
        coming: deque[Future[list[Transaction]]] = deque()
        for start in range(first_block, last_block + 1, LOGS_BLOCKS):
            span = {"fromBlock": hex(start)}
            span |= {"toBlock": hex(min(start + LOGS_BLOCKS - 1, last_block))}
            (found,) = ask("eth_getLogs", [[{"address": wanted, **span}]])
            blocks = [
                (number, list(logs))
                for number, logs in groupby(found, key=lambda log: str(log["blockNumber"]))
            ]
            for at in range(0, len(blocks), BATCH):
                coming.append(fetchers.submit(_fetched, ask, blocks[at : at + BATCH]))
                while len(coming) > AHEAD:
                    yield from coming.popleft().result()
        while coming:
            yield from coming.popleft().result()


def _fetched(ask: Ask, blocks: Sequence[tuple[str, list[Mapping[str, Any]]]]) -> list[Transaction]:
    """Return the transactions of some blocks, by number, that logged anything."""
    found = []
    answers = ask("eth_getBlockByNumber", [[number, True] for number, _ in blocks])
    for (number, logs), block in zip(blocks, answers, strict=True):
        if block is None or any(log["blockHash"] != block["hash"] for log in logs):
            raise ChainError(f"block {int(number, 16)} must stay while it is read, got another")
        sent = {one["hash"]: one for one in block["transactions"]}
        for digest, of_one in groupby(logs, key=lambda log: log["transactionHash"]):
            one = sent[digest]
            found.append(
                Transaction(
                    _bytes(digest),
                    int(number, 16),
                    int(block["timestamp"], 16),
                    Web3.to_checksum_address(one["from"]),
                    one.get("to"),
                    _bytes(one["input"]),
                    tuple(_log(log) for log in of_one),
                )
            )
    return found


def direct_calls(transaction: Transaction, address: str) -> list[Call] | None:
    """Return the calls by which a transaction made a contract log; None if by another contract."""
    if transaction.to is None or not transaction.logs_of(address):
        return []
    if transaction.to.lower() == address.lower():
        return [Call(transaction.sender, transaction.data)]
    return None


def calls_of(ask: Ask, transaction: Transaction, address: str) -> list[Call] | None:
    """Return the calls by which a transaction made a contract log; those that failed are left out.

    None if they were made by another contract, and the node does not trace.
    """
    calls = direct_calls(transaction, address)
    if calls is not None:
        return calls
    digest = "0x" + transaction.hash.hex()
    try:
        (trace,) = ask("debug_traceTransaction", [[digest, {"tracer": "callTracer"}]])
    except ChainError:
        return None
    return list(_calls_in(trace, address.lower()))


def _calls_in(frame: Mapping[str, Any], address: str) -> Iterator[Call]:
    if frame.get("error"):
        return
    if frame["type"] == "CALL" and frame.get("to", "").lower() == address:
        yield Call(Web3.to_checksum_address(frame["from"]), _bytes(frame["input"]))
    for inner in frame.get("calls", ()):
        yield from _calls_in(inner, address)


def _log(log: Mapping[str, Any]) -> Log:
    topics = tuple(_bytes(topic) for topic in log["topics"])
    return Log(Web3.to_checksum_address(log["address"]), topics, _bytes(log["data"]))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])

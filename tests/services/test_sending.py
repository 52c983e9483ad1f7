"""Transactions that hang, are dropped, or lose their number to another's, on a real node."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from chain.anvil import AnvilChain, anvil
from chain.contract import Receipt
from chain.node import fresh_key
from chain.sending import LEAST_RAISED_WEI, SteadyChain
from energy.errors import ChainError

TO = "0x00000000000000000000000000000000000000bd"
PATIENCE = 0.3


@pytest.fixture
def node() -> Iterator[AnvilChain]:
    """A node that makes no block unless it is told to."""
    with anvil(1_559_574_000) as chain:
        chain.request("evm_setAutomine", [False])
        yield chain


@pytest.fixture
def sender(node: AnvilChain) -> SteadyChain:
    """An account that can pay, and has no patience."""
    chain = SteadyChain(node.url, fresh_key(), patience_seconds=PATIENCE, timeout_seconds=30.0)
    node.fund(chain.sender)
    return chain


class Sending:
    """A transaction on its way, in a thread of its own."""

    def __init__(self, chain: SteadyChain, value: int = 1) -> None:
        self._receipt: Receipt | None = None
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self._receipt = chain.send(TO, b"", value)
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def result(self) -> Receipt:
        self._thread.join(30)
        if self._error:
            raise self._error
        assert self._receipt
        return self._receipt


def wait_for(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def pending(node: AnvilChain) -> list[dict[str, str]]:
    """What the node holds and has not sealed, by price."""
    content = node.request("txpool_content", [])
    assert isinstance(content, dict)
    found = [one for each in content["pending"].values() for one in each.values()]
    return sorted(found, key=lambda one: int(one["gasPrice"], 16))


def test_one_that_hangs_is_replaced_by_one_that_pays_more(node, sender):
    sending = Sending(sender)
    wait_for(lambda: sender.replaced >= 2)
    (held,) = pending(node)
    assert int(held["gasPrice"], 16) >= LEAST_RAISED_WEI
    node.request("evm_mine", [])
    sending.result()
    assert node.balance_of(TO) == 1


def test_one_that_the_node_dropped_is_sent_again(node, sender):
    sending = Sending(sender)
    wait_for(lambda: pending(node))
    node.request("anvil_dropTransaction", [pending(node)[0]["hash"]])
    wait_for(lambda: sender.resent and pending(node))
    node.request("evm_mine", [])
    sending.result()
    assert node.balance_of(TO) == 1


def test_a_number_that_another_program_took_is_given_up_for_the_next(node, sender):
    other = SteadyChain(node.url, sender.key or b"", 50 * LEAST_RAISED_WEI, patience_seconds=20)
    sending = Sending(sender)
    wait_for(lambda: pending(node))
    beside = Sending(other, value=10)
    wait_for(lambda: int(pending(node)[-1]["value"], 16) == 10)
    node.request("evm_mine", [])
    beside.result()
    wait_for(lambda: sender.resynced and pending(node))
    node.request("evm_mine", [])
    sending.result()
    assert node.balance_of(TO) == 11
    assert node.web3.eth.get_transaction_count(sender.sender) == 2


def test_what_a_killed_process_left_hanging_jams_nothing(node, sender):
    left = SteadyChain(node.url, sender.key or b"", LEAST_RAISED_WEI, timeout_seconds=0.0)
    with pytest.raises(ChainError, match=r"transaction 0 of 0x\w+ must be in a block within 0 s"):
        left.send(TO, b"", 10)
    assert pending(node)
    sending = Sending(sender)
    wait_for(lambda: int(pending(node)[-1]["value"], 16) == 1)
    node.request("evm_mine", [])
    sending.result()
    assert node.balance_of(TO) == 1, "the one that was left is replaced"


def test_a_price_beyond_the_limit_is_not_paid(node, sender):
    sender.most_gas_price_wei = 2 * LEAST_RAISED_WEI
    sender.timeout_seconds = 3.0
    sending = Sending(sender)
    message = f"within 3 s at {2 * LEAST_RAISED_WEI} wei a gas, got none"
    with pytest.raises(ChainError, match=message):
        sending.result()
    assert int(pending(node)[-1]["gasPrice"], 16) == 2 * LEAST_RAISED_WEI


def holds(node: AnvilChain, least: int) -> bool:
    return node.balance_of(TO) >= least


def test_many_at_once_come_through_one_after_the_other(node, sender):
    sending = [Sending(sender) for _ in range(5)]
    for done in range(1, 6):
        wait_for(lambda: pending(node))
        node.request("evm_mine", [])
        wait_for(partial(holds, node, done))
    for each in sending:
        each.result()
    assert node.balance_of(TO) == 5


def test_an_account_without_money_is_told(node, sender):
    node.request("anvil_setBalance", [sender.sender, "0x0"])
    with pytest.raises(ChainError, match="a transaction must be taken by the node, got"):
        sender.send(TO, b"", 1)

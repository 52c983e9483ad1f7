"""What an account has left to pay gas with, told from a real node's past states."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chain.anvil import AnvilChain, anvil
from chain.funds import DAY_SECONDS, Funds, funds_of
from chain.network.genesis import COIN
from chain.node import NodeChain, fresh_key
from energy.errors import ChainError
from energy.messages import address_of

START = 1_559_574_000
GWEI = 10**9
NOBODY = "0x" + "44" * 20


@pytest.fixture
def node() -> Iterator[AnvilChain]:
    with anvil(START) as chain:
        yield chain


@pytest.fixture
def payer(node: AnvilChain) -> NodeChain:
    """An account that pays 21,000 gas an hour, for a day and two hours."""
    key = fresh_key()
    node.fund(address_of(key), COIN)
    payer = NodeChain(node.url, key, GWEI)
    for hour in range(26):
        node.set_time(START + 3600 * (hour + 1))
        payer.send(NOBODY, b"")
    return payer


def test_days_are_told_by_the_use_of_the_last_day(payer: NodeChain):
    funds = funds_of(payer, payer.sender)
    spent = COIN - funds.balance
    assert funds.spent_a_day == pytest.approx(spent / 26 * 24, rel=0.15)
    assert funds.days == pytest.approx(funds.balance / (spent / 26 * 24), rel=0.15)
    assert funds.transactions == funds.balance // (100_000 * GWEI)
    assert not funds.low
    assert funds_of(payer, payer.sender, low_days=10_000).low


def test_a_payment_is_not_use(payer: NodeChain):
    before = funds_of(payer, payer.sender)
    payer.send(NOBODY, b"", COIN // 2)
    after = funds_of(payer, payer.sender)
    assert before.balance - after.balance > COIN // 2
    assert after.spent_a_day == pytest.approx(before.spent_a_day, rel=0.1)


def test_what_a_top_up_brings_hides_no_use(payer: NodeChain, node: AnvilChain):
    before = funds_of(payer, payer.sender)
    node.fund(payer.sender, 5 * COIN)
    node.request("evm_mine", [])
    assert funds_of(payer, payer.sender).spent_a_day == pytest.approx(before.spent_a_day, rel=0.1)


def test_a_young_chain_tells_no_use_and_few_transactions_are_low_all_the_same(node: AnvilChain):
    key = fresh_key()
    node.fund(address_of(key), 10**17)
    chain = NodeChain(node.url, key, GWEI)
    funds = funds_of(chain, chain.sender)
    assert (funds.days, funds.transactions, funds.low) == (None, 1_000, True)
    assert str(funds) == "0.100 coins, 1,000 transactions"
    assert Funds(NOBODY, 0, 0).low is False, "gas is free"


def test_a_node_that_let_go_of_past_states_tells_the_balance(payer: NodeChain, monkeypatch):
    asked = NodeChain.balance_of

    def pruned(self: NodeChain, address: str, block: int | None = None) -> int:
        if block is not None:
            raise ChainError("missing trie node")
        return asked(self, address)

    monkeypatch.setattr(NodeChain, "balance_of", pruned)
    funds = funds_of(payer, payer.sender)
    assert funds.days is None
    assert funds.coins < 1


def test_the_block_of_a_moment_is_found(payer: NodeChain):
    number = payer.block_at(payer.now() - DAY_SECONDS)
    assert payer.time_of(number) <= payer.now() - DAY_SECONDS < payer.time_of(number + 1)
    assert payer.block_at(0) == 0
    assert payer.block_at(payer.now() + 1) == payer.height()

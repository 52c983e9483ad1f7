"""The fullest slot the contract admits, through a real node: it clears and settles, by anyone.

1,000 sites, 9 orders each, every order trades. A geth node takes no transaction over 131,072
bytes, and a block holds 60 M gas.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eth_account import Account
from hexbytes import HexBytes

from bench.gas import BLOCK_GAS, FEE, FIRST_SLOT, FULLEST, RATINGS, RULES, TARIFF, key, orders_of
from chain.anvil import AnvilChain, anvil
from chain.contract import Receipt, interface
from chain.events import Cleared, ReadingMissed, Settled, market_events
from chain.market import MarketContract
from chain.node import NodeChain, fresh_key
from energy import errors
from energy.market import SETTLED
from energy.messages import address_of, sign
from energy.records import packed
from energy.units import SLOT_SECONDS
from orchestrator.moving.clearing import proposed

SITES, EACH, _ = FULLEST
SLOT = FIRST_SLOT + RULES.horizon + 8
MOST_BYTES = 131_072
"""What geth's transaction pool takes (txMaxSize)."""


@pytest.fixture
def node() -> Iterator[AnvilChain]:
    with anvil((FIRST_SLOT - 2) * SLOT_SECONDS) as chain:
        yield chain


def test_the_fullest_slot_the_contract_admits_clears_and_settles_by_anyone(
    node: AnvilChain,
) -> None:
    """With no reading at all, which is the dearest: 1,000 of them are assumed and kept."""
    market = MarketContract.deployed(node, node.sender, RULES)
    market.enact_tariff(SLOT, [TARIFF] * 48)
    for site in range(SITES):
        trader, oracle = address_of(key("trader", site)), address_of(key("oracle", site))
        market.enrol(SLOT, trader, oracle, RATINGS)
    orders = orders_of(SLOT, SITES, EACH)
    signatures = [sign(one, market.domain, key("trader", one.site)) for one in orders]
    node.set_time((SLOT - 1) * SLOT_SECONDS)
    for at in range(0, len(orders), 1_000):
        market.post(SLOT, orders[at : at + 1_000], signatures[at : at + 1_000])
    one_more = orders_of(SLOT, 1, EACH + 1)[-1]
    with pytest.raises(errors.AllowanceExceeded):
        market.post(SLOT, [one_more], [sign(one_more, market.domain, key("trader", 0))])

    anyone = NodeChain(node.url, fresh_key())
    node.set_time(RULES.gate_of(SLOT))
    book = packed(orders)
    proposal = proposed(SLOT, book, FEE)
    clear = interface("Market").call("clear", SLOT, book, proposal.bids, proposal.asks)
    (cleared,) = market_events(sent(anyone, market, clear).logs)
    assert isinstance(cleared, Cleared)
    assert {one.seller for one in cleared.trades} == set(range(1, SITES, 2))
    assert {one.buyer for one in cleared.trades} == set(range(0, SITES, 2))

    node.set_time(RULES.deadline_of(SLOT))
    settle = interface("Market").call("settle", SLOT, packed(cleared.trades))
    *missed, settled = market_events(sent(anyone, market, settle).logs)
    assert isinstance(settled, Settled)
    assert len(missed) == SITES
    assert all(isinstance(one, ReadingMissed) for one in missed)
    assert sum(settled.entries) == 0
    assert market.state_word(SLOT) >> 216 & 0xFF == SETTLED


def sent(anyone: NodeChain, market: MarketContract, data: bytes) -> Receipt:
    """Send a call from an account that no one knows; see that a PoA network would take it."""
    signed = Account.from_key(fresh_key()).sign_transaction(
        {
            "to": market.address,
            "data": HexBytes(data),
            "gas": BLOCK_GAS,
            "gasPrice": 10**9,
            "nonce": 2**32,
            "chainId": anyone.chain_id,
            "value": 0,
        }
    )
    assert len(signed.raw_transaction) <= MOST_BYTES
    receipt = anyone.send(market.address, data)
    assert receipt.gas_used <= BLOCK_GAS
    return receipt

"""The market under brownie: deployed, led through a slot, refusing, and equal to its twin.

Whether every rule is kept is tested in process (`tests/unit`); here, that it is so on a node as
brownie compiles, deploys and calls it. Energies in Wh, prices in 0.001 JPY/kWh.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

import brownie
import pytest
from hexbytes import HexBytes

from chain.contract import Log, interface
from chain.events import Cleared, OrdersPosted, ReadingPosted, Settled, market_events
from energy import market as reference
from energy.clearing import ranking_of
from energy.market import SETTLED, MarketRules
from energy.messages import Domain, address_of, sign
from energy.records import Order, Reading, Side, packed
from energy.registry import NETWORK, UTILITY, Ratings, Registry, Tariff
from energy.units import SLOT_SECONDS

TARIFF = Tariff(selling=22_000, buying=8_000, fee=1_000)
RATINGS = Ratings(40_000, 800, 800, 150, 440, 900)
SITES = range(3)
At = Callable[[int], None]


def key(role: str, site: int) -> bytes:
    return f"{role} {site}".encode().rjust(32, b"\1")


@dataclass
class Deployed:
    """A market as brownie knows it, its twin, and the first slot in which sites take part."""

    contract: Any
    twin: reference.Market
    owner: Any
    slot: int

    def signed(self, records: list[Order] | list[Reading], role: str) -> list[bytes]:
        return [sign(one, self.twin.domain, key(role, one.site)) for one in records]

    def tell(self, now: int, function: str, *arguments: Any) -> Any:
        """Tell the twin; return what it says."""
        return getattr(self.twin, function)(now, *arguments)


@pytest.fixture
def market(fn_isolation: None, Market: Any, accounts: Any, web3: Any) -> Deployed:  # noqa: N803
    owner = accounts[0]
    now = int(web3.eth.get_block("latest")["timestamp"])
    rules = MarketRules(now // SLOT_SECONDS + 1, 4, 900, 600, after_metering=False)
    contract = owner.deploy(Market, owner, *astuple(rules))
    slot = rules.first_slot + 5
    registry = Registry(rules.horizon, str(owner))
    contract.enactTariff(slot, [TARIFF.to_word()] * 48, {"from": owner})
    registry.enact_tariff(now, str(owner), slot, [TARIFF] * 48)
    for site in SITES:
        trader, oracle = address_of(key("trader", site)), address_of(key("oracle", site))
        contract.enrol(slot, trader, oracle, astuple(RATINGS), {"from": owner})
        registry.enrol(now, str(owner), slot, trader, oracle, RATINGS)
    domain = Domain(int(web3.eth.chain_id), contract.address)
    return Deployed(contract, reference.Market(rules, registry, domain), owner, slot)


def indices(ranked: tuple[int, ...]) -> bytes:
    return b"".join(index.to_bytes(2) for index in ranked)


def said(transaction: Any) -> list[object]:
    """Return the events of a brownie transaction, in the market's records."""
    logs = (
        Log(log.address, tuple(map(bytes, log.topics)), bytes(HexBytes(log.data)))
        for log in transaction.logs
    )
    return list(market_events(logs))


def live(market: Deployed, at: At, slot: int, orders: list[Order], readings: list[Reading]) -> None:
    """Lead a slot through its life on both, comparing what they say."""
    contract, rules, sender = market.contract, market.twin.rules, {"from": market.owner}
    moment = rules.gate_of(slot) - 1
    at(moment)
    signatures = market.signed(orders, "trader")
    posted = contract.post(slot, packed(orders), b"".join(signatures), sender)
    assert market.tell(moment, "post", slot, orders, signatures) == orders
    assert said(posted) == [OrdersPosted(slot, tuple(orders))]

    moment = rules.gate_of(slot)
    at(moment)
    ranking = ranking_of(orders, TARIFF.fee)
    bids, asks = indices(ranking.bids), indices(ranking.asks)
    cleared = contract.clear(slot, packed(orders), bids, asks, sender)
    clearing = market.tell(moment, "clear", slot, orders, ranking)
    assert said(cleared) == [Cleared(slot, clearing.price, clearing.trades)]

    moment = (slot + 1) * SLOT_SECONDS
    at(moment)
    signatures = market.signed(readings, "oracle")
    pushed = contract.push(packed(readings), b"".join(signatures), sender)
    market.tell(moment, "push", readings, signatures)
    assert said(pushed) == [ReadingPosted(reading) for reading in readings]
    settled = contract.settle(slot, packed(clearing.trades), sender)
    settlement = market.tell(moment, "settle", slot, clearing.trades)
    flows = settlement.deliveries, settlement.pool
    assert said(settled) == [Settled(slot, *flows, settlement.entries)]

    assert contract.stateOf(slot) == market.twin.state_word(slot)
    for account in (*SITES, UTILITY, NETWORK):
        assert contract.balanceOf(account) == market.twin.balances[account]


def test_the_code_that_is_shipped_is_what_brownie_builds(Market: Any) -> None:  # noqa: N803
    assert interface("Market").bytecode.hex() == Market.bytecode.removeprefix("0x")


def test_a_slot_goes_from_orders_to_balances(market: Deployed, at: At) -> None:
    slot = market.slot
    orders = [
        Order(slot, 0, Side.ASK, 3_000, 9_000, 1),
        Order(slot, 1, Side.BID, 1_000, 18_000, 1),
        Order(slot, 2, Side.BID, 1_500, 16_000, 1),
    ]
    readings = [
        Reading(slot, 0, exported=2_000, generated=5_000),
        Reading(slot, 1, imported=1_000),
        Reading(slot, 2, imported=1_600, discharged=100, stored=900),
    ]
    live(market, at, slot, orders, readings)
    contract = market.contract
    # The ask that is partly filled sets the price. 500 Wh are bought from the utility.
    assert contract.balanceOf(0) == 2_500 * 9_000 - 500 * 22_000
    assert contract.balanceOf(1) == -1_000 * 10_000
    assert contract.balanceOf(2) == -1_500 * 9_000 - 100 * 22_000 - 1_000 * 1_000
    assert contract.balanceOf(NETWORK) == 2_000 * 1_000
    assert contract.readingOf(slot, 2) == readings[2].to_word()
    assert contract.sequenceOf(slot, 0) == 1
    assert contract.stateOf(slot) >> 216 & 0xFF == SETTLED
    with brownie.reverts(f"AlreadySettled: {slot}"):
        contract.settle(slot, b"", {"from": market.owner})


def test_refusals_name_values_and_limits(market: Deployed, at: At, accounts: Any) -> None:
    slot, contract, sender = market.slot, market.contract, {"from": market.owner}
    gate = market.twin.rules.gate_of(slot)
    orders = [Order(slot, 0, Side.ASK, 3_000, 9_000, 1)]
    post = (slot, packed(orders), b"".join(market.signed(orders, "trader")))
    at(gate - 1)
    large = [Order(slot, 0, Side.ASK, 40_001, 9_000, 1)]
    with brownie.reverts("OrderBeyondRating: 0, 40001, 40000"):
        contract.post(slot, packed(large), b"".join(market.signed(large, "trader")), sender)
    with brownie.reverts("WrongSigner: 0, 0"):
        contract.post(slot, packed(orders), b"".join(market.signed(orders, "oracle")), sender)
    with brownie.reverts(f"GateOpen: {slot}, {gate}"):
        contract.settle(slot, b"", sender)
    at(gate)
    with brownie.reverts(f"GateClosed: {slot}, {gate}"):
        contract.post(*post, sender)
    with brownie.reverts(f"NothingToClear: {slot}"):
        contract.clear(slot, b"", b"", b"", sender)
    with brownie.reverts(f"ReadingsOpen: {slot}, {market.twin.rules.deadline_of(slot)}"):
        contract.settle(slot, b"", sender)
    with brownie.reverts(f"NotOwner: {str(accounts[1]).lower()}"):
        contract.retire(1, slot + 9, {"from": accounts[1]})


def test_anyone_may_take_each_step(market: Deployed, at: At, accounts: Any) -> None:
    market.owner = accounts[7]
    slot = market.slot
    orders = [Order(slot, 1, Side.BID, 100, 18_000, 1)]
    live(market, at, slot, orders, [Reading(slot, site, imported=500) for site in SITES])


def test_contract_and_twin_agree_on_slots_made_up_at_random(market: Deployed, at: At) -> None:
    chance = random.Random(7)
    # The next gate closes only after this slot is settled.
    for slot in range(market.slot, market.slot + 6, 2):
        sequences = dict.fromkeys(SITES, 0)
        orders = []
        for _ in range(9):
            site = chance.choice(SITES)
            sequences[site] += 1
            side, fresh = Side(chance.randrange(2)), chance.random() < 0.2
            energy, price = chance.randrange(5_000), chance.randrange(8_000, 20_000)
            orders.append(Order(slot, site, side, energy, price, sequences[site], fresh))
        readings = []
        for site in SITES:
            generated = chance.randrange(20_000)
            exported = chance.randrange(generated + 1)
            imported = chance.randrange(20_000)
            readings.append(Reading(slot, site, imported, exported, generated))
        live(market, at, slot, orders, readings)

"""What went wrong in other electricity markets on a chain, and does not here.

Each test is of a defect that was found in published contracts for peer-to-peer trading. The
desk is that of `tests/desk.py`. Energies in Wh, prices in 0.001 JPY/kWh.
"""

from __future__ import annotations

import inspect
from dataclasses import replace

from hexbytes import HexBytes

from chain.anvil import anvil
from chain.contract import interface
from chain.market import MarketContract
from energy import errors
from energy.clearing import Clearing, Ranking, cleared, ranking_of
from energy.messages import MESSAGE_TYPES, address_of
from energy.records import Trade
from energy.settlement import Settlement
from energy.units import SLOT_SECONDS
from tests.desk import (
    DEADLINE,
    END,
    FIRST_SLOT,
    GATE,
    KESENNUMA,
    OGAWARA,
    PLAIN,
    RULES,
    SENDAI,
    SLOT,
    TARIFF,
    Desk,
    ask,
    bid,
    key,
    reading,
)
from tests.unit import test_refusals


def test_two_identical_orders_of_one_site_lose_no_energy(desk: Desk) -> None:
    """Equal orders of one user were merged, and the energy of one was dropped."""
    desk.at(GATE - 1)
    twice = [ask(OGAWARA, 1_000, 9_000), ask(OGAWARA, 1_000, 9_000, 2)]
    orders = [*twice, bid(SENDAI, 2_000, 16_000)]
    desk.post(*orders)
    desk.at(GATE)
    clearing = desk.does("clear", SLOT, orders, ranking_of(orders, TARIFF.fee))
    trade = Trade(SLOT, OGAWARA, SENDAI, 1_000)
    assert clearing == Clearing(12_000, (trade, trade))


def test_nobody_posts_for_another(desk: Desk) -> None:
    """The offering site was an argument that nothing compared with the sender."""
    desk.at(GATE - 1)
    order = ask(OGAWARA, 1_000, 9_000)
    for forger in (SENDAI, KESENNUMA, 77):
        signed = desk.signed(replace(order, site=forger), order, role="trader")
        refused = errors.WrongSigner(0, OGAWARA)
        desk.refuses(refused, "post", SLOT, [order], signed[:1])
    assert desk.does("post", SLOT, [order], desk.signed(order, role="trader")) == [order]


def test_gas_is_reported_as_used_and_not_as_the_limit() -> None:
    """Published gas was the limit that transactions were sent with."""
    with anvil((FIRST_SLOT - 2) * SLOT_SECONDS) as node:
        market = MarketContract.deployed(node, node.sender, RULES)
        trader, oracle = address_of(key("trader", 0)), address_of(key("oracle", 0))
        receipt = market.enrol(FIRST_SLOT + 8, trader, oracle, PLAIN)
        limit = node.web3.eth.get_transaction(HexBytes(receipt.transaction))["gas"]
        in_block = node.web3.eth.get_block(receipt.block)["gasUsed"]
    assert receipt.gas_used == in_block < limit


def test_no_function_can_never_succeed(desk: Desk) -> None:
    """A published contract held one: nobody had ever called it with success."""
    test_refusals.test_every_public_function_succeeds(desk)
    functions = [entry for entry in interface("Market").abi if entry["type"] == "function"]
    assert len(desk.chain.succeeded) == len(functions)


def test_a_seller_is_not_paid_for_energy_that_it_never_supplied(desk: Desk) -> None:
    """The escrow of an unsupplied trade went to its seller."""
    trades = desk.cleared()
    assert trades == (Trade(SLOT, OGAWARA, KESENNUMA, 2_000),)
    desk.at(END)
    nothing = [reading(site, imported=0) for site in (OGAWARA, SENDAI)]
    desk.push(*nothing, reading(KESENNUMA, imported=2_000))
    desk.at(DEADLINE)
    settlement = desk.does("settle", SLOT, trades)
    assert isinstance(settlement, Settlement)
    assert [one.energy for one in settlement.deliveries] == [0]
    # What it had sold it buys from the utility, at a loss.
    assert settlement.entries[OGAWARA] < 0
    assert desk.contract.balance_of(OGAWARA) == settlement.entries[OGAWARA]


def test_proposer_and_verifier_agree_on_ties(desk: Desk) -> None:
    """Ties were broken by chance, and solver and verifier could not agree."""
    desk.at(GATE - 1)
    orders = [
        bid(SENDAI, 300, 16_000),
        bid(KESENNUMA, 300, 16_000),
        ask(OGAWARA, 200, 9_000),
        ask(OGAWARA, 200, 9_000, 2),
        bid(SENDAI, 100, 16_000, 2),
    ]
    desk.post(*orders)
    desk.at(GATE)
    ranking = ranking_of(orders, TARIFF.fee)
    assert ranking == Ranking((0, 1, 4), (2, 3))
    for other, culprit in ((Ranking((1, 0, 4), (2, 3)), 0), (Ranking((0, 1, 4), (3, 2)), 2)):
        desk.refuses(errors.OutOfRank(culprit), "clear", SLOT, orders, other)
    assert desk.does("clear", SLOT, orders, ranking) == cleared(orders, ranking, TARIFF.fee)


def test_no_price_or_energy_is_a_float() -> None:
    """Markets in floats needed one repair of their precision after the other."""
    for name in ("Order", "Reading"):
        kinds = {field["type"] for field in MESSAGE_TYPES[name]}
        assert kinds <= {"uint8", "uint16", "uint24", "uint32", "bool"}
    # Half a unit between two limits is left out, and nothing is lost of the money.
    orders = [ask(OGAWARA, 333, 9_000), bid(SENDAI, 333, 15_001)]
    clearing = cleared(orders, ranking_of(orders, TARIFF.fee), TARIFF.fee)
    assert clearing == Clearing(11_500, (Trade(SLOT, OGAWARA, SENDAI, 333),))
    assert isinstance(clearing.price, int)
    assert "float" not in inspect.getsource(inspect.getmodule(cleared))  # type: ignore[arg-type]

"""Two regions, a market each on a chain of its own, exchange energy through a tie line.

The line is a site of the grid operator's in both: what it takes out of one region its meter there
shows as imported, and the other's as generated and exported. It bids in the region that has too
much what the other's buyers leave for it, so that it earns nothing while the line has room; where
the line is full, it earns the difference of the two prices.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from chain.events import Settled, market_events
from chain.evm import EvmChain
from chain.market import MarketContract
from energy import errors
from energy.clearing import Clearing, cleared, ranking_of
from energy.laws import check_clearing, check_settlement
from energy.market import MarketRules
from energy.messages import address_of, sign
from energy.records import Order, Reading, Side
from energy.registry import NETWORK, UTILITY, Ratings, Tariff
from energy.units import SLOT_SECONDS

FIRST = 866_448
FEE = 1_000
TARIFF = Tariff(selling=22_000, buying=8_000, fee=FEE)
RATINGS = Ratings(order_energy=100_000, import_power=2_000, generation_power=2_000)
RULES = MarketRules(FIRST - 2, 8, 900, 300, after_metering=False)
OFFICE, TIE = 0, 1
"""The one office of each region, and the line."""
SURPLUS, NEED = 40_000, 70_000
"""Of the south's office and the north's, Wh."""
ASK, BID = 9_000, 20_000


@dataclass
class Region:
    """A market with an office and the line, on a chain of its own."""

    name: str
    chain: EvmChain = field(default_factory=lambda: EvmChain((FIRST - 12) * SLOT_SECONDS))

    def __post_init__(self) -> None:
        self.market = MarketContract.deployed(self.chain, self.chain.sender, RULES)
        self.market.enact_tariff(FIRST, [TARIFF] * 48)
        for site in (OFFICE, TIE):
            keys = address_of(self.key("trader", site)), address_of(self.key("oracle", site))
            self.market.enrol(FIRST, *keys, RATINGS)

    def key(self, role: str, site: int) -> bytes:
        return f"{self.name} {role} {site}".encode().rjust(32, b"\1")

    def clear(self, slot: int, *orders: Order) -> Clearing:
        """Post signed orders and clear them."""
        domain = self.market.domain
        signatures = [sign(one, domain, self.key("trader", one.site)) for one in orders]
        self.chain.set_time(RULES.gate_of(slot) - 60)
        self.market.post(slot, orders, signatures)
        self.chain.set_time(RULES.gate_of(slot))
        ranking = ranking_of(orders, FEE)
        self.market.clear(slot, orders, ranking)
        found = cleared(orders, ranking, FEE)
        check_clearing(slot, orders, found, FEE)
        return found

    def settle(self, slot: int, trades: Clearing, *readings: Reading) -> dict[int, int]:
        """Push signed readings, settle by the contract, and return what accounts are owed."""
        domain = self.market.domain
        self.chain.set_time((slot + 1) * SLOT_SECONDS)
        signatures = [sign(one, domain, self.key("oracle", one.site)) for one in readings]
        self.market.push(readings, signatures)
        receipt = self.market.settle(slot, trades.trades)
        (event,) = (one for one in market_events(receipt.logs) if isinstance(one, Settled))
        check_settlement(slot, trades.trades, {one.site: one for one in readings}, event)
        assert sum(event.entries) == 0
        return dict(zip((OFFICE, TIE, UTILITY, NETWORK), event.entries, strict=True))


def exchanged(south: Region, north: Region, slot: int, line: int) -> tuple[Clearing, Clearing]:
    """Let the south's surplus go north as far as the line (Wh) admits it: it asks there for what
    it has paid."""
    bought = south.clear(
        slot,
        Order(slot, OFFICE, Side.ASK, SURPLUS, ASK, 1),
        Order(slot, TIE, Side.BID, line, BID - FEE, 1),
    )
    energy = sum(trade.energy for trade in bought.trades)
    sold = north.clear(
        slot,
        Order(slot, OFFICE, Side.BID, NEED, BID, 1),
        Order(slot, TIE, Side.ASK, energy, bought.price + FEE, 1),
    )
    return bought, sold


def readings_of(slot: int, flow: int) -> tuple[list[Reading], list[Reading]]:
    """Return the readings of both regions: the line's mirror each other."""
    south = [
        Reading(slot, OFFICE, exported=SURPLUS, generated=SURPLUS),
        Reading(slot, TIE, imported=flow),
    ]
    north = [
        Reading(slot, OFFICE, imported=NEED),
        Reading(slot, TIE, exported=flow, generated=flow),
    ]
    return south, north


def settled(
    south: Region, north: Region, slot: int, line: int, lost: int = 0
) -> tuple[dict[int, int], dict[int, int], int]:
    """Exchange in a slot in which the line carries what was traded, but for `lost` Wh; return
    what accounts are owed in both regions, and what went over."""
    bought, sold = exchanged(south, north, slot, line)
    flow = sum(trade.energy for trade in bought.trades) - lost
    here, there = readings_of(slot, flow)
    entries = south.settle(slot, bought, *here), north.settle(slot, sold, *there)
    energy = sum(one.imported - one.exported for one in (here[TIE], there[TIE]))
    assert energy == 0
    return *entries, flow


@pytest.fixture
def regions() -> tuple[Region, Region]:
    return Region("south"), Region("north")


def test_a_line_with_room_takes_and_gives_the_same_energy_for_the_same_money(regions):
    south, north = regions
    for slot in (FIRST, FIRST + 1):
        here, there, flow = settled(south, north, slot, line=60_000)
        assert flow == SURPLUS
        assert here[TIE] == -flow * (BID - FEE)
        assert here[TIE] + there[TIE] == 0
        # Each region's fee goes to its own network, the utility gives what the line does not.
        assert (here[NETWORK], there[NETWORK]) == (flow * FEE, flow * FEE)
        assert (here[UTILITY], there[UTILITY]) == (0, (NEED - flow) * TARIFF.selling)
        # The south's office gets what the north's pays, less the two fees.
        assert here[OFFICE] == flow * (BID - 2 * FEE)


def test_a_full_line_earns_the_difference_of_the_prices(regions):
    south, north = regions
    here, there, flow = settled(south, north, FIRST, line=10_000)
    assert flow == 10_000
    assert here[TIE] + there[TIE] == flow * (BID - FEE - (ASK + FEE))
    every = [*here.values(), *there.values()]
    assert sum(every) == 0


def test_a_line_that_carries_less_than_it_traded_owes_the_difference_as_any_site(regions):
    south, north = regions
    here, there, flow = settled(south, north, FIRST, line=60_000, lost=5_000)
    assert flow == SURPLUS - 5_000
    assert here[TIE] + there[TIE] < 0
    assert sum(here.values()) == sum(there.values()) == 0


def test_an_order_of_one_region_is_none_in_the_other(regions):
    south, north = regions
    order = Order(FIRST, TIE, Side.BID, 1_000, BID, 1)
    signature = sign(order, south.market.domain, south.key("trader", TIE))
    for region in regions:
        region.chain.set_time(RULES.gate_of(FIRST) - 60)
    with pytest.raises(errors.WrongSigner):
        north.market.post(FIRST, [order], [signature])
    south.market.post(FIRST, [order], [signature])

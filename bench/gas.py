"""Gas of each step, base and calldata included, as a node's receipts say it.

Each case runs twice at the same place of the ring: the first use pays for new storage words,
the second is the steady state that the bars are for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from bench.figures import Figure
from chain.anvil import AnvilChain, anvil
from chain.events import Cleared, market_events
from chain.market import MarketContract
from energy.market import RING, MarketRules
from energy.messages import address_of, sign
from energy.records import ORDER_BYTES, Order, Reading, Side, packed
from energy.registry import Ratings, Tariff
from energy.units import SLOT_SECONDS
from orchestrator.clearing import proposed

FIRST_SLOT = 866_448
FEE = 1_000
TARIFF = Tariff(selling=22_000, buying=8_000, fee=FEE)
RATINGS = Ratings(100_000, 2_000, 800, 150, 440, 900)
RULES = MarketRules(FIRST_SLOT, 96, 3_600, 600, after_metering=False)
POST_BATCH = 1_000
READING_BATCH = 100


@dataclass(frozen=True)
class SlotGas:
    """What a slot cost: all posts, the clearing, each push, the settlement."""

    orders: int
    trades: int
    post: int
    clear: int
    readings: tuple[int, ...]
    settle: int

    @property
    def whole(self) -> int:
        """All of it."""
        return self.post + self.clear + sum(self.readings) + self.settle


def key(role: str, site: int) -> bytes:
    """Return a site's key, for a chain that lives as long as the bench."""
    return f"{role} {site}".encode().rjust(32, b"\1")


def orders_of(slot: int, sites: int, each: int) -> list[Order]:
    """Return orders that all trade: even sites buy dear, odd ones sell cheap."""
    return [
        Order(
            slot,
            site,
            Side(site % 2),
            10_000 + 7 * site + 13 * number,
            10_000 + site % 7 * 200 if site % 2 else 18_000 - site % 5 * 300,
            number + 1,
        )
        for number in range(each)
        for site in range(sites)
    ]


def reading_of(slot: int, site: int) -> Reading:
    """Return a reading that follows the trades by and large."""
    if site % 2:
        return Reading(slot, site, 0, 19_000 + site, 30_000, 500, 0, 13_000)
    return Reading(slot, site, 20_000 - site, 0, 3_000, 0, 0, 12_000)


def slot_gas(
    node: AnvilChain, market: MarketContract, slot: int, sites: int, each: int, alone: bool
) -> SlotGas:
    """Lead a slot through its life; `alone`: readings are sent one by one."""
    orders = orders_of(slot, sites, each)
    signatures = [sign(order, market.domain, key("trader", order.site)) for order in orders]
    node.set_time((slot - 1) * SLOT_SECONDS)
    post = sum(
        market.post(slot, orders[at : at + POST_BATCH], signatures[at : at + POST_BATCH]).gas_used
        for at in range(0, len(orders), POST_BATCH)
    )
    node.set_time(RULES.gate_of(slot))
    book = packed(orders)
    proposal = proposed(slot, book, FEE)
    cleared = market.clear_packed(slot, book, proposal.bids, proposal.asks)
    trades = [
        trade
        for event in market_events(cleared.logs)
        if isinstance(event, Cleared)
        for trade in event.trades
    ]
    node.set_time((slot + 1) * SLOT_SECONDS)
    readings = [reading_of(slot, site) for site in range(sites)]
    signed = [sign(reading, market.domain, key("oracle", reading.site)) for reading in readings]
    batch = 1 if alone else READING_BATCH
    pushes = tuple(
        market.push(readings[at : at + batch], signed[at : at + batch]).gas_used
        for at in range(0, sites, batch)
    )
    settled = market.settle(slot, trades)
    return SlotGas(len(orders), len(trades), post, cleared.gas_used, pushes, settled.gas_used)


@cache
def measured(sites: int, each: int, alone: bool, rounds: int = 2) -> tuple[SlotGas, ...]:
    """Return the first and the second use of a place in the ring."""
    with anvil((FIRST_SLOT - 2) * SLOT_SECONDS) as node:
        market = MarketContract.deployed(node, node.sender, RULES)
        slot = FIRST_SLOT + RULES.horizon + 8
        market.enact_tariff(slot, [TARIFF] * 48)
        for site in range(sites):
            trader, oracle = key("trader", site), key("oracle", site)
            market.enrol(slot, address_of(trader), address_of(oracle), RATINGS)
        return tuple(
            slot_gas(node, market, slot + number * RING, sites, each, alone)
            for number in range(rounds)
        )


def figures() -> list[Figure]:
    """Measure all."""
    found: list[Figure] = []
    for sites, bar_post, bar_clear in ((7, None, None), (50, 8_700, 3_400), (500, 8_700, 3_400)):
        first, steady = measured(sites, 2, alone=sites == 7)
        count = steady.orders
        found += [
            Figure(f"an order, in a batch of {count:,}", steady.post / count, "gas", bar_post),
            Figure(f"an order, in a batch of {count:,}, first use", first.post / count, "gas"),
            Figure(
                f"clearing {count:,} that all trade, an order",
                steady.clear / count,
                "gas",
                bar_clear,
            ),
        ]
        if sites == 7:
            found += [
                Figure("a reading alone", max(steady.readings), "gas", 42_000),
                Figure("a reading alone, first use", max(first.readings), "gas"),
                Figure("settling 7 sites", steady.settle, "gas"),
                Figure("settling 7 sites, first use", first.settle, "gas"),
                Figure("a whole slot of 7 sites", steady.whole, "gas", 620_000),
                Figure("a whole slot of 7 sites, first use", first.whole, "gas"),
            ]
        elif sites == 500:
            found += [
                Figure("a reading, in a batch of 100", steady.readings[0] / READING_BATCH, "gas"),
                Figure("settling 500 sites, each", steady.settle / sites, "gas"),
            ]
    (largest,) = measured(600, 15, alone=False, rounds=1)
    size = largest.orders * (ORDER_BYTES + 2)
    found += [
        Figure(f"clearing {largest.orders:,}, an order", largest.clear / largest.orders, "gas"),
        Figure(f"clearing {largest.orders:,}, in all", largest.clear, "gas", 60_000_000),
        Figure(f"clearing {largest.orders:,}, words and ranking", size, "bytes", 131_072),
    ]
    return found

"""Gas of each step, base and calldata included, as a node's receipts say it.

Each case runs twice at the same place of the ring: the first use pays for new storage words,
the second is the steady state that the bars are for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from eth_utils.address import to_checksum_address

from bench.figures import Figure
from chain.anvil import AnvilChain, anvil
from chain.events import Cleared, market_events
from chain.market import MarketContract
from energy.market import RING, MarketRules
from energy.messages import address_of, sign
from energy.records import ORDER_BYTES, Order, Reading, Side, packed
from energy.registry import Ratings, Tariff
from energy.units import SLOT_SECONDS
from orchestrator.moving.clearing import proposed

FIRST_SLOT = 866_448
FEE = 1_000
TARIFF = Tariff(selling=22_000, buying=8_000, fee=FEE)
RATINGS = Ratings(100_000, 2_000, 800, 150, 440, 900)
RULES = MarketRules(FIRST_SLOT, 96, 3_600, 600, after_metering=False)
POST_BATCH = 1_000
READING_BATCH = 100
INDEX_BYTES = 2
BLOCK_GAS = 60_000_000
CODE_BYTES = 24_576 * 8 // 10
"""The most that a chain takes (EIP-170), with a fifth to spare."""
CASES = ((7, 2, True), (50, 2, False), (500, 2, False))
"""Sites, orders each, and whether readings are sent one by one."""
APART = ((7, 2, True), (50, 2, False))
"""The same where nothing trades: they tell a trade's own gas from an order's and a site's."""
THOUSAND = (1_000, 1, False)
FULLEST = (1_000, 9, False)
"""Every site with its whole allowance, and every order trades."""


@dataclass(frozen=True)
class SlotGas:
    """What a slot cost: all posts, the clearing, each push, the settlement."""

    orders: int
    trades: int
    post: int
    clear: int
    readings: tuple[int, ...]
    settle: int
    clear_bytes: int = 0

    @property
    def whole(self) -> int:
        """All of it."""
        return self.post + self.clear + sum(self.readings) + self.settle


def key(role: str, site: int) -> bytes:
    """Return a site's key, for a chain that lives as long as the bench."""
    return f"{role} {site}".encode().rjust(32, b"\1")


def orders_of(slot: int, sites: int, each: int, apart: bool = False) -> list[Order]:
    """Return orders that all trade: even sites buy dear, odd ones sell cheap; `apart`, they ask
    more than anyone bids, and none trades."""
    dearer = 10_000 if apart else 0
    return [
        Order(
            slot,
            site,
            Side(site % 2),
            10_000 + 7 * site + 13 * number,
            10_000 + dearer + site % 7 * 200 if site % 2 else 18_000 - site % 5 * 300,
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
    node: AnvilChain,
    market: MarketContract,
    slot: int,
    sites: int,
    each: int,
    alone: bool,
    apart: bool = False,
) -> SlotGas:
    """Lead a slot through its life; `alone`: readings are sent one by one; `apart`: no trades."""
    orders = orders_of(slot, sites, each, apart)
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
    return SlotGas(
        orders=len(orders),
        trades=len(trades),
        post=post,
        clear=cleared.gas_used,
        readings=pushes,
        settle=settled.gas_used,
        clear_bytes=len(orders) * (ORDER_BYTES + INDEX_BYTES),
    )


@cache
def measured(
    sites: int, each: int, alone: bool, rounds: int = 2, apart: bool = False
) -> tuple[SlotGas, ...]:
    """Return the first and the second use of a place in the ring."""
    with anvil((FIRST_SLOT - 2) * SLOT_SECONDS) as node:
        market = MarketContract.deployed(node, node.sender, RULES)
        slot = FIRST_SLOT + RULES.horizon + 8
        market.enact_tariff(slot, [TARIFF] * 48)
        for site in range(sites):
            trader, oracle = key("trader", site), key("oracle", site)
            market.enrol(slot, address_of(trader), address_of(oracle), RATINGS)
        return tuple(
            slot_gas(node, market, slot + number * RING, sites, each, alone, apart)
            for number in range(rounds)
        )


def figures() -> list[Figure]:
    """Measure all."""
    few, some, many = (measured(*case) for case in CASES)
    most = measured(*FULLEST, rounds=1)[0]
    found = [*_ordering(few), *_ordering(some), *_ordering(many)]
    for name, first, steady, bar in (
        ("a reading alone", max(few[0].readings), max(few[1].readings), 41_500),
        ("settling 7 sites", few[0].settle, few[1].settle, 115_000),
        ("a whole slot of 7 sites", few[0].whole, few[1].whole, 600_000),
    ):
        found += [Figure(name, steady, "gas", bar), Figure(f"{name}, first use", first, "gas")]
    thousand = measured(*THOUSAND)[1]
    found += [
        Figure("a reading, in a batch of 100", many[1].readings[0] / READING_BATCH, "gas", 14_200),
        Figure(
            f"settling 1,000 sites with {thousand.trades:,} trades, each",
            thousand.settle / 1_000,
            "gas",
            8_000,
        ),
        Figure(
            f"clearing {most.orders:,} that all trade, an order", most.clear / most.orders, "gas"
        ),
        Figure(f"clearing {most.orders:,}, in all", most.clear, "gas", BLOCK_GAS),
        Figure(f"clearing {most.orders:,}, words and ranking", most.clear_bytes, "bytes", 131_072),
        Figure(f"settling {most.trades:,} trades of 1,000 sites", most.settle, "gas", BLOCK_GAS),
        Figure("the market's code", code_size(), "bytes", CODE_BYTES),
    ]
    return found + _beside_peers(few[1], some[1])


def _ordering(slots: tuple[SlotGas, ...]) -> list[Figure]:
    first, steady = slots
    count = steady.orders
    post_bar, clear_bar = {100: (8_700, 2_400), 1_000: (8_700, 2_200)}.get(count, (None, None))
    return [
        Figure(f"an order, in a batch of {count:,}", steady.post / count, "gas", post_bar),
        Figure(f"an order, in a batch of {count:,}, first use", first.post / count, "gas"),
        Figure(
            f"clearing {count:,} that all trade, an order", steady.clear / count, "gas", clear_bar
        ),
    ]


def _beside_peers(few: SlotGas, some: SlotGas) -> list[Figure]:
    """How many times less than what others' contracts took on the same EVM rules."""
    return [
        Figure(f"{name}: a peer's {peer:,} gas to ours", peer / ours, "times")
        for name, peer, ours in (
            ("an order, unchecked", 76_590, some.post / some.orders),
            ("an order, checked", 121_061, some.post / some.orders),
            ("clearing, an order of 100", 68_668, some.clear / some.orders),
            ("a slot of 14 orders", 2_740_000, few.whole),
        )
    ]


def code_size() -> int:
    """Return how many bytes of code the market has on a chain."""
    with anvil((FIRST_SLOT - 2) * SLOT_SECONDS) as node:
        market = MarketContract.deployed(node, node.sender, RULES)
        return len(node.web3.eth.get_code(to_checksum_address(market.address)))

"""The clearing's gain against a linear program that knows nothing of rankings.

The program may pair any live bid with any live ask, within the energy of each order and, when
orders come after metering, within what each site metered. Which orders are live is found here
anew, from the words of `docs/market.md`. Energies in Wh, prices in 0.001 JPY/kWh.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy.optimize import linprog

from energy.clearing import Clearing, cleared, ranking_of
from energy.records import Order, Side

SLOT = 866_458
Caps = Mapping[int, tuple[int, int]]
"""What each site imported and exported."""


def live(book: Sequence[Order], fee: int) -> list[Order]:
    """Return the orders that are not replaced, empty, or void for meeting their own site."""
    found: list[Order] = []
    for order in book:
        if order.fresh:
            found = [other for other in found if other.site != order.site]
        meets_own = any(
            other.site == order.site
            and other.side != order.side
            and gain_of(order, other, fee) >= 0
            for other in found
        )
        if order.energy and not meets_own:
            found.append(order)
    return found


def gain_of(one: Order, other: Order, fee: int) -> int:
    """What a Wh traded between a bid and an ask gains, whichever is which."""
    bid, ask = (one, other) if one.side == Side.BID else (other, one)
    return bid.price - ask.price - fee


def best_surplus(book: Sequence[Order], fee: int, caps: Caps | None = None) -> int:
    """Return the largest gain of all trades together, by scipy's linear programming (HiGHS)."""
    orders = live(book, fee)
    bids = [order for order in orders if order.side == Side.BID]
    asks = [order for order in orders if order.side == Side.ASK]
    pairs = [(bid, ask) for bid in bids for ask in asks]
    if not pairs:
        return 0
    limits: list[tuple[list[bool], int]] = [
        ([one is order for pair in pairs for one in pair if one.side == order.side], order.energy)
        for order in orders
    ]
    if caps is not None:
        for site in {order.site for order in orders}:
            imported, exported = caps.get(site, (0, 0))
            limits.append(([bid.site == site for bid, _ in pairs], imported))
            limits.append(([ask.site == site for _, ask in pairs], exported))
    gains = [gain_of(bid, ask, fee) for bid, ask in pairs]
    solved = linprog(
        [-gain for gain in gains],
        A_ub=np.array([row for row, _ in limits], dtype=float),
        b_ub=[limit for _, limit in limits],
        method="highs",
    )
    assert solved.success
    # Limits of orders and of sites nest: a corner of whole limits is whole.
    flows = np.round(solved.x).astype(int)
    for row, limit in limits:
        assert int(np.dot(row, flows)) <= limit
    return sum(gain * int(flow) for gain, flow in zip(gains, flows, strict=True))


def surplus_of(
    book: Sequence[Order], clearing: Clearing, fee: int, caps: Caps | None = None
) -> int:
    """Return what the trades of a clearing gain together, by the orders that they fill.

    What a site trades fills its keenest orders first, up to their energy.
    """
    orders = live(book, fee)
    total = 0
    for side, member in ((Side.BID, "buyer"), (Side.ASK, "seller")):
        energies: Counter[int] = Counter()
        for trade in clearing.trades:
            energies[getattr(trade, member)] += trade.energy
        for site, energy in energies.items():
            if caps is not None:
                assert energy <= caps.get(site, (0, 0))[side]
            own = [order for order in orders if order.site == site and order.side == side]
            for order in sorted(own, key=lambda one: one.price, reverse=side == Side.BID):
                part = min(order.energy, energy)
                energy -= part
                total += part * (order.price if side == Side.BID else -order.price - fee)
            assert energy == 0, "no site trades more than it offered"
    return total


def a_book(chance: random.Random) -> list[Order]:
    """Few orders of few sites: ties, replaced, empty and self-crossing ones are frequent."""
    sequences: Counter[int] = Counter()
    book = []
    step = chance.choice([1, 500, 2_000, 7_000])
    for _ in range(chance.randrange(1, 13)):
        site = chance.randrange(5)
        sequences[site] += 1
        book.append(
            Order(
                SLOT,
                site,
                Side(chance.randrange(2)),
                chance.choice([0, 1, chance.randrange(12), chance.randrange(60_000)]),
                chance.choice([0, 2**24 - 1, *(chance.randrange(8_000, 22_001) for _ in range(6))])
                // step
                * step,
                sequences[site],
                fresh=chance.random() < 0.15,
            )
        )
    return book


@pytest.mark.parametrize("after_metering", [False, True])
@pytest.mark.parametrize("fee", [0, 1, 1_000, 2_000])
def test_no_set_of_trades_gains_more_than_the_clearings(after_metering: bool, fee: int) -> None:
    chance = random.Random(fee)
    traded = held_back = replaced = 0
    for _ in range(150):
        book = a_book(chance)
        caps = None
        if after_metering:
            energies = [0, chance.randrange(12), *[chance.randrange(60_000)] * 3, 2**32 - 1]
            caps = {
                site: (chance.choice(energies), chance.choice(energies))
                for site in range(5)
                if chance.random() < 0.9
            }
        clearing = cleared(book, ranking_of(book, fee), fee, caps)
        assert surplus_of(book, clearing, fee, caps) == best_surplus(book, fee, caps)
        assert all(trade.energy and trade.seller != trade.buyer for trade in clearing.trades)
        traded += bool(clearing.trades)
        held_back += clearing != cleared(book, ranking_of(book, fee), fee)
        replaced += len(live(book, fee)) < len(book)
    # Of each kind there were enough to tell.
    assert traded > 50
    assert replaced > 75
    assert held_back > 30 or not after_metering


def test_the_program_finds_a_gain_that_a_worse_clearing_misses() -> None:
    """The check can fail: without the second trade, or with the dearer ask, less is gained."""
    book = [
        Order(SLOT, 0, Side.ASK, 100, 9_000, 1),
        Order(SLOT, 1, Side.ASK, 100, 12_000, 1),
        Order(SLOT, 2, Side.BID, 150, 20_000, 1),
    ]
    clearing = cleared(book, ranking_of(book, 1_000), 1_000)
    best = 100 * 10_000 + 50 * 7_000
    assert surplus_of(book, clearing, 1_000) == best_surplus(book, 1_000) == best
    worse = Clearing(clearing.price, clearing.trades[:1])
    assert surplus_of(book, worse, 1_000) == 100 * 10_000
    assert best_surplus(book, 1_000, {2: (120, 0), 0: (0, 100), 1: (0, 7)}) == (
        100 * 10_000 + 7 * 7_000
    )

"""Clearing a slot's book: which orders are live, how they rank, who trades at what price.

Prices in 0.001 JPY/kWh, energies in Wh, as in `energy.units`. The twin of
`contracts/Matching.sol`, in the words of an economist:

1. An order is live unless its energy is zero, a later *fresh* order of its site voids it, or
   it would have traded with an earlier live order of its own site.
2. Bids rank by falling price, asks by rising price, ties by arrival.
3. Both rankings are walked together while `bid >= ask + fee`: these pairs are the trades. No
   other set of trades has a larger surplus (sum of bid - ask - fee over the energy traded).
4. One price p lies between buyers and sellers, in the middle of what every order admits:
   p + fee = floor((max(last accepted ask + fee, first rejected bid)
                   + min(last accepted bid, first rejected ask + fee)) / 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from energy.records import Order, Side, Trade


@dataclass(frozen=True, slots=True)
class Clearing:
    """The trades of a slot and the price that they share; price 0 without trades."""

    price: int
    trades: tuple[Trade, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Indices of the live bids and asks, each side in its order."""

    bids: tuple[int, ...]
    asks: tuple[int, ...]


def live_orders(book: Sequence[Order], fee: int) -> list[int]:
    """Return the indices of the live orders, in order of arrival.

    `book` holds a slot's accepted orders in order of arrival.
    """
    live: dict[int, list[int]] = {}
    for index, order in enumerate(book):
        own = live.setdefault(order.site, [])
        if order.fresh:
            own.clear()
        if order.energy and not any(_would_trade(order, book[other], fee) for other in own):
            own.append(index)
    return sorted(index for own in live.values() for index in own)


def _would_trade(order: Order, other: Order, fee: int) -> bool:
    if order.side == other.side:
        return False
    bid, ask = (order, other) if order.side == Side.BID else (other, order)
    return bid.price >= ask.price + fee


def ranking_of(book: Sequence[Order], fee: int) -> Ranking:
    """Return the ranking of a book's live orders."""
    live = live_orders(book, fee)
    bids = [index for index in live if book[index].side == Side.BID]
    asks = [index for index in live if book[index].side == Side.ASK]
    # A sort keeps ties as they were: by arrival.
    bids.sort(key=lambda index: -book[index].price)
    asks.sort(key=lambda index: book[index].price)
    return Ranking(tuple(bids), tuple(asks))


def cleared(
    book: Sequence[Order],
    ranking: Ranking,
    fee: int,
    caps: Mapping[int, tuple[int, int]] | None = None,
) -> Clearing:
    """Return the trades of a ranked book and their price.

    `caps` gives what each site may still buy and sell, in Wh, when orders come after metering:
    an order counts up to what the ranking leaves of it, and not at all for a site without one.
    """
    bids = _capped(book, ranking.bids, None if caps is None else _side(caps, 0))
    asks = _capped(book, ranking.asks, None if caps is None else _side(caps, 1))
    trades: list[Trade] = []
    lower = upper = 0
    b = a = 0
    while b < len(bids) and a < len(asks):
        (bid, bid_left), (ask, ask_left) = bids[b], asks[a]
        if bid.price < ask.price + fee:
            break
        energy = min(bid_left, ask_left)
        trades.append(Trade(bid.slot, ask.site, bid.site, energy))
        lower, upper = ask.price + fee, bid.price
        bids[b], asks[a] = (bid, bid_left - energy), (ask, ask_left - energy)
        b += bid_left == energy
        a += ask_left == energy
    if not trades:
        return Clearing(0, ())
    if b < len(bids):
        lower = max(lower, bids[b][0].price)
    if a < len(asks):
        upper = min(upper, asks[a][0].price + fee)
    return Clearing((lower + upper) // 2 - fee, tuple(trades))


def _side(caps: Mapping[int, tuple[int, int]], side: int) -> dict[int, int]:
    return {site: pair[side] for site, pair in caps.items()}


def _capped(
    book: Sequence[Order], indices: Sequence[int], caps: Mapping[int, int] | None
) -> list[tuple[Order, int]]:
    """Return one side's orders with the energy that counts, without those of none."""
    if caps is None:
        return [(book[index], book[index].energy) for index in indices]
    left = dict(caps)
    orders = []
    for index in indices:
        order = book[index]
        energy = min(order.energy, left.get(order.site, 0))
        if energy:
            left[order.site] -= energy
            orders.append((order, energy))
    return orders

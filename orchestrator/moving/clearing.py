"""Clearing a large book off chain: `energy.clearing`, vectorised.

It proposes to the contract what the twin would: the ranking, and with it trades and price. A
book is its packed orders (10 bytes each), as the chain logs and takes them. Up to `SMALL`
orders plain Python is faster and does it.

Energy in Wh, prices in 0.001 JPY/kWh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy.clearing import cleared, live_orders, ranking_of
from energy.records import ORDER_BYTES, Order, packed

SMALL = 64

_ORDER = np.dtype([("site", ">u2"), ("energy", ">u4"), ("price", "u1", 3), ("flags", "u1")])
_TRADE = np.dtype([("seller", ">u2"), ("buyer", ">u2"), ("energy", ">u4")])
_INDEX = np.dtype(">u2")
_ASK, _FRESH = 16, 32
_INDEX_BITS = 24

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A book's ranking (2-byte indices, packed), trades (packed) and price."""

    bids: bytes
    asks: bytes
    trades: bytes
    price: int


def proposed(slot: int, book: bytes, fee: int) -> Proposal:
    """Return the clearing of a slot's packed book, in full (gates ahead of the slot)."""
    if len(book) <= SMALL * ORDER_BYTES:
        return _proposed_plainly(slot, book, fee)
    orders = np.frombuffer(book, _ORDER)
    high, middle, low = orders["price"].T.astype(np.int64)
    prices = high << 16 | middle << 8 | low
    sites = orders["site"].astype(np.int64)
    energies = orders["energy"].astype(np.int64)
    is_ask = orders["flags"] & _ASK != 0
    live = _live(slot, book, sites, energies, prices, is_ask, orders["flags"] & _FRESH != 0, fee)
    bids, asks = np.flatnonzero(live & ~is_ask), np.flatnonzero(live & is_ask)
    # Price and arrival in one number: one sort ranks, and ties stay as they arrived.
    bids = np.sort(-prices[bids] << _INDEX_BITS | bids) & (1 << _INDEX_BITS) - 1
    asks = np.sort(prices[asks] << _INDEX_BITS | asks) & (1 << _INDEX_BITS) - 1
    trades, price = _matched(
        sites[bids], energies[bids], prices[bids], sites[asks], energies[asks], prices[asks], fee
    )
    return Proposal(
        bids.astype(_INDEX).tobytes(), asks.astype(_INDEX).tobytes(), trades.tobytes(), price
    )


def _proposed_plainly(slot: int, book: bytes, fee: int) -> Proposal:
    orders = [
        Order.from_bytes(slot, book[at : at + ORDER_BYTES])
        for at in range(0, len(book), ORDER_BYTES)
    ]
    ranking = ranking_of(orders, fee)
    clearing = cleared(orders, ranking, fee)
    bids, asks = (
        b"".join(index.to_bytes(2) for index in side) for side in (ranking.bids, ranking.asks)
    )
    return Proposal(bids, asks, packed(clearing.trades), clearing.price)


def _live(
    slot: int,
    book: bytes,
    sites: Numbers,
    energies: Numbers,
    prices: Numbers,
    is_ask: NDArray[np.bool_],
    is_fresh: NDArray[np.bool_],
    fee: int,
) -> NDArray[np.bool_]:
    """Which orders are live. Sites with fresh or self-crossing orders are left to the twin."""
    live = energies > 0
    count = int(sites.max()) + 1
    dearest_bid = np.full(count, -1, np.int64)
    cheapest_ask = np.full(count, 1 << 25, np.int64)
    bids, asks = live & ~is_ask, live & is_ask
    np.maximum.at(dearest_bid, sites[bids], prices[bids])
    np.minimum.at(cheapest_ask, sites[asks], prices[asks])
    special = dearest_bid >= cheapest_ask + fee
    special[sites[is_fresh]] = True
    if special.any():
        indices = np.flatnonzero(special[sites])
        orders = [
            Order.from_bytes(slot, book[at * ORDER_BYTES : (at + 1) * ORDER_BYTES])
            for at in indices
        ]
        live[indices] = False
        live[indices[live_orders(orders, fee)]] = True
    return live


def _matched(
    buyers: Numbers,
    wanted: Numbers,
    bid_prices: Numbers,
    sellers: Numbers,
    offered: Numbers,
    ask_prices: Numbers,
    fee: int,
) -> tuple[NDArray[np.void], int]:
    """Return the trades of two ranked sides and their price.

    Both sides are laid end to end on one line of energy; between two neighbouring ends, of
    either side, one bid meets one ask. Trading stops where the bid is below the ask with fee.
    """
    nothing = np.empty(0, _TRADE)
    if not len(wanted) or not len(offered):
        return nothing, 0
    bid_ends, ask_ends = np.cumsum(wanted), np.cumsum(offered)
    both = min(bid_ends[-1], ask_ends[-1])
    ends = np.concatenate((bid_ends, ask_ends))
    ends = np.unique(ends[ends <= both])
    bid, ask = np.searchsorted(bid_ends, ends), np.searchsorted(ask_ends, ends)
    fits = bid_prices[bid] >= ask_prices[ask] + fee
    count = len(fits) if fits.all() else int(np.argmin(fits))
    if not count:
        return nothing, 0
    ends, bid, ask = ends[:count], bid[:count], ask[:count]
    trades = np.empty(count, _TRADE)
    trades["seller"], trades["buyer"] = sellers[ask], buyers[bid]
    trades["energy"] = np.diff(ends, prepend=0)
    last, last_bid, last_ask = ends[-1], int(bid[-1]), int(ask[-1])
    least, most = int(ask_prices[last_ask]) + fee, int(bid_prices[last_bid])
    next_bid = last_bid + int(bid_ends[last_bid] == last)
    next_ask = last_ask + int(ask_ends[last_ask] == last)
    if next_bid < len(bid_prices):
        least = max(least, int(bid_prices[next_bid]))
    if next_ask < len(ask_prices):
        most = min(most, int(ask_prices[next_ask]) + fee)
    return trades, (least + most) // 2 - fee

"""From a plan to the order book, and from the book back into the next plan.

A battery site's worth of a kWh in a slot is the dual of its balance there: it gains by selling
above and by buying below, whatever its battery does. What it sells or buys becomes a commitment:
energy that the next plan delivers (`Problem.sold_kwh`), paid whatever happens, so that only what
is missing or left over costs or earns anything more.

Energies in Wh and prices in 0.001 JPY/kWh, as in `energy`; the plan's kWh and JPY/kWh within.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from energy.records import Order, Side, Trade
from energy.units import PRICE_LIMIT, PRICE_PER_YEN
from vpp.model import Array
from vpp.plan import Plan

WH = 1_000
LEAST_WH = 1


@dataclass(frozen=True, slots=True)
class Quote:
    """What a site offers (ASK) or wants (BID) in a slot at its limit, fee included in a bid."""

    slot: int
    side: Side
    energy: int
    price: int


def quotes(plan: Plan, fee: int, own_ask: int = 0, own_bid: int = PRICE_LIMIT - 1) -> list[Quote]:
    """Return a plan's quotes, one a slot in which it exports or imports.

    An ask is the least at which selling in the book is no worse than what the plan does else
    with the energy; a bid the most at which buying there is no worse. `fee` is the network's
    (0.001 JPY/kWh), which the buyer pays on top of the price and a bid contains; a bid that would
    not cover it is left out. The owner's own limits hold besides.
    """
    if plan.duals is None:
        return []
    found = []
    for number, net in enumerate(plan.net_export - np.asarray(plan.problem.sold_kwh)):
        slot = plan.problem.first_slot + number
        worth = float(plan.duals.energy[number]) * PRICE_PER_YEN
        energy = round(abs(net) * WH)
        if energy < LEAST_WH:
            continue
        if net > 0:
            price = min(max(math.ceil(worth - 1e-6), own_ask, 0), PRICE_LIMIT - 1)
            found.append(Quote(slot, Side.ASK, energy, price))
        else:
            price = min(math.floor(worth + 1e-6), own_bid)
            if price > fee:
                found.append(Quote(slot, Side.BID, energy, price))
    return found


def orders(
    found: Iterable[Quote], site: int, sequences: Mapping[int, int], most_energy: int
) -> list[Order]:
    """Return quotes as orders of a site; `sequences` has a slot's next number, 1 if absent."""
    return [
        Order(
            quote.slot,
            site,
            quote.side,
            min(quote.energy, most_energy),
            quote.price,
            sequences.get(quote.slot, 1),
        )
        for quote in found
    ]


def committed(trades: Iterable[Trade], site: int, first_slot: int, slots: int) -> Array:
    """Return what a site has sold (below 0: bought) in the book, kWh a slot: the next plan's
    `sold_kwh`."""
    sold = np.zeros(slots)
    for trade in trades:
        if first_slot <= trade.slot < first_slot + slots:
            sold[trade.slot - first_slot] += (
                ((trade.seller == site) - (trade.buyer == site)) * trade.energy / WH
            )
    return sold

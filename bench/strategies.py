"""What a site can gain by quoting otherwise than truthfully, in after-metering mode.

Random slots of offices that are long or short by up to 20 kWh; the utility buys at 8 and sells
at 22 JPY/kWh, the fee is 1. Offices quote asks of 9-15 and bids of 16-22. The strategist is the
one with most energy. Quoting truthfully, it asks the utility's buying price or bids its selling
price: what the energy is worth to it otherwise. What that gains is counted from what the utility
alone would have owed; what others gain, from there.

The slots are seeded: the figures are the same in every run.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.figures import Figure
from energy.clearing import cleared, ranking_of
from energy.records import Order, Reading, Side
from energy.registry import Tariff
from energy.settlement import settled

SLOT = 866_458
TARIFF = Tariff(selling=22_000, buying=8_000, fee=1_000)
STEP = 500
PRICES = range(TARIFF.buying, TARIFF.selling + 1, STEP)
FEW, MANY = 7, 28
SLOTS = {FEW: 400, MANY: 100}
LEAGUE_SLOTS = 100
LEAGUE_PRICES = range(TARIFF.buying, TARIFF.selling + 1, 2_000)

UNIT = "JPY a slot"

Book = Sequence[Order]


@dataclass(frozen=True)
class Case:
    """A slot: what was metered, and what each office quotes, by site."""

    readings: list[Reading]
    quotes: list[Order]

    def owed(self, book: Book) -> tuple[int, ...]:
        """Return what each site is owed with this book, microyen."""
        return entries_of(book, self.readings, TARIFF)

    def with_quote(self, *others: Order) -> list[Order]:
        """Return the book in which some sites quote otherwise."""
        own = {order.site: order for order in others}
        return [own.get(order.site, order) for order in self.quotes]

    def without(self, site: int) -> list[Order]:
        """Return the book without a site."""
        return [order for order in self.quotes if order.site != site]

    def truthful(self, site: int) -> Order:
        """Return a site's truthful order."""
        is_long = self.readings[site].exported > 0
        return quote(self.readings[site], TARIFF.buying if is_long else TARIFF.selling)

    def largest(self, side: Side | None = None) -> int:
        """Return the site with most energy, of a side or at all."""
        own = [order for order in self.quotes if side in (None, order.side)]
        return max(own, key=lambda order: order.energy).site


def entries_of(book: Book, readings: Sequence[Reading], tariff: Tariff) -> tuple[int, ...]:
    """Return what each account is owed for a book whose orders came after metering."""
    caps = {one.site: (one.imported, one.exported) for one in readings}
    clearing = cleared(book, ranking_of(book, tariff.fee), tariff.fee, caps)
    return settled(readings, clearing.trades, clearing.price, tariff).entries


def quote(reading: Reading, price: int) -> Order:
    """Return an order for all that a one-sided site metered."""
    side = Side.ASK if reading.exported else Side.BID
    return Order(SLOT, reading.site, side, reading.exported or reading.imported, price, 1)


def alone(reading: Reading) -> int:
    """Return what the utility alone would owe a site."""
    return TARIFF.buying * reading.exported - TARIFF.selling * reading.imported


def cases(sites: int, count: int) -> list[Case]:
    """Return slots with at least one office on each side."""
    chance = random.Random(sites)
    found: list[Case] = []
    while len(found) < count:
        readings, quotes = [], []
        share = chance.uniform(0.2, 0.8)
        for site in range(sites):
            energy = chance.randrange(1, 20_001)
            is_long = chance.random() < share
            readings.append(
                Reading(SLOT, site, 0, energy, energy)
                if is_long
                else Reading(SLOT, site, energy, 0)
            )
            price = chance.randrange(9_000, 15_001) if is_long else chance.randrange(16_000, 22_001)
            quotes.append(quote(readings[-1], price))
        if len({order.side for order in quotes}) == 2:
            found.append(Case(readings, quotes))
    return found


def figures() -> list[Figure]:
    """Measure all."""
    return [*_staying_out(), *_quoting(FEW), *_quoting(MANY), *_in_league()]


def _staying_out() -> list[Figure]:
    against_truth, against_middle = [], []
    for case in cases(FEW, SLOTS[FEW]):
        site = case.largest()
        out = case.owed(case.without(site))[site]
        middle = TARIFF.middle + TARIFF.fee * (case.quotes[site].side == Side.BID)
        at_middle = case.with_quote(quote(case.readings[site], middle))
        against_truth.append(out - case.owed(case.with_quote(case.truthful(site)))[site])
        against_middle.append(out - case.owed(at_middle)[site])
    pays = 100 * sum(gain > 0 for gain in against_truth) / len(against_truth)
    # Shares of the pool are rounded to a Wh.
    pays_still = sum(gain > TARIFF.selling for gain in against_middle)
    name = "staying out of the book"
    return [
        Figure(f"{name} gains, {FEW} sites", _yen(against_truth), UNIT),
        Figure(f"{name} pays, {FEW} sites", pays, "% of slots"),
        Figure(f"{name} pays, where the quote is the pool's price", pays_still, "slots"),
    ]


def _quoting(sites: int) -> list[Figure]:
    """By a fixed step from the truthful price, and by who knows all other orders."""
    benefits, gains = [], []
    for case in cases(sites, SLOTS[sites]):
        site = case.largest()
        prices = PRICES if case.quotes[site].side == Side.ASK else PRICES[::-1]
        owed = [
            case.owed(case.with_quote(quote(case.readings[site], price)))[site] for price in prices
        ]
        benefits.append(owed[0] - alone(case.readings[site]))
        gains.append([one - owed[0] for one in owed])
    shadings = [_yen(gained) for gained in zip(*gains, strict=True)]
    best = max(shadings)
    return [
        Figure(f"a truthful quote gains, {sites} sites", _yen(benefits), UNIT),
        Figure(f"shading it always by as much gains beyond, {sites} sites", best, UNIT),
        Figure(f"that much, {sites} sites", shadings.index(best) * STEP / 1_000, "JPY/kWh"),
        Figure(
            f"who quotes last gains beyond, {sites} sites", _yen([max(one) for one in gains]), UNIT
        ),
    ]


def _in_league() -> list[Figure]:
    """Two who share what they gain, and know all other orders."""
    found = []
    pairs = ("the two largest of a side", _same_side), ("a seller and a buyer", _both)
    for name, picked in pairs:
        one_moves, both_move = [], []
        for case in cases(FEW, LEAGUE_SLOTS):
            pair = picked(case)
            honest = [case.truthful(site) for site in pair]
            firsts, seconds = (
                [quote(case.readings[site], price) for price in LEAGUE_PRICES] for site in pair
            )
            single = [_together(case, (first, honest[1])) for first in firsts]
            single += [_together(case, (honest[0], second)) for second in seconds]
            joint = [_together(case, (first, second)) for first in firsts for second in seconds]
            base = _together(case, honest)
            one_moves.append(max(single) - base)
            both_move.append(max(joint) - base)
        found += [
            Figure(f"{name}, one of them moving, gain", _yen(one_moves), UNIT),
            Figure(f"{name}, in league, gain", _yen(both_move), UNIT),
        ]
    return found


def _together(case: Case, orders: Sequence[Order]) -> int:
    entries = case.owed(case.with_quote(*orders))
    return sum(entries[order.site] for order in orders)


def _same_side(case: Case) -> tuple[int, int]:
    """The two with most energy on the side that more offices are on."""
    asks = [order for order in case.quotes if order.side == Side.ASK]
    bids = [order for order in case.quotes if order.side == Side.BID]
    first, second, *_ = sorted(
        asks if len(asks) > len(bids) else bids, key=lambda order: -order.energy
    )
    return first.site, second.site


def _both(case: Case) -> tuple[int, int]:
    return case.largest(Side.ASK), case.largest(Side.BID)


def _yen(gains: Sequence[int]) -> float:
    return round(sum(gains) / len(gains) / 1_000_000, 1)

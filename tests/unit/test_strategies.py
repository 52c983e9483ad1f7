"""The economics of after-metering mode: what quoting otherwise than truthfully gains.

Slots go through the twin: orders, clearing with what was metered, settlement. The strategist is
one site; the others quote anything between the utility's prices. What remains possible is
measured by `python -m bench strategies`, and its figures stand in `docs/market.md`.
Energies in Wh, prices in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench.strategies import TARIFF, entries_of, figures, quote
from energy.clearing import Clearing, cleared, live_orders, ranking_of
from energy.records import Order, Reading, Side
from energy.settlement import settled
from tests.desk import (
    END,
    KESENNUMA,
    OGAWARA,
    RULES,
    SENDAI,
    SLOT,
    Desk,
    ask,
    bid,
    reading,
)

FEE, MIDDLE = TARIFF.fee, TARIFF.middle
PAGE = Path(__file__).resolve().parents[2] / "docs" / "market.md"
A_WH = 2 * TARIFF.selling
"""Shares of the pool are rounded: what a Wh more on either side may come to, and a fee."""


@dataclass(frozen=True)
class Hall:
    """What was metered, and the orders of all sites but the strategist, which is site 0."""

    readings: list[Reading]
    others: list[Order]

    def outcome(self, *orders: Order) -> tuple[Clearing, tuple[int, ...]]:
        """Price, trades and entries when the strategist's orders come first."""
        book = [*orders, *self.others]
        caps = {one.site: (one.imported, one.exported) for one in self.readings}
        clearing = cleared(book, ranking_of(book, FEE), FEE, caps)
        settlement = settled(self.readings, clearing.trades, clearing.price, TARIFF)
        return clearing, settlement.entries

    def owed(self, *orders: Order) -> int:
        """What the strategist is owed."""
        return self.outcome(*orders)[1][0]

    def truthful(self, price: int) -> Order:
        """The strategist's order for all that it metered."""
        return replace(quote(self.readings[0], price), slot=SLOT)


energies = st.one_of(st.integers(0, 9), st.integers(0, 30_000))
prices = st.one_of(
    st.sampled_from(range(TARIFF.buying, TARIFF.selling + 1, 1_000)),
    st.integers(TARIFF.buying, TARIFF.selling),
)
sides = st.sampled_from(list(Side))


@st.composite
def halls(draw, two_sided: bool = False) -> Hall:
    readings, others = [], []
    for site in range(draw(st.integers(2, 6))):
        energy, is_long = draw(energies), draw(st.booleans())
        exported, imported = (energy, 0) if is_long else (0, energy)
        if two_sided:
            exported, imported = draw(energies), energy
        readings.append(Reading(SLOT, site, imported, exported, exported))
        if site:
            for number in range(draw(st.integers(0, 2))):
                order = Order(SLOT, site, draw(sides), draw(energies), draw(prices), number + 1)
                others.append(order)
    return Hall(readings, draw(st.permutations(others)))


@st.composite
def orders_of_strategist(draw) -> list[Order]:
    return [
        Order(SLOT, 0, draw(sides), draw(energies), draw(prices), number + 1)
        for number in range(draw(st.integers(1, 5)))
    ]


@settings(max_examples=300, deadline=None)
@given(halls(two_sided=True), orders_of_strategist())
def test_whatever_a_site_quotes_only_what_it_metered_counts(hall: Hall, sham: list[Order]) -> None:
    """Quantities that are not there change nothing for anyone: prices are all there is to choose.

    Any orders of a site do what some do that offer no more than it exported and want no more
    than it imported.
    """
    own = [sham[index] for index in live_orders(sham, FEE)]
    honest = []
    for side, had in ((Side.BID, hall.readings[0].imported), (Side.ASK, hall.readings[0].exported)):
        best_first = sorted(
            (order for order in own if order.side == side),
            key=lambda order: -order.price if side == Side.BID else order.price,
        )
        for order in best_first:
            counts = min(order.energy, had)
            had -= counts
            honest.append(replace(order, energy=counts))
    # Those of one price keep their order of arrival.
    honest.sort(key=lambda order: order.sequence)
    assert hall.outcome(*sham) == hall.outcome(*honest)


@settings(max_examples=150, deadline=None)
@given(halls(), prices, st.integers(1, 60_000))
def test_an_inflated_quantity_changes_nothing(hall: Hall, price: int, more: int) -> None:
    truthful = hall.truthful(price)
    inflated = replace(truthful, energy=truthful.energy + more)
    assert hall.outcome(inflated) == hall.outcome(truthful)


@settings(max_examples=150, deadline=None)
@given(halls(), prices, prices, energies, st.booleans())
def test_selling_what_one_has_not_or_buying_what_one_needs_not_changes_nothing(
    hall: Hall, price: int, other_price: int, energy: int, first: bool
) -> None:
    """A sham order on the other side counts for nothing; at most it voids an order of one's own,
    which is staying out."""
    truthful = hall.truthful(price)
    sham = replace(truthful, side=Side(1 - truthful.side), energy=energy, price=other_price)
    buying, selling = (price, other_price) if truthful.side == Side.BID else (other_price, price)
    voids = first and energy > 0 and buying >= selling + FEE
    expected = hall.outcome() if voids else hall.outcome(truthful)
    orders = (sham, truthful) if first else (truthful, sham)
    assert hall.outcome(*orders) == expected


@settings(max_examples=150, deadline=None)
@given(halls(), prices, st.data())
def test_splitting_an_order_changes_nothing(hall: Hall, price: int, data: st.DataObject) -> None:
    truthful = hall.truthful(price)
    assume(truthful.energy > 1)
    cuts = sorted(data.draw(st.sets(st.integers(1, truthful.energy - 1), min_size=1, max_size=4)))
    pieces = [
        replace(truthful, energy=end - begin)
        for begin, end in zip([0, *cuts], [*cuts, truthful.energy], strict=True)
    ]
    whole, split = hall.outcome(truthful), hall.outcome(*pieces)
    assert split[0].price == whole[0].price
    assert split[1] == whole[1]


@settings(max_examples=300, deadline=None)
@given(halls(), prices)
def test_staying_out_gains_nothing_where_the_book_is_no_worse_than_the_pool(
    hall: Hall, price: int
) -> None:
    """The pool's price is the middle: a seller that trades at it or above, a buyer that trades at
    it or below, would have had no more by staying out, to a Wh of rounding."""
    truthful = hall.truthful(price)
    clearing, entries = hall.outcome(truthful)
    worse = clearing.price < MIDDLE if truthful.side == Side.ASK else clearing.price > MIDDLE
    assume(not clearing.trades or not worse)
    assert hall.owed() <= entries[0] + A_WH


@settings(max_examples=300, deadline=None)
@given(halls())
def test_staying_out_never_beats_a_quote_at_the_pools_price(hall: Hall) -> None:
    """An ask of the middle, or a bid of the middle and the fee: nothing is lost by quoting it."""
    is_long = hall.readings[0].exported > 0
    assert hall.owed() <= hall.owed(hall.truthful(MIDDLE if is_long else MIDDLE + FEE)) + A_WH


def test_staying_out_can_beat_a_truthful_quote() -> None:
    """The counterexample: who alone can serve a low bid sells below the pool's price by quoting.

    Ogawara has 5 kWh, of worth 8 JPY/kWh to it otherwise. Sendai wants 5 kWh and bids 10. In the
    book they meet at 8.5; had Ogawara stayed out, both would have met in the pool at 14.5.
    """
    rules = replace(RULES, after_metering=True)
    owed = []
    for orders in (
        [ask(OGAWARA, 5_000, 8_000), bid(SENDAI, 5_000, 10_000)],
        [bid(SENDAI, 5_000, 10_000)],
    ):
        desk = Desk(rules).open()
        desk.at(END)
        metered = [
            reading(OGAWARA, imported=0, generated=5_000, exported=5_000),
            reading(SENDAI, imported=5_000),
            reading(KESENNUMA, imported=0),
        ]
        desk.push(*metered)
        desk.post(*orders)
        desk.at(rules.gate_of(SLOT))
        clearing = desk.does("clear", SLOT, orders, ranking_of(orders, FEE))
        assert isinstance(clearing, Clearing)
        desk.does("settle", SLOT, clearing.trades)
        owed.append(desk.contract.balance_of(OGAWARA))
        assert owed[-1] == entries_of(orders, metered, TARIFF)[OGAWARA]
    assert owed == [5_000 * 8_500, 5_000 * 14_500]


@pytest.fixture(scope="module")
def rows() -> list[str]:
    """The figures as the page's table has them."""
    return [f"| {one.name} | {one.value:g} {one.unit} |" for one in figures()]


def test_the_figures_of_the_market_page_are_those_that_are_measured(rows: Sequence[str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    missing = [row for row in rows if row not in page]
    assert not missing, "docs/market.md must have what `python -m bench strategies` measures"

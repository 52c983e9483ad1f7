"""The market's rules with numbers: who trades, at what price, who is owed what.

The worked examples use the utility's 22 and 8 JPY/kWh and a fee of 1, so the pool's price is
14.5. Then the laws, on generated books and readings, and the checks of `energy.laws`.
Energies in Wh, prices in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from energy.clearing import Clearing, cleared, live_orders, ranking_of
from energy.errors import AuditError
from energy.laws import check_clearing, check_origins, check_settlement
from energy.market import Market, MarketRules
from energy.messages import Domain, address_of, sign
from energy.origin import trace
from energy.records import Order, Quality, Reading, Side, Trade
from energy.registry import NETWORK, UTILITY, Ratings, Registry, Tariff
from energy.rows import Holdings
from energy.settlement import Settlement, corrected, settled
from energy.units import SLOT_SECONDS
from tests.unit.test_optimum import best_surplus

SLOT = 866_458
TARIFF = Tariff(selling=22_000, buying=8_000, fee=1_000)
FEE = TARIFF.fee


def ask(site: int, energy: int, price: int, sequence: int = 1, fresh: bool = False) -> Order:
    return Order(SLOT, site, Side.ASK, energy, price, sequence, fresh)


def bid(site: int, energy: int, price: int, sequence: int = 1, fresh: bool = False) -> Order:
    return Order(SLOT, site, Side.BID, energy, price, sequence, fresh)


def clearing_of(
    book: Sequence[Order], caps: Mapping[int, tuple[int, int]] | None = None, fee: int = FEE
) -> Clearing:
    return cleared(book, ranking_of(book, fee), fee, caps)


def trade(seller: int, buyer: int, energy: int) -> Trade:
    return Trade(SLOT, seller, buyer, energy)


def reading(site: int, imported: int = 0, exported: int = 0) -> Reading:
    return Reading(SLOT, site, imported, exported, generated=exported)


# -- who trades, and at what price ---------------------------------------------------------


@pytest.mark.parametrize(
    ("book", "price"),
    [
        pytest.param([ask(0, 100, 9_000), bid(1, 100, 16_000)], 12_000, id="alone: the middle"),
        pytest.param(
            [ask(0, 100, 9_000), bid(1, 100, 15_001)], 11_500, id="half a unit is left out"
        ),
        pytest.param(
            [ask(0, 100, 9_000), bid(1, 100, 16_000), bid(2, 100, 12_000)],
            13_000,
            id="a rejected bid of 12 lifts it",
        ),
        pytest.param(
            [ask(0, 100, 9_000), bid(1, 100, 16_000), bid(2, 100, 9_999)],
            12_000,
            id="a rejected bid below ask and fee does not",
        ),
        pytest.param(
            [ask(0, 100, 9_000), ask(2, 100, 11_000), bid(1, 100, 16_000)],
            10_000,
            id="a rejected ask of 11 lowers it",
        ),
        pytest.param(
            [ask(0, 100, 9_000), ask(2, 100, 15_001), bid(1, 100, 16_000)],
            12_000,
            id="a rejected ask above bid less fee does not",
        ),
        pytest.param(
            [ask(0, 100, 9_000), bid(1, 150, 16_000)], 15_000, id="a bid partly filled sets it"
        ),
        pytest.param(
            [ask(0, 150, 9_000), bid(1, 100, 16_000)], 9_000, id="an ask partly filled sets it"
        ),
        pytest.param([ask(0, 100, 9_000), bid(1, 100, 10_000)], 9_000, id="bid is ask and fee"),
    ],
)
def test_one_price_lies_in_the_middle_of_what_every_order_admits(
    book: list[Order], price: int
) -> None:
    assert clearing_of(book) == Clearing(price, (trade(0, 1, 100),))
    assert clearing_of(book[::-1]) == Clearing(price, (trade(0, 1, 100),))


def test_nothing_trades_when_the_bid_does_not_cover_the_fee() -> None:
    assert clearing_of([ask(0, 100, 9_000), bid(1, 100, 9_999)]) == Clearing(0, ())


def test_the_best_meet_first_and_ties_go_to_who_arrived_first() -> None:
    book = [
        bid(3, 60, 16_000),
        ask(0, 100, 10_000),
        bid(4, 100, 20_000),
        ask(1, 50, 9_000),
        bid(5, 60, 16_000),
    ]
    # The dearest bid takes the cheapest ask, then half of the other; site 3 came before 5.
    assert clearing_of(book).trades == (trade(1, 4, 50), trade(0, 4, 50), trade(0, 3, 50))
    assert clearing_of(book).price == 15_000


def test_a_fresh_order_replaces_its_sites_earlier_ones() -> None:
    book = [ask(0, 100, 9_000), ask(0, 200, 9_500, 2), bid(1, 500, 16_000)]
    assert live_orders(book, FEE) == [0, 1, 2]
    book.append(ask(0, 40, 12_000, 3, fresh=True))
    assert live_orders(book, FEE) == [2, 3]
    assert clearing_of(book).trades == (trade(0, 1, 40),)
    book.append(ask(0, 30, 12_000, 4))
    assert live_orders(book, FEE) == [2, 3, 4]


def test_a_fresh_order_of_no_energy_withdraws() -> None:
    book = [ask(0, 100, 9_000), bid(1, 500, 16_000), ask(0, 0, 0, 2, fresh=True)]
    assert live_orders(book, FEE) == [1]
    assert clearing_of(book) == Clearing(0, ())


def test_an_order_that_would_trade_with_its_own_site_is_void() -> None:
    book = [ask(0, 100, 9_000), bid(0, 100, 10_000, 2), bid(0, 100, 9_999, 3)]
    assert live_orders(book, FEE) == [0, 2]
    # Void is void: it counts against no later order, and comes to life no more.
    book += [bid(0, 50, 30_000, 4), ask(0, 10, 9_000, 5)]
    assert live_orders(book, FEE) == [0, 2, 4]
    # After a fresh order the site may change sides.
    book.append(bid(0, 70, 30_000, 6, fresh=True))
    assert live_orders(book, FEE) == [5]


def test_after_metering_an_order_counts_up_to_what_was_metered() -> None:
    book = [ask(0, 500, 9_000), bid(1, 300, 16_000)]
    caps = {0: (0, 120), 1: (250, 0)}
    # Of the bid 130 Wh are left over: it sets the price.
    assert clearing_of(book, caps) == Clearing(15_000, (trade(0, 1, 120),))
    assert clearing_of(book, {0: (0, 0), 1: (250, 0)}) == Clearing(0, ())
    assert clearing_of(book, {1: (250, 0)}) == Clearing(0, ()), "no reading, no trade"


def test_after_metering_two_identical_orders_of_a_site_lose_no_energy() -> None:
    book = [ask(0, 500, 9_000), ask(0, 500, 9_000, 2), bid(1, 1_000, 16_000)]
    clearing = clearing_of(book, {0: (0, 700), 1: (700, 0)})
    assert clearing == Clearing(12_000, (trade(0, 1, 500), trade(0, 1, 200)))


def test_after_metering_what_is_metered_serves_the_better_orders_first() -> None:
    book = [ask(0, 500, 11_000), ask(0, 500, 9_000, 2), bid(1, 1_000, 16_000)]
    clearing = clearing_of(book, {0: (0, 700), 1: (1_000, 0)})
    assert clearing.trades == (trade(0, 1, 500), trade(0, 1, 200))
    assert clearing.price == 15_000, "300 Wh of the bid are the first rejected"


# -- who is owed what ----------------------------------------------------------------------


def test_what_is_delivered_as_traded_costs_price_and_fee() -> None:
    readings = [reading(0, exported=1_000), reading(1, imported=1_000)]
    settlement = settled(readings, [trade(0, 1, 1_000)], 12_000, TARIFF)
    assert settlement == Settlement(
        (trade(0, 1, 1_000),), (), (12_000_000, -13_000_000, 0, 1_000_000)
    )


def test_an_undelivered_trade_is_bought_for_its_seller_from_the_utility() -> None:
    readings = [reading(0, exported=600), reading(1, imported=1_000)]
    settlement = settled(readings, [trade(0, 1, 1_000)], 12_000, TARIFF)
    assert settlement.deliveries == (trade(0, 1, 600),)
    # The buyer owes for all of it, and the fee for the 600 Wh that moved.
    seller = 1_000 * 12_000 - 400 * 22_000
    assert settlement.entries == (seller, -12_600_000, 400 * 22_000, 600_000)


@pytest.mark.parametrize(("price", "failed"), [(12_000, 14_500), (16_000, 16_000)])
def test_a_failed_seller_pays_the_pool_at_least_the_trades_price(price: int, failed: int) -> None:
    readings = [reading(0, exported=600), reading(1, imported=1_000), reading(2, exported=300)]
    settlement = settled(readings, [trade(0, 1, 1_000)], price, TARIFF)
    assert settlement.pool == (trade(2, 1, 300),)
    seller = 1_000 * price - 300 * failed - 100 * 22_000
    buyer = -1_000 * price - 900 * 1_000
    network = 900 * 1_000 + 300 * (failed - 14_500)
    assert settlement.entries == (seller, buyer, 300 * 14_500, 100 * 22_000, network)


@pytest.mark.parametrize(("price", "failed"), [(12_000, 12_000), (16_000, 14_500)])
def test_a_failed_buyer_gets_at_most_the_trades_price(price: int, failed: int) -> None:
    readings = [reading(0, exported=1_000), reading(1, imported=600), reading(2, imported=300)]
    settlement = settled(readings, [trade(0, 1, 1_000)], price, TARIFF)
    buyer = -1_000 * price + 300 * failed + 100 * 8_000 - 600 * 1_000
    extra = -300 * 14_500 - 300 * 1_000
    network = 900 * 1_000 + 300 * (14_500 - failed)
    assert settlement.entries == (1_000 * price, buyer, extra, -100 * 8_000, network)


def test_what_was_metered_is_served_by_the_pool_before_broken_trades() -> None:
    # Surplus 200 and untaken 300 against extra 250: the surplus first, then 50 of the untaken.
    readings = [
        reading(0, exported=1_000),
        reading(1, imported=700),
        reading(2, exported=200),
        reading(3, imported=250),
    ]
    settlement = settled(readings, [trade(0, 1, 1_000)], 12_000, TARIFF)
    buyer = -1_000 * 12_000 + 50 * 12_000 + 250 * 8_000 - 700 * 1_000
    assert settlement.entries[1:4] == (buyer, 200 * 14_500, -250 * 15_500)


def test_the_pool_is_shared_by_rounding_of_running_sums() -> None:
    readings = [*(reading(site, exported=100) for site in range(3)), reading(3, imported=100)]
    settlement = settled(readings, [], 0, TARIFF)
    assert settlement.pool == (trade(0, 3, 33), trade(1, 3, 33), trade(2, 3, 34))
    assert settlement.entries == (
        33 * 14_500 + 67 * 8_000,
        33 * 14_500 + 67 * 8_000,
        34 * 14_500 + 66 * 8_000,
        -100 * 15_500,
        -200 * 8_000,
        100 * 1_000,
    )


def test_a_site_that_meets_itself_in_the_pool_pays_no_fee() -> None:
    settlement = settled([reading(0, imported=500, exported=300)], [], 0, TARIFF)
    assert settlement.pool == (trade(0, 0, 300),)
    assert settlement.entries == (-200 * 22_000, 200 * 22_000, 0)


def test_nobody_pays_a_fee_for_what_did_not_move() -> None:
    readings = [reading(0), reading(1)]
    settlement = settled(readings, [trade(0, 1, 1_000)], 12_000, TARIFF)
    # Both broke the trade: short and long meet in the pool, and the network has the difference.
    assert settlement.deliveries == (trade(0, 1, 0),)
    assert settlement.pool == ()
    assert settlement.entries == (-2_500_000, 0, 0, 2_500_000)


@pytest.mark.parametrize(
    ("changes", "entry"),
    [
        ({"imported": 1_100}, -100 * 22_000),
        ({"imported": 900}, 100 * 8_000),
        ({"exported": 150}, 50 * 8_000),
        ({"exported": 50}, -50 * 8_000),
        ({"imported": 1_100, "exported": 150}, -100 * 22_000 + 50 * 8_000),
        ({"generated": 700}, 0),
    ],
)
def test_a_correction_is_at_the_utilitys_prices(changes: dict[str, int], entry: int) -> None:
    before = Reading(SLOT, 0, imported=1_000, exported=100, generated=500)
    assert corrected(before, replace(before, **changes), TARIFF) == entry  # type: ignore[arg-type]


# -- a slot on the reference market --------------------------------------------------------


@dataclass
class Offices:
    """A reference market of two offices in the slot before which all is enrolled."""

    market: Market

    def post(self, order: Order) -> None:
        gate = self.market.rules.gate_of(SLOT)
        signature = sign(order, self.market.domain, office_key(order.site))
        self.market.post(gate - 1, SLOT, [order], [signature])

    def clear(self) -> tuple[Trade, ...]:
        record = self.market.slots[SLOT % 1536]
        ranking = ranking_of(record.book, FEE)
        gate = self.market.rules.gate_of(SLOT)
        return self.market.clear(gate, SLOT, record.book, ranking).trades

    def push(self, metered: Reading, now: int) -> None:
        signature = sign(metered, self.market.domain, office_key(metered.site))
        self.market.push(now, [metered], [signature])


def office_key(site: int) -> bytes:
    return bytes(31) + bytes([site + 1])


@pytest.fixture
def offices() -> Offices:
    owner = address_of(bytes(31) + b"\x7f")
    registry = Registry(horizon=4, owner=owner)
    long_ago = (SLOT - 20) * SLOT_SECONDS
    registry.enact_tariff(long_ago, owner, SLOT - 5, [TARIFF] * 48)
    for site in range(2):
        address = address_of(office_key(site))
        registry.enrol(long_ago, owner, SLOT - 5, address, address, Ratings(40_000, 800, 800))
    rules = MarketRules(SLOT - 10, 4, 900, 600, after_metering=False)
    return Offices(Market(rules, registry, Domain(7_000, owner)))


def test_a_site_without_a_reading_counts_as_importing_what_it_bought(offices: Offices) -> None:
    offices.post(ask(0, 1_000, 9_000))
    offices.post(bid(1, 1_000, 16_000))
    trades = offices.clear()
    end, market = (SLOT + 1) * SLOT_SECONDS, offices.market
    offices.push(Reading(SLOT, 0, exported=1_000, generated=1_500), end)
    settlement = market.settle(market.rules.deadline_of(SLOT), SLOT, trades)
    assert settlement.entries == (12_000_000, -13_000_000, 0, 1_000_000)
    assumed = market.reading_of(SLOT, 1)
    assert assumed == Reading(SLOT, 1, imported=1_000, quality=Quality.ASSUMED)
    # Its reading comes after all, as revision 0, and is settled with the utility alone.
    late = Reading(SLOT, 1, imported=1_200)
    offices.push(late, market.rules.deadline_of(SLOT) + 60)
    assert market.reading_of(SLOT, 1) == late
    assert market.balances == {
        0: 12_000_000,
        1: -13_000_000 - 200 * 22_000,
        UTILITY: 200 * 22_000,
        NETWORK: 1_000_000,
    }


def test_each_revision_is_settled_once_against_the_one_before(offices: Offices) -> None:
    market, end = offices.market, (SLOT + 1) * SLOT_SECONDS
    for site in range(2):
        offices.push(Reading(SLOT, site, imported=1_000), end)
    market.settle(end, SLOT, [])
    before = dict(market.balances)
    for imported, revision, owed in ((1_100, 1, 100), (1_100, 1, 100), (1_300, 3, 300)):
        offices.push(Reading(SLOT, 0, imported=imported, revision=revision), end)
        assert market.balances[0] == before[0] - owed * 22_000
    # A revision that is not higher than the one known is skipped.
    offices.push(Reading(SLOT, 0, imported=5, revision=2), end)
    assert market.balances[0] == before[0] - 300 * 22_000
    assert market.balances[1] == before[1]
    assert sum(market.balances.values()) == 0


# -- laws ----------------------------------------------------------------------------------

SITES = 5
energies = st.one_of(st.integers(0, 12), st.integers(0, 60_000))
prices = st.one_of(st.integers(0, 20).map(lambda step: 8_000 + 700 * step), st.integers(0, 30_000))


@st.composite
def books(draw, price=prices, most: int = 12) -> list[Order]:
    sequences: Counter[int] = Counter()
    book = []
    for _ in range(draw(st.integers(0, most))):
        site = draw(st.integers(0, SITES - 1))
        sequences[site] += 1
        side = Side(draw(st.integers(0, 1)))
        fresh = draw(st.integers(0, 7)) == 0
        energy = draw(energies)
        book.append(Order(SLOT, site, side, energy, draw(price), sequences[site], fresh))
    return book


@st.composite
def metered(draw) -> list[Reading]:
    return [reading(site, draw(energies), draw(energies)) for site in range(SITES)]


@st.composite
def tariffs(draw) -> Tariff:
    buying, fee = draw(st.integers(0, 12_000)), draw(st.integers(0, 2_000))
    return Tariff(buying + 2 * fee + draw(st.integers(0, 14_000)), buying, fee)


def caps_of(readings: Sequence[Reading]) -> dict[int, tuple[int, int]]:
    return {one.site: (one.imported, one.exported) for one in readings}


def by_site(clearing: Clearing) -> tuple[Counter[int], Counter[int]]:
    """What each site bought and sold."""
    bought: Counter[int] = Counter()
    sold: Counter[int] = Counter()
    for one in clearing.trades:
        bought[one.buyer] += one.energy
        sold[one.seller] += one.energy
    return bought, sold


def filled(book: Sequence[Order], ranked: Sequence[int], energy: int) -> list[tuple[Order, int]]:
    """What of each ranked order trades if the first `energy` Wh do."""
    found = []
    for index in ranked:
        part = min(book[index].energy, energy)
        energy -= part
        found.append((book[index], part))
    assert energy == 0
    return found


@settings(max_examples=150, deadline=None)
@given(books(), st.sampled_from([0, 1, 1_000]))
def test_law_no_better_set_of_trades_exists(book: list[Order], fee: int) -> None:
    """The surplus is that of a linear program that may pair any live bid with any live ask."""
    ranking, clearing = ranking_of(book, fee), clearing_of(book, fee=fee)
    traded = sum(one.energy for one in clearing.trades)
    bids, asks = filled(book, ranking.bids, traded), filled(book, ranking.asks, traded)
    surplus = sum(order.price * part for order, part in bids)
    surplus -= sum((order.price + fee) * part for order, part in asks)
    assert surplus == best_surplus(book, fee)
    # The trades are these fills, and each is within its order's limit, fee included.
    for side, found, limits in zip((bids, asks), by_site(clearing), (1, -1), strict=True):
        by_orders: Counter[int] = Counter()
        for order, part in side:
            by_orders[order.site] += part
            if part:
                paid = clearing.price + fee * (limits == 1)
                assert limits * order.price >= limits * paid
        assert +by_orders == +found
    assert all(one.seller != one.buyer and one.energy for one in clearing.trades)
    check_clearing(SLOT, book, clearing, fee)


@settings(max_examples=150, deadline=None)
@given(books(), st.data(), st.one_of(st.none(), metered()))
def test_law_splitting_an_order_changes_neither_price_nor_quantity(
    book: list[Order], data: st.DataObject, readings: list[Reading] | None
) -> None:
    large = [index for index, order in enumerate(book) if order.energy > 1]
    assume(large)
    index = data.draw(st.sampled_from(large))
    order = book[index]
    part = data.draw(st.integers(1, order.energy - 1))
    pieces = [replace(order, energy=part), replace(order, energy=order.energy - part, fresh=False)]
    split = [*book[:index], *pieces, *book[index + 1 :]]
    caps = caps_of(readings) if readings else None
    before, after = clearing_of(book, caps), clearing_of(split, caps)
    assert after.price == before.price
    assert pairs(after) == pairs(before)


def pairs(clearing: Clearing) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    for one in clearing.trades:
        found[one.seller, one.buyer] += one.energy
    return found


@settings(max_examples=150, deadline=None)
@given(books(), metered(), tariffs())
def test_law_after_metering_no_site_trades_more_than_it_metered(
    book: list[Order], readings: list[Reading], tariff: Tariff
) -> None:
    clearing = clearing_of(book, caps_of(readings), tariff.fee)
    for one, found in zip(("imported", "exported"), by_site(clearing), strict=True):
        assert all(energy <= getattr(readings[site], one) for site, energy in found.items())
    settlement = settled(readings, clearing.trades, clearing.price, tariff)
    assert settlement.deliveries == clearing.trades


@settings(max_examples=200, deadline=None)
@given(books(), metered(), tariffs(), st.integers(0, 30_000))
def test_law_the_ledger_sums_to_zero_and_no_flow_exceeds_a_meter(
    book: list[Order], readings: list[Reading], tariff: Tariff, price: int
) -> None:
    # Trades made ahead have nothing to do with what is metered later.
    trades = clearing_of(book, fee=tariff.fee).trades
    settlement = settled(readings, trades, price, tariff)
    assert sum(settlement.entries) == 0
    flows = (*settlement.deliveries, *settlement.pool)
    for one in readings:
        assert sum(flow.energy for flow in flows if flow.seller == one.site) <= one.exported
        assert sum(flow.energy for flow in flows if flow.buyer == one.site) <= one.imported
    # What can flow between offices does: only one side is left for the utility.
    moved = sum(flow.energy for flow in flows)
    assert moved == min(
        sum(one.exported for one in readings), sum(one.imported for one in readings)
    )
    foreign = sum(flow.energy for flow in flows if flow.seller != flow.buyer)
    assert settlement.entries[-1] >= tariff.fee * foreign, "the network has the fees at least"
    check_settlement(SLOT, trades, {one.site: one for one in readings}, settlement)


@settings(max_examples=300, deadline=None)
@given(st.data(), metered(), tariffs())
def test_law_after_metering_no_site_is_worse_off_than_with_the_utility_alone(
    data: st.DataObject, readings: list[Reading], tariff: Tariff
) -> None:
    between = st.integers(tariff.buying, tariff.selling)
    book = data.draw(books(between))
    clearing = clearing_of(book, caps_of(readings), tariff.fee)
    settlement = settled(readings, clearing.trades, clearing.price, tariff)
    for one, entry in zip(readings, settlement.entries, strict=False):
        alone = tariff.buying * one.exported - tariff.selling * one.imported
        assert entry >= alone


# -- the checks of the laws ----------------------------------------------------------------

BOOK = [ask(0, 1_000, 9_000), bid(1, 600, 16_000), bid(2, 400, 14_000), bid(3, 100, 9_500)]
RIGHT = Clearing(11_000, (trade(0, 1, 600), trade(0, 2, 400)))


def test_a_right_clearing_passes() -> None:
    assert clearing_of(BOOK) == RIGHT
    check_clearing(SLOT, BOOK, RIGHT, FEE)
    check_clearing(SLOT, [], Clearing(0, ()), FEE)
    check_clearing(SLOT, BOOK[1:], Clearing(0, ()), FEE)


@pytest.mark.parametrize(
    ("clearing", "named"),
    [
        (Clearing(0, ()), "no better set of trades: 1000 Wh must trade, got 0 Wh"),
        (Clearing(11_000, (trade(0, 1, 600),)), "no better set of trades"),
        (Clearing(13_001, RIGHT.trades), "within limits: buyers: site 2 must trade at most 0 Wh"),
        (Clearing(8_999, RIGHT.trades), "within limits: sellers: site 0 must trade at most 0 Wh"),
        (
            Clearing(11_000, (trade(0, 1, 601), trade(0, 2, 399))),
            "buyers: site 1 .* 600 Wh, got 601",
        ),
        (Clearing(11_000, (trade(0, 1, 600), trade(0, 3, 100))), "buyers: site 3"),
        (Clearing(11_000, (trade(4, 1, 600), trade(0, 2, 400))), "sellers: site 4"),
    ],
)
def test_a_tampered_clearing_is_named(clearing: Clearing, named: str) -> None:
    with pytest.raises(AuditError, match=f"slot {SLOT}: .*{named}"):
        check_clearing(SLOT, BOOK, clearing, FEE)


READINGS = {
    0: reading(0, exported=900),
    1: reading(1, imported=600),
    2: reading(2, imported=500),
    3: reading(3, exported=70),
}


def right_settlement() -> Settlement:
    return settled([READINGS[site] for site in range(4)], RIGHT.trades, RIGHT.price, TARIFF)


def test_a_right_settlement_passes() -> None:
    settlement = right_settlement()
    assert settlement.pool == (trade(3, 2, 70),)
    check_settlement(SLOT, RIGHT.trades, READINGS, settlement)


@pytest.mark.parametrize(
    ("tampered", "named"),
    [
        ({"deliveries": (trade(0, 1, 600),)}, "a delivery for each trade: must be 2, got 1"),
        (
            {"deliveries": (trade(0, 1, 601), trade(0, 2, 299))},
            "no delivery beyond its trade: must be at most 600 Wh, got 601 Wh",
        ),
        (
            {"deliveries": (trade(0, 1, 600), trade(0, 2, 301))},
            "no flow beyond what was exported: site 0 must trade at most 900 Wh, got 901 Wh",
        ),
        ({"pool": (trade(3, 2, 71),)}, "no flow beyond what was exported: site 3"),
        ({"pool": (trade(3, 1, 1),)}, "no flow beyond what was imported: site 1"),
        ({"pool": (trade(9, 2, 1),)}, "no flow beyond what was exported: site 9"),
        ({"entries": (1, 0, 0, 0, 0, 0)}, "the ledger sums to zero: must be 0, got 1 microyen"),
    ],
)
def test_a_tampered_settlement_is_named(tampered: dict[str, tuple[Trade, ...]], named: str) -> None:
    settlement = replace(right_settlement(), **tampered)  # type: ignore[arg-type]
    with pytest.raises(AuditError, match=f"slot {SLOT}: .*{named}"):
        check_settlement(SLOT, RIGHT.trades, READINGS, settlement)


def test_tampered_origins_are_named() -> None:
    flows = [*right_settlement().deliveries, *right_settlement().pool]
    sites = dict.fromkeys(READINGS)
    _, origins = trace(Holdings(), SLOT, sites, READINGS.values(), flows)
    check_origins(SLOT, READINGS, origins)
    assert sum(row.energy for row in origins.used) == 1_100
    for used in (
        origins.used[1:],
        (replace(origins.used[0], energy=origins.used[0].energy + 1), *origins.used[1:]),
        (*origins.used, origins.used[-1]),
    ):
        with pytest.raises(AuditError, match=f"slot {SLOT}: origins sum to consumption: site"):
            check_origins(SLOT, READINGS, replace(origins, used=used))
    # A site without a reading has no rows, and says so.
    assumed = {**READINGS, 1: replace(READINGS[1], quality=Quality.ASSUMED)}
    _, origins = trace(Holdings(), SLOT, sites, assumed.values(), flows)
    assert origins.unread == (1,)
    check_origins(SLOT, assumed, origins)

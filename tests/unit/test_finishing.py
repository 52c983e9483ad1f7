"""A slot can always be finished, whatever was posted, pushed or left undone.

Each case is led to its settlement by a stranger, in contract and twin, in both modes. The desk
is that of `tests/desk.py`. Energies in Wh, prices in 0.001 JPY/kWh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from chain.contract import interface
from energy import errors
from energy.clearing import Clearing, ranking_of
from energy.errors import Refusal
from energy.market import RING
from energy.records import Order, Reading, packed
from energy.registry import Ratings
from energy.settlement import Settlement
from tests.desk import (
    END,
    FIRST_SLOT,
    KESENNUMA,
    OGAWARA,
    RULES,
    SENDAI,
    SLOT,
    STRANGER,
    TARIFF,
    Desk,
    ask,
    bid,
    reading,
)

DEAREST = 2**24 - 1
MOST = 0xFFFF * 50
"""The largest rating that the registry takes, in Wh."""
UNBOUNDED = Ratings(MOST, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 1_000)


@pytest.fixture(params=[False, True], ids=["ahead", "after metering"])
def town(request: pytest.FixtureRequest) -> Desk:
    """Three offices with the largest ratings there are."""
    desk = Desk(replace(RULES, after_metering=request.param))
    desk.does("enact_tariff", FIRST_SLOT + 5, [TARIFF] * 48)
    for site in range(3):
        desk.enrol(site, FIRST_SLOT + 5, UNBOUNDED)
    return desk


def finished(
    desk: Desk, orders: Sequence[Order], readings: Sequence[Reading]
) -> tuple[Clearing, Settlement]:
    """Lead the slot to its end with these orders and readings, by a stranger."""
    rules = desk.twin.rules
    desk.chain.sender = STRANGER
    desk.at(END - 2_500)
    if not rules.after_metering and orders:
        desk.post(*orders)
    if rules.after_metering:
        desk.at(END)
        desk.push(*readings)
        if orders:
            desk.post(*orders)
    desk.at(max(rules.gate_of(SLOT), END))
    clearing = Clearing(0, ())
    book = desk.twin.slots[SLOT % RING].book if SLOT % RING in desk.twin.slots else ()
    if book:
        said = desk.does("clear", SLOT, book, ranking_of(book, TARIFF.fee))
        assert isinstance(said, Clearing)
        clearing = said
    if not rules.after_metering:
        desk.push(*readings)
    desk.at(max(rules.gate_of(SLOT), rules.deadline_of(SLOT)))
    settlement = desk.does("settle", SLOT, clearing.trades)
    assert isinstance(settlement, Settlement)
    assert sum(settlement.entries) == 0
    return clearing, settlement


LONG = reading(OGAWARA, imported=0, generated=9_000, exported=9_000)
SHORT = reading(SENDAI, imported=9_000)


def test_absurd_prices_clear_and_settle(town: Desk) -> None:
    orders = [ask(OGAWARA, 5_000, 0), bid(SENDAI, 5_000, DEAREST), ask(KESENNUMA, 1, DEAREST)]
    clearing, _ = finished(town, orders, [LONG, SHORT, reading(KESENNUMA)])
    assert clearing.price == (0 + TARIFF.fee + DEAREST) // 2 - TARIFF.fee
    assert [one.energy for one in clearing.trades] == [5_000]


def test_energies_at_the_largest_rating_clear_and_settle(town: Desk) -> None:
    orders = [ask(OGAWARA, MOST, 0, number) for number in range(1, 15)]
    orders += [bid(SENDAI, MOST, DEAREST, number) for number in range(1, 15)]
    readings = [
        reading(OGAWARA, imported=0, generated=MOST, exported=MOST),
        reading(SENDAI, imported=MOST),
        reading(KESENNUMA, imported=MOST, generated=MOST, exported=MOST, stored=0xFFFF * 100),
    ]
    clearing, settlement = finished(town, orders, readings)
    traded = sum(one.energy for one in clearing.trades)
    assert traded == (MOST if town.twin.rules.after_metering else 14 * MOST)
    assert sum(one.energy for one in (*settlement.deliveries, *settlement.pool)) == 2 * MOST


def test_an_energy_beyond_the_rating_harms_no_one(town: Desk) -> None:
    town.at(END - 2_500)
    for energy in (MOST + 1, 2**32 - 1):
        refused = errors.OrderBeyondRating(0, energy, MOST)
        town.refuses_orders(refused, ask(OGAWARA, energy, 0))
    finished(town, [ask(OGAWARA, 1, 0)], [LONG, SHORT])


def test_bids_below_the_fee_clear_to_nothing(town: Desk) -> None:
    orders = [ask(OGAWARA, 5_000, 0), bid(SENDAI, 5_000, TARIFF.fee - 1), bid(KESENNUMA, 5, 0)]
    clearing, settlement = finished(town, orders, [LONG, SHORT, reading(KESENNUMA, imported=0)])
    assert clearing == Clearing(0, ())
    assert [one.energy for one in settlement.pool] == [9_000]


@pytest.mark.parametrize("readings", [[LONG], [SHORT], [SHORT, reading(KESENNUMA)]])
def test_nobody_long_or_nobody_short_settles(town: Desk, readings: list[Reading]) -> None:
    orders = [ask(OGAWARA, 700, 9_000), ask(KESENNUMA, 10, 8_000)]
    clearing, _ = finished(town, orders, readings)
    assert clearing == Clearing(0, ())


def test_a_slot_of_nothing_at_all_settles(town: Desk) -> None:
    _, settlement = finished(town, [], [])
    assert settlement == Settlement((), (), (0,) * 5)


def test_orders_withdrawn_to_the_last_clear_to_nothing(town: Desk) -> None:
    orders = [ask(OGAWARA, 700, 9_000), replace(ask(OGAWARA, 0, 0, 2), fresh=True)]
    clearing, _ = finished(town, orders, [])
    assert clearing == Clearing(0, ())


def test_a_stray_byte_refuses_what_it_is_in_and_no_more(town: Desk) -> None:
    town.at(END - 2_500)
    order = ask(OGAWARA, 700, 9_000)
    (signature,) = town.signed(order, role="trader")
    market = interface("Market")
    for words, signatures in (
        (packed([order]) + b"\0", signature),
        (packed([order]), signature + b"\0"),
        (packed([order])[:-1], signature),
    ):
        with pytest.raises(Refusal, match="WrongLength"):
            town.chain.send(town.contract.address, market.call("post", SLOT, words, signatures))
    # Bytes behind the arguments are nobody's: the call means what it did.
    town.chain.send(
        town.contract.address, market.call("post", SLOT, packed([order]), signature) + b"\xff"
    )
    town.twin.post(town.chain.now(), SLOT, [order], [signature])
    clearing, _ = finished(town, [], [])
    assert clearing == Clearing(0, ())
    assert town.twin.slots[SLOT % RING].book == (order,)


def test_two_relays_that_race_lose_no_order_and_neither_fails(town: Desk) -> None:
    town.at(END - 2_500)
    mine = [ask(OGAWARA, 700, 9_000), ask(OGAWARA, 800, 9_500, 2)]
    yours = [mine[0], bid(SENDAI, 900, 16_000), mine[1], ask(OGAWARA, 50, 9_900, 3)]
    assert town.post(*mine[:1]) == mine[:1]
    assert town.post(*yours) == [yours[1], mine[1], yours[3]]
    assert town.post(*mine) == []
    clearing, _ = finished(town, [], [LONG, SHORT])
    assert sum(one.energy for one in clearing.trades) == 900

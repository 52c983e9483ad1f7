"""What agents offer: from the past alone, within one limit. Wh, and 0.001 JPY/kWh."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.records import Order, Reading, Side
from energy.registry import Tariff
from energy.units import SLOTS_PER_DAY, slots_of, start_of
from orchestrator.steering.steering import Offer, net_offers
from orchestrator.trading.agents import Limits, Truthful, net_export, orders_of
from vpp.forecast import History, Past

TUESDAY = slots_of(date(2019, 6, 4))
NOON = TUESDAY[24]
TARIFF = Tariff(22_000, 8_000, 1_000)
LIMITS = Limits(ask=9_000, bid=18_000, most_energy=40_000)


def works_on(slot: int) -> bool:
    return start_of(slot).weekday() < 5


def days_before(slot: int, days: int) -> int:
    return slot - days * SLOTS_PER_DAY


pasts = st.builds(Past, st.integers(0, 40_000), st.integers(0, 40_000))
AROUND = [days_before(NOON + near, day) for day in range(-2, 30) for near in range(-8, 9)]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(AROUND), pasts), st.integers(0, 8), st.data())
def test_nothing_from_a_slot_on_changes_its_forecast(
    slots: dict[int, Past], later: int, data: st.DataObject
) -> None:
    slot = NOON + later
    history = History(works_on, dict(slots))
    before = history.load(slot), history.generation(slot)
    futures = data.draw(st.dictionaries(st.sampled_from([s for s in AROUND if s >= slot]), pasts))
    history.slots.update(futures)
    assert (history.load(slot), history.generation(slot)) == before
    history.slots = {at: past for at, past in history.slots.items() if at < slot}
    assert (history.load(slot), history.generation(slot)) == before


def test_a_reading_of_the_slot_itself_changes_nothing() -> None:
    history = History(works_on, {days_before(NOON, 1): Past(5_000, 3_000)})
    assert (history.load(NOON), history.generation(NOON)) == (5_000, 3_000)
    history.add(Reading(NOON, 0, imported=1, exported=2, generated=9_000))
    assert history.slots[NOON] == Past(used=8_999, generated=9_000)
    assert (history.load(NOON), history.generation(NOON)) == (5_000, 3_000)


def test_the_load_forecast_is_the_mean_of_four_days_alike() -> None:
    # Monday, and the working days of the week before; Saturday and Sunday are of another kind.
    used = {1: 4_000, 2: 100, 3: 100, 4: 5_000, 5: 6_000, 6: 7_000, 7: 90_000}
    history = History(
        works_on, {days_before(NOON, day): Past(energy, 0) for day, energy in used.items()}
    )
    assert history.load(NOON) == (4_000 + 5_000 + 6_000 + 7_000) // 4
    assert history.load(NOON + 4 * SLOTS_PER_DAY) == 100, "Saturday"
    assert History(works_on).load(NOON) == 0


@pytest.mark.parametrize(
    ("seen", "expected"),
    [(500, 1_000), (1_000, 2_000), (1_500, 3_000), (9_000, 4_000), (0, 0)],
)
def test_the_generation_forecast_follows_todays_sky_up_to_twice_the_mean(
    seen: int, expected: int
) -> None:
    history = History(works_on)
    for day in range(1, 8):
        history.slots[days_before(NOON, day)] = Past(0, 2_000)
        for near in range(1, 5):
            history.slots[days_before(NOON - near, day)] = Past(0, 1_000)
    assert history.generation(NOON) == 2_000, "nothing seen of today"
    for near in range(1, 5):
        history.slots[NOON - near] = Past(0, seen)
    assert history.generation(NOON) == expected


def test_at_dawn_and_across_midnight_the_sky_says_nothing() -> None:
    history = History(works_on)
    dawn, midnight = TUESDAY[9], TUESDAY[0]
    for slot in (dawn, dawn - 1, midnight, midnight - 1):
        history.slots[days_before(slot, 1)] = Past(0, 199)
    history.slots[dawn - 1] = Past(0, 1)
    history.slots[midnight - 1] = Past(0, 1)
    assert history.generation(dawn) == 199, "below 200 Wh expected"
    assert history.generation(midnight) == 199, "of another day"


@pytest.mark.parametrize(
    ("net", "order"),
    [
        (2_500, Order(NOON, 3, Side.ASK, 2_500, 9_000, 1)),
        (-2_500, Order(NOON, 3, Side.BID, 2_500, 18_000, 1)),
        (90_000, Order(NOON, 3, Side.ASK, 40_000, 9_000, 1)),
        (-90_000, Order(NOON, 3, Side.BID, 40_000, 18_000, 1)),
        (0, None),
    ],
)
def test_an_agent_names_its_one_limit_and_stays_within_the_rating(
    net: int, order: Order | None
) -> None:
    found = orders_of(net_offers(NOON, net), 3, TARIFF, Truthful(), LIMITS)
    assert found == ([order] if order else [])


def test_an_agent_never_asks_less_than_the_utility_pays_nor_bids_more_than_it_takes() -> None:
    """Where prices follow the exchange, the utility's may lie inside of the owner's limits."""
    dear, cheap = Tariff(25_000, 17_000, 1_000), Tariff(14_000, 6_000, 1_000)
    for tariff, net, price in ((dear, 2_500, 17_000), (cheap, -2_500, 14_000)):
        (order,) = orders_of(net_offers(NOON, net), 3, tariff, Truthful(), LIMITS)
        assert order.price == price


def test_each_part_of_an_offer_is_priced_at_its_worth_within_the_owners_limits() -> None:
    offers = [
        Offer(NOON, Side.ASK, 3_000, 8_000),
        Offer(NOON, Side.ASK, 2_000, 13_500),
        Offer(NOON, Side.BID, 1_000, 7_000),
    ]
    found = orders_of(offers, 3, TARIFF, Truthful(), LIMITS)
    assert [(order.energy, order.price, order.sequence) for order in found] == [
        (3_000, 9_000, 1),
        (2_000, 13_500, 2),
        (1_000, 7_000, 3),
    ]


@pytest.mark.parametrize(
    ("imported", "exported", "net"),
    [(0, 700, 700), (700, 0, -700), (300, 700, 700), (700, 300, -700), (5, 5, 5), (0, 0, 0)],
)
def test_after_metering_the_larger_of_import_and_export_is_quoted(
    imported: int, exported: int, net: int
) -> None:
    assert net_export(Reading(NOON, 0, imported, exported, generated=exported)) == net

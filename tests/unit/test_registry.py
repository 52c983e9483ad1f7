"""Who takes part from which slot on: by contract and twin alike.

The desk is that of `tests/desk.py`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.evm import SENDER, EvmChain
from chain.market import MarketContract
from energy import errors
from energy.clearing import Clearing, ranking_of
from energy.market import RING, is_assumed
from energy.messages import address_of, sign
from energy.records import Order, Side, Trade, voiding_order
from energy.registry import MOST_LEAD, MOST_PLANS, Ratings, Tariff
from energy.settlement import Settlement
from energy.units import SLOT_SECONDS
from tests.desk import (
    BEGIN,
    FIRST_SLOT,
    GATE,
    KESENNUMA,
    OGAWARA,
    PLAIN,
    RULES,
    SENDAI,
    SLOT,
    STRANGER,
    TARIFF,
    WITH_BATTERY,
    Desk,
    ask,
    bid,
    key,
    meets,
    owners_acts,
    reading,
)

EARLIEST = SLOT + RULES.horizon + 1
"""From which slot on a change takes effect that is made as `SLOT` begins."""


def owners_keys(site: int, version: int = 0) -> tuple[str, str]:
    return address_of(key("trader", site + version)), address_of(key("oracle", site))


@meets(errors.NotOwner)
def test_only_the_owner_governs(desk: Desk) -> None:
    desk.chain.sender = STRANGER
    acts = [*owners_acts(SLOT + 20), ("void_orders", SENDAI, [SLOT]), ("change_owner", STRANGER)]
    for function, *arguments in acts:
        desk.refuses(errors.NotOwner(STRANGER), str(function), *arguments)
    desk.chain.sender = SENDER
    desk.does("change_owner", STRANGER)
    assert int(desk.contract.owner(), 16) == int(STRANGER, 16)
    desk.refuses(errors.NotOwner(SENDER), "retire", SENDAI, SLOT + 20)
    desk.chain.sender = STRANGER
    desk.does("retire", SENDAI, SLOT + 20)


@meets(errors.OwnerMissing)
def test_the_registry_is_never_left_without_an_owner(desk: Desk) -> None:
    nobody = "0x" + "00" * 20
    desk.refuses(errors.OwnerMissing(), "change_owner", nobody)
    with pytest.raises(errors.OwnerMissing):
        MarketContract.deployed(EvmChain(FIRST_SLOT * SLOT_SECONDS), nobody, RULES)


@meets(errors.TooSoon, errors.SettingBeyondLimit)
def test_changes_take_effect_beyond_the_horizon_and_within_a_year(desk: Desk) -> None:
    desk.at(BEGIN)
    for function, *arguments in owners_acts(EARLIEST - 1):
        desk.refuses(errors.TooSoon(EARLIEST - 1, EARLIEST), str(function), *arguments)
    last = EARLIEST + MOST_LEAD
    for function, *arguments in owners_acts(last + 1):
        desk.refuses(errors.SettingBeyondLimit(last + 1, last), str(function), *arguments)
    for function, *arguments in owners_acts(last):
        desk.does(str(function), *arguments)
    for function, *arguments in owners_acts(EARLIEST):
        if function != "retire":
            desk.does(str(function), *arguments)


@meets(errors.SettingBeyondLimit)
def test_settings_fit_where_they_are_kept(desk: Desk) -> None:
    from_slot = SLOT + 20
    trader, oracle = owners_keys(5)
    most = 0xFFFF * 50
    for site_acts in (("enrol", from_slot), ("amend", SENDAI, from_slot)):
        function, *arguments = site_acts
        for ratings, refusal in (
            (replace(PLAIN, order_energy=most + 1), errors.SettingBeyondLimit(most + 1, most)),
            (
                replace(WITH_BATTERY, battery_efficiency=1_001),
                errors.SettingBeyondLimit(1_001, 1_000),
            ),
        ):
            desk.refuses(refusal, str(function), *arguments, trader, oracle, ratings)
    desk.does("amend", SENDAI, from_slot, trader, oracle, replace(PLAIN, order_energy=most))
    largest = Ratings(most, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 1_000)
    desk.does("amend", SENDAI, from_slot, trader, oracle, largest)
    terms = desk.contract.site_at(SENDAI, from_slot)
    assert terms is not None
    assert terms.ratings == largest


def test_a_deployments_times_leave_the_ring_room_and_orders_an_hour() -> None:
    chain, half = EvmChain(FIRST_SLOT * SLOT_SECONDS), RING // 2
    after = replace(RULES, after_metering=True)
    room = half * SLOT_SECONDS - 1_800 * RULES.horizon - 900
    for rules, refusal in (
        (replace(RULES, horizon=half + 1), errors.SettingBeyondLimit(half + 1, half)),
        (
            replace(after, gate_seconds=room + 1_800),
            errors.SettingBeyondLimit(half + 1, half),
        ),
        # Orders would close before they may be posted.
        (
            replace(RULES, gate_seconds=4 * SLOT_SECONDS),
            errors.SettingBeyondLimit(4 * SLOT_SECONDS, 4 * SLOT_SECONDS),
        ),
    ):
        with pytest.raises(errors.SettingBeyondLimit) as refused:
            MarketContract.deployed(chain, SENDER, rules)
        assert refused.value == refusal
    for rules in (
        replace(RULES, horizon=half),
        replace(after, gate_seconds=room),
        replace(RULES, gate_seconds=4 * SLOT_SECONDS - 1),
    ):
        assert MarketContract.deployed(chain, SENDER, rules).rules == rules


@meets(errors.KeyMissing)
def test_an_active_site_has_both_keys(desk: Desk) -> None:
    there, missing = address_of(key("trader", 5)), "0x" + "00" * 20
    for keys in ((there, missing), (missing, there)):
        desk.refuses(errors.KeyMissing(3), "enrol", SLOT + 20, *keys, PLAIN)
        desk.refuses(errors.KeyMissing(SENDAI), "amend", SENDAI, SLOT + 20, *keys, PLAIN)


@meets(errors.NotEnrolled)
def test_a_site_is_enrolled_before_it_changes(desk: Desk) -> None:
    unknown = errors.NotEnrolled(3)
    desk.refuses(unknown, "amend", 3, SLOT + 20, *owners_keys(5), PLAIN)
    desk.refuses(unknown, "suspend", 3, SLOT + 20)
    desk.refuses(unknown, "retire", 3, SLOT + 20)


@meets(errors.UnknownSite)
def test_a_suspended_site_takes_no_part_until_it_is_amended(desk: Desk) -> None:
    desk.at(BEGIN)
    desk.does("suspend", SENDAI, EARLIEST)
    desk.does("amend", SENDAI, EARLIEST + 2, *owners_keys(SENDAI), PLAIN)
    assert [desk.contract.sites_at(EARLIEST + k) for k in (-1, 0, 1, 2)] == [
        (3, 3),
        (3, 2),
        (3, 2),
        (3, 3),
    ]
    desk.at(RULES.gate_of(EARLIEST + 1) - 1)
    refused = errors.UnknownSite(0, SENDAI)
    desk.refuses_orders(refused, ask(SENDAI, 1, 9_000, slot=EARLIEST + 1))
    desk.post(ask(SENDAI, 1, 9_000, slot=EARLIEST + 2))


@meets(errors.AlreadyRetired)
def test_a_retired_site_never_comes_back(desk: Desk) -> None:
    desk.at(BEGIN)
    desk.does("retire", SENDAI, EARLIEST)
    refused = errors.AlreadyRetired(SENDAI)
    desk.refuses(refused, "amend", SENDAI, EARLIEST + 5, *owners_keys(SENDAI), PLAIN)
    desk.refuses(refused, "suspend", SENDAI, EARLIEST + 5)
    desk.refuses(refused, "retire", SENDAI, EARLIEST + 5)
    assert desk.does("enrol", EARLIEST, *owners_keys(5), PLAIN) == 3, "its id is not given again"


def test_of_more_sites_than_a_word_has_bits_all_stay_active_in_new_terms() -> None:
    desk = Desk()
    desk.does("enact_tariff", FIRST_SLOT + 5, [TARIFF] * 48)
    for site in range(258):
        desk.enrol(site, FIRST_SLOT + 5)
    desk.does("suspend", SENDAI, SLOT)
    desk.at(RULES.deadline_of(SLOT))
    desk.push(reading(257))
    settlement = desk.does("settle", SLOT, [])
    assert isinstance(settlement, Settlement)
    assert settlement.entries[257] == -5_000 * TARIFF.selling
    missed = desk.contract.reading_of(SLOT, 256)
    assert missed is not None
    assert is_assumed(missed)
    assert desk.contract.reading_of(SLOT, SENDAI) is None


def test_a_plan_is_replaced_by_a_later_one_for_its_slot_or_before(desk: Desk) -> None:
    """A planned change keeps no other back, of the same site or another."""
    desk.at(BEGIN)
    desk.does("amend", SENDAI, EARLIEST + 40, *owners_keys(SENDAI), WITH_BATTERY)
    desk.does("suspend", KESENNUMA, EARLIEST + 30)
    # Sendai's key is lost: it changes at once, and stays changed beyond the old plan.
    desk.does("amend", SENDAI, EARLIEST, *owners_keys(SENDAI, 7), PLAIN)
    for slot in (EARLIEST, EARLIEST + 40):
        terms = desk.contract.site_at(SENDAI, slot)
        assert terms is not None
        assert (terms.trader, terms.ratings) == (owners_keys(SENDAI, 7)[0], PLAIN)
    assert desk.contract.sites_at(EARLIEST + 30) == (3, 2), "Kesennuma's plan stands"
    cheap = Tariff(selling=18_000, buying=8_000, fee=1_000)
    desk.does("enact_tariff", EARLIEST + 20, [cheap] * 48)
    desk.does("enact_tariff", EARLIEST + 10, [TARIFF] * 48)
    assert desk.contract.tariff_at(EARLIEST + 20) == TARIFF
    assert desk.contract.sites_at(EARLIEST + 30) == (3, 2)
    before = [(3, 3), (3, 3), (3, 2)]
    assert [desk.contract.sites_at(EARLIEST + k) for k in (9, 20, 40)] == before
    desk.does("suspend", OGAWARA, EARLIEST + 25)
    assert [desk.contract.sites_at(EARLIEST + k) for k in (20, 25, 30)] == [(3, 3), (3, 2), (3, 1)]


@meets(errors.TooManyPlans)
def test_plans_do_not_pile_up(desk: Desk) -> None:
    """However many changes are planned, a look-up passes few of them."""
    desk.at(BEGIN)
    for number in range(MOST_PLANS):
        desk.does("suspend", SENDAI, EARLIEST + 2 * number)
    full = errors.TooManyPlans(MOST_PLANS)
    desk.refuses(full, "suspend", OGAWARA, EARLIEST + 1)
    desk.refuses(full, "enact_tariff", EARLIEST + 2 * MOST_PLANS, [TARIFF] * 48)
    desk.does("suspend", OGAWARA, EARLIEST + 2)
    # Once the first has begun there is room for another.
    desk.at(BEGIN + SLOT_SECONDS)
    desk.does("suspend", OGAWARA, EARLIEST + 1)
    desk.refuses(full, "suspend", OGAWARA, EARLIEST + 3)


@meets(errors.TariffImpossible)
def test_the_utility_sells_dearer_than_it_buys_and_two_fees(desk: Desk) -> None:
    tariffs = [TARIFF] * 47 + [Tariff(selling=9_999, buying=8_000, fee=1_000)]
    desk.refuses(errors.TariffImpossible(47, 9_999, 10_000), "enact_tariff", SLOT + 20, tariffs)
    tariffs[47] = Tariff(selling=10_000, buying=8_000, fee=1_000)
    desk.does("enact_tariff", SLOT + 20, tariffs)
    # 47 is 23:30 in Japan.
    night = next(slot for slot in range(SLOT + 20, SLOT + 70) if (slot + 18) % 48 == 47)
    assert desk.contract.tariff_at(night) == tariffs[47]
    assert desk.contract.tariff_at(night - 1) == TARIFF


@meets(errors.KeyNotRotated, errors.WrongSigner)
def test_a_lost_keys_orders_are_void_and_no_more_are_taken(desk: Desk) -> None:
    slot = EARLIEST - 1
    desk.at(BEGIN)
    stolen = ask(SENDAI, 40_000, 0, slot=slot)
    desk.post(stolen, ask(OGAWARA, 1_000, 9_000, slot=slot), bid(KESENNUMA, 2_000, 20_000, 1, slot))
    desk.refuses(errors.KeyNotRotated(SENDAI, slot), "void_orders", SENDAI, [slot])
    desk.does("amend", SENDAI, EARLIEST, *owners_keys(SENDAI, 7), PLAIN)
    word = voiding_order(slot, SENDAI)
    assert desk.does("void_orders", SENDAI, [slot, slot - 1]) == [
        word,
        voiding_order(slot - 1, SENDAI),
    ]
    assert desk.does("void_orders", SENDAI, [slot]) == [], "once is enough"
    # The old key still signs for the slot, but is not heard.
    assert desk.post(ask(SENDAI, 1, 0, 2, slot), ask(OGAWARA, 500, 9_500, 2, slot)) == [
        ask(OGAWARA, 500, 9_500, 2, slot)
    ]
    assert desk.contract.sequence_of(slot, SENDAI) == word.sequence
    # From the change on the new key does, and the old one does not.
    desk.at(BEGIN + SLOT_SECONDS)
    desk.refuses(errors.KeyNotRotated(SENDAI, EARLIEST), "void_orders", SENDAI, [EARLIEST])
    fresh = ask(SENDAI, 700, 9_000, slot=EARLIEST)
    desk.refuses_orders(errors.WrongSigner(0, SENDAI), fresh)
    new = sign(fresh, desk.twin.domain, key("trader", SENDAI + 7))
    assert desk.does("post", EARLIEST, [fresh], [new]) == [fresh]
    desk.at(RULES.gate_of(slot))
    book = desk.twin.slots[slot % RING].book
    clearing = desk.does("clear", slot, book, ranking_of(book, TARIFF.fee))
    # What is left of Kesennuma's bid is the first rejected: it sets the price.
    trades = Trade(slot, OGAWARA, KESENNUMA, 1_000), Trade(slot, OGAWARA, KESENNUMA, 500)
    assert clearing == Clearing(19_000, trades)


@meets(errors.BeyondHorizon, errors.UnknownSite)
def test_orders_are_void_only_while_the_gate_is_open(desk: Desk) -> None:
    desk.at(GATE - SLOT_SECONDS)
    desk.does("suspend", SENDAI, SLOT + RULES.horizon)
    desk.at(GATE)
    desk.refuses(errors.UnknownSite(0, 7), "void_orders", 7, [SLOT + 1])
    # A refused slot voids none of the others.
    far = errors.BeyondHorizon(SLOT + 99, SLOT - 1 + RULES.horizon)
    desk.refuses(far, "void_orders", SENDAI, [SLOT + 1, SLOT + 99])
    # A gate that closed while the owner's members signed is passed over.
    voided = desk.does("void_orders", SENDAI, [SLOT, SLOT + 1])
    assert voided == [voiding_order(SLOT + 1, SENDAI)]


def test_a_site_that_used_its_whole_allowance_can_still_be_voided(desk: Desk) -> None:
    desk.at(GATE - SLOT_SECONDS)
    full = [Order(SLOT, SENDAI, Side.ASK, 1, 9_000, number) for number in range(1, 15)]
    desk.post(*full)
    desk.does("suspend", SENDAI, SLOT + RULES.horizon)
    assert desk.does("void_orders", SENDAI, [SLOT]) == [voiding_order(SLOT, SENDAI)]
    desk.at(GATE)
    book = [*full, voiding_order(SLOT, SENDAI)]
    assert desk.does("clear", SLOT, book, ranking_of(book, TARIFF.fee)) == Clearing(0, ())

"""Every refusal, met by the real bytecode and by its twin: the same name, the same arguments.

The desk holds a contract in process and its twin. Three offices trade half hours from
`FIRST_SLOT + 5` on: Ogawara, Sendai, and Kesennuma with a battery. `SLOT` is the one in which
things happen; its gate closes ten minutes before it begins. Energies in Wh.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from importlib import import_module

import pytest
from coincurve import PrivateKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from pyrevm import AccountInfo

from chain.contract import interface
from chain.events import Corrected, OrdersPosted, market_events
from chain.evm import SENDER, EvmChain
from chain.market import MarketContract
from energy import errors
from energy.clearing import Clearing, Ranking, ranking_of
from energy.errors import Refusal, refusal_from, refusals, selector_of
from energy.market import CLEARED, OPEN, RING, SETTLED
from energy.messages import HALF_ORDER, Domain, address_of, digest, sign, signer_of
from energy.records import VOIDING, Quality, Reading, Trade, packed
from energy.registry import NETWORK, UTILITY
from energy.units import SLOT_SECONDS
from tests.desk import (
    DEADLINE,
    END,
    FIRST_SLOT,
    GATE,
    KESENNUMA,
    MET,
    OGAWARA,
    PLAIN,
    RULES,
    SENDAI,
    SLOT,
    STRANGER,
    TARIFF,
    Desk,
    ask,
    bid,
    key,
    meets,
    owners_acts,
    reading,
)

ABI = interface("Market").abi
CURVE_ORDER = 2 * HALF_ORDER + 1


def test_every_refusal_has_a_test_that_meets_it() -> None:
    for module in ("test_registry", "test_attested"):
        import_module(f"tests.unit.{module}")
    assert set(refusals()) == MET


# -- orders --------------------------------------------------------------------------------


@meets(errors.GateClosed)
def test_an_order_at_the_gate_is_too_late(desk: Desk) -> None:
    desk.at(GATE)
    desk.refuses_orders(errors.GateClosed(SLOT, GATE), ask(OGAWARA, 1, 9_000))
    desk.at(GATE - 1)
    desk.post(ask(OGAWARA, 1, 9_000))


@meets(errors.BeyondHorizon)
def test_an_order_beyond_the_horizon_is_too_early(desk: Desk) -> None:
    desk.at((SLOT - 5) * SLOT_SECONDS)
    desk.refuses_orders(errors.BeyondHorizon(SLOT, SLOT - 1), ask(OGAWARA, 1, 9_000))
    desk.at((SLOT - 4) * SLOT_SECONDS)
    desk.post(ask(OGAWARA, 1, 9_000))


@meets(errors.BeforeFirstSlot)
def test_nothing_happens_before_the_first_slot(desk: Desk) -> None:
    early = FIRST_SLOT - 1
    refusal = errors.BeforeFirstSlot(early, FIRST_SLOT)
    desk.refuses_orders(refusal, ask(OGAWARA, 1, 9_000, slot=early))
    desk.refuses_readings(refusal, reading(OGAWARA, early))
    desk.refuses(refusal, "settle", early, [])


@meets(errors.SlotUnsettled)
def test_the_ring_keeps_a_slot_until_it_is_settled(desk: Desk) -> None:
    desk.book()
    again = SLOT + RING
    desk.at(RULES.gate_of(again) - 1)
    desk.refuses_orders(errors.SlotUnsettled(SLOT), ask(OGAWARA, 1, 9_000, slot=again))
    desk.at(RULES.deadline_of(again))
    desk.refuses_readings(errors.SlotUnsettled(SLOT), reading(OGAWARA, again))
    desk.refuses(errors.SlotUnsettled(SLOT), "settle", again, [])
    book = desk.twin.slots[SLOT % RING].book
    clearing = desk.does("clear", SLOT, book, ranking_of(book, TARIFF.fee))
    assert isinstance(clearing, Clearing)
    desk.refuses_readings(errors.SlotUnsettled(SLOT), reading(OGAWARA, again))
    desk.does("settle", SLOT, clearing.trades)
    desk.push(reading(OGAWARA, again))


@meets(errors.SlotUnsettled)
def test_a_reading_alone_keeps_its_slot_in_the_ring(desk: Desk) -> None:
    desk.at(END)
    desk.push(reading(OGAWARA))
    again = SLOT + RING
    desk.at(RULES.gate_of(again) - 1)
    desk.refuses_orders(errors.SlotUnsettled(SLOT), ask(OGAWARA, 1, 9_000, slot=again))


@meets(errors.SlotGone)
def test_the_ring_forgets_a_slot_when_the_place_is_taken(desk: Desk) -> None:
    desk.settled()
    again = SLOT + RING
    desk.at(RULES.gate_of(again) - 1)
    # A correction is refused as soon as orders may use the place.
    desk.refuses_readings(errors.SlotGone(SLOT), reading(OGAWARA, revision=1))
    desk.post(ask(OGAWARA, 1, 9_000, slot=again))
    for function, arguments in (("clear", ([], Ranking((), ()))), ("settle", ([],))):
        desk.refuses(errors.SlotGone(SLOT), function, SLOT, *arguments)
    with pytest.raises(errors.SlotGone) as gone:
        desk.contract.state_word(SLOT)
    assert gone.value == errors.SlotGone(SLOT)
    assert desk.contract.sequence_of(SLOT, OGAWARA) == 0
    assert desk.contract.sequence_of(again, OGAWARA) == 1


@meets(errors.SlotGone)
def test_a_late_reading_opens_no_slot_whose_place_will_soon_be_wanted(desk: Desk) -> None:
    """Else a terminal could, after a month, hold up everyone's orders for the next slot there."""
    desk.at((SLOT + RING // 2) * SLOT_SECONDS)
    desk.refuses_readings(errors.SlotGone(SLOT), reading(OGAWARA))
    desk.at((SLOT + RING // 2) * SLOT_SECONDS - 1)
    desk.push(reading(OGAWARA))


@meets(errors.SlotGone)
def test_a_reading_is_taken_as_long_as_no_later_order_can_want_its_place(desk: Desk) -> None:
    desk.at(END)
    desk.push(reading(SENDAI))
    last = SLOT + RING - RULES.horizon - 1
    desk.at((last + 1) * SLOT_SECONDS)
    desk.refuses_readings(errors.SlotGone(SLOT), reading(OGAWARA))
    desk.at((last + 1) * SLOT_SECONDS - 1)
    desk.push(reading(OGAWARA))


@meets(errors.WrongLength)
def test_there_are_as_many_signatures_as_records(desk: Desk) -> None:
    desk.at(GATE - 1)
    orders = [ask(OGAWARA, 1, 9_000), ask(SENDAI, 1, 9_000)]
    one = desk.signed(orders[0], role="trader")
    desk.refuses(errors.WrongLength(64, 128), "post", SLOT, orders, one)
    desk.at(END)
    desk.refuses(errors.WrongLength(64, 0), "push", [], one)


def test_packed_records_are_whole_ones(desk: Desk) -> None:
    """The twin is given records; bytes are the contract's alone."""
    market = interface("Market")

    def refused(function: str, *arguments: object) -> Refusal:
        with pytest.raises(Refusal) as refusal:
            desk.chain.send(desk.contract.address, market.call(function, *arguments))
        return refusal.value

    desk.at(GATE - 1)
    assert refused("post", SLOT, bytes(11), b"") == errors.WrongLength(11, 10)
    assert refused("push", bytes(33), b"") == errors.WrongLength(33, 32)
    book = desk.book()
    desk.at(GATE)
    assert refused("clear", SLOT, packed(book) + b"\0", b"", b"") == errors.NotTheBook(SLOT)
    bids, asks = bytes([0, 1, 0, 2, 0]), bytes([0, 0])
    assert refused("clear", SLOT, packed(book), bids, asks) == errors.WrongLength(5, 2)
    trades = desk.does("clear", SLOT, book, ranking_of(book, TARIFF.fee)).trades  # type: ignore[attr-defined]
    assert refused("settle", SLOT, packed(trades) + b"\0") == errors.NotTheTrades(SLOT)


@meets(errors.UnknownSite)
def test_a_site_that_takes_no_part_is_unknown(desk: Desk) -> None:
    desk.at(GATE - 1)
    desk.refuses_orders(errors.UnknownSite(1, 9), ask(OGAWARA, 1, 9_000), ask(9, 1, 9_000))
    later = SLOT + 8
    desk.does("retire", SENDAI, later)
    desk.at(RULES.gate_of(later) - 1)
    desk.refuses_orders(errors.UnknownSite(0, SENDAI), ask(SENDAI, 1, 9_000, slot=later))
    desk.at((later + 1) * SLOT_SECONDS)
    desk.refuses_readings(errors.UnknownSite(0, SENDAI), reading(SENDAI, later))
    desk.push(reading(SENDAI, later - 1))


@meets(errors.WrongSigner)
def test_a_record_is_signed_by_its_own_sites_key_of_that_role(desk: Desk) -> None:
    desk.at(GATE - 1)
    good, order = ask(SENDAI, 1, 9_000), ask(OGAWARA, 1, 9_000)
    signatures = desk.signed(good, role="trader")
    for signature in (*desk.signed(order, role="oracle"), signatures[0], bytes(64), b"\xff" * 64):
        refusal = errors.WrongSigner(1, OGAWARA)
        desk.refuses(refusal, "post", SLOT, [good, order], [*signatures, signature])
    desk.at(END)
    desk.refuses_readings(errors.WrongSigner(0, OGAWARA), reading(OGAWARA), role="trader")


@meets(errors.SequenceGap)
def test_no_relay_buries_an_order_by_posting_a_later_one_first(desk: Desk) -> None:
    desk.at(GATE - 1)
    first, second = ask(OGAWARA, 5, 9_000), ask(OGAWARA, 6, 9_000, sequence=2)
    desk.refuses_orders(errors.SequenceGap(0, 2, 1), second)
    desk.refuses_orders(errors.SequenceGap(1, 2, 1), bid(SENDAI, 5, 9_000), second)
    desk.post(first, second)


@pytest.fixture(scope="module")
def crowded() -> Desk:
    """A market of 643 sites: one more than may post fourteen orders each."""
    desk = Desk()
    desk.does("enact_tariff", FIRST_SLOT + 5, [TARIFF] * 48)
    for site in range(643):
        desk.enrol(site, FIRST_SLOT + 5)
    return desk


MET.add(errors.AllowanceExceeded)


def test_a_sites_orders_stay_within_its_allowance(crowded: Desk) -> None:
    crowded.at(GATE - 1)
    crowded.post(*(ask(600, 1, 9_000, number) for number in range(1, 14)))
    crowded.refuses_orders(errors.AllowanceExceeded(0, 14, 13), ask(600, 1, 9_000, 14))
    crowded.at(RULES.gate_of(SLOT + 6) - 1)
    crowded.does("retire", 0, SLOT + 11)
    crowded.at(RULES.gate_of(SLOT + 11) - 1)
    crowded.post(*(ask(600, 1, 9_000, number, SLOT + 11) for number in range(1, 15)))
    refused = errors.AllowanceExceeded(0, VOIDING, VOIDING - 1)
    crowded.refuses_orders(refused, ask(600, 1, 9_000, VOIDING, SLOT + 11))


def test_counters_of_sites_in_other_words_do_not_mix(crowded: Desk) -> None:
    slot = SLOT + 12
    crowded.at(RULES.gate_of(slot) - 1)
    sites = [1, 55, 56, 57, 111, 112, 600, 1, 56]
    orders = []
    for place, site in enumerate(sites):
        orders.append(ask(site, 1, 9_000, sites[: place + 1].count(site), slot))
    assert crowded.post(*orders) == orders
    for site in {*sites, 2, 58, 110}:
        assert crowded.contract.sequence_of(slot, site) == sites.count(site)


@meets(errors.OrderBeyondRating)
def test_an_order_is_no_larger_than_the_site_can_deliver(desk: Desk) -> None:
    desk.at(GATE - 1)
    desk.refuses_orders(errors.OrderBeyondRating(0, 40_001, 40_000), ask(OGAWARA, 40_001, 9_000))
    desk.post(ask(OGAWARA, 40_000, 9_000))


# -- readings ------------------------------------------------------------------------------


@meets(errors.SlotNotOver)
def test_a_reading_comes_when_its_slot_is_over(desk: Desk) -> None:
    desk.at(END - 1)
    refusal = errors.SlotNotOver(1, SLOT)
    desk.refuses_readings(refusal, reading(SENDAI, SLOT - 1), reading(OGAWARA))
    desk.at(END)
    desk.push(reading(SENDAI, SLOT - 1), reading(OGAWARA))


@meets(errors.ReadingBeyondRating)
def test_a_reading_stays_within_what_is_physically_possible(desk: Desk) -> None:
    desk.at(END)
    limits = {
        "imported": 40_000,
        "generated": 40_000,
        "charged": 7_500,
        "discharged": 7_500,
        "stored": 44_000,
    }
    for name, limit in limits.items():
        flawed = reading(KESENNUMA, **{name: limit + 1})
        desk.refuses_readings(errors.ReadingBeyondRating(0, limit + 1, limit), flawed)
    # Ogawara has no battery and half the roof.
    for name, limit in (("generated", 20_000), ("charged", 0), ("discharged", 0), ("stored", 0)):
        flawed = reading(OGAWARA, **{name: limit + 1})
        desk.refuses_readings(errors.ReadingBeyondRating(0, limit + 1, limit), flawed)
    desk.push(reading(KESENNUMA, **limits))


@meets(errors.ExportUnexplained)
def test_an_export_comes_from_the_roof_or_the_battery(desk: Desk) -> None:
    desk.at(END)
    energies = {"generated": 300, "discharged": 200}
    flawed = reading(KESENNUMA, exported=501, **energies)
    desk.refuses_readings(errors.ExportUnexplained(0, 501, 500), flawed)
    desk.push(reading(KESENNUMA, exported=500, **energies))


@meets(errors.ConsumptionNegative)
def test_a_site_uses_no_less_than_nothing(desk: Desk) -> None:
    desk.at(END)
    flawed = Reading(SLOT, KESENNUMA, imported=10, exported=300, generated=300, charged=11)
    desk.refuses_readings(errors.ConsumptionNegative(0, 310, 311), flawed)
    desk.push(replace(flawed, charged=10))


@meets(errors.QualityUnknown)
def test_no_terminal_signs_an_assumed_reading(desk: Desk) -> None:
    desk.at(END)
    for quality in (Quality.ASSUMED, Quality.ASSUMED | Quality.PARTIAL):
        refusal = errors.QualityUnknown(0, int(quality))
        desk.refuses_readings(refusal, replace(reading(OGAWARA), quality=quality))


def test_a_final_reading_is_corrected_only_after_settlement(desk: Desk) -> None:
    desk.at(END)
    desk.push(reading(OGAWARA))
    # Neither the same revision nor, yet, a higher one: skipped, so that no one who carries a
    # terminal's older reading can turn a relay's batch away.
    for amended in (reading(OGAWARA, imported=1), reading(OGAWARA, imported=1, revision=1)):
        assert desk.push(amended, reading(SENDAI)).corrections == []
        assert desk.contract.reading_of(SLOT, OGAWARA) == reading(OGAWARA)
    desk.push(reading(KESENNUMA))
    desk.does("settle", SLOT, [])
    assert len(desk.push(reading(OGAWARA, imported=1, revision=1)).corrections) == 1


def test_after_metering_a_closed_book_counts_for_what_was_read_by_then() -> None:
    """A terminal that waits for the book to close gains no choice between selling and not."""
    rules = replace(RULES, after_metering=True)
    desk = Desk(rules).open()
    desk.at(END)
    desk.push(reading(SENDAI))
    orders = [ask(OGAWARA, 3_000, 9_000), bid(SENDAI, 3_000, 12_000)]
    desk.post(*orders)
    late = reading(OGAWARA, imported=0, generated=2_000, exported=1_200)
    desk.at(rules.gate_of(SLOT) - 1)
    early = reading(KESENNUMA)
    assert desk.push(early).kept == [early]
    desk.at(rules.gate_of(SLOT))
    assert desk.push(late).kept == []
    assert desk.contract.reading_of(SLOT, OGAWARA) is None
    clearing = desk.does("clear", SLOT, orders, ranking_of(orders, TARIFF.fee))
    assert clearing == Clearing(0, ())
    assert desk.push(late).kept == [late]
    desk.does("settle", SLOT, [])


def test_after_metering_no_order_counts_by_a_reading_of_an_older_slot() -> None:
    rules = replace(RULES, after_metering=True)
    desk = Desk(rules).open()
    desk.at(END)
    desk.push(*(reading(site, generated=9_000, exported=9_000) for site in range(3)))
    desk.at(rules.gate_of(SLOT))
    desk.does("settle", SLOT, [])
    again = SLOT + RING
    desk.at(rules.gate_of(again) - 1)
    orders = [ask(OGAWARA, 3_000, 9_000, slot=again), bid(SENDAI, 3_000, 12_000, slot=again)]
    desk.post(*orders)
    desk.push(reading(SENDAI, again))
    desk.at(rules.gate_of(again))
    clearing = desk.does("clear", again, orders, ranking_of(orders, TARIFF.fee))
    assert clearing == Clearing(0, ())


def test_after_metering_readings_of_an_empty_book_may_come_late() -> None:
    rules = replace(RULES, after_metering=True)
    desk = Desk(rules).open()
    desk.at(rules.gate_of(SLOT))
    late = [reading(site) for site in range(3)]
    assert desk.push(*late).kept == late
    desk.does("settle", SLOT, [])


# -- clearing ------------------------------------------------------------------------------


@meets(errors.GateOpen)
def test_nothing_is_cleared_or_settled_before_the_gate(desk: Desk) -> None:
    orders = desk.book()
    refusal = errors.GateOpen(SLOT, GATE)
    desk.refuses(refusal, "clear", SLOT, orders, ranking_of(orders, TARIFF.fee))
    desk.refuses(refusal, "settle", SLOT, [])


@meets(errors.NothingToClear)
def test_an_empty_book_is_not_cleared(desk: Desk) -> None:
    desk.at(GATE)
    desk.refuses(errors.NothingToClear(SLOT), "clear", SLOT, [], Ranking((), ()))


@meets(errors.AlreadyCleared)
def test_a_slot_is_cleared_once(desk: Desk) -> None:
    trades = desk.cleared()
    orders = desk.twin.slots[SLOT % RING].book
    clear = ("clear", SLOT, orders, ranking_of(orders, TARIFF.fee))
    desk.refuses(errors.AlreadyCleared(SLOT), *clear)
    desk.at(DEADLINE)
    desk.does("settle", SLOT, trades)
    desk.refuses(errors.AlreadyCleared(SLOT), *clear)


@meets(errors.NotTheBook)
def test_the_orders_given_are_the_book_itself(desk: Desk) -> None:
    orders = desk.book()
    desk.at(GATE)
    for other in (
        orders[:-1],
        [*orders, orders[0]],
        [orders[1], orders[0], orders[2]],
        [replace(orders[0], price=8_999), *orders[1:]],
        [replace(orders[0], site=900), *orders[1:]],
        [],
    ):
        ranking = Ranking((), ())
        desk.refuses(errors.NotTheBook(SLOT), "clear", SLOT, other, ranking)


@meets(
    errors.OrderUnknown,
    errors.OrderOnWrongSide,
    errors.OrderNotLive,
    errors.OutOfRank,
    errors.RankingIncomplete,
)
def test_a_ranking_names_every_live_order_once_and_in_order(desk: Desk) -> None:
    desk.at(GATE - 1)
    orders = [
        ask(OGAWARA, 500, 9_000),  # replaced by the next
        replace(ask(OGAWARA, 400, 9_500, 2), fresh=True),
        bid(OGAWARA, 400, 10_500, 3),  # would trade with its own ask
        bid(SENDAI, 100, 12_000),
        bid(KESENNUMA, 0, 12_000),  # empty
        bid(KESENNUMA, 100, 12_000, 2),
        bid(KESENNUMA, 100, 13_000, 3),
        ask(KESENNUMA, 100, 20_000, 4),
    ]
    desk.post(*orders)
    desk.at(GATE)
    for bids, asks, refusal in (
        ((6, 3, 5), (1, 8), errors.OrderUnknown(8, 8)),
        ((8,), (), errors.OrderUnknown(8, 8)),
        ((6, 3, 1), (7,), errors.OrderOnWrongSide(1)),
        ((6, 3, 5), (6,), errors.OrderOnWrongSide(6)),
        ((6, 3, 5), (0,), errors.OrderNotLive(0)),
        ((2,), (), errors.OrderNotLive(2)),
        ((6, 3, 4), (), errors.OrderNotLive(4)),
        ((3, 6, 5), (1, 7), errors.OutOfRank(6)),
        ((6, 5, 3), (1, 7), errors.OutOfRank(3)),
        ((6, 6), (1, 7), errors.OutOfRank(6)),
        ((6, 3, 5), (7, 1), errors.OutOfRank(1)),
        ((6, 3), (1, 7), errors.RankingIncomplete(4, 5)),
        ((), (), errors.RankingIncomplete(0, 5)),
    ):
        desk.refuses(refusal, "clear", SLOT, orders, Ranking(bids, asks))
    desk.does("clear", SLOT, orders, Ranking((6, 3, 5), (1, 7)))


# -- settlement ----------------------------------------------------------------------------


@meets(errors.NotCleared)
def test_a_book_with_orders_is_cleared_before_it_is_settled(desk: Desk) -> None:
    desk.book()
    desk.at(DEADLINE)
    desk.refuses(errors.NotCleared(SLOT), "settle", SLOT, [])


@meets(errors.AlreadySettled)
def test_a_slot_is_settled_once(desk: Desk) -> None:
    desk.settled()
    desk.refuses(errors.AlreadySettled(SLOT), "settle", SLOT, [])


@meets(errors.ReadingsOpen)
def test_readings_may_come_until_the_deadline(desk: Desk) -> None:
    trades = desk.cleared()
    desk.at(DEADLINE - 1)
    desk.push(reading(OGAWARA, generated=9_000, exported=4_000), reading(SENDAI))
    desk.refuses(errors.ReadingsOpen(SLOT, DEADLINE), "settle", SLOT, trades)
    desk.at(DEADLINE)
    desk.does("settle", SLOT, trades)
    assumed = desk.contract.reading_of(SLOT, KESENNUMA)
    assert assumed == Reading(SLOT, KESENNUMA, imported=2_000, quality=Quality.ASSUMED)


@meets(errors.NotTheTrades)
def test_the_trades_given_are_those_of_the_clearing(desk: Desk) -> None:
    (trade,) = desk.cleared()
    desk.at(DEADLINE)
    for other in ([], [trade, trade], [replace(trade, energy=trade.energy - 1)]):
        desk.refuses(errors.NotTheTrades(SLOT), "settle", SLOT, other)
    desk.refuses(errors.NotTheTrades(SLOT + 1), "settle", SLOT + 1, [trade])


# -- replay --------------------------------------------------------------------------------


@meets(errors.WrongSigner)
def test_a_signature_for_another_deployment_does_not_live_here(desk: Desk) -> None:
    desk.at(GATE - 1)
    order, here = ask(OGAWARA, 100, 9_000), desk.contract.domain
    for other in (
        Domain(here.chain_id + 1, here.contract),
        Domain(here.chain_id, MarketContract.deployed(desk.chain, SENDER, RULES).address),
    ):
        signature = sign(order, other, key("trader", OGAWARA))
        assert signer_of(order, other, signature) == address_of(key("trader", OGAWARA))
        desk.refuses(errors.WrongSigner(0, OGAWARA), "post", SLOT, [order], [signature])
    desk.post(order)


def test_after_a_fork_with_another_id_signatures_are_for_that_chain(desk: Desk) -> None:
    code = desk.chain._evm.get_code(desk.contract.address)
    forked_chain = EvmChain(FIRST_SLOT * SLOT_SECONDS, chain_id=desk.chain.chain_id + 1)
    forked_chain._evm.insert_account_info(desk.contract.address, AccountInfo(code=code))
    forked = MarketContract(forked_chain, desk.contract.address)
    assert forked.domain_separator() == forked.domain.separator
    assert forked.domain_separator() != desk.contract.domain_separator()


@meets(errors.WrongSigner)
def test_a_signature_has_no_twin_with_a_large_s(desk: Desk) -> None:
    """Of (r, s) and (r, n - s) one is refused, also where both fit the compact form.

    Hardly any s is just above half the order; a key is made for which it is.
    """
    order = ask(3, 100, 9_000)
    nonce, large = 0xC0FFEE, HALF_ORDER + 1
    x, y = PrivateKey(nonce.to_bytes(32)).public_key.point()
    z = int.from_bytes(digest(order, desk.contract.domain))
    secret = (large * nonce - z) * pow(x, -1, CURVE_ORDER) % CURVE_ORDER
    trader = address_of(secret.to_bytes(32))
    desk.does("enrol", SLOT, trader, address_of(key("oracle", 3)), PLAIN)
    desk.at(GATE - 1)

    def signature(s: int, parity: int) -> bytes:
        return x.to_bytes(32) + (parity << 255 | s).to_bytes(32)

    refusal = errors.WrongSigner(0, 3)
    desk.refuses(refusal, "post", SLOT, [order], [signature(large, y & 1)])
    desk.does("post", SLOT, [order], [signature(CURVE_ORDER - large, y & 1 ^ 1)])


@meets(errors.WrongSigner)
def test_a_malleated_signature_is_refused(desk: Desk) -> None:
    desk.at(GATE - 1)
    order = ask(OGAWARA, 100, 9_000)
    (signature,) = desk.signed(order, role="trader")
    vs = int.from_bytes(signature[32:])
    s, parity = vs & (1 << 255) - 1, vs >> 255
    malleated = signature[:32] + (
        (parity ^ 1) << 255 | (CURVE_ORDER - s) & (1 << 255) - 1
    ).to_bytes(32)
    desk.refuses(errors.WrongSigner(0, OGAWARA), "post", SLOT, [order], [malleated])


def test_a_repeated_order_is_skipped_and_those_beside_it_go_on(desk: Desk) -> None:
    desk.at(GATE - 1)
    first, second = ask(OGAWARA, 100, 9_000), ask(OGAWARA, 200, 9_000, 2)
    other = bid(SENDAI, 100, 9_000)
    assert desk.post(first) == [first]
    assert desk.post(first, second, other, first) == [second, other]
    assert desk.post(first, other) == []
    # A skipped order is not looked at any further: its signature may be anyone's.
    assert desk.does("post", SLOT, [first], [bytes(64)]) == []
    assert desk.twin.slots[SLOT % RING].book == (first, second, other)
    assert desk.contract.state_word(SLOT) == desk.twin.state_word(SLOT)


def test_the_zero_bits_of_an_order_make_no_other_order(desk: Desk) -> None:
    order = ask(OGAWARA, 100, 9_000)
    wire = bytearray(order.to_bytes())
    wire[-1] |= 0xC0
    (signature,) = desk.signed(order, role="trader")
    desk.at(GATE - 1)
    call = interface("Market").call("post", SLOT, bytes(wire), signature)
    (event,) = market_events(desk.chain.send(desk.contract.address, call).logs)
    assert event == OrdersPosted(SLOT, (order,))
    desk.twin.post(desk.chain.now(), SLOT, [order], [signature])
    assert desk.contract.state_word(SLOT) == desk.twin.state_word(SLOT)


def test_a_reading_is_taken_once_however_often_it_comes(desk: Desk) -> None:
    desk.settled()
    before = desk._kept()
    desk.push(*(reading(site) for site in range(3)))
    assert desk._kept() == before
    higher = reading(OGAWARA, imported=6_000, revision=1)
    desk.push(higher, higher)
    assert desk.contract.balance_of(OGAWARA) == -5_000 * 22_000 - 1_000 * 22_000


# -- success -------------------------------------------------------------------------------


def test_every_public_function_succeeds(desk: Desk) -> None:
    from_slot = SLOT + 20
    for function, *arguments in owners_acts(from_slot):
        desk.does(str(function), *arguments)
    trades = desk.cleared()
    assert trades == (Trade(SLOT, OGAWARA, KESENNUMA, 2_000),)
    contract, twin = desk.contract, desk.twin
    stage = contract.state_word(SLOT) >> 216 & 0xFF
    assert stage == CLEARED
    desk.at(END)
    readings = (
        reading(OGAWARA, imported=0, generated=9_000, exported=2_500),
        reading(SENDAI, imported=700),
        reading(KESENNUMA, imported=1_900),
    )
    desk.push(*readings)
    desk.does("settle", SLOT, trades)
    assert contract.state_word(SLOT) >> 216 & 0xFF == SETTLED
    assert contract.state_word(SLOT + 1) == (SLOT + 1) << 224 | OPEN << 216
    assert [contract.reading_of(SLOT, site) for site in range(3)] == list(readings)
    assert contract.sequence_of(SLOT, KESENNUMA) == 1
    balances = [contract.balance_of(account) for account in (0, 1, 2, UTILITY, NETWORK)]
    assert balances == [twin.balances[account] for account in (0, 1, 2, UTILITY, NETWORK)]
    assert sum(balances) == 0
    assert contract.rules == RULES
    assert contract.owner() == to_checksum_address(SENDER)
    assert contract.domain_separator() == contract.domain.separator
    assert contract.sites_at(FIRST_SLOT + 4) == (0, 0)
    assert contract.sites_at(SLOT) == (3, 3)
    assert contract.sites_at(from_slot) == (4, 2)
    assert contract.site_at(SENDAI, from_slot) is None
    assert contract.site_at(7, SLOT) is None
    assert contract.tariff_at(SLOT) == TARIFF
    for site in range(3):
        ours, theirs = twin.registry.site_at(site, SLOT), contract.site_at(site, SLOT)
        assert ours is not None
        assert theirs == replace(ours, from_slot=SLOT)
    ask_for = interface("Market")
    for name, moment in (("gateOf", GATE), ("deadlineOf", DEADLINE)):
        answer = desk.chain.call(contract.address, ask_for.call(name, SLOT))
        assert ask_for.result(name, answer) == moment
    desk.does("retire", SENDAI, from_slot)
    desk.does("void_orders", SENDAI, [SLOT + 2])
    desk.does("change_owner", STRANGER)
    functions = {
        keccak(text=f"{entry['name']}({','.join(map(type_of, entry['inputs']))})")[:4]: entry[
            "name"
        ]
        for entry in ABI
        if entry["type"] == "function"
    }
    assert {functions[selector] for selector in desk.chain.succeeded} == set(functions.values())


def test_after_metering_the_gate_follows_the_readings() -> None:
    rules = replace(RULES, after_metering=True)
    desk = Desk(rules).open()
    answer = desk.chain.call(desk.contract.address, interface("Market").call("gateOf", SLOT))
    assert int.from_bytes(answer) == DEADLINE + 600 == rules.gate_of(SLOT)
    desk.at(DEADLINE + 599)
    orders = [ask(OGAWARA, 3_000, 9_000), bid(SENDAI, 3_000, 12_000)]
    desk.post(*orders)
    desk.push(
        reading(OGAWARA, imported=0, generated=2_000, exported=1_200), reading(SENDAI, imported=900)
    )
    desk.at(DEADLINE + 600)
    clearing = desk.does("clear", SLOT, orders, ranking_of(orders, TARIFF.fee))
    # Of 1,200 Wh that count 300 are left over: their ask is the first rejected.
    assert clearing == Clearing(9_000, (Trade(SLOT, OGAWARA, SENDAI, 900),))
    desk.does("settle", SLOT, clearing.trades)


def test_a_correction_is_between_site_and_utility(desk: Desk) -> None:
    desk.settled()
    higher = reading(KESENNUMA, imported=4_000, generated=100, exported=100, revision=1)
    receipt = desk.contract.push([higher], desk.signed(higher, role="oracle"))
    assert market_events(receipt.logs) == [Corrected(higher, 1_000 * 8_000 + 100 * 8_000)]


# -- the errors themselves -----------------------------------------------------------------


def type_of(field: dict[str, object]) -> str:
    kind = str(field["type"])
    if not kind.startswith("tuple"):
        return kind
    parts = field["components"]
    assert isinstance(parts, list)
    return f"({','.join(type_of(part) for part in parts)}){kind[5:]}"


def test_refusals_are_the_contracts_errors_by_name_and_types() -> None:
    theirs = {
        entry["name"]: [(field["name"], field["type"]) for field in entry["inputs"]]
        for entry in (*ABI, *interface("Origin").abi)
        if entry["type"] == "error"
    }
    solidity = {"int": "uint256", "str": "address"}
    ours = {
        kind.__name__: [(camel(field.name), solidity[str(field.type)]) for field in fields(kind)]
        for kind in refusals()
    }
    assert ours == theirs
    for name, parameters in theirs.items():
        selector = keccak(text=f"{name}({','.join(kind for _, kind in parameters)})")[:4]
        assert selector_of(getattr(errors, name)) == selector


def camel(name: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)


@pytest.mark.parametrize("kind", refusals(), ids=lambda kind: kind.__name__)
def test_a_refusal_is_read_from_its_revert_and_says_its_rule(kind: type[Refusal]) -> None:
    values = [
        STRANGER if field.type == "str" else 41 + number
        for number, field in enumerate(fields(kind))
    ]
    words = b"".join(
        (int(value, 16) if isinstance(value, str) else value).to_bytes(32) for value in values
    )
    refusal = refusal_from(selector_of(kind) + words)
    assert refusal == kind(*values)
    for field, value in zip(fields(kind), values, strict=True):
        assert f"{field.name}={value}" in str(refusal)
    assert kind.rule in str(refusal)
    assert " must " in kind.rule or kind in (errors.NothingToClear, errors.NotOwner)
    assert refusal_from(selector_of(kind) + words + bytes(32)) is None
    assert refusal_from(b"\0\0\0\0" + words) is None

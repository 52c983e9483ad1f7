"""The rules that never break, held against the real bytecode whatever is done to it.

A machine plays sites, relays, an owner and a hostile orchestrator against one deployment in
process, and its twin beside it. The laws are one invariant each; they look only at what the
chain has logged and keeps, never at how it was found.
Energies in Wh, prices in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chain.contract import Receipt, interface
from chain.events import (
    Cleared,
    Corrected,
    OrdersPosted,
    ReadingMissed,
    ReadingPosted,
    Settled,
    market_events,
)
from chain.evm import SENDER, EvmChain
from chain.market import MarketContract
from energy.clearing import Clearing, Ranking, ranking_of
from energy.errors import Refusal
from energy.market import RING, Market, MarketRules
from energy.messages import address_of, sign
from energy.records import VOIDING, Order, Reading, Side, packed
from energy.registry import NETWORK, UTILITY, Ratings, Registry, Tariff
from energy.units import SLOT_SECONDS
from tests.unit.test_optimum import Caps, best_surplus, live, surplus_of
from tests.unit.test_twin import FIRST_SLOT, Pair, key

BEGUN = FIRST_SLOT + 5
SITES = 3
TARIFFS = Tariff(22_000, 8_000, 1_000), Tariff(10_001, 8_001, 1_000), Tariff(0, 0, 0)
RATINGS = Ratings(40_000, 800, 800, 150, 440, 900)
STRANGER = "0x00000000000000000000000000000000000000bd"
USUAL = [
    Reading(0, 0, 0, 9_000, 12_000),
    Reading(0, 1, 7_000, 0, 0),
    Reading(0, 2, 3_000, 500, 700),
]
ACCOUNTS = (*range(SITES), UTILITY, NETWORK)

REACHED: Counter[str] = Counter()
"""How often what a law speaks of came to pass: none may hold for want of a case."""


class RecordingChain(EvmChain):
    """A chain that keeps its receipts."""

    def __init__(self, time: int) -> None:
        super().__init__(time)
        self.receipts: list[Receipt] = []

    def send(self, to: str, data: bytes) -> Receipt:
        receipt = super().send(to, data)
        self.receipts.append(receipt)
        return receipt


@dataclass
class SlotLog:
    """What the chain has logged of a slot, and what it kept when that was final."""

    book: list[Order] = field(default_factory=list)
    readings: dict[int, Reading] = field(default_factory=dict)
    fee: int = 0
    caps: Caps | None = None
    """What orders counted for when the book was cleared; None when in full."""
    clearing: Clearing | None = None
    settled: Settled | None = None
    word: int = 0


@dataclass
class Heard:
    """What can be known from a market's events alone."""

    contract: MarketContract
    chain: RecordingChain
    logs: dict[int, SlotLog] = field(default_factory=dict)
    balances: Counter[int] = field(default_factory=Counter)

    def of(self, slot: int) -> SlotLog:
        return self.logs.setdefault(slot, SlotLog())

    def listen(self) -> None:
        """Take in the newest events, one transaction at a time."""
        for receipt in self.chain.receipts:
            for event in market_events(receipt.logs):
                self._hear(event)
        self.chain.receipts.clear()

    def _hear(self, event: object) -> None:
        match event:
            case OrdersPosted(slot, orders):
                self.of(slot).book += orders
            case ReadingPosted(reading) | ReadingMissed(reading):
                assert reading.site not in self.of(reading.slot).readings, "the first is final"
                self.of(reading.slot).readings[reading.site] = reading
            case Corrected(reading, entry):
                assert self.of(reading.slot).settled
                self.of(reading.slot).readings[reading.site] = reading
                self.balances[reading.site] += entry
                self.balances[UTILITY] -= entry
                REACHED["corrections"] += 1
            case Cleared(slot, price, trades):
                log = self.of(slot)
                assert log.clearing is None
                log.clearing, log.fee = Clearing(price, trades), self.contract.tariff_at(slot).fee
                if self.contract.rules.after_metering:
                    readings = log.readings.values()
                    log.caps = {one.site: (one.imported, one.exported) for one in readings}
            case Settled(slot, _, _, entries):
                log = self.of(slot)
                assert log.settled is None
                log.settled, log.word = event, self.contract.state_word(slot)
                *of_sites, of_utility, of_network = entries
                self.balances.update(dict(enumerate(of_sites)))
                self.balances.update({UTILITY: of_utility, NETWORK: of_network})


sites = st.integers(0, SITES)
seldom = st.sampled_from([False] * 9 + [True])
energies = st.one_of(
    st.integers(0, 9), st.integers(0, 40_000), st.sampled_from([40_000, 40_001, 2**32 - 1])
)
prices = st.one_of(
    st.sampled_from(range(8_000, 22_001, 500)),
    st.integers(8_000, 22_000),
    st.sampled_from([0, 7_999, 2**24 - 1]),
)
offers = st.builds(
    Order,
    st.just(0),
    sites,
    st.sampled_from(list(Side)),
    energies,
    prices,
    st.sampled_from([0] * 12 + [1, -1]),  # by how much its sequence is wrong
    seldom,
)
sender = st.sampled_from([SENDER, STRANGER])


@st.composite
def meterings(draw) -> Reading:
    """A reading of no slot, mostly such as a terminal signs."""
    site, generated = draw(sites), draw(st.integers(0, 40_000))
    if draw(seldom):
        return Reading(0, site, 40_001, 2**32 - 1, 2**32 - 1)
    exported, charged = draw(st.integers(0, generated)), draw(st.sampled_from([0, 0, 7_500]))
    least = max(exported + charged - generated, 0)
    imported = draw(st.sampled_from([least, 40_000, draw(st.integers(least, 40_000))]))
    return Reading(0, site, imported, exported, generated, charged, stored=charged)


class Town(RuleBasedStateMachine):
    """Three offices, and all that a site, a relay, an owner or a stranger may try."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = RecordingChain(FIRST_SLOT * SLOT_SECONDS)
        self.held: set[tuple[str, int]] = set()

    @initialize(after_metering=st.booleans(), gate=st.sampled_from([0, 600]), tariff=sites)
    def deployed(self, after_metering: bool, gate: int, tariff: int) -> None:
        self.times = MarketRules(FIRST_SLOT, 4, 900, gate, after_metering)
        self.contract = MarketContract.deployed(self.chain, SENDER, self.times)
        twin = Market(self.times, Registry(4, SENDER), self.contract.domain)
        self.pair = Pair(random.Random(0), self.contract, twin)
        self.heard = Heard(self.contract, self.chain)
        self.both("enact_tariff", BEGUN, [TARIFFS[max(tariff - 1, 0)]] * 48)
        for site in range(SITES):
            keys = (address_of(key(role, site)) for role in ("trader", "oracle"))
            self.both("enrol", BEGUN, *keys, RATINGS)
        self.slot = BEGUN
        self.chain.set_time(self.times.gate_of(self.slot) - 1)

    def both(self, function: str, *arguments: object) -> None:
        self.pair.both(function, *arguments)
        self.heard.listen()

    def log(self, slot: int) -> SlotLog:
        return self.heard.of(slot)

    def post(self, slot: int, orders: list[Order]) -> None:
        signed = [sign(one, self.contract.domain, key("trader", one.site)) for one in orders]
        self.both("post", slot, orders, signed)

    def push(self, readings: list[Reading]) -> None:
        signed = [sign(one, self.contract.domain, key("oracle", one.site)) for one in readings]
        self.both("push", readings, signed)

    def clear(self, slot: int) -> None:
        book = self.log(slot).book
        fee = self.contract.tariff_at(slot).fee
        self.both("clear", slot, book, ranking_of(book, fee))

    def settle(self, slot: int) -> None:
        clearing = self.log(slot).clearing
        self.both("settle", slot, clearing.trades if clearing else ())

    # What sites and relays do.

    @rule(some=st.lists(offers, min_size=1, max_size=6), later=seldom, relay=sender)
    def orders_are_posted(self, some: list[Order], later: bool, relay: str) -> None:
        slot = self.slot + later
        posted = Counter({order.site: order.sequence for order in self.log(slot).book})
        orders = []
        for order in some:
            posted[order.site] += 1
            sequence = min(max(posted[order.site] + order.sequence, 0), VOIDING)
            orders.append(replace(order, slot=slot, sequence=sequence))
        self.chain.sender = relay
        self.post(slot, orders)
        self.chain.sender = SENDER

    @rule(energy=st.integers(1, 9_000), ask=st.sampled_from([9_000, 12_000, 15_000]))
    def three_offices_quote_as_usual(self, energy: int, ask: int) -> None:
        posted = Counter({order.site: order.sequence for order in self.log(self.slot).book})
        if max(posted.values(), default=0) < VOIDING - 1:
            offered = (Side.ASK, energy, ask), (Side.BID, 5_000, 16_000), (Side.BID, 900, 14_500)
            self.post(
                self.slot,
                [Order(self.slot, n, *offer, posted[n] + 1) for n, offer in enumerate(offered)],
            )

    @rule()
    def another_relay_carries_the_same_orders(self) -> None:
        book = [order for order in self.log(self.slot).book if order.sequence != VOIDING]
        self.chain.sender = STRANGER
        self.post(self.slot, book)
        self.chain.sender = SENDER

    @rule(site=sites, forger=sites)
    def a_site_signs_for_another(self, site: int, forger: int) -> None:
        sequence = len([one for one in self.log(self.slot).book if one.site == site]) + 1
        order = Order(self.slot, site, Side.ASK, 40_000, 0, min(sequence, VOIDING))
        signature = sign(order, self.contract.domain, key("trader", forger))
        self.both("post", self.slot, [order], [signature])

    @rule(some=st.lists(meterings(), min_size=1, max_size=3), back=st.sampled_from([0, 0, 0, 1]))
    def readings_come(self, some: list[Reading], back: int) -> None:
        self.push([replace(one, slot=self.slot - back) for one in some])

    @rule()
    def every_reading_comes(self) -> None:
        self.push([replace(one, slot=self.slot) for one in USUAL])

    @rule(amended=meterings(), revision=st.integers(0, 2), back=st.sampled_from([0, 1]))
    def a_reading_is_amended(self, amended: Reading, revision: int, back: int) -> None:
        self.push([replace(amended, slot=self.slot - back, revision=revision)])

    # What time, movers and the owner do.

    @rule(steps=st.integers(1, 3))
    def time_passes(self, steps: int) -> None:
        """To the next moment at which a rule of the slot changes, or to the next slot."""
        gate, end = self.times.gate_of(self.slot), (self.slot + 1) * SLOT_SECONDS
        moments = {gate - 1, gate, end, self.times.deadline_of(self.slot)}
        coming = sorted(moment for moment in moments if moment > self.chain.now())
        if coming:
            self.chain.set_time(coming[:steps][-1])
        else:
            self.slot += 1

    @rule(readings=st.lists(meterings(), max_size=3), ask=st.sampled_from([9_000, 13_500]))
    def the_half_hour_goes_its_way(self, readings: list[Reading], ask: int) -> None:
        """From wherever it stands, as agents, movers and terminals lead it."""
        self.three_offices_quote_as_usual(6_000, ask)
        if not readings:
            readings = USUAL
        slot, times = self.slot, self.times
        moments = (slot + 1) * SLOT_SECONDS, times.gate_of(slot), times.deadline_of(slot)
        for moment in sorted(moments):
            self.chain.set_time(max(self.chain.now(), moment))
            self.push([replace(one, slot=slot) for one in readings if one.site < SITES])
            self.clear(slot)
            self.settle(slot)

    @precondition(lambda self: self.chain.now() >= self.times.deadline_of(self.slot))
    @rule(comes=seldom)
    def the_ring_comes_round(self, comes: bool) -> None:
        self.slot += RING * comes

    @rule(late=seldom)
    def the_book_is_cleared(self, late: bool) -> None:
        self.clear(self.slot - late)

    @rule(late=seldom)
    def the_slot_is_settled(self, late: bool) -> None:
        self.settle(self.slot - late)

    @rule(chance=st.randoms(use_true_random=False))
    def an_orchestrator_ranks_as_it_likes(self, chance: random.Random) -> None:
        book = self.log(self.slot).book
        right = ranking_of(book, self.contract.tariff_at(self.slot).fee)
        indices = [*right.bids, *right.asks, len(book)]
        chance.shuffle(indices)
        cut = chance.randrange(len(indices) + 1)
        self.both("clear", self.slot, book, Ranking(tuple(indices[:cut]), tuple(indices[cut:])))

    @rule()
    def trades_are_made_up(self) -> None:
        clearing = self.log(self.slot).clearing
        if clearing and clearing.trades:
            more = [replace(one, energy=one.energy + 1) for one in clearing.trades]
            self.both("settle", self.slot, more)

    @rule(function=st.sampled_from(["post", "clear", "push", "settle"]), size=st.integers(1, 7))
    def stray_bytes_are_sent(self, function: str, size: int) -> None:
        stray = packed(self.log(self.slot).book) + bytes(size)
        arguments = {
            "post": (self.slot, stray, b""),
            "clear": (self.slot, stray, b"", b""),
            "push": (stray, b""),
            "settle": (self.slot, bytes(size)),
        }
        data = interface("Market").call(function, *arguments[function])
        with pytest.raises(Refusal):
            self.chain.send(self.contract.address, data)

    @rule(site=sites, who=sender, ahead=st.integers(4, 6), act=st.integers(0, 7))
    def the_owner_governs(self, site: int, who: str, ahead: int, act: int) -> None:
        from_slot = self.chain.now() // SLOT_SECONDS + ahead
        self.chain.sender = who
        trader, oracle = (address_of(key(role, site)) for role in ("trader", "oracle"))
        match act:
            case 0:
                self.both("suspend", site, from_slot)
            case 1:
                self.both("enact_tariff", from_slot, [TARIFFS[site % 3]] * 48)
            case 2 | 3:
                self.both("amend", site, from_slot, oracle, oracle, RATINGS)
                self.both("void_orders", site, [self.slot, self.slot + 1])
            case 4:
                self.both("retire", site, from_slot + 90)
            case _:
                self.both("amend", site, from_slot, trader, oracle, RATINGS)
        self.chain.sender = SENDER

    # The laws.

    def new(self, law: str, what: str) -> Iterator[tuple[int, SlotLog]]:
        """The slots that were cleared or settled since this law last looked."""
        for slot, log in self.heard.logs.items():
            if getattr(log, what) and (law, slot) not in self.held:
                self.held.add((law, slot))
                yield slot, log

    @invariant()
    def energy_sold_is_energy_bought(self) -> None:
        """Each Wh is sold by a site that offered it to another one that wanted it, once."""
        for _, log in self.new("sold is bought", "clearing"):
            for side, energies in self.sides_of(log).items():
                offered = Counter[int]()
                for order in live(log.book, log.fee):
                    offered[order.site] += order.energy * (order.side == side)
                assert energies <= offered
            sides = self.sides_of(log)
            assert sides[Side.ASK].total() == sides[Side.BID].total()
            assert log.clearing
            assert all(one.seller != one.buyer for one in log.clearing.trades)

    @invariant()
    def no_order_trades_beyond_its_limit_fee_included(self) -> None:
        """A buyer pays at most its bid with the fee; a seller gets at least its ask."""
        for _, log in self.new("limits", "clearing"):
            assert log.clearing
            price = log.clearing.price
            for side, energies in self.sides_of(log).items():
                willing = Counter[int]()
                for order in live(log.book, log.fee):
                    pays = order.price >= price + log.fee
                    would = pays if side == Side.BID else order.price <= price
                    willing[order.site] += order.energy * (order.side == side and would)
                assert energies <= willing

    @invariant()
    def no_better_set_of_trades_existed(self) -> None:
        """The trades gain what a linear program finds that knows nothing of rankings."""
        for _, log in self.new("optimum", "clearing"):
            assert log.clearing
            found = surplus_of(log.book, log.clearing, log.fee, log.caps)
            assert found == best_surplus(log.book, log.fee, log.caps)
            mode = "ahead" if log.caps is None else "after metering"
            REACHED[f"trades {mode}"] += bool(log.clearing.trades)

    @invariant()
    def no_delivery_exceeds_what_was_exported_or_imported(self) -> None:
        """By seller and by buyer, trades and pool together; nor is more delivered than traded."""
        for _, log in self.new("deliveries", "settled"):
            assert log.settled
            trades = log.clearing.trades if log.clearing else ()
            for trade, delivery in zip(trades, log.settled.deliveries, strict=True):
                assert delivery == replace(trade, energy=delivery.energy)
                assert delivery.energy <= trade.energy
                REACHED["broken trades"] += delivery.energy < trade.energy
            out, into = Counter[int](), Counter[int]()
            for flow in (*log.settled.deliveries, *log.settled.pool):
                out[flow.seller] += flow.energy
                into[flow.buyer] += flow.energy
            assert out <= Counter({site: one.exported for site, one in log.readings.items()})
            assert into <= Counter({site: one.imported for site, one in log.readings.items()})
            REACHED["pool"] += bool(log.settled.pool)

    @invariant()
    def the_ledger_sums_to_zero(self) -> None:
        """All that sites, utility and network are owed together, at any time."""
        assert sum(self.contract.balance_of(account) for account in ACCOUNTS) == 0

    @invariant()
    def after_settlement_nothing_changes_but_by_a_named_correction(self) -> None:
        """The word of a settled slot stays; readings and balances are what events have said."""
        for account in ACCOUNTS:
            assert self.contract.balance_of(account) == self.heard.balances[account]
        for slot in (self.slot - 1, self.slot):
            log = self.log(slot)
            if log.settled:
                assert self.contract.state_word(slot) == log.word
            for site in range(SITES):
                assert self.contract.reading_of(slot, site) == log.readings.get(site)

    @invariant()
    def after_metering_no_site_between_the_utilitys_prices_is_worse_off(self) -> None:
        """Than with the utility alone, whatever the others quote."""
        for slot, log in self.new("not worse off", "settled"):
            assert log.settled
            tariff = self.contract.tariff_at(slot)
            for site, one in log.readings.items():
                own = [order.price for order in log.book if order.site == site and order.energy]
                between = all(tariff.buying <= price <= tariff.selling for price in own)
                if self.times.after_metering and between:
                    alone = tariff.buying * one.exported - tariff.selling * one.imported
                    assert log.settled.entries[site] >= alone
                    REACHED["between the utility's prices"] += bool(own)

    @invariant()
    def the_specification_keeps_the_same_words(self) -> None:
        """What the contract keeps is the twin's, word for word."""
        for slot in (self.slot - 1, self.slot, self.slot + 1):
            self.pair.same_slot(slot)

    def teardown(self) -> None:
        if not hasattr(self, "heard"):
            return
        self.a_slot_can_always_be_finished()
        self.energy_sold_is_energy_bought()
        self.no_order_trades_beyond_its_limit_fee_included()
        self.no_better_set_of_trades_existed()
        self.no_delivery_exceeds_what_was_exported_or_imported()
        self.the_ledger_sums_to_zero()
        self.after_settlement_nothing_changes_but_by_a_named_correction()
        self.after_metering_no_site_between_the_utilitys_prices_is_worse_off()

    def a_slot_can_always_be_finished(self) -> None:
        """By anyone, from wherever the machine has stopped, with nothing more from any site."""
        self.chain.sender = STRANGER
        for slot, log in sorted(self.heard.logs.items()):
            touched = log.book or log.readings
            if not touched or log.settled:
                continue
            last = max(self.times.gate_of(slot), self.times.deadline_of(slot))
            self.chain.set_time(max(self.chain.now(), last))
            if log.book and log.clearing is None:
                self.clear(slot)
            self.settle(slot)
            assert log.settled
            REACHED["finished"] += 1

    @staticmethod
    def sides_of(log: SlotLog) -> dict[Side, Counter[int]]:
        """What each site bought and sold."""
        found = {Side.BID: Counter[int](), Side.ASK: Counter[int]()}
        assert log.clearing
        for trade in log.clearing.trades:
            found[Side.BID][trade.buyer] += trade.energy
            found[Side.ASK][trade.seller] += trade.energy
        return found


def test_the_rules_never_break_whatever_is_done() -> None:
    run_state_machine_as_test(
        Town,
        settings=settings(
            max_examples=90,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    for what in (
        "trades ahead",
        "trades after metering",
        "broken trades",
        "pool",
        "corrections",
        "between the utility's prices",
        "finished",
    ):
        assert REACHED[what] >= 10, f"{what}: {REACHED}"

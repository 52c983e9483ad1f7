"""The loop: each moment's acts, in the order of time, on a real market contract.

| moment                        | act                                                     |
| ----------------------------- | ------------------------------------------------------- |
| a slot begins                 | batteries are commanded                                 |
| a minute before its gate      | agents sign orders, a relay posts them                  |
| its gate                      | the book is cleared                                     |
| it ends                       | readings are signed and pushed                          |
| both are past                 | it is settled                                           |
| the day before, at 11:00      | where prices are known the day before, they are enacted |
| beyond the order horizon      | else where they change, the change is                   |

After metering, orders come a minute after the slot's end. Times in unix seconds.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice

from chain.contract import Chain
from chain.events import Cleared, OrdersPosted, Settled, market_events
from chain.market import MarketContract
from chain.store import Store
from energy.clearing import Clearing
from energy.laws import check_clearing, check_settlement
from energy.market import MarketRules
from energy.records import Order, Reading, Trade, packed
from energy.registry import Tariff
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, day_of, slot_of_day
from orchestrator.moving.clearing import proposed
from orchestrator.replay.calls import Calls
from orchestrator.replay.site import ReplayedSite
from orchestrator.steering.steering import OPEN, Tariffs, position_of
from vpp.forecast import HISTORY_DAYS

ORDER_SECONDS = 60
ENACT_SECONDS = 13 * 3600
"""Before a day begins: 11:00 of the day before, when the exchange has published its prices."""
READ, CLEAR, SETTLE, BEGIN, ORDER, ENACT = range(6)
"""Of what falls on one moment, in this order."""


@dataclass(frozen=True)
class SlotResult:
    """What came of a slot: prices, book, trades, readings by site, and the settlement."""

    slot: int
    tariff: Tariff
    orders: Sequence[Order]
    price: int
    trades: Sequence[Trade]
    readings: Mapping[int, Reading]
    settled: Settled


def known_tariffs(tariffs_on: Callable[[date], Sequence[Tariff]], enacts_daily: bool) -> Tariffs:
    """Return what is known of a slot's tariff when another slot begins: where prices are enacted
    the day before, those of the last day that is known stand for later ones."""
    ahead = SLOTS_PER_DAY - ENACT_SECONDS // SLOT_SECONDS

    def known(slot: int, now: int) -> Tariff:
        day = day_of(slot)
        if enacts_daily:
            last = day_of(now + SLOTS_PER_DAY) if slot_of_day(now) >= ahead else day_of(now)
            day = min(day, last)
        return tariffs_on(day)[slot_of_day(slot)]

    return known


@dataclass
class _Book:
    orders: list[Order] = field(default_factory=list)
    price: int = 0
    trades: tuple[Trade, ...] = ()
    readings: dict[int, Reading] = field(default_factory=dict)


@dataclass
class Replay:
    """Sites on a market whose clock the replay sets."""

    chain: Chain
    market: MarketContract
    sites: Sequence[ReplayedSite]
    tariffs_on: Callable[[date], Sequence[Tariff]]
    """The prices of a day's 48 half hours."""
    set_time: Callable[[int], None]
    watch: Callable[[SlotResult], None] | None = None
    """Told what came of each slot as it is settled."""
    enacts_daily: bool = False
    calls: Calls | None = None
    """What the grid calls for, on top of what steers batteries."""
    rules: MarketRules = field(init=False)
    acts: int = 0
    """How many acts were done."""
    gas: Counter[str] = field(default_factory=Counter)
    """What was used, by what it was for; the EVM in this process does not tell."""

    def __post_init__(self) -> None:
        self.rules = self.market.rules
        self._books: dict[int, _Book] = {}
        self.neighbours = self.sites[0].neighbours if self.sites else None

    def go_on(self, done: int, slots: range, store: Store) -> None:
        """Be as after the first `done` acts of some slots, by what the chain's events say."""
        begun: set[int] = set()
        open_: set[int] = set()
        for _, act, slot in islice(self._agenda(slots), done):
            if act == BEGIN:
                begun.add(slot)
            elif act == READ:
                begun.remove(slot)
            if act == SETTLE:
                open_.remove(slot)
            elif act != ENACT:
                open_.add(slot)
        for slot in open_:
            span = range(slot, slot + 1)
            readings = {reading.site: reading for reading in store.readings(span)}
            trades = tuple(trade for trade, _ in store.trades(span))
            book = _Book(store.orders(span), store.price(slot) or 0, trades, readings)
            self._books[slot] = book
        if self.neighbours:
            now = self.chain.now() // SLOT_SECONDS
            known = range(max(now - HISTORY_DAYS * SLOTS_PER_DAY, slots.start), slots.stop)
            self.neighbours.read(store.readings(known))
            self.neighbours.ordered(store.orders(known))
        for slot in sorted(begun):
            self._begin(slot)
        self.acts = done

    def run(self, slots: range) -> Iterator[int]:
        """Play some slots, from where it stands, and yield each once it is settled.

        Raises:
            Refusal, ChainError: what the contract did not take.
            AuditError: a law that does not hold.
        """
        acts = {
            BEGIN: self._begin,
            ORDER: self._order,
            CLEAR: self._clear,
            READ: self._read,
            SETTLE: self._settle,
            ENACT: self._enact,
        }
        for moment, act, slot in islice(self._agenda(slots), self.acts, None):
            if moment > self.chain.now():
                self.set_time(moment)
            acts[act](slot)
            self.acts += 1
            if act == SETTLE:
                yield slot

    def _agenda(self, slots: range) -> Iterator[tuple[int, int, int]]:
        """Yield moments, acts and slots in the order of time."""
        rules = self.rules

        def times(act: int) -> Iterator[tuple[int, int, int]]:
            for slot in slots:
                begins, ends = slot * SLOT_SECONDS, (slot + 1) * SLOT_SECONDS
                gate = rules.gate_of(slot)
                moments = {
                    BEGIN: begins,
                    ORDER: ends + ORDER_SECONDS if rules.after_metering else gate - ORDER_SECONDS,
                    CLEAR: gate,
                    READ: ends,
                    SETTLE: max(ends, gate),
                }
                yield moments[act], act, slot

        found = [times(act) for act in (READ, CLEAR, SETTLE, BEGIN, ORDER)]
        starts = slots[SLOTS_PER_DAY::SLOTS_PER_DAY]
        if self.enacts_daily:
            found.append((start * SLOT_SECONDS - ENACT_SECONDS, ENACT, start) for start in starts)
        else:
            # They are published long before: no order may be taken for a slot without its price.
            found.append(
                ((start - rules.horizon - 2) * SLOT_SECONDS, ENACT, start)
                for start in starts
                if self._day_prices(start) != self._day_prices(start - 1)
            )
        yield from heapq.merge(*found)

    def _enact(self, slot: int) -> None:
        self.market.enact_tariff(slot, self._day_prices(slot))

    def _day_prices(self, slot: int) -> Sequence[Tariff]:
        return self.tariffs_on(day_of(slot))

    def _begin(self, slot: int) -> None:
        book = self._book(slot)
        for site in self.sites:
            position = OPEN
            if not self.rules.after_metering:
                position = position_of(site.site.number, book.orders, book.trades)
            site.begin(slot, position)
        if self.calls:
            self.calls.begin(slot, self.sites)

    def _order(self, slot: int) -> None:
        tariff, after = self._tariff(slot), self.rules.after_metering
        domain = self.market.domain
        found = [
            site.signed_order(order, domain)
            for site in self.sites
            for order in site.orders(slot, tariff, after)
        ]
        if not found:
            return
        receipt = self.market.post(
            slot, [signed.order for signed in found], [signed.signature for signed in found]
        )
        self.gas["order"] += receipt.gas_used
        for event in market_events(receipt.logs):
            if isinstance(event, OrdersPosted):
                self._book(slot).orders += event.orders
                if self.neighbours:
                    self.neighbours.ordered(event.orders)

    def _clear(self, slot: int) -> None:
        book = self._book(slot)
        if not book.orders:
            return
        fee = self._tariff(slot).fee
        data = packed(book.orders)
        proposal = proposed(slot, data, fee)
        receipt = self.market.clear_packed(slot, data, proposal.bids, proposal.asks)
        self.gas["clear"] += receipt.gas_used
        for event in market_events(receipt.logs):
            if isinstance(event, Cleared):
                book.trades = event.trades
                book.price = event.price
                if not self.rules.after_metering:
                    clearing = Clearing(event.price, event.trades)
                    check_clearing(slot, book.orders, clearing, fee)

    def _read(self, slot: int) -> None:
        domain = self.market.domain
        readings = [site.read(slot) for site in self.sites]
        if self.calls:
            self.calls.read(slot, self.sites)
        pairs = zip(self.sites, readings, strict=True)
        receipt = self.market.push(
            readings, [site.signature(reading, domain) for site, reading in pairs]
        )
        self.gas["meter"] += receipt.gas_used
        if self.neighbours:
            self.neighbours.read(readings)
        self._book(slot).readings = {reading.site: reading for reading in readings}

    def _settle(self, slot: int) -> None:
        book = self._books.pop(slot, _Book())
        receipt = self.market.settle(slot, book.trades)
        self.gas["settle"] += receipt.gas_used
        for event in market_events(receipt.logs):
            if isinstance(event, Settled):
                check_settlement(slot, book.trades, book.readings, event)
                if self.watch:
                    result = SlotResult(
                        slot,
                        self._tariff(slot),
                        book.orders,
                        book.price,
                        book.trades,
                        book.readings,
                        event,
                    )
                    self.watch(result)

    def _book(self, slot: int) -> _Book:
        return self._books.setdefault(slot, _Book())

    def _tariff(self, slot: int) -> Tariff:
        return self.tariffs_on(day_of(slot))[slot_of_day(slot)]

"""The reference market: the twin of `contracts/Market.sol`, and the rules' specification.

A slot's life: orders are posted until the gate; the book is cleared; readings are pushed; the
slot is settled. `now` is the block's time in unix seconds. Every refusal is the contract's,
by name and arguments, and a refused call changes nothing.

| Mode           | Gate                             | An order counts                       |
| -------------- | -------------------------------- | ------------------------------------- |
| ahead          | `gate_seconds` before the slot   | in full                               |
| after metering | `gate_seconds` past the deadline | up to what its site metered           |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace

from eth_utils.crypto import keccak

from energy import errors
from energy.clearing import Clearing, Ranking, cleared, live_orders
from energy.messages import SIGNATURE_BYTES, Domain, signer_of
from energy.records import VOIDING, Order, Quality, Reading, Side, Trade, packed, voiding_order
from energy.registry import NETWORK, UTILITY, Ratings, Registry
from energy.settlement import Settlement, corrected, settled
from energy.units import SLOT_SECONDS

RING = 1536
"""Slots that the contract can hold at a time: 32 days."""
MOST_ORDERS = 9000
"""Orders of all sites in a slot."""
MOST_ORDERS_OF_A_SITE = VOIDING - 1

OPEN, CLEARED, SETTLED = 0, 1, 2

NO_TRADES = Clearing(0, ())

_HASH_BITS = 192


def folded(hash_before: int, order: Order) -> int:
    """Return the book's hash (192 bits) with one more accepted order."""
    return _shortened(keccak(hash_before.to_bytes(32) + order.to_wire().to_bytes(32)))


def trades_hash(trades: Sequence[Trade]) -> int:
    """Return the 192 bits that stand for a slot's trades."""
    return _shortened(keccak(packed(trades)))


def _shortened(digest: bytes) -> int:
    return int.from_bytes(digest) >> (256 - _HASH_BITS)


@dataclass(frozen=True)
class MarketRules:
    """What a deployment is made with, and cannot be changed.

    `first_slot`: no earlier slot is accepted. `horizon`: how many slots ahead orders may be
    posted. The two times in seconds: see the table above.
    """

    first_slot: int
    horizon: int
    reading_deadline_seconds: int
    gate_seconds: int
    after_metering: bool

    def deadline_of(self, slot: int) -> int:
        """When a slot's readings may be missing, unix seconds."""
        return (slot + 1) * SLOT_SECONDS + self.reading_deadline_seconds

    def gate_of(self, slot: int) -> int:
        """When a slot's orders close, unix seconds."""
        if self.after_metering:
            return self.deadline_of(slot) + self.gate_seconds
        return slot * SLOT_SECONDS - self.gate_seconds


@dataclass(frozen=True)
class SlotRecord:
    """What is kept of a slot: how far it is, its book, and its trades once cleared."""

    slot: int
    stage: int = OPEN
    book: tuple[Order, ...] = ()
    clearing: Clearing = NO_TRADES

    def to_word(self) -> int:
        """Return the slot's word, as `contracts/types/SlotState.sol` draws it."""
        digest = 0
        if self.stage == OPEN or not self.book:
            for order in self.book:
                digest = folded(digest, order)
        else:
            digest = trades_hash(self.clearing.trades)
        return self.slot << 224 | self.stage << 216 | self.clearing.price << 192 | digest


@dataclass(frozen=True)
class Pushed:
    """What a push changed: readings that became final, and corrections with what is owed."""

    kept: list[Reading]
    corrections: list[tuple[Reading, int]]


@dataclass
class Market:
    """All sites' market on one deployment."""

    rules: MarketRules
    registry: Registry
    domain: Domain
    slots: dict[int, SlotRecord] = field(default_factory=dict)
    """By place in the ring."""
    readings: dict[tuple[int, int], Reading] = field(default_factory=dict)
    """By place in the ring and site."""
    balances: dict[int, int] = field(default_factory=dict)
    """What each account is owed, microyen."""

    def post(
        self, now: int, slot: int, orders: Sequence[Order], signatures: Sequence[bytes]
    ) -> list[Order]:
        """Post signed orders of a slot and return those that are new.

        Orders whose sequence was taken before are skipped; any other flaw refuses the batch.
        """
        if len(signatures) != len(orders):
            length = len(signatures) * SIGNATURE_BYTES
            raise errors.WrongLength(length, len(orders) * SIGNATURE_BYTES)
        record = self._ordering(now, slot)
        allowance = self.allowance_of(slot)
        # A site's orders are numbered 1, 2, 3 ...: the highest number counts them.
        posted = {order.site: order.sequence for order in record.book}
        accepted: list[Order] = []
        for index, (given, signature) in enumerate(zip(orders, signatures, strict=True)):
            order = replace(given, slot=slot)  # on the wire an order has no other
            expected = posted.get(order.site, 0) + 1
            if order.sequence < expected:
                continue
            if order.sequence != expected:
                raise errors.SequenceGap(index, order.sequence, expected)
            self._check_order(index, order, allowance, signature)
            posted[order.site] = order.sequence
            accepted.append(order)
        if accepted:
            self.slots[slot % RING] = replace(record, book=(*record.book, *accepted))
        return accepted

    def _check_order(self, index: int, order: Order, allowance: int, signature: bytes) -> None:
        site = self.registry.site_at(order.site, order.slot)
        if site is None:
            raise errors.UnknownSite(index, order.site)
        if order.sequence > allowance:
            raise errors.AllowanceExceeded(index, order.sequence, allowance)
        if order.energy > site.ratings.order_energy:
            raise errors.OrderBeyondRating(index, order.energy, site.ratings.order_energy)
        if signer_of(order, self.domain, signature) != site.trader:
            raise errors.WrongSigner(index, order.site)

    def allowance_of(self, slot: int) -> int:
        """Return how many orders each site may post for a slot."""
        active = len(self.registry.active_at(slot))
        return min(MOST_ORDERS_OF_A_SITE, MOST_ORDERS // max(active, 1))

    def void_orders(self, now: int, sender: str, site: int, slots: Sequence[int]) -> list[Order]:
        """Void a site's orders for slots before its new trader key holds, for the owner.

        Returns the words that say so in the books: fresh and without energy, after which the
        site's counters are full. Slots in which it was done, or whose gate has closed, are skipped.
        """
        self.registry.check_owner(sender)
        words: list[Order] = []
        before = dict(self.slots)
        try:
            for index, slot in enumerate(slots):
                if slot >= self.rules.first_slot and now >= self.rules.gate_of(slot):
                    continue
                record = self._ordering(now, slot)
                terms = self.registry.site_at(site, slot)
                if terms is None:
                    raise errors.UnknownSite(index, site)
                if terms.trader == self.registry.sites[site][-1].trader:
                    raise errors.KeyNotRotated(site, slot)
                word = voiding_order(slot, site)
                if word not in record.book:
                    self.slots[slot % RING] = replace(record, book=(*record.book, word))
                    words.append(word)
        except errors.Refusal:
            self.slots = before
            raise
        return words

    def clear(self, now: int, slot: int, orders: Sequence[Order], ranking: Ranking) -> Clearing:
        """Clear a slot's book, given again with a ranking, once its gate is closed."""
        record = self._closed(now, slot)
        if record.stage != OPEN:
            raise errors.AlreadyCleared(slot)
        if not record.book:
            raise errors.NothingToClear(slot)
        if tuple(orders) != record.book:
            raise errors.NotTheBook(slot)
        fee = self.registry.tariff_at(slot).fee
        live = set(live_orders(record.book, fee))
        _check_side(record.book, live, ranking.bids, Side.BID)
        _check_side(record.book, live, ranking.asks, Side.ASK)
        ranked = len(ranking.bids) + len(ranking.asks)
        if ranked != len(live):
            raise errors.RankingIncomplete(ranked, len(live))
        caps = self._caps(slot) if self.rules.after_metering else None
        clearing = cleared(record.book, ranking, fee, caps)
        self.slots[slot % RING] = replace(record, stage=CLEARED, clearing=clearing)
        return clearing

    def _caps(self, slot: int) -> dict[int, tuple[int, int]]:
        """What each site may buy and sell after metering, in Wh."""
        readings = [self.reading_of(slot, site) for site in range(len(self.registry.sites))]
        return {
            reading.site: (reading.imported, reading.exported) for reading in readings if reading
        }

    def push(self, now: int, readings: Sequence[Reading], signatures: Sequence[bytes]) -> Pushed:
        """Push signed readings; the first of a slot and site is final.

        Readings that are known are skipped. After settlement a reading of a site that had
        none, or of a higher revision, is settled between site and utility; before, a higher
        revision is skipped. After metering, what an order counts for is fixed when the gate
        closes: first readings are then skipped until the book is cleared.
        """
        if len(signatures) != len(readings):
            length = len(signatures) * SIGNATURE_BYTES
            raise errors.WrongLength(length, len(readings) * SIGNATURE_BYTES)
        before = dict(self.slots), dict(self.readings), dict(self.balances)
        pushed = Pushed([], [])
        try:
            for index, (reading, signature) in enumerate(zip(readings, signatures, strict=True)):
                self._check_reading(now, index, reading, signature)
                self._record(now, reading, pushed)
        except errors.Refusal:
            self.slots, self.readings, self.balances = before
            raise
        return pushed

    def _check_reading(self, now: int, index: int, reading: Reading, signature: bytes) -> None:
        slot = reading.slot
        self._check_first(slot)
        if now < (slot + 1) * SLOT_SECONDS:
            raise errors.SlotNotOver(index, slot)
        if slot + RING <= now // SLOT_SECONDS + self.rules.horizon:
            raise errors.SlotGone(slot)
        is_touched = self._opened(slot) is self.slots.get(slot % RING)
        if not is_touched and slot + RING // 2 <= now // SLOT_SECONDS:
            raise errors.SlotGone(slot)
        site = self.registry.site_at(reading.site, slot)
        if site is None:
            raise errors.UnknownSite(index, reading.site)
        check_energies(index, reading, site.ratings)
        if signer_of(reading, self.domain, signature) != site.oracle:
            raise errors.WrongSigner(index, reading.site)

    def _record(self, now: int, reading: Reading, pushed: Pushed) -> None:
        slot, place = reading.slot, reading.slot % RING
        record = self._opened(slot)
        known = self.reading_of(slot, reading.site)
        if known is None:
            closed = self.rules.after_metering and now >= self.rules.gate_of(slot)
            if record.stage == OPEN and record.book and closed:
                return
            self.slots[place] = record
            pushed.kept.append(reading)
        else:
            is_news = is_assumed(known) or reading.revision > known.revision
            if not is_news or record.stage != SETTLED:
                return
            entry = corrected(known, reading, self.registry.tariff_at(slot))
            self._pay(reading.site, entry)
            self._pay(UTILITY, -entry)
            pushed.corrections.append((reading, entry))
        self.readings[place, reading.site] = reading

    def settle(self, now: int, slot: int, trades: Sequence[Trade]) -> Settlement:
        """Settle a slot whose book is empty or cleared and whose readings are in or overdue."""
        record = self._closed(now, slot)
        if record.stage == SETTLED:
            raise errors.AlreadySettled(slot)
        if record.stage == OPEN and record.book:
            raise errors.NotCleared(slot)
        if tuple(trades) != record.clearing.trades:
            raise errors.NotTheTrades(slot)
        readings = self._final_readings(now, slot, trades)
        settlement = settled(readings, trades, record.clearing.price, self.registry.tariff_at(slot))
        for reading in filter(None, readings):
            self.readings[slot % RING, reading.site] = reading
        *site_entries, utility, network = settlement.entries
        for site, entry in enumerate(site_entries):
            self._pay(site, entry)
        self._pay(UTILITY, utility)
        self._pay(NETWORK, network)
        self.slots[slot % RING] = replace(record, stage=SETTLED)
        return settlement

    def _final_readings(self, now: int, slot: int, trades: Sequence[Trade]) -> list[Reading | None]:
        """Each site's reading, assumed where none came in time; None where it takes no part."""
        bought: Counter[int] = Counter()
        for trade in trades:
            bought[trade.buyer] += trade.energy
        readings: list[Reading | None] = []
        for site in range(self.registry.enrolled_at(slot)):
            is_active = self.registry.site_at(site, slot) is not None
            reading = self.reading_of(slot, site) if is_active else None
            if is_active and reading is None:
                deadline = self.rules.deadline_of(slot)
                if now < deadline:
                    raise errors.ReadingsOpen(slot, deadline)
                reading = Reading(slot, site, imported=bought[site], quality=Quality.ASSUMED)
            readings.append(reading)
        return readings

    def reading_of(self, slot: int, site: int) -> Reading | None:
        """Return the reading of a slot and site, while the ring holds it."""
        reading = self.readings.get((slot % RING, site))
        return reading if reading and reading.slot == slot else None

    def state_word(self, slot: int) -> int:
        """Return the slot's word in the contract's ring."""
        return self._opened(slot).to_word()

    def _pay(self, account: int, entry: int) -> None:
        self.balances[account] = self.balances.get(account, 0) + entry

    def _opened(self, slot: int) -> SlotRecord:
        record = self.slots.get(slot % RING)
        if record is None:
            return SlotRecord(slot)
        if record.slot == slot:
            return record
        if record.slot > slot:
            raise errors.SlotGone(slot)
        if record.stage != SETTLED:
            raise errors.SlotUnsettled(record.slot)
        return SlotRecord(slot)

    def _ordering(self, now: int, slot: int) -> SlotRecord:
        """Return a slot whose orders are open."""
        self._check_first(slot)
        last = now // SLOT_SECONDS + self.rules.horizon
        if slot > last:
            raise errors.BeyondHorizon(slot, last)
        gate = self.rules.gate_of(slot)
        if now >= gate:
            raise errors.GateClosed(slot, gate)
        return self._opened(slot)

    def _closed(self, now: int, slot: int) -> SlotRecord:
        """Return a slot whose gate is closed."""
        self._check_first(slot)
        gate = self.rules.gate_of(slot)
        if now < gate:
            raise errors.GateOpen(slot, gate)
        return self._opened(slot)

    def _check_first(self, slot: int) -> None:
        if slot < self.rules.first_slot:
            raise errors.BeforeFirstSlot(slot, self.rules.first_slot)


def is_assumed(reading: Reading) -> bool:
    """Whether settlement assumed this reading because none had come."""
    return reading.quality >= Quality.ASSUMED


def check_energies(index: int, reading: Reading, ratings: Ratings) -> None:
    """Check a reading against its site's ratings and the balance of energy.

    Raises:
        ReadingBeyondRating, ExportUnexplained, ConsumptionNegative, QualityUnknown.
    """
    for energy, limit in (
        (reading.imported, ratings.import_limit),
        (reading.generated, ratings.generation_limit),
        (reading.charged, ratings.battery_limit),
        (reading.discharged, ratings.battery_limit),
        (reading.stored, ratings.capacity_limit),
    ):
        if energy > limit:
            raise errors.ReadingBeyondRating(index, energy, limit)
    available = reading.generated + reading.discharged
    if reading.exported > available:
        raise errors.ExportUnexplained(index, reading.exported, available)
    supplied, drained = reading.imported + available, reading.exported + reading.charged
    if supplied < drained:
        raise errors.ConsumptionNegative(index, supplied, drained)
    if is_assumed(reading):
        raise errors.QualityUnknown(index, int(reading.quality))


def _check_side(
    book: Sequence[Order], live: Container[int], indices: Sequence[int], side: Side
) -> None:
    last = (-1, -1)
    for index in indices:
        if index >= len(book):
            raise errors.OrderUnknown(index, len(book))
        order = book[index]
        if order.side != side:
            raise errors.OrderOnWrongSide(index)
        if index not in live:
            raise errors.OrderNotLive(index)
        rank = (order.price if side == Side.ASK else (1 << 24) - order.price, index)
        if rank <= last:
            raise errors.OutOfRank(index)
        last = rank

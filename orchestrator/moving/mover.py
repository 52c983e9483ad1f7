"""The clock's hand: it moves every slot as far as its time allows, and relays signed orders.

It holds nothing that the chain does not: started again, or twice at once, it goes on from
what the chain says. A slot is left alone only when its settlement is final: what vanishes in a
fork is done again. Time is the chain's, in unix seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from chain.events import Cleared, market_events
from chain.indexer import indexed
from chain.market import MarketContract
from chain.node import NodeChain
from chain.store import stored
from energy.errors import (
    AlreadyCleared,
    AlreadySettled,
    GateOpen,
    NotCleared,
    NotTheBook,
    NotTheTrades,
    ReadingsOpen,
    Refusal,
    SlotGone,
    SlotUnsettled,
)
from energy.market import OPEN, SETTLED
from energy.records import Order, packed
from energy.units import SLOT_SECONDS
from orchestrator.moving.clearing import proposed

_PASSING = (
    *(AlreadyCleared, AlreadySettled, GateOpen),
    *(NotCleared, NotTheBook, NotTheTrades, ReadingsOpen, SlotUnsettled),
)
"""Another mover was first (and cleared what the store has not seen yet), the chain forked (to a
block before the gate, or without some orders), a reading may still come, or the slot's place in the
ring is not free yet: look again."""

FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 60, SLOT_SECONDS
"""After a refusal nobody expected, a slot is tried again: at first so soon, at last so seldom."""

MOST_POSTED = 1_000
"""Orders in a transaction: 74 KB, of the 128 KiB that a node takes."""
_STAGE_SHIFT = 216
_HASH_MASK = (1 << 192) - 1


@dataclass(frozen=True)
class SignedOrder:
    """An order with its trader's compact signature (64 bytes)."""

    order: Order
    signature: bytes


@dataclass(frozen=True)
class Refused:
    """An order that the contract turned down, and why."""

    order: Order
    refusal: Refusal


def relayed(market: MarketContract, orders: Sequence[SignedOrder]) -> list[Refused]:
    """Post signed orders of one slot in batches; return those that the contract refuses.

    One that it names is left out and the others go on. Whoever signed a good order does not
    lose it to a bad one beside it.

    Raises:
        Refusal: if the whole batch is refused, for example because the gate is closed.
        ChainError: if the chain cannot be reached.
    """
    refused: list[Refused] = []
    for start in range(0, len(orders), MOST_POSTED):
        left = list(orders[start : start + MOST_POSTED])
        while left:
            try:
                market.post(
                    left[0].order.slot,
                    [signed.order for signed in left],
                    [signed.signature for signed in left],
                )
                break
            except Refusal as refusal:
                index = getattr(refusal, "index", None)
                if index is None:
                    raise
                refused.append(Refused(left.pop(index).order, refusal))
    return refused


@dataclass(frozen=True)
class Held:
    """A slot that the contract refused to move, when it was in the state of `word`."""

    word: int | None
    refusal: Refusal
    again: int
    """When it is tried again, unix seconds."""
    pause: int


class Mover:
    """Clears and settles the slots of a market from `first_slot` on.

    `store` is where the chain's events are indexed, from which the books are read. Told not to
    clear, or not to settle, it leaves that to another. A slot that the contract refuses to move
    for a reason that does not pass is held, and holds no other up.
    """

    def __init__(
        self,
        market: MarketContract,
        node: NodeChain,
        store: Engine,
        first_slot: int,
        clears: bool = True,
        settles: bool = True,
    ) -> None:
        self.market = market
        self.node = node
        self.store = store
        self._clears, self._settles = clears, settles
        self._next = first_slot
        self._settled: dict[int, int] = {}
        """The settled slots from `_next` on, each with the chain's height when it was seen so."""
        self._told: set[int] = set()
        self._held: dict[int, Held] = {}
        self._final = -1

    def move(self, now: int) -> list[int]:
        """Do all that is due at a time; return the slots now seen to be settled, each once.

        Raises:
            ChainError: if the chain cannot be reached.
        """
        indexed(self.store, self.node, self.market.address)
        self._final = self.node.final_height()
        done: list[int] = []
        slot = self._next
        while self.market.rules.gate_of(slot) <= now:
            if not self._is_final(slot):
                try:
                    is_settled = self._moved(slot, now)
                except SlotGone:
                    # Its place in the ring is a later slot's: nobody can settle it any more.
                    is_settled = True
                    self._told.add(slot)
                    self._held.pop(slot, None)
                if not is_settled:
                    self._settled.pop(slot, None)
                elif slot not in self._settled:
                    self._settled[slot] = self.node.height()
                    done += [slot] if slot not in self._told else []
            slot += 1
        self._told.update(done)
        self._final = self.node.final_height()
        while self._is_final(self._next):
            del self._settled[self._next]
            self._told.discard(self._next)
            self._next += 1
        if done:
            indexed(self.store, self.node, self.market.address)
        return done

    @property
    def refused(self) -> dict[int, Refusal]:
        """What the contract said of the slots that it refused to move, and that have not moved."""
        return {slot: held.refusal for slot, held in self._held.copy().items()}

    @property
    def first_open(self) -> int:
        """The first slot whose settlement is not final yet."""
        return self._next

    def _is_final(self, slot: int) -> bool:
        seen = self._settled.get(slot)
        return seen is not None and seen <= self._final

    def _moved(self, slot: int, now: int) -> bool:
        """Move one slot; return whether it is settled."""
        word = self._word(slot)
        if word is None:
            return False
        held = self._held.get(slot)
        if held and held.word != word:
            # Something has become of it since.
            del self._held[slot]
            held = None
        if word >> _STAGE_SHIFT & 0xFF == SETTLED:
            return True
        if held and now < held.again:
            return False
        try:
            is_settled = self._brought_on(slot, now, word)
        except SlotGone:
            raise
        except _PASSING:
            return False
        except Refusal as refusal:
            pause = min(2 * held.pause, LAST_PAUSE_SECONDS) if held else FIRST_PAUSE_SECONDS
            # It may have been cleared before its settlement was refused.
            self._held[slot] = Held(self._word(slot), refusal, now + pause, pause)
            return False
        self._held.pop(slot, None)
        return is_settled

    def _word(self, slot: int) -> int | None:
        """Return a slot's word; None while its place is that of an earlier slot, not settled."""
        try:
            return self.market.state_word(slot)
        except SlotUnsettled:
            return None

    def _brought_on(self, slot: int, now: int, word: int) -> bool:
        """Do what is due of a slot that is not settled; return whether it is settled then."""
        with stored(self.store) as store:
            span = range(slot, slot + 1)
            trades = [trade for trade, _ in store.trades(span)]
            book = packed(store.orders(span))
        if word >> _STAGE_SHIFT & 0xFF == OPEN and word & _HASH_MASK:
            if not self._clears:
                return False
            fee = self.market.tariff_at(slot).fee
            proposal = proposed(slot, book, fee)
            receipt = self.market.clear_packed(slot, book, proposal.bids, proposal.asks)
            for event in market_events(receipt.logs):
                if isinstance(event, Cleared):
                    trades = list(event.trades)
        if now < (slot + 1) * SLOT_SECONDS or not self._settles:
            return False
        self.market.settle(slot, trades)
        return True

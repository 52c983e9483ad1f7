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


class Mover:
    """Clears and settles the slots of a market from `first_slot` on.

    `store` is where the chain's events are indexed, from which the books are read. Told not to
    clear, or not to settle, it leaves that to another.
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
    def first_open(self) -> int:
        """The first slot whose settlement is not final yet."""
        return self._next

    def _is_final(self, slot: int) -> bool:
        seen = self._settled.get(slot)
        return seen is not None and seen <= self._final

    def _moved(self, slot: int, now: int) -> bool:
        """Move one slot; return whether it is settled."""
        try:
            word = self.market.state_word(slot)
            stage, digest = word >> _STAGE_SHIFT & 0xFF, word & _HASH_MASK
            if stage == SETTLED:
                return True
            with stored(self.store) as store:
                span = range(slot, slot + 1)
                trades = [trade for trade, _ in store.trades(span)]
                book = packed(store.orders(span))
            if stage == OPEN and digest:
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
        except _PASSING:
            return False
        return True

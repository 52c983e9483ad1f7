"""A relay that lets go of an order only when it is final, or its gate has closed for good.

What it posted can vanish while the chain forks, and a node that is lost forgets what it had not
sealed: then it is posted again. The contract skips what stands already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from chain.market import MarketContract
from chain.node import NodeChain
from energy.errors import BeyondHorizon, Refusal
from orchestrator.moving.mover import Refused, SignedOrder, relayed


class Relay:
    """Holds signed orders of a market until they stand; `chain` pays for gas."""

    def __init__(self, chain: NodeChain, address: str) -> None:
        self.seen = MarketContract(chain, address)
        self.final = MarketContract(chain.as_final(), address)
        self._waiting: dict[int, list[SignedOrder]] = defaultdict(list)

    def take(self, orders: Sequence[SignedOrder]) -> None:
        """Take orders to be posted; a site's in the order of their sequence."""
        for signed in orders:
            self._waiting[signed.order.slot].append(signed)

    def push(self) -> list[Refused]:
        """Post what does not stand, let go of what is final; return what was refused for good.

        Raises:
            ChainError: if the chain cannot be reached; nothing is lost.
        """
        refused: list[Refused] = []
        final, seen = self._sequences(self.final), self._sequences(self.seen)
        # The slot whose gate closes next comes first.
        for slot, waiting in sorted(self._waiting.items()):
            waiting = [each for each in waiting if each.order.sequence > final[_place(each)]]
            absent = [each for each in waiting if each.order.sequence > seen[_place(each)]]
            self._waiting[slot] = waiting
            if absent:
                try:
                    turned_down = relayed(self.seen, absent)
                except BeyondHorizon:
                    continue  # the slot's time is still to come
                except Refusal as whole:
                    turned_down = [Refused(each.order, whole) for each in absent]
                gone = {each.order for each in turned_down}
                self._waiting[slot] = [each for each in waiting if each.order not in gone]
                refused += turned_down
            if not self._waiting[slot]:
                del self._waiting[slot]
        return refused

    def _sequences(self, market: MarketContract) -> dict[tuple[int, int], int]:
        """Return how many orders stand, by slot and site of those that wait."""
        places = sorted({_place(each) for each in self.held()})
        return dict(zip(places, market.sequences_of(places), strict=True))

    def held(self) -> list[SignedOrder]:
        """Return the orders that are not final yet."""
        return [signed for orders in self._waiting.values() for signed in orders]

    @property
    def waiting(self) -> int:
        """How many orders are not final yet."""
        return sum(len(orders) for orders in self._waiting.values())


def _place(signed: SignedOrder) -> tuple[int, int]:
    return signed.order.slot, signed.order.site

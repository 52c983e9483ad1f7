"""The chain as a site's terminal uses it: readings out, standing readings back.

Calls block on the network and run beside the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from chain.market import MarketContract
from chain.node import NodeChain
from energy.records import Reading
from energy.registry import SiteTerms


class Signed(Protocol):
    """A reading with its compact signature."""

    @property
    def reading(self) -> Reading:
        """The reading."""

    @property
    def signature(self) -> bytes:
        """64 bytes."""


class Standing(NamedTuple):
    """A slot's reading as the chain holds it: beyond recall, and in its newest block."""

    final: Reading | None
    newest: Reading | None


class Block(NamedTuple):
    """A block's number and time (unix seconds)."""

    number: int
    seconds: int


@dataclass(frozen=True)
class TerminalChain:
    """A market as a terminal sees it; transactions are paid for by the chain's sender."""

    market: MarketContract

    async def post_readings(self, readings: Sequence[Signed]) -> str:
        """Send readings in one transaction, and return its hash."""
        receipt = await asyncio.to_thread(
            self.market.push,
            [signed.reading for signed in readings],
            [signed.signature for signed in readings],
        )
        return "0x" + receipt.transaction.hex()

    async def standing_of(self, slot: int, site: int) -> Standing:
        """Return the reading that the chain holds, if any."""
        return await asyncio.to_thread(self._standing, slot, site)

    def _standing(self, slot: int, site: int) -> Standing:
        newest = self.market.reading_of(slot, site)
        chain = self.market.chain
        if newest is None or not isinstance(chain, NodeChain) or not chain.depth:
            return Standing(newest, newest)
        deep = chain.final_height()
        final = self.market.at_block(deep).reading_of(slot, site) if deep >= 0 else None
        return Standing(final, newest)

    async def newest_block(self) -> Block:
        """Return the chain's newest block."""
        return await asyncio.to_thread(lambda: Block(*self.node.head()))

    async def terms_of(self, site: int, slots: Sequence[int]) -> list[SiteTerms]:
        """Return a site's keys and ratings in some slots, those in which it takes part."""

        def asked() -> list[SiteTerms]:
            terms = [self.market.site_at(site, slot) for slot in slots]
            return [each for each in terms if each is not None]

        return await asyncio.to_thread(asked)

    @property
    def node(self) -> NodeChain:
        """The node that is asked."""
        assert isinstance(self.market.chain, NodeChain)
        return self.market.chain

"""The chain as a site's terminal uses it: readings out, standing readings back.

Calls block on the network and run beside the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from chain.market import MarketContract
from chain.node import NodeChain
from energy.records import Reading


class Signed(Protocol):
    """A reading with its compact signature."""

    @property
    def reading(self) -> Reading:
        """The reading."""

    @property
    def signature(self) -> bytes:
        """64 bytes."""


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

    async def reading_of(self, slot: int, site: int) -> Reading | None:
        """Return the reading that the chain holds beyond recall, if any."""
        return await asyncio.to_thread(self._final.reading_of, slot, site)

    @cached_property
    def _final(self) -> MarketContract:
        chain = self.market.chain
        if isinstance(chain, NodeChain):
            return MarketContract(chain.as_final(), self.market.address)
        return self.market

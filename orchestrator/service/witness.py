"""A second node as a witness: is the first one slow, and does it tell the truth?

Of two honest nodes of one network everything that is final on both is the same. Compared are the
hashes of final blocks, and the contracts' events since the last look, as each node tells them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chain.node import NodeChain

MOST_BLOCKS = 2_000
"""Blocks of events that one look compares; the next goes on from there."""


@dataclass
class Witness:
    """Compares a node with a second one; `contracts` are those whose events count."""

    first: NodeChain
    second: NodeChain
    contracts: Sequence[str]
    behind_blocks: int
    _compared: int = field(default=-1)

    def look(self) -> tuple[str | None, str | None]:
        """Return how the first node is behind, and how it tells something else; None if not.

        Raises:
            ChainError, OSError: if the second node does not answer.
        """
        heights = self.first.height(), self.second.height()
        behind = None
        if heights[1] - heights[0] > self.behind_blocks:
            behind = f"block {heights[0]} against {heights[1]} of {self.second.url}"
        final = min(heights) - self.first.depth
        if final < 0:
            return behind, None
        told, seen = (node.block_hash(final).hex() for node in (self.first, self.second))
        if told != seen:
            return behind, f"block {final} is {told[:16]} against {seen[:16]} of {self.second.url}"
        begin = self._compared + 1
        end = min(final, begin + MOST_BLOCKS - 1)
        if begin <= end:
            events, others = (
                list(node.logs(self.contracts, begin, end)) for node in (self.first, self.second)
            )
            if events != others:
                return behind, (
                    f"blocks {begin} to {end} hold {len(events)} events against {len(others)} "
                    f"of {self.second.url}, or others"
                )
            self._compared = end
        return behind, None

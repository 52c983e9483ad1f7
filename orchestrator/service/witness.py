"""A second node as a witness: is the first one slow, and does it tell the truth?

Of two honest nodes of one network everything that is final on both is the same. Compared are the
hashes of final blocks, and the contracts' events since the last look, as each node tells them. How
far they have been compared is kept in the store, so that a restart passes over nothing; the first
time it begins at the store's final block. That they differed is kept as well, until they agree: a
restart while the second is away makes nobody trustworthy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine
from web3.exceptions import Web3Exception

from chain.node import NodeChain
from chain.store import stored
from chain.writer import written
from energy.errors import ChainError

MOST_BLOCKS = 2_000
"""Blocks of events that one look compares; the next goes on from there."""
WITNESSED = "witnessed"
"""The store's setting that holds the newest block whose events were compared."""
CONTRADICTED = "contradicted"
"""The store's setting that holds how the two differed when they last did; empty once they agree."""


class WitnessAway(ChainError):
    """The second node does not answer, or is of another chain."""


@dataclass
class Witness:
    """Compares a node with a second one; `contracts` are those whose events count."""

    first: NodeChain
    second: NodeChain
    contracts: Sequence[str]
    behind_blocks: int
    store: Engine
    is_behind: bool = False
    """Whether there is more to compare at once."""
    compared: int = -1
    """The block up to which both told the same, as far as is known."""
    behind: str | None = None
    """How the first node was behind the second at the last look."""
    ahead: str | None = None
    """How the second was so far behind the first that it says nothing of what is new."""
    contradicted: str | None = None
    """How the first told something else when they were last compared, now or before a restart."""
    _is_of_chain: bool = False
    _begun: bool = False

    def look(self) -> None:
        """Compare the two, and note what comes of it.

        Raises:
            WitnessAway: if the second node does not answer.
            ChainError: if the first does not.
            StoreError: if the store does not.
        """
        self.is_behind = False
        self._begin()
        height = self.first.height()
        with _asked():
            self._check_chain()
            other = self.second.height()
        heights = f"block {height} against {other} of {self.second.url}"
        self.behind = heights if other - height > self.behind_blocks else None
        self.ahead = heights if height - other > self.behind_blocks else None
        final = min(height, other) - self.first.depth
        if final >= 0:
            self._note(self._difference(final))

    def _difference(self, final: int) -> str | None:
        """Return how the two differ up to a block that is final on both; None if they do not."""
        told = self.first.block_hash(final).hex()
        with _asked():
            seen = self.second.block_hash(final).hex()
        if told != seen:
            return f"block {final} is {told[:16]} against {seen[:16]} of {self.second.url}"
        begin, end = self.compared + 1, min(final, self.compared + MOST_BLOCKS)
        if begin <= end:
            events = list(self.first.logs(self.contracts, begin, end))
            with _asked():
                others = list(self.second.logs(self.contracts, begin, end))
            if events != others:
                return (
                    f"blocks {begin} to {end} hold {len(events)} events against {len(others)} "
                    f"of {self.second.url}, or others"
                )
            with written(self.store) as writer:
                writer.set(WITNESSED, str(end))
            self.compared = end
            self.is_behind = end < final
        return None

    def _note(self, difference: str | None) -> None:
        if difference == self.contradicted:
            return
        # Before it is kept: what cannot be written holds all the same.
        self.contradicted = difference or self.contradicted
        with written(self.store) as writer:
            writer.set(CONTRADICTED, difference or "")
        self.contradicted = difference

    def _begin(self) -> None:
        if not self._begun:
            with stored(self.store) as store:
                kept = store.setting(WITNESSED)
                self.compared = store.final_block() if kept is None else int(kept)
                self.contradicted = store.setting(CONTRADICTED) or None
            self._begun = True

    def _check_chain(self) -> None:
        if not self._is_of_chain:
            told, wanted = self.second.told_chain_id(), self.first.chain_id
            if told != wanted:
                raise ChainError(f"{self.second.url} must be of chain {wanted}, got {told}")
            self._is_of_chain = True


@contextmanager
def _asked() -> Iterator[None]:
    """Tell the second node's errors from the first's."""
    try:
        yield
    except (ChainError, OSError, Web3Exception) as error:
        raise WitnessAway(str(error) or type(error).__name__) from error

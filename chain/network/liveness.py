"""Out of a deadlock of Clique's: two branches as heavy, on neither of which anyone left may seal.

It comes about when blocks collide while barely a majority runs: each validator has sealed on the
branch that it holds, and has to wait for others, who hold the other one (a known weakness of
EIP-225). A node that sees no block for long, though a majority is joined, lets go of its newest
blocks, none of them final, and takes what its peers have. Which nodes do so is chance; it goes
on until blocks come.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from chain.network.node import MemberNode
from energy.errors import ChainError

PATIENCE_PERIODS = 8
_LEAST_PATIENCE_SECONDS = 8.0
"""Longer than a full block takes to be run where validators share few cores."""
_LOOK_SECONDS = 0.5


class Watch:
    """Looks after one node; times in seconds of a monotonic clock."""

    def __init__(self, node: MemberNode, chance: random.Random) -> None:
        self.node = node
        self._chance = chance
        self._height = -1
        self._since = time.monotonic()

    def look(self, now: float) -> int | None:
        """Step back if it is time to; return the block stepped back to.

        Raises:
            ChainError: if the node does not answer.
        """
        height, profile = self.node.height(), self.node.profile
        if height != self._height:
            self._height, self._since = height, now
            return None
        patience = max(PATIENCE_PERIODS * profile.period_seconds, _LEAST_PATIENCE_SECONDS)
        if now - self._since < patience:
            return None
        self._since = now
        joined = int(self.node.ask("net_peerCount"), 16) + 1
        if joined < profile.depth or self._chance.random() < 0.5:
            return None  # there is no majority to go on with, or it is for others to step back
        target = max(height - self._chance.randrange(1, profile.depth), 0)
        self.node.ask("debug_setHead", hex(target))
        return target


@contextmanager
def watched(nodes: Sequence[MemberNode]) -> Iterator[list[str]]:
    """Look after nodes while the `with` block lasts; yields a list of what was done."""
    done: list[str] = []
    ended = threading.Event()

    def keep() -> None:
        watches = [Watch(node, random.Random()) for node in nodes]
        while not ended.wait(_LOOK_SECONDS):
            for watch in watches:
                try:
                    target = watch.look(time.monotonic())
                except ChainError:
                    continue  # it is down, or has only just been started
                if target is not None:
                    done.append(f"{watch.node.name} stepped back to block {target}")

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join()

"""A network whose clock can be set: what a day's demonstration and the tests run on.

All nodes are real and seal as they do anywhere; only the day is in a hurry.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from chain.network.keys import key_at
from chain.network.liveness import watched
from chain.network.local import create_local, running, set_clock
from chain.network.node import MemberNode
from chain.network.profile import profile_at
from chain.node import NodeChain
from energy.errors import ChainError

CHAIN_ID = 7_001
_FUND_WEI = 10**20
_BLOCK_SECONDS = 30.0


class TrialChain(NodeChain):
    """The network through one of its nodes; what it deploys and sends, the deployer pays for."""

    def __init__(self, network: Path, node: MemberNode) -> None:
        profile = profile_at(network)
        key = key_at(network / "accounts" / "deployer.json")
        super().__init__(node.member.url, key, profile.gas_price_wei, profile.depth)
        self.network = network

    def set_time(self, moment: int) -> None:
        """Let it be a moment, unix seconds, and wait for a block that says so."""
        set_clock(self.network, moment)
        end = time.monotonic() + _BLOCK_SECONDS
        while self.now() < moment:
            if time.monotonic() > end:
                raise ChainError(f"a block must come within {_BLOCK_SECONDS:g} s, got none")
            time.sleep(0.02)

    def fund(self, address: str, wei: int = _FUND_WEI) -> None:
        """Give an account money for gas."""
        self.send(address, b"", wei)


@contextmanager
def trial(
    folder: Path, names: Sequence[str], start_time: int, chain_id: int = CHAIN_ID
) -> Iterator[tuple[TrialChain, list[MemberNode]]]:
    """Make a network in a folder and run it, from a moment on, for as long as the `with` block.

    Blocks of 1 s. Yields the chain through the first member's node, and all nodes.
    """
    # Some way into the past: the first block is older than all that follow.
    create_local(folder, names, chain_id, start_time=start_time - 60)
    set_clock(folder, start_time)
    with running(folder) as nodes, watched(nodes):
        yield TrialChain(folder, nodes[0]), nodes

"""All members of a network on one machine, for tests and demonstrations."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from chain.network.folders import create, new_member
from chain.network.node import MemberNode, member_nodes
from chain.network.profile import Profile, profile_at
from chain.ports import free_ports
from energy.errors import ChainError

START_SECONDS = 60.0
_POLL_SECONDS = 0.1
_APART_SECONDS = 1.0

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class NodeState:
    """A member's node as it is: None for what a node that is down does not tell.

    `sealed` counts its blocks among the last 64; `balance_wei` pays for its gas.
    """

    name: str
    validator: str
    process: int | None
    height: int | None = None
    block_hash: str | None = None
    final: int | None = None
    peers: int | None = None
    seals: bool | None = None
    sealed: int | None = None
    balance_wei: int | None = None

    def to_json(self) -> dict[str, object]:
        """Return it by names."""
        return asdict(self)


def create_local(
    folder: Path,
    names: Sequence[str],
    chain_id: int,
    period_seconds: int = 1,
    accounts: Sequence[str] = ("deployer", "relay"),
    first_port: int | None = None,
    start_time: int | None = None,
    threshold: int | None = None,
) -> Profile:
    """Make a network with all members' keys on this machine, on ports that follow `first_port`.

    Ports that are free now, where none is named. `start_time`: see `create`.
    """
    if first_port is None:
        ports = free_ports(2 * len(names))
    else:
        ports = list(range(first_port, first_port + 2 * len(names)))
    members = [
        new_member(folder / "members" / name, name, port=ports[2 * at], rpc_port=ports[2 * at + 1])
        for at, name in enumerate(names)
    ]
    return create(
        folder,
        folder.name,
        members,
        chain_id,
        period_seconds,
        threshold,
        accounts,
        start_time=start_time,
    )


def up(network: Path, progress: Progress | None = None) -> list[MemberNode]:
    """Start all members' nodes that are down; return when they are joined and blocks come.

    Raises:
        ChainError: if that takes more than a minute, with the end of a node's log.
    """
    nodes = member_nodes(network)
    # Were they to seal at once, each would make a first block of its own.
    started = [node for node in nodes if node.pid() is None]
    for node in started:
        node.start(seal=False)
    await_joined(nodes, progress=progress)
    for node in started:
        if node.member.validator in node.profile.validators:
            node.ask("miner_start")
    await_height(nodes, max(node.height() for node in nodes) + 1)
    return nodes


def down(network: Path) -> None:
    """Stop all members' nodes that run here."""
    for node in member_nodes(network):
        node.stop()


@contextmanager
def running(network: Path) -> Iterator[list[MemberNode]]:
    """Run all members' nodes while the `with` block lasts."""
    try:
        yield up(network)
    finally:
        down(network)


def await_joined(
    nodes: Sequence[MemberNode],
    timeout_seconds: float = START_SECONDS,
    progress: Progress | None = None,
) -> None:
    """Return when each of these nodes has all the others as peers.

    Raises:
        ChainError: if that takes longer, or a node ends.
    """
    end = time.monotonic() + timeout_seconds
    while True:
        joined = 0
        for node in nodes:
            if node.pid() is None:
                raise ChainError(f"the node of {node.name} must run, got: {_last_words(node)}")
            joined += _peers(node) >= len(nodes) - 1
        if progress:
            progress("network", joined, len(nodes))
        if joined == len(nodes):
            return
        if time.monotonic() > end:
            raise ChainError(
                f"{len(nodes)} nodes must be joined within {timeout_seconds:g} s, got {joined}"
            )
        time.sleep(_POLL_SECONDS)


def await_height(
    nodes: Iterable[MemberNode], height: int, timeout_seconds: float = START_SECONDS
) -> None:
    """Return when each of these nodes has a block of that number.

    Raises:
        ChainError: if that takes longer.
    """
    end = time.monotonic() + timeout_seconds
    for node in nodes:
        while (got := _height(node)) < height:
            if time.monotonic() > end:
                raise ChainError(
                    f"{node.name} must have block {height} within {timeout_seconds:g} s, got {got}"
                )
            time.sleep(_POLL_SECONDS)


def state_of(node: MemberNode) -> NodeState:
    """Return how a member's node is."""
    address, process = node.member.validator, node.pid()
    try:
        block = node.ask("eth_getBlockByNumber", "latest", False)
        height = int(block["number"], 16)
        signers = [signer.lower() for signer in node.ask("clique_getSigners")]
        activity = node.ask("clique_status")["sealerActivity"]
        return NodeState(
            node.name,
            address,
            process,
            height,
            block["hash"],
            max(height - node.profile.depth, -1),
            int(node.ask("net_peerCount"), 16),
            address.lower() in signers,
            {signer.lower(): count for signer, count in activity.items()}.get(address.lower(), 0),
            int(node.ask("eth_getBalance", address, "latest"), 16),
        )
    except ChainError:
        return NodeState(node.name, address, process)


def split(nodes: Sequence[MemberNode], side: Sequence[MemberNode]) -> None:
    """Part some nodes from all others, as when a line breaks, until they are healed.

    Raises:
        ChainError: if they do not come apart.
    """
    end = time.monotonic() + START_SECONDS
    quiet_since = time.monotonic()
    # A node that has not been asked yet may just be dialling one that has.
    while time.monotonic() - quiet_since < _APART_SECONDS:
        if _joined_across(nodes, side):
            quiet_since = time.monotonic()
        _across(nodes, side, "admin_removePeer")
        if time.monotonic() > end:
            raise ChainError(f"{len(side)} nodes must come apart within {START_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)


def heal(nodes: Sequence[MemberNode], side: Sequence[MemberNode]) -> None:
    """Join what was split."""
    _across(nodes, side, "admin_addPeer")


def _joined_across(nodes: Sequence[MemberNode], side: Sequence[MemberNode]) -> bool:
    others = {node.member.node for node in nodes if node not in side}
    return any(
        peer["enode"].removeprefix("enode://").split("@")[0] in others
        for node in side
        if node.pid() is not None
        for peer in node.ask("admin_peers")
    )


def _across(nodes: Sequence[MemberNode], side: Sequence[MemberNode], method: str) -> None:
    for ours in side:
        for theirs in nodes:
            if theirs not in side:
                for node, peer in ((ours, theirs), (theirs, ours)):
                    if node.pid() is not None:
                        node.ask(method, peer.member.enode)


def set_clock(network: Path, moment: int) -> None:
    """Let it be a moment, unix seconds, on all nodes of a trial; time goes on from there.

    Raises:
        ChainError: if the network is no trial.
    """
    clock = network / "clock"
    if not clock.exists():
        raise ChainError(f"{profile_at(network).name} must be a trial for its clock to be set")
    with clock.open("r+b") as file:  # in place: the nodes have it mapped
        file.write(struct.pack("=q", moment - int(time.time())))


def _height(node: MemberNode) -> int:
    try:
        return node.height()
    except ChainError:
        return -1


def _peers(node: MemberNode) -> int:
    try:
        return int(node.ask("net_peerCount"), 16)
    except ChainError:
        return -1  # it has only just been started


def _last_words(node: MemberNode) -> str:
    lines = (node.folder / "geth.log").read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"

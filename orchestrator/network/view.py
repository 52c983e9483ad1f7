"""What `yui network` draws: nodes, funds, and what should be looked at."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from chain.funds import Funds
from chain.network.local import NodeState
from chain.network.node import MemberNode
from chain.network.profile import Profile


def status_table(profile: Profile, states: list[NodeState]) -> Table:
    """Draw how each node is."""
    title = f"{profile.name}: chain {profile.chain_id}, final {profile.depth} blocks deep"
    table = Table(title=title, title_justify="left")
    for column in ("member", "process", "seen", "final", "peers", "seals", "of last 64", "hash"):
        table.add_column(column)
    for state in states:
        cells = (state.process, state.height, state.final, state.peers)
        seals = {None: "", True: "yes", False: "no"}[state.seals]
        table.add_row(
            state.name,
            *("" if cell is None else str(cell) for cell in cells),
            seals,
            "" if state.sealed is None else str(state.sealed),
            (state.block_hash or "down")[:12],
        )
    return table


def warnings_of(nodes: list[MemberNode], states: list[NodeState]) -> list[str]:
    """Return what somebody should do something about, a sentence each."""
    found = []
    up_now = [state for state in states if state.height is not None]
    if up_now and len(nodes) > 1:
        sealing = sum(bool(state.seals) for state in up_now)
        profile = nodes[0].profile
        if sealing < profile.depth and len(nodes) == len(profile.members):
            found.append(f"{sealing} validators run, and blocks need {profile.depth}")
    for node, state in zip(nodes, states, strict=True):
        if state.height is None:
            continue
        sealers = {str(each).lower() for each in node.ask("clique_getSigners")}
        if sealers != {each.lower() for each in node.profile.validators}:
            found.append(
                f"{node.name}: {len(sealers)} validators seal, and the profile knows "
                f"{len(node.profile.validators)}: `yui network refresh` renews it"
            )
        if node.ask("clique_proposals"):
            found.append(f"{node.name} still votes: {node.ask('clique_proposals')}")
    return found


def funds_table(found: Mapping[str, Funds]) -> Table:
    """Draw what each account, by name, has left, and how long that lasts."""
    table = Table(title="funds", title_justify="left")
    for column in ("account", "address", "coins", "transactions", "days", ""):
        table.add_column(column)
    for name, each in found.items():
        table.add_row(
            name,
            each.address,
            f"{each.coins:,.3f}",
            "" if each.transactions is None else f"{each.transactions:,}",
            "" if each.days is None else f"{each.days:,.0f}",
            "LOW" if each.low else "",
        )
    return table

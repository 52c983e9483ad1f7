"""What `yui network` draws: nodes, funds, and what should be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from chain.funds import Funds
from chain.network.local import NodeState
from chain.network.node import MemberNode
from chain.network.profile import Profile
from orchestrator.network.words import say
from orchestrator.words import Language

NUMBERS = {"process", "seen", "final", "peers", "of_last", "coins", "transactions", "days"}


def status_table(profile: Profile, states: list[NodeState], language: Language) -> Table:
    """Draw how each node is."""
    title = say(language, "status", name=profile.name, chain=profile.chain_id, depth=profile.depth)
    columns = ("member", "process", "seen", "final", "peers", "seals", "of_last", "hash")
    table = _table(title, columns, language)
    for state in states:
        cells = (state.process, state.height, state.final, state.peers)
        seals = "" if state.seals is None else say(language, "yes" if state.seals else "no")
        table.add_row(
            state.name,
            *("" if cell is None else str(cell) for cell in cells),
            seals,
            "" if state.sealed is None else str(state.sealed),
            (state.block_hash or say(language, "down"))[:12],
        )
    return table


def warnings_of(nodes: list[MemberNode], states: list[NodeState], language: Language) -> list[str]:
    """Return what somebody should do something about, a sentence each."""
    found = []
    up_now = [state for state in states if state.height is not None]
    if up_now and len(nodes) > 1:
        sealing = sum(bool(state.seals) for state in up_now)
        profile = nodes[0].profile
        if sealing < profile.depth and len(nodes) == len(profile.members):
            found.append(say(language, "few", sealing=sealing, depth=profile.depth))
    for node, state in zip(nodes, states, strict=True):
        if state.height is None:
            continue
        sealers = {str(each).lower() for each in node.ask("clique_getSigners")}
        if sealers != {each.lower() for each in node.profile.validators}:
            known = len(node.profile.validators)
            found.append(
                say(language, "differs", name=node.name, sealing=len(sealers), known=known)
            )
        if votes := node.ask("clique_proposals"):
            found.append(say(language, "still_votes", name=node.name, votes=votes))
    return found


def funds_table(found: Mapping[str, Funds], language: Language) -> Table:
    """Draw what each account, by name, has left, and how long that lasts."""
    columns = ("account", "address", "coins", "transactions", "days")
    table = _table(say(language, "funds"), columns, language)
    table.add_column("")
    for name, each in found.items():
        table.add_row(
            name,
            each.address,
            f"{each.coins:,.3f}",
            "" if each.transactions is None else f"{each.transactions:,}",
            "" if each.days is None else f"{each.days:,.0f}",
            say(language, "low") if each.low else "",
        )
    return table


def _table(title: str, columns: Sequence[str], language: Language) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(say(language, column), justify="right" if column in NUMBERS else "left")
    return table

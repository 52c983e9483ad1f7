"""What the chain did for a period: transactions, gas, validators, and what an audit found.

The store tells the events; the chain's file beside it (`chain.recorded`), or a node, how many
transactions there were; a node of the members' network, who sealed its blocks.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from chain.network.seal import sealer_of
from chain.node import NodeChain
from chain.recorded import RecordedChain
from orchestrator.auditing.audit import findings_kept
from orchestrator.replay.indexing import CHAIN
from orchestrator.verification.facts import Facts

STEPS = ("post", "clear", "read", "settle")
SAMPLE = 500
"""Blocks whose seal is looked at, spread evenly over the chain."""
_ASKED = 50
"""Blocks asked for at a time."""


@dataclass(frozen=True)
class Step:
    """A kind of transaction: how many there were, how many records and trades they carried, and
    their gas as it is estimated."""

    key: str
    transactions: int
    records: int
    trades: int
    gas: int


@dataclass(frozen=True)
class ChainFigures:
    """The chain's statistics; None is not known here."""

    steps: tuple[Step, ...]
    settled: int
    sites: int
    blocks_with_events: int
    blocks: int | None
    transactions: int | None
    calldata_bytes: int | None
    depth: int | None
    """How many blocks deep a block is final; 0 at once."""
    final_block: int
    sealers: dict[str, float] | None
    """The share of the sampled blocks, by validator; None without validators."""
    audit: dict[str, int] | None
    audited_to: int | None
    """The block up to which an audit went."""

    @property
    def gas(self) -> int:
        """Gas of all steps."""
        return sum(step.gas for step in self.steps)


def chain_figures(
    facts: Facts, final_block: int, folder: Path | None, rpc: str | None
) -> ChainFigures:
    """Gather the statistics, from the store's folder or from a node.

    Raises:
        ChainError: if the node does not answer.
    """
    steps = _steps(facts)
    size: tuple[int | None, int | None, int | None] = (None, None, None)
    depth, sealers = None, None
    if rpc is not None:
        blocks, sealers = _of_node(rpc)
        size = (blocks, None, None)
        # Final is what more than half of the validators have sealed on top of.
        depth = len(sealers) // 2 + 1 if sealers else 0
    elif folder is not None and (folder / CHAIN).exists():
        chain = RecordedChain(folder / CHAIN)
        size, depth = chain.counted(), chain.depth
        chain.close()
    kept = findings_kept(folder / "audit.state") if folder else None
    return ChainFigures(
        steps=steps,
        settled=facts.counts["settled"],
        sites=facts.sites,
        blocks_with_events=facts.counts["blocks"],
        blocks=size[0],
        transactions=size[1],
        calldata_bytes=size[2],
        depth=depth,
        final_block=final_block,
        sealers=sealers,
        audit=kept[1].to_json() if kept else None,
        audited_to=kept[0] if kept else None,
    )


def _steps(facts: Facts) -> tuple[Step, ...]:
    """Return each step's transactions, records and trades, and the gas that they take by its
    line."""
    counts, trades = facts.counts, len(facts.flows["trade"])
    amounts = {
        "post": (counts["order_batches"], counts["orders"], 0),
        "clear": (counts["clearings"], counts["orders"], trades),
        "read": (counts["reading_batches"], counts["readings"], 0),
        "settle": (counts["settled"], counts["settled"] * facts.sites, trades),
    }
    text = files("orchestrator.verification").joinpath("data", "gas.toml").read_text("utf-8")
    lines = tomllib.loads(text)
    return tuple(Step(key, *each, _gas(lines[key], *each)) for key, each in amounts.items())


def _gas(line: Mapping[str, int], transactions: int, records: int, trades: int) -> int:
    return line["transaction"] * transactions + line["record"] * records + line["trade"] * trades


def _of_node(rpc: str) -> tuple[int, dict[str, float] | None]:
    """Return a node's number of blocks, and who sealed how large a part of those sampled."""
    node = NodeChain(rpc)
    height = node.height()
    numbers = np.unique(np.linspace(1, max(height, 1), SAMPLE).astype(int)).tolist()
    found: Counter[str] = Counter()
    for at in range(0, len(numbers), _ASKED):
        asked = [[hex(number), False] for number in numbers[at : at + _ASKED]]
        for block in node.batch("eth_getBlockByNumber", asked):
            sealer = sealer_of(block) if block else None
            if sealer is None:
                return height + 1, None  # no chain of validators
            found[sealer] += 1
    total = sum(found.values())
    return height + 1, {who: count / total for who, count in sorted(found.items())}

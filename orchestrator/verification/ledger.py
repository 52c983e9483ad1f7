"""What the chain did for a period: transactions, gas, validators, and what an audit found.

The store tells the events; the chain's file beside it (`chain.recorded`), or a node, how many
transactions there were; a node of the members' network, who sealed its blocks.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from web3 import Web3
from web3.types import RPCEndpoint

from chain.recorded import RecordedChain
from energy.errors import ChainError
from orchestrator.audit import findings_kept
from orchestrator.replay.indexing import CHAIN
from orchestrator.verification.facts import Facts

STEPS = ("post", "clear", "read", "settle")
SAMPLE = 500
"""Blocks that are asked for their sealer, spread evenly over the chain."""


@dataclass(frozen=True)
class Step:
    """A kind of transaction: how many there were, how many records they carried, their gas."""

    key: str
    transactions: int
    records: int
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
        size, sealers = _of_node(rpc)
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
    """Return each step's transactions and records, and the gas that they take by its line."""
    counts = facts.counts
    amounts = {
        "post": (counts["order_batches"], counts["orders"]),
        "clear": (counts["clearings"], counts["orders"]),
        "read": (counts["reading_batches"], counts["readings"]),
        "settle": (counts["settled"], counts["settled"] * facts.sites),
    }
    text = files("orchestrator.verification").joinpath("data", "gas.toml").read_text("utf-8")
    lines = tomllib.loads(text)
    return tuple(
        Step(
            key, times, records, lines[key]["transaction"] * times + lines[key]["record"] * records
        )
        for key, (times, records) in amounts.items()
    )


def _of_node(rpc: str) -> tuple[tuple[int, None, None], dict[str, float] | None]:
    """Return a node's number of blocks, and who sealed how large a part of those sampled."""
    web3 = Web3(Web3.HTTPProvider(rpc))
    try:
        height = web3.eth.block_number
        found: Counter[str] = Counter()
        for number in np.unique(np.linspace(1, max(height, 1), SAMPLE).astype(int)):
            answer = web3.provider.make_request(RPCEndpoint("clique_getSigner"), [hex(number)])
            if "error" in answer:
                return (height + 1, None, None), None  # no chain of validators
            found[str(answer["result"]).lower()] += 1
    except (OSError, ValueError) as error:
        raise ChainError(f"the node at {rpc} must answer, got {error}") from error
    total = sum(found.values())
    return (height + 1, None, None), {who: count / total for who, count in sorted(found.items())}

"""The audit: every transaction of a market, from the chain's first block, run again.

It trusts a node for the blocks and nothing else: the twins (`energy.market` and
`energy.attested`) are told what each transaction said, and must come to the contracts' words:
the same acceptance, events, slot words, readings, balances, roots and claims. What comes out is
then held against the laws of `energy.laws`, and each root against the rows that the auditor
traces itself. A transaction that left no event changed nothing, and is not looked at.

What came by way of another contract (a council's Safe, a relay's own) is read from the node's
trace. If the node does not trace, what a council did to the registry is read from the
registry's events, and anything else ends the audit by naming the transaction.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from chain.contract import interface
from chain.files import write_whole
from chain.market import MarketContract
from chain.node import NodeChain
from chain.origin import OriginContract
from chain.recorded import RecordedChain
from energy.errors import AuditError, SettingError
from orchestrator.auditing.market import Auditor, Findings
from orchestrator.auditing.origin import OriginAuditor
from orchestrator.replay.indexing import CHAIN


def audited(
    node: NodeChain | RecordedChain,
    market: str,
    origin: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    state: Path | None = None,
) -> Findings:
    """Audit a deployment on a chain; `progress` is told blocks done and blocks in all.

    What is not final yet is left out. `market` and `origin` are addresses; without the second,
    roots and claims are left out. With
    `state`, an audit goes on from where that file's ended, and leaves it for the next one.

    Raises:
        AuditError: at the first thing that is wrong, with block or slot and rule.
        ChainError: if the chain cannot be reached.
        SettingError: if the state is of another deployment or chain.
    """
    head = node.final_height()
    then = node.at_block(head)
    contract = MarketContract(then, market)
    ledger = OriginContract(then, origin) if origin else None
    auditor, done = _resumed(state, node, market, origin)
    addresses = [market, origin] if origin else [market]
    domain = contract.domain
    for transaction in node.transactions(addresses, done + 1, head):
        auditor.follow(transaction, domain, node.calls_of(transaction, market))
        if ledger and auditor.market and auditor.origin is None:
            registry = auditor.market.registry
            auditor.origin = OriginAuditor(
                ledger.address, market, registry, ledger.domain, auditor.findings
            )
        if ledger and auditor.origin:
            calls = node.calls_of(transaction, ledger.address)
            auditor.origin.follow(transaction, calls)
        if progress:
            progress(transaction.block, head)
    for name, address in zip(("Market", "Origin"), addresses, strict=False):
        if not interface(name).is_code_of(node.code_at(address)):
            raise AuditError(f"block {head}: the code at {address} must be this version's {name}")
    auditor.finish(contract)
    if ledger and auditor.origin:
        auditor.origin.finish(ledger)
    auditor.findings.blocks = head + 1
    if state:
        _save(state, AuditState(node.chain_id, head, node.block_hash(head), auditor))
    return auditor.findings


def audited_again(
    folder: Path,
    progress: Callable[[str, int, int], None] | None = None,
    state: Path | None = None,
) -> Findings:
    """Audit a replay from its folder, which has a chain's file and no node.

    Every kept transaction is run again on the contracts' bytecode, and must log what the file
    says; then it is audited as any chain is. `progress` is told which of both (`again`, `audit`),
    how much of it is done, and how much there is.

    Raises:
        AuditError, ChainError: at the first thing that is wrong.
        SettingError: if the folder holds no chain, or the state is of another one.
    """
    file = folder / CHAIN
    if not file.exists():
        raise SettingError(
            f"{folder} must hold a replay's {CHAIN}, got none: a replay on a node leaves its "
            "chain with the node"
        )
    chain = RecordedChain(file)
    try:
        market, origin = chain.created(0), chain.created(1)
        chain.run_again(partial(progress, "again") if progress else None)
        told = partial(progress, "audit") if progress else None
        return audited(chain, market, origin, told, state)
    finally:
        chain.close()


@dataclass
class AuditState:
    """An audit up to a block, to go on from."""

    chain_id: int
    block: int
    block_hash: bytes
    auditor: Auditor


def findings_kept(state: Path) -> tuple[int, Findings] | None:
    """Return the block up to which a kept audit went, and what it found; None without one.

    Raises:
        SettingError: if the file is no audit's state.
    """
    if not state.exists():
        return None
    saved = _read(state)
    return saved.block, saved.auditor.findings


def _resumed(
    state: Path | None, node: NodeChain | RecordedChain, market: str, origin: str | None
) -> tuple[Auditor, int]:
    """Return an auditor, and the last block that it has followed."""
    if state is None or not state.exists():
        return Auditor(market), -1
    saved = _read(state)
    ledger = saved.auditor.origin.address if saved.auditor.origin else None
    before = saved.chain_id, saved.auditor.address, ledger
    if before != (node.chain_id, market.lower(), origin.lower() if origin else None):
        raise SettingError(f"{state} must be of this deployment, got one of {before}")
    if saved.block > node.final_height() or node.block_hash(saved.block) != saved.block_hash:
        raise AuditError(f"block {saved.block}: its hash must be 0x{saved.block_hash.hex()}")
    return saved.auditor, saved.block


def _read(state: Path) -> AuditState:
    try:
        with state.open("rb") as file:
            saved = _StateReader(file).load()
    except (OSError, EOFError, AttributeError, ValueError, pickle.UnpicklingError) as error:
        raise SettingError(f"{state} must be an audit's state, got {error}") from error
    if not isinstance(saved, AuditState):
        raise SettingError(f"{state} must be an audit's state, got {type(saved).__name__}")
    return saved


def _save(path: Path, state: AuditState) -> None:
    write_whole(path, pickle.dumps(state))


class _StateReader(pickle.Unpickler):
    """Reads plain data and this project's classes, and nothing that could act."""

    def find_class(self, module: str, name: str) -> Any:
        own = module.partition(".")[0] in ("energy", "chain", "orchestrator")
        if (own and "." not in name) or (module, name) in _PLAIN:
            found = super().find_class(module, name)
            if isinstance(found, type):
                return found
        raise pickle.UnpicklingError(f"{module}.{name}")


_PLAIN = {("builtins", "set"), ("builtins", "frozenset"), ("collections", "defaultdict")}

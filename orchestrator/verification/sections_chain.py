"""The report's section on the chain: what it carried, who sealed it, what an audit found."""

from __future__ import annotations

from orchestrator.verification.ledger import ChainFigures
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Section, Table, Voice

AT_A_THOUSAND = 29_751
"""Gas a site and half hour in a market of 1,000 sites (`python -m bench scale`, docs/ledger.md)."""


def chain_section(figures: Figures, say: Voice) -> Section:
    """The chain: transactions, gas, finality, validators' share; and the audit's result."""
    chain = figures.chain
    rows: list[tuple[Cell, ...]] = [
        (
            say(f"step_{step.key}"),
            step.transactions,
            step.records,
            step.trades,
            step.gas / 1e6,
            step.gas / max(chain.settled * chain.sites, 1),
        )
        for step in chain.steps
    ]
    rows.append(
        (
            say("sum"),
            sum(step.transactions for step in chain.steps),
            None,
            None,
            chain.gas / 1e6,
            chain.gas / max(chain.settled * chain.sites, 1),
        )
    )
    gas = Table(
        "gas",
        say("gas_table"),
        (
            say.column("step"),
            say.column("transactions"),
            say.column("records"),
            say.column("trades"),
            say.column("gas", "M", 1),
            say.column("gas_site_slot"),
        ),
        tuple(rows),
        1,
    )
    whole: list[tuple[Cell, ...]] = [
        (say(f"chain_{key}"), None if value is None else f"{value:,}")
        for key, value in (
            ("blocks", chain.blocks),
            ("event_blocks", chain.blocks_with_events),
            ("transactions", chain.transactions),
            ("bytes", chain.calldata_bytes),
            ("final", chain.final_block),
            ("depth", chain.depth),
        )
    ]
    tables = [
        gas,
        Table("chain", say("chain_table"), (say.column("what"), say.column("count")), tuple(whole)),
    ]
    if chain.sealers:
        tables.append(
            Table(
                "validators",
                say("validators_table"),
                (say.column("validator"), say.column("sealed", "%", 1)),
                tuple((who, 100 * part) for who, part in chain.sealers.items()),
            )
        )
    findings = [audit_found(chain, say), _gas_found(chain, say)]
    findings.append(say("validators_seen" if chain.sealers else "validators_none"))
    if chain.audit:
        tables.append(
            Table(
                "audit",
                say("audit_table"),
                (say.column("checked"), say.column("count")),
                tuple((say(f"audit_{key}"), value) for key, value in chain.audit.items()),
            )
        )
    return Section(
        "chain",
        say("chain"),
        findings=tuple(findings),
        tables=tuple(tables),
        method=say.lines("chain_how"),
        again="yui audit --folder FOLDER"
        if figures.provenance.is_replay
        else "yui audit --rpc URL --manifest FILE",
        by_command=say("chain_again"),
    )  # fmt: skip


def _gas_found(chain: ChainFigures, say: Voice) -> str:
    """Say what a site and half hour takes, beside what it takes where many share a transaction."""
    each = chain.gas / max(chain.settled * chain.sites, 1)
    return say(
        "gas_found", each=f"{each:,.0f}", sites=f"{chain.sites:,}", many=f"{AT_A_THOUSAND:,}"
    )


def audit_found(chain: ChainFigures, say: Voice) -> str:
    """Say what the audit found; it stops at the first thing that is wrong, and keeps no state."""
    if chain.audit is None:
        return say("audit_missing")
    return say(
        "audit_fine",
        block=f"{chain.audited_to:,}",
        transactions=f"{chain.audit['transactions']:,}",
        signatures=f"{chain.audit['signatures']:,}",
    )

"""All figures of a period, computed from a store, and the sections that say them.

figures = figures_of(connection, slots, folder=Path("year"))
for section in sections_of(figures, Voice(Language.ENGLISH, names)): ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from chain.store import Store as ChainStore
from orchestrator.replay.asked import FILE, Asked, asked_at
from orchestrator.setting.sites import AHEAD
from orchestrator.steering.steering import PLAN
from orchestrator.verification.calls import CallFigures, call_figures
from orchestrator.verification.carbon import Carbon, carbon_figures, factor_of
from orchestrator.verification.energy import EnergyFigures, coincidence, energy_figures
from orchestrator.verification.facts import Facts, facts_of, settled_slots
from orchestrator.verification.foresight import (
    Foresight,
    Orders,
    foresight_figures,
    order_figures,
)
from orchestrator.verification.ledger import ChainFigures, chain_figures
from orchestrator.verification.market import Prices, price_figures
from orchestrator.verification.money import Money, money_figures
from orchestrator.verification.provenance import Provenance, provenance_of
from orchestrator.verification.storage import Store, battery_figures

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""
STEPS = 4


@dataclass(frozen=True)
class Figures:
    """Everything that a report states."""

    facts: Facts
    energy: EnergyFigures
    money: Money
    prices: Prices
    orders: Orders | None
    """None where orders come after metering: they foresee nothing."""
    foresight: Foresight | None
    """None there too, and where no two weeks are known."""
    batteries: list[Store]
    carbon: Carbon
    chain: ChainFigures
    provenance: Provenance
    calls: CallFigures | None
    """None where no file says what was asked."""
    met: float
    """The share of exports that met an import in their half hour."""
    alike: float
    """How alike the roofs' courses are."""


def figures_of(
    connection: Connection,
    slots: range,
    folder: Path | None = None,
    rpc: str | None = None,
    co2_factor: float | None = None,
    calls: Path | None = None,
    progress: Progress = lambda step, done, total: None,
) -> Figures:
    """Compute a period's figures from a store.

    `folder` is where the store's chain and audit lie, `rpc` a node to ask instead; `co2_factor`
    in kg/kWh replaces the bundled one; `calls` is a file of balancing calls, the folder's where
    there is one.

    Raises:
        SettingError: if nothing of the period is settled, the factor is out of range, or the calls
            are none.
        ChainError: if the node does not answer.
    """
    factor = factor_of(co2_factor)
    asked = _calls(folder, calls)
    progress("read", 0, STEPS)
    facts = facts_of(connection, slots)
    progress("figures", 1, STEPS)
    energy = energy_figures(facts)
    met, alike = coincidence(facts)
    setting = ChainStore(connection).setting
    ahead = setting("mode") in (None, AHEAD)
    final = int(setting("final") or -1)
    progress("batteries", 2, STEPS)
    steered = setting("battery")
    batteries = battery_figures(facts, steered)
    progress("pages", 3, STEPS)
    return Figures(
        facts=facts,
        energy=energy,
        money=money_figures(facts),
        prices=price_figures(facts),
        orders=order_figures(facts, _conditional(facts, steered)) if ahead else None,
        foresight=foresight_figures(facts) if ahead else None,
        batteries=batteries,
        carbon=carbon_figures(energy, factor),
        chain=chain_figures(facts, final, folder, rpc),
        provenance=provenance_of(connection, settled_slots(connection), folder),
        calls=call_figures(connection, facts, *asked) if asked else None,
        met=met,
        alike=alike,
    )


def _conditional(facts: Facts, steered: str | None) -> list[int]:
    """Return the sites whose orders may be a plan's: all with a battery, unless it is known not to
    be steered by one."""
    return sorted(facts.batteries) if steered in (None, PLAN) else []


def _calls(folder: Path | None, given: Path | None) -> tuple[list[Asked], str] | None:
    """Return the calls of a file, and its name."""
    path = calls_file(folder, given)
    return (asked_at(path), path.name) if path else None


def calls_file(folder: Path | None, given: Path | None) -> Path | None:
    """Return the file of calls that is given, or lies beside the store."""
    beside = folder / FILE if folder else None
    return given or (beside if beside and beside.exists() else None)

"""Periods replayed through the real contracts for tests of the report, and what is read of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

from chain.store import opened, stored
from orchestrator.replay.period import replayed
from orchestrator.replay.plan import Plan
from orchestrator.setting.sites import load_setting, with_mode
from orchestrator.steering.steering import RULE
from orchestrator.verification.facts import settled_slots
from orchestrator.verification.period import period_from
from orchestrator.verification.report import Figures, figures_of
from orchestrator.verification.section import Section

FIRST, DAYS = date(2019, 5, 31), 3
"""Over a month's end."""
NAMES = ["Ogawara", "Sendai", "Osaki", "Kurihara", "Tome", "Ishinomaki", "Kesennuma"]
SELLING, BUYING = 22_000, 8_000
"""Of the bundled sites file."""


def played(folder: Path, mode: str, days: int) -> Path:
    """Replay days, and return their folder."""
    setting = with_mode(load_setting(), mode)
    plan = Plan(FIRST, days, RULE, mode, "test", "bundled")
    replayed(setting, plan, folder, lambda step, done, total: None)
    return folder


def looked_at(folder: Path, period: str | None = None) -> Figures:
    """Return a folder's figures."""
    engine = opened(str(folder / "store.sqlite"))
    with stored(engine) as store:
        slots = period_from(period, settled_slots(store.connection))
        figures = figures_of(store.connection, slots, folder)
    engine.dispose()
    return figures


def table(sections: list[Section], key: str) -> pd.DataFrame:
    """Return a table of a report."""
    found = next(one for section in sections for one in section.tables if one.key == key)
    return pd.DataFrame(found.rows, columns=[column.key for column in found.columns])

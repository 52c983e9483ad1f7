"""A year of seven offices through the real contracts, its audit, and a day on a node.

In this process's EVM, with real signatures, the laws of every slot checked as it settles, the
store indexed, origins traced, every day attested by every site; then the audit from the first
block. Two processes. `YUI_YEAR_DAYS` plays fewer days, counted up to a year.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure
from chain.anvil import anvil
from orchestrator.replay.period import Plan, beginning_of, replayed
from orchestrator.setting.sites import Setting, load_setting
from orchestrator.steering.steering import RULE

FIRST = date(2019, 1, 1)
YEAR = 365
THE_DAY = date(2019, 6, 4)


def figures() -> list[Figure]:
    """Measure all."""
    return [*_year(RULE, 180), *_day()]


def _plan(setting: Setting, first: date, days: int, battery: str) -> Plan:
    return Plan(first, days, battery, setting.market.mode, "yui", "bundled")


def _year(battery: str, bar: float) -> Iterator[Figure]:
    days = int(os.environ.get("YUI_YEAR_DAYS", YEAR))
    counted = "" if days == YEAR else f", counted up from {days} days"
    setting = load_setting()
    moments: dict[str, float] = {}

    def note(step: str, _done: int, _total: int) -> None:
        moments.setdefault(step, time.monotonic())

    with TemporaryDirectory(prefix="yui") as name:
        folder = Path(name)
        begun = time.monotonic()
        done = replayed(setting, _plan(setting, FIRST, days, battery), folder, note)
        ended = time.monotonic()
        sizes = {
            kind: sum(file.stat().st_size for file in folder.glob(f"{kind}.sqlite*"))
            for kind in ("chain", "store")
        }
    scale = YEAR / days
    name = f"a year of {len(setting.sites)} sites, batteries by the {battery}"
    yield Figure(f"{name}{counted}", (moments["audit"] - begun) * scale, "s", bar)
    yield Figure(f"audit of that year{counted}", (ended - moments["audit"]) * scale, "s", 600)
    yield Figure("its transactions", done.findings.transactions * scale, "count")
    for kind, size in sizes.items():
        yield Figure(f"its {kind} on disk", size * scale / 2**20, "MiB")


def _day() -> Iterator[Figure]:
    setting = load_setting()
    plan = _plan(setting, THE_DAY, 1, RULE)
    moments: dict[str, float] = {}

    def note(step: str, _done: int, _total: int) -> None:
        moments.setdefault(step, time.monotonic())

    with TemporaryDirectory(prefix="yui") as name, anvil(beginning_of(setting, plan)) as node:
        replayed(setting, plan, Path(name), note, node)
    yield Figure("a day replayed on a node", moments["audit"] - moments["slots"], "s", 30)

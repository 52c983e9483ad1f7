"""A year of seven offices through the real contracts, its audit and its report; a day on a node.

In this process's EVM, with real signatures, the laws of every slot checked as it settles, the
store indexed, origins traced, every day attested by every site; then the audit from the first
block, and the report as `yui report` writes it: Markdown with its charts, HTML and PDF. Two
processes. `YUI_YEAR_DAYS` plays fewer days, counted up to a year; the report is then of these.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import day
from bench.figures import Figure
from orchestrator.replay.period import replayed
from orchestrator.replay.plan import Plan
from orchestrator.setting.sites import load_setting
from orchestrator.steering.steering import PLAN, RULE
from orchestrator.words import Language

FIRST = date(2019, 1, 1)
YEAR = 365
_YUI = (sys.executable, "-m", "orchestrator.entry")
_PLANNER = {RULE: "without the planner", PLAN: "with the planner each slot"}


def figures() -> list[Figure]:
    """Measure all."""
    return [*_year(RULE, 180), *_year(PLAN, 360), *day.figures()]


def _year(battery: str, bar: float) -> Iterator[Figure]:
    days = int(os.environ.get("YUI_YEAR_DAYS", YEAR))
    counted = "" if days == YEAR else f", counted up from {days} days"
    setting = load_setting()
    moments: dict[str, float] = {}
    work: dict[str, float] = {}

    def note(step: str, _done: int, _total: int) -> None:
        if step not in moments:
            moments[step], work[step] = time.monotonic(), time.process_time()

    with TemporaryDirectory(prefix="yui") as name:
        folder = Path(name)
        begun, worked = time.monotonic(), time.process_time()
        plan = Plan(FIRST, days, battery, setting.market.mode, "yui", "bundled")
        done = replayed(setting, plan, folder, note)
        ended = time.monotonic()
        sizes = {
            kind: sum(file.stat().st_size for file in folder.glob(f"{kind}.sqlite*"))
            for kind in ("chain", "store")
        }
        played = "that year" if days == YEAR else f"{days} days"
        store = folder / "store.sqlite"
        reports = [figure for each in Language for figure in _reported(store, each, played)]
    scale = YEAR / days
    name = f"a year, {len(setting.sites)} sites, in-process EVM, all checks on"
    yield Figure(
        f"{name}, {_PLANNER[battery]}{counted}", (moments["audit"] - begun) * scale, "s", bar
    )
    yield Figure(
        "processor time of the process that plays it", (work["audit"] - worked) * scale, "s"
    )
    yield Figure(f"audit of that year{counted}", (ended - moments["audit"]) * scale, "s", 600)
    yield Figure("its transactions", done.findings.transactions * scale, "count")
    for kind, size in sizes.items():
        yield Figure(f"its {kind} on disk", size * scale / 2**20, "MiB")
    yield from reports


def _reported(store: Path, language: str, name: str) -> Iterator[Figure]:
    """Have the command write the report in all forms, and say how long it took, start included."""
    folder = store.parent / f"report-{language}"
    forms = ("--markdown", str(folder), "--html", f"{folder}.html", "--pdf", f"{folder}.pdf")
    asked = ("report", "--store", str(store), "--language", language, *forms)
    begun, worked = time.monotonic(), _children_seconds()
    subprocess.run([*_YUI, *asked], check=True, stdout=subprocess.DEVNULL)
    spent = time.monotonic() - begun
    yield Figure(f"report of {name}, {language}: Markdown, HTML and PDF", spent, "s", 60)
    yield Figure("its processor time", _children_seconds() - worked, "s")


def _children_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime

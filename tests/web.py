"""A replayed day behind the pages, and what leads to each page."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from energy.units import slots_of
from orchestrator.replay.period import replayed
from orchestrator.replay.plan import Plan
from orchestrator.setting.sites import load_setting
from orchestrator.steering.steering import PLAN

DAY = date(2019, 6, 4)
SLOTS = slots_of(DAY)
NOON, EVENING = SLOTS[24], SLOTS[37]
KESENNUMA = 6
ADDRESSES = (
    f"/now?at={NOON}",
    f"/slot/{EVENING}",
    f"/site/{KESENNUMA}?day={DAY}",
    "/site/1?month=2019-06",
    f"/battery/{KESENNUMA}?day={DAY}",
    "/fleet?type=battery",
    f"/audit?day={DAY}",
)


def played(folder: Path) -> None:
    """Replay the day into a folder: a store, and the audit of its chain."""
    setting = load_setting()
    plan = Plan(DAY, 1, PLAN, setting.market.mode, "web", "bundled")
    replayed(setting, plan, folder, lambda *_: None)

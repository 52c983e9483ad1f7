"""A day on a node, from Modbus to settled: devices, terminals, agents, contracts, and its audit.

Simulated devices are read and commanded over Modbus TCP by the sites' real terminals, half hour by
half hour, on a development node whose clock is set.
"""

from __future__ import annotations

import asyncio
import time
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure
from energy.units import SLOTS_PER_DAY
from orchestrator.demo.day import run_day
from orchestrator.setting.sites import load_setting

DAY = date(2019, 6, 4)


def figures() -> list[Figure]:
    """Run the day once."""
    moments: dict[str, float] = {}

    def note(step: str, _done: int, _total: int) -> None:
        moments.setdefault(step, time.perf_counter())

    with TemporaryDirectory() as folder:
        setting = load_setting()
        done = asyncio.run(run_day(setting, DAY, Path(folder) / "day", note))
    end = time.perf_counter()
    slots = f"{SLOTS_PER_DAY} slots of {len(setting.sites)} sites"
    return [
        Figure("the demo day, in all", end - moments["chain"], "s", 60),
        Figure(f"deployment, by {done.deployed_by}", moments["enrol"] - moments["deploy"], "s"),
        Figure(
            f"a day on a node (anvil) from Modbus to settled: {slots}, devices started",
            moments["attest"] - moments["day"],
            "s",
            30,
        ),
        Figure("attested by each site from the chain", moments["audit"] - moments["attest"], "s"),
        Figure("audit", end - moments["audit"], "s"),
        Figure("transactions", done.findings.transactions, "count"),
    ]

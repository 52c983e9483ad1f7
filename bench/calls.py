"""Balancing calls at the control room: from the call to the last site told, and what a round costs.

Sites are in memory, so that what is measured is the room: splitting, its store on disk, rounds. How
quick the link and the sites are, their own benches say.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure
from vpp.calls.call import Call, Direction, Step
from vpp.calls.desk import Desk
from vpp.calls.store import CallStore
from vpp.commands import Answer, Following, Instruction, Report

CALLED, MANY = 100, 1_000
CALL_SECONDS = 5.0
"""What a call may take to the first change of power, link and device included."""
ROUND_SECONDS = 1.0
"""Rounds come every second."""
ROUNDS = 10
SHARE_W = 8_000


class Sites:
    """Batteries that take what they are told at once; of some the owner took over."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.held: dict[int, Instruction] = {}
        self.overridden: set[int] = set()
        self.told_at = 0.0

    async def send(self, instructions: Sequence[Instruction]) -> list[Answer]:
        """Take all of them."""
        self.held |= {each.site: each for each in instructions}
        self.told_at = time.perf_counter()
        return [Answer(each.site, each.sequence, int(time.time())) for each in instructions]

    def states(self) -> list[Report]:
        """Return reports of this second."""
        now = int(time.time())
        return [self._report(site, now) for site in range(self.count)]

    def _report(self, site: int, now: int) -> Report:
        held = self.held.get(site)
        power = held.power_w if held else 0
        return Report(
            site=site,
            name=f"Site {site}",
            municipality=f"Town {site % 10}",
            kind="pv+battery",
            at=now,
            following=self._following(site),
            stored_wh=20_000 + site,
            capacity_wh=40_000,
            battery_w=power,
            generated_w=0,
            imported_w=3_000 - power,
            charge_w=10_000,
            discharge_w=10_000,
            target_w=power,
            call=held.call if held else "",
        )

    def _following(self, site: int) -> Following:
        if site in self.overridden:
            return Following.OVERRIDE
        return Following.CALL if site in self.held else Following.PLAN


def figures() -> list[Figure]:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="yui-calls-") as folder:
        return [
            figure
            for count in (CALLED, MANY)
            for figure in asyncio.run(_called(Path(folder), count))
        ]


async def _called(folder: Path, count: int) -> list[Figure]:
    sites = Sites(count)
    store = CallStore.at(str(folder / f"calls-{count}.sqlite"))
    desk = Desk(store, sites, planned=lambda site, slot: 0)
    now = int(time.time())
    call = Call("c1", Direction.UP, (Step(now, now + 3600, count * SHARE_W),), now)
    spent, began = time.process_time(), time.perf_counter()
    await desk.receive(call)
    told = await _told(desk, sites, began)
    told_busy = time.process_time() - spent
    missing = call.asked_w(now) - sum(each.power_w for each in sites.held.values())
    spent = time.process_time()
    for _ in range(ROUNDS):
        await desk.round()
    busy = (time.process_time() - spent) / ROUNDS
    # One of them refuses to go on: its owner took over.
    sites.overridden.add(next(iter(sites.held)))
    again = await _told(desk, sites, time.perf_counter())
    return [
        Figure(f"{count:,} sites: from the call to the last site told", told, "s", CALL_SECONDS),
        Figure(f"{count:,} sites: of it processor time", told_busy, "s"),
        Figure(f"{count:,} sites: asked for and not split", missing, "W", 0),
        Figure(f"{count:,} sites: a round, processor time", busy, "s", ROUND_SECONDS),
        Figure(f"{count:,} sites: from an owner's override to the others told", again, "s"),
    ]


async def _told(desk: Desk, sites: Sites, began: float) -> float:
    await desk.round()
    await desk.teller.idle()
    return sites.told_at - began

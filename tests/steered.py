"""Sites for the tests of calls: batteries in memory that follow instructions, on a clock that is
set, in a room that reaches them.

Units as in `vpp.commands`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vpp.commands import Action, Answer, Following, Instruction, Report

SITE_W, CAPACITY_WH = 10_000, 40_000


class Clock:
    """A time that passes when it is told to."""

    def __init__(self, now: float) -> None:
        self.time = float(now)

    def __call__(self) -> float:
        return self.time


@dataclass
class Battery:
    """A site with a battery: it takes one instruction of a call at a time, as `Steered` says."""

    site: int
    clock: Callable[[], float]
    stored_wh: float = CAPACITY_WH / 2
    capacity_wh: int = CAPACITY_WH
    rated_w: int = SITE_W
    planned_w: int = 0
    load_w: int = 3_000
    refuses: str = ""
    gives: float = 1.0
    """The part of a call that it really gives."""
    following: Following = Following.PLAN
    silent: bool = False
    gone: bool = False
    given: list[Instruction] = field(default_factory=list)
    call: Instruction | None = None
    reported_at: int = 0
    seen: float = 0.0

    async def give(self, instruction: Instruction) -> Answer:
        """Take an instruction, or refuse it."""
        if self.given and instruction.sequence <= max(each.sequence for each in self.given):
            return self._answer(instruction, "its sequence is not above the last one")
        self.given.append(instruction)
        if self.refuses:
            return self._answer(instruction, self.refuses)
        assert instruction.action is Action.CALL
        self.call = instruction
        return self._answer(instruction, "")

    def _answer(self, instruction: Instruction, refused: str) -> Answer:
        return Answer(self.site, instruction.sequence, int(self.clock()), refused)

    @property
    def called_w(self) -> int:
        """What a call asks of it now."""
        call = self.call
        if call is None or self.following in (Following.OUT, Following.STOP, Following.OVERRIDE):
            return 0
        return call.power_w if call.starts_at <= self.clock() < call.ends_at else 0

    @property
    def target_w(self) -> int:
        """What its battery is to give."""
        wanted = self.planned_w + self.called_w
        return max(-self._most_charge(), min(wanted, self._most_discharge()))

    @property
    def battery_w(self) -> int:
        """What its battery gives."""
        return self.planned_w + round((self.target_w - self.planned_w) * self.gives)

    def _most_discharge(self) -> int:
        return self.rated_w if self.stored_wh > 0.05 * self.capacity_wh else 0

    def _most_charge(self) -> int:
        return self.rated_w if self.stored_wh < self.capacity_wh else 0

    def live(self, seconds: float) -> None:
        """Let time pass for the battery; losses are left out."""
        self.stored_wh -= self.battery_w * seconds / 3600

    def report(self) -> Report:
        """Return how the site stands."""
        if not self.gone:
            self.reported_at = int(self.clock())
        following = self.following
        if self.called_w and following is Following.PLAN:
            following = Following.CALL
        return Report(
            site=self.site,
            name=f"Site {self.site}",
            municipality=f"Town {self.site % 3}",
            kind="pv+battery",
            at=self.reported_at,
            following=following,
            sequence=max((each.sequence for each in self.given), default=0),
            stored_wh=round(self.stored_wh),
            capacity_wh=self.capacity_wh,
            battery_w=self.battery_w,
            generated_w=0,
            imported_w=self.load_w - self.battery_w,
            charge_w=self._most_charge(),
            discharge_w=self._most_discharge(),
            target_w=self.target_w,
            call=self.call.call if self.call is not None and self.called_w else "",
        )


class MemoryRoom:
    """A room that reaches its sites without a link."""

    def __init__(self, sites: Sequence[Battery]) -> None:
        self.sites = {site.site: site for site in sites}
        self.before_send: Callable[[Sequence[Instruction]], None] | None = None
        self.after_send: Callable[[Sequence[Instruction]], None] | None = None

    async def send(self, instructions: Sequence[Instruction]) -> list[Answer]:
        """Give each site its instruction; the silent do not answer."""
        if self.before_send:
            self.before_send(instructions)
        reached = [each for each in instructions if not self._is_silent(each.site)]
        answers = [await self.sites[each.site].give(each) for each in reached]
        if self.after_send:
            self.after_send(instructions)
        await asyncio.sleep(0)
        return answers

    def _is_silent(self, site: int) -> bool:
        return self.sites[site].silent or self.sites[site].gone

    def states(self) -> list[Report]:
        """Return each site's report."""
        return [site.report() for site in self.sites.values()]

    @property
    def called_w(self) -> int:
        """What all sites are asked for by calls now."""
        return sum(site.called_w for site in self.sites.values())

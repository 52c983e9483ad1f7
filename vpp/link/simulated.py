"""A simulated battery behind a link, for tests, rehearsals and benches: no device, no plan.

It does what `vpp.commands` says of priorities, refuses what is beyond its owner's limits, and
follows with a lag. Its state is worked out when it is asked for, so that a thousand of them cost
nothing in between. `simulated_fleet` runs many, each with a TLS connection of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from energy.units import SLOT_SECONDS
from vpp.commands import Action, Answer, Following, Instruction, Report
from vpp.link.client import ended
from vpp.link.folders import Member, fleet_at, site_at
from vpp.link.ledger import Ledger
from vpp.link.site import REPORT_SECONDS, SiteLink
from vpp.link.wire import user_of

_COMMANDS = (Action.CHARGE, Action.DISCHARGE, Action.HOLD)
CONNECTING_AT_ONCE = 50


@dataclass
class SimulatedBattery:
    """A battery that is steered. Powers in W (out is positive), energies in Wh, lag in seconds.

    `surplus_w` is what it would charge by itself; `clock` gives unix seconds.
    """

    member: Member
    capacity_wh: int = 40_000
    power_w: int = 20_000
    stored_wh: float = 20_000.0
    surplus_w: int = 1_000
    lag_seconds: float = 0.3
    override_w: int | None = None
    clock: Callable[[], float] = time.time
    _answers: dict[int, Answer] = field(default_factory=dict)
    _held: dict[Action, Instruction] = field(default_factory=dict)
    _stopped: bool = False
    _sequence: int = 0
    _battery_w: int = 0
    _target_w: int = 0
    _due_at: float = 0.0
    _seen_at: float = 0.0

    def __post_init__(self) -> None:
        self._seen_at = self.clock()
        self._battery_w = self._target_w = self._wanted(self._seen_at)[0]

    async def give(self, instruction: Instruction) -> Answer:
        """Take or refuse an instruction."""
        now = self.clock()
        self._move(now)
        refused = self._why_not(instruction)
        if not refused:
            self._take(instruction)
            self._sequence = max(self._sequence, instruction.sequence)
        answer = Answer(instruction.site, instruction.sequence, int(now), refused)
        self._answers = {instruction.sequence: answer}
        self._move(now)
        return answer

    def answer_of(self, sequence: int) -> Answer | None:
        """Return the answer to an instruction as it stands by now: with when power changed."""
        self._move(self.clock())
        return self._answers.get(sequence)

    def report(self) -> Report:
        """Return how it stands."""
        now = self.clock()
        self._move(now)
        _, following, call = self._wanted(now)
        room = self.capacity_wh - self.stored_wh
        return Report(
            site=self.member.site,
            name=self.member.name,
            municipality=self.member.municipality,
            kind=self.member.kind,
            at=int(now),
            following=following,
            sequence=self._sequence,
            stored_wh=round(self.stored_wh),
            capacity_wh=self.capacity_wh,
            battery_w=self._battery_w,
            generated_w=2 * self.surplus_w,
            imported_w=-self.surplus_w - self._battery_w,
            charge_w=self.power_w if room > 0 else 0,
            discharge_w=self.power_w if self.stored_wh > 0 else 0,
            target_w=self._target_w,
            call=call,
        )

    def _why_not(self, told: Instruction) -> str:
        asked = max((abs(2 * each) for each in told.plan_wh), default=abs(told.power_w))
        if told.action is not Action.LIMIT and asked > self.power_w:
            return f"limit: power must be at most {self.power_w} W, got {asked} W"
        return ""

    def _take(self, told: Instruction) -> None:
        if told.action is Action.STOP:
            self._stopped = True
        elif told.action is Action.RESUME:
            self._stopped = False
            self._held = {each: held for each, held in self._held.items() if each is Action.PLAN}
        else:
            if told.action in _COMMANDS:
                for each in _COMMANDS:
                    self._held.pop(each, None)
            self._held[told.action] = told

    def _wanted(self, now: float) -> tuple[int, Following, str]:
        held = {
            action: each
            for action, each in self._held.items()
            if each.starts_at <= now < each.ends_at
        }
        if self._stopped:
            return 0, Following.STOP, ""
        limit = held[Action.LIMIT].power_w if Action.LIMIT in held else self.power_w
        base, following, call = self._below_call(held, now)
        if self.override_w is not None:
            base, following = self.override_w, Following.OVERRIDE
        elif Action.CALL in held:
            called = held[Action.CALL]
            base, following, call = base + called.power_w, Following.CALL, called.call
        most = min(limit, self.power_w)
        base = max(-most, min(most, base))
        if (base > 0 and self.stored_wh <= 0) or (base < 0 and self.stored_wh >= self.capacity_wh):
            base = 0
        return base, following, call

    def _below_call(
        self, held: dict[Action, Instruction], now: float
    ) -> tuple[int, Following, str]:
        for action in _COMMANDS:
            if action in held:
                sign = {Action.CHARGE: -1, Action.DISCHARGE: 1, Action.HOLD: 0}[action]
                return sign * held[action].power_w, Following.COMMAND, ""
        if Action.PLAN in held:
            plan = held[Action.PLAN]
            slot = int((now - plan.starts_at) // SLOT_SECONDS)
            if slot < len(plan.plan_wh):
                return 2 * plan.plan_wh[slot], Following.PLAN, ""
        return -self.surplus_w, Following.SELF, ""

    def _move(self, now: float) -> None:
        hours = max(now - self._seen_at, 0.0) / 3600
        self.stored_wh = min(max(self.stored_wh - self._battery_w * hours, 0), self.capacity_wh)
        self._seen_at = now
        wanted = self._wanted(now)[0]
        if wanted != self._target_w:
            self._target_w, self._due_at = wanted, now + self.lag_seconds
        if now >= self._due_at:
            self._battery_w = self._target_w
            for sequence, answer in self._answers.items():
                if answer.taken and answer.changed_at is None:
                    changed_at = max(self._due_at, float(answer.at))
                    self._answers[sequence] = replace(answer, changed_at=changed_at)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A running site of a simulated fleet."""

    battery: SimulatedBattery
    link: SiteLink
    task: asyncio.Task[None]


@asynccontextmanager
async def simulated_fleet(
    folder: Path,
    sites: Sequence[int] | None = None,
    report_seconds: float = REPORT_SECONDS,
    made: Callable[[Member], SimulatedBattery] = SimulatedBattery,
) -> AsyncIterator[dict[int, Simulated]]:
    """Run the sites of a fleet's folder, or some of them, in this process while the block runs."""
    running: dict[int, Simulated] = {}
    ledgers: list[Ledger] = []
    async with asyncio.TaskGroup() as group:
        for member in fleet_at(folder).sites:
            if sites is not None and member.site not in sites:
                continue
            place = site_at(folder / "sites" / user_of(member.site))
            ledger = Ledger(place.ledger)
            ledgers.append(ledger)
            battery = made(member)
            link = SiteLink(place, battery, ledger, report_seconds)
            running[member.site] = Simulated(battery, link, group.create_task(link.run()))
            if len(running) % CONNECTING_AT_ONCE == 0:
                await _all_connected(running)
        try:
            await _all_connected(running)
            yield running
        finally:
            await ended(*(each.task for each in running.values()))
    for ledger in ledgers:
        ledger.close()


async def _all_connected(running: dict[int, Simulated]) -> None:
    while not all(each.link.connected or each.task.done() for each in running.values()):
        await asyncio.sleep(0.05)

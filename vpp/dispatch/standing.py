"""What a site was told, by the control room and by its owner, and what of it is followed now.

    the control room's stop, or the owner's > the owner's override > CALL > CHARGE, DISCHARGE, HOLD
    > PLAN > self-consumption

as `vpp.commands` has it. Two things belong to the owner alone: his stop and his override end by
himself, not by the control room's `RESUME`. Of commands that hold together the newest is followed.
A newer plan replaces an older one from its own first half hour on.

What the control room said is followed only while it can be heard (`lost` is empty): a plan whose
maker has gone, or whose chain does not go on, is nobody's promise. A stop and a limit stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from energy.units import SLOT_SECONDS, slot_at
from vpp.commands import Action, Following, Instruction

COMMANDS = (Action.CHARGE, Action.DISCHARGE, Action.HOLD)


@dataclass(frozen=True, slots=True)
class Override:
    """What the owner said at the site: `power_w` out of the battery, until he ends it, or then."""

    power_w: int = 0
    ends_at: int | None = None

    def holds(self, now: float) -> bool:
        """Whether it is still to be followed."""
        return self.ends_at is None or now < self.ends_at


@dataclass(frozen=True, slots=True)
class Duty:
    """What is to be done now.

    Either one power, or the energy of this half hour (`plan_wh`), or neither: self-consumption.
    `call_w` comes on top of any of them, and `limit_w` bounds the sum.
    """

    following: Following
    power_w: int | None = None
    plan_wh: int | None = None
    call_w: int = 0
    call: str = ""
    limit_w: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """All that a site was told and that is not over."""

    sequence: int = 0
    """The highest that was taken."""
    stopped: bool = False
    """By the control room."""
    stopped_here: bool = False
    """By the owner."""
    override: Override | None = None
    told: Mapping[Action, Instruction] = field(default_factory=dict)
    """Calls, commands and limits."""
    plans: tuple[Instruction, ...] = ()

    def taking(self, instruction: Instruction) -> Standing:
        """Return what stands after an instruction."""
        taken = replace(self, sequence=max(self.sequence, instruction.sequence))
        match instruction.action:
            case Action.STOP:
                return replace(taken, stopped=True)
            case Action.RESUME:
                return replace(taken, stopped=False, told={})
            case Action.PLAN:
                earlier = (_until(plan, instruction.starts_at) for plan in self.plans)
                kept = tuple(plan for plan in earlier if plan is not None)
                return replace(taken, plans=(*kept, instruction))
        return replace(taken, told={**self.told, instruction.action: instruction})

    def at(self, now: float) -> Standing:
        """Return what is not over; itself, if nothing is."""
        told = {action: each for action, each in self.told.items() if now < each.ends_at}
        # A plan is kept a half hour longer, to be held against what its last one brought.
        plans = tuple(plan for plan in self.plans if now < plan.ends_at + SLOT_SECONDS)
        override = self.override if self.override and self.override.holds(now) else None
        if (told, plans, override) == (self.told, self.plans, self.override):
            return self
        return replace(self, told=told, plans=plans, override=override)

    def planned_wh(self, slot: int) -> int | None:
        """Return what the plan has for a half hour; None without one."""
        return planned_in(self.plans, slot)

    def duty(self, now: float, lost: Sequence[str] = (), filed: Sequence[Instruction] = ()) -> Duty:
        """Return what is followed now; `filed` are plans from a file, for want of others."""
        if self.stopped or self.stopped_here:
            return Duty(Following.STOP, 0)
        if self.override is not None and self.override.holds(now):
            return Duty(Following.OVERRIDE, self.override.power_w)
        limit = self._holding(now, Action.LIMIT)
        limit_w = limit.power_w if limit else None
        if lost:
            return Duty(Following.SELF, limit_w=limit_w)
        duty = replace(self._duty_without_call(now, filed), limit_w=limit_w)
        if call := self._holding(now, Action.CALL):
            duty = replace(duty, following=Following.CALL, call_w=call.power_w, call=call.call)
        return duty

    def _duty_without_call(self, now: float, filed: Sequence[Instruction]) -> Duty:
        commands = [each for action in COMMANDS if (each := self._holding(now, action))]
        if commands:
            newest = max(commands, key=lambda command: command.sequence)
            sign = {Action.CHARGE: -1, Action.DISCHARGE: 1}.get(newest.action, 0)
            return Duty(Following.COMMAND, sign * newest.power_w)
        slot = slot_at(int(now))
        for plans in (self.plans, filed):
            planned = planned_in(plans, slot)
            if planned is not None:
                return Duty(Following.PLAN, plan_wh=planned)
        return Duty(Following.SELF)

    def _holding(self, now: float, action: Action) -> Instruction | None:
        told = self.told.get(action)
        return told if told is not None and told.starts_at <= now < told.ends_at else None


def planned_in(plans: Sequence[Instruction], slot: int) -> int | None:
    """Return what the newest of some plans has for a half hour; None without one."""
    start = slot * SLOT_SECONDS
    for plan in reversed(plans):
        number = (start - plan.starts_at) // SLOT_SECONDS
        if 0 <= number < len(plan.plan_wh) and start < plan.ends_at:
            return plan.plan_wh[number]
    return None


def _until(plan: Instruction, moment: int) -> Instruction | None:
    """Return what of a plan lies before a moment; None if nothing does."""
    if plan.ends_at <= moment:
        return plan
    number = (moment - plan.starts_at) // SLOT_SECONDS
    if number <= 0:
        return None
    return replace(plan, ends_at=moment, plan_wh=plan.plan_wh[:number])

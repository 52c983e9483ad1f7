"""Calls as a duty of the control room of `vpp.room`: its sites, and the plans that they took.

keep_room(folder, duties=[calls_duty(settings)])
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine, select

from chain.database import reading
from energy.units import SLOT_SECONDS
from vpp.calls.desk import Wanted, nothing_wanted
from vpp.calls.service import answering
from vpp.calls.settings import SETTINGS_FILE, CallSettings, load_call_settings
from vpp.commands import Action, Answer, Instruction, Report
from vpp.room.store import Outcome
from vpp.room.tables import INSTRUCTIONS

BY = "calls"
"""Who the audit trail says has sent what the desk sends."""
PLANS_SECONDS = 15
"""How old what is known of the sites' plans may be."""


class _Stands(Protocol):
    @property
    def report(self) -> Report | None: ...


class _Told(Protocol):
    @property
    def answer(self) -> Answer | None: ...


class Linked(Protocol):
    """The room of `vpp.room`, as far as calls need it."""

    engine: Engine
    clock: Callable[[], float]

    def alive(self) -> Sequence[_Stands]:
        """Return the sites that are linked and report."""
        ...

    async def send(self, instructions: Iterable[Instruction], by: str, why: str) -> Sequence[_Told]:
        """Sign and send instructions, and wait until each is answered or has expired."""
        ...


Duty = Callable[[Linked], Coroutine[Any, Any, None]]


class LinkedRoom:
    """What the desk for calls needs of a room."""

    def __init__(self, room: Linked) -> None:
        self._room = room
        self._plans: dict[tuple[int, int], int] = {}
        self._read_at = 0.0

    async def send(self, instructions: Sequence[Instruction]) -> list[Answer]:
        """Give instructions to sites; return the answers of those that answered in time."""
        names = ", ".join(sorted({each.call for each in instructions}))
        told = await self._room.send(instructions, BY, f"call {names}")
        return [each.answer for each in told if each.answer is not None]

    def states(self) -> list[Report]:
        """Return the last report of each site that is linked."""
        return [each.report for each in self._room.alive() if each.report is not None]

    def planned(self, site: int, slot: int) -> int | None:
        """Return what leaves a site's battery by the plan that it took, Wh; None if by none."""
        now = self._room.clock()
        if now - self._read_at >= PLANS_SECONDS:
            self._plans, self._read_at = planned_in(self._room.engine, int(now)), now
        return self._plans.get((site, slot))


def planned_in(engine: Engine, now: int) -> dict[tuple[int, int], int]:
    """Return what leaves batteries by the plans that sites took, Wh by (site, slot): of the slots
    that are not over, by the newest plan of each."""
    query = (
        select(INSTRUCTIONS.c.site, INSTRUCTIONS.c.starts_at, INSTRUCTIONS.c.plan_wh)
        .where(
            INSTRUCTIONS.c.action == Action.PLAN.value,
            INSTRUCTIONS.c.state == Outcome.TAKEN.value,
            INSTRUCTIONS.c.ends_at > now,
        )
        .order_by(INSTRUCTIONS.c.sequence)
    )
    found: dict[tuple[int, int], int] = {}
    with reading(engine) as connection:
        for site, starts_at, plan_wh in connection.execute(query):
            first = starts_at // SLOT_SECONDS
            values = json.loads(plan_wh)
            # A newer plan replaces an older one from its beginning on.
            for key in [each for each in found if each[0] == site and each[1] >= first]:
                del found[key]
            found |= {(site, first + number): wh for number, wh in enumerate(values)}
    return found


def calls_duty(settings: CallSettings, wanted: Wanted = nothing_wanted) -> Duty:
    """Return the duty of a room to take calls."""

    async def duty(room: Linked) -> None:
        linked = LinkedRoom(room)
        await answering(settings, linked, linked.planned, wanted=wanted)

    return duty


def duties_in(folder: Path) -> list[Duty]:
    """Return the duty to take calls if a control room's folder has settings for it.

    Raises:
        SettingError: if they make no sense.
    """
    path = folder / SETTINGS_FILE
    return [calls_duty(load_call_settings(path))] if path.exists() else []

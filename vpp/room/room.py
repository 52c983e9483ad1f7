"""The control room: live states from the link, and instructions sent until they are answered.

    async with Room(place, engine, place.key()).at_work(within=10) as room:
        told = [room.instruction(7, Action.HOLD, lasts=1800)]
        for each in await room.send(told, by="tanaka", why="test"):
            print(each.instruction.site, each.outcome, each.answer)

What was sent and not answered stays open in the store; a room that keeps watch (`yui vpp room`)
sends it again until it is answered or has expired, also after it was killed.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from sqlalchemy import Engine

from energy.errors import LinkError, StoreError
from vpp.commands import Action, Answer, Instruction, Report
from vpp.link.client import ended
from vpp.link.folders import RoomPlace
from vpp.link.room import RoomLink
from vpp.room.hearing import Hearing
from vpp.room.keeper import keeping
from vpp.room.sending import Progress, Sending, Told
from vpp.room.store import LOST_SECONDS, Registered, Standing, State, records
from vpp.room.watch import Watch

VALID_SECONDS = 60
"""How long an instruction is taken if nothing else is said."""
STOP_VALID_SECONDS = 86_400
"""A stop is meant for a site that comes back tomorrow, too; a later resume supersedes it."""
SETTLED_SECONDS = 0.3

__all__ = ["Room", "Told"]


class Room:
    """The control room of a fleet. `clock` gives unix seconds.

    One at a time keeps `watch`: it writes what it hears of the sites to the store and looks after
    open instructions. Others, beside it or without it, send and are answered.
    """

    def __init__(
        self,
        place: RoomPlace,
        engine: Engine,
        key: bytes,
        watch: bool = False,
        clock: Callable[[], float] = time.time,
        lost_seconds: float = LOST_SECONDS,
    ) -> None:
        self.place = place
        self.engine = engine
        self.clock = clock
        self.lost_seconds = lost_seconds
        session = "room" if watch else f"room-{os.getpid()}-{secrets.token_hex(4)}"
        self.link = RoomLink(place, self, session, keeps_session=watch, clock=clock)
        self._hearing = Hearing(engine, watch, clock)
        self._sending = Sending(place, engine, key, self.link, clock)
        self._watch = (
            Watch(engine, self._hearing, self._sending, lost_seconds, clock) if watch else None
        )

    @asynccontextmanager
    async def at_work(self, within: float | None = None) -> AsyncIterator[Room]:
        """Let the room work while the block runs; with `within`, wait for the broker first.

        Raises:
            LinkError: if the broker is not reached within so many seconds.
        """
        work = asyncio.create_task(self.run())
        try:
            if within is not None:
                await self._connected(work, within)
            yield self
        finally:
            await ended(work)
        if not work.cancelled():
            work.result()

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            SettingError: if the certificate's files are none.
        """
        with suppress(StoreError):
            await asyncio.to_thread(self._open)
        try:
            async with asyncio.TaskGroup() as duties:
                duties.create_task(self.link.run())
                duties.create_task(self._hearing.keep_on())
                duties.create_task(self._sending.send_again_on())
                if self._watch is not None:
                    duties.create_task(self._watch.keep_on())
        finally:
            with suppress(StoreError):
                self._hearing.keep()

    def states(self) -> list[State]:
        """Return how each site stands now, by number."""
        return self._hearing.states()

    def alive(self, max_age: float | None = None) -> list[State]:
        """Return the sites to plan with: linked, with a report of at most `max_age` seconds."""
        now, most = self.clock(), self.lost_seconds if max_age is None else max_age
        return [each for each in self.states() if each.standing(now, most) is Standing.ALIVE]

    async def settled(self, most: float = 3.0) -> None:
        """Wait until the broker has said what it kept of the sites: until nothing new comes."""
        before = -1
        with suppress(TimeoutError):
            async with asyncio.timeout(most):
                while (heard := sum(each.linked for each in self.states())) != before:
                    before = heard
                    await asyncio.sleep(SETTLED_SECONDS)

    def instruction(
        self,
        site: int,
        action: Action,
        lasts: int = 1800,
        starts_at: int | None = None,
        valid: int | None = None,
        power_w: int = 0,
        plan_wh: tuple[int, ...] = (),
        call: str = "",
    ) -> Instruction:
        """Return an instruction with a sequence of its own, from now on unless said otherwise.

        `lasts` and `valid` are seconds: how long it holds, and how long it is taken.

        Raises:
            SettingError: if it makes no sense.
        """
        now = int(self.clock())
        start = now if starts_at is None else starts_at
        if valid is None:
            valid = STOP_VALID_SECONDS if action is Action.STOP else VALID_SECONDS
        return Instruction(
            site=site,
            sequence=self._sending.next_sequence(),
            action=action,
            starts_at=start,
            ends_at=start + lasts,
            expires_at=now + valid,
            power_w=power_w,
            plan_wh=plan_wh,
            call=call,
        )

    async def send(
        self,
        instructions: Iterable[Instruction],
        by: str,
        why: str,
        progress: Progress | None = None,
        until_changed: bool = False,
        patience: float | None = None,
    ) -> list[Told]:
        """Sign and send instructions, and wait for each one's answer; give what came of each.

        `until_changed` waits until the power of each that was taken has first changed, too.
        Waiting ends with an instruction's expiry, or after `patience` seconds; what has no answer
        then stays open and is sent again by the room that keeps watch. `progress` is told of each
        answer. A stop that comes after a later instruction is signed and sent anew.

        Raises:
            StoreError: if the store does not take them; stops go out all the same.
        """
        return await self._sending.send(instructions, by, why, progress, until_changed, patience)

    def on_connected(self) -> None:
        """Take in that the broker is there, for the first time or again."""
        self._sending.back()

    def on_report(self, report: Report, live: bool) -> None:
        """Take in a report."""
        self._hearing.report(report, live)

    def on_answer(self, answer: Answer, of: str) -> None:
        """Take in an answer."""
        self._hearing.answer(answer, of)
        self._sending.hear(answer, of)

    def on_link(self, site: int, up: bool) -> None:
        """Take in that a site has connected or gone."""
        self._hearing.link(site, up)
        if up:
            self._sending.back(site)

    def on_stray(self, topic: str, reason: str) -> None:
        """Take in a message that makes no sense."""
        self._hearing.stray(topic, reason)

    def _open(self) -> None:
        register = [
            Registered(each.site, each.name, each.municipality, each.kind, each.name_ja)
            for each in self.place.fleet.sites
        ]
        with records(self.engine) as read:
            known = read.states()
        if self._watch is not None or {each.site for each in known} != {
            each.site for each in register
        }:
            with keeping(self.engine) as keep:
                keep.register(register)
                if self._watch is not None:
                    keep.note("room", {"began": os.getpid()}, int(self.clock()))
                known = keep.states()
        self._hearing.begin(known)

    async def _connected(self, work: asyncio.Task[None], within: float) -> None:
        waiting = asyncio.create_task(self.link.connected.wait())
        await asyncio.wait((waiting, work), timeout=within, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if work.done():
            # It ended by an error, which is raised here.
            await work
        if not self.link.connected.is_set():
            broker = self.place.broker
            raise LinkError(
                f"the fleet's broker must be reached at {broker.host}:{broker.port} within "
                f"{within:g} s, got no connection"
            )

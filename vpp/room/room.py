"""The control room: live states from the link, and instructions sent until they are answered.

    async with Room(place, engine, place.key()).at_work() as room:
        told = [room.instruction(7, Action.HOLD, lasts=1800)]
        for each in await room.send(told, by="tanaka", why="test"):
            print(each.instruction.site, each.outcome, each.answer)

What was sent and not answered stays open in the store; a room that keeps watch (`yui vpp room`)
sends it again until it is answered or has expired, also after it was killed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from sqlalchemy import Engine

from energy.errors import LinkError, StoreError
from energy.journal import said
from vpp.commands import Action, Answer, Instruction, Report
from vpp.link.folders import RoomPlace
from vpp.link.room import Outgoing, RoomLink
from vpp.link.signing import NO_TRAIL, Order
from vpp.link.site import SUPERSEDED
from vpp.link.wire import Envelope, envelope_from, enveloped
from vpp.room.keeper import keeping
from vpp.room.store import LOST_SECONDS, Outcome, Registered, Sent, Standing, State, records

VALID_SECONDS = 60
"""How long an instruction is taken if nothing else is said."""
STOP_VALID_SECONDS = 86_400
"""A stop is meant for a site that comes back tomorrow, too; a later resume supersedes it."""
RESEND_SECONDS = 3.0
FLUSH_SECONDS = 0.5
ADOPT_SECONDS = 2.0
THIN_SECONDS = 600.0
AT_ONCE = 200
"""Envelopes on their way to the broker at a time."""
MOST_WAITING = 200_000
"""Reports that wait for a store which takes none; then the oldest go."""
STOP_TRIES = 5

log = logging.getLogger("yui.room")


@dataclass(frozen=True, slots=True)
class Told:
    """What became of an instruction."""

    instruction: Instruction
    answer: Answer | None

    @property
    def outcome(self) -> Outcome:
        """Open: there was no answer as yet."""
        if self.answer is None:
            return Outcome.OPEN
        return Outcome.TAKEN if self.answer.taken else Outcome.REFUSED


@dataclass(slots=True)
class _Waiting:
    envelope: Envelope
    of: str
    answered: asyncio.Future[None]
    changed: asyncio.Future[None]
    sent_at: float = 0.0
    answer: Answer | None = None
    progress: Callable[[Told], None] | None = None

    @property
    def instruction(self) -> Instruction:
        return self.envelope.order.instruction

    @property
    def told(self) -> Told:
        return Told(self.instruction, self.answer)


@dataclass(slots=True)
class _Heard:
    """What has come since it was last written to the store."""

    reports: list[tuple[Report, float, bool]] = field(default_factory=list)
    answers: list[tuple[Answer, str]] = field(default_factory=list)
    links: dict[int, bool] = field(default_factory=dict)
    strays: list[tuple[str, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.reports or self.answers or self.links or self.strays)


class Room:
    """The control room of a fleet. `clock` gives unix seconds.

    The one that keeps `watch` writes what it hears of the sites to the store and looks after
    open instructions; others, beside it or without it, send and are answered.
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
        self.watch = watch
        self.lost_seconds = lost_seconds
        self._key = key
        self._sequence = 0
        self._states: dict[int, State] = {}
        self._standings: dict[int, Standing] = {}
        self._waiting: dict[tuple[int, str], _Waiting] = {}
        self._heard = _Heard()
        name = "room" if watch else f"room-{os.getpid()}-{secrets.token_hex(4)}"
        self.link = RoomLink(place, self, name, keeps_session=watch, clock=clock)

    @asynccontextmanager
    async def at_work(self, within: float | None = None) -> AsyncIterator[Room]:
        """Let the room work while the block runs; with `within`, wait for the broker first.

        Raises:
            LinkError: if the broker is not reached within so many seconds.
        """
        async with asyncio.TaskGroup() as group:
            work = group.create_task(self.run())
            try:
                if within is not None:
                    await self.connected(within)
                yield self
            finally:
                work.cancel()

    async def connected(self, within: float) -> None:
        """Wait for the broker.

        Raises:
            LinkError: if it is not reached within so many seconds.
        """
        try:
            async with asyncio.timeout(within):
                await self.link.connected.wait()
        except TimeoutError:
            broker = self.place.broker
            raise LinkError(
                f"the fleet's broker must be reached at {broker.host}:{broker.port} within "
                f"{within:g} s, got no connection"
            ) from None

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
                duties.create_task(self._flush_on())
                duties.create_task(self._resend_on())
                if self.watch:
                    duties.create_task(self._look_after())
                    duties.create_task(self._sweep_on())
                    duties.create_task(self._thin_on())
        finally:
            with suppress(StoreError):
                self._flush()

    def states(self) -> list[State]:
        """Return how each site stands now, by number."""
        return [self._states[site] for site in sorted(self._states)]

    def alive(self, max_age: float | None = None) -> list[State]:
        """Return the sites that can be counted on: linked, with a report of `max_age` seconds."""
        now, most = self.clock(), self.lost_seconds if max_age is None else max_age
        return [each for each in self.states() if each.standing(now, most) is Standing.ALIVE]

    async def settled(self, quiet: float = 0.3, most: float = 3.0) -> None:
        """Wait until the broker has said what it kept of the sites: until it is quiet a while."""
        end = self.clock() + most
        while self.clock() < end:
            before = sum(state.heard_at is not None for state in self._states.values())
            await asyncio.sleep(quiet)
            after = sum(state.heard_at is not None for state in self._states.values())
            if after == before and (after or self.clock() > end - most / 2):
                return

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
        now = self.clock()
        start = int(now) if starts_at is None else starts_at
        if valid is None:
            valid = STOP_VALID_SECONDS if action is Action.STOP else VALID_SECONDS
        self._sequence = max(self._sequence + 1, int(now * 1e6))
        return Instruction(
            site,
            self._sequence,
            action,
            start,
            start + lasts,
            int(now) + valid,
            power_w,
            plan_wh,
            call,
        )

    async def send(
        self,
        instructions: Iterable[Instruction],
        by: str,
        why: str,
        progress: Callable[[Told], None] | None = None,
        until_changed: bool = False,
        patience: float | None = None,
    ) -> list[Told]:
        """Sign and send instructions, and wait for each one's answer; give what came of each.

        `until_changed` waits until the power of each that was taken has first changed, too.
        Waiting ends with an instruction's expiry, or after `patience` seconds; what has no answer
        then stays open and is sent again by the room that keeps watch. `progress` is told of each
        answer. A stop that came after a later instruction is signed and sent anew.

        Raises:
            StoreError: if the store does not take them; a stop goes out all the same.
        """
        told = list(instructions)
        waiting = await self._sent(told, by, why, progress)
        await self._wait(waiting, until_changed, patience)
        for _ in range(STOP_TRIES):
            again = [
                at
                for at, each in enumerate(waiting)
                if each.instruction.action is Action.STOP
                and each.answer is not None
                and each.answer.refused == SUPERSEDED
            ]
            if not again:
                break
            fresh = [
                replace(waiting[at].instruction, sequence=self._next_sequence()) for at in again
            ]
            retried = await self._sent(fresh, by, why, progress)
            await self._wait(retried, until_changed, patience)
            for at, each in zip(again, retried, strict=True):
                waiting[at] = each
        return [each.told for each in waiting]

    def _next_sequence(self) -> int:
        self._sequence = max(self._sequence + 1, int(self.clock() * 1e6))
        return self._sequence

    async def _sent(
        self,
        instructions: Sequence[Instruction],
        by: str,
        why: str,
        progress: Callable[[Told], None] | None,
    ) -> list[_Waiting]:
        envelopes = await asyncio.to_thread(self._signed, instructions, by, why)
        loop = asyncio.get_running_loop()
        waiting = [
            _Waiting(
                envelope, envelope.of, loop.create_future(), loop.create_future(), progress=progress
            )
            for envelope in envelopes
        ]
        for each in waiting:
            self._waiting[each.instruction.site, each.of] = each
        await self._publish(waiting)
        return waiting

    async def _wait(
        self, waiting: Sequence[_Waiting], until_changed: bool, patience: float | None
    ) -> None:
        end = None if patience is None else self.clock() + patience
        wanted = [each.changed if until_changed else each.answered for each in waiting]
        if wanted:
            left = None if end is None else max(end - self.clock(), 0)
            await asyncio.wait(wanted, timeout=left)

    def _signed(self, instructions: Sequence[Instruction], by: str, why: str) -> list[Envelope]:
        """Keep instructions in store and trail, then sign them: in a thread of its own."""
        now = self.clock()
        try:
            with keeping(self.engine) as keep:
                entry = keep.note("sent", _said(instructions, by, why), int(now))
                envelopes = self._enveloped(instructions, by, why, bytes.fromhex(entry.hash))
                keep.sent([_sent(each, now, entry.number) for each in envelopes])
            return envelopes
        except StoreError as error:
            if any(each.action is not Action.STOP for each in instructions):
                raise
            log.error(said("store.failed", reason=error, sent="all the same"))
            return self._enveloped(instructions, by, why, NO_TRAIL)

    def _enveloped(
        self, instructions: Sequence[Instruction], by: str, why: str, trail: bytes
    ) -> list[Envelope]:
        orders = [Order(each, by, why, trail) for each in instructions]
        return [enveloped(order, order.signed(self.place.salt, self._key)) for order in orders]

    async def _publish(self, waiting: Sequence[_Waiting]) -> None:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(each: _Waiting) -> None:
            async with places:
                told = each.instruction
                out = Outgoing(told.site, each.envelope.payload, told.expires_at)
                if await self.link.send(out):
                    each.sent_at = self.clock()

        await asyncio.gather(*(one(each) for each in waiting))

    async def _resend_on(self) -> None:
        while True:
            await asyncio.sleep(RESEND_SECONDS / 4)
            now = self.clock()
            for key, each in list(self._waiting.items()):
                if each.instruction.expires_at < now and not each.answered.done():
                    each.answered.set_result(None)
                    if not each.changed.done():
                        each.changed.set_result(None)
                if each.instruction.ends_at + RESEND_SECONDS < now or each.changed.done():
                    self._waiting.pop(key, None)
            late = [
                each
                for each in self._waiting.values()
                if not each.answered.done() and each.sent_at + RESEND_SECONDS <= now
            ]
            if late and self.link.connected.is_set():
                await self._publish(late)

    def on_report(self, report: Report, live: bool) -> None:
        """Take in a report."""
        now = self.clock()
        before = self._states.get(report.site)
        if not live and before and before.report and before.report.at > report.at:
            return
        names = before or State(report.site, report.name, report.municipality, report.kind)
        linked = live or (before is not None and before.linked)
        self._states[report.site] = replace(names, report=report, heard_at=now, linked=linked)
        if self.watch:
            self._heard.reports.append((report, now, live))

    def on_answer(self, answer: Answer, of: str) -> None:
        """Take in an answer."""
        self._heard.answers.append((answer, of))
        each = self._waiting.get((answer.site, of))
        if each is None or answer.sequence != each.instruction.sequence:
            return
        if each.answer is not None and each.answer.changed_at is not None:
            return
        first = each.answer is None
        each.answer = answer
        if not each.answered.done():
            each.answered.set_result(None)
        if (answer.changed_at is not None or not answer.taken) and not each.changed.done():
            each.changed.set_result(None)
        if each.progress is not None and (first or answer.changed_at is not None):
            each.progress(each.told)

    def on_link(self, site: int, up: bool) -> None:
        """Take in that a site has connected or gone."""
        before = self._states.get(site)
        if before is not None:
            self._states[site] = replace(before, linked=up)
        if self.watch:
            self._heard.links[site] = up

    def on_stray(self, topic: str, reason: str) -> None:
        """Take in a message that makes no sense."""
        log.warning(said("message.stray", topic=topic, reason=reason))
        if self.watch:
            self._heard.strays.append((topic, reason))

    def _open(self) -> None:
        register = [
            Registered(each.site, each.name, each.municipality, each.kind, each.name_ja)
            for each in self.place.fleet.sites
        ]
        with records(self.engine) as read:
            known = read.states()
        if [each.site for each in known] != [each.site for each in register] or self.watch:
            with keeping(self.engine) as keep:
                keep.register(register)
                if self.watch:
                    keep.note("room", {"began": True}, int(self.clock()))
                known = keep.states()
        for state in known:
            # Whether it is linked the broker says.
            self._states.setdefault(state.site, replace(state, linked=False))

    async def _flush_on(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self._heard:
                try:
                    await asyncio.to_thread(self._flush)
                except StoreError as error:
                    log.error(said("store.failed", reason=error))

    def _flush(self) -> None:
        heard, self._heard = self._heard, _Heard()
        if not heard:
            return
        now = int(self.clock())
        try:
            with keeping(self.engine) as keep:
                if heard.reports:
                    keep.reported(heard.reports)
                if heard.links:
                    keep.linked(heard.links)
                if heard.answers:
                    keep.answered(heard.answers, now)
                for topic, reason in heard.strays[:20]:
                    keep.note("stray", {"topic": topic[:200], "reason": reason[:300]}, now)
        except StoreError:
            newer, self._heard = self._heard, heard
            self._heard.reports = (heard.reports + newer.reports)[-MOST_WAITING:]
            self._heard.answers += newer.answers
            self._heard.links |= newer.links
            raise

    async def _look_after(self) -> None:
        """Send what is open in the store, whoever sent it first, and close what has expired."""
        while True:
            try:
                for sent in await asyncio.to_thread(self._open_in_store):
                    self._adopt(sent)
            except StoreError as error:
                log.error(said("store.failed", reason=error))
            await asyncio.sleep(ADOPT_SECONDS)

    def _open_in_store(self) -> list[Sent]:
        now = int(self.clock())
        with records(self.engine) as read:
            found = read.instructions(outcome=Outcome.OPEN)
        if any(each.instruction.expires_at < now for each in found):
            with keeping(self.engine) as keep:
                for each in keep.expire(now):
                    told = each.instruction
                    log.warning(said("instruction.expired", site=told.site, sequence=told.sequence))
        return found

    def _adopt(self, sent: Sent) -> None:
        told, now = sent.instruction, self.clock()
        key = (told.site, sent.of)
        if key in self._waiting or told.expires_at < now or sent.made_at + RESEND_SECONDS > now:
            return
        loop = asyncio.get_running_loop()
        self._waiting[key] = _Waiting(
            envelope_from(sent.envelope), sent.of, loop.create_future(), loop.create_future()
        )
        log.info(said("instruction.resumed", site=told.site, sequence=told.sequence))

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(1)
            now = self.clock()
            standings = {
                state.site: state.standing(now, self.lost_seconds)
                for state in self._states.values()
            }
            for kind, standing in (("lost", Standing.LOST), ("back", Standing.ALIVE)):
                sites = [
                    site
                    for site, found in standings.items()
                    if found is standing
                    and self._standings.get(site, Standing.ALIVE if kind == "lost" else found)
                    is not standing
                ]
                if not sites:
                    continue
                log.warning(said(f"sites.{kind}", sites=",".join(map(str, sites))))
                try:
                    await asyncio.to_thread(self._note, kind, {"sites": sites})
                except StoreError as error:
                    log.error(said("store.failed", reason=error))
            self._standings = standings

    async def _thin_on(self) -> None:
        while True:
            with suppress(StoreError):
                await asyncio.to_thread(self._thin)
            await asyncio.sleep(THIN_SECONDS)

    def _thin(self) -> None:
        with keeping(self.engine) as keep:
            keep.thin(int(self.clock()))

    def _note(self, kind: str, content: object) -> None:
        with keeping(self.engine) as keep:
            keep.note(kind, content, int(self.clock()))


def _said(instructions: Sequence[Instruction], by: str, why: str) -> dict[str, object]:
    return {
        "by": by,
        "why": why,
        "instructions": [
            {
                "site": each.site,
                "sequence": each.sequence,
                "action": each.action.value,
                "starts_at": each.starts_at,
                "ends_at": each.ends_at,
                "expires_at": each.expires_at,
                "power_w": each.power_w,
                **({"plan_wh": each.plan_wh} if each.plan_wh else {}),
                **({"call": each.call} if each.call else {}),
            }
            for each in instructions
        ],
    }


def _sent(envelope: Envelope, now: float, trail: int) -> Sent:
    order = envelope.order
    return Sent(
        order.instruction,
        order.by,
        order.why,
        now,
        Outcome.OPEN,
        None,
        trail,
        envelope.payload,
        envelope.of,
    )

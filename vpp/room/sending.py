"""Instructions on their way: signed, kept, sent, and sent again until answered or expired."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Engine

from daemon.journal import said
from energy.errors import StoreError
from vpp.commands import Action, Answer, Instruction
from vpp.link.folders import RoomPlace
from vpp.link.room import Outgoing, RoomLink
from vpp.link.signing import NO_TRAIL, Order
from vpp.link.site import SUPERSEDED
from vpp.link.wire import Envelope, envelope_from, enveloped
from vpp.room.keeper import keeping
from vpp.room.store import Outcome, Sent

RESEND_SECONDS, MOST_RESEND_SECONDS = 30.0, 120.0
"""How long an answer is waited for until it is sent again though nothing has broken, at first and
at most; in between twice as long each time. Once the broker has an instruction it gets there
unless something breaks: then, when site or broker are back, it is sent again at once."""
ADOPT_SECONDS = 3.0
"""How old an instruction must be for another than its sender to look after it."""
LOOK_SECONDS = 1.0
AT_ONCE = 200
"""Envelopes on their way to the broker at a time."""
STOP_TRIES = 5
_LASTING = (Action.STOP, Action.RESUME)
"""Also a site that the broker has no session of hears the last of these when it connects."""

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


Progress = Callable[[Told], None]


@dataclass(slots=True)
class _Waiting:
    envelope: Envelope
    answered: asyncio.Future[None]
    changed: asyncio.Future[None]
    progress: Progress | None = None
    sent_at: float = 0.0
    patience: float = RESEND_SECONDS
    answer: Answer | None = None

    @property
    def instruction(self) -> Instruction:
        return self.envelope.order.instruction

    @property
    def told(self) -> Told:
        return Told(self.instruction, self.answer)

    def hear(self, answer: Answer) -> None:
        """Take in an answer; what was known already changes nothing."""
        known = self.answer
        if known is not None and (known.changed_at is not None or answer.changed_at is None):
            return
        self.answer = answer
        _done(self.answered)
        if answer.changed_at is not None or not answer.taken:
            _done(self.changed)
        if self.progress is not None:
            self.progress(self.told)

    def end(self) -> None:
        """Nothing more will come."""
        _done(self.answered)
        _done(self.changed)


class Sending:
    """What a room has sent and waits for. `clock` gives unix seconds."""

    def __init__(
        self,
        place: RoomPlace,
        engine: Engine,
        key: bytes,
        link: RoomLink,
        clock: Callable[[], float],
    ) -> None:
        self._place, self._engine, self._key = place, engine, key
        self._link, self._clock = link, clock
        self._sequence = 0
        self._waiting: dict[tuple[int, str], _Waiting] = {}

    def next_sequence(self) -> int:
        """Return a sequence that was not used before: the time in microseconds."""
        self._sequence = max(self._sequence + 1, int(self._clock() * 1e6))
        return self._sequence

    async def send(
        self,
        instructions: Iterable[Instruction],
        by: str,
        why: str,
        progress: Progress | None = None,
        until_changed: bool = False,
        patience: float | None = None,
    ) -> list[Told]:
        """See `Room.send`."""
        waiting = await self._sent(list(instructions), by, why, progress)
        await self._wait(waiting, until_changed, patience)
        for _ in range(STOP_TRIES):
            late = [at for at, each in enumerate(waiting) if _is_late_stop(each)]
            if not late:
                break
            fresh = [replace(waiting[at].instruction, sequence=self.next_sequence()) for at in late]
            retried = await self._sent(fresh, by, why, progress)
            await self._wait(retried, until_changed, patience)
            for at, each in zip(late, retried, strict=True):
                waiting[at] = each
        return [each.told for each in waiting]

    def hear(self, answer: Answer, of: str) -> None:
        """Take in an answer to an envelope."""
        each = self._waiting.get((answer.site, of))
        if each is not None and answer.sequence == each.instruction.sequence:
            each.hear(answer)

    def back(self, site: int | None = None) -> None:
        """Send again soon what is meant for a site that has come back, or for all of them."""
        for each in self._waiting.values():
            if site in (None, each.instruction.site):
                each.sent_at = 0.0

    def adopt(self, sent: Sent) -> bool:
        """Look after an instruction that was sent before, or by another; return if it is new."""
        told, now = sent.instruction, self._clock()
        key = (told.site, sent.of)
        if key in self._waiting or told.expires_at < now or sent.made_at + ADOPT_SECONDS > now:
            return False
        self._waiting[key] = _waiting(envelope_from(sent.envelope), None)
        return True

    async def send_again_on(self) -> None:
        """Send again what nobody has answered, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = self._clock()
            for key, each in list(self._waiting.items()):
                told = each.instruction
                if told.expires_at < now and each.answer is None:
                    each.end()
                if each.changed.done() or max(told.ends_at, told.expires_at) < now:
                    each.end()
                    del self._waiting[key]
            late = [
                each
                for each in self._waiting.values()
                if each.answer is None and each.sent_at + each.patience <= now
            ]
            if late and self._link.connected.is_set():
                for each in late:
                    if each.sent_at:
                        # Nothing was heard to break.
                        each.patience = min(2 * each.patience, MOST_RESEND_SECONDS)
                await self._publish(late)

    async def _sent(
        self, instructions: Sequence[Instruction], by: str, why: str, progress: Progress | None
    ) -> list[_Waiting]:
        envelopes = await asyncio.to_thread(self._signed, instructions, by, why)
        waiting = [_waiting(envelope, progress) for envelope in envelopes]
        for each in waiting:
            self._waiting[each.instruction.site, each.envelope.of] = each
        await self._publish(waiting)
        return waiting

    async def _wait(
        self, waiting: Sequence[_Waiting], until_changed: bool, patience: float | None
    ) -> None:
        wanted = [each.changed if until_changed else each.answered for each in waiting]
        if wanted:
            await asyncio.wait(wanted, timeout=patience)

    def _signed(self, instructions: Sequence[Instruction], by: str, why: str) -> list[Envelope]:
        """Keep instructions in trail and store, signed: in a thread of its own."""
        now = self._clock()
        try:
            with keeping(self._engine) as keep:
                entry = keep.note("sent", _said(instructions, by, why), int(now))
                envelopes = self._enveloped(instructions, by, why, bytes.fromhex(entry.hash))
                keep.sent([_kept(each, now, entry.number) for each in envelopes])
            return envelopes
        except StoreError as error:
            if any(each.action is not Action.STOP for each in instructions):
                raise
            log.error(said("store.failed", reason=error, stops="sent all the same"))
            return self._enveloped(instructions, by, why, NO_TRAIL)

    def _enveloped(
        self, instructions: Sequence[Instruction], by: str, why: str, trail: bytes
    ) -> list[Envelope]:
        orders = [Order(each, by, why, trail) for each in instructions]
        return [enveloped(order, order.signed(self._place.salt, self._key)) for order in orders]

    async def _publish(self, waiting: Sequence[_Waiting]) -> None:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(each: _Waiting) -> None:
            async with places:
                told = each.instruction
                out = Outgoing(
                    told.site, each.envelope.payload, told.expires_at, told.action in _LASTING
                )
                if await self._link.send(out):
                    each.sent_at = self._clock()

        await asyncio.gather(*map(one, waiting))


def _waiting(envelope: Envelope, progress: Progress | None) -> _Waiting:
    loop = asyncio.get_running_loop()
    return _Waiting(envelope, loop.create_future(), loop.create_future(), progress)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _is_late_stop(each: _Waiting) -> bool:
    refused = each.answer is not None and each.answer.refused == SUPERSEDED
    return refused and each.instruction.action is Action.STOP


def _said(instructions: Sequence[Instruction], by: str, why: str) -> dict[str, object]:
    return {"by": by, "why": why, "instructions": [_shown(each) for each in instructions]}


def _shown(told: Instruction) -> dict[str, object]:
    shown: dict[str, object] = {
        "site": told.site,
        "sequence": told.sequence,
        "action": told.action.value,
        "starts_at": told.starts_at,
        "ends_at": told.ends_at,
        "expires_at": told.expires_at,
        "power_w": told.power_w,
    }
    if told.plan_wh:
        shown["plan_wh"] = told.plan_wh
    if told.call:
        shown["call"] = told.call
    return shown


def _kept(envelope: Envelope, now: float, trail: int) -> Sent:
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

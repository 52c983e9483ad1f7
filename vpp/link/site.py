"""The site's end of the link: it opens the connection, checks what comes, answers and reports.

    broker ──► checks: signer, site, seen before?, expiry, sequence ──► ledger ──► Steered.give
                 │ no: refused, kept, logged                                          │
                 ▼                                                                    ▼
               answer ◄──────────────────────────────── first power change seen ◄── answer

Nothing listens at a site. What an instruction says is done once, however often it comes: a
second time it gets the answer of the first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from aiomqtt import Client, MqttError, Will
from paho.mqtt.packettypes import PacketTypes

from daemon.journal import said
from energy.errors import LinkError, StoreError
from vpp.commands import Action, Answer, Instruction, Report, Steered
from vpp.link.client import client_of, ended, heeded, kept_connected, properties, together
from vpp.link.folders import SitePlace
from vpp.link.ledger import Ledger
from vpp.link.wire import (
    Envelope,
    answer_text,
    envelope_from,
    link_text,
    name_of,
    report_text,
    topic,
)

REPORT_SECONDS = 5.0
NEWS_SECONDS = 0.5
SESSION_SECONDS = 86_400
"""How long the broker keeps instructions for a site that is away; each has its own expiry too."""
WILL_SECONDS = 5
"""How long a site may be away before the broker says so."""
CLOCK_SECONDS = 600
"""How far ahead of the site's clock a sequence may be: a room whose clock was once wrong by years
must not lock out all that comes after."""
CHANGE_SECONDS = 120.0
"""How long a power change is looked for."""
LOOK_SECONDS = 0.2
ALARM_SECONDS = 600.0

WRONG_SIGNER = "signer: not the control room's key for this fleet"
WRONG_SITE = "site: the instruction is another site's"
EXPIRED = "expired"
SUPERSEDED = "sequence: a later instruction was taken up before"
WRONG_CLOCK = "clock: the sequence is ahead of the site's clock"
UNKEPT = "ledger: the site's disk takes nothing"

log = logging.getLogger("yui.link.site")


class SiteLink:
    """Carries instructions to what is steered, and its answers and reports back.

    `clock` gives unix seconds. Run it in a task; cancelled, it says goodbye.
    """

    def __init__(
        self,
        place: SitePlace,
        steered: Steered,
        ledger: Ledger,
        report_seconds: float = REPORT_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.place = place
        self.steered = steered
        self.ledger = ledger
        self.clock = clock
        self._report_seconds = report_seconds
        self._client: Client | None = None
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._watches: dict[int, asyncio.Task[None]] = {}
        self._alarms: dict[str, float] = {}

    @property
    def connected(self) -> bool:
        """Whether the broker is reached."""
        return self._client is not None

    async def run(self) -> None:
        """Keep the link until cancelled.

        What held when the site went down is given again first, from the ledger.

        Raises:
            SettingError: if the certificate's files are none.
            StoreError: if the ledger cannot be read.
        """
        await self._restore()
        try:
            await kept_connected(self._made, self._used, self.place.user, self._lost)
        finally:
            await ended(*self._watches.values())

    def _made(self) -> Client:
        gone = Will(
            self._topic("link"),
            link_text(up=False),
            qos=1,
            retain=True,
            properties=properties(PacketTypes.WILLMESSAGE, WillDelayInterval=WILL_SECONDS),
        )
        return client_of(self.place.broker, self.place.user, SESSION_SECONDS, gone)

    async def _used(self, client: Client) -> None:
        await heeded(client.subscribe(self._topic("instruction"), qos=1))
        self._client = client
        await heeded(self._say("link", link_text(up=True, at=int(self.clock())), retain=True))
        try:
            await together(self._report_on(), self._listen(client))
        except asyncio.CancelledError:
            with suppress(MqttError, TimeoutError):
                async with asyncio.timeout(2):
                    await self._say("link", link_text(up=False, at=int(self.clock())), retain=True)
            raise

    def _lost(self) -> None:
        self._client = None

    async def _listen(self, client: Client) -> None:
        async with asyncio.TaskGroup() as turns:
            async for message in client.messages:
                payload = message.payload if isinstance(message.payload, bytes) else b""
                turns.create_task(self.hear(payload))

    async def hear(self, payload: bytes) -> None:
        """Take in a message to the site, whoever it is from."""
        now = self.clock()
        try:
            envelope = envelope_from(payload)
        except LinkError as error:
            self._refused("garbled", str(error), payload, now)
            return
        # A stop waits for nothing that is still being done; what was told before it and is done
        # after it is refused by its sequence.
        if envelope.order.instruction.action is Action.STOP:
            await self._heard(envelope)
        else:
            async with self._turn:
                await self._heard(envelope)

    async def _heard(self, envelope: Envelope) -> None:
        answer = await self._answer_to(envelope, self.clock())
        await self._tell(answer, envelope.of)
        self._news.set()

    async def _answer_to(self, envelope: Envelope, now: float) -> Answer:
        told = envelope.order.instruction
        refused = self._why_not(envelope, now)
        kept = None if refused else self.ledger.found(envelope)
        if kept is not None and kept.answer is not None:
            return kept.answer
        if not refused and kept is None:
            refused = self._too_late(told, now)
        if refused:
            detail = f"{told.action.value} by {envelope.order.by}"
            self._refused(refused, detail, envelope.payload.encode(), now)
            return Answer(told.site, told.sequence, int(now), refused)
        if kept is None:
            try:
                self.ledger.take_up(envelope, now)
            except StoreError as error:
                log.error(said("ledger.failed", reason=error))
                # A stop is safe to do twice; anything else could be replayed.
                if told.action is not Action.STOP:
                    return Answer(told.site, told.sequence, int(now), UNKEPT)
        return await self._give(envelope)

    def _why_not(self, envelope: Envelope, now: float) -> str:
        told = envelope.order.instruction
        if envelope.order.signer(self.place.salt, envelope.signature) not in self.place.signers:
            return WRONG_SIGNER
        if told.site != self.place.site:
            return WRONG_SITE
        if told.sequence > (now + CLOCK_SECONDS) * 1e6:
            return WRONG_CLOCK
        return ""

    def _too_late(self, told: Instruction, now: float) -> str:
        if told.expires_at < now:
            return f"{EXPIRED} at {told.expires_at}"
        if told.sequence <= self.ledger.last:
            return SUPERSEDED
        return ""

    async def _give(self, envelope: Envelope) -> Answer:
        order, told = envelope.order, envelope.order.instruction
        try:
            answer = await self.steered.give(told)
        except Exception as error:
            # Whatever it is, the room must hear of it, and the next stop must find a link.
            log.exception(said("instruction.failed", sequence=told.sequence))
            answer = Answer(told.site, told.sequence, int(self.clock()), f"failed: {error}"[:400])
        with suppress(StoreError):
            self.ledger.answer(answer)
        log.info(
            said(
                "instruction.taken" if answer.taken else "instruction.refused",
                sequence=told.sequence,
                action=told.action.value,
                power_w=told.power_w,
                by=order.by,
                why=order.why,
                refused=answer.refused or "-",
            )
        )
        if answer.taken and answer.changed_at is None:
            watch = asyncio.create_task(self._watch(envelope, answer))
            self._watches[told.sequence] = watch
            watch.add_done_callback(lambda _: self._watches.pop(told.sequence, None))
        return answer

    async def _watch(self, envelope: Envelope, answer: Answer) -> None:
        """Look for the first power change that an instruction brought about."""
        end = self.clock() + CHANGE_SECONDS
        while self.clock() < end:
            known = self.steered.answer_of(answer.sequence)
            if known is not None and known.changed_at is not None:
                changed = replace(answer, changed_at=known.changed_at)
                with suppress(StoreError):
                    self.ledger.answer(changed)
                await self._tell(changed, envelope.of)
                self._news.set()
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _restore(self) -> None:
        now = self.clock()
        for kept in self.ledger.holding(now):
            told = kept.envelope.order.instruction
            log.info(said("instruction.again", sequence=told.sequence, action=told.action.value))
            if kept.answer is None:
                await self._give(kept.envelope)
            else:
                await self.steered.give(told)

    async def _catch_up(self) -> None:
        for kept in self.ledger.untold():
            if kept.answer is not None:
                await heeded(self._tell(kept.answer, kept.envelope.of))

    async def _tell(self, answer: Answer, of: str) -> None:
        # What is not told now is told when the broker is there again.
        with suppress(MqttError):
            if await self._say("answer", answer_text(answer, of)):
                with suppress(StoreError):
                    self.ledger.told(answer)

    async def _report_on(self) -> None:
        await self._catch_up()
        while True:
            self._news.clear()
            await heeded(self._say("report", report_text(self.report()), qos=0, retain=True))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._report_seconds):
                    await self._news.wait()
                    # An answer and the power change after it make one report.
                    await asyncio.sleep(NEWS_SECONDS)

    def report(self) -> Report:
        """Return how the site stands, with the link's own alarms."""
        report, now = self.steered.report(), self.clock()
        self._alarms = {alarm: until for alarm, until in self._alarms.items() if until > now}
        alarms = (*report.alarms, *(each for each in self._alarms if each not in report.alarms))
        return replace(report, sequence=max(report.sequence, self.ledger.last), alarms=alarms)

    async def _say(self, kind: str, text: str, qos: int = 1, retain: bool = False) -> bool:
        client = self._client
        if client is None:
            return False
        await client.publish(self._topic(kind), text, qos=qos, retain=retain)
        return True

    def _refused(self, reason: str, detail: str, payload: bytes, now: float) -> None:
        log.warning(said("message.refused", reason=reason, detail=detail, of=name_of(payload)))
        with suppress(StoreError):
            self.ledger.refuse(reason, detail, payload, now)
        if reason in (WRONG_SIGNER, WRONG_SITE, "garbled"):
            self._alarms[f"link: {reason.partition(':')[0]}"] = now + ALARM_SECONDS
            self._news.set()

    def _topic(self, kind: str) -> str:
        return topic(self.place.fleet, self.place.site, kind)

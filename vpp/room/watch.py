"""What a room that keeps watch does beside: open instructions, lost sites, old minutes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy import Engine

from daemon.journal import said
from energy.errors import StoreError
from vpp.room.hearing import Hearing
from vpp.room.keeper import keeping
from vpp.room.sending import Sending
from vpp.room.store import Outcome, Sent, Standing, records

LOOK_SECONDS = 2.0
SWEEP_SECONDS = 1.0
THIN_SECONDS = 600.0
MOST_NAMED = 20

log = logging.getLogger("yui.room")


class Watch:
    """Looks after a fleet. A site is lost without a report for `lost_seconds`."""

    def __init__(
        self,
        engine: Engine,
        hearing: Hearing,
        sending: Sending,
        lost_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._engine, self._hearing, self._sending = engine, hearing, sending
        self._lost_seconds, self._clock = lost_seconds, clock
        self._lost: set[int] | None = None

    async def keep_on(self) -> None:
        """Keep watch until cancelled."""
        async with asyncio.TaskGroup() as duties:
            duties.create_task(_every(LOOK_SECONDS, self._look_after))
            duties.create_task(_every(SWEEP_SECONDS, self._sweep))
            duties.create_task(_every(THIN_SECONDS, lambda: asyncio.to_thread(self._thin)))

    async def _look_after(self) -> None:
        """Take over what is open in the store, whoever sent it, and close what has expired."""
        for sent in await asyncio.to_thread(self._open):
            if self._sending.adopt(sent):
                told = sent.instruction
                log.info(said("instruction.resumed", site=told.site, sequence=told.sequence))

    def _open(self) -> list[Sent]:
        now = int(self._clock())
        with records(self._engine) as read:
            found = read.instructions(outcome=Outcome.OPEN)
        if any(each.instruction.expires_at < now for each in found):
            with keeping(self._engine) as keep:
                for each in keep.expire(now):
                    told = each.instruction
                    log.warning(said("instruction.expired", site=told.site, sequence=told.sequence))
        return found

    async def _sweep(self) -> None:
        """Say of sites that they have vanished, or have come back."""
        now = self._clock()
        lost = {
            state.site
            for state in self._hearing.states()
            if state.standing(now, self._lost_seconds) is Standing.LOST
        }
        if self._lost is None:
            # What is not linked yet may be about to be heard of.
            self._lost = lost
        before, self._lost = self._lost, lost
        for kind, sites in (("lost", lost - before), ("back", before - lost)):
            if sites:
                shown = ",".join(map(str, sorted(sites)[:MOST_NAMED]))
                log.warning(said(f"sites.{kind}", count=len(sites), sites=shown))
                await asyncio.to_thread(self._note, kind, {"sites": sorted(sites)})

    def _note(self, kind: str, content: object) -> None:
        with keeping(self._engine) as keep:
            keep.note(kind, content, int(self._clock()))

    def _thin(self) -> None:
        with keeping(self._engine) as keep:
            keep.thin(int(self._clock()))


async def _every(seconds: float, duty: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await duty()
        except StoreError as error:
            log.error(said("store.failed", reason=error))
        await asyncio.sleep(seconds)

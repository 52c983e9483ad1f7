"""Telling the sites: what each holds, what it must be told, and who does not answer.

Sending goes on beside the rounds of the desk, so that a silent site holds up nobody. Each
instruction is in the store before it leaves. One whose answer is not known is told again after a
restart, with a higher sequence: it replaces the one before, whether that arrived or not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from energy.errors import StoreError, YuiError
from vpp.calls.kept import Told
from vpp.calls.room import Room
from vpp.calls.runs import Run
from vpp.calls.store import CallStore
from vpp.calls.watch import Fault, Patience
from vpp.commands import Action, Following, Instruction, Report

_log = logging.getLogger("yui.calls")

Failed = Callable[[str, int, Fault], None]
"""Is told that a site failed a call: of (call, site, why)."""


class Teller:
    """The way from the desk to the sites."""

    def __init__(
        self,
        store: CallStore,
        room: Room,
        patience: Patience,
        clock: Callable[[], float],
        failed: Failed,
    ) -> None:
        self._store = store
        self._room = room
        self._patience = patience
        self._clock = clock
        self._failed = failed
        self._sending: set[asyncio.Task[None]] = set()
        self._pending: dict[int, Instruction] = {}
        self._sequence = store.last_sequence()

    def due(
        self,
        runs: Mapping[int, tuple[str, Run]],
        reports: Mapping[int, Report],
        lately: Mapping[int, Sequence[Told]],
        now: int,
    ) -> list[Instruction]:
        """Return what sites must be told: the run of a call that each is to follow, or its end."""
        found = []
        for site in sorted({*runs, *lately}):
            report = reports.get(site)
            if report is None or now - report.at > self._patience.gone_seconds:
                continue
            told = lately.get(site, ())
            held = holding(told, report)
            call, run = runs.get(site, ("", None))
            if run is None:
                if held is None or not held.power_w:
                    continue
                # The site gives nothing more.
                call, run = held.call, Run(max(held.starts_at, now), held.ends_at, 0)
            elif held is not None and run.is_told(held, call, now):
                continue
            if self._is_on_its_way(site, call, run) or self._was_refused(told, call, run, now):
                continue
            found.append(self._instruction(site, call, run, now))
        return found

    def tell(self, instructions: Sequence[Instruction], now: int) -> None:
        """Send instructions; answers come into the store, and who gives none has failed."""
        if not instructions:
            return
        self._store.telling(instructions, now)
        self._pending |= {each.site: each for each in instructions}
        task = asyncio.create_task(self._send(instructions))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def idle(self) -> None:
        """Wait until what was sent is answered, or given up."""
        while self._sending:
            await asyncio.gather(*self._sending)

    def stop(self) -> None:
        """Wait for no more answers."""
        for task in self._sending:
            task.cancel()

    async def _send(self, instructions: Sequence[Instruction]) -> None:
        answers = []
        try:
            async with asyncio.timeout(self._patience.answer_seconds):
                answers = await self._room.send(instructions)
        except (TimeoutError, YuiError) as error:
            _log.warning("calls_unanswered count=%d reason=%r", len(instructions), str(error))
        known = {(each.site, each.sequence): each for each in answers}
        # Of an instruction that a newer one overtook nothing is to be learned.
        newest = [each for each in instructions if self._pending.get(each.site) is each]
        for each in newest:
            del self._pending[each.site]
        try:
            self._store.answered(answers)
            for each in newest:
                answer = known.get((each.site, each.sequence))
                if answer is None:
                    self._failed(each.call, each.site, Fault("does not answer"))
                elif not answer.taken:
                    self._failed(each.call, each.site, Fault(f"refuses: {answer.refused}"))
        except StoreError as error:
            # Sites whose answer is not kept are told again.
            _log.error("calls_store reason=%r", str(error))

    def _is_on_its_way(self, site: int, call: str, run: Run) -> bool:
        sent = self._pending.get(site)
        return sent is not None and (sent.call, sent.ends_at, sent.power_w) == (
            call,
            run.ends_at,
            run.power_w,
        )

    def _was_refused(self, told: Sequence[Told], call: str, run: Run, now: int) -> bool:
        if not told or not told[-1].refused:
            return False
        last = told[-1]
        same = (last.call, last.ends_at, last.power_w) == (call, run.ends_at, run.power_w)
        return same and now - last.sent_at < self._patience.again_seconds

    def _instruction(self, site: int, call: str, run: Run, now: int) -> Instruction:
        self._sequence = max(self._sequence + 1, int(self._clock() * 1_000_000))
        return Instruction(
            site=site,
            sequence=self._sequence,
            action=Action.CALL,
            starts_at=max(run.starts_at, now),
            ends_at=run.ends_at,
            expires_at=now + self._patience.answer_seconds,
            power_w=run.power_w,
            call=call,
        )


def holding(told: Sequence[Told], report: Report) -> Told | None:
    """Return the instruction that a site holds, of those whose time is not over, in order.

    It is the last that it took. One that it did not answer counts if the site says that it follows
    its call and holds nothing else of it.
    """
    held = next((each for each in reversed(told) if each.taken), None)
    if held is None and report.following is Following.CALL:
        held = next((each for each in reversed(told) if each.call == report.call), None)
    return held

"""The fleet as a VEN: it asks a VTN for events, hands them to the desk as calls, and reports.

The VTN is the one that knows what holds: an event that it gave before and gives no more is
cancelled, one that it modified is a new version of its calls. Whatever stops the program, the next
round finds by the store which calls are from which event, and which reports are out.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from energy.errors import SettingError, StoreError
from energy.units import SLOT_SECONDS
from vpp.calls import adr_reports
from vpp.calls.adr_reports import Document
from vpp.calls.call import Product, Source, State
from vpp.calls.desk import Desk
from vpp.calls.document import in_words
from vpp.calls.fulfilment import Fulfilment
from vpp.calls.kept import Kept
from vpp.calls.openadr import Event, Program, calls_of
from vpp.calls.teller import holding
from vpp.calls.vtn import Vtn, VtnError

_log = logging.getLogger("yui.calls")

Evidence = Callable[[str], Fulfilment]
"""Returns the report of a call, by its name."""
RESULT_WITHIN_SECONDS = 2 * 86_400
"""After it a result is reported even if readings are missing."""


class Ven:
    """A desk's way to a VTN. `products` are the terms by the program's name."""

    def __init__(
        self,
        vtn: Vtn,
        desk: Desk,
        name: str,
        products: Mapping[str, Product],
        evidence: Evidence | None = None,
    ) -> None:
        self._vtn = vtn
        self._desk = desk
        self._name = name
        self._products = products
        self._evidence = evidence
        self._done: dict[str, str] = {}
        self._opted_out: dict[str, str] = {}
        self._registered = False

    async def run(self, seconds: float) -> None:
        """Ask every few seconds; a VTN that does not answer is asked again."""
        while True:
            try:
                await self.round()
            except (VtnError, StoreError) as error:
                _log.warning("vtn_trouble reason=%r", str(error))
            await asyncio.sleep(seconds)

    async def round(self) -> None:
        """Ask the VTN once, and report what is new.

        Raises:
            VtnError: if it does not answer, or refuses.
        """
        if not self._registered:
            await self._register()
        programs = await self._programs()
        seen = set()
        for each in await self._vtn.every("/events"):
            if each.get("programID") in programs:
                seen.add(str(each.get("id")))
                await self._take(each, programs[each["programID"]])
        mine = [k for k in self._desk.store.calls() if k.call.source is Source.OPENADR]
        for kept in mine:
            if kept.state.is_live and kept.call.external not in seen:
                await self._desk.cancel(kept.call.name, "the VTN withdrew its event")
        troubles = []
        for kept in mine:
            try:
                await self._report(self._desk.store.call(kept.call.name))
            except VtnError as error:
                # The others' reports are not held up by it.
                troubles.append(error)
        if troubles:
            raise troubles[0]

    async def _programs(self) -> dict[str, Program]:
        """Return the programs whose terms are set, or all where none are, by their ids."""
        found = {}
        for each in await self._vtn.every("/programs"):
            try:
                program = _read(Program, each)
            except SettingError as error:
                _log.warning("program_unread reason=%r", str(error))
                continue
            if not self._products or program.programName in self._products:
                found[program.id] = program
        return found

    async def _register(self) -> None:
        """Make this VEN known, where the VTN does not know it yet."""
        found = await self._vtn.every("/vens", {"venName": self._name})
        if not any(each.get("venName") == self._name for each in found):
            content = {"objectType": "VEN_VEN_REQUEST", "venName": self._name}
            await self._vtn.ask("POST", "/vens", content)
        self._registered = True

    async def _take(self, content: Mapping[str, Any], program: Program) -> None:
        """Make an event's calls what this version of it says, once."""
        identity, now = str(content.get("id")), self._desk.now()
        try:
            event = _read(Event, content)
            revision = event.modificationDateTime
            if event.is_absolute:
                # What is to be expected is worked out again each half hour.
                revision += f"/{now // SLOT_SECONDS}"
            if self._done.get(identity) == revision:
                return
            known = {
                kept.call.name: kept
                for kept in self._desk.store.calls()
                if kept.call.external == identity
            }
            if known and all(kept.call.revision == revision for kept in known.values()):
                self._done[identity] = revision
                return
            first = min((kept.call.received_at for kept in known.values()), default=now)
            calls = calls_of(
                event,
                program,
                self._products.get(program.programName, Product()),
                first,
                self._expected,
                lambda span: self._offset(identity, span),
                revision,
                first,
            )
        except SettingError as error:
            await self._opt_out(identity, str(content.get("modificationDateTime")), error)
            return
        self._done[identity] = revision
        for call in calls:
            old = known.pop(call.name, None)
            if call.ends_at > now and (old is None or old.call != call):
                await self._desk.receive(call)
        for kept in known.values():
            if kept.state.is_live:
                await self._desk.cancel(kept.call.name, "the VTN modified its event")

    async def _opt_out(self, identity: str, revision: str, error: SettingError) -> None:
        """Say that an event cannot be answered; once a version of it."""
        if self._opted_out.get(identity) == revision:
            return
        self._opted_out[identity] = revision
        _log.warning("event_unanswered event=%s reason=%r", identity, str(error))
        now = self._desk.now()
        name = f"{identity}/opted-out"
        await self._post(
            name,
            adr_reports.state(
                identity, name, self._name, "RUNNING_OPTED_OUT", now, now + SLOT_SECONDS
            ),
            identity,
        )

    def _expected(self, start: int, end: int) -> int | None:
        """Return what flows into the sites now, less what calls make of it."""
        reports = [
            each
            for each in self._desk.room.states()
            if self._desk.now() - each.at <= self._desk.patience.gone_seconds
        ]
        flows = [each.imported_w for each in reports if each.imported_w is not None]
        if not flows:
            return None
        now = self._desk.now()
        lately = self._desk.store.told_lately(now)
        held = (holding(lately.get(each.site, ()), each) for each in reports)
        return sum(flows) + sum(each.power_w for each in held if each and each.starts_at <= now)

    def _offset(self, identity: str, span: int) -> int:
        """Return how much of a range an event is moved: always the same for an event and VEN."""
        drawn = hashlib.sha256(f"{self._name}/{identity}".encode()).digest()
        return int.from_bytes(drawn[:8]) * span >> 64

    async def _report(self, kept: Kept) -> None:
        """Report of a call what has not been reported yet."""
        call, store, now = kept.call, self._desk.store, self._desk.now()
        out = store.reported(call.name)
        shares = store.shares(call.name)
        if "accepted" not in out and shares:
            await self._post("accepted", adr_reports.accepted(call, shares, self._name), call.name)
        if "running" not in out and kept.state is State.RUNNING:
            await self._post("running", adr_reports.running(call, self._name), call.name)
        if kept.state is State.CANCELLED:
            if "cancelled" not in out:
                name = f"{call.name}/cancelled"
                content = adr_reports.state(
                    call.external, name, self._name, "NORMAL", call.starts_at, call.ends_at
                )
                await self._post("cancelled", content, call.name)
        elif kept.state is State.ENDED and not shares:
            if "unserved" not in out:
                name = f"{call.name}/unserved"
                content = adr_reports.state(
                    call.external, name, self._name, "ERROR", call.starts_at, call.ends_at
                )
                await self._post("unserved", content, call.name)
        elif kept.state is State.ENDED and "result" not in out and self._evidence:
            report = self._evidence(call.name)
            if report.settled or now > call.ends_at + RESULT_WITHIN_SECONDS:
                names = {each.site: each.name for each in self._desk.room.states()}
                await self._post("result", adr_reports.result(report, names, self._name), call.name)

    async def _post(self, what: str, content: Document, call: str) -> None:
        """Post a report; one of its name that is there already is not posted twice."""
        query = {"eventID": content["eventID"], "clientName": self._name}
        try:
            there = await self._vtn.every("/reports", query)
            found = next(
                (each for each in there if each.get("reportName") == content["reportName"]), None
            )
            if found is None:
                found = await self._vtn.ask("POST", "/reports", content)
        except VtnError:
            if await self._is_withdrawn(content["eventID"]):
                # Of an event that is no more nothing can be reported.
                found = {"id": ""}
            else:
                raise
        self._desk.store.set_reported(call, what, str(found["id"]), self._desk.now())

    async def _is_withdrawn(self, event: str) -> bool:
        return all(each.get("id") != event for each in await self._vtn.every("/events"))


def _read(kind: Any, content: object) -> Any:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise SettingError(in_words(error)) from error

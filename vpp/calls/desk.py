"""The desk for calls: splits them over the fleet, tells the sites, watches, and splits anew.

    call ──► shares ──► instructions ──► answers, reports ──► faults ──► shares ...

What should be (shares) and what sites were told are both in the store, and each round sends what
is between them: a control room that was killed goes on with the next round, and no site is asked
for its share twice, since a site holds one instruction of a call, the newest.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from energy.errors import SettingError, StoreError
from energy.units import SLOT_SECONDS
from vpp.calls.allotment import Known, allotted, busy_sites, overlap, steps_left
from vpp.calls.call import Call, State, Step
from vpp.calls.kept import Kept, Share, Told
from vpp.calls.reserve import Caution
from vpp.calls.room import Planned, Room, unplanned
from vpp.calls.runs import Run, run_at
from vpp.calls.split import Costs, by_charge
from vpp.calls.store import CallStore
from vpp.calls.teller import Teller, holding
from vpp.calls.watch import VANISHED, Fault, Patience, fault_of
from vpp.commands import Report

_log = logging.getLogger("yui.calls")

Wanted = Callable[
    [Call, Sequence[Step], Sequence[Report]], Awaitable[Mapping[int, tuple[int, ...]]]
]
"""What the fleet's plan would have each site give in a call's steps, W."""
Shares = Mapping[str, Sequence[Share]]
SAMPLE_SECONDS = 5
SHORT_SECONDS = 15
"""How often a call is split anew of which something is missing."""


async def nothing_wanted(
    call: Call, steps: Sequence[Step], reports: Sequence[Report]
) -> dict[int, tuple[int, ...]]:
    """Return that there is no plan to go by."""
    return {}


class Desk:
    """The live calls of a control room."""

    def __init__(
        self,
        store: CallStore,
        room: Room,
        planned: Planned = unplanned,
        costs: Costs = by_charge,
        wanted: Wanted = nothing_wanted,
        patience: Patience | None = None,
        caution: Caution | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.room = room
        self.planned = planned
        self.costs = costs
        self.wanted = wanted
        self.patience = patience or Patience()
        self.caution = caution or Caution(stale_seconds=self.patience.gone_seconds)
        self.clock = clock
        self.teller = Teller(store, room, self.patience, clock, self._fail)
        self._turn = asyncio.Lock()
        self._awake = asyncio.Event()
        self._excluded: dict[tuple[str, int], int] = {}
        self._counted: dict[tuple[str, int], int] = {}
        self._since: dict[tuple[str, int], int] = {}
        self._unsplit: set[str] = set()
        self._short: dict[str, int] = {}
        self._said: dict[str, str] = {}
        self._heard: set[int] = set()
        self._sampled = 0
        # What was split before a restart stays as it is until sites had time to report.
        self._began = self.now()
        for kept in store.live():
            if store.shares(kept.call.name):
                self._said[kept.call.name] = ""
                self._short[kept.call.name] = self._began + self.patience.gone_seconds

    def now(self) -> int:
        """Return the time, in whole seconds."""
        return int(self.clock())

    async def receive(self, call: Call) -> Call:
        """Take a call, or a new version of one; sites are told in the next round, which is now.

        Raises:
            SettingError: if it is over already, or another call has its name.
        """
        async with self._turn:
            now = self.now()
            if call.ends_at <= now:
                raise SettingError(
                    f"call {call.name} must end after now ({now}), got {call.ends_at}"
                )
            self.store.add(call, now)
            self.store.write(call.name, now, "received", f"by {call.source.value}")
            self._split_all_anew()
        self._awake.set()
        return call

    async def cancel(self, name: str, why: str = "") -> Kept:
        """Cancel a call; sites that serve it are told at once. What is over is not changed.

        Raises:
            SettingError: if there is no call of that name.
        """
        async with self._turn:
            kept, now = self.store.call(name), self.now()
            if kept.state.is_live:
                self.store.set_state(name, State.CANCELLED, now)
                self.store.set_shares(name, now, [])
                self.store.write(name, now, "cancelled", why)
                self._split_all_anew()
        self._awake.set()
        return self.store.call(name)

    async def run(self, seconds: float = 1.0) -> None:
        """Do a round every second, and at once when a call came; a store that does not answer is
        asked again in the next one."""
        try:
            while True:
                self._awake.clear()
                try:
                    await self.round()
                except StoreError as error:
                    _log.error("calls_store reason=%r", str(error))
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._awake.wait()
        finally:
            self.teller.stop()

    async def round(self) -> None:
        """Bring what sites do and what calls want together, once."""
        async with self._turn:
            now = self.now()
            calls = self._advanced(now)
            reports = {report.site: report for report in self.room.states()}
            self._heard |= {
                site
                for site, report in reports.items()
                if now - report.at <= self.patience.gone_seconds
            }
            lately = self.store.told_lately(now)
            shares: dict[str, Sequence[Share]] = {
                call.name: self.store.shares(call.name) for call in calls
            }
            if calls:
                self._sample(shares, reports, now)
                self._watch(shares, reports, lately, now)
                shares = await self._split(calls, shares, reports, now)
            runs = _runs(shares, now)
            self.teller.tell(self.teller.due(runs, reports, lately, now), now)

    def _split_all_anew(self) -> None:
        self._unsplit.update(kept.call.name for kept in self.store.live())

    def _advanced(self, now: int) -> list[Call]:
        """Begin and end calls; return those that are still live, by rank."""
        left = []
        for kept in self.store.live():
            call = kept.call
            if call.ends_at <= now:
                self.store.set_state(call.name, State.ENDED, now)
                self.store.write(call.name, now, "ended")
                continue
            if call.starts_at <= now and kept.state is State.ACCEPTED:
                self.store.set_state(call.name, State.RUNNING, now)
                self.store.write(call.name, now, "running")
            left.append(call)
        return left

    def _sample(self, shares: Shares, reports: Mapping[int, Report], now: int) -> None:
        """Keep every few seconds what the sites report that have to do with a call."""
        if now - self._sampled < SAMPLE_SECONDS:
            return
        self._sampled = now
        sites = {share.site for each in shares.values() for share in each}
        fresh = (
            report
            for report in reports.values()
            if report.site in sites and now - report.at <= self.patience.gone_seconds
        )
        self.store.sample(fresh, now)

    def _watch(
        self,
        shares: Shares,
        reports: Mapping[int, Report],
        lately: Mapping[int, Sequence[Told]],
        now: int,
    ) -> None:
        """Find the sites that do not give their share, and have their calls split anew."""
        for call, of_call in shares.items():
            looked_at = set()
            for share in of_call:
                if share.ends_at <= now or share.site in looked_at:
                    continue
                looked_at.add(share.site)
                report = reports.get(share.site)
                told = holding(lately.get(share.site, ()), report) if report else None
                known_for = -1
                if told is not None and told.call == call:
                    began = max(told.starts_at, told.answered_at or told.sent_at, share.starts_at)
                    known_for = now - began
                    self._note_change(told, report)
                planned_wh = self.planned(share.site, now // SLOT_SECONDS) or 0
                fault = fault_of(
                    report,
                    call,
                    share.power_w,
                    known_for,
                    now,
                    planned_wh * 3600 // SLOT_SECONDS,
                    self.patience,
                )
                self._judge(call, share.site, fault, now)

    def _judge(self, call: str, site: int, fault: Fault | None, now: int) -> None:
        """Act on what is wrong at a site, or is no more; on what may pass, when it has lasted."""
        key = (call, site)
        unheard = site not in self._heard and now - self._began <= self.patience.gone_seconds
        if fault is not None and fault.reason == VANISHED and unheard:
            fault = None
        gives = fault.gives_w if fault is not None else None
        counted = self._counted.get(key)
        if fault is not None and not fault.passing:
            self._fail(call, site, fault)
        elif gives == counted or (
            gives is not None
            and counted is not None
            and abs(gives - counted) <= self.patience.least_w
        ):
            self._since.pop(key, None)
        elif now - self._since.setdefault(key, now) >= self.patience.short_seconds:
            del self._since[key]
            if fault is None:
                del self._counted[key]
                self.store.write(call, now, "recovered", site=site)
            else:
                self._counted[key] = fault.gives_w
                self.store.write(call, now, "fault", fault.reason, site)
            self._unsplit.add(call)

    def _fail(self, call: str, site: int, fault: Fault) -> None:
        """Ask nothing more of a site for a while."""
        now = self.now()
        self._excluded[(call, site)] = now
        self._counted.pop((call, site), None)
        self._since.pop((call, site), None)
        self._unsplit.add(call)
        self.store.write(call, now, "fault", fault.reason, site)
        _log.warning("call_fault call=%s site=%d reason=%r", call, site, fault.reason)
        self._awake.set()

    def _note_change(self, told: Told, report: Report | None) -> None:
        """Keep when a site was first seen to follow an instruction, if it did not say so."""
        if told.changed_at is None and report is not None and report.call == told.call:
            self.store.changed(told, float(report.at))

    async def _split(
        self, calls: Sequence[Call], shares: Shares, reports: Mapping[int, Report], now: int
    ) -> dict[str, Sequence[Share]]:
        """Split the calls that need it, and those behind them at the same time, by rank."""
        again = {
            name for name, since in self._short.items() if now - since >= SHORT_SECONDS
        } | self._unsplit
        self._unsplit.clear()
        found: dict[str, Sequence[Share]] = dict(shares)
        renewed: list[Call] = []
        for number, call in enumerate(calls):
            known = call.name in self._said
            if known and call.name not in again and not any(overlap(call, r) for r in renewed):
                continue
            renewed.append(call)
            before = calls[:number]
            taken = [share for other in before for share in found[other.name]]
            found[call.name] = await self._split_one(
                call, before, taken, found[call.name], reports, now
            )
        return found

    async def _split_one(
        self,
        call: Call,
        before: Sequence[Call],
        taken: Sequence[Share],
        current: Sequence[Share],
        reports: Mapping[int, Report],
        now: int,
    ) -> Sequence[Share]:
        steps = steps_left(call, before, now)
        busy = busy_sites(call, taken, now)
        free = [report for site, report in sorted(reports.items()) if site not in busy]
        known = Known(
            now=now,
            reports=free,
            planned=self.planned,
            caution=self.caution,
            excluded=self._excluded_now(call.name, now),
            counted={site: w for (name, site), w in self._counted.items() if name == call.name},
            gives={
                each.site: each.power_w for each in current if each.starts_at <= now < each.ends_at
            },
        )
        begun = any(share.ends_at > now for share in current)
        wanted = {} if begun or not steps else await self.wanted(call, steps, free)
        found = allotted(call, steps, known, current, busy, self.costs(call, steps, free), wanted)
        self.store.plan(call.name, self._plans(call, found.sites))
        if set(found.shares) != {left for each in current if (left := each.from_on(now))}:
            self.store.set_shares(call.name, now, found.shares)
        self._short.pop(call.name, None)
        if found.missing_w:
            self._short[call.name] = now
        said = f"{len(found.sites)} sites, {found.missing_w} W missing at most"
        if self._said.get(call.name) != said:
            self._said[call.name] = said
            self.store.write(call.name, now, "split", said)
        return self.store.shares(call.name)

    def _plans(self, call: Call, sites: frozenset[int]) -> dict[tuple[int, int], int]:
        found = ((site, slot, self.planned(site, slot)) for site in sites for slot in call.slots)
        return {(site, slot): wh for site, slot, wh in found if wh is not None}

    def _excluded_now(self, call: str, now: int) -> frozenset[int]:
        return frozenset(
            site
            for (name, site), since in self._excluded.items()
            if name == call and now - since < self.patience.again_seconds
        )


def _runs(shares: Shares, now: int) -> dict[int, tuple[str, Run]]:
    """Return what each site is to follow now or next: of the call that begins first."""
    found: dict[int, tuple[str, Run]] = {}
    for call, of_call in shares.items():
        by_site: dict[int, list[Share]] = {}
        for share in of_call:
            by_site.setdefault(share.site, []).append(share)
        for site, its in by_site.items():
            run = run_at(its, now)
            if run is None:
                continue
            if site not in found or run.starts_at < found[site][1].starts_at:
                found[site] = (call, run)
    return found

"""What sites say, in memory at once and in the store a moment later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from sqlalchemy import Engine

from daemon.journal import said
from energy.errors import StoreError
from vpp.commands import Answer, Report
from vpp.room.keeper import keeping
from vpp.room.store import State

FLUSH_SECONDS = 0.5
MOST_REPORTS = 200_000
"""Reports that wait for a store which takes none; then the oldest go."""
MOST_STRAYS = 20
"""Messages without sense that the trail takes at a time: nobody is to fill it with them."""

log = logging.getLogger("yui.room")


@dataclass(slots=True)
class _Heard:
    """What has come since it was last written to the store."""

    reports: list[tuple[Report, float, bool]] = field(default_factory=list)
    answers: list[tuple[Answer, str]] = field(default_factory=list)
    links: dict[int, bool] = field(default_factory=dict)
    strays: list[tuple[str, str]] = field(default_factory=list)


class Hearing:
    """Each site's state as far as it was heard. One that does not keep watch writes only answers
    to the store: reports would count twice."""

    def __init__(self, engine: Engine, watch: bool, clock: Callable[[], float]) -> None:
        self._engine, self._watch, self._clock = engine, watch, clock
        self._states: dict[int, State] = {}
        self._heard = _Heard()

    def states(self) -> list[State]:
        """Return how each site stands now, by number."""
        return [self._states[site] for site in sorted(self._states)]

    def begin(self, known: Iterable[State]) -> None:
        """Begin with what the store knows; whether a site is linked the broker says."""
        for state in known:
            self._states.setdefault(state.site, replace(state, linked=False))

    def report(self, report: Report, live: bool) -> None:
        """Take in a report; not live: the broker had kept it."""
        now, before = self._clock(), self._states.get(report.site)
        if not live and before and before.report and before.report.at > report.at:
            return
        named = before or State(report.site, report.name, report.municipality, report.kind)
        self._states[report.site] = replace(
            named, report=report, heard_at=now, linked=live or named.linked
        )
        if self._watch:
            self._heard.reports.append((report, now, live))

    def answer(self, answer: Answer, of: str) -> None:
        """Take in an answer."""
        self._heard.answers.append((answer, of))

    def link(self, site: int, up: bool) -> None:
        """Take in that a site has connected or gone."""
        if site in self._states:
            self._states[site] = replace(self._states[site], linked=up)
        if self._watch:
            self._heard.links[site] = up

    def stray(self, topic: str, reason: str) -> None:
        """Take in a message that makes no sense."""
        log.warning(said("message.stray", topic=topic, reason=reason))
        if self._watch and len(self._heard.strays) < MOST_STRAYS:
            self._heard.strays.append((topic[:200], reason[:300]))

    async def keep_on(self) -> None:
        """Write what was heard to the store, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await asyncio.to_thread(self.keep)
            except StoreError as error:
                log.error(said("store.failed", reason=error))

    def keep(self) -> None:
        """Write what was heard to the store.

        Raises:
            StoreError: if it takes nothing; then it is tried again the next time.
        """
        heard, self._heard = self._heard, _Heard()
        if heard == _Heard():
            return
        now = int(self._clock())
        try:
            with keeping(self._engine) as keep:
                if heard.reports:
                    keep.reported(heard.reports)
                keep.linked(heard.links)
                keep.answered(heard.answers, now)
                for topic, reason in heard.strays:
                    keep.note("stray", {"topic": topic, "reason": reason}, now)
        except StoreError:
            newer = self._heard
            self._heard = _Heard(
                (heard.reports + newer.reports)[-MOST_REPORTS:],
                heard.answers + newer.answers,
                heard.links | newer.links,
                heard.strays,
            )
            raise

"""A site's terminal: it samples the devices, closes half hours, signs and delivers readings.

Everything is on disk before the next step begins, so that a terminal that was killed goes
on where it was: a reading that may have been sent is looked for on the chain, and sending
one twice does no harm there.

Units: time in unix seconds, from the clock that is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from chain.terminal import Standing
from daemon.journal import said
from energy.errors import (
    ReadingImpossible,
    Refusal,
    SettingError,
    SlotNotOver,
    SlotUnsettled,
)
from energy.records import REVISION_LIMIT, Quality, Reading
from energy.units import SLOT_SECONDS
from oracle.device import Instruments
from oracle.halfhour import reading_of, reconciled
from oracle.journal import log
from oracle.keys import Signer
from oracle.outbox import Outbox, State
from oracle.quantity import STORED, Incident, Sample
from oracle.totals import Total, Track, followed

BATCH_LIMIT = 100
"""Readings in one transaction: 100 x (32 + 64) bytes."""
RESEND_SECONDS = 300
"""A transaction that has not brought its readings to the chain by then counts as lost."""
RECHECK_SECONDS = 7200
"""So long after a reading became final it is looked for again: a chain may break its promise."""
GIVE_UP_SECONDS = 7 * 86_400
"""A slot whose end no device has told by then has no reading: the chain would not take it."""
STEP_SECONDS = 2
"""A clock that goes on by so much more or less than time itself was set."""
PASSING = (SlotNotOver, SlotUnsettled)
"""Refusals that time cures: the reading stays made."""


class SignedReading(NamedTuple):
    """A reading with its compact signature (64 bytes)."""

    reading: Reading
    signature: bytes


class Chain(Protocol):
    """What a terminal needs of a chain."""

    async def post_readings(self, readings: Sequence[SignedReading]) -> str:
        """Send readings, oldest first, in one transaction, and return its hash.

        Raises:
            Refusal: if the chain would refuse; its `index`, if it has one, is the place of
                the reading that it refuses.
            ChainError: if the chain cannot be reached.
        """

    async def standing_of(self, slot: int, site: int) -> Standing:
        """Return the reading that the chain holds, if any."""


class Terminal:
    """The terminal of one site.

    `monotonic` is a clock (seconds) that nobody sets; without it, a clock that was set is
    noticed only when it goes back. `deadline_seconds` is how long after its slot a reading is
    in time.
    """

    def __init__(
        self,
        site: int,
        instruments: Instruments,
        outbox: Outbox,
        signer: Signer,
        clock: Callable[[], int],
        *,
        monotonic: Callable[[], float] | None = None,
        deadline_seconds: int | None = None,
    ) -> None:
        self.site = site
        self.instruments = instruments
        self.outbox = outbox
        self.signer = signer
        self.clock = clock
        self.deadline_seconds = deadline_seconds
        self._monotonic = monotonic
        self._clocks: tuple[int, float] | None = None
        self._going_on: set[tuple[str, str]] = set()

    # From devices to readings.

    async def sample(self) -> Sample:
        """Read all devices, keep what they show, and return it; incidents are in the sample.

        Raises:
            StoreFailed: if the disk does not take it; the counters will tell it later.
        """
        now = self.clock()
        steps = self._clock_step(now)  # before devices, which may take their time
        sample = await self.instruments.sample(now)
        before = self.outbox.tracks()
        tracks: dict[str, Track] = {}
        incidents = [*steps, *sample.incidents]
        for key, ceiling_w in self.instruments.devices.ceilings_w.items():
            tracks[key], oddity = followed(
                before.get(key, Track()),
                sample.time_seconds,
                sample.counters.get(key),
                sample.powers_w.get(key),
                ceiling_w,
            )
            if oddity is not None:
                incidents.append(Incident(key, *oddity))
        for key, stored_wh in sample.stored_wh.items():
            state = before.get(key, Track()).total
            if state is None or state.time_seconds < sample.time_seconds:
                tracks[key] = Track(Total(sample.time_seconds, stored_wh * 1000))
        if steps:  # when this energy came is not known
            tracks = {key: _broken(track, sample.time_seconds) for key, track in tracks.items()}
        self.outbox.keep_sample(sample, tracks, incidents)
        self._tell(incidents)
        return replace(sample, incidents=tuple(incidents))

    def _clock_step(self, now_seconds: int) -> list[Incident]:
        if self._monotonic is None:
            return []
        clocks, self._clocks = self._clocks, (now_seconds, self._monotonic())
        if clocks is None:
            return []
        step = (now_seconds - clocks[0]) - (self._clocks[1] - clocks[1])
        if abs(step) < STEP_SECONDS:
            return []
        told = f"the clock must go on as time does, got a step of {step:+.0f} s"
        return [Incident("clock", "clock-step", told)]

    def _tell(self, incidents: Sequence[Incident]) -> None:
        """Write to the journal what begins to be wrong and what has ended."""
        now = {(incident.source, incident.kind) for incident in incidents}
        for incident in incidents:
            if incident[:2] not in self._going_on:
                log.warning(said("fault", **incident._asdict()))
        for source, kind in sorted(self._going_on - now):
            log.info(said("fault.over", source=source, kind=kind))
        self._going_on = now

    def close_slots(self) -> list[Reading]:
        """Close what is over and can be told, oldest first; return the readings made.

        None is made while something is dated after now: it has to be dated again, or caught up.
        """
        if self._dated_ahead():
            return []
        open_slots = self.outbox.open_slots(self.clock() // SLOT_SECONDS)
        return [reading for slot in open_slots if (reading := self.close_slot(slot))]

    def close_slot(self, slot: int) -> Reading | None:
        """Return a slot's reading, on disk; None if there is none yet or never will be.

        If there never will be, the outbox tells why (`absence_of`).
        """
        entry = self.outbox.reading_of(slot)
        if entry is not None:
            return entry.reading
        start, end = slot * SLOT_SECONDS, (slot + 1) * SLOT_SECONDS
        totals = {
            key: self.outbox.totals_around(key, start, end) for key in self.instruments.devices.keys
        }
        try:
            reading = reading_of(slot, self.site, totals)
        except ReadingImpossible as error:
            self._absent(slot, str(error))
            return None
        now = self.clock()
        if reading is None:
            silent = [
                key for key, known in totals.items() if not known or known[-1].time_seconds < end
            ]
            if now - end > GIVE_UP_SECONDS:
                told = f"slot {slot} must be told within 7 days, got nothing of {', '.join(silent)}"
                self._absent(slot, told)
            return None
        made = self.outbox.keep_reading(reading, now, late=self._late(slot, now))
        log.info(said("reading.made", **_shown(made), late=self._late(slot, now)))
        return made

    def _absent(self, slot: int, reason: str) -> None:
        if self.outbox.absence_of(slot) is None:
            log.warning(said("reading.absent", slot=slot, reason=reason))
        self.outbox.keep_absent(slot, reason)

    def _late(self, slot: int, now_seconds: int) -> bool:
        deadline = self.deadline_seconds
        return deadline is not None and now_seconds > (slot + 1) * SLOT_SECONDS + deadline

    def correct(self, slot: int, energies: Mapping[str, int], reason: str) -> Reading:
        """Make a correction of a slot's reading: energies (Wh) by quantity, and why.

        It replaces what was made but not sent, and follows what was.

        Raises:
            SettingError: if there is no reading of the slot, it has no revision left, or the
                correction changes nothing.
            ReadingImpossible: if the energies contradict each other.
        """
        entry = self.outbox.reading_of(slot)
        if entry is None:
            raise SettingError(f"a correction must be of a slot with a reading, got {slot}")
        before = entry.reading
        if before.revision == REVISION_LIMIT - 1:
            raise SettingError(
                f"slot {slot} must have fewer than {REVISION_LIMIT} revisions to be corrected, "
                f"got {REVISION_LIMIT}"
            )
        values: dict[str, Any] = {**energies, "revision": before.revision + 1}
        reading = replace(before, **values)
        if replace(reading, revision=before.revision) == before:
            raise SettingError(f"a correction must change the reading of slot {slot}")
        made = self.outbox.keep_reading(reconciled(reading), self.clock())
        log.info(said("reading.corrected", **_shown(made), reason=reason))
        return made

    def rewind(self) -> None:
        """Take back what a clock that ran ahead has dated after now."""
        ahead = self._dated_ahead()
        if ahead:
            slots = ",".join(map(str, self.outbox.rewind(self.clock()))) or "none"
            log.warning(said("clock.rewound", ahead_seconds=ahead, slots=slots))

    def _dated_ahead(self) -> int:
        """Return by how many seconds something is dated after now, 0 if nothing is."""
        latest = max((track.latest_seconds for track in self.outbox.tracks().values()), default=0)
        return max(latest - self.clock(), 0)

    # From readings to the chain.

    def sign(self, reading: Reading) -> SignedReading:
        """Return a reading with its signature."""
        return SignedReading(reading, self.signer.sign(reading))

    async def push(self, chain: Chain) -> None:
        """Settle what was sent, then send what waits, oldest first.

        A reading that the chain refuses is kept with the reason and not sent again; those
        beside it go on.

        Raises:
            ChainError: if the chain cannot be reached; nothing is lost.
        """
        await self._settle(chain)
        waiting = [entry.reading for entry in self.outbox.entries(State.MADE)]
        for at in range(0, len(waiting), BATCH_LIMIT):
            await self._post(chain, waiting[at : at + BATCH_LIMIT])

    def _mark(self, readings: Sequence[Reading], state: State, remark: str, event: str) -> None:
        deadline = self.deadline_seconds if state is State.SENT else None
        self.outbox.mark(readings, state, remark, self.clock(), deadline)
        level = log.warning if state in (State.REFUSED, State.MADE) else log.info
        for reading in readings:
            level(said(event, slot=reading.slot, revision=reading.revision, remark=remark))

    async def _settle(self, chain: Chain) -> None:
        """Move what was sent to final or refused, or back if the chain has lost it."""
        now = self.clock()
        for entry in self.outbox.entries(State.SENT):
            reading = entry.reading
            standing = await chain.standing_of(reading.slot, self.site)
            final, newest = _own(standing.final), _own(standing.newest)
            if final == reading or (final and final.revision > reading.revision):
                self._mark([reading], State.FINAL, entry.remark, "reading.final")
            elif final is not None and final.revision == reading.revision:
                self._mark(
                    [reading], State.REFUSED, f"another reading stands: {final}", "reading.refused"
                )
            elif newest != reading and now - entry.changed_seconds > RESEND_SECONDS:
                # A correction is passed over until its slot is settled.
                event = "reading.repeated" if reading.revision else "reading.dropped"
                self._mark([reading], State.MADE, entry.remark, event)
        for entry in self.outbox.entries(State.FINAL, since_seconds=now - RECHECK_SECONDS):
            reading = entry.reading
            newest = _own((await chain.standing_of(reading.slot, self.site)).newest)
            if newest is None or newest.revision < reading.revision:
                self._mark([reading], State.MADE, entry.remark, "reading.dropped")

    async def _post(self, chain: Chain, readings: list[Reading]) -> None:
        while readings:
            try:
                transaction = await chain.post_readings([self.sign(each) for each in readings])
            except Refusal as refusal:
                index = 0 if len(readings) == 1 else getattr(refusal, "index", None)
                if index is None:  # the chain does not say which
                    for reading in readings:
                        await self._post(chain, [reading])
                    return
                refused = readings.pop(index)
                if not isinstance(refusal, PASSING):
                    self._mark([refused], State.REFUSED, str(refusal), "reading.refused")
            else:
                self._mark(readings, State.SENT, transaction, "reading.sent")
                return


def _broken(track: Track, now_seconds: int) -> Track:
    """Return a track whose total of this moment says that something about it is unknown."""
    if track.total is None or track.total.time_seconds != now_seconds:
        return track
    return replace(track, total=replace(track.total, broken=True))


def _own(standing: Reading | None) -> Reading | None:
    """Return a standing reading unless the settlement assumed it: then ours corrects it."""
    return None if standing is None or standing.quality & Quality.ASSUMED else standing


def _shown(reading: Reading) -> dict[str, object]:
    names = ("slot", "revision", "imported", "exported", "generated", "charged", "discharged")
    values = {name: getattr(reading, name) for name in (*names, STORED)}
    return {**values, "quality": (reading.quality.name or "MEASURED").lower()}

"""A site's terminal: it samples the devices, closes half hours, signs and delivers readings.

Everything is on disk before the next step begins, so that a terminal that was killed goes
on where it was: a reading that may have been sent is looked for on the chain, and sending
one twice does no harm there.

Units: time in unix seconds, from the clock that is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from energy.errors import (
    ReadingImpossible,
    Refusal,
    SlotNotOver,
    SlotUnsettled,
)
from energy.messages import Domain, sign
from energy.records import Quality, Reading
from energy.units import SLOT_SECONDS
from oracle.device import Instruments, Sample
from oracle.halfhour import reading_of
from oracle.outbox import Outbox, State
from oracle.totals import Total, Track, followed

BATCH_LIMIT = 100
"""Readings in one transaction: 100 x (32 + 64) bytes."""
RESEND_SECONDS = 600
"""A transaction that has not brought its readings to the chain by then counts as lost."""
PASSING = (SlotNotOver, SlotUnsettled)
"""Refusals that time cures: the reading stays made."""

Signer = Callable[[Reading], bytes]
"""Gives a reading's compact signature: from a key in memory, a token, another machine."""


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

    async def reading_of(self, slot: int, site: int) -> Reading | None:
        """Return the reading that the chain holds beyond recall, if any."""


def key_signer(domain: Domain, key: bytes) -> Signer:
    """Return a signer with a private key (32 bytes) in memory."""
    return lambda reading: sign(reading, domain, key)


class Terminal:
    """The terminal of one site."""

    def __init__(
        self,
        site: int,
        instruments: Instruments,
        outbox: Outbox,
        signer: Signer,
        clock: Callable[[], int],
    ) -> None:
        self.site = site
        self.instruments = instruments
        self.outbox = outbox
        self.signer = signer
        self.clock = clock

    async def sample(self) -> Sample:
        """Read all devices, keep what they show, and return it; faults are in the sample."""
        sample = await self.instruments.sample(self.clock())
        devices = self.instruments.devices
        before = self.outbox.tracks()
        tracks, faults = {}, list(sample.faults)
        for quantity, ceiling_w in devices.ceilings_w.items():
            tracks[quantity], fault = followed(
                before.get(quantity, Track()),
                sample.time_seconds,
                sample.counters.get(quantity),
                sample.powers_w.get(quantity),
                ceiling_w,
            )
            if fault is not None:
                faults.append(f"{quantity}: {fault}")
        if sample.stored_wh is not None:
            tracks["stored"] = Track(Total(sample.time_seconds, sample.stored_wh * 1000))
        self.outbox.keep_sample(sample, tracks, faults)
        return replace(sample, faults=tuple(faults))

    def close_slot(self, slot: int) -> Reading | None:
        """Return a slot's reading, on disk; None if there is none yet or never will be.

        If there never will be, the outbox tells why (`absence_of`).
        """
        entry = self.outbox.reading_of(slot)
        if entry is not None:
            return entry.reading
        start, end = slot * SLOT_SECONDS, (slot + 1) * SLOT_SECONDS
        quantities = list(self.instruments.devices.ceilings_w)
        if self.instruments.devices.battery is not None:
            quantities.append("stored")
        totals = {
            quantity: self.outbox.totals_around(quantity, start, end) for quantity in quantities
        }
        try:
            reading = reading_of(slot, self.site, totals)
        except ReadingImpossible as error:
            self.outbox.keep_absent(slot, str(error))
            return None
        if reading is None:
            return None
        return self.outbox.keep_reading(reading, self.clock())

    def sign(self, reading: Reading) -> SignedReading:
        """Return a reading with its signature."""
        return SignedReading(reading, self.signer(reading))

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

    async def _settle(self, chain: Chain) -> None:
        """Move what was sent to final or refused, or back if its transaction is gone."""
        for entry in self.outbox.entries(State.SENT):
            reading, now_seconds = entry.reading, self.clock()
            standing = await chain.reading_of(reading.slot, self.site)
            if standing is not None and standing.quality & Quality.ASSUMED:
                standing = None  # the slot was settled without ours, which corrects it
            if standing == reading or (standing and standing.revision > reading.revision):
                self.outbox.mark([reading], State.FINAL, entry.remark, now_seconds)
            elif standing is not None and standing.revision == reading.revision:
                remark = f"another reading stands: {standing}"
                self.outbox.mark([reading], State.REFUSED, remark, now_seconds)
            elif now_seconds - entry.changed_seconds > RESEND_SECONDS:
                self.outbox.mark([reading], State.MADE, entry.remark, now_seconds)

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
                    self.outbox.mark([refused], State.REFUSED, str(refusal), self.clock())
            else:
                self.outbox.mark(readings, State.SENT, transaction, self.clock())
                return

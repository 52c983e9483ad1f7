"""The energy that left the battery in the half hour so far, and what calls asked for in it.

Power is integrated from reading to reading. A battery's own counter is right but coarse: the
integral is kept within one step of it, so that after a gap, or a restart from disk, the counter
tells what came meanwhile. A counter that jumps beyond what the battery's power allows is another
one: it is taken up anew.

Energy in milliwatt-hours, positive out of the battery; power in W; time in unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from energy.units import SLOT_SECONDS
from vpp.dispatch.device import BatteryShown

GAP_SECONDS = 10
"""Between readings further apart than this, power alone does not tell the energy."""
OVER = 1.5
"""A counter may advance by this factor more than the rating says, and two of its steps."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """One half hour's energy; `at` is when it was last brought up to date."""

    slot: int
    at: float
    delivered_mwh: float = 0.0
    called_mwh: float = 0.0
    """What calls asked for on top, until `at`."""
    power_w: int = 0
    counter_mwh: float | None = None
    """What the counter (out less in) showed at the slot's start."""
    last_mwh: int | None = None
    """What it showed last."""
    known: bool = True
    """Whether it was kept from the slot's start on."""

    @classmethod
    def opened(cls, now: float, shown: BatteryShown) -> Ledger:
        """Return a ledger that begins now, with nothing known of the slot before."""
        net = _net(shown)
        slot = int(now) // SLOT_SECONDS
        known = now - slot * SLOT_SECONDS <= GAP_SECONDS
        return cls(slot, now, 0.0, 0.0, shown.power_w or 0, net, net, known)

    @property
    def end(self) -> int:
        """When the slot ends."""
        return (self.slot + 1) * SLOT_SECONDS

    @property
    def delivered_wh(self) -> float:
        """What left the battery so far."""
        return self.delivered_mwh / 1000

    @property
    def called_wh(self) -> float:
        """What calls asked for so far."""
        return self.called_mwh / 1000

    def advanced(
        self, now: float, shown: BatteryShown, call_w: int = 0
    ) -> tuple[Ledger, Ledger | None]:
        """Return the ledger after a reading, and the one that it closed, if any.

        `call_w` was asked for since the last reading.
        """
        if now < self.at:  # the clock was set back
            if now < self.end - SLOT_SECONDS - GAP_SECONDS:  # or had run ahead, before a restart
                return self.moved(now - self.at), None
            return replace(self, at=now), None
        if now < self.end:
            return self._until(now, shown, call_w), None
        seconds = now - self.at
        slot = int(now) // SLOT_SECONDS
        start = slot * SLOT_SECONDS
        whole = self._until(now, shown, call_w)
        gained = whole.delivered_mwh - self.delivered_mwh
        after = gained * (now - start) / seconds if seconds else 0.0
        closed = replace(
            self,
            at=float(self.end),
            delivered_mwh=self.delivered_mwh + gained * (self.end - self.at) / seconds,
            called_mwh=self.called_mwh + call_w * (self.end - self.at) / 3.6,
            known=self.known and slot == self.slot + 1,
        )
        net = _net(shown)
        opened = Ledger(
            slot,
            now,
            after,
            call_w * (now - max(start, self.at)) / 3.6,
            shown.power_w or 0,
            None if net is None else net - after,
            net,
            known=slot == self.slot + 1,
        )
        return opened, closed

    def moved(self, seconds: float) -> Ledger:
        """Return the ledger after the clock was set by so much.

        In another half hour it begins anew: how much of that is over is not known.
        """
        at = self.at + seconds
        if int(at) // SLOT_SECONDS == self.slot:
            return replace(self, at=at)
        last = self.last_mwh
        return Ledger(int(at) // SLOT_SECONDS, at, 0.0, 0.0, self.power_w, last, last, known=False)

    def _until(self, now: float, shown: BatteryShown, call_w: int) -> Ledger:
        seconds = now - self.at
        power_w = shown.power_w if shown.power_w is not None else self.power_w
        gained = (power_w + self.power_w) / 2 * seconds / 3.6
        net, counter = _net(shown), self.counter_mwh
        most_w = max(shown.charge_w or 0, shown.discharge_w or 0, abs(power_w), abs(self.power_w))
        if net is not None and self.last_mwh is not None and counter is not None:
            if abs(net - self.last_mwh) > OVER * most_w * seconds / 3.6 + 2 * shown.step_mwh:
                counter = None
        else:
            counter = None
        delivered = self.delivered_mwh + gained
        if counter is not None and net is not None:
            told = net - counter
            if seconds > GAP_SECONDS:
                delivered = told
            # Both ends are rounded down by the counter.
            delivered = min(max(delivered, told - shown.step_mwh), told + shown.step_mwh)
        elif net is not None:
            counter = net - delivered
        return replace(
            self,
            at=now,
            delivered_mwh=delivered,
            called_mwh=self.called_mwh + call_w * seconds / 3.6,
            power_w=power_w,
            counter_mwh=counter,
            last_mwh=net,
        )


def _net(shown: BatteryShown) -> int | None:
    if shown.discharged_mwh is None or shown.charged_mwh is None:
        return None
    return shown.discharged_mwh - shown.charged_mwh

"""The set-point onto the device: when it is written, how long it lasts, and whether it stayed.

Every set-point but a stop carries the device's revert timer and is written anew at half its time:
when nobody writes any more, the battery goes back to self-consumption by itself. A stop has no
timer: it must outlive whoever gave it. Between two commands lie at least `write_seconds`, for the
device's memory and its line; a stop alone does not wait.

Power in W, time in seconds of a clock that nobody sets.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from energy.errors import DeviceError
from vpp.dispatch.device import Battery, Held, Setpoint

HOUR = 3600


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a device is commanded, and when it lets go."""

    revert_seconds: int = 60
    write_seconds: float = 2.0

    @property
    def refresh_seconds(self) -> float:
        """A set-point is written anew at half the device's time."""
        return self.revert_seconds / 2


@dataclass
class Hand:
    """What a battery was told last, and when; `stopped` is whether that stands for good."""

    battery: Battery
    rhythm: Rhythm
    told: Setpoint | None = None
    stopped: bool = False
    held: Setpoint | None = None
    """What the device made of it: it may have coarser steps."""
    at: float | None = None
    """When it was told; None before the first command of this run."""
    tried_at: float | None = None
    tried_stop: bool = False
    failures: int = 0
    commands: int = 0
    _times: deque[float] = field(default_factory=deque)

    def take_over(self, held: Held | None, now: float) -> None:
        """Begin with what the device holds from before; that it holds nothing need not be told."""
        if held is not None and self.at is None and self.tried_at is None:
            self.told = self.held = held.setpoint
            self.at = now if held.setpoint is None else None

    def strayed(self, held: Held | None) -> str:
        """Return how what the device holds now differs from what it held after the command."""
        if held is None or self.at is None or self.failures or held.setpoint == self.held:
            return ""
        return f"it must hold {_spelled(self.held)}, got {_spelled(held.setpoint)}"

    def is_due(
        self, wanted: Setpoint | None, now: float, *, stop: bool = False, strayed: bool = False
    ) -> bool:
        """Return whether the device has to be commanded now.

        A `stop` is another thing than a set-point of nothing: that has its timer.
        """
        is_told = (wanted, stop) == (self.told, self.stopped)
        if is_told and self.at is not None and not self.failures and not strayed:
            lasts = wanted is None or stop
            return not lasts and now - self.at >= self.rhythm.refresh_seconds
        if self.tried_at is None or (stop and not self.tried_stop):
            return True
        # Ever later where it declines; a stop is tried on and on.
        doubled = 0 if stop else min(self.failures, 8)
        pause = self.rhythm.write_seconds * float(2**doubled)
        return now - self.tried_at >= min(pause, max(self.rhythm.refresh_seconds, 1.0))

    async def command(self, wanted: Setpoint | None, now: float, *, stop: bool = False) -> None:
        """Command the device; a `stop` so that it stands for good.

        Raises:
            DeviceError: if it does not take or hold it; what it holds then is not known.
        """
        self.tried_at, self.tried_stop = now, stop
        self.commands += 1
        self._times.append(now)
        try:
            held = await self.battery.command(wanted, 0 if stop else self.rhythm.revert_seconds)
        except DeviceError:
            self.failures += 1
            raise
        self.told, self.stopped, self.held = wanted, stop, held
        self.at, self.failures = now, 0

    def commands_an_hour(self, now: float) -> int:
        """Return how many commands were written in the last hour."""
        while self._times and self._times[0] < now - HOUR:
            self._times.popleft()
        return len(self._times)


def _spelled(setpoint: Setpoint | None) -> str:
    return "no set-point" if setpoint is None else str(setpoint)

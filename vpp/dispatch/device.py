"""A battery as dispatch sees it, whatever protocol it speaks.

    read      what it shows now, what it holds of an earlier command, and what of that is nonsense
    command   a set-point, and after how long without another one the device lets go of it itself

`vpp.dispatch.sunspec` is one such device. Power in W, positive out of the battery (negative is
charging) as in SunSpec's model 704; energy in Wh, counters in milliwatt-hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Setpoint:
    """What leaves the battery, from `least_w` to `most_w`; within, it follows the site's need.

    Charging from the network within a range is the device's own matter; a single power is exact.
    Where no set-point is given (None), the battery is on its own: self-consumption.

    >>> Setpoint.exactly(-3_000)
    Setpoint(least_w=-3000, most_w=-3000)
    """

    least_w: int
    most_w: int

    def __post_init__(self) -> None:
        if self.least_w > self.most_w:
            raise ValueError(f"least_w must be at most {self.most_w} W, got {self.least_w} W")

    @classmethod
    def exactly(cls, power_w: int) -> Setpoint:
        """Return the set-point of one power."""
        return cls(power_w, power_w)

    @property
    def power_w(self) -> int | None:
        """The one power; None for a range."""
        return self.most_w if self.least_w == self.most_w else None

    def __str__(self) -> str:
        return (
            f"{self.most_w} W" if self.power_w is not None else f"{self.least_w}..{self.most_w} W"
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What a device holds of its last command; no set-point: none, or its time ran out."""

    setpoint: Setpoint | None
    revert_seconds: int = 0


@dataclass(frozen=True, slots=True)
class BatteryShown:
    """What a battery shows at a moment; None is "not told".

    `nonsense` names each value that cannot be, which is left out: a state of charge of 140 %, a
    power that is "not implemented".
    """

    power_w: int | None = None
    stored_wh: int | None = None
    capacity_wh: int | None = None
    reserve_wh: int = 0
    """What it keeps back by itself, whatever it is told."""
    charge_w: int | None = None
    """The most that it can charge with, above 0."""
    discharge_w: int | None = None
    """The most that it can discharge with, above 0."""
    charged_mwh: int | None = None
    """A counter of all that went into it."""
    discharged_mwh: int | None = None
    """A counter of all that came out of it."""
    step_mwh: int = 1
    """The counters' step."""
    held: Held | None = None
    keeps_off_grid: bool = False
    """Whether it charges from the site's surplus alone by itself, as it was set up to."""
    nonsense: tuple[str, ...] = ()


class Battery(Protocol):
    """A battery that can be read and commanded."""

    @property
    def follows_ranges(self) -> bool:
        """Whether it follows the site's need within a range by itself; else ranges are refused."""
        ...

    @property
    def reverts(self) -> bool:
        """Whether it lets go of a set-point by itself when its time is over."""
        ...

    async def read(self) -> BatteryShown:
        """Return what it shows now.

        Raises:
            DeviceError: if it does not answer, or with nothing that makes sense.
        """
        ...

    async def command(self, setpoint: Setpoint | None, revert_seconds: int) -> Setpoint | None:
        """Give it a set-point, or None to let it go; return what it then holds, read back.

        Without another command within `revert_seconds` it lets go by itself; 0: never.

        Raises:
            DeviceError: if it does not take it, or holds something else afterwards.
        """
        ...

    def close(self) -> None:
        """Hang up; what it was told stands for its time."""
        ...


class Power(Protocol):
    """A meter (import positive) or an inverter (generation positive)."""

    async def read(self) -> int:
        """Return the power now, in W.

        Raises:
            DeviceError: if it does not answer, or with nothing that makes sense.
        """
        ...

    def close(self) -> None:
        """Hang up."""
        ...

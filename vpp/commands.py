"""What a control room and a site's battery say to each other, whatever carries it.

    Instruction   from the control room: do this, then and so long
    Answer        from the site: taken, or refused and why; and when the power first changed
    Report        from the site, every few seconds: how it stands

At most one instruction of an action holds at a site: a newer one of the same action replaces
it. Of those that hold now the first of this order is followed, the rest wait behind it:

    emergency stop > the owner's override at the site > CALL > CHARGE, DISCHARGE, HOLD > PLAN
    > self-consumption

`LIMIT` narrows whatever is followed, but for a stop and the owner's override. `RESUME` ends a stop
and takes back everything but the plan; what the owner said at the site is his to take back.

Units: power in W and energy in Wh, whole numbers; time in unix seconds. What leaves the battery
is positive, what goes into it negative, as in SunSpec's model 704; at the meter import is positive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from energy.errors import SettingError


class Action(Enum):
    """What a site is told to do."""

    PLAN = "plan"
    """Follow `plan_wh`: what leaves the battery in each half hour from `starts_at` on."""
    CALL = "call"
    """Give `power_w` more (below 0: less) than what would be followed without the call; with 0 the
    call is over."""
    CHARGE = "charge"
    """Charge with `power_w` (above 0)."""
    DISCHARGE = "discharge"
    """Discharge with `power_w` (above 0)."""
    HOLD = "hold"
    """Neither."""
    LIMIT = "limit"
    """Charge and discharge with at most `power_w` (0 or more)."""
    STOP = "stop"
    """Neither, whatever else was said, until `RESUME`; it does not end by itself."""
    RESUME = "resume"
    """End a stop, and take back limits, commands and calls."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction to one site.

    It is taken until `expires_at` only, and only with a `sequence` above that of each one before;
    what it says holds from `starts_at` to `ends_at`. A sequence is the control room's time in
    unix microseconds, so that its processes need not agree on one.

    Raises:
        SettingError: for times or powers that contradict each other or the action.
    """

    site: int
    sequence: int
    action: Action
    starts_at: int
    ends_at: int
    expires_at: int
    power_w: int = 0
    plan_wh: tuple[int, ...] = ()
    call: str = ""
    """Which balancing call it belongs to, of a `CALL`."""

    def __post_init__(self) -> None:
        if not self.starts_at < self.ends_at:
            raise SettingError(
                f"an instruction must end after {self.starts_at}, got {self.ends_at}"
            )
        if self.sequence <= 0:
            raise SettingError(f"an instruction's sequence must be above 0, got {self.sequence}")
        if self.action in (Action.CHARGE, Action.DISCHARGE) and self.power_w <= 0:
            raise SettingError(
                f"power_w must be above 0 W to {self.action.value}, got {self.power_w} W"
            )
        if self.action is Action.LIMIT and self.power_w < 0:
            raise SettingError(f"power_w must be 0 W or more to limit, got {self.power_w} W")
        if self.action is Action.CALL and not self.call:
            raise SettingError(f"a call must have a name, got {self.call!r}")
        if (self.action is Action.PLAN) != bool(self.plan_wh):
            raise SettingError(
                f"plan_wh must be given to a plan alone, got {len(self.plan_wh)} half hours to "
                f"{self.action.value}"
            )


@dataclass(frozen=True, slots=True)
class Answer:
    """A site's answer to an instruction; `refused` is empty when it was taken."""

    site: int
    sequence: int
    at: int
    refused: str = ""
    changed_at: float | None = None
    """When the battery's power was first seen to follow, in unix seconds; None as yet."""

    @property
    def taken(self) -> bool:
        """Whether the site took it."""
        return not self.refused


class Following(Enum):
    """What a site follows now, in falling priority, with what stops it from doing so."""

    OUT = "out"
    """The device is out of dispatch: it does not answer, or what it says is nonsense."""
    STOP = "stop"
    OVERRIDE = "override"
    CALL = "call"
    COMMAND = "command"
    PLAN = "plan"
    SELF = "self"
    """Self-consumption: by itself, for want of anything else."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a site stands at a moment; what is not known, or too old, is None."""

    site: int
    name: str
    municipality: str
    kind: str
    """What stands behind the meter, as `pv+battery`; a selector's type."""
    at: int
    following: Following
    sequence: int = 0
    """The highest that was taken."""
    stored_wh: int | None = None
    capacity_wh: int | None = None
    battery_w: int | None = None
    generated_w: int | None = None
    imported_w: int | None = None
    charge_w: int = 0
    """The most that it may be told to charge with now, by its owner, device and state of charge."""
    discharge_w: int = 0
    target_w: int | None = None
    call: str = ""
    alarms: tuple[str, ...] = field(default=())

    @property
    def charge_share(self) -> float | None:
        """State of charge, 0 to 1."""
        if self.stored_wh is None or not self.capacity_wh:
            return None
        return self.stored_wh / self.capacity_wh


class Steered(Protocol):
    """What a link at a site gives instructions to, and asks how the site stands."""

    async def give(self, instruction: Instruction) -> Answer:
        """Take or refuse an instruction whose sender, sequence and expiry have been checked."""
        ...

    def answer_of(self, sequence: int) -> Answer | None:
        """Return the answer to an instruction as it stands by now: with when power changed."""
        ...

    def report(self) -> Report:
        """Return how the site stands, without waiting for a device."""
        ...

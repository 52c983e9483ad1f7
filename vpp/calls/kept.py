"""What is kept of calls: how far each is, who was to give what, who was told, what was seen.

Units: power in W; time in unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from vpp.calls.call import Call, State


@dataclass(frozen=True, slots=True)
class Kept:
    """A call and how far it is."""

    call: Call
    state: State
    changed_at: int

    @property
    def ended_at(self) -> int:
        """When nothing more was asked: at its end, or when it was cancelled."""
        if self.state is State.CANCELLED:
            return min(max(self.changed_at, self.call.starts_at), self.call.ends_at)
        return self.call.ends_at


@dataclass(frozen=True, slots=True)
class Share:
    """What a site is to give a call for a time; below 0: less, W."""

    site: int
    starts_at: int
    ends_at: int
    power_w: int

    def from_on(self, now: int) -> Share | None:
        """Return what is left of it at a moment; None if it is over."""
        if self.ends_at <= now:
            return None
        return Share(self.site, max(self.starts_at, now), self.ends_at, self.power_w)


@dataclass(frozen=True, slots=True)
class Told:
    """An instruction that was sent, and what came back."""

    sequence: int
    site: int
    call: str
    starts_at: int
    ends_at: int
    power_w: int
    sent_at: int
    answered_at: int | None
    refused: str
    changed_at: float | None

    @property
    def taken(self) -> bool:
        """Whether the site took it."""
        return self.answered_at is not None and not self.refused


@dataclass(frozen=True, slots=True)
class Minute:
    """The means of what a site reported in a minute (unix seconds // 60), W."""

    site: int
    minute: int
    samples: int
    battery_w: float
    imported_w: float
    generated_w: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a call's journal."""

    call: str
    at: int
    event: str
    site: int | None
    detail: str

"""Counters of field devices as running totals: one place for roll-over, silence and exchange.

A device's counter is finite, may be replaced, and may show nonsense for a moment. Its
running total, kept by the terminal, only grows, by what the counter certainly advanced:

| what the counter does                      | the total                                    |
| ------------------------------------------ | -------------------------------------------- |
| advances by no more than physics allows    | advances with it, over the roll-over too     |
| is silent, or zero after it was above zero | waits; the counter tells when it is back     |
| stands still although power flows          | waits; the counter tells when it moves       |
| jumps, for one sample                      | waits; the counter tells when it is back     |
| jumps, and goes on from there              | leaves out the interval, which is *broken*   |
| changes its scale factor                   | waits while the coarser counter is behind    |
| has never answered, but power has          | adds mean power x time, which is *integrated*|

Units: totals in milliwatt-hours (mWh), exact for scale factors down to -3; power in W;
time in unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

GAP_SECONDS = 300
"""Power is not integrated over more than this between two samples."""
STUCK_MWH = 100_000
STUCK_STEPS = 10
"""A counter stands still for 100 Wh, or ten of its steps, of power before it counts as stuck."""


class Oddity(NamedTuple):
    """What is wrong with a sample of a counter: its kind, and the values."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Counter:
    """A device's counter: where it stands, at what it rolls over, its smallest step (mWh)."""

    value: int
    span: int
    step: int


@dataclass(frozen=True, slots=True)
class Total:
    """A running total (mWh) at a moment.

    `broken`: some energy since the total before is unknown and left out. `integrated`: what
    came since the total before is power x time.
    """

    time_seconds: int
    milliwatthours: int
    broken: bool = False
    integrated: bool = False


@dataclass(frozen=True, slots=True)
class Track:
    """What is remembered of a counter: the last total, and what the device showed with it.

    `power_w` is kept while no counter has ever answered; `suspect` is a counter that made
    no sense, with its time, until the next sample tells. `idle_mwh` is the energy by power
    since the counter last moved, `seen_seconds` the last sample that it was in.
    """

    total: Total | None = None
    counter: Counter | None = None
    power_w: int | None = None
    suspect: tuple[int, Counter] | None = None
    idle_mwh: int = 0
    seen_seconds: int = 0

    @property
    def latest_seconds(self) -> int:
        """When it was last told something, whether that made sense or not; -1 before the first."""
        told = self.total.time_seconds if self.total else -1
        return max(told, self.suspect[0] if self.suspect else -1)


def followed(
    track: Track,
    time_seconds: int,
    counter: Counter | None,
    power_w: int | None,
    ceiling_w: int,
) -> tuple[Track, Oddity | None]:
    """Return the track after a sample, and what was wrong with it, if anything.

    The track has a new `total` if the sample told one. `ceiling_w` is more than the
    device can ever carry.
    """
    last = track.total
    latest = track.latest_seconds
    if time_seconds < latest:
        return track, Oddity(
            "clock-back", f"the clock must go on from {latest}, got {time_seconds} s"
        )
    if time_seconds == latest:
        return track, None
    if counter is None:
        if track.counter is not None:
            return track, None
        return _integrated(track, time_seconds, power_w), None
    if last is None:
        return Track(Total(time_seconds, counter.value), counter), None
    if track.counter is None:
        total = _integrated(track, time_seconds, power_w).total
        if total is last:  # no power either
            total = replace(last, time_seconds=time_seconds, broken=True)
        return Track(total, counter), None
    if counter.value == 0 < track.counter.value:
        return track, Oddity(
            "counter-zero",
            f"a counter must not return to zero, got 0 after {_wh(track.counter)} Wh",
        )
    advance = advance_of(track.counter, counter, time_seconds - last.time_seconds, ceiling_w)
    if advance is not None:
        if advance == 0:
            return _idle(track, last, time_seconds, counter, power_w)
        return Track(Total(time_seconds, last.milliwatthours + advance), counter), None
    if track.suspect is not None:
        since, suspect = track.suspect
        advance = advance_of(suspect, counter, time_seconds - since, ceiling_w)
        if advance is not None:
            total = Total(time_seconds, last.milliwatthours + advance, broken=True)
            return Track(total, counter), Oddity(
                "counter-replaced",
                f"a counter must go on from {_wh(track.counter)} Wh, got another that goes on "
                f"from {_wh(suspect)} Wh; what came between is left out",
            )
    return replace(track, suspect=(time_seconds, counter)), Oddity(
        "counter-jump",
        f"a counter must go on from {_wh(track.counter)} Wh within {ceiling_w} W, "
        f"got {_wh(counter)} Wh after {time_seconds - last.time_seconds} s",
    )


def _idle(
    track: Track, last: Total, time_seconds: int, counter: Counter, power_w: int | None
) -> tuple[Track, Oddity | None]:
    """Return the track of a counter that did not move; it waits if power says that it should."""
    assert track.counter is not None
    since = max(last.time_seconds, track.seen_seconds)
    idle_mwh = track.idle_mwh + (power_w or 0) * (time_seconds - since) * 1000 // 3600
    # A coarser counter that has not caught up would count its own rounding: the base stays.
    still = replace(track, suspect=None, idle_mwh=idle_mwh, seen_seconds=time_seconds)
    step = max(track.counter.step, counter.step)
    if idle_mwh > max(STUCK_MWH, STUCK_STEPS * step):
        return still, Oddity(
            "counter-stuck",
            f"a counter must move with {power_w} W, got {_wh(track.counter)} Wh after "
            f"{idle_mwh // 1000} Wh by power",
        )
    return replace(still, total=replace(last, time_seconds=time_seconds, broken=False)), None


def advance_of(before: Counter, after: Counter, seconds: int, ceiling_w: int) -> int | None:
    """Return by how much (mWh) a counter advanced; None if it cannot be the same counter.

    >>> advance_of(Counter(4294967290_000, 2**32 * 1000, 1000), Counter(4_000, 2**32 * 1000, 1000),
    ...            60, 40_000)
    10000
    """
    step = max(before.step, after.step)
    # One second for the rounding of both times, one step for that of both counters.
    allowed = ceiling_w * (seconds + 1) * 1000 // 3600 + step
    advance = after.value - before.value
    if before.span == after.span:
        advance %= before.span
    elif -step < advance < 0:
        advance = 0
    # Within such a time a counter may have rolled over unseen.
    if allowed >= min(before.span, after.span):
        return None
    return advance if 0 <= advance <= allowed else None


def _integrated(track: Track, time_seconds: int, power_w: int | None) -> Track:
    """Return the track with power integrated from the sample before, by trapezium."""
    if power_w is None:
        return track
    if track.total is None:
        return Track(Total(time_seconds, 0), power_w=power_w)
    seconds = time_seconds - track.total.time_seconds
    if seconds > GAP_SECONDS or track.power_w is None:
        total = Total(time_seconds, track.total.milliwatthours, broken=True, integrated=True)
    else:
        energy = (track.power_w + power_w) * seconds * 1000 // 7200
        total = Total(time_seconds, track.total.milliwatthours + energy, integrated=True)
    return Track(total, power_w=power_w)


def _wh(counter: Counter) -> int:
    return counter.value // 1000

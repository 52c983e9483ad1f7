"""What a site would have used without a call: Japan's standard baseline, High 4 of 5.

Of the five most recent days of the same kind before the day of the call (working days, or
Saturdays, Sundays and holidays: then High 2 of 3), the four with the highest mean in the hours of
the call are averaged, half hour by half hour. To that is added the same-day adjustment: the mean
of what the day itself differs from the same average in the six half hours from 5 to 2 hours before
the call. Left out are days with a call, and days whose mean in these hours is below a quarter of
the mean of the days taken; more recent days do not become older than 30. With only four days left
all four are averaged; with fewer, days with a call fill up the four, those of the highest mean
first.

Source: Agency for Natural Resources and Energy (資源エネルギー庁), Guidelines for Energy Resource
Aggregation Business (ERABに関するガイドライン), chapter 2, baselines.

Units: energy at the meter in Wh a half hour, import above 0, export below.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from energy.units import SLOTS_PER_DAY, day_of
from vpp.calendar import DayKind, kind_of

DAYS_BACK = 30
LEAST_SHARE = 0.25
ADJUSTED_FROM, ADJUSTED_TO = 10, 4
"""Half hours before the call between which the day itself is looked at: 5 and 2 hours."""


class ReverseFlow(Enum):
    """What becomes of half hours in which a site sends power out."""

    COUNTED = "counted"
    """They count below zero: the net flow at the meter is what is compared."""
    CUT = "cut"
    """They count as zero, and so does a baseline below it: only demand is compared."""


class LeftOut(Enum):
    """Why a day was not taken."""

    CALLED = "a call"
    UNREAD = "readings missing"
    LOW = "below a quarter of the mean"


@dataclass(frozen=True)
class Baseline:
    """A baseline by half hour of the call, Wh, and how it came about.

    `days` are those averaged, `considered` those of which the highest were chosen. `adjustment_wh`
    is what was added to each half hour; None where no reading of the day was there to go by.
    """

    wh: Mapping[int, int]
    days: tuple[date, ...]
    considered: tuple[date, ...]
    left_out: Mapping[date, LeftOut]
    adjustment_wh: float | None
    filled_up: bool = False
    reverse: ReverseFlow = ReverseFlow.COUNTED

    def counted(self, flow: float) -> int:
        """Return a net flow as it is compared with the baseline."""
        return round(max(flow, 0) if self.reverse is ReverseFlow.CUT else flow)


def high_4_of_5(
    flow_wh: Mapping[int, int],
    window: range,
    called: Collection[date] = (),
    reverse: ReverseFlow = ReverseFlow.COUNTED,
    kind: Callable[[date], DayKind] = kind_of,
) -> Baseline | None:
    """Return a site's baseline in the half hours of a call; None if no day can be gone by.

    `flow_wh` is the site's net flow by slot, `called` the days on which it answered a call.
    """
    if reverse is ReverseFlow.CUT:
        flow_wh = {slot: max(wh, 0) for slot, wh in flow_wh.items()}
    works = kind(day_of(window.start)) is DayKind.WORKING
    count, highest = (5, 4) if works else (3, 2)
    left_out: dict[date, LeftOut] = {}
    like: list[int] = []
    with_call: list[int] = []
    for back in range(1, DAYS_BACK + 1):
        shift = back * SLOTS_PER_DAY
        day = day_of(window.start - shift)
        if (kind(day) is DayKind.WORKING) is not works:
            continue
        if any(slot - shift not in flow_wh for slot in window):
            left_out[day] = LeftOut.UNREAD
        elif day in called:
            left_out[day] = LeftOut.CALLED
            with_call.append(shift)
        else:
            like.append(shift)

    def mean(shift: int) -> float:
        return sum(flow_wh[slot - shift] for slot in window) / len(window)

    like = _without_low(like, count, mean, left_out, window)
    considered = like[:count]
    filled = len(considered) < highest
    if filled:
        considered += sorted(with_call, key=mean, reverse=True)[: highest - len(considered)]
    if not considered:
        return None
    # Of equal days the more recent ones: sorting keeps their order.
    taken = sorted(considered, key=mean, reverse=True)[:highest]

    def average(slot: int) -> float | None:
        values = [flow_wh[slot - shift] for shift in taken if slot - shift in flow_wh]
        return sum(values) / len(values) if values else None

    adjustment = _adjustment(flow_wh, window.start, average)
    least = 0 if reverse is ReverseFlow.CUT else None
    wh = {}
    for slot in window:
        value = round((average(slot) or 0.0) + (adjustment or 0.0))
        wh[slot] = value if least is None else max(value, least)
    return Baseline(
        wh=wh,
        days=tuple(sorted(day_of(window.start - shift) for shift in taken)),
        considered=tuple(sorted(day_of(window.start - shift) for shift in considered)),
        left_out=left_out,
        adjustment_wh=adjustment,
        filled_up=filled,
        reverse=reverse,
    )


def _without_low(
    like: Sequence[int],
    count: int,
    mean: Callable[[int], float],
    left_out: dict[date, LeftOut],
    window: range,
) -> list[int]:
    """Return the days less those far below the ones taken, for which older ones move up."""
    kept = list(like)
    while True:
        taken = kept[:count]
        total = sum(map(mean, taken)) / len(taken) if taken else 0.0
        low = [shift for shift in taken if total > 0 and mean(shift) < LEAST_SHARE * total]
        if not low:
            return kept
        for shift in low:
            left_out[day_of(window.start - shift)] = LeftOut.LOW
            kept.remove(shift)


def _adjustment(
    flow_wh: Mapping[int, int], first: int, average: Callable[[int], float | None]
) -> float | None:
    differences = []
    for slot in range(first - ADJUSTED_FROM, first - ADJUSTED_TO):
        usual = average(slot)
        if slot in flow_wh and usual is not None:
            differences.append(flow_wh[slot] - usual)
    return sum(differences) / len(differences) if differences else None

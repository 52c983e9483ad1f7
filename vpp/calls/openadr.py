"""OpenADR 3.1: events as calls, and what is reported of them.

A VTN (the grid's side) holds programs and events; a VEN (this side) asks for them, and posts
reports. An event has intervals with payloads:

| payload                      | what is asked of the fleet                              |
| ---------------------------- | ------------------------------------------------------- |
| `DISPATCH_SETPOINT_RELATIVE` | so much more consumption, below 0 less                  |
| `DISPATCH_SETPOINT`          | this consumption: what it differs from the expected one |
| `IMPORT_CAPACITY_LIMIT`      | no more import: what the expected one has above it      |
| `EXPORT_CAPACITY_LIMIT`      | no more export: what the expected one has above it      |

An event that asks for more in some intervals and for less in others is two calls, one a direction.

Source: OpenADR 3.1.0 Definitions (OpenADR Alliance, 2025), and its enumerations of event and report
payloads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any, TypeGuard

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from energy.errors import SettingError
from vpp.calls.call import LOWEST_PRIORITY, Call, Direction, Product, Source, Step

Expected = Callable[[int, int], int | None]
"""What flows into all sites by itself between two moments, mean W; below 0 out of them."""

RELATIVE = "DISPATCH_SETPOINT_RELATIVE"
ABSOLUTE = ("DISPATCH_SETPOINT", "IMPORT_CAPACITY_LIMIT", "EXPORT_CAPACITY_LIMIT")
UNITS_W = {"KW": 1_000, "W": 1, "MW": 1_000_000}
NOW = ("0001-01-01", "0000-01-01", "0000-00-00")
"""What a start begins with that means now."""
_DURATION = re.compile(
    r"P(?:(?P<Y>\d+)Y)?(?:(?P<M>\d+)M)?(?:(?P<W>\d+)W)?(?:(?P<D>\d+)D)?"
    r"(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)
_SECONDS = {"Y": 31_536_000, "M": 2_592_000, "W": 604_800, "D": 86_400, "h": 3600, "m": 60, "s": 1}


class _Object(BaseModel):
    """What a VTN sends: what is not known here is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def _listed(value: Any) -> Any:
    return [] if value is None else value


class ValuesMap(_Object):
    """Values of a type."""

    type: str
    values: list[Any]


class IntervalPeriod(_Object):
    """When an interval begins and how long it lasts."""

    start: str | None = None
    duration: str | None = None
    randomizeStart: str | None = None  # noqa: N815


class Interval(_Object):
    """An interval and what it says."""

    id: int
    payloads: list[ValuesMap]
    intervalPeriod: IntervalPeriod | None = None  # noqa: N815


class PayloadDescriptor(_Object):
    """In what units a payload is."""

    payloadType: str  # noqa: N815
    units: str | None = None


Descriptors = Annotated[list[PayloadDescriptor], BeforeValidator(_listed)]


class Program(_Object):
    """A program: under its name the terms were agreed."""

    id: str
    programName: str  # noqa: N815
    payloadDescriptors: Descriptors = Field(default_factory=list)  # noqa: N815


class Event(_Object):
    """An event: what the grid asks for."""

    id: str
    programID: str  # noqa: N815
    modificationDateTime: str  # noqa: N815
    priority: int | None = None
    intervalPeriod: IntervalPeriod | None = None  # noqa: N815
    duration: str | None = None
    intervals: Annotated[list[Interval], BeforeValidator(_listed)] = Field(default_factory=list)
    payloadDescriptors: Descriptors = Field(default_factory=list)  # noqa: N815

    @property
    def is_absolute(self) -> bool:
        """Whether what it asks for depends on what is to be expected."""
        return any(p.type in ABSOLUTE for each in self.intervals for p in each.payloads)


def seconds_of(duration: str) -> int:
    """Return an ISO 8601 duration in seconds; a year is 365 days, a month 30.

    >>> seconds_of("PT1H30M"), seconds_of("P1D")
    (5400, 86400)

    Raises:
        SettingError: if it is none.
    """
    match = _DURATION.fullmatch(duration)
    if match is None or duration in ("P", "PT"):
        raise SettingError(f"a duration must be as PT30M, got {duration!r}")
    return int(sum(_SECONDS[unit] * float(value or 0) for unit, value in match.groupdict().items()))


def moment_of(text: str, now: int) -> int:
    """Return an RFC 3339 time in unix seconds; the year 1 stands for now.

    Raises:
        SettingError: if it is none.
    """
    if text.startswith(NOW):
        return now
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingError(f"a time must be as 2026-11-25T17:00:00+09:00, got {text!r}") from error
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def spans_of(event: Event, now: int, offset: Callable[[int], int]) -> list[tuple[int, int]]:
    """Return when each interval of an event begins and ends.

    Intervals without a period of their own follow each other from the event's on; `offset` says
    how much of the range of `randomizeStart` (seconds) an event's start is moved.

    Raises:
        SettingError: if an interval has no start or no duration.
    """
    base = event.intervalPeriod or IntervalPeriod()
    at = moment_of(base.start, now) if base.start else None
    if at is not None and base.randomizeStart:
        at += offset(seconds_of(base.randomizeStart))
    spans = []
    for interval in event.intervals:
        own = interval.intervalPeriod or IntervalPeriod()
        start = moment_of(own.start, now) if own.start else at
        duration = own.duration or base.duration
        if start is None or duration is None:
            what = "start" if start is None else "duration"
            raise SettingError(
                f"event {event.id}: interval {interval.id} must have a {what}, got none"
            )
        if own.randomizeStart:
            start += offset(seconds_of(own.randomizeStart))
        end = start + seconds_of(duration)
        spans.append((start, end))
        at = end
    return spans


def calls_of(
    event: Event,
    program: Program,
    product: Product,
    now: int,
    expected: Expected,
    offset: Callable[[int], int],
    revision: str,
    received_at: int,
) -> list[Call]:
    """Return the calls that an event is: none, one, or one a direction.

    Raises:
        SettingError: for payloads, units or times that cannot be answered.
    """
    steps: dict[Direction, list[Step]] = {Direction.UP: [], Direction.DOWN: []}
    for interval, (start, end) in zip(event.intervals, spans_of(event, now, offset), strict=True):
        watts = sum(_more(event, program, each, start, end, expected) for each in interval.payloads)
        if watts:
            direction = Direction.UP if watts > 0 else Direction.DOWN
            steps[direction].append(Step(start, end, abs(watts)))
    return [
        Call(
            name=f"{event.id}.{direction.value}",
            direction=direction,
            steps=tuple(sorted(found, key=lambda step: step.starts_at)),
            received_at=received_at,
            product=product,
            priority=LOWEST_PRIORITY if event.priority is None else event.priority,
            source=Source.OPENADR,
            external=event.id,
            revision=revision,
        )
        for direction, found in steps.items()
        if found
    ]


def _is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number; Python reads true as 1, and 1e999 as infinity."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def _more(
    event: Event, program: Program, payload: ValuesMap, start: int, end: int, expected: Expected
) -> int:
    """Return how much more the fleet is to give, W; below 0: less."""
    if payload.type != RELATIVE and payload.type not in ABSOLUTE:
        known = ", ".join((RELATIVE, *ABSOLUTE))
        raise SettingError(
            f"event {event.id}: a payload must be one of {known}, got {payload.type}"
        )
    if len(payload.values) != 1 or not _is_number(payload.values[0]):
        raise SettingError(
            f"event {event.id}: {payload.type} must have one number, got {payload.values!r:.60}"
        )
    descriptors = [*event.payloadDescriptors, *program.payloadDescriptors]
    units = next((d.units for d in descriptors if d.payloadType == payload.type and d.units), "KW")
    if units not in UNITS_W:
        raise SettingError(f"event {event.id}: units must be KW, W or MW, got {units}")
    watts = round(payload.values[0] * UNITS_W[units])
    if payload.type == RELATIVE:
        return -watts
    flow = expected(start, end)
    if flow is None:
        raise SettingError(
            f"event {event.id}: {payload.type} must have something to go by, but no site reports"
        )
    if payload.type == "DISPATCH_SETPOINT":
        return flow - watts
    if payload.type == "IMPORT_CAPACITY_LIMIT":
        return max(flow - watts, 0)
    return min(flow + watts, 0)

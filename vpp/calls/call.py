"""A balancing call: so much more or less power from the fleet, from then to then, on what terms.

    ACCEPTED ──► RUNNING ──► ENDED
        └───────────┴─────► CANCELLED

Units: power in W, energy in Wh, whole numbers; time in unix seconds; a price of energy in 0.001
JPY/kWh, a price of power in 0.001 JPY per kW and half hour, so that W or Wh times a price is
microyen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from energy.errors import SettingError
from energy.units import PRICE_LIMIT, SLOT_SECONDS, TIME_LIMIT

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,149}")
POWER_LIMIT_W = 10**10
DAY_SECONDS = 86_400
LONGEST_SECONDS = DAY_SECONDS
"""A longer call would be measured against a baseline of its own hours."""
LOWEST_PRIORITY = 2**31 - 1


class Direction(Enum):
    """Which way a call goes, seen from the grid."""

    UP = "up"
    """More from the fleet: more out of the batteries, less import. In demand response, less use."""
    DOWN = "down"
    """Less from the fleet: more into the batteries, more import."""

    @property
    def sign(self) -> int:
        """Return the sign of what a site's battery gives more."""
        return 1 if self is Direction.UP else -1


class State(Enum):
    """How far a call is."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    ENDED = "ended"
    CANCELLED = "cancelled"

    @property
    def is_live(self) -> bool:
        """Whether sites still have to do with it."""
        return self in (State.ACCEPTED, State.RUNNING)


class Source(Enum):
    """By what way a call came."""

    REST = "rest"
    OPENADR = "openadr"


class Basis(Enum):
    """Against what a delivery is measured and paid."""

    METER = "meter"
    """The baseline at the meter, High 4 of 5 with same-day adjustment (`vpp.calls.baseline`)."""
    PLAN = "plan"
    """What the battery was planned to do."""


@dataclass(frozen=True, slots=True)
class Product:
    """The terms of a call.

    `price_kwh` is paid for what is delivered up to what was asked, `price_kw` for standing ready
    for what was asked. What is missing below the asked less `tolerance` (0 to 1) of it costs
    `penalty` times `price_kw`, from `response_seconds` after the call came at the earliest.

    Raises:
        SettingError: for terms beyond their range.
    """

    name: str = "balancing"
    price_kwh: int = 0
    price_kw: int = 0
    penalty: float = 1.5
    tolerance: float = 0.1
    response_seconds: int = 300
    basis: Basis = Basis.METER

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise SettingError(f"a product's name must be like tertiary-2, got {self.name!r}")
        for name in ("price_kwh", "price_kw"):
            _within(f"{self.name}: {name}", getattr(self, name), 0, PRICE_LIMIT - 1)
        _within(f"{self.name}: penalty", self.penalty, 0, 100)
        _within(f"{self.name}: tolerance", self.tolerance, 0, 1)
        _within(f"{self.name}: response_seconds", self.response_seconds, 0, DAY_SECONDS)


@dataclass(frozen=True, slots=True)
class Step:
    """So much power, above 0, from a moment to another."""

    starts_at: int
    ends_at: int
    power_w: int

    def wh_in(self, starts_at: int, ends_at: int) -> int:
        """Return how much of its energy falls between two moments, Wh."""
        seconds = min(self.ends_at, ends_at) - max(self.starts_at, starts_at)
        return self.power_w * max(seconds, 0) // 3600

    def from_on(self, now: int) -> Step | None:
        """Return what is left of it at a moment; None if it is over."""
        if self.ends_at <= now:
            return None
        return Step(max(self.starts_at, now), self.ends_at, self.power_w)


@dataclass(frozen=True, slots=True)
class Call:
    """A balancing call.

    Of calls at the same time the one of lower `priority` goes first, as in OpenADR, then the
    earlier. `external` is the caller's own id of it, `revision` tells apart its versions.

    Raises:
        SettingError: if it describes something impossible.
    """

    name: str
    direction: Direction
    steps: tuple[Step, ...]
    received_at: int
    product: Product = field(default_factory=Product)
    priority: int = LOWEST_PRIORITY
    source: Source = Source.REST
    external: str = ""
    revision: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise SettingError(
                "a call's name must be 1 to 150 letters, digits, dots, colons or dashes, "
                f"got {self.name!r}"
            )
        if not self.steps:
            raise SettingError(f"call {self.name} must ask for power at some time, got no time")
        _within(f"call {self.name}: priority", self.priority, 0, LOWEST_PRIORITY)
        before = 0
        for step in self.steps:
            if not before <= step.starts_at < step.ends_at:
                raise SettingError(
                    f"call {self.name}: its steps must follow each other, got {step.starts_at} to "
                    f"{step.ends_at} after {before}"
                )
            _within(f"call {self.name}: power_w", step.power_w, 1, POWER_LIMIT_W)
            before = step.ends_at
        _within(f"call {self.name}: ends_at", self.ends_at, 1, TIME_LIMIT)
        _within(f"call {self.name}: seconds", self.ends_at - self.starts_at, 1, LONGEST_SECONDS)

    @property
    def starts_at(self) -> int:
        """When it begins."""
        return self.steps[0].starts_at

    @property
    def ends_at(self) -> int:
        """When it is over."""
        return self.steps[-1].ends_at

    @property
    def notice_seconds(self) -> int:
        """How long before its beginning it came; 0 if it came later."""
        return max(self.starts_at - self.received_at, 0)

    @property
    def rank(self) -> tuple[int, int, str]:
        """Where it stands among others: the lowest goes first."""
        return (self.priority, self.received_at, self.name)

    @property
    def slots(self) -> range:
        """The half hours that it touches."""
        return range(self.starts_at // SLOT_SECONDS, -(-self.ends_at // SLOT_SECONDS))

    def touches(self, slots: range) -> bool:
        """Return whether it is in some slots that follow each other."""
        return self.slots.start < slots.stop and slots.start < self.slots.stop

    def asked_w(self, at: int) -> int:
        """Return the power that it asks for at a moment, without its sign."""
        return next((s.power_w for s in self.steps if s.starts_at <= at < s.ends_at), 0)

    def asked_wh(self, starts_at: int, ends_at: int) -> int:
        """Return the energy that it asks for between two moments."""
        return sum(step.wh_in(starts_at, ends_at) for step in self.steps)

    def steps_from(self, now: int) -> Iterator[Step]:
        """Give what is left of it at a moment."""
        for step in self.steps:
            left = step.from_on(now)
            if left is not None:
                yield left


def by_half_hour(starts_at: int, ends_at: int, power_w: list[int]) -> tuple[Step, ...]:
    """Return steps of half an hour each from a moment on, the last one up to the end.

    One power holds all the time. Half hours of 0 W are left out, equal neighbours are one step.

    >>> by_half_hour(0, 5400, [10, 10, 20])
    (Step(starts_at=0, ends_at=3600, power_w=10), Step(starts_at=3600, ends_at=5400, power_w=20))

    Raises:
        SettingError: if there are more or fewer powers than half hours.
    """
    if len(power_w) == 1:
        return (Step(starts_at, ends_at, power_w[0]),) if power_w[0] else ()
    starts = range(starts_at, ends_at, SLOT_SECONDS)
    if len(power_w) != len(starts):
        raise SettingError(
            f"kw must have one value, or one for each of {len(starts)} half hours, "
            f"got {len(power_w)}"
        )
    steps: list[Step] = []
    for start, power in zip(starts, power_w, strict=True):
        end = min(start + SLOT_SECONDS, ends_at)
        if power == 0:
            continue
        if steps and (steps[-1].ends_at, steps[-1].power_w) == (start, power):
            steps[-1] = Step(steps[-1].starts_at, end, power)
        else:
            steps.append(Step(start, end, power))
    return tuple(steps)


def _within(what: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise SettingError(f"{what} must be {least:g} to {most:g}, got {value}")

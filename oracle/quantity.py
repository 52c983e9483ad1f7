"""What a terminal measures: quantities, who counts them, and what a sample of them holds.

| quantity   | counted by | sign of power                        |
| ---------- | ---------- | ------------------------------------ |
| imported   | meter      | from the network, > 0 at the meter   |
| exported   | meter      | into the network, < 0 at the meter   |
| generated  | inverter   | out of the inverter, > 0             |
| charged    | battery    | into the battery, < 0 at its terminals |
| discharged | battery    | out of the battery, > 0              |
| stored     | battery    | a state, not a counter               |

Several devices of a role are summed, quantity by quantity. Within a terminal a device's
quantity goes by its key, `name.quantity`.

Units: counters in milliwatt-hours, power in W, stored energy in Wh, time in unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, NamedTuple

from energy.errors import DeviceError
from oracle.totals import Counter

Role = Literal["meter", "inverter", "battery"]
COUNTED: dict[Role, tuple[str, ...]] = {
    "meter": ("imported", "exported"),
    "inverter": ("generated",),
    "battery": ("charged", "discharged"),
}
SIGN = {"imported": +1, "exported": -1, "generated": +1, "charged": -1, "discharged": +1}
"""The sign of a device's power that goes with a quantity."""
STORED = "stored"
COUNTER_LIMIT = 10**18
"""A counter at or above this (mWh) is nonsense: more than a country uses in a year."""


def key_of(device: str, quantity: str) -> str:
    """Return the key of a device's quantity."""
    return f"{device}.{quantity}"


def quantity_of(key: str) -> str:
    """Return the quantity of a key.

    >>> quantity_of("roof.generated")
    'generated'
    """
    return key.rpartition(".")[2]


class Incident(NamedTuple):
    """Something that went wrong: at which device or quantity, of which kind, and how."""

    source: str
    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.source}: {self.detail}"


def incident_of(source: str, error: DeviceError) -> Incident:
    """Return a device's error as an incident; what is not told by a kind is implausible."""
    return Incident(source, getattr(error, "kind", "implausible"), str(error))


@dataclass(frozen=True, slots=True)
class Shown:
    """What one device showed: counters by quantity, its power with its sign, what it stores."""

    counters: Mapping[str, Counter] = field(default_factory=dict)
    power_w: int | None = None
    stored_wh: int | None = None
    errors: tuple[DeviceError, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """What a site's devices showed, by key, and what went wrong."""

    time_seconds: int
    counters: Mapping[str, Counter] = field(default_factory=dict)
    powers_w: Mapping[str, int] = field(default_factory=dict)
    stored_wh: Mapping[str, int] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()


def counter_from(name: str, value_wh: Fraction, step_wh: Fraction, span_wh: Fraction) -> Counter:
    """Return a counter in whole milliwatt-hours.

    Raises:
        DeviceError: for a negative count, or one beyond all sense.
    """
    value = int(value_wh * 1000)
    if value_wh < 0:
        raise DeviceError(f"{name} must be at least 0 Wh, got {float(value_wh)} Wh")
    if value >= COUNTER_LIMIT:
        raise DeviceError(
            f"{name} must be below {COUNTER_LIMIT // 1000} Wh, got {value // 1000} Wh"
        )
    return Counter(value, int(span_wh * 1000), max(1, int(step_wh * 1000)))

"""What a device's SunSpec models show of its role's quantities.

| role     | models           | counters           | power |
| -------- | ---------------- | ------------------ | ----- |
| meter    | 201-204, 211-214 | TotWhImp, TotWhExp | W     |
| inverter | 101-103, 111-113 | WH                 | W     |
| inverter | 701              | TotWhInj           | W     |
| battery  | 714              | DCWhAbs, DCWhInj   | DCW   |
| battery  | 701              | TotWhAbs, TotWhInj | W     |

The first of a role's models that a device has is taken; what a battery stores, and which ports are
its own, `field.storage` says.

Units: as in `oracle.quantity`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from energy.errors import DeviceError
from field.storage import STORES, Unmeasured, storage_parts, stored_of
from field.sunspec import KINDS, Block, exact_of, scale_of, step_of, value_of
from oracle.quantity import COUNTER_LIMIT, Role, Shown, counter_from
from oracle.totals import Counter

LEAST_SCALE = -3


@dataclass(frozen=True)
class Source:
    """A model's counters by quantity, and its power."""

    counters: Mapping[str, str]
    power: str


_METER = Source({"imported": "TotWhImp", "exported": "TotWhExp"}, "W")
_INVERTER = Source({"generated": "WH"}, "W")
SOURCES: dict[Role, dict[int, Source]] = {
    "meter": dict.fromkeys((203, 204, 201, 202, 213, 214, 211, 212), _METER),
    "inverter": {
        **dict.fromkeys((103, 102, 101, 113, 112, 111), _INVERTER),
        701: Source({"generated": "TotWhInj"}, "W"),
    },
    "battery": {
        714: Source({"charged": "DCWhAbs", "discharged": "DCWhInj"}, "DCW"),
        701: Source({"charged": "TotWhAbs", "discharged": "TotWhInj"}, "W"),
    },
}
"""In the order in which they are taken."""


def models_of(role: Role) -> set[int]:
    """Return the models that are read of a device."""
    return set(SOURCES[role]) | (set(STORES) if role == "battery" else set())


def shown_by(role: Role, blocks: Sequence[Block]) -> Shown:
    """Return what a device's blocks tell; what is missing or nonsense is left out and named."""
    by_number: dict[int, Block] = {}
    for block in blocks:
        by_number.setdefault(block.model.number, block)
    number = next(number for number in SOURCES[role] if number in by_number)
    source, parts = SOURCES[role][number], [by_number[number]]
    if role == "battery":
        parts = storage_parts(parts[0])
    errors: list[DeviceError] = []
    counters: dict[str, Counter] = {}
    power_w, stored_wh = None, None
    try:
        powers = [value_of(part, source.power) for part in parts]
        if None not in powers:
            power_w = sum(power for power in powers if power is not None)
    except DeviceError as error:
        errors.append(error)
    for quantity, point in source.counters.items():
        try:
            counters[quantity] = summed([_present(part, point) for part in parts])
        except DeviceError as error:
            errors.append(error)
    if role == "battery":
        try:
            stored_wh = stored_of(by_number)
        except DeviceError as error:
            errors.append(error)
    unique = {str(error): error for error in errors}
    return Shown(counters, power_w, stored_wh, tuple(unique.values()))


def _present(block: Block, name: str) -> Counter:
    counter = counter_of(block, name)
    if counter is None:
        raise Unmeasured(f"{name} must be a value, got 'not implemented'")
    return counter


def summed(counters: Sequence[Counter]) -> Counter:
    """Return several counters of one kind as one; they are wide enough never to roll over."""
    if len(counters) == 1:
        return counters[0]
    return Counter(
        sum(each.value for each in counters),
        min(each.span for each in counters),
        sum(each.step for each in counters),
    )


def counter_of(block: Block, name: str) -> Counter | None:
    """Return a point that counts energy; None if it is not implemented.

    A counter in floats does not roll over: it grows coarse.

    Raises:
        DeviceError: for a scale factor below -3, or a count below zero or beyond all sense.
    """
    value, step, scale = exact_of(block, name), step_of(block, name), scale_of(block, name)
    if value is None or step is None or scale is None:
        return None
    if scale < LEAST_SCALE:
        raise DeviceError(f"{name}'s scale factor must be at least {LEAST_SCALE}, got {scale}")
    kind = block.model.points[name].kind
    bits = 16 * KINDS[kind].registers
    span = Fraction(COUNTER_LIMIT) if kind == "float32" else step * (1 << bits)
    return counter_from(name, value, step, span)

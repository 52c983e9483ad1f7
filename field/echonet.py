"""ECHONET Lite: frames, and what the properties of batteries, meters and roofs mean.

A node has objects (a class and an instance), an object has properties (a code and bytes). A frame
asks one object for some of its properties or sets them; the answer says which it has not.

    EHD 10 81 · TID · from object · to object · service · count · (code, length, bytes) ...

| class | what it is                   | read here                                               |
| ----- | ---------------------------- | ------------------------------------------------------- |
| 027D  | storage battery              | power, counters, stored, capacity, limits, mode         |
| 0288  | low-voltage smart meter      | power, counters with unit, coefficient and digits       |
| 0287  | distribution panel meter     | power, counters with unit                               |
| 0279  | household PV                 | power, counter                                          |

Units: power in W, energy in Wh, as exact fractions. A value that a device marks as "no data",
overflow or underflow is None. Source: ECHONET Lite specification 1.14, part 2, and Appendix
"detailed requirements for ECHONET device objects", release R.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from energy.errors import DeviceError

PORT = 3610
HEADER = b"\x10\x81"
CONTROLLER = 0x05FF01
"""The object that asks: a controller."""
NODE = 0x0EF001
"""A node's profile, which lists its objects."""
GET, SET = 0x62, 0x61
ANSWERS = {GET: (0x72, 0x52), SET: (0x71, 0x51)}
"""For a service, the answer in full and the one that something of it was refused in."""
INSTANCES, READABLE, WRITABLE = 0xD6, 0x9F, 0x9E

BATTERY, SMART_METER, PANEL_METER, ROOF = 0x027D, 0x0288, 0x0287, 0x0279
CLASSES = {
    "battery": (BATTERY,),
    "meter": (SMART_METER, PANEL_METER),
    "inverter": (ROOF,),
}
"""By role, in the order in which they are taken."""

AUTOMATIC, CHARGING, DISCHARGING, STANDBY = 0x46, 0x42, 0x43, 0x44
"""Operation modes of a battery (0xDA)."""
GIVEN_POWER = 0x03
"""How it charges (0xC1) and discharges (0xC2): with the power that was set."""

Properties = Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: who asks or answers whom for what. Objects as 0xCCCCII: class and instance."""

    transaction: int
    source: int
    target: int
    service: int
    properties: tuple[tuple[int, bytes], ...]

    def to_bytes(self) -> bytes:
        """Return it as it goes over the line."""
        parts = [
            HEADER,
            self.transaction.to_bytes(2),
            self.source.to_bytes(3),
            self.target.to_bytes(3),
            bytes((self.service, len(self.properties))),
        ]
        parts += [bytes((code, len(value))) + value for code, value in self.properties]
        return b"".join(parts)


def frame_from(packet: bytes) -> Frame:
    """Read a frame.

    Raises:
        DeviceError: if the bytes are none.
    """
    if len(packet) < 12 or packet[:2] != HEADER:
        raise DeviceError(f"a frame must begin with 1081 and have 12 bytes, got {packet.hex()}")
    found, at = [], 12
    for _ in range(packet[11]):
        if at + 2 > len(packet) or at + 2 + packet[at + 1] > len(packet):
            raise DeviceError(f"a frame must hold {packet[11]} properties, got {packet.hex()}")
        end = at + 2 + packet[at + 1]
        found.append((packet[at], packet[at + 2 : end]))
        at = end
    if at != len(packet):
        raise DeviceError(f"a frame must end after {at} bytes, got {packet.hex()}")
    return Frame(
        int.from_bytes(packet[2:4]),
        int.from_bytes(packet[4:7]),
        int.from_bytes(packet[7:10]),
        packet[10],
        tuple(found),
    )


def object_of(class_: int, instance: int) -> int:
    """Return an object's number.

    >>> hex(object_of(BATTERY, 1))
    '0x27d01'
    """
    return class_ << 8 | instance


def instances_from(value: bytes) -> list[int]:
    """Return the objects that a node's profile lists (0xD6)."""
    return [int.from_bytes(value[at : at + 3]) for at in range(1, len(value) - 2, 3)]


def codes_from(value: bytes) -> set[int]:
    """Return the property codes of a map (0x9E, 0x9F): listed, or from 16 on as bits.

    >>> sorted(map(hex, codes_from(bytes([2, 0xDA, 0xEB]))))
    ['0xda', '0xeb']
    """
    if not value or value[0] < 16:
        return set(value[1:])
    return {
        (bit + 8) << 4 | low for low, byte in enumerate(value[1:17]) for bit in range(8)
        if byte >> bit & 1
    }  # fmt: skip


def map_of(codes: Sequence[int]) -> bytes:
    """Return property codes as a map, the inverse of `codes_from`."""
    if len(codes) < 16:
        return bytes([len(codes), *sorted(codes)])
    bits = [0] * 16
    for code in codes:
        bits[code & 15] |= 1 << ((code >> 4) - 8)
    return bytes([len(codes), *bits])


def unsigned(properties: Properties, code: int) -> int | None:
    """Return a whole number; None where it is not told."""
    value = properties.get(code, b"")
    if not value:
        return None
    number = int.from_bytes(value)
    # Of bytes alone 0xFE and 0xFF are values as any (percent are at most 100).
    top = 1 << 8 * len(value)
    return None if len(value) > 1 and number >= top - 2 else number


def signed(properties: Properties, code: int) -> int | None:
    """Return a whole number with its sign; None where it is not told."""
    value = properties.get(code, b"")
    if not value:
        return None
    half = 1 << (8 * len(value) - 1)
    number = int.from_bytes(value, signed=True)
    return None if number in (half - 1, half - 2, -half) else number


@dataclass(frozen=True, slots=True)
class Count:
    """A counter: where it stands, its step, and at what it begins anew; Wh."""

    value_wh: Fraction
    step_wh: Fraction
    span_wh: Fraction


_WH_LIMIT = 10**9
"""Counters in 0.001 kWh have nine digits."""
_UNITS_KWH = {
    **{code: Fraction(1, 10**code) for code in range(5)},
    **{10 + power - 1: Fraction(10**power) for power in range(1, 5)},
}
"""kWh of a meter's unit (0xE1 of 0288, 0xC2 of 0287)."""


def wh_count(properties: Properties, *codes: int) -> Count | None:
    """Return the first of some counters in 0.001 kWh that is told."""
    for code in codes:
        value = unsigned(properties, code)
        if value is not None:
            return Count(Fraction(value), Fraction(1), Fraction(_WH_LIMIT))
    return None


@dataclass(frozen=True, slots=True)
class MeterShown:
    """What a meter shows; import positive."""

    power_w: int | None
    imported: Count | None
    exported: Count | None


METER_CODES = {
    SMART_METER: (0xD3, 0xD7, 0xE0, 0xE1, 0xE3, 0xE7),
    PANEL_METER: (0xC0, 0xC1, 0xC2, 0xC6),
}
_DIGITS = 8


def meter_shown(class_: int, properties: Properties) -> MeterShown:
    """Return what a meter's properties tell.

    Raises:
        DeviceError: for a unit that there is not.
    """
    if class_ == SMART_METER:
        power, unit, imported, exported = 0xE7, 0xE1, 0xE0, 0xE3
        coefficient = unsigned(properties, 0xD3)
        digits = unsigned(properties, 0xD7)
    else:
        power, unit, imported, exported = 0xC6, 0xC2, 0xC0, 0xC1
        coefficient, digits = 1, _DIGITS

    def count(code: int) -> Count | None:
        value, kind = unsigned(properties, code), unsigned(properties, unit)
        if value is None or kind is None:
            return None
        if kind not in _UNITS_KWH:
            raise DeviceError(f"the unit (0x{unit:X}) must be one that there is, got 0x{kind:02X}")
        step = _UNITS_KWH[kind] * 1000 * (coefficient or 1)
        return Count(value * step, step, step * 10 ** (digits or _DIGITS))

    return MeterShown(signed(properties, power), count(imported), count(exported))


@dataclass(frozen=True, slots=True)
class RoofShown:
    """What a PV inverter shows."""

    power_w: int | None
    generated: Count | None


ROOF_CODES = (0xE0, 0xE1)


def roof_shown(properties: Properties) -> RoofShown:
    """Return what the properties of a household PV tell."""
    return RoofShown(unsigned(properties, 0xE0), wh_count(properties, 0xE1))


@dataclass(frozen=True, slots=True)
class StorageShown:
    """What a battery shows; power positive out of it, most powers above 0."""

    power_w: int | None
    stored_wh: int | None
    capacity_wh: int | None
    charge_w: int | None
    discharge_w: int | None
    charged: Count | None
    discharged: Count | None
    is_faulty: bool
    nonsense: str
    """What of its state of charge cannot be, for which it then tells no stored energy; empty."""
    mode: int | None
    """As it was set (0xDA)."""
    charging_w: int | None
    """What it was told to charge with (0xEB)."""
    discharging_w: int | None
    """What it was told to discharge with (0xEC)."""


STORAGE_CODES = (
    *(0x88, 0xA1, 0xA5, 0xA8, 0xA9, 0xC8, 0xC9, 0xD0, 0xD3),
    *(0xD6, 0xD8, 0xDA, 0xE2, 0xE4, 0xEB, 0xEC),
)
_FAULT = 0x41


def storage_shown(properties: Properties) -> StorageShown:
    """Return what a battery's properties tell.

    What can be delivered at its AC side (0xA5 of 0xA1) is taken before what it stores (0xE2 of
    0xD0), and so are the counters there.
    """
    power = signed(properties, 0xD3)
    stored, capacity = unsigned(properties, 0xA5), unsigned(properties, 0xA1)
    if stored is None or capacity is None:
        stored, capacity = unsigned(properties, 0xE2), unsigned(properties, 0xD0)
    percent = unsigned(properties, 0xE4)
    nonsense = ""
    if percent is not None and percent > 100:
        nonsense, stored = f"state of charge must be at most 100 %, got {percent} %", None
    elif stored is None and capacity is not None and percent is not None:
        stored = capacity * percent // 100

    def most(code: int) -> int | None:
        value = properties.get(code, b"")
        return unsigned({code: value[-4:]}, code) if len(value) == 8 else None

    return StorageShown(
        None if power is None else -power,
        stored,
        capacity,
        most(0xC8),
        most(0xC9),
        wh_count(properties, 0xA8, 0xD8),
        wh_count(properties, 0xA9, 0xD6),
        unsigned(properties, 0x88) == _FAULT,
        nonsense,
        unsigned(properties, 0xDA),
        unsigned(properties, 0xEB),
        unsigned(properties, 0xEC),
    )


def power_settings(power_w: int | None, writable: set[int]) -> list[tuple[int, bytes]]:
    """Return what a battery is set to for a power (positive out of it; None: by itself), in order.

    Raises:
        DeviceError: if the device's map does not let a power be set.
    """
    if power_w is None or power_w == 0:
        return [(0xDA, bytes([AUTOMATIC if power_w is None else STANDBY]))]
    code, method, mode = (0xEC, 0xC2, DISCHARGING) if power_w > 0 else (0xEB, 0xC1, CHARGING)
    for needed in (code, 0xDA):
        if needed not in writable:
            raise DeviceError(f"property 0x{needed:X} must be one that can be set, got none")
    how = [(method, bytes([GIVEN_POWER]))] if method in writable else []
    return [*how, (code, abs(power_w).to_bytes(4)), (0xDA, bytes([mode]))]

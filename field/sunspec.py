"""SunSpec information models: where they are in a device, what their registers mean.

Pure: whoever has a connection reads the registers and hands them in. A device's map begins
at register 40000, 50000 or 0 with the marker `SunS`; models follow one another, each as
ID, length L, L registers; the ID 0xFFFF ends them. A value is an integer and, for most
points, a scale factor: 10**factor of the unit. Both are read in one block, since a device
may change its scale factors while it runs. A value that a device does not implement has a
number of its own (`0x8000`, `0xFFFF`, NaN, ...), which is never a value: it is None here.

`sunspec_models.csv` holds the models that Yui reads, one line a point: its offset in
registers from the model's first one (its ID), type, registers, the point that holds its scale
factor, unit, and flags: M mandatory, W may be written. Offsets 0 and 1 are the model's ID and
length in every model. A point with a group is one of those that repeat after the others, at an
offset from where each repetition begins.
Source: SunSpec Alliance, Device Information Model Specification 1.1; information models,
github.com/sunspec/models (Apache-2.0).

>>> block = Block(MODELS[713], 40000, (713, 7, 44000, 21950, 4989, 0xFFFF, 0, 0, 0xFFFE))
>>> value_of(block, "WHAvail"), value_of(block, "SoC", digits=2), value_of(block, "SoH")
(21950, 4989, None)
"""

from __future__ import annotations

import csv
import math
import struct
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib.resources import files

from energy.errors import DeviceError, SettingError

BASES = (40000, 50000, 0)
MARKER = (0x5375, 0x6E53)
"""The registers of `SunS`."""
END = 0xFFFF
HEADER = 2
"""Registers of a model's ID and length."""
MODEL_LIMIT = 256
SCALE_LIMIT = 10


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of point: registers, whether it has a sign, and its number for "not implemented"."""

    registers: int
    signed: bool = False
    absent: int | None = None


KINDS = {
    "int16": Kind(1, signed=True, absent=0x8000),
    "uint16": Kind(1, absent=0xFFFF),
    "enum16": Kind(1, absent=0xFFFF),
    "bitfield16": Kind(1, absent=0xFFFF),
    "sunssf": Kind(1, signed=True, absent=0x8000),
    "pad": Kind(1),
    "uint32": Kind(2, absent=0xFFFF_FFFF),
    "bitfield32": Kind(2, absent=0xFFFF_FFFF),
    "acc32": Kind(2, absent=0),
    "int32": Kind(2, signed=True, absent=0x8000_0000),
    "uint64": Kind(4, absent=0xFFFF_FFFF_FFFF_FFFF),
    "float32": Kind(2, absent=0x7FC0_0000),
}
"""Every type but strings; a float's number is its 32 bits.

A mandatory accumulator is always implemented: its zero is a count.
"""


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a model, at `offset` registers from the model's ID."""

    name: str
    offset: int
    kind: str
    registers: int
    scale: str | None
    unit: str | None
    mandatory: bool
    writable: bool

    @property
    def absent(self) -> int | None:
        """The number that stands for "not implemented"; None if every number is a value."""
        if self.kind == "string" or (self.kind == "acc32" and self.mandatory):
            return None
        return KINDS[self.kind].absent


@dataclass(frozen=True)
class Model:
    """A model's points by name, and its length L without what repeats.

    `repeated` are the points of the group that repeats after them, `stride` the registers of
    one repetition.
    """

    number: int
    points: Mapping[str, Point]
    length: int
    repeated: Mapping[str, Point] = field(default_factory=dict)
    stride: int = 0


@dataclass(frozen=True, slots=True)
class Location:
    """Where a device keeps a model: the address of its ID, and its length L."""

    number: int
    address: int
    length: int


@dataclass(frozen=True, slots=True)
class Block:
    """A model's registers as they were read at once, ID and length included."""

    model: Model
    address: int
    registers: tuple[int, ...]


def discovery() -> Generator[tuple[int, int], Sequence[int] | None, list[Location]]:
    """Find a device's models: yield (address, count) to be read, be sent the registers.

    Send None where the device refuses the address. The generator returns the models in
    the order of the device.

    Raises:
        DeviceError: if no base holds the marker, or the chain of models does not end.
    """
    for base in BASES:
        registers = yield base, len(MARKER)
        if registers is not None and tuple(registers) == MARKER:
            break
    else:
        raise DeviceError(f"a SunSpec map must begin with SunS at {BASES}, got no marker")
    found: list[Location] = []
    address = base + len(MARKER)
    while len(found) < MODEL_LIMIT and address + HEADER <= 0x10000:
        header = yield address, HEADER
        if header is None:
            raise DeviceError(f"a SunSpec map must end with {END}, got no register {address}")
        number, length = header
        if number == END:
            return found
        found.append(Location(number, address, length))
        address += HEADER + length
    raise DeviceError(f"a SunSpec map must end within {MODEL_LIMIT} models, got {len(found)}")


def block_of(location: Location, registers: Sequence[int]) -> Block:
    """Return a model's block from the registers read at its location.

    Raises:
        DeviceError: if another model is there now, or one of another length.
    """
    if tuple(registers[:HEADER]) != (location.number, location.length):
        raise DeviceError(
            f"register {location.address} must begin model {location.number} of length "
            f"{location.length}, got {' '.join(map(str, registers[:HEADER]))}"
        )
    return Block(MODELS[location.number], location.address, tuple(registers))


def raw_of(block: Block, name: str) -> int | None:
    """Return a point's number as the device gave it; None if it is not implemented."""
    point = block.model.points[name]
    number = 0
    registers = block.registers[point.offset : point.offset + point.registers]
    if len(registers) < point.registers:  # a shorter revision of the model
        return None
    for register in registers:
        number = number << 16 | register
    if number == point.absent:
        return None
    bits = 16 * point.registers
    return number - (1 << bits) if KINDS[point.kind].signed and number >> bits - 1 else number


def exact_of(block: Block, name: str) -> Fraction | None:
    """Return a point in its unit, exactly; None if it is not implemented.

    Raises:
        DeviceError: for an impossible scale factor, or a float that is infinite.
    """
    raw = raw_of(block, name)
    scale = scale_of(block, name)
    if raw is None or scale is None:
        return None
    if block.model.points[name].kind != "float32":
        return raw * Fraction(10) ** scale
    (number,) = struct.unpack(">f", raw.to_bytes(4))
    if math.isnan(number):
        return None
    if math.isinf(number):
        raise DeviceError(f"{block.model.number} {name} must be finite, got {number}")
    return Fraction(number)


def step_of(block: Block, name: str) -> Fraction | None:
    """Return a point's smallest step in its unit; None if it is not implemented.

    A float's step is the distance to the next larger one: a counter in floats grows coarse.
    """
    if exact_of(block, name) is None:
        return None
    scale = scale_of(block, name)
    if block.model.points[name].kind != "float32":
        return Fraction(10) ** (scale or 0)
    raw = raw_of(block, name) or 0
    (number,) = struct.unpack(">f", (raw & 0x7FFF_FFFF).to_bytes(4))
    (above,) = struct.unpack(">f", ((raw & 0x7FFF_FFFF) + 1).to_bytes(4))
    return Fraction(above) - Fraction(number)


def parts_of(block: Block) -> list[Block]:
    """Return what repeats at a block's end, each as a block whose points are its own.

    A point that repeats takes the name of the fixed one, if there is one; scale factors stay.
    """
    model = block.model
    if not model.stride:
        return []
    parts = []
    for at in range(HEADER + model.length, len(block.registers) - model.stride + 1, model.stride):
        own = {
            name: replace(point, offset=at + point.offset) for name, point in model.repeated.items()
        }
        parts.append(replace(block, model=replace(model, points={**model.points, **own})))
    return parts


def text_of(block: Block, name: str) -> str | None:
    """Return a point of type string; None if it is not implemented."""
    point = block.model.points[name]
    registers = block.registers[point.offset : point.offset + point.registers]
    letters = b"".join(register.to_bytes(2) for register in registers)
    return letters.split(b"\0")[0].decode("ascii", "replace").strip() or None


def scale_of(block: Block, name: str) -> int | None:
    """Return the power of ten of a point's unit; 0 if it has none, None if it is not implemented.

    Raises:
        DeviceError: if the device gives a scale factor beyond -10..10.
    """
    point = block.model.points[name]
    if point.scale is None:
        return 0
    scale = raw_of(block, point.scale)
    if scale is not None and abs(scale) > SCALE_LIMIT:
        raise DeviceError(
            f"{block.model.number} {point.scale} must be a power of ten from -{SCALE_LIMIT} "
            f"to {SCALE_LIMIT}, got {scale}"
        )
    return scale


def value_of(block: Block, name: str, digits: int = 0) -> int | None:
    """Return a point in 10**-digits of its unit, rounded half up; None if it is not implemented.

    Raises:
        DeviceError: if the device gives an impossible scale factor.
    """
    exact = exact_of(block, name)
    return None if exact is None else math.floor(exact * 10**digits + Fraction(1, 2))


def write_of(block: Block, name: str, value: int, digits: int = 0) -> tuple[int, list[int]]:
    """Return the address and registers that set a point to a value in 10**-digits of its unit.

    The value is rounded half up to the scale factor that the device had in `block`.

    Raises:
        SettingError: if the point may not be written or the value does not fit.
        DeviceError: if the device gives an impossible scale factor.
    """
    point = block.model.points[name]
    scale = scale_of(block, name)
    if not point.writable or scale is None:
        raise SettingError(
            f"{block.model.number} {name} must be a point that the device lets write"
        )
    return block.address + point.offset, registers_of(point, _scaled(value, -scale - digits))


def _scaled(number: int, power: int) -> int:
    if power >= 0:
        return number * int(10**power)
    divisor = int(10**-power)
    return (2 * number + divisor) // (2 * divisor)


def registers_of(point: Point, number: int | str | None) -> list[int]:
    """Return the registers of a point that hold a number or a text; None is "not implemented".

    Raises:
        SettingError: if the number or text does not fit the point.
    """
    size = 2 * point.registers
    if point.kind == "string":
        letters = str(number or "").encode("ascii", "replace").ljust(size, b"\0")
        number, signed = int.from_bytes(letters), False
        fits = len(letters) == size
    else:
        signed = KINDS[point.kind].signed
        if number is None:
            number, signed, fits = KINDS[point.kind].absent or 0, False, True
        else:
            number = int(number)
            sign = 1 if signed else 0
            fits = -(sign << 8 * size - 1) <= number < 1 << 8 * size - sign
            fits = fits and number % (1 << 8 * size) != point.absent
    if not fits:
        raise SettingError(f"{point.name} must fit {point.kind}, got {number}")
    packed = number.to_bytes(size, signed=signed)
    return [int.from_bytes(packed[at : at + 2]) for at in range(0, size, 2)]


def registers_from(
    number: int,
    values: Mapping[str, int | str | None],
    repeated: Iterable[Mapping[str, int | str | None]] = (),
) -> list[int]:
    """Return a model's registers, ID and length included; points not given are not implemented.

    Raises:
        SettingError: if a value does not fit its point.
    """
    model = MODELS[number]
    registers = [number, 0]
    for point in model.points.values():
        registers += registers_of(point, values.get(point.name))
    for part in repeated:
        for point in model.repeated.values():
            registers += registers_of(point, part.get(point.name))
    registers[1] = len(registers) - HEADER
    return registers


def _numbers(models: str) -> range:
    first, _, last = models.partition("-")
    return range(int(first), int(last or first) + 1)


def _models() -> dict[int, Model]:
    found: dict[int, Model] = {}
    with files("field").joinpath("sunspec_models.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            registers = int(row["registers"])
            point = Point(
                row["name"],
                int(row["offset"]),
                row["type"],
                registers,
                row["scale"] or None,
                row["unit"] or None,
                "M" in row["flags"],
                "W" in row["flags"],
            )
            end = point.offset + registers
            for number in _numbers(row["models"]):
                model = found.get(number, Model(number, {}, 0))
                if row["group"]:
                    found[number] = replace(
                        model, repeated={**model.repeated, point.name: point}, stride=end
                    )
                else:
                    found[number] = replace(
                        model, points={**model.points, point.name: point}, length=end - HEADER
                    )
    return found


MODELS = _models()

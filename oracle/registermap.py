"""Devices without SunSpec: a TOML file says which register holds what.

    registers = "input"             # or "holding"
    word_order = "high-first"       # or "low-first": which 16 bits of a longer value come first

    [[value]]
    quantity = "imported"           # exported, generated, charged, discharged, power, stored
    register = 0x48                 # the protocol's address, from 0
    type = "float32"                # uint16, int16, uint32, int32, uint64, int64, float32, float64
    unit = "kWh"                    # Wh, kWh, MWh; W, kW for power
    scale = "1"                     # what one count stands for, in the unit
    rolls_over_at = 99_999_999      # the count after which it begins at 0 again; else its width
    absent = 0xFFFF_FFFF            # the count that stands for "no value"

Power has the sign of its role in `oracle.quantity`; `scale = "-1"` turns it round. Examples:
`oracle/maps/`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal, get_args

from daemon.table import Table, load_table
from energy.errors import DeviceError, SettingError
from field.modbus import READ_LIMIT, Line
from field.modbus import Table as RegisterTable
from field.storage import Unmeasured
from oracle.quantity import COUNTED, COUNTER_LIMIT, STORED, Role, Shown, counter_from
from oracle.totals import Counter

POWER = "power"
ENERGY_UNITS = {"Wh": Fraction(1), "kWh": Fraction(1000), "MWh": Fraction(1_000_000)}
POWER_UNITS = {"W": Fraction(1), "kW": Fraction(1000)}
TYPES: dict[str, tuple[int, str]] = {
    "uint16": (1, ">H"),
    "int16": (1, ">h"),
    "uint32": (2, ">I"),
    "int32": (2, ">i"),
    "float32": (2, ">f"),
    "uint64": (4, ">Q"),
    "int64": (4, ">q"),
    "float64": (4, ">d"),
}
"""Registers and form of each type."""
SPAN_READ = 60
"""Values whose span is within so many registers are read at once."""
WordOrder = Literal["high-first", "low-first"]


@dataclass(frozen=True)
class Value:
    """A quantity's registers, and what one count stands for (Wh or W)."""

    quantity: str
    register: int
    type: str
    factor: Fraction
    rolls_over_at: int | None = None
    absent: int | None = None

    @property
    def registers(self) -> range:
        """The addresses that it takes."""
        return range(self.register, self.register + TYPES[self.type][0])

    @property
    def is_float(self) -> bool:
        """Whether its count is a float."""
        return self.type.startswith("float")


@dataclass(frozen=True)
class RegisterMap:
    """A kind of device: which table, which of a value's words comes first, and its values."""

    name: str
    table: RegisterTable
    word_order: WordOrder
    values: tuple[Value, ...]

    @property
    def counted(self) -> tuple[str, ...]:
        """The quantities that have a counter or, without one, power to be integrated."""
        return tuple(
            value.quantity for value in self.values if value.quantity not in (POWER, STORED)
        )

    def check(self, role: Role) -> None:
        """Refuse a map that does not tell what a role must.

        Raises:
            SettingError: if a quantity is another role's, or none is there.
        """
        for value in self.values:
            allowed = {*COUNTED[role], POWER} | ({STORED} if role == "battery" else set())
            if value.quantity not in allowed:
                raise SettingError(
                    f"{self.name}: quantity of a {role} must be one of "
                    f"{', '.join(sorted(allowed))}, got {value.quantity!r}"
                )
        told = {value.quantity for value in self.values}
        if not told & {*COUNTED[role], POWER} or (role == "battery" and STORED not in told):
            needed = "stored and a counter or power" if role == "battery" else "a counter or power"
            raise SettingError(
                f"{self.name}: a {role}'s map must have {needed}, got {sorted(told)}"
            )


def load_map(name: str, beside: Path = Path()) -> RegisterMap:
    """Read a map by its path, beside the file that names it, or one that comes with Yui by name.

    Raises:
        SettingError: naming file, key, value and what was expected.
    """
    with as_file(files("oracle").joinpath("maps", f"{name}.toml")) as bundled:
        return map_from(
            name, load_table(bundled if bundled.is_file() else beside / name, "register map")
        )


def map_from(name: str, table: Table) -> RegisterMap:
    """Return a map from its table; see the top of this module.

    Raises:
        SettingError: naming file, key, value and what was expected.
    """
    table.text("description", "")
    registers = table.one_of("registers", get_args(RegisterTable))
    order = table.one_of("word_order", get_args(WordOrder), "high-first")
    values = tuple(_value(entry) for entry in table.tables("value"))
    table.refuse_unknown()
    for at, value in enumerate(values):
        for other in values[:at]:
            if set(value.registers) & set(other.registers):
                raise SettingError(
                    f"{table.where} registers of {value.quantity} must not overlap those of "
                    f"{other.quantity}, got {value.register} and {other.register}"
                )
            if value.quantity == other.quantity:
                raise SettingError(f"{table.where} {value.quantity} must be there once, got two")
    return RegisterMap(name, registers, order, values)


def _value(entry: Table) -> Value:
    counted = [quantity for quantities in COUNTED.values() for quantity in quantities]
    quantity = entry.one_of("quantity", (*counted, POWER, STORED))
    kind = entry.one_of("type", tuple(TYPES))
    units = POWER_UNITS if quantity == POWER else ENERGY_UNITS
    unit = entry.one_of("unit", tuple(units))
    size = TYPES[kind][0]
    register = entry.whole("register", 0, 0x1_0000 - size)
    text = entry.text("scale", "1")
    try:
        scale = Fraction(text)
    except ValueError:
        scale = Fraction(0)
    if scale == 0 or (scale < 0 and quantity != POWER):
        raise entry.error("scale", 'be a number above 0 such as "0.1"', text)
    factor = scale * units[unit]
    counts = quantity not in (POWER, STORED) and not kind.startswith("float")
    if counts and (factor * 1000).denominator != 1:
        raise entry.error("scale", "make steps of whole milliwatt-hours", f"{text} {unit}")
    rolls = entry.whole_or_none("rolls_over_at", 1, (1 << 16 * size) - 1)
    absent = entry.whole_or_none("absent", 0, (1 << 16 * size) - 1)
    entry.refuse_unknown()
    return Value(quantity, register, kind, factor, rolls, absent)


async def read_map(line: Line, unit: int, device: RegisterMap) -> Shown:
    """Read a device's values; what is missing or nonsense is left out and named.

    Raises:
        DeviceError: if it does not answer.
    """
    found: dict[int, int] = {}
    for run in _runs(device.values):
        registers = await line.read(unit, run.start, len(run), device.table)
        found.update(zip(run, registers, strict=True))
    return shown_by(device, found.__getitem__)


def shown_by(device: RegisterMap, register: Callable[[int], int]) -> Shown:
    """Return what registers, asked for by address, tell."""
    counters: dict[str, Counter] = {}
    states: dict[str, int] = {}
    errors: list[DeviceError] = []
    for value in device.values:
        words = [register(at) for at in value.registers]
        try:
            count, step = _count(value, words, device.word_order)
            if value.quantity in (POWER, STORED):
                states[value.quantity] = math.floor(count * value.factor + Fraction(1, 2))
                continue
            span = (value.rolls_over_at or (1 << 16 * len(words)) - 1) + 1
            counters[value.quantity] = counter_from(
                value.quantity,
                count * value.factor,
                step * value.factor,
                Fraction(COUNTER_LIMIT) if value.is_float else span * value.factor,
            )
        except DeviceError as error:
            errors.append(error)
    return Shown(counters, states.get(POWER), states.get(STORED), tuple(errors))


def _count(value: Value, words: Sequence[int], order: WordOrder) -> tuple[Fraction, Fraction]:
    """Return a value's count and its smallest step, in counts."""
    ordered = words if order == "high-first" else list(reversed(words))
    packed = b"".join(word.to_bytes(2) for word in ordered)
    if value.absent is not None and int.from_bytes(packed) == value.absent:
        raise Unmeasured(f"{value.quantity} must be a value, got 'absent' {value.absent:#x}")
    (number,) = struct.unpack(TYPES[value.type][1], packed)
    if not value.is_float:
        return Fraction(number), Fraction(1)
    if math.isnan(number):
        raise Unmeasured(f"{value.quantity} must be a value, got NaN")
    if math.isinf(number):
        raise DeviceError(f"{value.quantity} must be finite, got {number}")
    # A float has so many binary digits: its step is the last of them.
    digits = 24 if value.type == "float32" else 53
    step = Fraction(2) ** (math.frexp(number)[1] - digits)
    return Fraction(number), step


def _runs(values: Sequence[Value]) -> list[range]:
    """Group values that are near enough to be read at once."""
    runs: list[range] = []
    for value in sorted(values, key=lambda value: value.register):
        end = value.registers.stop
        if runs and end - runs[-1].start <= min(SPAN_READ, READ_LIMIT):
            runs[-1] = range(runs[-1].start, end)
        else:
            runs.append(value.registers)
    return runs

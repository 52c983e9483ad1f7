"""What answers at a host: units, their models, and every value with its unit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from energy.errors import DeviceError
from field.blocks import discovered, read_blocks
from field.modbus import Line
from field.sunspec import MODELS, Block, Point, exact_of, parts_of, raw_of, text_of
from oracle.quantity import Shown
from oracle.registermap import RegisterMap, read_map


@dataclass(frozen=True)
class Found:
    """A value of a unit's model; `part` counts what repeats, from 1."""

    unit: int
    model: int
    part: int | None
    point: str
    value: str
    measure: str


@dataclass(frozen=True)
class Unit:
    """A unit that answered: its values, and the models that Yui does not read."""

    number: int
    found: tuple[Found, ...]
    unread: tuple[int, ...]


async def probed(
    line: Line,
    units: Iterable[int],
    told: Callable[[int], None] = lambda _: None,
    register_map: RegisterMap | None = None,
) -> tuple[list[Unit], dict[int, str]]:
    """Return the units that answered, and for the others why not; `told` hears of progress."""
    answered: list[Unit] = []
    silent: dict[int, str] = {}
    for number in units:
        told(number)
        try:
            if register_map is not None:
                answered.append(_mapped(number, await read_map(line, number, register_map)))
                continue
            locations = await discovered(line, number)
            known = [at for at in locations if at.number in MODELS]
            blocks = await read_blocks(line, number, known)
        except DeviceError as error:
            silent[number] = str(error)
            continue
        found = tuple(each for block in blocks for each in _values(number, block))
        unread = tuple(at.number for at in locations if at.number not in MODELS)
        answered.append(Unit(number, found, unread))
    return answered, silent


def _mapped(unit: int, shown: Shown) -> Unit:
    """Return what a register map tells of a unit; model 0 stands for the map."""
    values = [
        (quantity, str(counter.value // 1000), "Wh") for quantity, counter in shown.counters.items()
    ]
    if shown.power_w is not None:
        values.append(("power", str(shown.power_w), "W"))
    if shown.stored_wh is not None:
        values.append(("stored", str(shown.stored_wh), "Wh"))
    values += [("not told", str(error), "") for error in shown.errors]
    return Unit(unit, tuple(Found(unit, 0, None, *value) for value in values), ())


def _values(unit: int, block: Block) -> Iterator[Found]:
    number = block.model.number
    for point in MODELS[number].points.values():
        if (value := _value(block, point)) is not None:
            yield Found(unit, number, None, point.name, value, point.unit or "")
    for at, part in enumerate(parts_of(block), 1):
        for point in MODELS[number].repeated.values():
            if (value := _value(part, part.model.points[point.name])) is not None:
                yield Found(unit, number, at, point.name, value, point.unit or "")


def _value(block: Block, point: Point) -> str | None:
    """Return a point's value; None for one that is not implemented and for scale factors."""
    if point.kind in ("pad", "sunssf"):
        return None
    if point.kind == "string":
        return text_of(block, point.name)
    try:
        exact = exact_of(block, point.name)
    except DeviceError as error:
        return f"({error})"
    if exact is None:
        return None
    if point.kind.startswith("bitfield"):
        return hex(raw_of(block, point.name) or 0)
    return str(exact.numerator) if exact.denominator == 1 else f"{float(exact):.10g}"

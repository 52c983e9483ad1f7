"""SunSpec over a Modbus line: which models a unit has, and their registers."""

from __future__ import annotations

from collections.abc import Sequence

from energy.errors import DeviceError
from field.modbus import READ_LIMIT, CodeAnswered, Line
from field.sunspec import HEADER, Block, Location, block_of, discovery, raw_of

NOTHING_THERE = (2, 3)
"""Exception codes by which devices say that they have no such register."""


async def discovered(line: Line, unit: int) -> list[Location]:
    """Return the models of a unit, in its order.

    Raises:
        DeviceError: if it does not answer or has no SunSpec map.
    """
    steps = discovery()
    address, count = next(steps)
    while True:
        registers: list[int] | None
        try:
            registers = await line.read(unit, address, count)
        except CodeAnswered as answer:
            if answer.code not in NOTHING_THERE:
                raise
            registers = None
        try:
            address, count = steps.send(registers)
        except StopIteration as end:
            found: list[Location] = end.value
            return found


async def read_blocks(line: Line, unit: int, locations: Sequence[Location]) -> list[Block]:
    """Return the models' blocks, neighbours that fit one read being read together.

    A model beyond 125 registers takes several reads. Its scale factors might change between
    them: what is read first is read again at last, and must have stayed.

    Raises:
        DeviceError: if the unit does not answer, or has other models or scale factors there
            by now.
    """
    blocks = []
    for run in _runs(locations):
        first = run[0].address
        end = run[-1].address + HEADER + run[-1].length
        registers: list[int] = []
        for at in range(first, end, READ_LIMIT):
            registers += await line.read(unit, at, min(READ_LIMIT, end - at))
        if len(registers) > READ_LIMIT:
            (location,) = run
            before = _scales(location, registers)
            again = await line.read(unit, first, READ_LIMIT)
            if _scales(location, [*again, *registers[READ_LIMIT:]]) != before:
                raise DeviceError(
                    f"model {location.number} must keep its scale factors while it is read"
                )
        for location in run:
            begin = location.address - first
            blocks.append(block_of(location, registers[begin : begin + HEADER + location.length]))
    return blocks


def _scales(location: Location, registers: list[int]) -> dict[str, int | None]:
    block = block_of(location, registers)
    points = block.model.points.values()
    return {point.name: raw_of(block, point.name) for point in points if point.kind == "sunssf"}


def _runs(locations: Sequence[Location]) -> list[list[Location]]:
    """Group locations whose span fits one read."""
    runs: list[list[Location]] = []
    for location in sorted(locations, key=lambda location: location.address):
        end = location.address + HEADER + location.length
        if runs and end - runs[-1][0].address <= READ_LIMIT:
            runs[-1].append(location)
        else:
            runs.append([location])
    return runs

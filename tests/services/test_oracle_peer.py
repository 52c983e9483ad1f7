"""The simulated devices read by a second implementation of SunSpec, pysunspec2."""

from __future__ import annotations

import asyncio
import struct
from copy import deepcopy
from fractions import Fraction
from typing import Any

import pytest

from field.blocks import discovered, read_blocks
from field.modbus import Line, Tcp
from field.sunspec import (
    MODELS,
    Block,
    Location,
    block_of,
    exact_of,
    parts_of,
    raw_of,
    scale_of,
    text_of,
)
from oracle.plant import Battery
from oracle.simulator import BATTERY, INVERTER, METER, SiteSimulator

client = pytest.importorskip("sunspec2.modbus.client")
definitions = pytest.importorskip("sunspec2.device")

START = 1000 * 1800


def model_of_peer(number: int) -> Any:
    """An empty model as pysunspec2 defines it, without the groups that repeat."""
    definition = deepcopy(definitions.get_model_def(number))
    definition["group"].pop("groups", None)
    return definitions.Model(model_id=number, model_def=definition)


def read_by_peer(port: int, unit: int) -> dict[int, dict[str, Any]]:
    """Scan a unit and return each model's points as pysunspec2 sees them, unscaled."""
    device = client.SunSpecModbusClientDeviceTCP(slave_id=unit, ipaddr="127.0.0.1", ipport=port)
    device.scan()
    read = {
        model.model_id: {name: point.value for name, point in model.points.items()}
        for model in device.model_list
    }
    device.close()
    return read


@pytest.mark.parametrize("unit", [METER, INVERTER, BATTERY])
def test_both_read_the_same_from_every_register(unit: int):
    async def play() -> None:
        battery = Battery(44_000, 15_000, initial_wh=12_345)
        site = SiteSimulator(lambda _: 3_333, lambda _: 8_111, battery, start_seconds=START)
        async with site:
            site.advance(START + 1800)
            theirs = await asyncio.to_thread(read_by_peer, site.port, unit)
            line = Line(Tcp("127.0.0.1", site.port))
            locations = await discovered(line, unit)
            assert list(theirs) == [location.number for location in locations]
            for block in await read_blocks(line, unit, locations):
                other = theirs[block.model.number]
                assert set(block.model.points) <= set(other)
                for name, point in block.model.points.items():
                    if point.kind == "pad":
                        continue
                    ours = text_of if point.kind == "string" else raw_of
                    assert ours(block, name) == other[name], (block.model.number, name)
            line.close()

    asyncio.run(play())


@pytest.mark.parametrize("number", sorted(MODELS))
def test_the_tables_are_those_of_the_peer(number: int):
    model = model_of_peer(number)
    for name, point in MODELS[number].points.items():
        theirs = model.points[name]
        assert theirs.offset == point.offset, name
        assert theirs.len == point.registers, name
        assert theirs.pdef["type"] == point.kind, name
        assert theirs.pdef.get("sf") == point.scale, name
        assert (theirs.pdef.get("access") == "RW") == point.writable, name
    assert len(model.points) == len(MODELS[number].points) + 2


def peer_value(kind: str, place: int) -> Any:
    """A value that no other place of an image has."""
    if kind == "string":
        return f"text {place}"
    if kind == "float32":
        return (place + 1) / 3
    return -(place % 4) if kind == "sunssf" else 1 + place


def registers_of_peer(image: bytes) -> list[int]:
    return [int.from_bytes(image[at : at + 2]) for at in range(0, len(image), 2)]


def read_as(block: Block, name: str, kind: str) -> Any:
    if kind == "string":
        return text_of(block, name)
    if kind == "float32":
        return exact_of(block, name)
    return raw_of(block, name)


def told(kind: str, place: int) -> Any:
    """What is read where the peer wrote `peer_value`: a float in its 32 bits, exactly."""
    value = peer_value(kind, place)
    if kind == "float32":
        return Fraction(struct.unpack(">f", struct.pack(">f", value))[0])
    return value


@pytest.mark.parametrize("number", sorted(MODELS))
def test_an_image_that_the_peer_built_reads_the_same(number: int):
    model = model_of_peer(number)
    points = MODELS[number].points
    for place, (name, point) in enumerate(points.items()):
        if point.kind != "pad":
            model.points[name].value = peer_value(point.kind, place)
    model.points["L"].value = MODELS[number].length
    registers = registers_of_peer(model.get_mb())
    block = block_of(Location(number, 40002, MODELS[number].length), registers)
    for place, (name, point) in enumerate(points.items()):
        if point.kind != "pad":
            assert read_as(block, name, point.kind) == told(point.kind, place), name


def test_what_repeats_is_read_as_the_peer_built_it():
    empty = [714, 18 + 3 * 25, 0, 0, 3] + [0] * (18 + 3 * 25 - 3)
    data = b"".join(register.to_bytes(2) for register in empty)
    model = definitions.Model(model_id=714, data=data, model_len=18 + 3 * 25)
    for number, port in enumerate(model.groups["Prt"]):
        for place, (name, point) in enumerate(MODELS[714].repeated.items()):
            port.points[name].value = peer_value(point.kind, place + 100 * number)
    model.points["DCWH_SF"].value = -1
    registers = registers_of_peer(model.get_mb())
    block = block_of(Location(714, 40002, registers[1]), registers)
    assert scale_of(block, "DCWhInj") == -1
    assert len(parts_of(block)) == 3
    for number, part in enumerate(parts_of(block)):
        for place, (name, point) in enumerate(MODELS[714].repeated.items()):
            assert read_as(part, name, point.kind) == told(point.kind, place + 100 * number), name

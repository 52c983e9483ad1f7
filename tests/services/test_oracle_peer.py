"""The simulated devices read by a second implementation of SunSpec, pysunspec2."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

import pytest

from energy.sunspec import MODELS, Location, block_of, raw_of, text_of
from oracle.modbus import Line
from oracle.plant import Battery
from oracle.simulator import BATTERY, INVERTER, METER, SiteSimulator
from oracle.sunspec import discovered, read_blocks

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
            line = Line("127.0.0.1", site.port)
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


@pytest.mark.parametrize("number", sorted(MODELS))
def test_an_image_that_the_peer_built_reads_the_same(number: int):
    model = model_of_peer(number)
    for place, (name, point) in enumerate(MODELS[number].points.items()):
        if point.kind == "string":
            model.points[name].value = f"text {place}"
        elif point.kind != "pad":
            model.points[name].value = 1 + place if point.kind != "sunssf" else -(place % 4)
    model.points["L"].value = MODELS[number].length
    image = model.get_mb()
    registers = [int.from_bytes(image[at : at + 2]) for at in range(0, len(image), 2)]
    block = block_of(Location(number, 40002, MODELS[number].length), registers)
    for place, (name, point) in enumerate(MODELS[number].points.items()):
        if point.kind == "string":
            assert text_of(block, name) == f"text {place}"
        elif point.kind != "pad":
            assert raw_of(block, name) == (1 + place if point.kind != "sunssf" else -(place % 4))

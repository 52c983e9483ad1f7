"""A terminal's instruments against simulated devices, over real TCP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from pymodbus.client import AsyncModbusTcpClient

from energy.errors import DeviceError, SettingError
from field.blocks import discovered, read_blocks
from field.modbus import CodeAnswered, Line, NoAnswer, Table, Tcp, is_answer
from field.sunspec import Block, value_of, write_of
from oracle.device import Device, Instruments, SiteDevices
from oracle.plant import Battery, Flows
from oracle.quantity import Sample
from oracle.simulator import (
    BATTERY,
    CONTROL_ADDRESS,
    INVERTER,
    METER,
    Fault,
    SiteSimulator,
)

START = 1000 * 1800
KESENNUMA = Battery(44_000, 15_000, efficiency=900, initial_wh=10_000)


def simulated(load_wh: int = 3_000, generation_wh: int = 5_000) -> SiteSimulator:
    return SiteSimulator(lambda _: load_wh, lambda _: generation_wh, KESENNUMA, start_seconds=START)


@asynccontextmanager
async def instruments(site: SiteSimulator) -> AsyncIterator[Instruments]:
    async with site:
        connected = Instruments(site.devices(), timeout_seconds=1, retries=0)
        try:
            yield connected
        finally:
            connected.close()


def run(scene: Callable[[SiteSimulator, Instruments], Awaitable[None]]) -> None:
    """Play a scene with a site that has run for one half hour."""

    async def play() -> None:
        site = simulated()
        async with instruments(site) as connected:
            site.advance(START + 1800)
            await scene(site, connected)

    asyncio.run(play())


@asynccontextmanager
async def answering(answer: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """A host that answers every question of 12 bytes with bytes of the test's choice."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while question := await reader.read(12):
            writer.write(answer(question))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def texts(sample: Sample) -> tuple[str, ...]:
    """What was wrong with a sample, in words."""
    return tuple(map(str, sample.incidents))


def shown_wh(sample: Sample) -> dict[str, int]:
    return {name: counter.value // 1000 for name, counter in sample.counters.items()}


async def read_control(site: SiteSimulator) -> Block:
    line = Line(Tcp("127.0.0.1", site.port))
    models = [at for at in await discovered(line, BATTERY) if at.number == 124]
    (block,) = await read_blocks(line, BATTERY, models)
    line.close()
    return block


async def write(site: SiteSimulator, unit: int, address: int, words: list[int]) -> int:
    """Write registers as another master would; return the exception code, 0 if none."""
    client = AsyncModbusTcpClient("127.0.0.1", port=site.port, reconnect_delay=0)
    assert await client.connect()
    answer = await client.write_registers(address, words, device_id=unit)
    client.close()
    return answer.exception_code if answer.isError() else 0


async def command(site: SiteSimulator, **points: int) -> None:
    """Set control points, rates in percent."""
    block = await read_control(site)
    for name, value in points.items():
        address, words = write_of(block, name, value)
        assert await write(site, BATTERY, address, words) == 0


def test_a_sample_shows_what_the_plant_did():
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        sample = await connected.sample(START + 1800)
        assert texts(sample) == ()
        assert shown_wh(sample) == {
            "meter.imported": 100_000,
            "meter.exported": 100_000,
            "inverter.generated": 105_000,
            "battery.charged": 102_000,
            "battery.discharged": 100_000,
        }
        assert sample.powers_w == {
            "meter.imported": 0,
            "meter.exported": 0,
            "inverter.generated": 10_000,
            "battery.charged": 4_000,
            "battery.discharged": 0,
        }
        assert sample.stored_wh["battery.stored"] == 10_000 + 2_000 * 900 // 1000

    run(scene)


def test_import_is_positive_power_at_the_meter():
    async def play() -> None:
        site = SiteSimulator(lambda _: 500, lambda _: 0, start_seconds=START)
        async with instruments(site) as connected:
            site.advance(START + 1800)
            sample = await connected.sample(START + 1800)
            assert sample.powers_w == {
                "meter.imported": 1000,
                "meter.exported": 0,
                "inverter.generated": 0,
            }
            assert set(sample.counters) == {
                "meter.imported",
                "meter.exported",
                "inverter.generated",
            }
            assert texts(sample) == ()

    asyncio.run(play())


def test_neighbouring_models_are_read_at_once():
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        line = connected._lines[Tcp("127.0.0.1", site.port)]
        await connected.sample(0)
        asked = []
        read = line.read

        async def listening(
            unit: int, address: int, count: int, table: Table = "holding"
        ) -> list[int]:
            asked.append((unit, count))
            return await read(unit, address, count, table)

        line.read = listening  # type: ignore[method-assign]
        await connected.sample(1)
        assert sorted(asked) == [(1, 107), (2, 52), (3, 9 + 20 + 64)]

    run(scene)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (Fault.NO_ANSWER, "must answer for register 40070, got no answer"),
        (Fault.GARBAGE, "must answer for register 40070, got bytes 00"),
        (Fault.EXCEPTION, "must give register 40070, got exception 4 (device failure)"),
        (Fault.NOT_IMPLEMENTED, "TotWhImp must be a value, got 'not implemented'"),
    ],
)
def test_a_faulty_meter_is_named_and_absent_and_the_others_go_on(fault: Fault, named: str):
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        whole = await connected.sample(0)
        site.break_(METER, fault)
        sample = await connected.sample(1)
        assert set(sample.counters) == {
            "inverter.generated",
            "battery.charged",
            "battery.discharged",
        }
        assert set(sample.powers_w) == {
            "inverter.generated",
            "battery.charged",
            "battery.discharged",
        }
        assert texts(sample)[0].startswith("meter: ")
        assert named in texts(sample)[0]
        site.mend(METER)
        assert await connected.sample(2) == replace(whole, time_seconds=2)

    run(scene)


@pytest.mark.parametrize(
    ("unit", "left"),
    [
        (INVERTER, {"meter.imported", "meter.exported", "battery.charged", "battery.discharged"}),
        (BATTERY, {"meter.imported", "meter.exported", "inverter.generated"}),
    ],
)
def test_values_that_are_not_implemented_are_absent(unit: int, left: set[str]):
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        site.break_(unit, Fault.NOT_IMPLEMENTED)
        sample = await connected.sample(0)
        assert set(sample.counters) == left
        assert set(sample.powers_w) == left
        assert (sample.stored_wh == {}) == (unit == BATTERY)
        assert all("must be" in fault for fault in texts(sample))
        assert texts(sample)

    run(scene)


def test_a_shorter_counter_shows_the_same_energy_in_coarser_steps():
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        site.advance_slot(3_007, 0)
        fine = await connected.sample(0)
        site.break_(METER, Fault.COARSER_SCALE)
        coarse = await connected.sample(1)
        counter = coarse.counters["meter.imported"]
        assert counter.step == 10_000
        assert counter.span == fine.counters["meter.imported"].span * 10
        assert counter.value == fine.counters["meter.imported"].value // 10_000 * 10_000
        assert texts(coarse) == ()

    run(scene)


def test_an_exchanged_meter_shows_its_own_counter():
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        site.replace_device(METER, shows_wh=12)
        assert shown_wh(await connected.sample(0))["meter.imported"] == 12
        assert shown_wh(await connected.sample(0))["inverter.generated"] == 105_000

    run(scene)


def test_a_counter_wraps_at_32_bits():
    async def play() -> None:
        already = Flows(imported=2**32 - 100)
        site = SiteSimulator(lambda _: 300, lambda _: 0, start_seconds=START, already_wh=already)
        async with instruments(site) as connected:
            site.advance(START + 1800)
            assert shown_wh(await connected.sample(0))["meter.imported"] == 200

    asyncio.run(play())


def test_a_stopped_server_is_named_and_found_again_when_it_is_back():
    async def play() -> None:
        site = simulated()
        port = await site.start()
        connected = Instruments(site.devices(), timeout_seconds=1, retries=0)
        whole = await connected.sample(0)
        await site.stop()
        sample = await connected.sample(1)
        assert sample.counters == {}
        assert len(texts(sample)) == 3
        assert all(f"127.0.0.1:{port}" in fault for fault in texts(sample))
        await site.start(port=port)
        assert await connected.sample(2) == replace(whole, time_seconds=2)
        connected.close()
        await site.stop()

    asyncio.run(play())


def test_a_host_that_is_not_there_is_named():
    async def play() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(NoAnswer, match=f"127.0.0.1:{port} must accept a connection, got none"):
            await Line(Tcp("127.0.0.1", port), timeout_seconds=1).read(1, 0, 1)

    asyncio.run(play())


def test_a_unit_without_the_models_of_its_role_is_refused():
    async def play() -> None:
        site = simulated()
        async with site:
            device = Device("meter", Tcp("127.0.0.1", site.port), INVERTER, 1000)
            connected = Instruments(SiteDevices((device,)), timeout_seconds=1, retries=0)
            sample = await connected.sample(0)
            assert texts(sample)[0] == (
                "meter: unit 2 must have a model of [201, 202, 203, 204, 211, 212, 213, 214] "
                "that counts, got []"
            )
            connected.close()

    asyncio.run(play())


def test_power_beyond_the_devices_ceiling_is_nonsense():
    async def play() -> None:
        site = simulated()
        async with site:
            site.advance(START + 1800)
            meter, inverter, _ = site.devices().devices
            devices = SiteDevices((meter, replace(inverter, ceiling_w=9_999)))
            connected = Instruments(devices, timeout_seconds=1, retries=0)
            sample = await connected.sample(0)
            assert texts(sample) == ("inverter: power must be within 9999 W, got 10000 W",)
            assert "inverter.generated" not in sample.powers_w
            assert "inverter.generated" in sample.counters
            connected.close()

    asyncio.run(play())


def test_more_stored_than_a_battery_can_hold_is_nonsense():
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        site.plant = replace(site.plant, content=45_000_000)
        sample = await connected.sample(0)
        assert sample.stored_wh == {}
        assert texts(sample) == ("battery: 713 SoC must be at most 100 %, got 102 %",)

    run(scene)


@pytest.mark.parametrize("unit", [0, 248])
def test_a_unit_that_cannot_be_is_refused(unit: int):
    with pytest.raises(SettingError, match=f"a Modbus unit must be 1 to 247, got {unit}"):
        Device("meter", Tcp("127.0.0.1"), unit, 1000)


def test_a_device_without_power_is_refused():
    with pytest.raises(SettingError, match="ceiling must be above 0 W, got 0 W"):
        Device("meter", Tcp("127.0.0.1"), 1, 0)


def test_a_register_that_is_not_there_is_answered_with_code_2():
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        line = Line(Tcp("127.0.0.1", site.port))
        with pytest.raises(CodeAnswered, match=r"exception 2 \(illegal address\)"):
            await line.read(METER, 100, 2)
        line.close()

    run(scene)


def test_a_device_that_fails_from_the_first_is_named_by_its_code():
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        site.break_(METER, Fault.EXCEPTION)
        (fault,) = texts(await connected.sample(0))
        assert "register 40000, got exception 4 (device failure)" in fault

    run(scene)


def test_fewer_registers_than_asked_for_are_refused():
    async def play() -> None:
        async with answering(
            lambda question: question[:4] + bytes.fromhex("00050103020007")
        ) as port:
            line = Line(Tcp("127.0.0.1", port), timeout_seconds=1, retries=0)
            with pytest.raises(NoAnswer, match="must give 2 registers from 7, got 1"):
                await line.read(1, 7, 2)
            line.close()

    asyncio.run(play())


def test_after_a_question_that_was_given_up_the_connection_is_a_new_one():
    async def play() -> None:
        halves = []

        def half_an_answer(question: bytes) -> bytes:
            answer = question[:4] + bytes.fromhex("00050103020007")
            halves.append(answer)
            return answer[:8] if len(halves) == 1 else answer

        async with answering(half_an_answer) as port:
            line = Line(Tcp("127.0.0.1", port), timeout_seconds=5)
            connection = line._client.ctx
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(line.read(1, 7, 1), 0.05)
            assert connection.transport is None
            assert await line.read(1, 7, 1) == [7]
            line.close()

    asyncio.run(play())


def test_a_question_that_was_given_up_does_not_spoil_the_next():
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        line = Line(Tcp("127.0.0.1", site.port), timeout_seconds=5)
        site.break_(METER, Fault.NO_ANSWER)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(line.read(METER, 40000, 2), 0.05)
        assert await line.read(INVERTER, 40002, 2) == [1, 66]
        line.close()

    run(scene)


@pytest.mark.parametrize(
    ("packet", "well_formed"),
    [
        ("000100000005010302abcd", True),
        ("0001000000030183" + "02", True),
        ("0001", True),
        ("00010000000501", True),
        ("000100000005010302", True),
        ("00010000000501a602abcd", False),
        ("000100070005010302abcd", False),
        ("000100000005010303abcd", False),
        ("00010000000401030199", False),
        ("0001000000050183" + "02abcd", False),
    ],
)
def test_only_answers_to_a_read_reach_the_decoder(packet: str, well_formed: bool):
    assert is_answer(bytes.fromhex(packet)) is well_formed


def test_the_battery_obeys_commands_over_the_line():
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        await command(site, StorCtl_Mod=1, InWRte=-40)
        site.advance_slot(1_000, 0)
        assert site.plant.last == Flows(exported=2_000, discharged=3_000)
        block = await read_control(site)
        assert value_of(block, "InWRte") == -40
        await command(site, StorCtl_Mod=2, OutWRte=-20, ChaGriSet=1)
        site.advance_slot(1_000, 0)
        assert site.plant.last == Flows(imported=2_500, charged=1_500)
        await command(site, StorCtl_Mod=0, MinRsvPct=100)
        site.advance_slot(1_000, 0)
        assert site.plant.last == Flows(imported=1_000)

    run(scene)


def test_a_command_reverts_within_the_half_hour_unless_it_is_repeated():
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        begin = site.plant.time_seconds
        await command(site, StorCtl_Mod=1, InWRte=0, InOutWRte_RvrtTms=600)
        site.advance(begin + 300)
        await command(site, StorCtl_Mod=1)
        charged_wh = site.plant.counters.charged
        site.advance(begin + 899)
        assert site.plant.counters.charged == charged_wh
        assert value_of(await read_control(site), "StorCtl_Mod") == 1
        site.advance(begin + 1800)
        assert site.plant.counters.charged == charged_wh + 1_000  # half of 2,000 Wh surplus
        assert value_of(await read_control(site), "StorCtl_Mod") == 0

    run(scene)


@pytest.mark.parametrize(
    ("unit", "address", "words", "code"),
    [
        (BATTERY, CONTROL_ADDRESS + 2, [1], 2),  # WChaMax
        (BATTERY, CONTROL_ADDRESS + 12, [0, 0, 5], 2),  # runs into a point that is not there
        (BATTERY, CONTROL_ADDRESS + 5, [4], 3),  # a mode that is none
        (BATTERY, CONTROL_ADDRESS + 13, [0x8000], 3),
        (BATTERY, CONTROL_ADDRESS + 7, [10_001], 3),
        (BATTERY, CONTROL_ADDRESS + 12, [20_000], 3),
        (BATTERY, CONTROL_ADDRESS + 17, [2], 3),
        (METER, CONTROL_ADDRESS + 5, [1], 2),
    ],
)
def test_an_impossible_command_is_refused_and_changes_nothing(
    unit: int, address: int, words: list[int], code: int
):
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        before = site.registers(BATTERY), site.controls
        assert await write(site, unit, address, words) == code
        assert (site.registers(BATTERY), site.controls) == before

    run(scene)


def test_the_parts_of_a_half_hour_add_up_to_the_whole():
    whole, parts = simulated(3_001, 4_999), simulated(3_001, 4_999)
    whole.advance(START + 1800)
    for second in (1, 17, 599, 600, 1201, 1800):
        parts.advance(START + second)
    assert parts.plant.counters == whole.plant.counters
    assert parts.plant.content == whole.plant.content


def test_a_unit_that_is_not_fitted_does_not_answer_for_itself():
    site = SiteSimulator(lambda _: 0, lambda _: 0, start_seconds=START)
    with pytest.raises(ValueError, match="must be asked for unit 1 or 2, got 3"):
        site.registers(BATTERY)


def test_a_device_whose_models_moved_is_looked_at_anew():
    async def scene(site: SiteSimulator, connected: Instruments) -> None:
        await connected.sample(0)
        connected._locations["inverter"] = [
            replace(at, address=at.address - 1) for at in connected._locations["inverter"]
        ]
        sample = await connected.sample(1)
        assert texts(sample)[0].startswith("inverter: register 40069 must begin model 103")
        assert texts(await connected.sample(2)) == ()

    run(scene)


def test_errors_are_errors_of_a_device():
    assert issubclass(NoAnswer, DeviceError)
    assert issubclass(CodeAnswered, DeviceError)

"""ECHONET Lite against a node on a real UDP port, and that node against a client of others."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import pytest
from pychonet import ECHONETAPIClient, StorageBattery
from pychonet.lib.udpserver import UDPServer

from energy.errors import DeviceError, SettingError
from field.echonet import BATTERY, ROOF, SMART_METER, object_of
from field.echonet_node import Declined, Echonet, EchonetLine
from field.modbus import NoAnswer
from oracle.device import Device, Instruments, SiteDevices
from tests.echonet_device import SimulatedNode, battery, meter, roof, served, word
from vpp.dispatch.device import Setpoint
from vpp.dispatch.echonet import EchonetBattery, EchonetPower
from vpp.dispatch.settings import load_settings

THE_BATTERY = object_of(BATTERY, 1)
THE_METER = object_of(SMART_METER, 1)
THE_ROOF = object_of(ROOF, 1)


@pytest.fixture
def node():
    properties, writable = battery()
    objects = {THE_BATTERY: properties, THE_METER: meter(), THE_ROOF: roof()}
    return SimulatedNode(objects, {THE_BATTERY: writable})


def run(node, act, **options):
    """Have something done with a line to a node."""

    async def whole():
        async with served(node) as port:
            line = EchonetLine(
                Echonet("127.0.0.1", port, 0), timeout_seconds=0.3, retries=0, **options
            )
            try:
                return await act(line)
            finally:
                line.close()

    return asyncio.run(whole())


def test_a_battery_shows_its_power_stock_counters_and_limits(node):
    shown = run(node, lambda line: EchonetBattery(line, 1).read())
    assert (shown.power_w, shown.stored_wh, shown.capacity_wh) == (-3_000, 11_000, 44_000)
    assert (shown.charge_w, shown.discharge_w) == (15_000, 14_000)
    assert (shown.charged_mwh, shown.discharged_mwh) == (5_500_000_000, 4_900_000_000)
    assert shown.held is not None
    assert shown.held.setpoint is None
    assert not shown.nonsense


@pytest.mark.parametrize(
    ("power_w", "held"),
    [
        (2_500, {0xDA: b"\x43", 0xEC: word(2_500), 0xC2: b"\x03"}),
        (-1_500, {0xDA: b"\x42", 0xEB: word(1_500), 0xC1: b"\x03"}),
        (0, {0xDA: b"\x44"}),
        (None, {0xDA: b"\x46"}),
    ],
)
def test_a_power_is_set_by_mode_and_watts_and_read_back(node, power_w, held):
    setpoint = None if power_w is None else Setpoint.exactly(power_w)

    async def commanded(line):
        device = EchonetBattery(line, 1)
        assert await device.command(setpoint, 60) == setpoint
        shown = (await device.read()).held
        assert shown is not None
        return shown.setpoint

    assert run(node, commanded) == setpoint
    assert held.items() <= node.objects[THE_BATTERY].items()


def test_the_power_is_set_before_the_mode_that_uses_it(node):
    run(node, lambda line: EchonetBattery(line, 1).command(Setpoint.exactly(900), 60))
    (asked,) = [frame for frame in node.asked if frame.service == 0x61]
    assert [code for code, _ in asked.properties] == [0xC2, 0xEC, 0xDA]


def test_a_battery_that_refuses_or_forgets_is_told_of(node):
    def command(line):
        return EchonetBattery(line, 1).command(Setpoint.exactly(900), 60)

    node.refused = {0xEC}
    with pytest.raises(Declined, match="must take 0xEC = 0x00000384"):
        run(node, command)
    assert node.objects[THE_BATTERY][0xDA] == b"\x46"
    node.refused, node.ignored = set(), {0xDA}
    with pytest.raises(DeviceError, match="must hold 0xDA = 0x43, got 46"):
        run(node, command)
    node.writable[THE_BATTERY].discard(0xEC)
    with pytest.raises(DeviceError, match="0xEC must be one that can be set"):
        run(node, command)


def test_a_range_is_refused(node):
    with pytest.raises(SettingError, match="one power"):
        run(node, lambda line: EchonetBattery(line, 1).command(Setpoint(-100, 100), 60))


def test_nonsense_of_a_battery_is_named_and_left_out(node):
    node.objects[THE_BATTERY] |= {0xE4: bytes([140]), 0xD3: word(0x7FFFFFFE), 0x88: b"\x41"}
    shown = run(node, lambda line: EchonetBattery(line, 1).read())
    assert shown.stored_wh is None
    assert shown.power_w is None
    assert "140 %" in shown.nonsense[0]
    assert len(shown.nonsense) == 3


def test_a_silent_node_and_a_missing_object_are_told_apart(node):
    with pytest.raises(DeviceError, match="must have object 027D02, got 027D01"):
        run(node, lambda line: EchonetBattery(line, 2).read())
    node.deaf = True
    with pytest.raises(NoAnswer):
        run(node, lambda line: EchonetBattery(line, 1).read())


def test_an_answer_to_an_older_question_is_not_taken(node):
    async def asked(line):
        node.deaf = True
        with pytest.raises(NoAnswer):
            await line.get(THE_METER, [0xE7])
        old = node.answer(node.asked[-1])
        node.deaf = False
        node.objects[THE_METER][0xE7] = word(77)
        waiting = asyncio.create_task(line.get(THE_METER, [0xE7]))
        for _ in range(3):
            await asyncio.sleep(0)
        line._socket.datagram_received(old.to_bytes(), ("127.0.0.1", 1))
        return await waiting

    assert run(node, asked) == {0xE7: word(77)}


def test_meter_and_roof_are_powers(node):
    assert run(node, lambda line: EchonetPower(line, 1, "meter").read()) == -1_200
    assert run(node, lambda line: EchonetPower(line, 1, "meter", turned=True).read()) == 1_200
    assert run(node, lambda line: EchonetPower(line, 1, "inverter").read()) == 4_200


def test_a_terminal_samples_echonet_devices_beside_each_other(node):
    async def sampled():
        async with served(node) as port:
            place = Echonet("127.0.0.1", port, 0)
            devices = [Device(role, place, 1, 20_000) for role in ("meter", "inverter", "battery")]
            instruments = Instruments(SiteDevices(tuple(devices)))
            try:
                return await instruments.sample(1_000)
            finally:
                instruments.close()

    sample = asyncio.run(sampled())
    assert not sample.incidents
    imported = sample.counters["meter.imported"]
    assert imported.value == 123_456 * 100 * 1000
    assert imported.step == 100_000
    assert Fraction(imported.span, 1000) == 10**8 * 100
    assert sample.counters["inverter.generated"].value == 9_876_543_000
    assert sample.powers_w["battery.charged"] == 3_000
    assert sample.stored_wh["battery.stored"] == 11_000


def test_several_lines_of_a_process_share_the_port_that_answers_go_to(node):
    async def both():
        another = SimulatedNode({THE_METER: meter()})
        async with served(node) as port, served(another) as other:
            free = await free_port()
            lines = [EchonetLine(Echonet("127.0.0.1", at, free)) for at in (port, other)]
            found = await asyncio.gather(*(line.objects() for line in lines))
            for line in lines:
                line.close()
            return found

    async def free_port():
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, ("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        transport.close()
        await asyncio.sleep(0)
        return port

    assert asyncio.run(both()) == [[THE_BATTERY, THE_METER, THE_ROOF], [THE_METER]]


def test_a_port_that_another_process_has_is_named(node):
    async def taken():
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, ("0.0.0.0", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        try:
            with pytest.raises(SettingError, match=f"local_port must be free.*{port}"):
                await EchonetLine(Echonet("127.0.0.1", 3610, port)).objects()
        finally:
            transport.close()

    asyncio.run(taken())


def test_a_client_of_others_reads_and_sets_the_simulated_battery(node):
    """pychonet, which knows nothing of this project, agrees on frames and meanings."""

    async def by_pychonet():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: node, ("127.0.0.2", 3610), reuse_port=True
        )
        udp = UDPServer()
        udp.run("127.0.0.1", 3610, loop=loop)
        client = ECHONETAPIClient(udp)
        client._message_timeout = 300
        try:
            await client.discover("127.0.0.2")
            for _ in range(100):
                await asyncio.sleep(0.02)
                if client._state.get("127.0.0.2", {}).get("discovered"):
                    break
            await client.getAllPropertyMaps("127.0.0.2", 0x02, 0x7D, 0x01)
            peer = StorageBattery("127.0.0.2", client, 1)
            codes = (0xD3, 0xA5, 0xE4)
            read = [peer.EPC_FUNCTIONS[code](await peer.getMessage(code)) for code in codes]
            await peer.setMessage(0xDA, 0x44)
            return read
        finally:
            transport.close()
            udp._sock.close()

    read = asyncio.run(by_pychonet())
    assert read == [3_000, 11_000, 25]
    assert node.objects[THE_BATTERY][0xDA] == b"\x44"


SETTINGS = """
[site]
number = 1
[owner]
charge_w = 5000
discharge_w = 5000
[device]
without_timer = true
[[battery]]
protocol = "echonet"
host = "192.168.1.20"
[[meter]]
protocol = "echonet"
host = "192.168.1.20"
local_port = 0
unit = 2
"""


def test_settings_name_echonet_devices(tmp_path):
    path = tmp_path / "dispatch.toml"
    path.write_text(SETTINGS)
    settings = load_settings(path)
    assert settings.battery.address == Echonet("192.168.1.20")
    assert settings.meters[0].address == Echonet("192.168.1.20", 3610, 0)
    assert settings.meters[0].unit == 2
    path.write_text(SETTINGS.replace("unit = 2", "unit = 200"))
    with pytest.raises(SettingError, match="unit must be 1 to 127"):
        load_settings(path)
    path.write_text(SETTINGS.replace("[[battery]]", "[[battery]]\ncontrol = 124"))
    with pytest.raises(SettingError, match="control must be left out"):
        load_settings(path)

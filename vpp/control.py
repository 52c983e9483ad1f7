"""Commands to a battery over Modbus TCP: SunSpec model 124, basic storage control.

A command carries a revert time: if no other one follows, the device falls back to
self-consumption by itself. Power in W, rates in 0.01 % of the battery's rated power.
"""

from __future__ import annotations

from collections.abc import Sequence

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from energy.errors import DeviceError
from field.sunspec import HEADER, Block, Location, block_of, discovery, value_of, write_of
from vpp.rule import Command, Mode

MODEL = 124
FULL_RATE = 10_000
RATE_DIGITS = 2
LIMIT_BOTH = 3
"""StorCtl_Mod: bit 0 limits the charge, bit 1 the discharge."""
ONLY_SURPLUS = 0
"""ChaGriSet: charge from the site's own generation alone."""


def settings_of(command: Command, rated_power_w: int) -> dict[str, int]:
    """Return the values of model 124's points for a command, rates in 0.01 %.

    A negative charge rate forces a discharge of at least that rate.
    """
    power_w = rated_power_w if command.power_w is None else command.power_w
    rate = min(power_w * FULL_RATE // rated_power_w, FULL_RATE)
    charge, discharge = {
        Mode.STORE: (rate, 0),
        Mode.SERVE: (0, rate),
        Mode.DISCHARGE: (-rate, rate),
        Mode.HOLD: (0, 0),
    }[command.mode]
    return {
        "InWRte": charge,
        "OutWRte": discharge,
        "ChaGriSet": ONLY_SURPLUS,
        "StorCtl_Mod": LIMIT_BOTH,
    }


class BatteryControl:
    """The control points of a battery at a host, port and Modbus unit."""

    def __init__(self, host: str, port: int, unit: int) -> None:
        self.unit = unit
        self._client = AsyncModbusTcpClient(host, port=port, timeout=1.0, retries=1)
        self._where = f"{host}:{port} unit {unit}"

    async def send(self, command: Command, revert_seconds: int) -> None:
        """Write a command and read it back.

        Raises:
            DeviceError: if the device does not answer, or holds something else afterwards.
        """
        location = await self._location()
        block = await self._block(location)
        rated = value_of(block, "WChaMax")
        if not rated:
            raise DeviceError(f"{self._where} must state WChaMax above 0 W, got {rated}")
        settings = settings_of(command, rated)
        await self._write(block, "InOutWRte_RvrtTms", revert_seconds)
        for name, value in settings.items():
            await self._write(block, name, value)
        after = await self._block(location)
        for name, value in settings.items():
            held = value_of(after, name, _digits(name))
            if held != value:
                raise DeviceError(f"{self._where} must hold {name} = {value}, got {held}")

    def close(self) -> None:
        """Hang up; the device keeps the command for its revert time."""
        self._client.close()

    async def _write(self, block: Block, name: str, value: int) -> None:
        address, registers = write_of(block, name, value, _digits(name))
        try:
            answer = await self._client.write_registers(address, registers, device_id=self.unit)
        except ModbusException as error:
            raise DeviceError(f"{self._where} must take {name}, got {error}") from error
        if answer.isError():
            raise DeviceError(f"{self._where} must take {name} = {value}, got {answer}")

    async def _block(self, location: Location) -> Block:
        registers = await self._read(location.address, HEADER + location.length)
        return block_of(location, registers or [])

    async def _location(self) -> Location:
        if not self._client.connected and not await self._client.connect():
            raise DeviceError(f"{self._where} must accept a connection, got none")
        steps = discovery()
        address, count = next(steps)
        while True:
            try:
                address, count = steps.send(await self._read(address, count))
            except StopIteration as end:
                locations: list[Location] = end.value
                break
        for location in locations:
            if location.number == MODEL:
                return location
        raise DeviceError(f"{self._where} must have model {MODEL}, got none")

    async def _read(self, address: int, count: int) -> Sequence[int] | None:
        try:
            answer = await self._client.read_holding_registers(
                address, count=count, device_id=self.unit
            )
        except ModbusException as error:
            raise DeviceError(f"{self._where} must answer, got {error}") from error
        return None if answer.isError() else answer.registers


def _digits(name: str) -> int:
    return RATE_DIGITS if name.endswith("WRte") else 0

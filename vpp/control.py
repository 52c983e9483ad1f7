"""A slot's command to a battery over Modbus TCP, as the demo gives it once a half hour.

It is written as any other set-point is, by `vpp.dispatch.sunspec`, with a revert time: if no other
one follows, the device falls back to self-consumption by itself.
"""

from __future__ import annotations

from field.modbus import Line, Tcp
from vpp.dispatch.device import Setpoint
from vpp.dispatch.sunspec import STORAGE, SunSpecBattery
from vpp.rule import Command, Mode

MOST_W = 10**9
"""More than any battery has: a range up to it is bounded by the battery's own power."""


def setpoint_of(command: Command) -> Setpoint:
    """Return the set-point of a command; to store is to charge from the surplus alone, and to
    serve is to discharge for the site's own use alone. Own use is both.

    >>> setpoint_of(Command(Mode.DISCHARGE, 6_000))
    Setpoint(least_w=6000, most_w=6000)
    """
    power_w = MOST_W if command.power_w is None else command.power_w
    match command.mode:
        case Mode.STORE:
            return Setpoint(-power_w, 0)
        case Mode.SERVE:
            return Setpoint(0, power_w)
        case Mode.OWN:
            return Setpoint(-MOST_W, power_w)
        case Mode.DISCHARGE:
            return Setpoint.exactly(power_w)
        case Mode.HOLD:
            return Setpoint.exactly(0)


class BatteryControl:
    """A battery at a host, port and Modbus unit that never charges from the network."""

    def __init__(self, host: str, port: int, unit: int) -> None:
        line = Line(Tcp(host, port))
        self._battery = SunSpecBattery(line, unit, control=STORAGE, grid_charging=False)

    async def send(self, command: Command, revert_seconds: int) -> None:
        """Write a command and read it back.

        Raises:
            DeviceError: if the device does not answer, or holds something else afterwards.
        """
        await self._battery.command(setpoint_of(command), revert_seconds)

    def close(self) -> None:
        """Hang up; the device keeps the command for its revert time."""
        self._battery.close()

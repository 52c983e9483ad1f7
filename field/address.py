"""Where a device is, in a settings file: `host` and `port`, or a `serial` line.

With `protocol = "echonet"` it is a host that speaks ECHONET Lite; its `unit` is then the instance
of the device's class.
"""

from __future__ import annotations

from daemon.table import Table
from field.echonet import PORT
from field.echonet_node import Echonet
from field.modbus import Address, Serial, Tcp

ECHONET_INSTANCES = 127


def place_from(part: Table) -> tuple[Address | Echonet, int]:
    """Take a device's address and its unit there from its table.

    Raises:
        SettingError: if there is none, or one that cannot be.
    """
    if part.one_of("protocol", ("modbus", "echonet"), "modbus") == "echonet":
        address = Echonet(
            part.text("host"),
            part.whole("port", 1, 65_535, PORT),
            part.whole("local_port", 0, 65_535, PORT),
        )
        return address, part.whole("unit", 1, ECHONET_INSTANCES, 1)
    return address_from(part), part.whole("unit", 1, 247, 1)


def address_from(part: Table) -> Address:
    """Take a device's address from its table.

    Raises:
        SettingError: if it has neither or both, or one that cannot be.
    """
    host, serial = part.text("host", ""), part.text("serial", "")
    if bool(host) == bool(serial):
        raise part.error("host", "be given, or serial, not both", host or serial)
    if host:
        return Tcp(host, part.whole("port", 1, 65_535, 502))
    return Serial(
        serial,
        part.whole("baud", 300, 4_000_000, 9600),
        part.one_of("parity", ("N", "E", "O"), "N"),
        part.whole("stop_bits", 1, 2, 1),
    )

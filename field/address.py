"""Where a device is, in a settings file: `host` and `port`, or a `serial` line."""

from __future__ import annotations

from energy.table import Table
from field.modbus import Address, Serial, Tcp


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

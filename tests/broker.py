"""A fleet on loopback, and its broker, for the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from energy.errors import SettingError
from vpp.link.broker import Broker, mosquitto, on_loopback
from vpp.link.folders import FleetFile
from vpp.link.setup import counted, new_fleet


def running_broker(folder: Path) -> Broker:
    """Return a fleet's broker, started; a test that asks for it is skipped where there is none."""
    try:
        mosquitto()
    except SettingError as error:
        pytest.skip(str(error))
    broker = Broker(folder)
    broker.start()
    return broker


def fleet_in(folder: Path, count: int) -> FleetFile:
    """Make a fleet whose broker listens on loopback."""
    return new_fleet(folder, "test", counted(count), on_loopback())

"""From settings to a site's dispatch, its devices and its state opened; one daemon at a time.

Units: seconds.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from energy.errors import DeviceError, SettingError
from field.echonet_node import Echonet, EchonetLine
from field.modbus import Address, Line
from vpp.dispatch.device import Battery, BatteryShown, Power, Setpoint
from vpp.dispatch.echonet import EchonetBattery, EchonetPower
from vpp.dispatch.instruments import Instruments
from vpp.dispatch.settings import DevicePlace, Settings
from vpp.dispatch.site import SiteDispatch
from vpp.dispatch.store import Store
from vpp.dispatch.sunspec import SunSpecBattery, SunSpecPower


class Sum:
    """Several meters, or several inverters, as one."""

    def __init__(self, devices: Sequence[Power]) -> None:
        self.devices = devices

    async def read(self) -> int:
        """Return the sum of their powers; see `Power.read`."""
        return sum(await asyncio.gather(*(device.read() for device in self.devices)))

    def close(self) -> None:
        """Hang up."""
        for device in self.devices:
            device.close()


class Unarmed:
    """A battery that is read and never commanded: what `yui vpp check` looks at."""

    def __init__(self, battery: Battery) -> None:
        self._battery = battery

    @property
    def follows_ranges(self) -> bool:
        """As the battery behind it."""
        return self._battery.follows_ranges

    @property
    def reverts(self) -> bool:
        """As the battery behind it."""
        return self._battery.reverts

    async def read(self) -> BatteryShown:
        """Return what it shows; see `Battery.read`."""
        return await self._battery.read()

    async def command(self, setpoint: Setpoint | None, revert_seconds: int) -> Setpoint | None:
        """Do nothing, and say that it holds it."""
        return setpoint

    def close(self) -> None:
        """Hang up."""
        self._battery.close()


@contextmanager
def site_of(settings: Settings, *, unarmed: bool = False) -> Iterator[SiteDispatch]:
    """Open a site's devices and state as its dispatch, and close them afterwards.

    `unarmed`, it commands nothing, and what is on disk stays as it is.

    Raises:
        SettingError: if something of it cannot be opened.
    """
    lines: dict[Address | Echonet, Line | EchonetLine] = {}
    timeout = settings.timeout_seconds

    def line(address: Address) -> Line:
        made = lines.setdefault(address, Line(address, timeout_seconds=timeout, retries=0))
        assert isinstance(made, Line)
        return made

    def node(address: Echonet) -> EchonetLine:
        made = lines.setdefault(address, EchonetLine(address, timeout_seconds=timeout, retries=0))
        assert isinstance(made, EchonetLine)
        return made

    def power(at: DevicePlace, role: str, models: Sequence[int]) -> Power:
        if isinstance(at.address, Echonet):
            return EchonetPower(node(at.address), at.unit, role, turned=at.reversed)
        return SunSpecPower(line(at.address), at.unit, models, turned=at.reversed)

    def summed(places: Sequence[DevicePlace], role: str, models: Sequence[int]) -> Power | None:
        devices = [power(at, role, models) for at in places]
        return devices[0] if len(devices) == 1 else Sum(devices) if devices else None

    place = settings.battery
    battery: Battery
    if isinstance(place.address, Echonet):
        battery = EchonetBattery(node(place.address), place.unit)
    else:
        battery = SunSpecBattery(
            line(place.address),
            place.unit,
            control=place.control,
            grid_charging=settings.limits.grid_charging,
        )
    store = Store.copied(settings.state) if unarmed else Store(settings.state)
    try:
        yield SiteDispatch(
            settings.place,
            Instruments(
                Unarmed(battery) if unarmed else battery,
                summed(settings.meters, "meter", SunSpecPower.METER),
                summed(settings.inverters, "inverter", SunSpecPower.INVERTER),
            ),
            settings.limits,
            store,
            tuning=settings.tuning,
            rhythm=settings.rhythm,
            patience=settings.patience,
            without_timer=settings.without_timer,
        )
    finally:
        for each in lines.values():
            each.close()
        store.close()


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Be the one daemon that commands a site's battery.

    Raises:
        SettingError: if another one does.
    """
    path = _lock(settings.state)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingError(f"{path} must be a file that can be written, got: {error}") from None
    try:
        if not _locked(handle):
            raise SettingError(f"{path} must be free: another yui vpp run commands this battery")
        yield
    finally:
        os.close(handle)


def is_running(settings: Settings) -> bool:
    """Return whether a daemon commands a site's battery now."""
    try:
        # Not made here: it might then be another user's than the daemon's.
        handle = os.open(_lock(settings.state), os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _locked(handle)
    finally:
        os.close(handle)


async def stop_now(settings: Settings) -> None:
    """Stop the battery without a daemon: the set-point 0 W, without a timer.

    Raises:
        DeviceError: if it does not take it.
    """
    with site_of(settings) as site:
        try:
            await site.instruments.battery.command(Setpoint.exactly(0), 0)
        except DeviceError as error:
            raise DeviceError(
                f"the stop is kept, but the battery must be reached, got: {error}"
            ) from None


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


async def let_go_now(settings: Settings) -> bool:
    """Leave the battery to itself without a daemon; return False where it is stopped, and stays so.

    A device with a revert timer does so by itself, a little later; one without needs it.

    Raises:
        SettingError: if a daemon commands it.
        DeviceError: if it does not take it.
    """
    with alone(settings), site_of(settings) as site:
        if site.standing.stopped or site.standing.stopped_here:
            return False
        await site.instruments.battery.command(None, settings.rhythm.revert_seconds)
        return True


def _lock(state: Path) -> Path:
    return state.with_name(state.name + ".lock")

"""A site's devices, sampled: what they all show at one moment.

What a device does not tell is absent from the sample, and the sample says why. Devices on
different lines are read at the same time, those on one line in turn.

Units: as in `oracle.quantity`.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from energy.errors import DeviceError, SettingError
from energy.units import ENERGY_LIMIT
from field.blocks import discovered, read_blocks
from field.echonet_node import Echonet, EchonetLine
from field.modbus import Address, Line, NoAnswer
from field.sunspec import Location
from oracle.echonet import read_echonet
from oracle.models import SOURCES, models_of, shown_by
from oracle.quantity import (
    COUNTED,
    SIGN,
    STORED,
    Incident,
    Role,
    Sample,
    Shown,
    incident_of,
    key_of,
)
from oracle.registermap import RegisterMap, read_map


@dataclass(frozen=True)
class Device:
    """Where a field device answers, what it is, and the power (W) that it can never exceed.

    `reversed` tells a meter that is mounted the wrong way round: what it counts as import is
    export. `map` is None for a device that speaks SunSpec.

    Raises:
        SettingError: for a unit beyond 1..247 (0 would address all) or no power, or a map
            that does not fit the role.
    """

    role: Role
    address: Address | Echonet
    unit: int
    ceiling_w: int
    name: str = ""
    map: RegisterMap | None = None
    reversed: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.unit <= 247:
            raise SettingError(f"a Modbus unit must be 1 to 247, got {self.unit}")
        if self.map is not None and isinstance(self.address, Echonet):
            raise SettingError("a register map must be for Modbus, got one for ECHONET Lite")
        if self.ceiling_w <= 0:
            raise SettingError(f"a device's ceiling must be above 0 W, got {self.ceiling_w} W")
        if self.reversed and self.role != "meter":
            raise SettingError(f"a reversed device must be a meter, got {self.role}")
        if self.map is not None:
            self.map.check(self.role)
        if not self.name:
            object.__setattr__(self, "name", self.role)

    @property
    def counted(self) -> tuple[str, ...]:
        """The quantities that it has a counter, or at least a power, for."""
        if self.map is None or not self.map.counted:
            return COUNTED[self.role]
        counted = self.map.counted
        return tuple(map(turned, counted)) if self.reversed else counted


_TURNED = {"imported": "exported", "exported": "imported"}


def turned(quantity: str) -> str:
    """Return the quantity that a reversed meter's counter stands for."""
    return _TURNED.get(quantity, quantity)


@dataclass(frozen=True)
class SiteDevices:
    """The devices of a site; its meters are the revenue meters.

    Raises:
        SettingError: without a meter, or for two devices of one name.
    """

    devices: tuple[Device, ...]

    def __post_init__(self) -> None:
        if not any(device.role == "meter" for device in self.devices):
            raise SettingError("a site must have a meter, got none")
        for name, times in Tally(device.name for device in self.devices).items():
            if times > 1:
                raise SettingError(f"a device's name must be its own, got {times} of {name!r}")

    @property
    def ceilings_w(self) -> dict[str, int]:
        """For each key of a counter, its device's ceiling."""
        return {
            key_of(device.name, quantity): device.ceiling_w
            for device in self.devices
            for quantity in device.counted
        }

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all that goes into a reading."""
        stored = [
            key_of(device.name, STORED) for device in self.devices if device.role == "battery"
        ]
        return (*self.ceilings_w, *stored)


class Instruments:
    """A site's devices, connected; models are looked for once and again when they changed."""

    def __init__(
        self, devices: SiteDevices, *, timeout_seconds: float = 1.0, retries: int = 1
    ) -> None:
        self.devices = devices
        self._lines: dict[Address, Line] = {}
        self._nodes: dict[Echonet, EchonetLine] = {}
        for address in {device.address for device in devices.devices}:
            if isinstance(address, Echonet):
                self._nodes[address] = EchonetLine(
                    address, timeout_seconds=timeout_seconds, retries=retries
                )
            else:
                self._lines[address] = Line(
                    address, timeout_seconds=timeout_seconds, retries=retries
                )
        self._locations: dict[str, list[Location]] = {}

    async def sample(self, time_seconds: int) -> Sample:
        """Return what all devices show now; a device that fails is an incident in the sample."""
        devices = self.devices.devices
        answers = await asyncio.gather(
            *(self._shown(device) for device in devices), return_exceptions=True
        )
        shown: dict[Device, Shown] = {}
        incidents: list[Incident] = []
        for device, answer in zip(devices, answers, strict=True):
            if isinstance(answer, DeviceError):
                incidents.append(incident_of(device.name, answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                shown[device] = answer
        sample = sample_of(time_seconds, shown)
        return replace(sample, incidents=(*incidents, *sample.incidents))

    async def _shown(self, device: Device) -> Shown:
        if isinstance(device.address, Echonet):
            return await read_echonet(self._nodes[device.address], device.role, device.unit)
        line = self._lines[device.address]
        if device.map is not None:
            return await read_map(line, device.unit, device.map)
        if device.name not in self._locations:
            wanted = models_of(device.role)
            found = [at for at in await discovered(line, device.unit) if at.number in wanted]
            if not any(at.number in SOURCES[device.role] for at in found):
                raise DeviceError(
                    f"unit {device.unit} must have a model of {sorted(SOURCES[device.role])} "
                    f"that counts, got {[at.number for at in found]}"
                )
            self._locations[device.name] = found
        try:
            blocks = await read_blocks(line, device.unit, self._locations[device.name])
        except NoAnswer:
            raise
        except DeviceError:
            del self._locations[device.name]  # it may have another map by now
            raise
        return shown_by(device.role, blocks)

    def close(self) -> None:
        """Close all connections."""
        for line in self._lines.values():
            line.close()
        for node in self._nodes.values():
            node.close()


def sample_of(time_seconds: int, shown: Mapping[Device, Shown]) -> Sample:
    """Return a sample from what devices showed.

    Power beyond a device's ceiling is nonsense, and so is a stored energy that no reading can hold.
    """
    sample = Sample(time_seconds)
    counters, powers_w, stored_wh = {}, {}, {}
    incidents: list[Incident] = []
    for device, each in shown.items():
        power_w = each.power_w
        errors: Iterable[DeviceError] = each.errors
        if power_w is not None and abs(power_w) > device.ceiling_w:
            told = f"power must be within {device.ceiling_w} W, got {power_w} W"
            errors, power_w = (DeviceError(told), *errors), None
        if power_w is not None and device.reversed:
            power_w = -power_w
        for quantity, counter in each.counters.items():
            own = turned(quantity) if device.reversed else quantity
            counters[key_of(device.name, own)] = counter
        if power_w is not None:
            for quantity in device.counted:
                powers_w[key_of(device.name, quantity)] = max(SIGN[quantity] * power_w, 0)
        if each.stored_wh is not None and not 0 <= each.stored_wh < ENERGY_LIMIT:
            beyond = DeviceError(
                f"stored must be at least 0 Wh and below {ENERGY_LIMIT} Wh, got {each.stored_wh} Wh"
            )
            errors = (*errors, beyond)
        elif each.stored_wh is not None:
            stored_wh[key_of(device.name, STORED)] = each.stored_wh
        incidents += [incident_of(device.name, error) for error in errors]
    return replace(
        sample,
        counters=counters,
        powers_w=powers_w,
        stored_wh=stored_wh,
        incidents=tuple(incidents),
    )

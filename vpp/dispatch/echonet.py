"""A battery, meter or roof that speaks ECHONET Lite, as dispatch sees it.

A power is set by mode (charge, discharge, standby) and the watts of it; left to itself the battery
is in its automatic mode. ECHONET Lite has no revert timer: what was set stands when nobody renews
it, so such a battery is dispatched only where its owner says `without_timer`.

Power in W, positive out of the battery; energy in Wh.
"""

from __future__ import annotations

from energy.errors import DeviceError, SettingError
from field.echonet import (
    AUTOMATIC,
    CHARGING,
    CLASSES,
    DISCHARGING,
    METER_CODES,
    ROOF_CODES,
    STANDBY,
    STORAGE_CODES,
    Count,
    StorageShown,
    meter_shown,
    power_settings,
    roof_shown,
    storage_shown,
)
from field.echonet_node import Declined, EchonetLine
from vpp.dispatch.device import BatteryShown, Held, Setpoint


class EchonetBattery:
    """A storage battery (027D) of a node."""

    follows_ranges = False
    reverts = False

    def __init__(self, line: EchonetLine, instance: int) -> None:
        self.line = line
        self.instance = instance

    def __str__(self) -> str:
        return f"{self.line} battery {self.instance}"

    async def read(self) -> BatteryShown:
        """Return what the battery shows; see `Battery.read`."""
        target = await self.line.object_for(CLASSES["battery"], self.instance)
        return shown_by(storage_shown(await self.line.get(target, STORAGE_CODES)))

    async def command(self, setpoint: Setpoint | None, revert_seconds: int) -> Setpoint | None:
        """Set a power and read it back; see `Battery.command`. There is no timer to set."""
        power_w = None
        if setpoint is not None:
            power_w = setpoint.power_w
            if power_w is None:
                raise SettingError(f"{self} must be given one power, got {setpoint}")
        target = await self.line.object_for(CLASSES["battery"], self.instance)
        settings = power_settings(power_w, await self.line.writable(target))
        try:
            await self.line.set(target, settings)
        except Declined:
            # The others of the frame were taken: a mode perhaps, without its power.
            if setpoint is not None:
                await self.line.set(target, power_settings(None, set()))
            raise
        codes = [code for code, _ in settings]
        held = await self.line.get(target, codes)
        for code, value in settings:
            if held.get(code) != value:
                got = held.get(code, b"").hex() or "nothing"
                raise DeviceError(f"{self} must hold 0x{code:X} = 0x{value.hex()}, got {got}")
        return setpoint

    def close(self) -> None:
        """Hang up; what it was told stands."""
        self.line.close()


def shown_by(shown: StorageShown) -> BatteryShown:
    """Return what a battery's properties tell; what cannot be is left out and named."""
    nonsense = [shown.nonsense] if shown.nonsense else []
    stored_wh = shown.stored_wh
    if stored_wh is not None and shown.capacity_wh is not None and stored_wh > shown.capacity_wh:
        nonsense.append(f"stored must be at most {shown.capacity_wh} Wh, got {stored_wh} Wh")
        stored_wh = None
    if shown.power_w is None:
        nonsense.append("power must be told, got none")
    if shown.is_faulty:
        nonsense.append("fault status must be 0x42 (no fault), got 0x41")
    charged, discharged = _mwh(shown.charged), _mwh(shown.discharged)
    return BatteryShown(
        power_w=shown.power_w,
        stored_wh=stored_wh,
        capacity_wh=shown.capacity_wh,
        charge_w=shown.charge_w,
        discharge_w=shown.discharge_w,
        charged_mwh=charged,
        discharged_mwh=discharged,
        step_mwh=1000,
        held=Held(_setpoint(shown)),
        nonsense=tuple(nonsense),
    )


def _setpoint(shown: StorageShown) -> Setpoint | None:
    powers = {
        CHARGING: None if shown.charging_w is None else -shown.charging_w,
        DISCHARGING: shown.discharging_w,
        STANDBY: 0,
    }
    power_w = powers.get(AUTOMATIC if shown.mode is None else shown.mode)
    return None if power_w is None else Setpoint.exactly(power_w)


def _mwh(count: Count | None) -> int | None:
    return None if count is None else int(count.value_wh * 1000)


class EchonetPower:
    """A meter (0288, 0287) or a roof (0279) of a node, as a power."""

    def __init__(
        self, line: EchonetLine, instance: int, role: str, *, turned: bool = False
    ) -> None:
        self.line = line
        self.instance = instance
        self.role = role
        self.sign = -1 if turned else 1

    async def read(self) -> int:
        """Return its power; see `Power.read`."""
        target = await self.line.object_for(CLASSES[self.role], self.instance)
        class_ = target >> 8
        if self.role == "meter":
            codes = METER_CODES[class_]
            power_w = meter_shown(class_, await self.line.get(target, codes)).power_w
        else:
            power_w = roof_shown(await self.line.get(target, ROOF_CODES)).power_w
        if power_w is None:
            raise DeviceError(f"{self.line} object {target:06X} must tell its power, got none")
        return self.sign * power_w

    def close(self) -> None:
        """Hang up."""
        self.line.close()

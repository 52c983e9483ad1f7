"""A site's devices, sampled: what meter, inverter and battery show at one moment.

What a device does not tell is absent from the sample, and the sample says why. Where the
values come from:

| quantity   | device   | counter      | power             | model                            |
| ---------- | -------- | ------------ | ----------------- | -------------------------------- |
| imported   | meter    | TotWhImp     | W > 0             | 203                              |
| exported   | meter    | TotWhExp     | W < 0             | 203                              |
| generated  | inverter | WH           | W > 0             | 103                              |
| charged    | battery  | DCWhAbs      | DCW < 0           | 714                              |
| discharged | battery  | DCWhInj      | DCW > 0           | 714                              |
| stored     | battery  | (a state)    |                   | 713 WHAvail, or 713, 802 WHRtg x SoC |

The meter counts at the connection point, import as positive power; the battery's energies
are those at its terminals.

Units: counters in milliwatt-hours, power in W, stored energy in Wh, time in unix seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from energy.errors import DeviceError, SettingError
from energy.sunspec import KINDS, Block, Location, raw_of, scale_of, value_of
from oracle.modbus import Line, NoAnswer
from oracle.sunspec import discovered, read_blocks
from oracle.totals import Counter

COUNTER_LIMIT = 10**18
"""A counter at or above this (mWh) is nonsense: more than a country uses in a year."""
LEAST_SCALE = -3


@dataclass(frozen=True)
class Device:
    """Where a field device answers, and the power (W) that it can never exceed.

    Raises:
        SettingError: for a unit beyond 1..247 (0 would address all) or no power.
    """

    host: str
    unit: int
    ceiling_w: int
    port: int = 502

    def __post_init__(self) -> None:
        if not 1 <= self.unit <= 247:
            raise SettingError(f"a Modbus unit must be 1 to 247, got {self.unit}")
        if self.ceiling_w <= 0:
            raise SettingError(f"a device's ceiling must be above 0 W, got {self.ceiling_w} W")


@dataclass(frozen=True)
class SiteDevices:
    """The devices of a site; the meter is the revenue meter."""

    meter: Device
    inverter: Device | None = None
    battery: Device | None = None

    @property
    def fitted(self) -> dict[str, Device]:
        """The devices that there are, by role."""
        roles = {"meter": self.meter, "inverter": self.inverter, "battery": self.battery}
        return {role: device for role, device in roles.items() if device is not None}

    @property
    def ceilings_w(self) -> dict[str, int]:
        """For each quantity that the site has a counter for, its device's ceiling."""
        return {
            source.quantity: self.fitted[source.role].ceiling_w
            for source in SOURCES
            if source.role in self.fitted
        }


@dataclass(frozen=True, slots=True)
class Source:
    """Where a quantity comes from: the counter, and the sign of power that goes with it."""

    quantity: str
    role: str
    model: int
    counter: str
    power: str
    sign: int


SOURCES = (
    Source("imported", "meter", 203, "TotWhImp", "W", +1),
    Source("exported", "meter", 203, "TotWhExp", "W", -1),
    Source("generated", "inverter", 103, "WH", "W", +1),
    Source("charged", "battery", 714, "DCWhAbs", "DCW", -1),
    Source("discharged", "battery", 714, "DCWhInj", "DCW", +1),
)
STORES = (713, 802)
"""Models that tell the stored energy, the first that does being believed."""
MODELS_READ = {
    role: {source.model for source in SOURCES if source.role == role}
    | (set(STORES) if role == "battery" else set())
    for role in ("meter", "inverter", "battery")
}


@dataclass(frozen=True, slots=True)
class Sample:
    """What a site's devices showed: counters and powers by quantity, and what went wrong."""

    time_seconds: int
    counters: Mapping[str, Counter] = field(default_factory=dict)
    powers_w: Mapping[str, int] = field(default_factory=dict)
    stored_wh: int | None = None
    faults: tuple[str, ...] = ()


class Instruments:
    """A site's devices, connected; models are looked for once and again when they changed."""

    def __init__(
        self, devices: SiteDevices, *, timeout_seconds: float = 1.0, retries: int = 1
    ) -> None:
        self.devices = devices
        self._lines = {
            (device.host, device.port): Line(
                device.host, device.port, timeout_seconds=timeout_seconds, retries=retries
            )
            for device in devices.fitted.values()
        }
        self._locations: dict[str, list[Location]] = {}

    async def sample(self, time_seconds: int) -> Sample:
        """Return what all devices show now; a device that fails is a fault in the sample."""
        sample = Sample(time_seconds)
        roles = self.devices.fitted
        answers = await asyncio.gather(
            *(self._blocks(role) for role in roles), return_exceptions=True
        )
        for role, answer in zip(roles, answers, strict=True):
            if isinstance(answer, DeviceError):
                sample = replace(sample, faults=(*sample.faults, f"{role}: {answer}"))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                sample = with_blocks(sample, role, answer, roles[role].ceiling_w)
        return sample

    async def _blocks(self, role: str) -> list[Block]:
        device = self.devices.fitted[role]
        line = self._lines[device.host, device.port]
        if role not in self._locations:
            found = [
                location
                for location in await discovered(line, device.unit)
                if location.number in MODELS_READ[role]
            ]
            if not any(source.model == at.number for at in found for source in SOURCES):
                raise DeviceError(
                    f"unit {device.unit} must have a model of {sorted(MODELS_READ[role])} "
                    f"that counts, got {[at.number for at in found]}"
                )
            self._locations[role] = found
        try:
            return await read_blocks(line, device.unit, self._locations[role])
        except NoAnswer:
            raise
        except DeviceError:
            del self._locations[role]  # it may have another map by now
            raise

    def close(self) -> None:
        """Close all connections."""
        for line in self._lines.values():
            line.close()


def with_blocks(sample: Sample, role: str, blocks: list[Block], ceiling_w: int) -> Sample:
    """Return the sample with what a device's blocks tell; nonsense is left out and named."""
    by_number: dict[int, Block] = {}
    for block in blocks:
        by_number.setdefault(block.model.number, block)
    counters, powers_w, stored_wh = dict(sample.counters), dict(sample.powers_w), sample.stored_wh
    faults = []
    for source in SOURCES:
        if source.role != role:
            continue
        held = by_number.get(source.model)
        if held is None:
            continue
        try:
            power_w = value_of(held, source.power)
            if power_w is not None and abs(power_w) > ceiling_w:
                raise DeviceError(f"{source.power} must be within {ceiling_w} W, got {power_w} W")
            if power_w is not None:
                powers_w[source.quantity] = max(source.sign * power_w, 0)
        except DeviceError as error:
            faults.append(f"{role}: {error}")
        try:
            counter = counter_of(held, source.counter)
            if counter is None:
                raise DeviceError(f"{source.counter} must be a value, got 'not implemented'")
            counters[source.quantity] = counter
        except DeviceError as error:
            faults.append(f"{role}: {error}")
    if role == "battery":
        try:
            stored_wh = stored_of(by_number)
        except DeviceError as error:
            faults.append(f"{role}: {error}")
    return Sample(
        sample.time_seconds,
        counters,
        powers_w,
        stored_wh,
        sample.faults + tuple(dict.fromkeys(faults)),
    )


def counter_of(block: Block, name: str) -> Counter | None:
    """Return a point that counts energy; None if it is not implemented.

    Raises:
        DeviceError: for a scale factor below -3 or a counter beyond all sense.
    """
    raw, scale = raw_of(block, name), scale_of(block, name)
    if raw is None or scale is None:
        return None
    if scale < LEAST_SCALE:
        raise DeviceError(f"{name}'s scale factor must be at least {LEAST_SCALE}, got {scale}")
    step = 10 ** (scale - LEAST_SCALE)
    if raw * step >= COUNTER_LIMIT:
        raise DeviceError(
            f"{name} must be below {COUNTER_LIMIT // 1000} Wh, got {raw * step // 1000} Wh"
        )
    bits = 16 * KINDS[block.model.points[name].kind].registers
    return Counter(raw * step, step << bits, step)


def stored_of(blocks: Mapping[int, Block]) -> int:
    """Return what a battery holds, in Wh.

    Raises:
        DeviceError: if no model tells, or one tells more than the battery's rating.
    """
    for number in STORES:
        block = blocks.get(number)
        if block is None:
            continue
        rating_wh = value_of(block, "WHRtg")
        charge = value_of(block, "SoC", digits=4)  # 0.0001 %
        stored_wh = value_of(block, "WHAvail") if number == 713 else None
        if charge is not None and charge > 100_0000:
            raise DeviceError(f"{number} SoC must be at most 100 %, got {charge // 10_000} %")
        if stored_wh is None and rating_wh is not None and charge is not None:
            stored_wh = rating_wh * charge // 100_0000
        if stored_wh is None:
            continue
        if rating_wh is not None and stored_wh > rating_wh:
            raise DeviceError(
                f"{number} WHAvail must be at most WHRtg {rating_wh} Wh, got {stored_wh} Wh"
            )
        return stored_wh
    raise DeviceError("the stored energy must be in model 713 or 802, got 'not implemented'")

"""A SunSpec battery: state from models 713, 802, 714 and 701, control by 124 or 704.

| control | what it can | how it is written |
| ------- | ----------- | ----------------- |
| 124     | ranges: at least, at most; in % of WChaMax | OutWRte and InWRte in one message |
| 704     | one power, in W | WSetEna, WSetMod and WSet in one message |

Both have a revert timer, written before what it guards. 124 is taken where a device has both: it
speaks of the battery, 704 of the whole inverter. What a device then holds is read back, point by
point; a switch that is already where it should be is not written again.

Power in W, positive out of the battery; energy in Wh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from energy.errors import DeviceError, SettingError
from field.blocks import discovered, read_blocks
from field.modbus import CodeAnswered, Line, NoAnswer
from field.storage import STORES, storage_parts, stored_of
from field.sunspec import (
    Block,
    Location,
    exact_of,
    raw_of,
    registers_of,
    scale_of,
    step_of,
    value_of,
)
from vpp.dispatch.device import BatteryShown, Held, Setpoint

STORAGE, ACTIVE = 124, 704
CONTROLS = (STORAGE, ACTIVE)
"""The models that a battery is commanded by, the first that a device has being taken."""
COUNTING = {714: ("DCW", "DCWhAbs", "DCWhInj"), 701: ("W", "TotWhAbs", "TotWhInj")}
"""Power and counters, by model; the first that a device has is taken."""
BASE, CAPACITY, RATINGS = 802, 713, 702
LIMIT_BOTH = 3
"""StorCtl_Mod: bit 0 limits the charge, bit 1 the discharge."""
MOST_RATE = 0x7FFF
"""What a rate's register holds at most."""
IN_WATTS = 1
"""WSetMod: WSet is followed, not WSetPct."""
CONNECTED = range(2, 7)
"""802 State, but for disconnected (1) and fault (99)."""
BROKEN = 2
"""713 Sta: error."""


class Write(NamedTuple):
    """Neighbouring points of a block that are set in one message, as raw numbers."""

    points: Mapping[str, int]
    always: bool = False
    """Also where the device holds them already: it starts the timer anew."""


class SunSpecBattery:
    """A battery at a unit of a line.

    `control` is the model that commands it, None to take what is there. With `grid_charging`
    the device may charge from the network when it is told to.
    """

    def __init__(
        self, line: Line, unit: int, *, control: int | None = None, grid_charging: bool = True
    ) -> None:
        self.line = line
        self.unit = unit
        self.grid_charging = grid_charging
        self._wanted = control
        self._locations: dict[int, Location] = {}
        self._timer = True

    def __str__(self) -> str:
        return f"{self.line} unit {self.unit}"

    @property
    def control(self) -> int | None:
        """The model that commands it; None before it was looked for."""
        return next(
            (
                number
                for number in CONTROLS
                if number in self._locations and self._wanted in (None, number)
            ),
            None,
        )

    @property
    def follows_ranges(self) -> bool:
        """Model 124 limits a range, 704 sets one power."""
        return self.control == STORAGE

    @property
    def reverts(self) -> bool:
        """Whether the device implements the timer."""
        return self._timer

    async def read(self) -> BatteryShown:
        """Return what the battery shows; see `Battery.read`."""
        blocks = await self._blocks(list((await self._found()).values()))
        control = self.control
        held = None
        if control is not None:
            block = blocks[control]
            self._timer = raw_of(block, TIMER[control]) is not None
            held = held_by(block)
        shown = shown_by(blocks, held)
        has_switch = control == STORAGE and raw_of(blocks[STORAGE], "ChaGriSet") is not None
        return replace(shown, keeps_off_grid=has_switch and not self.grid_charging)

    async def command(self, setpoint: Setpoint | None, revert_seconds: int) -> Setpoint | None:
        """Write a set-point and read it back; see `Battery.command`."""
        found = await self._found()
        control = self.control
        if control is None:
            wanted = self._wanted or " or ".join(map(str, CONTROLS))
            raise DeviceError(f"{self} must have model {wanted}, got none")
        location = found[control]
        (before,) = (await self._blocks([location])).values()
        writes = list(writes_of(before, setpoint, revert_seconds, self.grid_charging, str(self)))
        for write in writes:
            if write.always or any(raw_of(before, n) != v for n, v in write.points.items()):
                await self._write(before, write.points)
        (after,) = (await self._blocks([location])).values()
        for write in writes:
            for name, number in write.points.items():
                if raw_of(after, name) != number:
                    raise DeviceError(
                        f"{self} must hold {name} = {number}, got {raw_of(after, name)}"
                    )
        if control == ACTIVE and setpoint is not None and revert_seconds:
            left = raw_of(after, "WSetRvrtRem")
            if left == 0:
                raise DeviceError(f"{self} must count WSetRvrtRem down, got 0 s")
        return held_by(after).setpoint

    def close(self) -> None:
        """Hang up; the device keeps the command for its time."""
        self.line.close()

    async def _found(self) -> dict[int, Location]:
        if not self._locations:
            known = {*CONTROLS, *COUNTING, *STORES, RATINGS}
            for location in await discovered(self.line, self.unit):
                if location.number in known:
                    self._locations.setdefault(location.number, location)
        return self._locations

    async def _blocks(self, locations: Sequence[Location]) -> dict[int, Block]:
        try:
            blocks = await read_blocks(self.line, self.unit, locations)
        except NoAnswer:
            raise
        except DeviceError:
            self._locations = {}  # it may have another map by now
            raise
        return {block.model.number: block for block in blocks}

    async def _write(self, block: Block, points: Mapping[str, int]) -> None:
        first, *_ = places = [block.model.points[name] for name in points]
        registers: list[int] = []
        for place, number in zip(places, points.values(), strict=True):
            assert place.offset == first.offset + len(registers), "neighbours alone"
            registers += registers_of(place, number)
        try:
            await self.line.write(self.unit, block.address + first.offset, registers)
        except CodeAnswered as answer:
            told = ", ".join(f"{name} = {number}" for name, number in points.items())
            raise CodeAnswered(f"{answer} for {told}", answer.code) from answer


TIMER = {STORAGE: "InOutWRte_RvrtTms", ACTIVE: "WSetRvrtTms"}
"""The point that holds a control's revert time."""


def writes_of(
    block: Block, setpoint: Setpoint | None, revert_seconds: int, grid_charging: bool, where: str
) -> Sequence[Write]:
    """Return what is written of a control's block, in this order.

    Raises:
        DeviceError: if the device lacks what it takes.
        SettingError: for a range where the device sets one power.
    """
    if block.model.number == STORAGE:
        return _storage_writes(block, setpoint, revert_seconds, grid_charging, where)
    return _active_writes(block, setpoint, revert_seconds, where)


def _storage_writes(
    block: Block, setpoint: Setpoint | None, revert_seconds: int, grid_charging: bool, where: str
) -> Sequence[Write]:
    if setpoint is None:
        return [Write({"StorCtl_Mod": 0})]
    rated_w, scale = exact_of(block, "WChaMax"), scale_of(block, "OutWRte")
    if not rated_w or rated_w < 0:
        raise DeviceError(f"{where} must state WChaMax above 0 W, got {rated_w}")
    if scale is None:
        raise DeviceError(f"{where} must state InOutWRte_SF, got none")

    def rate(power_w: int) -> int:
        """Rounded towards zero: a rate and its negative do not cross."""
        share = min(abs(power_w) / rated_w, Fraction(1)) * 100 / Fraction(10) ** scale
        if share > MOST_RATE:
            raise DeviceError(f"{where} must have an InOutWRte_SF of -2 or more, got {scale}")
        return int(share) if power_w >= 0 else -int(share)

    timer = []
    if revert_seconds or raw_of(block, TIMER[STORAGE]) is not None:
        timer = [Write({TIMER[STORAGE]: revert_seconds})]
    grid = []
    if raw_of(block, "ChaGriSet") is not None:
        grid = [Write({"ChaGriSet": int(grid_charging)})]
    return [
        *timer,
        # In one message: between two, the limits might exclude each other.
        Write({"OutWRte": rate(setpoint.most_w), "InWRte": rate(-setpoint.least_w)}, always=True),
        *grid,
        Write({"StorCtl_Mod": LIMIT_BOTH}),
    ]


def _active_writes(
    block: Block, setpoint: Setpoint | None, revert_seconds: int, where: str
) -> Sequence[Write]:
    if setpoint is None:
        return [Write({"WSetEna": 0})]
    if setpoint.power_w is None:
        raise SettingError(f"{where} must be given one power by model 704, got {setpoint}")
    scale = scale_of(block, "WSet")
    if scale is None:
        raise DeviceError(f"{where} must state WSet_SF, got none")
    number = int(abs(setpoint.power_w) / Fraction(10) ** scale)
    timer = []
    if revert_seconds or raw_of(block, TIMER[ACTIVE]) is not None:
        timer = [Write({"WSetEnaRvrt": 0, TIMER[ACTIVE]: revert_seconds})]
    power = number if setpoint.power_w >= 0 else -number
    return [*timer, Write({"WSetEna": 1, "WSetMod": IN_WATTS, "WSet": power}, always=True)]


def held_by(block: Block) -> Held:
    """Return what a control's block holds as its set-point."""
    seconds = raw_of(block, TIMER[block.model.number]) or 0
    if block.model.number == ACTIVE:
        if raw_of(block, "WSetEna") != 1:
            return Held(None, seconds)
        return Held(Setpoint.exactly(value_of(block, "WSet") or 0), seconds)
    mode = raw_of(block, "StorCtl_Mod") or 0
    if not mode & LIMIT_BOTH:
        return Held(None, seconds)
    rated_w = exact_of(block, "WChaMax") or Fraction(0)

    def power(limited: bool, name: str) -> int:
        share = exact_of(block, name) if limited else None
        return int(rated_w * (100 if share is None else share) / 100)

    least, most = -power(bool(mode & 1), "InWRte"), power(bool(mode & 2), "OutWRte")
    # Limits that exclude each other let it stand still.
    return Held(Setpoint(least, most) if least <= most else Setpoint.exactly(0), seconds)


def shown_by(blocks: Mapping[int, Block], held: Held | None = None) -> BatteryShown:
    """Return what a battery's blocks, by number, tell; what cannot be is left out and named."""
    nonsense: list[str] = []

    def told(number: int, *names: str) -> int | None:
        """The first of some points of a model that is told and makes sense."""
        for name in names if number in blocks else ():
            try:
                if (value := value_of(blocks[number], name)) is not None:
                    return value
            except DeviceError as error:
                nonsense.append(str(error))
        return None

    power_w = charged = discharged = None
    step = 1
    number = next((number for number in COUNTING if number in blocks), None)
    if number is not None:
        power, absorbed, injected = COUNTING[number]
        try:
            parts = storage_parts(blocks[number])
            power_w = _sum([exact_of(part, power) for part in parts], 1)
            charged = _sum([exact_of(part, absorbed) for part in parts], 1000)
            discharged = _sum([exact_of(part, injected) for part in parts], 1000)
            steps = [step_of(part, absorbed) or Fraction(0) for part in parts]
            step = max(1, int(sum(steps) * 1000))
        except DeviceError as error:
            nonsense.append(str(error))
    if power_w is None:
        power_w = told(BASE, "W")
    stored_wh = None
    try:
        stored_wh = stored_of(blocks)
    except DeviceError as error:
        nonsense.append(str(error))
    if (state := told(BASE, "State")) is not None and state not in CONNECTED:
        nonsense.append(f"802 State must be connected, got {state}")
    if told(CAPACITY, "Sta") == BROKEN:
        nonsense.append(f"713 Sta must be OK or a warning, got {BROKEN} (error)")
    capacity_wh = told(CAPACITY, "WHRtg") or told(BASE, "WHRtg")
    reserve = told(STORAGE, "MinRsvPct") or 0
    rated_w = told(STORAGE, "WChaMax")
    ratings = ("WChaRteMax", "WChaRteMaxRtg"), ("WDisChaRteMax", "WDisChaRteMaxRtg")
    charge_w, discharge_w = (
        told(RATINGS, *names, "WMax", "WMaxRtg") or told(BASE, names[0]) or rated_w
        for names in ratings
    )
    return BatteryShown(
        power_w=power_w,
        stored_wh=stored_wh,
        capacity_wh=capacity_wh,
        reserve_wh=(capacity_wh or 0) * reserve // 100,
        charge_w=charge_w,
        discharge_w=discharge_w,
        charged_mwh=charged,
        discharged_mwh=discharged,
        step_mwh=step,
        held=held,
        nonsense=tuple(dict.fromkeys(nonsense)),
    )


def _sum(values: Sequence[Fraction | None], factor: int) -> int | None:
    """Return a sum in whole units, each of 1/factor; None if a part is not told."""
    total = Fraction(0)
    for value in values:
        if value is None:
            return None
        total += value
    return round(total * factor)


class SunSpecPower:
    """The power of a meter (import positive) or an inverter (generation positive).

    A meter that is `turned` was mounted the wrong way round.
    """

    METER = (203, 204, 201, 202, 213, 214, 211, 212)
    INVERTER = (103, 102, 101, 113, 112, 111, 701)

    def __init__(
        self, line: Line, unit: int, models: Sequence[int], *, turned: bool = False
    ) -> None:
        self.line = line
        self.unit = unit
        self.models = models
        self.turned = turned
        self._location: Location | None = None

    async def read(self) -> int:
        """Return the power now; see `Power.read`."""
        if self._location is None:
            there = {at.number: at for at in await discovered(self.line, self.unit)}
            number = next((number for number in self.models if number in there), None)
            if number is None:
                raise DeviceError(
                    f"{self.line} unit {self.unit} must have a model of {sorted(self.models)}, "
                    f"got {sorted(there)}"
                )
            self._location = there[number]
        try:
            (block,) = await read_blocks(self.line, self.unit, [self._location])
            power_w = value_of(block, "W")
        except NoAnswer:
            raise
        except DeviceError:
            self._location = None
            raise
        if power_w is None:
            raise DeviceError(f"{self.line} unit {self.unit} must tell W, got 'not implemented'")
        return -power_w if self.turned else power_w

    def close(self) -> None:
        """Hang up."""
        self.line.close()

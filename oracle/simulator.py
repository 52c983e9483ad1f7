"""A simulated site behind Modbus TCP or RTU: SunSpec meter, inverter and battery with physics.

    unit 1   meter      models 1, 203
    unit 2   inverter   models 1, 103
    unit 3   battery    models 1, 124 and 704 (control), 702, 713, 714, 802

all from register 40000. Time is what `advance` says it is. Load and generation are series
of whole Wh a slot; within a slot their power is constant, but for `noise`: what both are instead
in a second.

Control points of the battery that a client may write: `CONTROL_POINTS`. What they do:
`oracle.plant.Controls`.

Units: energy in Wh, power in W, time in unix seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from types import TracebackType
from typing import Self, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from energy.errors import SettingError
from energy.units import SLOT_SECONDS
from field.modbus import Tcp
from field.sunspec import END, HEADER, MARKER, MODELS, Block, registers_from
from oracle.device import Device, SiteDevices
from oracle.plant import Battery, Controls, Flows, Plant, advanced
from oracle.simulated_points import (
    ACTIVE,
    CONTROL_POINTS,
    STORAGE,
    battery_points,
    common_points,
    controls_from,
    inverter_points,
    meter_points,
)

BASE = 40000
METER, INVERTER, BATTERY = 1, 2, 3
CEILING_W = 1_000_000
"""What the simulated devices say of themselves where no battery limits it."""
REPEATED: dict[int, tuple[dict[str, int], ...]] = {ACTIVE: ({},) * 4}
"""What repeats at a model's end: 704's power factors, which are not implemented."""
OVERFULL = 14_000
"""A state of charge of 140 %, in 0.01 %."""
ENERGY_SCALES = ("WH_SF", "TotWh_SF", "DCWH_SF")

CONTROL_ADDRESS = BASE + len(MARKER) + HEADER + MODELS[1].length
"""Where the battery's first control model begins."""
SECOND_PARTS = 3600
"""A plant that is played second by second counts in watt-seconds."""

Series = Callable[[int], int]
"""Wh in a slot."""
Noise = Callable[[int, int, int], tuple[int, int]]
"""Load and generation, in W, that a second has instead of these."""


class Fault(Enum):
    """What can be wrong with a device."""

    NO_ANSWER = auto()
    """It hears and says nothing."""
    EXCEPTION = auto()
    """It answers with exception 4, device failure."""
    GARBAGE = auto()
    """It answers with bytes that are no Modbus."""
    NOT_IMPLEMENTED = auto()
    """Every value and scale factor reads "not implemented"."""
    COARSER_SCALE = auto()
    """Scale factors of energies are higher by one, values shorter by a digit."""
    WRONG_SCALE = auto()
    """Scale factors of energies are higher by one, values as before."""
    SLOW = auto()
    """It answers after `slow_seconds`."""
    STUCK = auto()
    """Its counters stand still; power goes on."""
    FROZEN = auto()
    """All that it measures stands still."""
    OVERFULL = auto()
    """Its state of charge reads 140 %."""
    OVERPOWER = auto()
    """Its power reads ten times what it is, and 100 kW more."""
    DECLINES = auto()
    """It declines what is written, with exception 3, illegal value."""
    IGNORES = auto()
    """It takes and holds what is written, and goes on as before."""
    FORGETS = auto()
    """It takes what is written, and holds what it held before."""

    @property
    def word(self) -> str:
        """The fault as it is typed: `no-answer`."""
        return self.name.lower().replace("_", "-")


class SiteSimulator:
    """One site's devices in one Modbus server, on a clock of their own.

    `load` and `generation` give the Wh of a slot. The counters begin at `already_wh`
    (100 kWh each), as those of devices that have run before. `parts` are those of the plant;
    `controlled_by` names the battery's control models.
    """

    def __init__(
        self,
        load: Series,
        generation: Series,
        battery: Battery | None = None,
        *,
        start_seconds: int,
        already_wh: Flows | None = None,
        parts: int = 1,
        noise: Noise | None = None,
        controlled_by: tuple[int, ...] = (STORAGE, ACTIVE),
    ) -> None:
        self.load = load
        self.generation = generation
        self.battery = battery
        self.noise = noise
        self.controlled_by = controlled_by
        content = battery.initial_wh * 1000 * parts if battery else 0
        counters = (already_wh or Flows(*[100_000] * 5)).scaled(parts)
        self.plant = Plant(start_seconds, counters, content, parts=parts)
        self.controls = Controls()
        self.slow_seconds = 3.0
        self.port = 0
        self._offsets = dict.fromkeys((METER, INVERTER, BATTERY), Flows())
        self._faults: dict[int, Fault] = {}
        self._stuck: dict[int, Plant] = {}
        self._obeyed: Controls | None = None
        self._server: ModbusTcpServer | ModbusSerialServer | None = None

    # -- time ---------------------------------------------------------------------------

    def advance(self, to_seconds: int) -> None:
        """Let time pass; the battery obeys what it was told last."""
        while self.plant.time_seconds < to_seconds:
            now = self.plant.time_seconds
            slot = now // SLOT_SECONDS
            step_end = min(to_seconds, (slot + 1) * SLOT_SECONDS)
            reverts_at = self.controls.reverts_at
            if reverts_at is not None and now < reverts_at < step_end:
                step_end = reverts_at
            if self.noise is not None or (self.battery and self.battery.ramp_w):
                step_end = now + 1
            begin, end = now - slot * SLOT_SECONDS, step_end - slot * SLOT_SECONDS
            parts = self.plant.parts
            load = _part(self.load(slot) * parts, begin, end)
            generation = _part(self.generation(slot) * parts, begin, end)
            if self.noise is not None:
                usual = (energy * 3600 // parts for energy in (load, generation))
                load, generation = (each * parts // 3600 for each in self.noise(now, *usual))
            self._step(end - begin, load, generation)

    def advance_slot(self, load_wh: int, generation_wh: int) -> None:
        """Let time pass to the next half hour, with this load and generation until then."""
        seconds, parts = SLOT_SECONDS - self.plant.time_seconds % SLOT_SECONDS, self.plant.parts
        self._step(seconds, load_wh * parts, generation_wh * parts)

    def _step(self, seconds: int, load: int, generation: int) -> None:
        ignores = self._faults.get(BATTERY) is Fault.IGNORES
        controls = self._obeyed if ignores and self._obeyed else self.controls
        self.plant = advanced(self.plant, seconds, load, generation, self.battery, controls)
        self.controls = self.controls.reverted(self.plant.time_seconds)

    # -- faults -------------------------------------------------------------------------

    def break_(self, unit: int, fault: Fault) -> None:
        """Let a unit be faulty from now on."""
        self._faults[unit] = fault
        self._stuck[unit] = self.plant
        if unit == BATTERY:
            self._obeyed = self.controls

    def faults(self) -> dict[int, Fault]:
        """Return which units are faulty, and how."""
        return dict(self._faults)

    def mend(self, unit: int) -> None:
        """Let a unit work again."""
        self._faults.pop(unit, None)

    def replace_device(self, unit: int, shows_wh: int = 0) -> None:
        """Put another device in a unit's place, whose counters show so much."""
        now = self.plant.counters_wh
        self._offsets[unit] = Flows(
            shows_wh - now.imported,
            shows_wh - now.exported,
            shows_wh - now.generated,
            shows_wh - now.charged,
            shows_wh - now.discharged,
        )

    # -- registers ----------------------------------------------------------------------

    def devices(self, host: str = "127.0.0.1") -> SiteDevices:
        """Return how a terminal finds these devices; the server must be running."""
        address = Tcp(host, self.port)
        found = [
            Device("meter", address, METER, CEILING_W),
            Device("inverter", address, INVERTER, CEILING_W),
        ]
        if self.battery:
            found.append(Device("battery", address, BATTERY, self.battery.power_w * 2))
        return SiteDevices(tuple(found))

    def registers(self, unit: int) -> list[int]:
        """Return a unit's registers from 40000 on, faults included."""
        registers = [*MARKER]
        for model in self._models(unit).values():
            registers += model
        return [*registers, END, 0]

    def _models(self, unit: int, *, well: bool = False) -> dict[int, list[int]]:
        """Return the registers of a unit's models, in their order, by number; faults included."""
        fault = None if well else self._faults.get(unit)
        plant = self._stuck[unit] if fault is Fault.FROZEN else self.plant
        counted = self._stuck[unit] if fault is Fault.STUCK else plant
        counters = counted.counters_wh + self._offsets[unit]
        if unit == METER:
            models = {203: meter_points(plant, counters)}
        elif unit == INVERTER:
            models = {103: inverter_points(plant, counters)}
        elif self.battery is not None:
            models = battery_points(plant, counters, self.battery, self.controls)
        else:
            raise ValueError(f"a site without a battery must be asked for unit 1 or 2, got {unit}")
        left_out = {STORAGE, ACTIVE} - set(self.controlled_by)
        return {
            1: registers_from(1, common_points(unit)),
            **{
                number: registers_from(
                    number, with_fault(number, points, fault), REPEATED.get(number, ())
                )
                for number, points in models.items()
                if number not in left_out
            },
        }

    # -- the server ---------------------------------------------------------------------

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Serve, on a free port if none is given, and return the port."""
        server = ModbusTcpServer(
            self._simulated(), address=(host, port), trace_packet=partial(self._on_the_wire, 6)
        )
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            raise SettingError(f"port {port} of {host} must be free, got {error}") from error
        self._server = server
        listening = cast(asyncio.Server, server.transport)
        self.port = listening.sockets[0].getsockname()[1]
        return self.port

    async def start_serial(self, path: str, baud: int = 9600) -> None:
        """Serve on a serial line, with RTU framing."""
        server = ModbusSerialServer(
            self._simulated(),
            port=path,
            baudrate=baud,
            trace_packet=partial(self._on_the_wire, 0),
        )
        await server.serve_forever(background=True)
        self._server = server

    def _simulated(self) -> list[SimDevice]:
        units = [METER, INVERTER] + ([BATTERY] if self.battery else [])
        return [
            SimDevice(
                unit,
                SimData(BASE, values=self.registers(unit), datatype=DataType.REGISTERS),
                action=partial(self._answer, unit),
            )
            for unit in units
        ]

    async def stop(self) -> None:
        """Stop serving; connections are closed."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _answer(
        self,
        unit: int,
        function: int,
        start: int,
        address: int,
        count: int,
        shown: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Bring the registers up to date before they are read, and obey what is written."""
        if self._faults.get(unit) is Fault.EXCEPTION:
            return ExcCodes.DEVICE_FAILURE
        if self._faults.get(unit) is Fault.SLOW:
            await asyncio.sleep(self.slow_seconds)
        registers = self.registers(unit)
        shown[: len(registers)] = registers
        return None if written is None else self._written(unit, address, [*map(int, written)])

    def _written(self, unit: int, address: int, words: list[int]) -> ExcCodes | None:
        """Obey what is written to the battery's control points; all of it, or nothing."""
        at = BASE + len(MARKER)
        for number, registers in self._models(unit, well=True).items():
            place = address - at
            at += len(registers)
            if not 0 <= place < len(registers):
                continue
            points = (MODELS[number].points[name] for name in CONTROL_POINTS.get(number, ()))
            allowed = {p.offset + word for p in points for word in range(p.registers)}
            if unit != BATTERY or not set(range(place, place + len(words))) <= allowed:
                return ExcCodes.ILLEGAL_ADDRESS
            if self._faults.get(unit) is Fault.DECLINES:
                return ExcCodes.ILLEGAL_VALUE
            registers[place : place + len(words)] = words
            block = Block(MODELS[number], at - len(registers), tuple(registers))
            controls = controls_from(block, self.controls, self.plant.time_seconds)
            if controls is None:
                return ExcCodes.ILLEGAL_VALUE
            if self._faults.get(unit) is not Fault.FORGETS:
                self.controls = controls
            return None
        return ExcCodes.ILLEGAL_ADDRESS

    def _on_the_wire(self, at: int, sending: bool, packet: bytes) -> bytes:
        """Send what a faulty unit sends; its number stands at a place of the packet."""
        if not sending or len(packet) <= at:
            return packet
        fault = self._faults.get(packet[at])
        if fault is Fault.NO_ANSWER:
            return b""
        if fault is Fault.GARBAGE:
            return packet[: at + 1] + bytes(byte ^ 0xA5 for byte in packet[at + 1 :])
        return packet


def with_fault(number: int, points: dict[str, int], fault: Fault | None) -> dict[str, int]:
    """Return a model's points as a faulty device shows them."""
    if fault is Fault.NOT_IMPLEMENTED:
        return {}
    if fault is Fault.OVERFULL:
        return {**points, "SoC": OVERFULL} if "SoC" in points else points
    if fault is Fault.OVERPOWER:
        name = "DCW" if "DCW" in points else "W"
        beyond = {name: points[name] + 10_000, f"{name}_SF": 1} if name in points else {}
        return {**points, **beyond}
    if fault not in (Fault.COARSER_SCALE, Fault.WRONG_SCALE):
        return points
    shown = dict(points)
    for name in points:
        if name in ENERGY_SCALES:
            shown[name] += 1
        elif fault is Fault.COARSER_SCALE and MODELS[number].points[name].scale in ENERGY_SCALES:
            shown[name] //= 10
    return shown


def _part(energy_wh: int, begin: int, end: int) -> int:
    """Return what of a slot's energy falls between two seconds of it; parts add up exactly."""
    return energy_wh * end // SLOT_SECONDS - energy_wh * begin // SLOT_SECONDS

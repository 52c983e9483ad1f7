"""`yui simulate site`: a simulated site that goes with time, and faults as they are typed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from energy.errors import SettingError
from energy.japanese import in_language
from energy.language import Language
from oracle.plant import Battery, Flows
from oracle.simulated_points import CONTROL_POINTS
from oracle.simulator import BATTERY, INVERTER, METER, SECOND_PARTS, Fault, SiteSimulator
from oracle.weather import clear_sky, gusts, office, series_from
from oracle.words import say

STEP_SECONDS = 1
UNITS = {"meter": METER, "inverter": INVERTER, "battery": BATTERY}


@dataclass
class Stage:
    """A site, how fast its time goes, and where it answers."""

    site: SiteSimulator
    speed: float
    clock: Callable[[], float] = time.time
    language: Language = Language.ENGLISH

    @classmethod
    def of(
        cls,
        *,
        pv_kw: float,
        load_kw: float,
        battery_kwh: float,
        battery_kw: float,
        series: Path | None,
        speed: float,
        ramp_kw: float = 0.0,
        control: int | None = None,
        seed: int | None = None,
        language: Language = Language.ENGLISH,
    ) -> Stage:
        """Return a stage of a size (kW, kWh) that begins now.

        The battery's power changes by at most `ramp_kw` in a second (0: at once); `control` is the
        one model that commands it; with a `seed`, load and sun are never still.

        Raises:
            SettingError: for a size below zero, or a series that cannot be read.
        """
        sizes = {
            "pv-kw": pv_kw,
            "load-kw": load_kw,
            "battery-kwh": battery_kwh,
            "ramp-kw": ramp_kw,
        }
        for name, size in sizes.items():
            if not 0 <= size <= 100_000:
                raise SettingError(f"--{name} must be 0 to 100000, got {size}")
        if speed <= 0 or (battery_kwh and battery_kw <= 0):
            name, held = ("speed", speed) if speed <= 0 else ("battery-kw", battery_kw)
            raise SettingError(f"--{name} must be above 0, got {held}")
        load, generation = office(int(load_kw * 1000)), clear_sky(int(pv_kw * 1000))
        if series is not None:
            load, generation = series_from(series)
        battery = None
        if battery_kwh:
            capacity = int(battery_kwh * 1000)
            battery = Battery(
                capacity,
                int(battery_kw * 1000),
                initial_wh=capacity // 2,
                ramp_w=int(ramp_kw * 1000),
            )
        counters = Flows(*[100_000] * 5)
        start = int(time.time()) // STEP_SECONDS * STEP_SECONDS
        if control is not None and control not in CONTROL_POINTS:
            there = ", ".join(map(str, CONTROL_POINTS))
            raise SettingError(f"--control must be one of {there}, got {control}")
        site = SiteSimulator(
            load,
            generation,
            battery,
            start_seconds=start,
            already_wh=counters,
            parts=SECOND_PARTS,
            noise=None if seed is None else gusts(seed),
            controlled_by=tuple(CONTROL_POINTS) if control is None else (control,),
        )
        return cls(site, speed, language=language)

    async def play(self, host: str, port: int, serial: str | None) -> None:
        """Answer, let time pass, and obey what is typed, until interrupted."""
        if serial:
            await self.site.start_serial(serial)
            where = serial
        else:
            where = f"{host}:{await self.site.start(host, port)}"
        print(say(self.language, "stage", where=where), flush=True)
        typed = asyncio.create_task(self._typed(host, serial))
        try:
            begun, first = self.clock(), self.site.plant.time_seconds
            while True:
                passed = (self.clock() - begun) * self.speed
                self.site.advance(first + int(passed) // STEP_SECONDS * STEP_SECONDS)
                await asyncio.sleep(min(1.0, STEP_SECONDS / self.speed))
        finally:
            typed.cancel()
            await self.site.stop()

    async def _typed(self, host: str, serial: str | None) -> None:
        reader = asyncio.StreamReader()
        try:
            await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
            )
        except (OSError, ValueError):  # no terminal and no pipe: nothing will be typed
            return
        while line := await reader.readline():
            words = line.decode(errors="replace").split()
            if words == ["pull"]:
                await self.site.stop()
                print(say(self.language, "pulled"), flush=True)
            elif words == ["plug"]:
                if serial:
                    await self.site.start_serial(serial)
                else:
                    await self.site.start(host, self.site.port)
                print(say(self.language, "plugged"), flush=True)
            elif words:
                print(self.obey(words), flush=True)

    def obey(self, words: list[str]) -> str:
        """Do what is typed and return what to say.

        >>> stage = Stage.of(pv_kw=1, load_kw=1, battery_kwh=0, battery_kw=0, series=None, speed=1)
        >>> stage.obey(["meter", "no-answer"])
        'meter: no-answer'
        >>> stage.obey(["meter", "dance"])
        "a fault must be one that there is (type help), got 'dance'"
        """
        faults = {fault.word: fault for fault in Fault}
        match words:
            case ["help"]:
                names = [fault.word for fault in Fault]
                units = ", ".join(UNITS)
                return say(self.language, "help", units=units, faults=", ".join(names))
            case ["show"]:
                return self._shown()
            case ["slow", seconds] if _is_number(seconds):
                self.site.slow_seconds = float(seconds)
                return say(self.language, "slow", seconds=seconds)
            case ["jump", seconds] if seconds.isdecimal() and int(seconds) > 0:
                self.site.advance(self.site.plant.time_seconds + int(seconds))
                return say(self.language, "jumped", seconds=seconds)
            case [unit, word, *rest] if unit in UNITS or unit == "all":
                for name in UNITS if unit == "all" else [unit]:
                    number = UNITS[name]
                    if word == "ok":
                        self.site.mend(number)
                    elif word in faults:
                        self.site.break_(number, faults[word])
                    elif word == "replace" and rest and rest[0].isdecimal():
                        self.site.replace_device(number, int(rest[0]))
                    else:
                        told = f"a fault must be one that there is (type help), got {word!r}"
                        return in_language(self.language, told)
                return f"{unit}: {' '.join([word, *rest])}"
        told = f"a command must be one that there is (type help), got {' '.join(words)!r}"
        return in_language(self.language, told)

    def _shown(self) -> str:
        plant, names = self.site.plant, {number: name for name, number in UNITS.items()}
        broken = ", ".join(f"{names[at]} {fault.word}" for at, fault in self.site.faults().items())
        return say(
            self.language,
            "stands",
            **asdict(plant.counters_wh),
            stored=plant.stored_wh,
            faults=broken or say(self.language, "none"),
        )


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()

"""Battery chemistries, from `data/chemistry.toml`, which states where each number comes from."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from energy.errors import SettingError
from vpp.model import Array, Rest, Wear
from vpp.wear import DepthLaw, chords, even_depths

DAYS_PER_YEAR = 365.25


@dataclass(frozen=True)
class Calendar:
    """Capacity lost at rest: `rate_at_half * (1 + slope * (soc - 0.5)) * days ** exponent`, a part
    of the first capacity."""

    rate_at_half: float
    exponent: float
    slope: float

    def lost(self, soc: Array, days: float) -> float:
        """Return the part of capacity lost in days during which the states of charge recur."""
        stress = np.maximum(1.0 + self.slope * (np.asarray(soc) - 0.5), 0.0)
        return float(self.rate_at_half * stress.mean() * days**self.exponent)


@dataclass(frozen=True)
class Chemistry:
    """What a kind of battery wears by; life ends at `end_of_life` of the first capacity.

    `sources` says of each number, by its name in the file, whether it is published, fitted to what
    is published, or assumed, and where or why; `sources_ja` says so in Japanese.
    """

    key: str
    name: str
    name_ja: str
    end_of_life: float
    replacement_jpy_per_kwh: float
    cycle: DepthLaw
    calendar: Calendar
    sources: Mapping[str, str]
    sources_ja: Mapping[str, str]

    def wear(self, capacity_kwh: float, pieces: int = 8) -> Wear:
        """Return its wear by depth in straight pieces, for a battery of a capacity."""
        cost = self.replacement_jpy_per_kwh * capacity_kwh
        return chords(self.cycle, capacity_kwh, cost, even_depths(pieces))

    def rests(self, years: float = 10.0) -> tuple[Rest, ...]:
        """Return what time costs for each kWh that is held: the calendar's mean over years.

        Its law is straight in the charge, so that every kWh costs the same by the hour, also below
        half. What ages an empty battery is no decision, and is left out.
        """
        lost = self.calendar.rate_at_half * (years * DAYS_PER_YEAR) ** self.calendar.exponent
        life = lost / (1.0 - self.end_of_life) / (years * DAYS_PER_YEAR * 24)
        cost = life * self.replacement_jpy_per_kwh * self.calendar.slope
        return (Rest(0.0, cost),)


@cache
def chemistries() -> dict[str, Chemistry]:
    """Return the bundled chemistries by key.

    >>> sorted(chemistries())
    ['lfp', 'nmc']
    """
    text = files("vpp").joinpath("data", "chemistry.toml").read_text(encoding="utf-8")
    return {key: _chemistry(key, table) for key, table in tomllib.loads(text).items()}


def chemistry(key: str) -> Chemistry:
    """Return a chemistry.

    Raises:
        SettingError: if there is none of that key.
    """
    found = chemistries().get(key.lower())
    if found is None:
        raise SettingError(f"a chemistry must be one of {', '.join(chemistries())}, got {key!r}")
    return found


def _chemistry(key: str, table: dict[str, Any]) -> Chemistry:
    return Chemistry(
        key,
        table["name"],
        table["name_ja"],
        table["end_of_life"],
        table["replacement_jpy_per_kwh"],
        DepthLaw(**table["cycle"]),
        Calendar(**table["calendar"]),
        table["sources"],
        table["sources_ja"],
    )

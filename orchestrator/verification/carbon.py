"""CO2 of a period, kg: what was bought from the utility, and what roofs spared.

Trading moves no electron: the same energy flows over the same wires, and the utility's plants run
as they would. What trading changes is whose it is called. So two sums are kept apart: what the
roofs spare, traded or not, and what of it stands in another office's account because of trading.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files

from energy.errors import SettingError
from orchestrator.verification.energy import EnergyFigures

MOST_KG = 3.0
_WH = 1_000


@dataclass(frozen=True)
class Factor:
    """What a kWh from the utility emits, kg CO2. In English and Japanese: the fiscal year, whether
    basic or adjusted, and the source."""

    kg_per_kwh: float
    years: tuple[str, str]
    kinds: tuple[str, str]
    sources: tuple[str, str]
    given: bool
    """Whether it was named by the user."""


@dataclass(frozen=True)
class Carbon:
    """By site in the order of numbers, kg CO2."""

    factor: Factor
    bought: list[float]
    """Of what was bought from the utility and used."""
    spared_own: list[float]
    """What that would be more without the own roof."""
    spared_others: list[float]
    """And without the others' roofs: what trading put into this office's account."""


def factor_of(given: float | None) -> Factor:
    """Return the bundled factor, or a given one.

    Raises:
        SettingError: if the given one is out of range.
    """
    if given is not None:
        if not 0 <= given <= MOST_KG:
            raise SettingError(f"--co2-factor must be 0 to {MOST_KG} kg CO2/kWh, got {given}")
        kinds = ("of a kind that was not named", "種別の指定なし")
        return Factor(
            given, ("", ""), kinds, ("given by --co2-factor", "--co2-factor による指定値"), True
        )
    text = files("orchestrator.verification").joinpath("data", "carbon.toml").read_text("utf-8")
    kept = tomllib.loads(text)["tohoku"]
    years, kinds, sources = (
        (kept[f"{name}_en"], kept[f"{name}_ja"]) for name in ("year", "kind", "source")
    )
    return Factor(kept["kg_per_kwh"], years, kinds, sources, False)


def carbon_figures(energy: EnergyFigures, factor: Factor) -> Carbon:
    """Multiply a period's energy by the factor."""

    def kg(energies: list[int]) -> list[float]:
        return [energy * factor.kg_per_kwh / _WH for energy in energies]

    return Carbon(
        factor,
        kg(energy.grid.tolist()),
        kg(energy.own.tolist()),
        kg(energy.others.tolist()),
    )

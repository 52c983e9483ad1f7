"""Prices of trades, and what orders foresaw against what meters showed.

Prices in JPY/kWh, energy in Wh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.units import PRICE_PER_YEN, SLOTS_PER_DAY
from orchestrator.verification.facts import Facts
from orchestrator.verification.period import Array, halves, months


@dataclass(frozen=True)
class Prices:
    """Of half hours with trades. Means are weighted by traded energy; nan where none was."""

    slots: int
    mean: float
    low: float
    """The prices that a tenth, half, and nine tenths of the energy traded at or below."""
    median: float
    high: float
    yen: Array
    """Whole JPY/kWh that begin a step of the histogram."""
    yen_energy: Array
    yen_slots: Array
    half_mean: Array
    half_energy: Array
    month_names: list[str]
    month_mean: Array
    month_energy: Array
    month_slots: Array
    buying: tuple[float, float]
    """The utility's lowest and highest price for surplus, and for supply."""
    selling: tuple[float, float]
    fee: tuple[float, float]


def price_figures(facts: Facts) -> Prices:
    """Compute the prices of a period."""
    traded = np.zeros(len(facts.slots))
    np.add.at(traded, facts.flows["trade"][:, 0], facts.flows["trade"][:, 3])
    at = traded > 0
    price, energy = facts.price[at] / PRICE_PER_YEN, traded[at]
    low, median, high = _quantiles(price, energy, (0.1, 0.5, 0.9))
    steps = np.arange(int(price.min()), int(price.max()) + 1) if at.any() else np.zeros(0, int)
    places = np.floor(price).astype(int) - (steps[0] if len(steps) else 0)
    names, month = months(facts.slots)
    half = halves(facts.slots)[at]

    def mean_by(place: Array, count: int) -> tuple[Array, Array]:
        sums = np.bincount(place, energy, count)
        with np.errstate(invalid="ignore"):
            return np.bincount(place, energy * price, count) / sums, sums

    half_mean, half_energy = mean_by(half, SLOTS_PER_DAY)
    month_mean, month_energy = mean_by(month[at], len(names))
    return Prices(
        slots=int(at.sum()),
        mean=float((price * energy).sum() / energy.sum()) if at.any() else float("nan"),
        low=low,
        median=median,
        high=high,
        yen=steps,
        yen_energy=np.bincount(places, energy, len(steps)),
        yen_slots=np.bincount(places, minlength=len(steps)),
        half_mean=half_mean,
        half_energy=half_energy,
        month_names=names,
        month_mean=month_mean,
        month_energy=month_energy,
        month_slots=np.bincount(month[at], minlength=len(names)),
        buying=_range(facts.buying[facts.settled]),
        selling=_range(facts.selling[facts.settled]),
        fee=_range(facts.fee[facts.settled]),
    )


def _quantiles(price: Array, energy: Array, parts: tuple[float, ...]) -> list[float]:
    if not len(price):
        return [float("nan")] * len(parts)
    order = np.argsort(price, kind="stable")
    sums = np.cumsum(energy[order])
    return [float(price[order][np.searchsorted(sums, part * sums[-1])]) for part in parts]


def _range(values: Array) -> tuple[float, float]:
    return float(values.min()) / PRICE_PER_YEN, float(values.max()) / PRICE_PER_YEN


@dataclass(frozen=True)
class Foresight:
    """Orders against meters, by site: what was ordered less what the meter showed, net exports."""

    mean_absolute: Array
    """Wh a half hour."""
    bias: Array
    """Wh a half hour; above zero: more export, or less import, was ordered than came."""
    part_of_flow: Array
    """The absolute errors' sum as a part of what went through the meter."""
    half_absolute: Array
    """The same for all sites together, mean Wh by half hour of the day."""
    half_together: Array
    """The error of the sum of all sites, where errors of one make up for another's."""


def foresight_figures(facts: Facts) -> Foresight:
    """Compute how far orders were off; of sites that take part, in settled slots with a reading."""
    seen = facts.settled[:, None] & facts.active & ~facts.missed
    net = facts.first_exported - facts.first_imported
    error = np.where(seen, facts.ordered - net, 0)
    count = np.maximum(seen.sum(axis=0), 1)
    flow = np.maximum((np.abs(net) * seen).sum(axis=0), 1)
    half, days = halves(facts.slots), np.maximum(facts.settled.sum() / SLOTS_PER_DAY, 1)
    return Foresight(
        mean_absolute=np.abs(error).sum(axis=0) / count,
        bias=error.sum(axis=0) / count,
        part_of_flow=np.abs(error).sum(axis=0) / flow,
        half_absolute=np.bincount(half, np.abs(error).sum(axis=1), SLOTS_PER_DAY) / days,
        half_together=np.bincount(half, np.abs(error.sum(axis=1)), SLOTS_PER_DAY) / days,
    )

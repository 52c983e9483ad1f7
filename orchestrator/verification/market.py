"""Prices of trades, and what each site quoted. Prices in JPY/kWh, energy in Wh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.records import Side
from energy.units import PRICE_PER_YEN, SLOTS_PER_DAY
from orchestrator.verification.facts import Facts
from orchestrator.verification.period import Array, halves, months

SET = 0.95
"""From what part of the quoted energy at one price on a side counts as quoting a set price."""


@dataclass(frozen=True)
class Quotes:
    """What a site quoted on a side, over its live orders; nan where it never did."""

    orders: int
    least: float
    mean: float
    """Weighted by energy."""
    most: float
    prices: int
    """How many different ones."""
    commonest: float
    """The part of the energy that was quoted at the commonest one, 0 to 1."""


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
    asks: list[Quotes]
    """By site."""
    bids: list[Quotes]

    @property
    def quoting(self) -> list[int]:
        """Sites that quoted at all."""
        pairs = enumerate(zip(self.asks, self.bids, strict=True))
        return [site for site, sides in pairs if any(side.orders for side in sides)]

    @property
    def quoting_set_prices(self) -> list[int]:
        """Of these, those that asked one price, and bid one price, all the time."""
        return [
            site
            for site in self.quoting
            if all(
                side.commonest >= SET for side in (self.asks[site], self.bids[site]) if side.orders
            )
        ]


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
        asks=_quotes(facts, Side.ASK),
        bids=_quotes(facts, Side.BID),
    )


def _quantiles(price: Array, energy: Array, parts: tuple[float, ...]) -> list[float]:
    if not len(price):
        return [float("nan")] * len(parts)
    order = np.argsort(price, kind="stable")
    sums = np.cumsum(energy[order])
    return [float(price[order][np.searchsorted(sums, part * sums[-1])]) for part in parts]


def _range(values: Array) -> tuple[float, float]:
    return float(values.min()) / PRICE_PER_YEN, float(values.max()) / PRICE_PER_YEN


def _quotes(facts: Facts, side: Side) -> list[Quotes]:
    rows = facts.live[facts.live[:, 2] == int(side)]
    return [_quoted(rows[rows[:, 1] == site]) for site in range(facts.sites)]


def _quoted(rows: Array) -> Quotes:
    if not len(rows):
        return Quotes(0, float("nan"), float("nan"), float("nan"), 0, 0.0)
    prices, places = np.unique(rows[:, 4], return_inverse=True)
    energy = np.bincount(places, rows[:, 3])
    return Quotes(
        orders=len(rows),
        least=float(prices[0]) / PRICE_PER_YEN,
        mean=float((prices * energy).sum() / energy.sum()) / PRICE_PER_YEN,
        most=float(prices[-1]) / PRICE_PER_YEN,
        prices=len(prices),
        commonest=float(energy.max() / energy.sum()),
    )

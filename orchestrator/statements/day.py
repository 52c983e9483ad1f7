"""A day in figures, from the store alone: trades and flows, and each office's money.

Energy in Wh, prices in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass

from chain.store import Store
from energy.lots import Kind
from energy.market import is_assumed
from energy.records import Reading
from energy.registry import NETWORK, UTILITY


@dataclass(frozen=True, slots=True)
class SiteMoney:
    """What a site paid, and would have paid to the utility alone for the same meter readings."""

    site: int
    imported_wh: int
    exported_wh: int
    without_microyen: int
    with_microyen: int

    @property
    def gain_microyen(self) -> int:
        """What trading saved."""
        return self.without_microyen - self.with_microyen


@dataclass(frozen=True, slots=True)
class DayReport:
    """A day's totals."""

    slots: int
    slots_with_trades: int
    trades: int
    traded_wh: int
    delivered_wh: int
    pooled_wh: int
    traded_microyen: int
    used_wh: int
    generated_wh: int
    charged_wh: int
    discharged_wh: int
    solar_used_wh: int
    money: tuple[SiteMoney, ...]
    utility_microyen: int
    network_microyen: int
    matrix_wh: dict[int, dict[int, int]]
    """Solar energy by site that generated and site that used it."""

    @property
    def self_sufficiency(self) -> float:
        """The share of consumption that came from the offices' own roofs, 0 to 1."""
        return self.solar_used_wh / self.used_wh if self.used_wh else 0.0

    @property
    def mean_price(self) -> float | None:
        """The traded energy's mean price, 0.001 JPY/kWh; None without trades."""
        return self.traded_microyen / self.traded_wh if self.traded_wh else None

    def to_json(self) -> dict[str, object]:
        """Return all figures by name."""
        return {
            **asdict(self),
            "self_sufficiency": round(self.self_sufficiency, 4),
            "mean_price": self.mean_price,
            "money": [
                {**asdict(money), "gain_microyen": money.gain_microyen} for money in self.money
            ],
        }


def day_report(store: Store, slots: range) -> DayReport:
    """Return the figures of some settled slots."""
    trades = store.trades(slots)
    prices = store.prices(slots)
    readings = newest(store.readings(slots))
    owed: dict[int, int] = defaultdict(int)
    for _, account, microyen in store.entries(slots):
        owed[account] += microyen
    matrix: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    solar = 0
    for row in store.origins("used", slots):
        if row.origin.kind == Kind.GENERATION:
            solar += row.energy
            matrix[row.origin.site][row.site] += row.energy
    return DayReport(
        slots=len(store.slots(slots)),
        slots_with_trades=len({trade.slot for trade, _ in trades}),
        trades=len(trades),
        traded_wh=sum(trade.energy for trade, _ in trades),
        delivered_wh=sum(delivered or 0 for _, delivered in trades),
        pooled_wh=sum(flow.energy for flow in store.pool(slots)),
        traded_microyen=sum(trade.energy * prices[trade.slot] for trade, _ in trades),
        used_wh=sum(reading.consumption for reading in readings),
        generated_wh=sum(reading.generated for reading in readings),
        charged_wh=sum(reading.charged for reading in readings),
        discharged_wh=sum(reading.discharged for reading in readings),
        solar_used_wh=solar,
        money=_money(store, readings, owed),
        utility_microyen=owed[UTILITY],
        network_microyen=owed[NETWORK],
        matrix_wh={site: dict(to) for site, to in matrix.items()},
    )


def newest(readings: list[Reading]) -> list[Reading]:
    """Return the newest reading of each slot and site."""
    return list({(reading.slot, reading.site): reading for reading in readings}.values())


def measured(readings: list[Reading]) -> list[Reading]:
    """Return the newest reading of each slot and site for which one has come: what a settlement
    assumed in its place is none."""
    return [reading for reading in newest(readings) if not is_assumed(reading)]


def _money(store: Store, readings: list[Reading], owed: dict[int, int]) -> tuple[SiteMoney, ...]:
    imported: dict[int, int] = defaultdict(int)
    exported: dict[int, int] = defaultdict(int)
    without: dict[int, int] = defaultdict(int)
    tariffs = store.tariffs()
    for reading in readings:
        tariff = tariffs.at(reading.slot)
        imported[reading.site] += reading.imported
        exported[reading.site] += reading.exported
        without[reading.site] += (
            tariff.selling * reading.imported - tariff.buying * reading.exported
        )
    return tuple(
        SiteMoney(site, imported[site], exported[site], without[site], -owed[site])
        for site in sorted(without)
    )

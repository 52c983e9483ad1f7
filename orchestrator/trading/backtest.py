"""Ranking the strategies of trading agents on the bundled year, by the market's own rules.

The days are played as often as there are strategies, and each site plays each strategy once:
weather, load and the others' places are the same for all. Agents forecast from the days before,
batteries are steered by plan, by rule or not at all, and what a site is owed is compared with the
utility alone (`orchestrator.trading.rehearsal`).

Energy in Wh, prices in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from energy.errors import SettingError
from energy.units import PRICE_LIMIT, slots_of
from orchestrator.replay.replay import known_tariffs
from orchestrator.replay.series import SiteSeries
from orchestrator.replay.site import replayed_sites
from orchestrator.setting.series import LoadSeries, PvSeries
from orchestrator.setting.sites import Setting
from orchestrator.steering.steering import NONE
from orchestrator.trading.agents import Limits, Strategy
from orchestrator.trading.rehearsal import rehearsed

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Result:
    """What a strategy brought all sites together, each playing it once."""

    strategy: str
    gain_microyen: int
    sold_wh: int
    bought_wh: int
    orders: int


def backtest(
    setting: Setting,
    loads: LoadSeries,
    sun: PvSeries,
    strategies: Mapping[str, Strategy],
    first: date,
    days: int,
    open_limits: bool = True,
    battery: str = NONE,
    progress: Progress | None = None,
) -> list[Result]:
    """Return what each strategy brought, the best first.

    With `open_limits` a site may quote anything; else the limits of the sites file hold. `battery`
    is who steers batteries.

    Raises:
        SettingError: if the series do not hold the days.
    """
    if days < 1 or not loads.first_day <= first <= loads.last_day - timedelta(days=days - 1):
        raise SettingError(
            f"days must be within {loads.first_day} and {loads.last_day}, got {days} from {first}"
        )
    names = list(strategies)
    money, sold, bought, orders = (dict.fromkeys(names, 0) for _ in range(4))
    start = slots_of(first).start
    series = [SiteSeries.of(site, loads, sun) for site in setting.sites]
    for turn in range(len(names)):
        tariffs = known_tariffs(lambda _: setting.tariffs, enacts_daily=False)
        sites = replayed_sites(setting.sites, series, "backtest", battery, tariffs)
        plays = [names[(site.site.number + turn) % len(names)] for site in sites]
        for site, name in zip(sites, plays, strict=True):
            site.remember(start)
            site.strategy = strategies[name]
            if open_limits:
                site.limits = Limits(0, PRICE_LIMIT - 1, site.limits.most_energy)
        for number in range(days):
            day = slots_of(first + timedelta(days=number))
            for slot in rehearsed(sites, lambda _: setting.tariffs, day):
                for place, name in enumerate(plays):
                    money[name] += slot.gain(place)
                for order in slot.orders:
                    orders[plays[order.site]] += 1
                for trade in slot.clearing.trades:
                    sold[plays[trade.seller]] += trade.energy
                    bought[plays[trade.buyer]] += trade.energy
            if progress:
                progress(turn * days + number + 1, len(names) * days)
    found = [Result(name, money[name], sold[name], bought[name], orders[name]) for name in names]
    return sorted(found, key=lambda result: -result.gain_microyen)

"""Ranking the strategies of trading agents on the bundled year, by the market's own rules.

Each day is played as often as there are strategies, and each site plays each strategy once:
weather, load and the others' places are the same for all. Agents forecast from the days before,
orders are cleared and settled by the reference rules (`energy.clearing`, `energy.settlement`),
and what a site is owed is compared with the utility alone. Batteries rest: what the sites have is
load and sun.

Energy in Wh, prices in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from energy.clearing import cleared, ranking_of
from energy.errors import SettingError
from energy.records import Order, Reading
from energy.settlement import settled
from energy.units import SLOTS_PER_DAY, slot_of_day, slots_of
from orchestrator.agents import Limits, Situation, Strategy, quoted
from orchestrator.setting.series import LoadSeries, PvSeries
from orchestrator.setting.sites import Setting, Site
from vpp.calendar import works_on
from vpp.forecast import History, Past

HISTORY_DAYS = 28

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Result:
    """What a strategy brought all sites together, each playing it once."""

    strategy: str
    gain_microyen: int
    sold_wh: int
    bought_wh: int
    orders: int


@dataclass(frozen=True)
class _Seat:
    """A site with its series and what it forecasts from."""

    site: Site
    history: History
    limits: Limits

    def forecast(self, slot: int) -> int:
        """Return the expected net export, Wh."""
        return self.history.generation(slot) - self.history.load(slot)


def backtest(
    setting: Setting,
    loads: LoadSeries,
    sun: PvSeries,
    strategies: Mapping[str, Strategy],
    first: date,
    days: int,
    open_limits: bool = True,
    progress: Progress | None = None,
) -> list[Result]:
    """Return what each strategy brought, the best first.

    With `open_limits` a site may quote anything; else the limits of the sites file hold.

    Raises:
        SettingError: if the series do not hold the days.
    """
    if days < 1 or not loads.first_day <= first <= loads.last_day - timedelta(days=days - 1):
        raise SettingError(
            f"days must be within {loads.first_day} and {loads.last_day}, got {days} from {first}"
        )
    seats = [_seat(site, loads, sun, first, open_limits) for site in setting.sites]
    names = list(strategies)
    money, sold, bought, orders = (dict.fromkeys(names, 0) for _ in range(4))
    for number in range(days):
        day = first + timedelta(days=number)
        for slot in slots_of(day):
            readings = [_reading(seat.site, slot, loads, sun) for seat in seats]
            forecasts = [seat.forecast(slot) for seat in seats]
            tariff = setting.tariffs[slot_of_day(slot)]
            for turn in range(len(names)):
                plays = [names[(seat.site.number + turn) % len(names)] for seat in seats]
                book: list[Order] = []
                for seat, name, net in zip(seats, plays, forecasts, strict=True):
                    region = _region_net(seats, forecasts, seat)
                    situation = Situation(slot, seat.site.number, net, tariff, region_net=region)
                    order = quoted(situation, strategies[name], seat.limits)
                    if order is not None:
                        book.append(order)
                        orders[name] += 1
                clearing = cleared(book, ranking_of(book, tariff.fee), tariff.fee)
                entries = settled(readings, clearing.trades, clearing.price, tariff).entries
                for name, reading, entry in zip(plays, readings, entries, strict=False):
                    alone = tariff.buying * reading.exported - tariff.selling * reading.imported
                    money[name] += entry - alone
                for trade in clearing.trades:
                    sold[plays[trade.seller]] += trade.energy
                    bought[plays[trade.buyer]] += trade.energy
            for seat, reading in zip(seats, readings, strict=True):
                seat.history.add(reading)
        if progress:
            progress(number + 1, days)
    found = [Result(name, money[name], sold[name], bought[name], orders[name]) for name in names]
    return sorted(found, key=lambda result: -result.gain_microyen)


def _seat(site: Site, loads: LoadSeries, sun: PvSeries, first: date, open_limits: bool) -> _Seat:
    history = History(works_on)
    begin = slots_of(first).start
    known = max(begin - HISTORY_DAYS * SLOTS_PER_DAY, slots_of(loads.first_day).start)
    for slot in range(known, begin):
        reading = _reading(site, slot, loads, sun)
        history.slots[slot] = Past(reading.consumption, reading.generated)
    most = site.ratings.order_energy
    limits = Limits(0, 2**24 - 1, most) if open_limits else Limits(site.ask, site.bid, most)
    return _Seat(site, history, limits)


def _reading(site: Site, slot: int, loads: LoadSeries, sun: PvSeries) -> Reading:
    if site.load_column is None:
        raise SettingError(f"site {site.name} must name a load_column to be played, got none")
    generated = sun.generation(site.pv_power, slot)
    net = generated - loads.load(site.load_column, slot)
    return Reading(slot, site.number, max(-net, 0), max(net, 0), generated)


def _region_net(seats: Sequence[_Seat], forecasts: Sequence[int], own: _Seat) -> int:
    return sum(
        net
        for seat, net in zip(seats, forecasts, strict=True)
        if seat is not own and seat.site.region == own.site.region
    )

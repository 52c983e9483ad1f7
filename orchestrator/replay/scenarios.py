"""What if: other roofs, batteries, weekends, prices, and more sites; each played and compared.

A scenario changes the setting and the series, and is played through the real contract in this
process, with signatures, laws and origins, without a store. All of them play the same days.

**More sites** are resampled from the seven, by a seeded draw: a load among the seven, its size
times a factor between 1/2 and 2 (log-uniform), moved by -3 to 3 whole weeks, so that equal
buildings do not march in step; a roof of 0, 20, 40, 60 or 80 kW; every fifth with Kesennuma's
battery; an ask of 9 to 15 and a bid of 16 to 22 JPY/kWh. One sun shines on all. Roofs, batteries
and quotes differ from the seven's as much as the number does: what more sites do shows against
as many as seven drawn in the same way, and what chance does from seed to seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

from chain.evm import EvmChain
from chain.market import MarketContract
from energy.errors import SettingError
from energy.messages import address_of
from energy.registry import Tariff
from energy.units import PRICE_PER_YEN, SLOT_SECONDS, SLOTS_PER_DAY, slots_of
from orchestrator.replay.outcome import Outcome
from orchestrator.replay.plan import MARKUP
from orchestrator.replay.replay import Replay, known_tariffs
from orchestrator.replay.series import SiteSeries
from orchestrator.replay.site import replayed_sites
from orchestrator.replay.town import Town, with_exchange
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import Site, load_setting
from orchestrator.steering.steering import PLAN

SEASONS = tuple(date(2019, month, 10) for month in (2, 5, 8, 11))
WEEK = 7
DRAWN = (7, 30, 100)
"""Sites of the scenarios that draw them."""


@dataclass(frozen=True)
class Scenario:
    """A change, by name."""

    name: str
    says: str
    change: Callable[[Town], Town]
    drawn: int = 0
    """How many sites are drawn from those that there are; such a scenario has a seed."""

    def seeded(self, seed: int) -> Callable[[Town], Town]:
        """Return the change by a seed: the same for all but those that draw."""
        return resampled(self.drawn, seed) if self.drawn else self.change


def base(sites: Path | None = None) -> Town:
    """Return the setting as it stands in its file."""
    setting = load_setting(sites)
    loads, sun = load_series(), pv_series()
    series = [SiteSeries.of(site, loads, sun) for site in setting.sites]
    return Town(setting, series, lambda _: setting.tariffs)


def outcome(town: Town, days: Sequence[date], seed: str = "yui") -> Outcome:
    """Play some days, each run of days that follow each other on a market of its own."""
    total: Outcome | None = None
    for first, count in _runs(days):
        found = _played(town, first, count, seed)
        total = found if total is None else total.with_more(found)
    if total is None:
        raise SettingError("a scenario must have a day to play, got none")
    return total


def _played(town: Town, first: date, days: int, seed: str) -> Outcome:
    start = slots_of(first).start
    slots = range(start, start + days * SLOTS_PER_DAY)
    rules = town.setting.market
    chain = EvmChain((start - rules.horizon_slots - 3) * SLOT_SECONDS)
    market = MarketContract.deployed(chain, chain.sender, rules.rules(chain.now() // SLOT_SECONDS))
    market.enact_tariff(start, town.tariffs_on(first))
    tariffs = known_tariffs(town.tariffs_on, town.is_linked)
    sites = replayed_sites(town.setting.sites, town.series, seed, town.battery, tariffs)
    for site in sites:
        keys = address_of(site.trader_key), address_of(site.oracle_key)
        market.enrol(start, *keys, site.site.ratings)
        site.remember(start)
    found = Outcome({site.number: site.battery for site in town.setting.sites})
    replay = Replay(
        chain, market, sites, town.tariffs_on, chain.set_time, found, enacts_daily=town.is_linked
    )
    for _ in replay.run(slots):
        pass
    return found


def _runs(days: Sequence[date]) -> Iterator[tuple[date, int]]:
    at = 0
    while at < len(days):
        count = 1
        while at + count < len(days) and days[at + count] == days[at] + timedelta(days=count):
            count += 1
        yield days[at], count
        at += count


def season_weeks() -> list[date]:
    """Return a week of each season."""
    return [first + timedelta(days=n) for first in SEASONS for n in range(WEEK)]


# -- changes ---------------------------------------------------------------------------------


def roofs(factor: int) -> Callable[[Town], Town]:
    """Return the change that multiplies all roofs; connections grow with them where they must."""

    def change(town: Town) -> Town:
        sites = tuple(
            replace(
                site,
                pv_power=site.pv_power * factor,
                connection_power=max(site.connection_power, site.pv_power * factor),
            )
            for site in town.setting.sites
        )
        series = [replace(each, pv_power=each.pv_power * factor) for each in town.series]
        return replace(town, setting=replace(town.setting, sites=sites), series=series)

    return change


def batteries_everywhere(town: Town) -> Town:
    """Give every site the battery of the one that has one."""
    return _with_batteries(town, lambda site: True)


def no_battery(town: Town) -> Town:
    """Take all batteries away."""
    return _with_batteries(town, lambda site: False)


def _with_batteries(town: Town, has: Callable[[Site], bool]) -> Town:
    model = next((site.battery for site in town.setting.sites if site.battery), None)
    sites = tuple(
        replace(site, battery=model if has(site) else None) for site in town.setting.sites
    )
    return replace(town, setting=replace(town.setting, sites=sites))


def opposite_weekends(town: Town) -> Town:
    """Let every other site rest on Wednesday and Thursday: it plays the load of 3 days later."""
    series = [
        replace(each, shift_days=3) if number % 2 else each
        for number, each in enumerate(town.series)
    ]
    return replace(town, series=series)


def after_metering(town: Town) -> Town:
    """Let orders be sent when the meters have been read."""
    market = replace(town.setting.market, mode="after-metering")
    return replace(town, setting=replace(town.setting, market=market))


def ahead(town: Town) -> Town:
    """Let orders be sent before the half hour, on forecasts."""
    market = replace(town.setting.market, mode="ahead")
    return replace(town, setting=replace(town.setting, market=market))


def priced(selling: float, buying: float, fee: float) -> Callable[[Town], Town]:
    """Return the change that lets other prices hold all day, JPY/kWh. Quotes move with them."""

    def change(town: Town) -> Town:
        tariff = Tariff(*(round(price * PRICE_PER_YEN) for price in (selling, buying, fee)))
        old = town.setting.tariffs[0]

        def moved(price: int) -> int:
            """Lie as far between the prices as before."""
            part = (price - old.buying) / (old.selling - old.buying)
            return round(tariff.buying + part * (tariff.selling - tariff.buying))

        sites = tuple(
            replace(site, ask=moved(site.ask), bid=moved(site.bid)) for site in town.setting.sites
        )
        setting = replace(town.setting, sites=sites, tariffs=(tariff,) * SLOTS_PER_DAY)
        return replace(town, setting=setting, tariffs_on=lambda _: setting.tariffs)

    return change


def linked(prices: Path | None = None) -> Callable[[Town], Town]:
    """Return the change that links the utility's prices to an exchange's: it buys at that price
    and sells at 8 JPY/kWh more. Without a file of prices by day, the bundled synthetic year."""

    return lambda town: with_exchange(town, prices, MARKUP)


def resampled(count: int, seed: int = 1) -> Callable[[Town], Town]:
    """Return the change that draws more sites from those that are there; see above."""

    def change(town: Town) -> Town:
        chance = random.Random(seed)
        battery = next((site.battery for site in town.setting.sites if site.battery), None)
        sites, series = [], []
        for number in range(count):
            drawn = chance.randrange(len(town.series))
            model, played = town.setting.sites[drawn], town.series[drawn]
            factor = 2 ** chance.uniform(-1, 1)
            pv_power = chance.choice((0, 200, 400, 600, 800))
            connection = max(round(model.connection_power * factor), pv_power, 1)
            sites.append(
                replace(
                    model,
                    number=number,
                    name=f"Site {number}",
                    name_ja=f"施設{number}",
                    pv_power=pv_power,
                    contract_power=connection,
                    connection_power=connection + (battery.power if battery else 0),
                    ask=chance.randrange(9_000, 15_001),
                    bid=chance.randrange(16_000, 22_001),
                    battery=battery if number % 5 == 4 else None,
                )
            )
            series.append(
                replace(
                    played,
                    pv_power=pv_power,
                    scale=round(1000 * factor),
                    shift_days=WEEK * chance.randrange(-3, 4),
                )
            )
        return replace(town, setting=replace(town.setting, sites=tuple(sites)), series=series)

    return change


def scenarios(prices: Path | None = None) -> list[Scenario]:
    """Return the scenarios, the one that others are compared with first."""
    return [
        Scenario("as it is", "the seven offices, gates ahead of the half hour", lambda town: town),
        Scenario("after metering", "orders once the meters are read", after_metering),
        Scenario("no battery", "without Kesennuma's battery", no_battery),
        Scenario("roofs x 2", "twice the PV", roofs(2)),
        Scenario("roofs x 4", "four times the PV", roofs(4)),
        Scenario("batteries at all", "Kesennuma's battery at each office", batteries_everywhere),
        Scenario("opposite weekends", "every other office rests on weekdays", opposite_weekends),
        Scenario("linked prices", "the utility's prices follow the exchange's", linked(prices)),
        *(
            Scenario(f"{count} sites drawn", "resampled from the seven", resampled(count), count)
            for count in DRAWN
        ),
    ]


def sensitivities() -> list[Scenario]:
    """Return the setting under other prices and fees, quotes moved with them; the bundled
    setting's first."""
    found = []
    for selling, buying, fee in (
        (22, 8, 1),
        (22, 8, 0),
        (22, 8, 2),
        (22, 8, 4),
        (18, 8, 1),
        (26, 8, 1),
        (30, 8, 1),
        (22, 4, 1),
        (22, 12, 1),
        (22, 16, 1),
    ):
        name = f"sells {selling}, buys {buying}, fee {fee}"
        found.append(Scenario(name, "JPY/kWh", priced(selling, buying, fee)))
    return found


def compared(
    chosen: Sequence[str],
    days: Sequence[date],
    sites: Path | None = None,
    prices: Path | None = None,
    workers: int = 2,
    battery: str = PLAN,
    seeds: int = 1,
) -> Iterator[tuple[str, int, Outcome]]:
    """Play scenarios by name, some at a time, and yield each with its seed and outcome as it ends.

    `battery` is who steers batteries; those that draw sites are played with seeds from 1 on.
    """
    known = _known(prices)
    played = [
        (name, seed)
        for name in chosen
        for seed in range(1, 1 + (seeds if known[name].drawn else 1))
    ]
    played.sort(key=lambda one: -known[one[0]].drawn)  # what takes longest comes first
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        futures = {
            pool.submit(_outcome_of, name, seed, tuple(days), sites, prices, battery): (name, seed)
            for name, seed in played
        }
        for future in as_completed(futures):
            yield *futures[future], future.result()


def _known(prices: Path | None) -> dict[str, Scenario]:
    return {each.name: each for each in (*scenarios(prices), *sensitivities())}


def _outcome_of(
    name: str,
    seed: int,
    days: Sequence[date],
    sites: Path | None,
    prices: Path | None,
    battery: str,
) -> Outcome:
    change = _known(prices)[name].seeded(seed)
    return outcome(change(replace(base(sites), battery=battery)), days)

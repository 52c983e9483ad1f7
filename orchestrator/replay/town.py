"""What is played: a setting, each site's series, the prices of each day, and who steers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from energy.errors import SettingError
from energy.registry import Tariff
from orchestrator.replay.asked import calls_in
from orchestrator.replay.example_calls import example_calls
from orchestrator.replay.plan import EXAMPLE, SYNTHETIC, Plan
from orchestrator.replay.prices import (
    LINKED_HORIZON,
    LinkedPrices,
    TariffsOn,
    checked_tariff,
    dated_prices,
)
from orchestrator.replay.series import SiteSeries
from orchestrator.setting.series import PvSeries, load_series, pv_series
from orchestrator.setting.sites import Setting
from orchestrator.steering.steering import PLAN
from vpp.calls.call import Call


@dataclass(frozen=True)
class Town:
    """What is played: a setting, each site's series, and the prices of each day."""

    setting: Setting
    series: Sequence[SiteSeries]
    tariffs_on: TariffsOn
    is_linked: bool = False
    """Whether prices differ by day, and are enacted the day before."""
    battery: str = PLAN
    """Who steers batteries."""


def with_exchange(town: Town, file: Path | None, markup: int) -> Town:
    """Return a town whose utility's prices are linked to an exchange's; see `LinkedPrices`.

    Orders are then taken for no half hour of which no price may be known yet.
    """
    fee = town.setting.tariffs[0].fee
    horizon = min(town.setting.market.horizon_slots, LINKED_HORIZON)
    market = replace(town.setting.market, horizon_slots=horizon)
    return replace(
        town,
        setting=replace(town.setting, market=market),
        tariffs_on=LinkedPrices(file, fee, markup),
        is_linked=True,
    )


@dataclass(frozen=True)
class Made:
    """What a plan names, read: the town, its sun, and its calls as text and as they are."""

    town: Town
    sun: PvSeries
    calls_text: str | None
    calls: Sequence[Call]


def made_of(setting: Setting, plan: Plan) -> Made:
    """Read what a plan names.

    Raises:
        SettingError: naming the file and value that is wrong, or a site without a series.
    """
    loads, sun = load_series(plan.file("loads")), pv_series(plan.file("pv"))
    series = [SiteSeries.of(site, loads, sun) for site in setting.sites]
    for each in series:
        each.load(plan.slots.start)
        each.load(plan.slots.stop - 1)
    town = Town(setting, series, lambda _: setting.tariffs, battery=plan.battery)
    if plan.exchange and plan.tariffs:
        raise SettingError(
            f"prices must come from one source, got tariffs {plan.tariffs} and exchange "
            f"{plan.exchange}"
        )
    if plan.exchange:
        file = None if plan.exchange == SYNTHETIC else Path(plan.exchange)
        town = with_exchange(town, file, plan.markup)
    if plan.tariffs:
        town = replace(town, tariffs_on=dated_prices(Path(plan.tariffs)))
    town = replace(town, tariffs_on=_Within(town.tariffs_on, plan.dates[-1]))
    for tariff in (each for day in plan.dates for each in set(town.tariffs_on(day))):
        checked_tariff(tariff)
    text = _calls_text(plan, series)
    calls = [] if text is None else calls_in(text, plan.calls, plan.slots)
    return Made(town, sun, text, calls)


@dataclass(frozen=True)
class _Within:
    """Prices of which no day after the last is asked: what a plan made then needs of the days
    beyond, the last day's stand for."""

    tariffs_on: TariffsOn
    last: date

    def __call__(self, day: date) -> Sequence[Tariff]:
        return self.tariffs_on(min(day, self.last))


def _calls_text(plan: Plan, series: Sequence[SiteSeries]) -> str | None:
    if not plan.calls:
        return None
    if plan.calls == EXAMPLE:
        return example_calls(series, plan.dates)
    try:
        return Path(plan.calls).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{plan.calls} must be a list of calls, got {error}") from error

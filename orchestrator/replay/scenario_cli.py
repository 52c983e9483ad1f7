"""`yui scenarios`: what if, in one table."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from energy.errors import SettingError
from energy.units import MICROYEN_PER_YEN, kwh
from orchestrator import screen
from orchestrator.options import InLanguage, Json, day_from, print_json
from orchestrator.steering.choice import InSteering, check_steering
from orchestrator.steering.steering import PLAN
from orchestrator.words import Language

if TYPE_CHECKING:
    from orchestrator.replay.outcome import Outcome

_COLUMNS = {
    Language.ENGLISH: (
        "scenario",
        "used kWh",
        "generated kWh",
        "self-sufficiency",
        "of own roof",
        "self-consumption",
        "between offices kWh",
        "through batteries kWh",
        "utility alone JPY",
        "gained JPY",
        "gained JPY/kWh used",
        "to the network JPY",
    ),
    Language.JAPANESE: (
        "シナリオ",
        "消費 kWh",
        "発電 kWh",
        "自給率",
        "うち自所",
        "自家消費率",
        "庁舎間 kWh",
        "蓄電池経由 kWh",
        "取引なし 円",
        "取引の効果 円",
        "効果 円/kWh",
        "託送料 円",
    ),
}


def compare(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="A scenario by name, as listed; more than once for more."),
    ] = None,
    prices: Annotated[
        bool, typer.Option("--prices", help="The prices' and the fee's effect instead.")
    ] = False,
    first: Annotated[
        str | None, typer.Option("--from", help="The first day; a week of each season if none.")
    ] = None,
    days: Annotated[int, typer.Option(help="How many days from then on.")] = 7,
    exchange: Annotated[
        Path | None,
        typer.Option(help="The exchange's prices by day, for linked prices; a synthetic year."),
    ] = None,
    battery: InSteering = PLAN,
    sites: Annotated[Path | None, typer.Option(help="A sites file of your own.")] = None,
    workers: Annotated[int, typer.Option(help="How many are played at a time.")] = 2,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Play what might be (roofs, batteries, weekends, prices, more sites) and compare."""
    from orchestrator.replay.scenarios import compared, scenarios, season_weeks, sensitivities

    check_steering(battery)
    known = [each.name for each in (sensitivities() if prices else scenarios(exchange))]
    chosen = list(only) if only else known
    for name in chosen:
        if name not in known:
            raise SettingError(f"a scenario must be one of {', '.join(known)}, got {name!r}")
    played = season_weeks()
    if first is not None:
        played = [day_from(first) + timedelta(days=number) for number in range(days)]
    found: list[tuple[str, Outcome]] = []
    bar = Progress(
        TextColumn("scenarios"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=len(chosen))
        for pair in compared(chosen, played, sites, exchange, workers, battery):
            found.append(pair)
            bar.advance(task)
    if as_json:
        print_json([{"scenario": name, **outcome.to_json()} for name, outcome in found])
        return
    screen.console().print(_table(found, len(played), language))


def _table(found: list[tuple[str, Outcome]], days: int, language: Language) -> Table:
    titles = {
        Language.ENGLISH: f"What if: {days} days, all through the real contract",
        Language.JAPANESE: f"シナリオ比較（{days}日、実際の契約で再現）",
    }
    table = Table(title=titles[language], title_justify="left")
    for number, name in enumerate(_COLUMNS[language]):
        table.add_column(name, justify="right" if number else "left")
    for name, outcome in found:
        gain = outcome.gain_microyen / MICROYEN_PER_YEN
        table.add_row(
            name,
            f"{kwh(outcome.used_wh):,.0f}",
            f"{kwh(outcome.generated_wh):,.0f}",
            f"{outcome.self_sufficiency:.1%}",
            f"{outcome.own_sufficiency:.1%}",
            f"{outcome.self_consumption:.1%}",
            f"{kwh(outcome.delivered_wh + outcome.pooled_wh):,.0f}",
            f"{kwh(outcome.through_battery_wh):,.0f}",
            f"{outcome.without_microyen / MICROYEN_PER_YEN:,.0f}",
            f"{gain:,.0f}",
            f"{gain / max(kwh(outcome.used_wh), 1):.2f}",
            f"{outcome.network_microyen / MICROYEN_PER_YEN:,.0f}",
        )
    return table

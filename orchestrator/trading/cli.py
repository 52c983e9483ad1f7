"""`yui agents`: trying trading strategies before a site trusts one."""

from __future__ import annotations

from typing import Annotated

import typer

from energy.errors import SettingError
from orchestrator.dates import day_named
from orchestrator.options import Csv, InLanguage, Json
from orchestrator.progress import progress_bar
from orchestrator.records.listing import Listing
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import load_setting
from orchestrator.steering.choice import InSteering, check_steering
from orchestrator.steering.steering import PLAN
from orchestrator.trading.agents import STRATEGIES
from orchestrator.words import Language

app = typer.Typer(no_args_is_help=True, help="Trading agents: what a strategy would have brought.")
COLUMNS = ("rank", "strategy", "gain_microyen", "sold_wh", "bought_wh", "orders")


@app.callback()
def agents() -> None:
    """Trading agents: what a strategy would have brought."""


@app.command()
def backtest(
    day: Annotated[str, typer.Option(help="The first day, of 2019.")] = "2019-05-01",
    days: Annotated[int, typer.Option(help="How many days.")] = 28,
    margin: Annotated[float, typer.Option(help="Of fixed-margin, JPY/kWh.")] = 1.0,
    limits: Annotated[
        bool, typer.Option("--limits", help="Hold to the sites file's limits; else to none.")
    ] = False,
    battery: InSteering = PLAN,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Rank the strategies on the bundled series: each site plays each of them once."""
    from orchestrator.trading import backtest as engine

    if not 0 <= margin <= 1_000:
        raise SettingError(f"--margin must be 0 to 1000 JPY/kWh, got {margin:g}")
    check_steering(battery)
    strategies = {name: made(round(margin * 1_000)) for name, made in STRATEGIES.items()}
    first = day_named(day)
    loads, sun = load_series(), pv_series()
    with progress_bar(language) as progress:
        found = engine.backtest(
            load_setting(),
            loads,
            sun,
            strategies,
            first,
            days,
            open_limits=not limits,
            battery=battery,
            progress=lambda done, total: progress("play", done, total),
        )
    rows = [
        {
            "rank": rank,
            "strategy": one.strategy,
            "gain_microyen": one.gain_microyen,
            "sold_wh": one.sold_wh,
            "bought_wh": one.bought_wh,
            "orders": one.orders,
        }
        for rank, one in enumerate(found, 1)
    ]
    Listing(COLUMNS, rows).show(as_json, as_csv, language)

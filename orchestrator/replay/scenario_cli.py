"""`yui scenarios`: what if, in one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from energy.errors import SettingError
from orchestrator import screen
from orchestrator.options import InLanguage, Json, day_from, print_json
from orchestrator.progress import progress_bar
from orchestrator.steering.choice import InSteering, check_steering
from orchestrator.steering.steering import PLAN
from orchestrator.words import Language

if TYPE_CHECKING:
    from orchestrator.replay.comparison import Grid
    from orchestrator.replay.outcome import Outcome


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
    seeds: Annotated[
        int,
        typer.Option(
            help="How often sites are drawn, where they are: mean and deviation are told."
        ),
    ] = 1,
    workers: Annotated[int, typer.Option(help="How many are played at a time.")] = 2,
    language: InLanguage = Language.ENGLISH,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown instead of tables.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Play what might be (roofs, batteries, weekends, prices, more sites) and compare."""
    from orchestrator.replay.comparison import grids
    from orchestrator.replay.scenarios import compared, scenarios, season_weeks, sensitivities

    check_steering(battery)
    for option, value in (("--seeds", seeds), ("--workers", workers), ("--days", days)):
        if value < 1:
            raise SettingError(f"{option} must be at least 1, got {value}")
    known = [each.name for each in (sensitivities() if prices else scenarios(exchange))]
    chosen = list(dict.fromkeys(only)) if only else known
    for name in chosen:
        if name not in known:
            raise SettingError(f"a scenario must be one of {', '.join(known)}, got {name!r}")
    played = season_weeks()
    if first is not None:
        played = [day_from(first) + timedelta(days=number) for number in range(days)]
    compared_with = known[0]
    wanted = [*chosen, *({compared_with} - set(chosen))]
    playing = compared(wanted, played, sites, exchange, workers, battery, seeds)
    found = _played(playing, wanted, language)
    shown = {name: [found[name][seed] for seed in sorted(found[name])] for name in chosen}
    if as_json:
        print_json(
            [
                {"scenario": name, "seed": seed, **found[name][seed].to_json()}
                for name in chosen
                for seed in sorted(found[name])
            ]
        )
        return
    for grid in grids(shown, found[compared_with][1], len(played), language):
        if markdown:
            print(f"{grid.title}\n\n{grid.markdown()}\n")
        else:
            screen.console().print(_drawn(grid))


def _played(
    playing: Iterator[tuple[str, int, Outcome]], names: Sequence[str], language: Language
) -> dict[str, dict[int, Outcome]]:
    """Take outcomes as they come, with progress on stderr, by scenario and seed."""
    found: dict[str, dict[int, Outcome]] = {name: {} for name in names}
    with progress_bar(language) as progress:
        progress("scenario", 0, len(names))
        for name, seed, outcome in playing:
            found[name][seed] = outcome
            progress("scenario", sum(map(bool, found.values())), len(names))
    return found


def _drawn(grid: Grid) -> Table:
    table = Table(title=grid.title, title_justify="left")
    for number, name in enumerate(grid.headings):
        table.add_column(name, justify="right" if number else "left")
    for row in grid.rows:
        table.add_row(*row)
    return table

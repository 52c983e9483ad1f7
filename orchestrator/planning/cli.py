"""`yui plan`: what a site's battery should do in the coming day, why, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator import screen
from orchestrator.options import InLanguage, Json, day_from, print_json
from orchestrator.progress import working
from orchestrator.setting.sites import load_setting
from orchestrator.words import Language, short


def plan(
    site: Annotated[str, typer.Option(help="The site with the battery.")] = "Kesennuma",
    day: Annotated[str, typer.Option(help="The day, as 2019-06-04.")] = "2019-06-04",
    prices: Annotated[
        str, typer.Option(help="tariff, synthetic (a bundled year), or a file of prices by day.")
    ] = "tariff",
    markup: Annotated[
        float, typer.Option(help="What buying costs above such a price, JPY/kWh.")
    ] = 5.0,
    book: Annotated[
        float | None, typer.Option(help="Price expected in the order book, JPY/kWh.")
    ] = None,
    book_kwh: Annotated[
        float, typer.Option(help="What can be traded there in a half hour, each way.")
    ] = 5.0,
    known: Annotated[
        bool, typer.Option("--known", help="Plan on what the day really brought, not forecasts.")
    ] = False,
    stored: Annotated[
        float | None, typer.Option(help="kWh the battery could deliver at midnight.")
    ] = None,
    demand: Annotated[float, typer.Option(help="Demand charge, JPY a kW of the peak.")] = 0.0,
    reached: Annotated[float, typer.Option(help="The month's peak so far, kW.")] = 0.0,
    reserve: Annotated[
        float, typer.Option(help="Price of reserve, both ways, JPY a kW and half hour.")
    ] = 0.0,
    reserve_hours: Annotated[
        float, typer.Option(help="How long reserve must be deliverable, hours.")
    ] = 1.0,
    kind: Annotated[str, typer.Option("--chemistry", help="lfp, nmc, or none: no wear.")] = "lfp",
    explain: Annotated[
        bool, typer.Option("--explain", help="Say why, and what would change it.")
    ] = False,
    chart_file: Annotated[
        Path | None, typer.Option("--chart", help="Draw it to a file, .png or .svg.")
    ] = None,
    sites: Annotated[Path | None, typer.Option(help="A sites file of your own.")] = None,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Plan a battery's day: cheapest, sparing the battery, with reserve, and say why."""
    the_day = day_from(day)
    with working(language, "plan"):
        from orchestrator.planning.plan import Asked, planned_site
        from orchestrator.planning.view import plan_json, plan_view

        asked = Asked(
            site=site,
            day=the_day,
            prices=prices,
            markup=markup,
            book=book,
            book_kwh=book_kwh,
            known=known,
            stored=stored,
            demand=demand,
            reached=reached,
            reserve=reserve,
            reserve_hours=reserve_hours,
            kind=kind,
        )
        found = planned_site(load_setting(sites), asked, language)
        place = found.place
        name = short(place.name_ja if language is Language.JAPANESE else place.name)
        if chart_file is not None:
            from orchestrator.planning.chart import chart

            chart(found.plan, chart_file, f"{name} {the_day}", language)
    if as_json:
        print_json(plan_json(found.plan, found.without, found.quotes, place.name))
        return
    shown = plan_view(
        found.plan, found.without, found.quotes, name, the_day, language, explain=explain
    )
    screen.console().print(shown)

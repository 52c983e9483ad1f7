"""`yui fleet demo`."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from energy.errors import SettingError
from orchestrator import screen
from orchestrator.calls.view import at, report_json, report_view
from orchestrator.fleet_demo.words import say
from orchestrator.options import InLanguage, Json, day_from, print_json
from orchestrator.progress import progress_bar
from orchestrator.setting.sites import load_setting
from orchestrator.words import Language
from vpp.link.setup import counted

MARK = "demo"
FOLDER = Path(".yui/fleet-demo")
MOST_SITES = 200


def mount(app: typer.Typer) -> None:
    """Add the command to `yui fleet`."""
    app.command()(demo)


def demo(
    sites: Annotated[int, typer.Option(help="How many sites, in three municipalities.")] = 20,
    day: Annotated[str, typer.Option(help="A working day of 2019, as 2019-06-04.")] = "2019-06-04",
    folder: Annotated[
        Path, typer.Option(help="Where it goes; a demo that is there is replaced.")
    ] = FOLDER,
    seed: Annotated[int, typer.Option(help="What the sites are drawn from.")] = 1,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """A fleet's day with two balancing calls and three faults, over MQTT, Modbus and a chain."""
    from orchestrator.fleet_demo.day import run_fleet_day

    if not 3 <= sites <= MOST_SITES:
        raise SettingError(f"--sites must be from 3 to {MOST_SITES}, got {sites}")
    _emptied(folder)
    # What daemons say of lost links and failing sites is theirs, and long.
    logging.basicConfig(filename=folder / "journal.log", level=logging.INFO)
    with progress_bar(language) as progress:
        done = asyncio.run(
            run_fleet_day(load_setting(None), counted(sites), day_from(day), folder, seed, progress)
        )
    if as_json:
        print_json(
            {
                "day": done.day.isoformat(),
                "faults": [
                    {"at": at(each.at), "what": done.told(each, Language.ENGLISH)}
                    for each in done.faults
                ],
                "calls": [
                    report_json(report, done.names[Language.ENGLISH]) for report in done.reports
                ],
            }
        )
        return
    console = screen.console()
    table = Table(title=say(language, "title"), title_justify="left")
    table.add_column(say(language, "time"))
    table.add_column(say(language, "what"), overflow="fold")
    for each in done.faults:
        table.add_row(at(each.at), done.told(each, language))
    console.print(table)
    for report in done.reports:
        console.print(report_view(report, done.names[language], language))
    console.print(
        f"yui calls show {done.reports[-1].call.name} --calls {folder / 'calls.sqlite'}\n"
        f"yui calls report {done.reports[-1].call.name} --calls {folder / 'calls.sqlite'} "
        f"--store {folder / 'store.sqlite'}\n"
        f"yui fleet trail --fleet {folder / 'fleet'}",
        soft_wrap=True,
    )


def _emptied(folder: Path) -> None:
    """Make a folder, empty; what is no demo is not touched.

    Raises:
        SettingError: if something else is there.
    """
    if folder.exists():
        if any(folder.iterdir()) and not (folder / MARK).exists():
            raise SettingError(f"{folder} must be empty or hold a demo, got other files")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()

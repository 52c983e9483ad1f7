"""`yui demo`: a day from meter to statement, and what came of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chain.ports import free_port, is_free
from chain.store import Store
from energy.errors import SettingError
from energy.units import slots_of
from orchestrator import screen
from orchestrator.options import DEMO_FOLDER, InLanguage, Json, day_from, print_json, store_at
from orchestrator.progress import progress_bar
from orchestrator.setting.sites import load_setting, with_mode
from orchestrator.statements.day import day_report
from orchestrator.statements.statement import statement_of
from orchestrator.steering.choice import InSteering, check_steering
from orchestrator.steering.steering import RULE
from orchestrator.words import Language, say

if TYPE_CHECKING:
    from orchestrator.demo.day import DemoDay


def demo(
    day: Annotated[str, typer.Option(help="A day of 2019, as 2019-06-04.")] = "2019-06-04",
    mode: Annotated[
        str | None, typer.Option(help="ahead or after-metering; the sites file's if not given.")
    ] = None,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    sites: Annotated[
        Path | None, typer.Option(help="A sites file of your own; see the bundled example.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the day is kept.")] = DEMO_FOLDER,
    battery: InSteering = RULE,
    network: Annotated[
        str, typer.Option(help="anvil, or poa: each site's own validator, a block a second.")
    ] = "anvil",
    open_: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open",
            help="Serve the day's pages at the end, in this machine's browser, or do not; at a "
            "terminal, if neither is given, they are served and their address is printed.",
        ),
    ] = None,
) -> None:
    """Run a day from meter to statement on a chain of its own, print what came of it, and at a
    terminal show it as pages until Ctrl-C."""
    from orchestrator.demo.day import run_day
    from orchestrator.demo.market import NETWORKS

    if as_json and open_:
        raise SettingError("one of --json and --open at most must be given, got both")
    if network not in NETWORKS:
        raise SettingError(f"--network must be one of {', '.join(NETWORKS)}, got {network!r}")
    check_steering(battery)
    setting = with_mode(load_setting(sites), mode)
    the_day = day_from(day)
    with progress_bar(language) as progress:
        done = asyncio.run(run_day(setting, the_day, folder, progress, sites, network, battery))
    with store_at(folder / "store.sqlite") as (store, names):
        slots = slots_of(the_day)
        report = day_report(store, slots)
        if as_json:
            print_json(_demo_json(done, store, report.to_json(), names["en"]))
            return
        shown = names[language]
        console = screen.console()
        # What is looked at first stands last, where the screen ends.
        for site in shown:
            rows = statement_of(store, site, slots)
            console.print(screen.statement_view(rows, shown, language))
            console.print()
        console.print(screen.day_view(report, the_day, setting.market.mode, shown, language))
        console.print()
        console.print(screen.audit_line(done.findings, language), style="bold green")
        console.print()
    show_pages(folder / "store.sqlite", sites, open_, language)


def show_pages(store: Path, sites: Path | None, open_: bool | None, language: Language) -> None:
    """Serve a store's pages until Ctrl-C, or say by which command that is done.

    Where `open_` says neither, they are served if somebody sits at a terminal, and so can end it.
    """
    from orchestrator.web import cli as web_cli

    attended = sys.stdin.isatty() and sys.stdout.isatty()
    if not (attended if open_ is None else open_):
        command = web_cli.command_for(store, sites)
        screen.console().print(say(language, "see_pages", command=command), soft_wrap=True)
        return
    print(say(language, "served_pages"))
    port = web_cli.PORT if is_free(web_cli.PORT) else free_port()
    web_cli.serve(str(store), port=port, sites=sites, open_=bool(open_))


def _demo_json(
    done: DemoDay, store: Store, report: Mapping[str, object], names: Mapping[int, str]
) -> dict[str, object]:
    slots = slots_of(done.day)
    return {
        "day": done.day.isoformat(),
        "store": done.store,
        "market": done.address,
        "origin": done.origin,
        "deployed_by": done.deployed_by,
        "report": report,
        "audit": done.findings.to_json(),
        "statements": {
            name: statement_of(store, site, slots).to_json(names) for site, name in names.items()
        },
    }

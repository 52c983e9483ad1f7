"""The command line: `yui`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from chain.store import Store
from energy.errors import SettingError
from energy.units import slots_of
from oracle import cli as site_cli
from orchestrator import (
    agents_cli,
    calls_cli,
    claim_commands,
    council_cli,
    fleet_cli,
    network_cli,
    room_cli,
    screen,
    statement_commands,
    store_commands,
)
from orchestrator.demo import ANVIL, NETWORKS, DemoDay, run_day, with_mode
from orchestrator.listing import WHEN, Listing, when
from orchestrator.next_step import what_next
from orchestrator.options import (
    DEFAULT_STORE,
    DEMO_FOLDER,
    InLanguage,
    Json,
    StorePath,
    day_from,
    print_json,
    progress_bar,
    say_what_may_vanish,
    site_number,
    store_at,
)
from orchestrator.plan import plan
from orchestrator.replay.cli import replay
from orchestrator.replay.scenario_cli import compare
from orchestrator.report import day_report
from orchestrator.service import cli as service_cli
from orchestrator.setting.sites import MODES, load_setting
from orchestrator.statement import statement_of
from orchestrator.steering.choice import InSteering, check_steering
from orchestrator.steering.steering import RULE
from orchestrator.verification.commands import report
from orchestrator.web import cli as web_cli
from orchestrator.words import Language, say
from vpp.dispatch import cli as dispatch_cli

app = typer.Typer(
    invoke_without_command=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Public buildings trade surplus solar electricity, half hour by half hour, and state "
    "for every kWh used where and when it was generated.",
)

room_cli.mount(dispatch_cli.app)

app.add_typer(network_cli.app, name="network")
app.add_typer(council_cli.app, name="council")
app.add_typer(fleet_cli.app, name="fleet")
app.add_typer(calls_cli.app, name="calls")
app.add_typer(service_cli.app, name="orchestrator")
app.add_typer(agents_cli.app, name="agents")
app.add_typer(web_cli.app, name="web")
app.add_typer(site_cli.oracle, name="oracle")
app.add_typer(site_cli.simulate, name="simulate")
app.add_typer(dispatch_cli.app, name="vpp")


def main() -> None:
    """Run the whole command line."""
    site_cli.run(app)


@app.callback()
def next_step(context: typer.Context) -> None:
    """Say what is here and what to do next, when no command is given."""
    if context.invoked_subcommand is None:
        for line in what_next(Path.cwd()):
            print(line)


@app.command()
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
    ] = ANVIL,
    open_: Annotated[
        bool, typer.Option("--open", help="Show the day as pages in this machine's browser.")
    ] = False,
) -> None:
    """Run a day from meter to statement on a chain of its own, and print what came of it."""
    if as_json and open_:
        raise SettingError("one of --json and --open at most must be given, got both")
    if mode is not None and mode not in MODES:
        raise SettingError(f"--mode must be one of {', '.join(MODES)}, got {mode!r}")
    if network not in NETWORKS:
        raise SettingError(f"--network must be one of {', '.join(NETWORKS)}, got {network!r}")
    check_steering(battery)
    setting = with_mode(load_setting(sites), mode)
    the_day = day_from(day)
    with progress_bar() as progress:
        done = asyncio.run(run_day(setting, the_day, folder, progress, sites, network, battery))
    with store_at(folder / "store.sqlite") as (store, names):
        slots = slots_of(the_day)
        report = day_report(store, slots)
        if as_json:
            print_json(_demo_json(done, store, report.to_json(), names["en"]))
            return
        shown = names[language]
        console = screen.console()
        console.print(screen.day_view(report, the_day, setting.market.mode, shown, language))
        for site in shown:
            console.print()
            rows = statement_of(store, site, slots)
            console.print(screen.statement_view(rows, shown, language))
        console.print()
        console.print(screen.audit_line(done.findings, language), style="bold green")
    store_file = folder / "store.sqlite"
    if open_:
        web_cli.serve(str(store_file), sites=sites, open_=True)
        return
    console.print()
    console.print(
        say(language, "see_pages", command=web_cli.command_for(store_file, sites)), soft_wrap=True
    )


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


TRADE_COLUMNS = (
    *WHEN,
    *("seller", "buyer", "energy_wh", "delivered_wh", "price_milliyen_per_kwh", "final"),
)


@app.command()
def trades(
    day: store_commands.Day = None,
    site: store_commands.Site = None,
    slot: store_commands.Slot = None,
    month: store_commands.Month = None,
    side: Annotated[
        str | None, typer.Option(help="With --site: only what it bought, or sold: bid or ask.")
    ] = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: store_commands.Csv = False,
) -> None:
    """List trades, and what was delivered of each."""
    if side not in (None, "bid", "ask") or (side and site is None):
        raise SettingError(f"--side must be bid or ask, and go with --site, got {side!r}")
    with store_at(store_path) as (store, names):
        slots = store_commands.span_asked(store, slot, day, month)
        number = None if site is None else site_number(names, site)
        found = [
            (trade, delivered)
            for trade, delivered in store.trades(slots, number)
            if side is None or number == (trade.buyer if side == "bid" else trade.seller)
        ]
        prices, final = store.prices(slots), store.final_slots(slots)
        if not as_json and not as_csv:
            shown = screen.trades_view(found, prices, names[language], language)
            screen.console().print(shown)
            say_what_may_vanish([trade.slot for trade, _ in found if trade.slot not in final])
            return
        rows = [
            {
                **when(trade.slot),
                "seller": names["en"][trade.seller],
                "buyer": names["en"][trade.buyer],
                "energy_wh": trade.energy,
                "delivered_wh": delivered,
                "price_milliyen_per_kwh": prices[trade.slot],
                "final": trade.slot in final,
            }
            for trade, delivered in found
        ]
    Listing(TRADE_COLUMNS, rows).show(as_json, as_csv, language)


store_commands.mount(app)
statement_commands.mount(app)
claim_commands.mount(app)
app.command()(plan)
app.command()(report)
app.command()(replay)
app.command("scenarios")(compare)


if __name__ == "__main__":
    main()

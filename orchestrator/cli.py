"""The command line: `yui`."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.tree import Tree

from chain.node import NodeChain
from chain.store import Store, opened
from energy.errors import SettingError, YuiError
from energy.lots import Kind
from energy.units import half_hour, kwh, slot_from, slots_of
from orchestrator import council_cli, network_cli, screen
from orchestrator.audit import audited
from orchestrator.demo import ANVIL, NETWORKS, DemoDay, run_day, with_mode
from orchestrator.report import day_report
from orchestrator.setting.sites import MODES, load_setting
from orchestrator.statement import statement_of
from orchestrator.words import Language, say_slot, short

DEMO_FOLDER = Path(".yui/demo")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Public buildings trade surplus solar electricity, half hour by half hour, and state "
    "for every kWh used where and when it was generated.",
)

app.add_typer(network_cli.app, name="network")
app.add_typer(council_cli.app, name="council")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Day = Annotated[str | None, typer.Option(help="The day, as 2019-06-04; the store's if not given.")]
SiteName = Annotated[str, typer.Argument(help="The site's name or number.")]
StorePath = Annotated[Path, typer.Option("--store", help="The store to read.")]
InLanguage = Annotated[Language, typer.Option("--language", help="en or ja.")]
DEFAULT_STORE = DEMO_FOLDER / "store.sqlite"


def main() -> None:
    """Run the command line; an error is one sentence and exit code 1, an interruption 130."""
    # Asked to end, it ends as by Ctrl-C: what it started is stopped first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except YuiError as error:
        print(f"yui: {error}", file=sys.stderr)
        sys.exit(1)


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
    network: Annotated[
        str, typer.Option(help="anvil, or poa: each site's own validator, a block a second.")
    ] = ANVIL,
) -> None:
    """Run a day from meter to statement on a chain of its own, and print what came of it."""
    if mode is not None and mode not in MODES:
        raise SettingError(f"--mode must be one of {', '.join(MODES)}, got {mode!r}")
    if network not in NETWORKS:
        raise SettingError(f"--network must be one of {', '.join(NETWORKS)}, got {network!r}")
    setting = with_mode(load_setting(sites), mode)
    the_day = _day(day)
    with _progress() as progress:
        done = asyncio.run(run_day(setting, the_day, folder, progress, sites, network))
    with _store(folder / "store.sqlite") as (store, names):
        slots = slots_of(the_day)
        report = day_report(store, slots)
        if as_json:
            _print_json(_demo_json(done, store, report.to_json(), names["en"]))
            return
        shown = names[language]
        console = screen.console()
        console.print(screen.day_view(report, the_day, setting.market.mode, shown, language))
        for site in shown:
            console.print()
            rows = statement_of(store, site, slots)
            console.print(screen.statement_view(rows, the_day, shown, language))
        console.print()
        console.print(screen.audit_line(done.findings, language), style="bold green")


def _demo_json(
    done: DemoDay, store: Store, report: Mapping[str, object], names: Mapping[int, str]
) -> dict[str, object]:
    slots = slots_of(done.day)
    return {
        "day": done.day.isoformat(),
        "store": done.store,
        "market": done.address,
        "deployed_by": done.deployed_by,
        "report": report,
        "audit": done.findings.to_json(),
        "statements": {
            name: [row.to_json(names) for row in statement_of(store, site, slots)]
            for site, name in names.items()
        },
    }


@app.command()
def trades(
    day: Day = None,
    site: Annotated[str | None, typer.Option(help="Only those of a site, by name.")] = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """List a day's trades, and what was delivered of each."""
    with _store(store_path) as (store, names):
        slots = slots_of(_stored_day(store, day))
        found = store.trades(slots)
        if site is not None:
            number = _site(names, site)
            found = [pair for pair in found if number in (pair[0].seller, pair[0].buyer)]
        prices = {trade.slot: store.price(trade.slot) for trade, _ in found}
        final = store.final_slots(slots)
        if as_json:
            _print_json(
                [
                    {
                        "slot": trade.slot,
                        "half_hour": half_hour(trade.slot),
                        "seller": names["en"][trade.seller],
                        "buyer": names["en"][trade.buyer],
                        "energy_wh": trade.energy,
                        "delivered_wh": delivered,
                        "price_milliyen_per_kwh": prices[trade.slot],
                        "final": trade.slot in final,
                    }
                    for trade, delivered in found
                ]
            )
            return
        screen.console().print(screen.trades_view(found, prices, names[language], language))
        _say_what_may_vanish([trade.slot for trade, _ in found if trade.slot not in final])


@app.command()
def statement(
    site: SiteName,
    day: Day = None,
    slot: Annotated[str | None, typer.Option(help="One half hour, as '2019-06-04 18:30'.")] = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """State for every kWh that a site used where and when it was generated."""
    with _store(store_path) as (store, names):
        number = _site(names, site)
        the_day = _stored_day(store, day)
        slots = slots_of(the_day) if slot is None else _span(slot)
        rows = statement_of(store, number, slots)
        if as_json:
            _print_json([row.to_json(names["en"]) for row in rows])
            return
        if slot is not None:
            the_day = _day(say_slot(Language.ENGLISH, slots.start)[:10])
        screen.console().print(screen.statement_view(rows, the_day, names[language], language))
        _say_what_may_vanish(sorted(set(slots) & set(store.slots()) - store.final_slots(slots)))


def _say_what_may_vanish(slots: list[int]) -> None:
    if slots:
        print(f"seen, not final yet: {len(slots)} half hours, from {half_hour(min(slots))} on")


@app.command()
def trace(
    site: SiteName,
    slot: Annotated[str, typer.Argument(help="A half hour, as '2019-06-04 18:30'.")],
    forward: Annotated[
        bool, typer.Option("--forward", help="Where what was generated went, instead.")
    ] = False,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Follow a half hour's energy back to roofs and meters, or forward to where it was used."""
    with _store(store_path) as (store, names):
        number, span = _site(names, site), _span(slot)
        shown = names[language]
        draw = _forward if forward else _backward
        screen.console().print(draw(store, number, span, shown, language))


def _backward(
    store: Store, site: int, span: range, names: Mapping[int, str], language: Language
) -> Tree:
    rows = statement_of(store, site, span)
    when = say_slot(language, span.start)
    tree = Tree(f"{names[site]} {when}: {kwh(rows[0].used):.3f} kWh")
    tree.add(_reading_line(store, site, span))
    for entry in rows:
        origin = entry.row.origin
        where = "" if origin.kind == Kind.GRID else f" {names[origin.site]}"
        branch = tree.add(
            f"{kwh(entry.row.energy):.3f} kWh: {origin.kind.name.lower()}{where} "
            f"{say_slot(language, origin.slot)}"
        )
        through = entry.row.through
        if through is not None:
            branch.add(f"through the battery of {names[through]}")
            if through != site:
                _add_trades(branch, store, through, site, span, names)
        elif origin.kind == Kind.GENERATION and origin.site != site:
            _add_trades(branch, store, origin.site, site, span, names)
        if origin.kind == Kind.GENERATION:
            branch.add(_reading_line(store, origin.site, range(origin.slot, origin.slot + 1)))
    return tree


def _add_trades(
    branch: Tree, store: Store, seller: int, buyer: int, span: range, names: Mapping[int, str]
) -> None:
    price = store.price(span.start)
    for trade, delivered in store.trades(span):
        if (trade.seller, trade.buyer) == (seller, buyer):
            branch.add(
                f"trade {names[seller]} > {names[buyer]}: {kwh(trade.energy):.3f} kWh at "
                f"{(price or 0) / 1000:.3f} JPY/kWh, delivered {kwh(delivered or 0):.3f} kWh"
            )
    for flow in store.pool(span):
        if (flow.seller, flow.buyer) == (seller, buyer):
            branch.add(f"pool {names[seller]} > {names[buyer]}: {kwh(flow.energy):.3f} kWh")


def _reading_line(store: Store, site: int, span: range) -> str:
    for reading in store.readings(span):
        if reading.site == site:
            quality = reading.quality.name or "MEASURED"
            return (
                f"reading: imported {reading.imported}, exported {reading.exported}, "
                f"generated {reading.generated}, charged {reading.charged}, "
                f"discharged {reading.discharged}, stored {reading.stored} Wh, "
                f"{quality.lower().replace('|', ' and ')}"
            )
    return "no reading"


def _forward(
    store: Store, site: int, span: range, names: Mapping[int, str], language: Language
) -> Tree:
    tree = Tree(f"{names[site]} {say_slot(language, span.start)}")
    tree.add(_reading_line(store, site, span))
    ended = store.destinations(site, span)
    for part, row in ended:
        through = "" if row.through is None else f", through the battery of {names[row.through]}"
        what = {"used": "used at", "lost": "lost at", "utility": "to the utility from"}.get(
            part, "not metered at"
        )
        tree.add(
            f"{kwh(row.energy):.3f} kWh {what} {names[row.site]} "
            f"{say_slot(language, row.slot)}{through}"
        )
    held = sum(
        row.energy
        for row in store.holdings().rows()
        if (row.origin.site, row.origin.slot) == (site, span.start)
        and row.origin.kind == Kind.GENERATION
    )
    if held:
        tree.add(f"{kwh(held):.3f} kWh held in batteries")
    return tree


@app.command()
def audit(
    rpc: Annotated[str, typer.Option(help="A node of the chain, as http://127.0.0.1:8545.")],
    manifest: Annotated[Path, typer.Option(help="The deployment's manifest.")],
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Run every transaction of a market again, from the chain's first block, and compare."""
    try:
        address = json.loads(manifest.read_text())["contracts"]["Market"]["address"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{manifest} must be a manifest, got {error!r}") from error
    with _progress() as progress:
        findings = audited(
            NodeChain(rpc), address, lambda done, total: progress("audit", done, total)
        )
    if as_json:
        _print_json(findings.to_json())
    else:
        screen.console().print(screen.audit_line(findings, language), style="bold green")


_STEPS = {
    "chain": "starting a chain",
    "deploy": "deploying the market",
    "enrol": "enrolling the sites",
    "day": "slots settled",
    "audit": "auditing",
}


@contextmanager
def _progress() -> Iterator[_Shown]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        yield _Shown(bar)


class _Shown:
    """A progress bar that is told steps by name."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None)

    def __call__(self, step: str, done: int, total: int) -> None:
        self._bar.update(self._task, description=_STEPS[step], completed=done, total=total)


Names = Mapping[str, dict[int, str]]


@contextmanager
def _store(path: Path) -> Iterator[tuple[Store, Names]]:
    """Open a store, with its sites' names by language."""
    if not path.exists():
        raise SettingError(f"{path} must be a store (run `yui demo` first), got no such file")
    engine = opened(str(path))
    with engine.connect() as connection:
        store = Store(connection)
        both = {
            int(site): pair for site, pair in json.loads(store.setting("names") or "{}").items()
        }
        yield (
            store,
            {
                "en": {site: pair[0] for site, pair in both.items()},
                "ja": {site: pair[1] for site, pair in both.items()},
            },
        )
    engine.dispose()


def _site(names: Names, wanted: str) -> int:
    for language in names.values():
        for site, name in language.items():
            if wanted.lower() in (str(site), name.lower(), short(name)):
                return site
    known = ", ".join(names["en"].values())
    raise SettingError(f"a site must be one of {known}, got {wanted!r}")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SettingError(f"a day must be as 2019-06-04, got {text!r}") from error


def _stored_day(store: Store, day: str | None) -> date:
    return _day(day or store.setting("day") or "")


def _span(text: str) -> range:
    try:
        slot = slot_from(text)
    except ValueError as error:
        raise SettingError(str(error)) from error
    return range(slot, slot + 1)


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


if __name__ == "__main__":
    main()

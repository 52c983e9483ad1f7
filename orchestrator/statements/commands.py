"""`yui statement`, `proof` and `trace`: what a store says of where energy came from."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from chain.attesting import day_tree
from chain.store import Store
from energy.attestation import date_of, day_number
from energy.errors import SettingError
from energy.units import day_of
from orchestrator import screen
from orchestrator.claims.certificate import certificates_of, file_name
from orchestrator.dates import slots_named
from orchestrator.names import site_number
from orchestrator.options import (
    DEFAULT_STORE,
    WHEN_HELP,
    Csv,
    InLanguage,
    Json,
    NetworkPath,
    SiteName,
    StorePath,
    chain_at,
    print_json,
    say_what_may_vanish,
    store_at,
    write_json,
)
from orchestrator.progress import progress_bar, working
from orchestrator.records.commands import Day, Month, Slot, span_asked
from orchestrator.records.listing import Listing, check_forms
from orchestrator.statements.statement import as_csv, destinations_of, statement_of
from orchestrator.statements.tracing import TRACE_COLUMNS, Tracer, drawn, trace_rows
from orchestrator.when import WHEN, Row, when
from orchestrator.words import Language

HalfHours = Annotated[
    str, typer.Argument(help="A half hour, as '2019-06-04 18:30', or a day or month of them.")
]
DESTINATION_COLUMNS = (
    *("generated_at", "generated_slot", "generated_day", "generated_half_hour", "energy_wh"),
    *("end", "site", *WHEN, "through_battery"),
)
PROOF_COLUMNS = ("file", *WHEN, "energy_wh")


def mount(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (statement, proof, trace):
        app.command()(command)


def statement(
    site: Annotated[
        str | None, typer.Option(help="The site that used energy, by name or number.")
    ] = None,
    generator: Annotated[
        str | None, typer.Option(help="Instead: the site that generated it, and where it went.")
    ] = None,
    slot: Slot = None,
    day: Day = None,
    month: Month = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    comma: Csv = False,
    pdf: Annotated[Path | None, typer.Option(help="Write a page to print to this file.")] = None,
) -> None:
    """State for every kWh that a site used where and when it was generated, and what it cost."""
    if (site is None) == (generator is None):
        raise SettingError("one of --site and --generator must be given")
    check_forms(as_json, comma)
    with store_at(store_path) as (store, names):
        slots = span_asked(store, slot, day, month)
        shown = names[language]
        if generator is not None:
            if pdf:
                raise SettingError("--pdf must go with --site, got --generator")
            ended = destinations_of(store, site_number(names, generator), slots)
            if as_json or comma:
                rows = [one.to_json(names["en"]) for one in ended]
                Listing(DESTINATION_COLUMNS, rows).show(as_json, comma)
            else:
                screen.console().print(screen.destinations_view(ended, slots, shown, language))
            return
        found = statement_of(store, site_number(names, site or ""), slots)
        roots = _roots(store, slots, language) if pdf or as_json else {}
        if pdf:
            from orchestrator.statements.page import html_of, write_pdf

            with working(language, "print"):
                write_pdf(html_of(found, shown, language, roots), pdf, language)
        if as_json:
            print_json({**found.to_json(names["en"]), "roots": roots})
        elif comma:
            print(as_csv(found, shown, language), end="")
        elif pdf:
            print(pdf)
        else:
            screen.console().print(screen.statement_view(found, shown, language))
            settled = set(slots) & set(store.slots(slots))
            say_what_may_vanish(sorted(settled - store.final_slots(slots)), language)


def proof(
    site: SiteName,
    when_: Annotated[str, typer.Argument(metavar="WHEN", help=WHEN_HELP)],
    folder: Annotated[Path, typer.Option(help="Where the files are written.")] = Path(),
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    comma: Csv = False,
) -> None:
    """Write a public proof file for each origin of what a site used in a slot, day or month."""
    check_forms(as_json, comma)
    written: list[Row] = []
    with store_at(store_path) as (store, names), progress_bar(language) as progress:
        chain_id, origin = _deployment_of(store)
        number, span = site_number(names, site), slots_named(when_)
        rows = [entry.row for entry in statement_of(store, number, span).rows]
        certificates = certificates_of(store, chain_id, origin, progress.each("prove", rows))
        for used, of_slot in groupby(certificates, key=lambda one: one.row.slot):
            for place, certificate in enumerate(of_slot):
                path = folder / file_name(names["en"][number], used, place)
                write_json(path, certificate.to_json(names["en"]))
                energy = certificate.row.energy
                written.append({"file": str(path), **when(used), "energy_wh": energy})
    Listing(PROOF_COLUMNS, written).show(as_json, comma, language)


def trace(
    site: SiteName,
    slot: HalfHours,
    forward: Annotated[
        bool, typer.Option("--forward", help="Where what was generated went, instead.")
    ] = False,
    first: Annotated[int, typer.Option("--from", help="The first Wh of the consumption.")] = 0,
    last: Annotated[
        int | None, typer.Option("--to", help="The Wh to end at; all of them if not given.")
    ] = None,
    rpc: Annotated[
        str | None, typer.Option(help="A node, to fetch and check the signatures as well.")
    ] = None,
    network: NetworkPath = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    comma: Csv = False,
) -> None:
    """Follow a half hour's energy back to roofs and meters, or forward to where it was used."""
    check_forms(as_json, comma)
    with store_at(store_path) as (store, names):
        number, span = site_number(names, site), slots_named(slot)
        if len(span) > 1 and (first or last is not None):
            raise SettingError(f"--from and --to must go with one half hour, got {len(span)}")
        market = None
        if rpc or network:
            from chain.market import MarketContract

            market = MarketContract(chain_at(rpc, network), _market_of(store))
        tracer = Tracer(store, names["en" if as_json or comma else language], market)
        followed = list(span) if len(span) == 1 else _of_span(store, number, span, forward)
        with progress_bar(language) as progress:
            ways = [
                tracer.forward(number, one) if forward else tracer.back(number, one, first, last)
                for one in progress.each("trace", followed)
            ]
        if comma:
            Listing(TRACE_COLUMNS, trace_rows(ways)).show(as_json=False, as_csv=True)
            return
        if as_json:
            print_json(ways[0].to_json() if len(span) == 1 else [way.to_json() for way in ways])
            return
        for way in ways:
            screen.console().print(drawn(way, language))
        say_what_may_vanish(sorted(set(followed) - store.final_slots(span)), language)


def _of_span(store: Store, site: int, span: range, forward: bool) -> list[int]:
    """Return the half hours among some in which a site used energy, or generated it.

    Raises:
        SettingError: if there is none.
    """
    if forward:
        found = {row.origin.slot for _, row in store.destinations(site, span)}
    else:
        found = {row.slot for row in store.origins("used", span, site)}
    if not found:
        what = "generated" if forward else "used"
        raise SettingError(f"something must have been {what} to be followed, got nothing")
    return sorted(found)


def _roots(store: Store, slots: range, language: Language) -> dict[str, str]:
    """Return the root of each day that holds final slots, or why there is none yet."""
    roots = {}
    days = range(day_number(day_of(slots[0])), day_number(day_of(slots[-1])) + 1)
    with progress_bar(language) as progress:
        for day in map(date_of, progress.each("roots", days)):
            try:
                roots[day.isoformat()] = "0x" + day_tree(store, day).root.hex()
            except SettingError as error:
                if len(days) == 1:
                    roots[day.isoformat()] = str(error)
    return roots


def _market_of(store: Store) -> str:
    return (store.setting("market") or ":").split(":")[1]


def _deployment_of(store: Store) -> tuple[int, str]:
    """Return the chain and ledger of origins that a store is of."""
    chain_id, origin = (store.setting("market") or "").split(":")[0], store.setting("origin")
    if not chain_id or not origin:
        raise SettingError("the store must name its ledger of origins, got none")
    return int(chain_id), origin

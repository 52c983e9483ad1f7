"""`yui statement`, `proof` and `trace`: what a store says of where energy came from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chain.attesting import day_tree
from chain.market import MarketContract
from chain.store import Store
from energy.attestation import date_of, day_number
from energy.errors import SettingError
from energy.units import day_of, kwh, slots_of
from orchestrator import screen
from orchestrator.certificate import certificate_of
from orchestrator.dates import month_named, slots_named
from orchestrator.options import (
    DEFAULT_STORE,
    Day,
    InLanguage,
    Json,
    NetworkPath,
    SiteName,
    StorePath,
    When,
    chain_at,
    print_json,
    say_what_may_vanish,
    site_number,
    span_of,
    store_at,
    stored_day,
    write_json,
)
from orchestrator.statement import as_csv, destinations_of, statement_of
from orchestrator.statement_page import html_of, write_pdf
from orchestrator.tracing import Tracer, drawn
from orchestrator.words import Language

HalfHours = Annotated[
    str, typer.Argument(help="A half hour, as '2019-06-04 18:30', or a day or month of them.")
]


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
    slot: Annotated[str | None, typer.Option(help="One half hour, as '2019-06-04 18:30'.")] = None,
    day: Day = None,
    month: Annotated[str | None, typer.Option(help="A month, as 2019-06.")] = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    comma: Annotated[bool, typer.Option("--csv", help="Print CSV instead of tables.")] = False,
    pdf: Annotated[Path | None, typer.Option(help="Write a page to print to this file.")] = None,
) -> None:
    """State for every kWh that a site used where and when it was generated, and what it cost."""
    if (site is None) == (generator is None):
        raise SettingError("one of --site and --generator must be given")
    with store_at(store_path) as (store, names):
        slots = _slots(store, slot, day, month)
        shown = names[language]
        if generator is not None:
            if comma or pdf:
                raise SettingError("--csv and --pdf must go with --site, got --generator")
            ended = destinations_of(store, site_number(names, generator), slots)
            if as_json:
                print_json([one.to_json(names["en"]) for one in ended])
            else:
                screen.console().print(screen.destinations_view(ended, shown, language))
            return
        found = statement_of(store, site_number(names, site or ""), slots)
        if pdf:
            write_pdf(html_of(found, shown, language, _roots(store, slots)), pdf, language)
        if as_json:
            print_json({**found.to_json(names["en"]), "roots": _roots(store, slots)})
        elif comma:
            print(as_csv(found, shown, language), end="")
        elif pdf:
            print(pdf)
        else:
            screen.console().print(screen.statement_view(found, shown, language))
            settled = set(slots) & set(store.slots())
            say_what_may_vanish(sorted(settled - store.final_slots(slots)))


def proof(
    site: SiteName,
    when: When,
    folder: Annotated[Path, typer.Option(help="Where the files are written.")] = Path(),
    store_path: StorePath = DEFAULT_STORE,
) -> None:
    """Write a public proof file for each origin of what a site used in a slot, day or month."""
    with store_at(store_path) as (store, names):
        chain_id, origin = _deployment_of(store)
        number, span = site_number(names, site), slots_named(when)
        rows = statement_of(store, number, span).rows
        for entry in rows:
            place = [one for one in rows if one.slot == entry.slot].index(entry)
            certificate = certificate_of(store, chain_id, origin, entry.row)
            path = folder / f"proof-{names['en'][number]}-{entry.slot}-{place}.json"
            write_json(path, certificate.to_json(names["en"]))
            print(f"{path}: {kwh(entry.row.energy):.3f} kWh")


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
) -> None:
    """Follow a half hour's energy back to roofs and meters, or forward to where it was used."""
    with store_at(store_path) as (store, names):
        number, span = site_number(names, site), slots_named(slot)
        if len(span) > 1 and (first or last is not None):
            raise SettingError(f"--from and --to must go with one half hour, got {len(span)}")
        market = None
        if rpc or network:
            market = MarketContract(chain_at(rpc, network), _market_of(store))
        tracer = Tracer(store, names["en" if as_json else language], market)
        followed = list(span) if len(span) == 1 else _of_span(store, number, span, forward)
        ways = [
            tracer.forward(number, one) if forward else tracer.back(number, one, first, last)
            for one in followed
        ]
        if as_json:
            print_json(ways[0].to_json() if len(span) == 1 else [way.to_json() for way in ways])
            return
        for way in ways:
            screen.console().print(drawn(way, language))
        say_what_may_vanish(sorted(set(followed) - store.final_slots(span)))


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


def _slots(store: Store, slot: str | None, day: str | None, month: str | None) -> range:
    if sum(one is not None for one in (slot, day, month)) > 1:
        raise SettingError("at most one of --slot, --day and --month must be given")
    if slot is not None:
        return span_of(slot)
    if month is None:
        return slots_of(stored_day(store, day))
    return month_named(month)


def _roots(store: Store, slots: range) -> dict[str, str]:
    """Return the root of each day that holds final slots, or why there is none yet."""
    roots = {}
    for number in range(day_number(day_of(slots[0])), day_number(day_of(slots[-1])) + 1):
        day = date_of(number)
        try:
            roots[day.isoformat()] = "0x" + day_tree(store, day).root.hex()
        except SettingError as error:
            if len(slots) <= len(slots_of(day)):
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

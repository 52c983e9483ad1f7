"""`yui slots`, `orders`, `trades`, `readings`, `balance` and `invoice`: what a store holds.

Filters by site, slot, day, month and side; tables, `--json` or `--csv` with the same columns.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from chain import overview
from chain.store import Store
from energy.errors import SettingError
from energy.records import Side
from energy.registry import NETWORK, UTILITY
from energy.units import day_of, slots_of
from orchestrator.dates import day_named, month_named, slot_named
from orchestrator.names import Names, SiteNames, site_number
from orchestrator.options import (
    DEFAULT_STORE,
    Csv,
    InLanguage,
    Json,
    StorePath,
    say_what_may_vanish,
    store_at,
)
from orchestrator.records.listing import Listing
from orchestrator.statements.statement import statement_of
from orchestrator.when import WHEN, Row, when
from orchestrator.words import Language

Slot = Annotated[str | None, typer.Option(help="One half hour, as '2019-06-04 10:00-10:30'.")]
Day = Annotated[
    str | None, typer.Option(help="A day, as 2019-06-04 or 令和元年6月4日; the store's newest.")
]
Month = Annotated[str | None, typer.Option(help="A month, as 2019-06 or 2019年6月.")]
Site = Annotated[str | None, typer.Option(help="Only those of a site, by name or number.")]
SideName = Annotated[str | None, typer.Option(help="Only bids, or only asks: bid or ask.")]

SLOT_COLUMNS = (
    *WHEN,
    *("stage", "orders", "trades", "price_milliyen_per_kwh", "traded_wh", "delivered_wh"),
    *("pooled_wh", "missing_readings"),
)
ORDER_COLUMNS = (
    *WHEN,
    *("site", "side", "energy_wh", "price_milliyen_per_kwh", "sequence", "fresh"),
)
TRADE_COLUMNS = (
    *WHEN,
    *("seller", "buyer", "energy_wh", "delivered_wh", "price_milliyen_per_kwh", "final"),
)
READING_COLUMNS = (
    *WHEN,
    *("site", "imported_wh", "exported_wh", "generated_wh", "charged_wh", "discharged_wh"),
    *("stored_wh", "consumption_wh", "quality", "revision"),
)
BALANCE_COLUMNS = ("account", "owed_microyen")
INVOICE_COLUMNS = ("site", "component", "amount_microyen")


def mount(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (slots, orders, trades, readings, balance, invoice):
        app.command()(command)


def span_asked(store: Store, slot: str | None, day: str | None, month: str | None) -> range:
    """Return the slots that the filters ask for: those of the newest day if none is given.

    Raises:
        SettingError: if more than one is given, or one is nonsense.
    """
    if sum(one is not None for one in (slot, day, month)) > 1:
        raise SettingError("at most one of --slot, --day and --month must be given")
    if slot is not None:
        number = slot_named(slot)
        return range(number, number + 1)
    if month is not None:
        return month_named(month)
    if day is not None:
        return slots_of(day_named(day))
    return slots_of(newest_day(store))


def newest_day(store: Store) -> date:
    """Return the day that a demo was of, or else that of the newest settled slot."""
    played = store.setting("day")
    if played:
        return day_named(played)
    last = store.last_settled()
    if last is None:
        raise SettingError("a store must hold a settled slot (or name --day), got none")
    return day_of(last)


def slots(
    site: Annotated[
        str | None,
        typer.Option(help="Only what is a site's own of each, by its name or number."),
    ] = None,
    slot: Slot = None,
    day: Day = None,
    month: Month = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List slots: how far each is, its price, what was traded and delivered."""
    with store_at(store_path) as (store, names):
        span = span_asked(store, slot, day, month)
        rows = [slot_row(line) for line in lines_of(store, _number(names, site), span)]
    Listing(SLOT_COLUMNS, rows).show(as_json, as_csv, language)


def lines_of(store: Store, site: int | None, span: range) -> list[overview.SlotLine]:
    """Return some slots in brief: all that is in them, or a site's own."""
    if site is None:
        return overview.slot_lines(store, span)
    return overview.slot_lines_of(store, site, span)


def slot_row(line: overview.SlotLine) -> Row:
    """Return a slot's columns."""
    return {
        **when(line.slot),
        "stage": line.stage,
        "orders": line.orders,
        "trades": line.trades,
        "price_milliyen_per_kwh": line.price,
        "traded_wh": line.traded,
        "delivered_wh": line.delivered,
        "pooled_wh": line.pooled,
        "missing_readings": line.missing,
    }


def orders(
    site: Site = None,
    slot: Slot = None,
    day: Day = None,
    month: Month = None,
    side: SideName = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List the orders that the contract accepted, by slot and arrival."""
    if side not in (None, "bid", "ask"):
        raise SettingError(f"--side must be bid or ask, got {side!r}")
    with store_at(store_path) as (store, names):
        called = shown_names(names, language, as_json or as_csv)
        found = store.orders(span_asked(store, slot, day, month), _number(names, site))
        rows = [
            {
                **when(order.slot),
                "site": called[order.site],
                "side": order.side.name.lower(),
                "energy_wh": order.energy,
                "price_milliyen_per_kwh": order.price,
                "sequence": order.sequence,
                "fresh": order.fresh,
            }
            for order in found
            if side is None or order.side == (Side.BID if side == "bid" else Side.ASK)
        ]
    Listing(ORDER_COLUMNS, rows).show(as_json, as_csv, language)


def trades(
    site: Site = None,
    slot: Slot = None,
    day: Day = None,
    month: Month = None,
    side: Annotated[
        str | None, typer.Option(help="With --site: only what it bought, or sold: bid or ask.")
    ] = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List trades, and what was delivered of each."""
    if side not in (None, "bid", "ask") or (side and site is None):
        raise SettingError(f"--side must be bid or ask, and go with --site, got {side!r}")
    with store_at(store_path) as (store, names):
        called = shown_names(names, language, as_json or as_csv)
        span, number = span_asked(store, slot, day, month), _number(names, site)
        prices, final = store.prices(span), store.final_slots(span)
        rows = [
            {
                **when(trade.slot),
                "seller": called[trade.seller],
                "buyer": called[trade.buyer],
                "energy_wh": trade.energy,
                "delivered_wh": delivered,
                "price_milliyen_per_kwh": prices[trade.slot],
                "final": trade.slot in final,
            }
            for trade, delivered in store.trades(span, number)
            if side is None or number == (trade.buyer if side == "bid" else trade.seller)
        ]
    Listing(TRADE_COLUMNS, rows).show(as_json, as_csv, language)
    if not as_json and not as_csv:
        say_what_may_vanish([row["slot"] for row in rows if not row["final"]], language)


def readings(
    site: Site = None,
    slot: Slot = None,
    day: Day = None,
    month: Month = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List what sites' meters told, corrections included."""
    with store_at(store_path) as (store, names):
        called = shown_names(names, language, as_json or as_csv)
        found = store.readings(span_asked(store, slot, day, month), _number(names, site))
        rows = [
            {
                **when(one.slot),
                "site": called[one.site],
                "imported_wh": one.imported,
                "exported_wh": one.exported,
                "generated_wh": one.generated,
                "charged_wh": one.charged,
                "discharged_wh": one.discharged,
                "stored_wh": one.stored,
                "consumption_wh": one.consumption,
                "quality": (one.quality.name or "MEASURED").lower(),
                "revision": one.revision,
            }
            for one in found
        ]
    Listing(READING_COLUMNS, rows).show(as_json, as_csv, language)


def balance(
    site: Site = None,
    slot: Slot = None,
    day: Day = None,
    month: Month = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Say what each account is owed (below zero: owes) for some slots; all of them sum to zero."""
    with store_at(store_path) as (store, names):
        number = _number(names, site)
        owed: dict[int, int] = {}
        for _, account, microyen in store.entries(span_asked(store, slot, day, month), number):
            owed[account] = owed.get(account, 0) + microyen
        offices = shown_names(names, language, as_json or as_csv)
        others = {UTILITY: "utility", NETWORK: "network"}
        rows = [
            {"account": others.get(account) or offices[account], "owed_microyen": owed[account]}
            for account in sorted(owed)
        ]
    Listing(BALANCE_COLUMNS, rows).show(as_json, as_csv, language)


def invoice(
    site: Annotated[str, typer.Option(help="The site, by name or number.")],
    slot: Slot = None,
    day: Day = None,
    month: Month = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Say what a site pays for some slots, by component (below zero: it receives)."""
    with store_at(store_path) as (store, names):
        number = site_number(names, site)
        costs = statement_of(store, number, span_asked(store, slot, day, month)).costs
        components = {
            "bought in trades": costs.bought,
            "sold in trades": costs.sold,
            "network fee": costs.fees,
            "utility and pool": costs.rest,
            "corrections": costs.corrections,
            "total": costs.total,
        }
        name = shown_names(names, language, as_json or as_csv)[number]
        rows = [
            {"site": name, "component": component, "amount_microyen": amount}
            for component, amount in components.items()
        ]
    Listing(INVOICE_COLUMNS, rows).show(as_json, as_csv, language)


def shown_names(names: Names, language: Language, as_data: bool) -> SiteNames:
    """Return the sites' names as they are shown; data has the English ones in any language."""
    if as_data or language is Language.ENGLISH:
        return names["en"]
    return names[language].shortened()


def _number(names: Names, site: str | None) -> int | None:
    return None if site is None else site_number(names, site)

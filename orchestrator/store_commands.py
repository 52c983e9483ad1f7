"""`yui slots`, `orders`, `readings`, `balance`, `invoice`, `status` and `watch`: what a store says.

Filters by site, slot, day, month and side; tables, `--json` or `--csv` with the same columns.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import date
from typing import Annotated

import typer

from chain import overview
from chain.store import Store
from energy.errors import SettingError
from energy.records import Side
from energy.registry import NETWORK, UTILITY
from energy.units import day_of, half_hour, slots_of
from orchestrator.dates import day_named, moment, month_named, slot_named
from orchestrator.listing import WHEN, Listing, Row, when
from orchestrator.listing_words import in_japanese
from orchestrator.options import (
    DEFAULT_STORE,
    InLanguage,
    Json,
    Names,
    StorePath,
    print_json,
    site_number,
    store_at,
    stored_day,
)
from orchestrator.statement import statement_of
from orchestrator.words import Language, say, short

Csv = Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")]
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
READING_COLUMNS = (
    *WHEN,
    *("site", "imported_wh", "exported_wh", "generated_wh", "charged_wh", "discharged_wh"),
    *("stored_wh", "consumption_wh", "quality", "revision"),
)
BALANCE_COLUMNS = ("account", "owed_microyen")
INVOICE_COLUMNS = ("site", "component", "amount_microyen")


def mount(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (status, slots, orders, readings, balance, invoice, watch):
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
    if store.setting("day"):
        return stored_day(store, None)
    last = store.last_settled()
    if last is None:
        raise SettingError("a store must hold a settled slot (or name --day), got none")
    return day_of(last)


def status(
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Say how far a market is: blocks, slots, sites, and what waits."""
    with store_at(store_path) as (store, _):
        last, settled, traced = store.last_block(), store.last_settled(), store.last_traced()
        told: Row = {
            "market": store.setting("market"),
            "origin": store.setting("origin"),
            "newest_block": last[0] if last else None,
            "newest_block_time": store.block_time(last[0]) if last else None,
            "final_block": store.final_block(),
            "sites": len(store.sites_at(settled)) if settled is not None else 0,
            "settled_slots": len(store.slots()),
            "newest_settled": _told(settled),
            "newest_traced": _told(traced),
        }
        open_slots = [
            line.slot
            for line in overview.slot_lines(store, range((traced or 0) + 1, 2**32))
            if line.stage in ("open", "cleared")
        ]
        told["slots_with_open_books"] = len(open_slots)
    if as_json:
        print_json(told)
        return
    rows = [{"what": what, "value": value} for what, value in told.items()]
    for row in rows:
        if row["what"] == "newest_block_time" and row["value"] is not None:
            row["value"] = moment(row["value"])
    Listing(("what", "value"), rows).show(False, False, language)


def _told(slot: int | None) -> str | None:
    return None if slot is None else f"{day_of(slot)} {half_hour(slot)}"


def slots(
    slot: Slot = None,
    day: Day = None,
    month: Month = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List slots: how far each is, its price, what was traded and delivered."""
    with store_at(store_path) as (store, _):
        span = span_asked(store, slot, day, month)
        rows = [_slot_row(line) for line in overview.slot_lines(store, span)]
    Listing(SLOT_COLUMNS, rows).show(as_json, as_csv, language)


def _slot_row(line: overview.SlotLine) -> Row:
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
                "site": called.get(order.site, str(order.site)),
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
                "site": called.get(one.site, str(one.site)),
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
        called = {**offices, UTILITY: "utility", NETWORK: "network"}
        rows = [
            {"account": called.get(account, str(account)), "owed_microyen": owed[account]}
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
        called = shown_names(names, language, as_json or as_csv)
        name = called.get(number, str(number))
        rows = [
            {"site": name, "component": component, "amount_microyen": amount}
            for component, amount in components.items()
        ]
    Listing(INVOICE_COLUMNS, rows).show(as_json, as_csv, language)


def watch(
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    seconds: Annotated[float, typer.Option(help="How often to look.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Show the newest day and end.")] = False,
) -> None:
    """Tell of slots as they come to be open, cleared, settled and final, until interrupted."""
    if seconds <= 0:
        raise SettingError(f"--seconds must be above 0, got {seconds:g}")
    told: dict[int, str] = {}
    while True:
        with store_at(store_path) as (store, _):
            begin = store.last_traced() or store.first_slot() or 0
            lines = overview.slot_lines(store, range(max(begin - 48, 0), 2**32))
        for line in _news(lines, told):
            print(_news_line(line, language), flush=True)
        if once:
            return
        time.sleep(seconds)


def _news_line(line: overview.SlotLine, language: Language) -> str:
    return say(
        language,
        "watch_line",
        when=f"{day_of(line.slot)} {half_hour(line.slot)}",
        stage=line.stage if language is Language.ENGLISH else in_japanese(line.stage),
        orders=line.orders,
        trades=line.trades,
        kwh=f"{line.traded / 1000:.3f}",
        price="-" if line.price is None else f"{line.price / 1000:.3f}",
    )


def _news(lines: Iterable[overview.SlotLine], told: dict[int, str]) -> Iterable[overview.SlotLine]:
    for line in lines:
        if told.get(line.slot) != line.stage:
            told[line.slot] = line.stage
            yield line


def shown_names(names: Names, language: Language, as_data: bool) -> dict[int, str]:
    """Return the sites' names as they are shown; data has the English ones in any language."""
    if as_data or language is Language.ENGLISH:
        return names["en"]
    return {site: short(name) for site, name in names[language].items()}


def _number(names: Names, site: str | None) -> int | None:
    return None if site is None else site_number(names, site)

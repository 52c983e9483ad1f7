"""`yui status` and `watch`: how far a market is, and how it goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Annotated

import typer

from chain import overview
from energy.errors import SettingError
from energy.units import SLOT_LIMIT, day_of, half_hour
from orchestrator.dates import moment
from orchestrator.names import site_number
from orchestrator.options import (
    DEFAULT_STORE,
    Csv,
    InLanguage,
    Json,
    StorePath,
    print_json,
    store_at,
)
from orchestrator.records.commands import lines_of, slot_row
from orchestrator.records.listing import Listing
from orchestrator.records.words import in_japanese
from orchestrator.when import Row
from orchestrator.words import Language, say

STATUS_COLUMNS = (
    *("market", "origin", "newest_block", "newest_block_time", "final_block", "sites"),
    *("settled_slots", "newest_settled", "newest_traced", "slots_with_open_books"),
)


def mount(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (status, watch):
        app.command()(command)


def status(
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Csv = False,
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
            for line in overview.slot_lines(store, range((traced or 0) + 1, SLOT_LIMIT))
            if line.stage in ("open", "cleared")
        ]
        told["slots_with_open_books"] = len(open_slots)
    if as_json and not as_csv:
        print_json(told)
        return
    if as_csv:
        Listing(STATUS_COLUMNS, [told]).show(as_json, as_csv)
        return
    if told["newest_block_time"] is not None:
        told["newest_block_time"] = moment(told["newest_block_time"])
    rows: list[Row] = [
        {"what": what if language is Language.JAPANESE else what.replace("_", " "), "value": value}
        for what, value in told.items()
    ]
    Listing(("what", "value"), rows).show(False, False, language)


def _told(slot: int | None) -> str | None:
    return None if slot is None else f"{day_of(slot)} {half_hour(slot)}"


def watch(
    site: Annotated[
        str | None, typer.Option(help="Only what is a site's own of each, by its name or number.")
    ] = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    seconds: Annotated[float, typer.Option(help="How often to look.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Show the newest day and end.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line, as `yui slots --json`.")
    ] = False,
) -> None:
    """Tell of slots as they come to be open, cleared, settled and final, until interrupted."""
    if seconds <= 0:
        raise SettingError(f"--seconds must be above 0, got {seconds:g}")
    told: dict[int, str] = {}
    while True:
        with store_at(store_path) as (store, names):
            number = None if site is None else site_number(names, site)
            begin = store.last_traced() or store.first_slot() or 0
            lines = lines_of(store, number, range(max(begin - 48, 0), SLOT_LIMIT))
        for line in _news(lines, told):
            print(json.dumps(slot_row(line)) if as_json else _news_line(line, language), flush=True)
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

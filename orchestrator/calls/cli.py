"""`yui calls`: balancing calls, sent to the control room and asked about.

These read the room's stores, also while no room runs; `orchestrator.calls.room` asks the one that
runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from energy.errors import SettingError
from orchestrator import screen
from orchestrator.calls import room as calls_room
from orchestrator.calls.room import DEFAULT_FOLDER, Name
from orchestrator.calls.view import (
    MINUTE_COLUMNS,
    SITE_COLUMNS,
    SITE_MINUTE_COLUMNS,
    SLOT_COLUMNS,
    at,
    minute_rows,
    name_of,
    page_of,
    report_json,
    report_view,
    site_minute_rows,
    site_rows,
    slot_rows,
    table_view,
)
from orchestrator.calls.words import say
from orchestrator.options import (
    DEFAULT_STORE,
    Csv,
    InLanguage,
    Json,
    StorePath,
    print_json,
    store_at,
)
from orchestrator.records.listing import Listing
from orchestrator.words import Language
from vpp.calls.baseline import ReverseFlow
from vpp.calls.call import LOWEST_PRIORITY
from vpp.calls.document import to_json
from vpp.calls.evidence import fulfilled
from vpp.calls.store import CallStore

DEFAULT_CALLS = str(DEFAULT_FOLDER / "calls.sqlite")
CALL_COLUMNS = ("call", "state", "direction", "from", "to", "most_w", "priority", "source")

app = typer.Typer(no_args_is_help=True, help="Balancing calls: sent, watched, proven.")

CallsPath = Annotated[
    str, typer.Option("--calls", help="The store of calls: a path, or a postgresql:// URL.")
]


@app.callback()
def calls() -> None:
    """Balancing calls: sent, watched, proven."""


@app.command("list")
def listed(
    calls_path: CallsPath = DEFAULT_CALLS,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List the calls that were received, in the order in which they begin."""
    kept = calls_at(calls_path).calls()
    if not as_json and not as_csv and not kept:
        print(say(language, "none"))
        return
    rows: list[dict[str, Any]] = [
        {
            "call": each.call.name,
            "state": each.state.value,
            "direction": each.call.direction.value,
            "from": at(each.call.starts_at),
            "to": at(each.call.ends_at),
            "most_w": max(step.power_w for step in each.call.steps),
            "priority": None if each.call.priority == LOWEST_PRIORITY else each.call.priority,
            "source": each.call.source.value,
        }
        for each in kept
    ]
    if not as_json and not as_csv:
        rows = [row | {"state": say(language, row["state"])} for row in rows]
    Listing(CALL_COLUMNS, rows).show(as_json, as_csv)


@app.command()
def show(
    name: Name,
    calls_path: CallsPath = DEFAULT_CALLS,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Show a call: who serves it, who was told, what happened."""
    store = calls_at(calls_path)
    kept = store.call(name)
    names = _names(store_path, language)
    shares, journal = store.shares(name), store.journal(name)
    if as_json:
        print_json(
            to_json(kept.call)
            | {
                "state": kept.state.value,
                "shares": [
                    {"site": s.site, "from": s.starts_at, "to": s.ends_at, "power_w": s.power_w}
                    for s in shares
                ],
                "journal": [
                    {"at": e.at, "event": e.event, "site": e.site, "detail": e.detail}
                    for e in journal
                ],
            }
        )
        return
    console = screen.console()
    state = say(language, kept.state.value)
    title = say(language, "title", name=name, state=state)
    rows = [
        [name_of(names, s.site), at(s.starts_at), at(s.ends_at), f"{s.power_w / 1000:+,.1f}"]
        for s in shares
        if s.ends_at > s.starts_at
    ]
    columns = [*(say(language, word) for word in ("site", "from", "to")), "kW"]
    console.print(title, style="bold")
    console.print(table_view(say(language, "shares"), columns, rows, texts=3))
    lines = [
        [
            at(entry.at),
            say(language, entry.event),
            "" if entry.site is None else name_of(names, entry.site),
            entry.detail,
        ]
        for entry in journal
    ]
    columns = [say(language, word) for word in ("at", "event", "site", "detail")]
    console.print(table_view(say(language, "journal"), columns, lines, texts=4))


@app.command()
def report(
    name: Name,
    by: Annotated[
        str, typer.Option(help="With --csv: half-hour, site, minute or site-minute.")
    ] = "half-hour",
    calls_path: CallsPath = DEFAULT_CALLS,
    store_path: StorePath = DEFAULT_STORE,
    reverse: Annotated[
        ReverseFlow, typer.Option(help="Whether exports count below zero, or as no demand.")
    ] = ReverseFlow.COUNTED,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Csv = False,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the report as a Markdown page to a file.")
    ] = None,
) -> None:
    """Report what a call came to: asked, delivered, paid, by half hour, site and minute."""
    if by not in ("half-hour", "site", "minute", "site-minute"):
        raise SettingError(f"--by must be half-hour, site, minute or site-minute, got {by!r}")
    calls_store = calls_at(calls_path)
    with store_at(store_path) as (store, both):
        found = fulfilled(calls_store, store, name, reverse)
        names = both[language]
    if markdown is not None:
        markdown.write_text(page_of(found, names, language), encoding="utf-8")
    if as_json:
        print_json(report_json(found, names))
    elif as_csv:
        columns, rows = {
            "half-hour": (SLOT_COLUMNS, slot_rows(found)),
            "site": (SITE_COLUMNS, site_rows(found, names)),
            "minute": (MINUTE_COLUMNS, minute_rows(found)),
            "site-minute": (SITE_MINUTE_COLUMNS, site_minute_rows(found, names)),
        }[by]
        Listing(columns, rows).show(as_json=False, as_csv=True)
    else:
        screen.console().print(report_view(found, names, language))


def calls_at(path: str) -> CallStore:
    """Open a store of calls that is there.

    Raises:
        SettingError: if there is none.
    """
    if "://" not in path and not Path(path).exists():
        raise SettingError(f"--calls must be a store of calls, got {path}: no such file")
    return CallStore.at(path)


def _names(store_path: str, language: Language) -> dict[int, str]:
    """Return the sites' names where the chain's store is at hand."""
    if "://" not in store_path and not Path(store_path).exists():
        return {}
    with store_at(store_path) as (_, names):
        return names[language]


calls_room.mount(app)

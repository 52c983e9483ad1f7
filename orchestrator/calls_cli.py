"""`yui calls`: balancing calls, sent to the control room and asked about.

`list`, `show` and `report` read the room's stores, also while no room runs. `send`, `cancel` and
`offer` ask the room that runs.
"""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from energy.errors import SettingError
from energy.units import JST
from oracle.keys import write_secret
from orchestrator import screen
from orchestrator.call_view import (
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
from orchestrator.call_words import say
from orchestrator.listing import Listing
from orchestrator.options import DEFAULT_STORE, InLanguage, Json, StorePath, print_json, store_at
from orchestrator.store_commands import Csv
from orchestrator.words import Language
from vpp.calls.baseline import ReverseFlow
from vpp.calls.call import LOWEST_PRIORITY
from vpp.calls.document import to_json
from vpp.calls.evidence import fulfilled
from vpp.calls.settings import PORT, SETTINGS_FILE, secret_in
from vpp.calls.store import CallStore

DEFAULT_FOLDER = Path(".yui/fleet/room")
DEFAULT_CALLS = str(DEFAULT_FOLDER / "calls.sqlite")
CALL_COLUMNS = ("call", "state", "direction", "from", "to", "most_w", "priority", "source")
TIMEOUT_SECONDS = 40.0

app = typer.Typer(no_args_is_help=True, help="Balancing calls: sent, watched, proven.")

CallsPath = Annotated[
    str, typer.Option("--calls", help="The store of calls: a path, or a postgresql:// URL.")
]
Name = Annotated[str, typer.Argument(help="The call's name.")]
RoomUrl = Annotated[str, typer.Option("--room", help="Where the control room takes calls.")]
TokenFile = Annotated[
    Path, typer.Option("--token", help="The file with the token of who posts calls.")
]
DEFAULT_ROOM = f"http://127.0.0.1:{PORT}"
DEFAULT_TOKEN = DEFAULT_FOLDER / "calls.token"


@app.callback()
def calls() -> None:
    """Balancing calls: sent, watched, proven."""


_TEXT = """\
# How the control room takes calls; docs/calls.md and vpp/calls/settings.py say what each means.

store = "calls.sqlite"
# chain = "store.sqlite"            # the store of the chain's events, for reports to a VTN
host = "127.0.0.1"
port = {port}
token = "calls.token"

# [products.tertiary-2]
# price_kwh = 30.0                  # JPY per kWh delivered
# price_kw = 2.0                    # JPY per kW and half hour

# [openadr]
# vtn = "https://vtn.example.org/openadr3/3.1.0"
# client_id = "yui"
# client_secret = "vtn.secret"      # a file
# ven = "miyagi"
"""


@app.command()
def init(
    folder: Annotated[Path, typer.Option(help="The control room's folder.")] = DEFAULT_FOLDER,
    port: Annotated[int, typer.Option(help="Where it takes calls, on this machine.")] = PORT,
) -> None:
    """Make settings by which the control room takes calls, and a token for who posts them."""
    settings, token = folder / SETTINGS_FILE, folder / "calls.token"
    for path in (settings, token):
        if path.exists():
            raise SettingError(f"{path} must not be there yet: nothing is overwritten")
    folder.mkdir(parents=True, exist_ok=True)
    write_secret(token, secrets.token_urlsafe(32) + "\n")
    settings.write_text(_TEXT.format(port=port), encoding="utf-8")
    print(f"{settings}: calls are taken at http://127.0.0.1:{port}, from who has {token}")


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


@app.command()
def send(
    name: Annotated[
        str | None, typer.Argument(help="A name for the call; not with --file.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="When it begins, as '2026-11-25 17:00' in Japan time.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="When it ends.")] = None,
    kw: Annotated[
        list[float] | None,
        typer.Option(help="The power, kW; once, or once for each half hour."),
    ] = None,
    direction: Annotated[
        str, typer.Option(help="up: more from the fleet; down: less from it.")
    ] = "up",
    product: Annotated[
        str | None, typer.Option(help="Its terms, by a name that the room's settings have.")
    ] = None,
    priority: Annotated[int | None, typer.Option(help="The lowest goes first.")] = None,
    file: Annotated[Path | None, typer.Option(help="The call as JSON instead.")] = None,
    room: RoomUrl = DEFAULT_ROOM,
    token: TokenFile = DEFAULT_TOKEN,
    as_json: Json = False,
) -> None:
    """Send a call to the control room; it is split and told at once."""
    if file is not None:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingError(f"{file} must be a call as JSON, got: {error}") from error
    else:
        if name is None or start is None or end is None or not kw:
            raise SettingError("NAME, --start, --end and --kw must be given, or --file")
        content = {
            "name": name,
            "direction": direction,
            "start": moment(start).isoformat(),
            "end": moment(end).isoformat(),
            "kw": kw if len(kw) > 1 else kw[0],
        }
        content |= {} if product is None else {"product": product}
        content |= {} if priority is None else {"priority": priority}
    answer = asked(room, token, "POST", "/calls", content)
    if as_json:
        print_json(answer)
    else:
        print(f"{answer['name']}: {answer['state']}, {answer['start']} - {answer['end']}")


@app.command()
def cancel(
    name: Name,
    room: RoomUrl = DEFAULT_ROOM,
    token: TokenFile = DEFAULT_TOKEN,
    as_json: Json = False,
) -> None:
    """Cancel a call; the sites that serve it are told at once."""
    answer = asked(room, token, "DELETE", f"/calls/{name}")
    if as_json:
        print_json(answer)
    else:
        print(f"{answer['name']}: {answer['state']}")


@app.command()
def offer(
    minutes: Annotated[int, typer.Option(help="For how long.")] = 30,
    direction: Annotated[
        str, typer.Option(help="up: more from the fleet; down: less from it.")
    ] = "up",
    start: Annotated[str | None, typer.Option(help="From when on; now if not given.")] = None,
    room: RoomUrl = DEFAULT_ROOM,
    token: TokenFile = DEFAULT_TOKEN,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Say what the fleet can offer for a time: by power, stored energy, plans and live calls."""
    query = {"minutes": str(minutes), "direction": direction}
    if start is not None:
        query["start"] = moment(start).isoformat()
    answer = asked(room, token, "GET", "/offer", query=query)
    if as_json:
        print_json(answer)
        return
    rows = [
        [each["name"], each["municipality"], f"{each['power_w'] / 1000:,.1f}"]
        for each in answer["sites"]
    ]
    rows.append([say(language, "together"), "", f"{answer['power_w'] / 1000:,.1f}"])
    columns = [say(language, "site"), say(language, "municipality"), "kW"]
    title = say(language, "offer", minutes=minutes)
    screen.console().print(table_view(title, columns, rows, texts=2))


def calls_at(path: str) -> CallStore:
    """Open a store of calls that is there.

    Raises:
        SettingError: if there is none.
    """
    if "://" not in path and not Path(path).exists():
        raise SettingError(f"--calls must be a store of calls, got {path}: no such file")
    return CallStore.at(path)


def moment(text: str) -> datetime:
    """Return the time that a person names, in Japan if nothing else is said.

    Raises:
        SettingError: if it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingError(f"a time must be as '2026-11-25 17:00', got {text!r}") from error
    return found if found.tzinfo else found.replace(tzinfo=JST)


def asked(
    room: str,
    token: Path,
    method: str,
    path: str,
    content: object = None,
    query: dict[str, str] | None = None,
) -> Any:
    """Return what the control room answers.

    Raises:
        SettingError: if it does not, or refuses; says why.
    """
    secret = secret_in(token, "the token of who posts calls")
    try:
        answer = httpx.request(
            method,
            room.rstrip("/") + path,
            json=content,
            params=query,
            headers={"Authorization": f"Bearer {secret}"},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise SettingError(
            f"--room must be a control room that answers, got {room}: {error}"
        ) from error
    try:
        found = answer.json()
    except ValueError:
        found = {"error": answer.text[:200]}
    if not answer.is_success:
        raise SettingError(str(found.get("error") if isinstance(found, dict) else found))
    return found


def _names(store_path: str, language: Language) -> dict[int, str]:
    """Return the sites' names where the chain's store is at hand."""
    if "://" not in store_path and not Path(store_path).exists():
        return {}
    with store_at(store_path) as (_, names):
        return names[language]

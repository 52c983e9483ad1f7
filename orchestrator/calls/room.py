"""`yui calls init`, `send`, `cancel` and `offer`: what is set up for, and asked of, a room."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from chain.files import write_secret, write_whole
from energy.errors import SettingError
from orchestrator import screen
from orchestrator.calls.view import table_view
from orchestrator.calls.words import say
from orchestrator.dates import time_named
from orchestrator.options import InLanguage, Json, print_json
from orchestrator.words import Language
from vpp.calls.settings import PORT, SETTINGS_FILE, secret_in

TIMEOUT_SECONDS = 40.0
DEFAULT_FOLDER = Path(".yui/fleet/room")
Name = Annotated[str, typer.Argument(help="The call's name.")]
RoomUrl = Annotated[str, typer.Option("--room", help="Where the control room takes calls.")]
TokenFile = Annotated[
    Path, typer.Option("--token", help="The file with the token of who posts calls.")
]
DEFAULT_ROOM = f"http://127.0.0.1:{PORT}"
DEFAULT_TOKEN = DEFAULT_FOLDER / "calls.token"
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


def mount(app: typer.Typer) -> None:
    """Add the commands to `yui calls`."""
    for command in (init, send, cancel, offer):
        app.command()(command)


def init(
    folder: Annotated[Path, typer.Option(help="The control room's folder.")] = DEFAULT_FOLDER,
    port: Annotated[int, typer.Option(help="Where it takes calls, on this machine.")] = PORT,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Make settings by which the control room takes calls, and a token for who posts them."""
    settings, token = folder / SETTINGS_FILE, folder / "calls.token"
    for path in (settings, token):
        if path.exists():
            raise SettingError(f"{path} must not be there yet: nothing is overwritten")
    folder.mkdir(parents=True, exist_ok=True)
    write_secret(token, secrets.token_urlsafe(32) + "\n")
    write_whole(settings, _TEXT.format(port=port))
    print(say(language, "taken_at", settings=settings, port=port, token=token))


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
    language: InLanguage = Language.ENGLISH,
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
            "start": time_named(start).isoformat(),
            "end": time_named(end).isoformat(),
            "kw": kw if len(kw) > 1 else kw[0],
        }
        content |= {} if product is None else {"product": product}
        content |= {} if priority is None else {"priority": priority}
    answer = asked(room, token, "POST", "/calls", content)
    if as_json:
        print_json(answer)
    else:
        state = say(language, answer["state"])
        print(say(language, "sent", **answer | {"state": state}))


def cancel(
    name: Name,
    room: RoomUrl = DEFAULT_ROOM,
    token: TokenFile = DEFAULT_TOKEN,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Cancel a call; the sites that serve it are told at once."""
    answer = asked(room, token, "DELETE", f"/calls/{name}")
    if as_json:
        print_json(answer)
    else:
        state = say(language, answer["state"])
        print(f"{answer['name']}: {state}")


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
        query["start"] = time_named(start).isoformat()
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

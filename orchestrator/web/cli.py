"""`yui web`: the pages, on this machine."""

from __future__ import annotations

import shlex
import webbrowser
from ipaddress import ip_address
from pathlib import Path
from threading import Timer
from typing import Annotated

import typer
import uvicorn

from energy.errors import SettingError
from orchestrator.options import DEFAULT_STORE, StorePath, reader_at
from orchestrator.setting.sites import load_setting
from orchestrator.web.app import application
from orchestrator.web.desk import Desk

HOST, PORT = "127.0.0.1", 8480
AUDIT = "audit.state"
"""The file beside a store that an audit leaves."""
OPEN_AFTER_SECONDS = 1.0

Open = Annotated[bool, typer.Option("--open", help="Open the pages in this machine's browser.")]


def web(
    store_path: StorePath = str(DEFAULT_STORE),
    host: Annotated[str, typer.Option(help="The address to listen on.")] = HOST,
    port: Annotated[int, typer.Option(help="The port to listen on.")] = PORT,
    to_all: Annotated[
        bool, typer.Option("--to-all", help="Let other machines read, on another host address.")
    ] = False,
    hide_load: Annotated[
        bool, typer.Option("--hide-load", help="Show no office's own meter readings.")
    ] = False,
    audit: Annotated[
        Path | None,
        typer.Option(help="What an audit left (yui audit --state); audit.state beside the store."),
    ] = None,
    sites: Annotated[Path | None, typer.Option(help="A sites file of your own.")] = None,
    open_: Open = False,
) -> None:
    """Show a store as pages: map, half hours, offices, batteries, audit. They change nothing."""
    if not is_loopback(host) and not to_all:
        raise SettingError(
            f"--host must be a loopback address, got {host}: the pages have no log-in; "
            "--to-all lets everyone read who reaches it"
        )
    desk = Desk(
        reader_at(store_path),
        load_setting(sites),
        hides_load=hide_load,
        audit=audit or beside(store_path),
    )
    address = f"http://{host}:{port}/now"
    print(f"{address}  (Ctrl-C ends)", flush=True)
    if open_:
        Timer(OPEN_AFTER_SECONDS, webbrowser.open, [address]).start()
    uvicorn.run(application(desk), host=host, port=port, log_level="warning")


def beside(store: str) -> Path | None:
    """Return where an audit beside a store is kept; None beside one that is no file."""
    return None if "://" in store else Path(store).parent / AUDIT


def command_for(store: Path, sites: Path | None) -> str:
    """Return the command that shows a store.

    >>> command_for(Path(DEFAULT_STORE), None), command_for(Path("a b/store.sqlite"), None)
    ('yui web', "yui web --store 'a b/store.sqlite'")
    """
    words = ["yui", "web"]
    if str(store) != str(DEFAULT_STORE):
        words += ["--store", str(store)]
    if sites:
        words += ["--sites", str(sites)]
    return shlex.join(words)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False

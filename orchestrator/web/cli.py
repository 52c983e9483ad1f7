"""`yui web`: the pages, on this machine."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from chain.database import opened
from energy.errors import SettingError
from orchestrator.options import DEFAULT_STORE, StorePath, store_at
from orchestrator.setting.sites import load_setting
from orchestrator.web.app import application
from orchestrator.web.desk import Desk

PORT = 8480


def web(
    store_path: StorePath = str(DEFAULT_STORE),
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = PORT,
    to_all: Annotated[
        bool, typer.Option("--to-all", help="Let other machines read, on another host address.")
    ] = False,
    hide_load: Annotated[
        bool, typer.Option("--hide-load", help="Show no office's own meter readings.")
    ] = False,
    sites: Annotated[Path | None, typer.Option(help="A sites file of your own.")] = None,
) -> None:
    """Show the pages of a store: the map, half hours, offices. They can be read, no more."""
    if not is_loopback(host) and not to_all:
        raise SettingError(
            f"--host must be a loopback address, got {host}: the pages have no log-in; "
            "--to-all lets everyone read who reaches it"
        )
    with store_at(store_path):
        pass  # it says what is missing
    desk = Desk(opened(str(store_path)), load_setting(sites), hides_load=hide_load)
    print(f"http://{host}:{port}/now  (Ctrl-C ends)", flush=True)
    uvicorn.run(application(desk), host=host, port=port, log_level="warning")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False

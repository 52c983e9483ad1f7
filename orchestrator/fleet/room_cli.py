"""`yui vpp room`: the control room as a service."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from daemon.journal import log_to_stdout
from vpp.room.store import LOST_SECONDS

FLEET_FOLDER = Path(".yui/fleet")
FleetPath = Annotated[
    Path, typer.Option("--fleet", help="The fleet's folder, as `yui fleet init` made it.")
]


def mount(app: typer.Typer) -> None:
    """Add the command to `yui vpp`."""
    app.command()(room)


def room(
    fleet: FleetPath = FLEET_FOLDER,
    store: Annotated[
        str | None,
        typer.Option(
            help="Its store: a path, or a postgresql:// URL; the fleet's room.sqlite if left out."
        ),
    ] = None,
    lost: Annotated[
        float, typer.Option(help="Seconds without a report after which a site is lost.")
    ] = LOST_SECONDS,
) -> None:
    """Keep the control room: hear all sites, send again what is open, say which are lost, and
    take calls if `yui calls init` made settings for it."""
    from vpp.calls.linked import duties_in
    from vpp.room.daemon import keep_room

    log_to_stdout(logging.getLogger("yui"))
    asyncio.run(keep_room(fleet, store, duties_in(fleet / "room"), lost))

"""The control room's commands alone: they load nothing of the planner's, so that a stop does not
wait for it."""

from __future__ import annotations

import typer

from oracle import cli as site_cli
from orchestrator.fleet import commands as fleet_commands
from orchestrator.fleet import room_cli

app = typer.Typer(pretty_exceptions_enable=False)
_fleet = typer.Typer(help="Many sites' batteries together.")
_vpp = typer.Typer(help="The virtual power plant: what runs for days.")
fleet_commands.mount(_fleet)
room_cli.mount(_vpp)
app.add_typer(_fleet, name="fleet")
app.add_typer(_vpp, name="vpp")


@_fleet.callback()
@_vpp.callback()
def group() -> None:
    """Keep a group a group, be it of one command."""


def main() -> None:
    """Run these commands."""
    site_cli.run(app)

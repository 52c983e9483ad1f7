"""The commands that read a store, alone: they load nothing of the planner's or of a chain's, so
that an answer does not wait for it."""

from __future__ import annotations

import typer

from oracle import cli as site_cli
from orchestrator.records import commands as store_commands
from orchestrator.records import standing as standing_commands
from orchestrator.statements import commands as statement_commands

app = typer.Typer(pretty_exceptions_enable=False)
store_commands.mount(app)
standing_commands.mount(app)
statement_commands.mount(app)


def main() -> None:
    """Run these commands."""
    site_cli.run(app)

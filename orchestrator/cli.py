"""The command line: `yui`."""

from __future__ import annotations

from pathlib import Path

import typer

from oracle import cli as site_cli
from orchestrator.calls import cli as calls_cli
from orchestrator.claims import commands as claim_commands
from orchestrator.council import cli as council_cli
from orchestrator.demo.cli import demo
from orchestrator.fleet import cli as fleet_cli
from orchestrator.fleet import room_cli
from orchestrator.network import cli as network_cli
from orchestrator.next_step import what_next
from orchestrator.options import InLanguage
from orchestrator.planning.cli import plan
from orchestrator.records import commands as store_commands
from orchestrator.records import standing as standing_commands
from orchestrator.replay.cli import replay
from orchestrator.replay.scenario_cli import compare
from orchestrator.service import cli as service_cli
from orchestrator.statements import commands as statement_commands
from orchestrator.trading import cli as agents_cli
from orchestrator.verification.commands import report
from orchestrator.web import cli as web_cli
from orchestrator.words import Language
from vpp.dispatch import cli as dispatch_cli

app = typer.Typer(
    invoke_without_command=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Public buildings trade surplus solar electricity, half hour by half hour, and state "
    "for every kWh used where and when it was generated.",
)

room_cli.mount(dispatch_cli.app)

app.add_typer(network_cli.app, name="network")
app.add_typer(council_cli.app, name="council")
app.add_typer(fleet_cli.app, name="fleet")
app.add_typer(calls_cli.app, name="calls")
app.add_typer(service_cli.app, name="orchestrator")
app.add_typer(agents_cli.app, name="agents")
app.add_typer(web_cli.app, name="web")
app.add_typer(site_cli.oracle, name="oracle")
app.add_typer(site_cli.simulate, name="simulate")
app.add_typer(dispatch_cli.app, name="vpp")


def main() -> None:
    """Run the whole command line."""
    site_cli.run(app)


@app.callback()
def next_step(context: typer.Context, language: InLanguage = Language.ENGLISH) -> None:
    """Say what is here and what to do next, when no command is given."""
    if context.invoked_subcommand is None:
        for line in what_next(Path.cwd(), language):
            print(line)


app.command()(demo)
store_commands.mount(app)
standing_commands.mount(app)
statement_commands.mount(app)
claim_commands.mount(app)
app.command()(plan)
app.command()(report)
app.command()(replay)
app.command("scenarios")(compare)


if __name__ == "__main__":
    main()

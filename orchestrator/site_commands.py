"""The command line of a site alone: the terminal's commands, and the battery's.

What it loads, the extra `site` installs.
"""

from __future__ import annotations

from oracle import cli as terminal
from vpp.dispatch import cli as battery

app = terminal.app
app.add_typer(battery.app, name="vpp")


def main() -> None:
    """Run a site's commands."""
    terminal.run(app)

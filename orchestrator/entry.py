"""The program `yui`: which commands there are depends on what is installed.

`pip install yui[site]` gives a site's commands, `yui[operator]` all of them. A site's commands
load nothing of the operator's, so that a terminal starts quickly and stays small.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

SITE_COMMANDS = (
    ("oracle",),
    ("simulate",),
    *(("vpp", name) for name in ("init", "check", "run", "let-go", "status", "override")),
)
DESK_COMMANDS = (
    ("vpp", "room"),
    *(("fleet", name) for name in ("list", "watch", "charge", "discharge", "hold", "limit")),
    *(("fleet", name) for name in ("stop", "resume", "trail")),
)
"""Those that must start quickly."""
OPERATOR_PACKAGES = ("sqlalchemy", "numpy", "scipy")


def main() -> None:
    """Run the command line that is asked for, or the one that is there."""
    import_module(_module(sys.argv[1:])).main()


def _module(arguments: list[str]) -> str:
    if not all(find_spec(package) is not None for package in OPERATOR_PACKAGES):
        return "orchestrator.site_commands"
    if tuple(arguments[:2]) in DESK_COMMANDS:
        return "orchestrator.desk_cli"
    given = tuple(arguments[:2])
    of_site = any(given[: len(words)] == words for words in SITE_COMMANDS)
    return "orchestrator.site_commands" if of_site else "orchestrator.cli"


if __name__ == "__main__":
    main()

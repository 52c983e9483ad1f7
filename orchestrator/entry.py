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
STORE_COMMANDS = (
    *("status", "watch", "slots", "orders", "trades", "readings", "balance", "invoice"),
    *("statement", "proof", "trace"),
)
"""Those that are asked all day."""
SITE = "orchestrator.site_commands"
INTERRUPTED = 130
OPERATOR_PACKAGES = ("sqlalchemy", "numpy", "scipy")


def main() -> None:
    """Run the command line that is asked for, or the one that is there."""
    module = _module(sys.argv[1:])
    try:
        import_module(module).main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:
        print(f"yui: {_missing(error, module)}", file=sys.stderr)
        sys.exit(1)


def _missing(error: ModuleNotFoundError, module: str) -> str:
    extra = "site" if module == SITE else "operator"
    return (
        f"the package {(error.name or str(error)).split('.')[0]} must be installed (run make setup "
        f"in the project's folder, or pip install 'yui[{extra}]'), got none"
    )


def _module(arguments: list[str]) -> str:
    if not all(find_spec(package) is not None for package in OPERATOR_PACKAGES):
        return SITE
    if tuple(arguments[:2]) in DESK_COMMANDS:
        return "orchestrator.desk_cli"
    if arguments and arguments[0] in STORE_COMMANDS:
        return "orchestrator.store_cli"
    given = tuple(arguments[:2])
    of_site = any(given[: len(words)] == words for words in SITE_COMMANDS)
    return SITE if of_site else "orchestrator.cli"


if __name__ == "__main__":
    main()

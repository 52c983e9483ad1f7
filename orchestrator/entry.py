"""The program `yui`: which commands there are depends on what is installed.

`pip install yui[site]` gives a site's commands, `yui[operator]` all of them. A site's commands
load nothing of the operator's, so that a terminal starts quickly and stays small.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

SITE_COMMANDS = ("oracle", "simulate", "vpp")
OPERATOR_PACKAGES = ("sqlalchemy", "numpy", "scipy")


def main() -> None:
    """Run the command line that is asked for, or the one that is there."""
    of_site = sys.argv[1:2] and sys.argv[1] in SITE_COMMANDS
    whole = all(find_spec(package) is not None for package in OPERATOR_PACKAGES)
    of = "orchestrator.site_commands" if of_site or not whole else "orchestrator.cli"
    import_module(of).main()


if __name__ == "__main__":
    main()

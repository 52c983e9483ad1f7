"""Run a bench, print its table and write its figures: `python -m bench NAME --json FILE`.

Without a name: say which there are, and what each measures.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import (
    ageing,
    calls,
    day,
    desk,
    dispatch,
    fleet,
    gas,
    jepx,
    link,
    market,
    network,
    origin,
    plan,
    readers,
    scale,
    site,
    stages,
    steering,
    strategies,
    web,
    year,
)
from bench.figures import Figure
from energy.errors import SettingError

_MODULES = (
    calls,
    fleet,
    gas,
    market,
    day,
    desk,
    readers,
    dispatch,
    network,
    origin,
    site,
    jepx,
    link,
    plan,
    ageing,
    stages,
    steering,
    strategies,
    web,
    year,
    scale,
)
BENCHES = {module.__name__.rpartition(".")[2]: module for module in _MODULES}
"""By name; the first sentence of each says what it measures."""


def main() -> int:
    """Return 0 if every bar holds, else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=BENCHES, help="all are listed without it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures are written")
    options = parser.parse_args()
    if options.name is None:
        Console().print(_listed())
        return 0
    # Asked to end, it ends as by Ctrl-C: what it started is stopped first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = BENCHES[options.name].figures()
    except SettingError as error:
        print(f"bench {options.name} is left out: {error}", file=sys.stderr)
        return 1
    Console().print(_table(options.name, found))
    if options.json:
        rows = [{**asdict(figure), "holds": figure.holds} for figure in found]
        options.json.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    return int(any(figure.holds is False for figure in found))


def measured_by(name: str) -> str:
    """Return what a bench measures: the first sentence of what its module says of itself."""
    return " ".join((BENCHES[name].__doc__ or "").partition("\n\n")[0].split())


def _listed() -> Table:
    table = Table("bench", "what it measures", title="python -m bench NAME", title_justify="left")
    for name in BENCHES:
        table.add_row(name, measured_by(name))
    return table


def _table(name: str, figures: list[Figure]) -> Table:
    table = Table(title=name, title_justify="left")
    table.add_column("what")
    for column in ("value", "bar", "unit", "holds"):
        table.add_column(column, justify="left" if column == "unit" else "right")
    for figure in figures:
        table.add_row(
            figure.name,
            _number(figure.value),
            "" if figure.bar is None else _number(figure.bar),
            figure.unit,
            {True: "yes", False: "NO", None: ""}[figure.holds],
        )
    return table


def _number(value: float) -> str:
    return f"{value:,.6g}" if value < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    sys.exit(main())

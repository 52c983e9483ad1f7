"""Run a bench, print its table and write its figures: `python -m bench NAME --json FILE`."""

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

BENCHES = {
    "calls": calls.figures,
    "fleet": fleet.figures,
    "gas": gas.figures,
    "market": market.figures,
    "day": day.figures,
    "desk": desk.figures,
    "readers": readers.figures,
    "dispatch": dispatch.figures,
    "network": network.figures,
    "origin": origin.figures,
    "site": site.figures,
    "jepx": jepx.figures,
    "link": link.figures,
    "plan": plan.figures,
    "ageing": ageing.figures,
    "stages": stages.figures,
    "steering": steering.figures,
    "strategies": strategies.figures,
    "web": web.figures,
    "year": year.figures,
    "scale": scale.figures,
}


def main() -> int:
    """Return 0 if every bar holds, else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=BENCHES)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures are written")
    options = parser.parse_args()
    # Asked to end, it ends as by Ctrl-C: what it started is stopped first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = BENCHES[options.name]()
    except SettingError as error:
        print(f"bench {options.name} is left out: {error}", file=sys.stderr)
        return 1
    Console().print(_table(options.name, found))
    if options.json:
        rows = [{**asdict(figure), "holds": figure.holds} for figure in found]
        options.json.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    return int(any(figure.holds is False for figure in found))


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

"""Records as tables, JSON or CSV: the columns are named once, and stay."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from energy.errors import SettingError
from energy.units import day_of, half_hour, kwh, yen
from orchestrator import screen
from orchestrator.options import print_json

Row = dict[str, Any]
_ENERGY, _MONEY, _PRICE = "_wh", "_microyen", "_milliyen_per_kwh"


@dataclass(frozen=True)
class Listing:
    """Rows under stable column names; what a column's name ends in says its unit.

    On screen `_wh` is shown in kWh, `_microyen` in JPY and `_milliyen_per_kwh` in JPY/kWh; JSON
    and CSV have the whole numbers.
    """

    columns: Sequence[str]
    rows: Sequence[Row]

    def show(self, as_json: bool, as_csv: bool) -> None:
        """Print the rows.

        Raises:
            SettingError: if both forms are asked for.
        """
        if as_json and as_csv:
            raise SettingError("--json and --csv must not be given together")
        rows = [{column: row[column] for column in self.columns} for row in self.rows]
        if as_json:
            print_json(rows)
        elif as_csv:
            writer = csv.DictWriter(sys.stdout, self.columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        else:
            screen.console().print(self._table())

    def _table(self) -> Table:
        table = Table()
        for column in self.columns:
            title, number = _title(column)
            table.add_column(title, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*(_cell(column, row[column]) for column in self.columns))
        return table


def when(slot: int) -> Row:
    """Return a slot's columns: number, day, half hour."""
    return {"slot": slot, "day": day_of(slot).isoformat(), "half_hour": half_hour(slot)}


WHEN = ("slot", "day", "half_hour")


def _title(column: str) -> tuple[str, bool]:
    for ending, unit in ((_ENERGY, " kWh"), (_MONEY, " JPY"), (_PRICE, " JPY/kWh")):
        if column.endswith(ending):
            return column.removesuffix(ending).replace("_", " ") + unit, True
    return column.replace("_", " "), False


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column.endswith(_ENERGY):
        return f"{kwh(value):,.3f}"
    if column.endswith(_MONEY):
        return f"{yen(value):,.2f}"
    if column.endswith(_PRICE):
        return f"{value / 1000:.3f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)

"""Records as tables, JSON or CSV: the columns are named once, and stay."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from rich.table import Table

from energy.errors import SettingError
from energy.units import kwh, yen
from orchestrator import screen
from orchestrator.options import print_json
from orchestrator.records.words import COLUMNS, UNITS, in_japanese
from orchestrator.when import Row
from orchestrator.words import Language

_ENERGY, _MONEY, _PRICE = "_wh", "_microyen", "_milliyen_per_kwh"


def check_forms(as_json: bool, as_csv: bool) -> None:
    """Demand that at most one form is asked for.

    Raises:
        SettingError: if both are.
    """
    if as_json and as_csv:
        raise SettingError("--json and --csv must not be given together")


@dataclass(frozen=True)
class Listing:
    """Rows under stable column names; what a column's name ends in says its unit.

    On screen `_wh` is shown in kWh, `_microyen` in JPY and `_milliyen_per_kwh` in JPY/kWh, in the
    language that is asked for; JSON and CSV have the whole numbers and English words.
    """

    columns: Sequence[str]
    rows: Sequence[Row]

    def show(self, as_json: bool, as_csv: bool, language: Language = Language.ENGLISH) -> None:
        """Print the rows.

        Raises:
            SettingError: if both forms are asked for.
        """
        check_forms(as_json, as_csv)
        rows = [{column: row[column] for column in self.columns} for row in self.rows]
        if as_json:
            print_json(rows)
        elif as_csv:
            writer = csv.DictWriter(sys.stdout, self.columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        else:
            screen.console().print(self._table(language))

    def _table(self, language: Language) -> Table:
        table = Table()
        for column in self.columns:
            title, number = _title(column, language)
            counts = number or all(type(row[column]) in (int, NoneType) for row in self.rows)
            table.add_column(title, justify="right" if counts else "left")
        for row in self.rows:
            cells = (_cell(column, row[column]) for column in self.columns)
            if language is Language.JAPANESE:
                cells = (in_japanese(cell) for cell in cells)
            table.add_row(*cells)
        return table


def _title(column: str, language: Language) -> tuple[str, bool]:
    in_ja = language is Language.JAPANESE
    for ending, unit in ((_ENERGY, " kWh"), (_MONEY, " JPY"), (_PRICE, " JPY/kWh")):
        if column.endswith(ending):
            name = column.removesuffix(ending).replace("_", " ")
            return (COLUMNS.get(column, name) + UNITS[unit] if in_ja else name + unit), True
    name = column.replace("_", " ")
    return (COLUMNS.get(column, name) if in_ja else name), False


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

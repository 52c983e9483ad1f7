"""Records as tables, JSON or CSV: the columns are named once, and stay."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from energy.errors import SettingError
from energy.units import kwh, yen
from orchestrator import screen
from orchestrator.options import print_json
from orchestrator.records.words import COLUMNS, UNITS, in_japanese
from orchestrator.when import WHEN, Row
from orchestrator.words import Language, Phrases, phrase

_WORDS: Phrases = {"nothing": ("Nothing found.", "該当なし")}
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
            self._draw(language)

    def _draw(self, language: Language) -> None:
        """Print a table that cuts nothing short: where the terminal is too narrow for it, without
        the slot's number, which day and half hour say as well, or else each row as lines."""
        if not self.rows:
            print(phrase(_WORDS, language, "nothing"))
            return
        console = screen.console()
        columns = [self._column(column, language) for column in self.columns]
        if _width(columns) > console.width and tuple(self.columns[:3]) == WHEN:
            del columns[0]
        if not console.is_terminal:
            console.width = max(console.width, _width(columns))
        if _width(columns) > console.width:
            print("\n\n".join(_lines(columns, number) for number in range(len(self.rows))))
            return
        table, spare = Table(), console.width - _width(columns)
        for column in columns:
            justify: JustifyMethod = "right" if column.counts else "left"
            # As wide as its title while there is room, else the title is broken between words.
            wider = max(0, min(cell_len(column.title) - column.width, spare))
            spare -= wider
            table.add_column(column.title, justify=justify, width=column.width + wider)
        for cells in zip(*(column.cells for column in columns), strict=True):
            table.add_row(*map(Text, cells))
        console.print(table)

    def _column(self, column: str, language: Language) -> _Column:
        title, number = _title(column, language)
        counts = number or all(type(row[column]) in (int, NoneType) for row in self.rows)
        cells = [_cell(column, row[column]) for row in self.rows]
        if language is Language.JAPANESE:
            cells = [in_japanese(cell) for cell in cells]
        return _Column(title, cells, counts)


@dataclass(frozen=True)
class _Column:
    """A column as it is shown."""

    title: str
    cells: Sequence[str]
    counts: bool

    @property
    def width(self) -> int:
        """The terminal's columns that cut neither a cell nor a word of the title short."""
        return max(map(cell_len, [*self.title.split(), *self.cells]))


def _width(columns: Sequence[_Column]) -> int:
    """Return the width of a table with its lines."""
    return sum(column.width + 3 for column in columns) + 1


def _lines(columns: Sequence[_Column], number: int) -> str:
    """Return a row as lines, each with a column's title."""
    most = max(cell_len(column.title) for column in columns)
    return "\n".join(
        f"{set_cell_size(column.title, most)}  {column.cells[number]}" for column in columns
    )


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

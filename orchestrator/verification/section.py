"""What a report is made of on any page: sections of sentences, tables and charts."""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from orchestrator.words import Language

_WORDS = ("words.toml", "words_answers.toml", "words_turns.toml")
Cell = str | float | int | None
"""None is not known, or not defined."""


@dataclass(frozen=True)
class Column:
    """A column: its title in the page's language, its unit, how many digits it shows."""

    key: str
    title: str
    unit: str = ""
    digits: int = 0

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


@dataclass(frozen=True)
class Table:
    """A table: the first column names the row. The last `totals` rows add up or sum up."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    totals: int = 0
    note: str = ""
    """What a reader must know beside the numbers."""

    def shown(self) -> list[list[str]]:
        """Return the rows as text."""
        return [
            [shown(cell, column.digits) for cell, column in zip(row, self.columns, strict=True)]
            for row in self.rows
        ]

    def to_json(self) -> dict[str, object]:
        """Return columns with units, and the rows, not rounded."""
        return {
            "columns": [{"key": one.key, "unit": one.unit} for one in self.columns],
            "rows": [list(row) for row in self.rows],
            **({"note": self.note} if self.note else {}),
        }

    def to_csv(self) -> str:
        """Return the table as CSV, units in the heading, not rounded."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(one.heading for one in self.columns)
        writer.writerows(self.rows)
        return out.getvalue()


def shown(cell: Cell, digits: int) -> str:
    """Return a cell as text.

    >>> shown(-1234.56, 1), shown(None, 0), shown(-0.01, 1)
    ('-1,234.6', '–', '0.0')
    """
    if cell is None or (isinstance(cell, float) and cell != cell):
        return "–"
    if isinstance(cell, str):
        return cell
    return f"{round(cell, digits) + 0.0:,.{digits}f}"


@dataclass(frozen=True)
class Chart:
    """A chart, and the table that holds its numbers."""

    key: str
    title: str
    svg: str
    table: str


@dataclass(frozen=True)
class Answer:
    """A question that the report is read for, the verdict in few words, and why, with figures."""

    key: str
    question: str
    verdict: str
    because: str


@dataclass(frozen=True)
class Section:
    """A section: what it found, how each figure is defined, how anyone gets it again."""

    key: str
    title: str
    findings: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    method: tuple[str, ...] = ()
    again: str = ""
    """SQL on the store, or a command."""
    by_command: str = ""
    """How to get what SQL cannot give: the command, the JSON's keys, the functions."""

    @property
    def is_sql(self) -> bool:
        """Whether `again` is for an SQL client."""
        return self.again.startswith(("select", "with", "--"))


@dataclass(frozen=True)
class Voice:
    """The report's words in a language, the sites' names in it, and the style of its charts."""

    language: Language
    names: Sequence[str]
    style: str = ""

    def __call__(self, key: str, **values: object) -> str:
        """Return a phrase, with values filled in."""
        return _texts()[key][str(self.language)].format(**values)

    def knows(self, key: str) -> bool:
        """Say whether there is a phrase of that key."""
        return key in _texts()

    def column(self, key: str, unit: str = "", digits: int = 0) -> Column:
        """Return a column titled by its key's phrase; a unit of money is put into words."""
        return Column(key, self(key), self("yen") if unit == "JPY" else unit, digits)

    def lines(self, key: str) -> tuple[str, ...]:
        """Return a phrase's paragraphs."""
        return tuple(self(key).strip().split("\n"))


@cache
def _texts() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name in _WORDS:
        text = files("orchestrator.verification").joinpath("data", name).read_text("utf-8")
        found |= tomllib.loads(text)
    return found

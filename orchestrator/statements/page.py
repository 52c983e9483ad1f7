"""The statement as a page to print: HTML from a template, PDF by WeasyPrint.

A page is A4, and one is enough: rows of one half hour are listed, a longer span is summed by
origin, with the root under which each row has its proof.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from energy.errors import SettingError
from energy.lots import Kind
from energy.merkle import leaf_of
from energy.units import kwh
from orchestrator.statements.statement import Statement, cells, columns, cost_lines, totals
from orchestrator.words import Language, say, say_span, short

MOST_ROWS = 12
"""More rows than this are summed by source, place and battery."""


def html_of(
    statement: Statement,
    names: Mapping[int, str],
    language: Language,
    roots: Mapping[str, str],
    *,
    style: str | None = None,
    back: tuple[str, str] | None = None,
) -> str:
    """Return the page; `roots` are those of the statement's days, by date.

    In a browser `style` is the address of the style sheet, which else stands in the page, and
    `back` an address and what it is called.
    """
    environment = Environment(
        loader=PackageLoader("orchestrator.statements"), autoescape=True, undefined=StrictUndefined
    )
    summed = len(statement.rows) > MOST_ROWS
    return environment.get_template("statement.html").render(
        language=str(language),
        style=style,
        back=back,
        title=say(language, "statement_of", site=names[statement.site]),
        span=say_span(language, statement.slots),
        columns=_summed_columns(language) if summed else [*columns(language), _proof(language)],
        rows=_summed(statement, names, language) if summed else _listed(statement, names, language),
        is_summed=summed,
        totals=totals(statement, language),
        costs=cost_lines(statement, language),
        notes=_notes(statement, language),
        roots=roots,
        words={
            word: say(language, word)
            for word in ("page_rows", "page_totals", "page_costs", "page_roots")
        },
    )


def write_pdf(html: str, path: Path, language: Language) -> None:
    """Write a page as PDF.

    Raises:
        SettingError: if no font for Japanese is installed, or WeasyPrint finds no Pango.
    """
    if language is Language.JAPANESE and not _has_japanese_font():
        raise SettingError(
            "a Japanese font must be installed for a PDF in Japanese (Debian: apt install "
            "fonts-ipaexfont), got none"
        )
    try:
        from weasyprint import HTML
    except OSError as error:
        raise SettingError(
            f"Pango must be installed for a PDF (Debian: apt install libpangoft2-1.0-0), "
            f"got {error}"
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    HTML(string=html).write_pdf(path)


def _has_japanese_font() -> bool:
    """Ask fontconfig, which WeasyPrint asks as well."""
    if shutil.which("fc-list") is None:
        return True  # it cannot be asked: let WeasyPrint try
    found = subprocess.run(["fc-list", ":lang=ja"], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip())


def _proof(language: Language) -> str:
    return say(language, "page_leaf")


def _listed(statement: Statement, names: Mapping[int, str], language: Language) -> list[list[str]]:
    """Return the rows, each with the beginning of the leaf that it is proved by."""
    shown = cells(statement.rows, names, language)
    leaves = [leaf_of(entry.row).hex()[:8] for entry in statement.rows]
    return [[*line, leaf] for line, leaf in zip(shown, leaves, strict=True)]


def _summed_columns(language: Language) -> list[str]:
    return [say(language, word) for word in ("source", "origin_site", "through", "page_energy")]


def _summed(statement: Statement, names: Mapping[int, str], language: Language) -> list[list[str]]:
    sums: dict[tuple[str, str, str], int] = {}
    for entry in statement.rows:
        origin, through = entry.row.origin, entry.row.through
        kind = origin.kind.name
        if origin.kind == Kind.GENERATION:
            kind = "own" if origin.site == entry.site else "office"
        key = (
            say(language, kind),
            "" if origin.kind == Kind.GRID else short(names[origin.site]),
            "" if through is None else say(language, "battery_of", site=short(names[through])),
        )
        sums[key] = sums.get(key, 0) + entry.row.energy
    return [[*key, f"{kwh(wh):,.3f}"] for key, wh in sorted(sums.items(), key=lambda s: -s[1])]


def _notes(statement: Statement, language: Language) -> list[str]:
    notes = [say(language, "page_rule")]
    if statement.unread:
        notes.append(say(language, "unread_slots", count=len(statement.unread)))
    if statement.open:
        notes.append(say(language, "open_slots", count=len(statement.open)))
    return notes

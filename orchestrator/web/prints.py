"""An office's statement as a page to print, and as a file for a spreadsheet."""

from __future__ import annotations

from datetime import date
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from energy.units import slots_of
from orchestrator.statement import as_csv, statement_of
from orchestrator.statement_page import html_of
from orchestrator.web.reads import Source, days_of_month
from orchestrator.web.words import say
from orchestrator.words import Language

STYLE = "/print.css"


def statement(
    source: Source, site: int, day: date | None, month: str | None, language: Language, kind: str
) -> str:
    """Return the statement of a site's day or month, as `html` or `csv`.

    Raises:
        HTTPException: 403 if the site's load is not for who looks.
        SettingError: if there is no such site, or nothing of it is settled.
    """
    source.check_site(site)
    if not source.viewer.sees_load_of(site):
        raise HTTPException(403, say(language, "hidden"))
    asked = days_of_month(month) if month else slots_of(source.day_or_last(day))
    found = statement_of(source.store, site, source.recorded(asked) or asked)
    place = 1 if language is Language.JAPANESE else 0
    names = {number: pair[place] for number, pair in source.names.items()}
    if kind == "csv":
        return "\ufeff" + as_csv(found, names, language)  # else Excel takes it for another coding
    query = f"month={month}" if month else f"day={source.day_or_last(day)}"
    return html_of(
        found,
        names,
        language,
        source.roots(found.slots),
        style=STYLE,
        back=(f"/site/{site}?{query}", say(language, "back")),
    )


def style(_: Request) -> Response:
    """Answer the style sheet of the page to print."""
    text = files("orchestrator").joinpath("templates", "statement.css").read_text(encoding="utf-8")
    return Response(text, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

"""An office's statement as a page to print, and as a file for a spreadsheet."""

from __future__ import annotations

from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from energy.units import day_of, slots_of
from orchestrator.statement import Statement, as_csv, statement_of
from orchestrator.statement_page import html_of
from orchestrator.web.answers import language_of, source_for
from orchestrator.web.pages import read_day
from orchestrator.web.reads import Source, days_of_month
from orchestrator.web.words import say
from orchestrator.words import Language

NOT_KEPT = {"Cache-Control": "private, no-store"}
STYLE = "/print.css"


def as_page(request: Request) -> Response:
    """Answer the statement as a page to print."""
    language, query = language_of(request), request.query_params
    with source_for(request) as source:
        found = _statement(source, request, language)
        site = source.ref(found.site).number
        back = f"/site/{site}?month={query['month']}" if query.get("month") else f"/site/{site}"
        if not query.get("month"):
            back += f"?day={day_of(found.slots[0])}"
        text = html_of(
            found,
            _names(source, language),
            language,
            source.roots(found.slots),
            style=STYLE,
            back=(back, say(language, "back")),
        )
    return HTMLResponse(text, headers=NOT_KEPT)


def as_csv_file(request: Request) -> Response:
    """Answer the statement's rows as a file."""
    language = language_of(request)
    with source_for(request) as source:
        found = _statement(source, request, language)
        text = as_csv(found, _names(source, language), language)
        name = source.ref(found.site).en.lower().replace(" ", "-")
    span = request.query_params.get("month") or day_of(found.slots[0]).isoformat()
    return Response(
        "\ufeff" + text,  # else Excel takes it for another coding
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}-{span}.csv"', **NOT_KEPT},
    )


def _statement(source: Source, request: Request, language: Language) -> Statement:
    """Return what the address asks for.

    Raises:
        HTTPException: 403 if the site's load is not for who looks.
        SettingError: if there is no such site, or nothing of it is settled.
    """
    site, query = request.path_params["site"], request.query_params
    source.check_site(site)
    if not source.viewer.sees_load_of(site):
        raise HTTPException(403, say(language, "hidden"))
    if query.get("month"):
        asked = days_of_month(query["month"])
    else:
        asked = slots_of(source.day_or_last(read_day(query["day"]) if query.get("day") else None))
    return statement_of(source.store, site, source.recorded(asked) or asked)


def _names(source: Source, language: Language) -> dict[int, str]:
    # A store need not have been told of every site's name.
    refs = map(source.ref, {*source.names, *source.store.sites_at(2**32 - 1)})
    return {ref.number: ref.ja if language is Language.JAPANESE else ref.en for ref in refs}


def style(_: Request) -> Response:
    """Answer the style sheet of the page to print."""
    text = files("orchestrator").joinpath("templates", "statement.css").read_text(encoding="utf-8")
    return Response(text, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

"""An office's statement as a page to print, and as a file for a spreadsheet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from energy.units import day_of, slots_of
from orchestrator.statements.page import html_of
from orchestrator.statements.statement import Statement, as_csv, statement_of
from orchestrator.web.answers import language_of, made_of, sent, source_for, viewer_of
from orchestrator.web.desk import Desk, Made
from orchestrator.web.pages import read_day
from orchestrator.web.reads import Source, days_of_month
from orchestrator.web.words import say
from orchestrator.words import Language

STYLE = "/print.css"


async def as_page(request: Request) -> Response:
    """Answer the statement as a page to print."""
    language, month = language_of(request), request.query_params.get("month")

    def make() -> Made:
        with source_for(request) as source:
            found = _statement(source, request, language)
            site = source.ref(found.site).number
            span = f"month={month}" if month else f"day={day_of(found.slots[0])}"
            text = html_of(
                found,
                _names(source, language),
                language,
                source.roots(found.slots),
                style=STYLE,
                back=(f"/site/{site}?{span}", say(language, "back")),
            )
        return made_of(text.encode())

    made = await _kept(request, "statement", make)
    return sent(request, made, "text/html; charset=utf-8")


async def as_csv_file(request: Request) -> Response:
    """Answer the statement's rows as a file."""
    language = language_of(request)
    month = request.query_params.get("month")

    def named() -> str:
        with source_for(request) as source:
            span = month or day_of(_asked(source, request, language)[0]).isoformat()
            office = source.ref(request.path_params["site"]).en.lower().replace(" ", "-")
        return f"{office}-{span}.csv"

    def make() -> Made:
        with source_for(request) as source:
            found = _statement(source, request, language)
            text = as_csv(found, _names(source, language), language)
        return made_of(("\ufeff" + text).encode())  # else Excel takes it for another coding

    made = await _kept(request, "statement.csv", make)
    attached = f'attachment; filename="{await asyncio.to_thread(named)}"'
    return sent(request, made, "text/csv; charset=utf-8", **{"Content-Disposition": attached})


async def _kept(request: Request, name: str, make: Callable[[], Made]) -> Made:
    """Return a statement, made once for all who may see it as long as the store stays the same."""
    desk: Desk = request.app.state.desk
    query = request.query_params
    asked = (request.path_params["site"], query.get("month"), query.get("day"))
    return await desk.made((name, language_of(request), viewer_of(request), *asked), make)


def _statement(source: Source, request: Request, language: Language) -> Statement:
    """Return what the address asks for.

    Raises:
        HTTPException, SettingError: as `_asked`; and if nothing of it is settled.
    """
    asked = _asked(source, request, language)
    site = request.path_params["site"]
    return statement_of(source.store, site, source.recorded(asked) or asked)


def _asked(source: Source, request: Request, language: Language) -> range:
    """Return the slots that the address asks for.

    Raises:
        HTTPException: 403 if the site's load is not for who looks.
        SettingError: if there is no such site, day or month.
    """
    site, query = request.path_params["site"], request.query_params
    source.check_site(site)
    if not source.viewer.sees_load_of(site):
        raise HTTPException(403, say(language, "hidden"))
    if query.get("month"):
        return days_of_month(query["month"])
    return slots_of(source.day_or_last(read_day(query["day"]) if query.get("day") else None))


def _names(source: Source, language: Language) -> dict[int, str]:
    # A store need not have been told of every site's name.
    refs = map(source.ref, {*source.names, *source.store.sites_at(2**32 - 1)})
    return {ref.number: ref.ja if language is Language.JAPANESE else ref.en for ref in refs}


def style(_: Request) -> Response:
    """Answer the style sheet of the page to print."""
    text = (
        files("orchestrator.statements").joinpath("templates", "statement.css").read_text("utf-8")
    )
    return Response(text, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

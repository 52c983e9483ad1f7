"""An office's statement as a page to print, and as a file for a spreadsheet."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from energy.errors import SettingError
from energy.units import day_of, slots_of
from orchestrator.statements.page import html_of
from orchestrator.statements.statement import Statement, as_csv, statement_of
from orchestrator.web.access.guard import address_of, check_wait, visit_of
from orchestrator.web.answers import language_of, made_of, sent, source_for, viewer_of
from orchestrator.web.desk import Desk, Made
from orchestrator.web.pages import IN_MONTH, SITE, read_day
from orchestrator.web.reads import Source, days_of_month
from orchestrator.web.words import say
from orchestrator.words import Language

STYLE = "/print.css"


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose statement, of which month or day; without both, of the newest settled day."""

    site: int
    month: str | None
    day: date | None

    def slots(self, source: Source) -> range:
        """Return the slots that are asked for.

        Raises:
            NotThere: if there is no such site.
            HTTPException: 403 if the site's load is not for who looks.
        """
        source.check_site(self.site)
        if not source.viewer.sees_load_of(self.site):
            raise HTTPException(403, say(Language.ENGLISH, "hidden"))
        if self.month:
            return days_of_month(self.month)
        return slots_of(source.day_or_last(self.day))

    def statement(self, source: Source) -> Statement:
        """Return the statement, of what is over and on record of it.

        Raises:
            HTTPException, SettingError: as `slots`; and if nothing of it is settled.
        """
        slots = self.slots(source)
        return statement_of(source.store, self.site, source.recorded(slots) or slots)


def _asked(request: Request) -> _Asked:
    """Return what the address asks for.

    Raises:
        HTTPException: 404 for a path that leads nowhere.
        SettingError: for a query that cannot be read.
    """
    try:
        site = SITE.read(request.path_params["site"])
    except SettingError as error:
        raise HTTPException(404, str(error)) from error
    query = request.query_params
    if query.get("month"):
        return _Asked(site, IN_MONTH.read(query["month"]), None)
    return _Asked(site, None, read_day(query["day"]) if query.get("day") else None)


async def as_page(request: Request) -> Response:
    """Answer the statement as a page to print."""
    language, asked = language_of(request), _asked(request)

    def make() -> Made:
        with source_for(request) as source:
            found = asked.statement(source)
            day = day_of(found.slots[0])
            span = f"month={asked.month}" if asked.month else f"day={day}"
            text = html_of(
                found,
                _names(source, language),
                language,
                source.roots(found.slots),
                style=STYLE,
                back=(f"/site/{asked.site}?{span}", say(language, "back")),
            )
        return made_of(text.encode())

    made = await _kept(request, "statement", asked, make)
    return sent(request, made, "text/html; charset=utf-8")


async def as_csv_file(request: Request) -> Response:
    """Answer the statement's rows as a file."""
    language, asked = language_of(request), _asked(request)

    def named() -> str:
        with source_for(request) as source:
            span = asked.month or day_of(asked.slots(source)[0]).isoformat()
            # A header takes no letter of another script, and an office may be called anything.
            office = re.sub("[^a-z0-9]+", "-", source.ref(asked.site).en.lower()).strip("-")
        return f"{office or f'site-{asked.site}'}-{span}.csv"

    def make() -> Made:
        with source_for(request) as source:
            text = as_csv(asked.statement(source), _names(source, language), language)
        return made_of(("\ufeff" + text).encode())  # else Excel takes it for another coding

    made = await _kept(request, "statement.csv", asked, make)
    attached = f'attachment; filename="{await asyncio.to_thread(named)}"'
    return sent(request, made, "text/csv; charset=utf-8", **{"Content-Disposition": attached})


async def _kept(request: Request, name: str, asked: _Asked, make: Callable[[], Made]) -> Made:
    """Return a statement, made once for all who may see it as long as the store stays the same.

    Raises:
        HTTPException: 429 for who has had too many made.
    """
    desk: Desk = request.app.state.desk
    key = (name, language_of(request), viewer_of(request), asked)
    if not desk.has(key):
        visit = visit_of(request)
        wait = visit.access.statements.wait(visit.who(address_of(request)))
        check_wait(wait, "statements must be asked for less often")
    return await desk.made(key, make)


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

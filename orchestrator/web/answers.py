"""How a page is answered: read, drawn in the visitor's language, kept until the store changes."""

from __future__ import annotations

import gzip
import hashlib
from contextlib import AbstractContextManager
from functools import cache
from typing import Any
from urllib.parse import urlencode

from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from energy.errors import SettingError
from orchestrator.web.access.guard import visit_of
from orchestrator.web.desk import LIVE_SECONDS, Desk, Made
from orchestrator.web.drawing import Pen
from orchestrator.web.pages import MENU, Page
from orchestrator.web.reads import Source, source_of
from orchestrator.web.viewer import Viewer
from orchestrator.words import Language

PACKED_LEVEL = 6


async def page_answer(request: Request, page: Page, *, json: bool) -> Response:
    """Answer with a page, as HTML or JSON; with 304 if the browser has it already."""
    desk: Desk = request.app.state.desk
    viewer, language = viewer_of(request), language_of(request)
    arguments = _arguments(request, page, json)
    has_users = visit_of(request).access.has_users

    def make() -> Made:
        with source_for(request) as source:
            view = page.view(source, **arguments)
            if json:
                body = _adapter(page.shows).dump_json(view)
            else:
                body = _html(request, page, view, source, language).encode()
        return made_of(body)

    # A page says nothing of a user but what viewer and language do: it is kept for all such.
    beat = int(desk.clock()) // LIVE_SECONDS if page.tells_time else 0
    spoken = None if json else language
    key = (page.name, json, spoken, viewer, has_users, beat, *arguments.items())
    made = await desk.made(key, make)
    return sent(request, made, "application/json" if json else "text/html; charset=utf-8")


def made_of(body: bytes) -> Made:
    """Return what is kept of a body: packed as well, and tagged."""
    tag = hashlib.sha256(body).hexdigest()[:20]
    return Made(body, gzip.compress(body, PACKED_LEVEL, mtime=0), f'W/"{tag}"')


def sent(request: Request, made: Made, kind: str, **more: str) -> Response:
    """Send what was made, packed for who takes it so; or 304 if the browser has it already."""
    headers = {
        "ETag": made.tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Cookie, Accept-Language, Accept-Encoding",
        **more,
    }
    if made.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = made.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"], body = "gzip", made.packed
    return Response(body, media_type=kind, headers=headers)


@cache
def _adapter(shows: type) -> TypeAdapter[Any]:
    return TypeAdapter(shows)


def _arguments(request: Request, page: Page, is_data: bool) -> dict[str, Any]:
    """Return what the path and the query say.

    Raises:
        HTTPException: 404 for a path that leads nowhere.
        SettingError: for a query that cannot be read.
    """
    found = {}
    for parameter in page.parameters:
        if parameter.place == "path":
            try:
                found[parameter.name] = parameter.read(request.path_params[parameter.name])
            except SettingError as error:
                raise HTTPException(404, str(error)) from error
        elif request.query_params.get(parameter.name) or (
            # A form sends what was left empty; a program means what it says.
            is_data and parameter.name in request.query_params
        ):
            found[parameter.name] = parameter.read(request.query_params[parameter.name])
    return found


def _html(request: Request, page: Page, view: Any, source: Source, language: Language) -> str:
    desk: Desk = request.app.state.desk
    known = {parameter.name for parameter in page.parameters}
    pairs = [pair for pair in request.query_params.multi_items() if pair[0] in known]
    query = f"?{urlencode(pairs)}" if pairs else ""
    # What tells the time asks again by itself; the rest is told when the store has changed.
    is_current = not source.is_record and getattr(view, "is_live", True)
    listens = is_current and not page.tells_time
    return rendered(
        request,
        f"{page.name}.html",
        pairs,
        page=page.name,
        view=view,
        is_live=page.tells_time or listens,
        listens=listens,
        json_url=f"{request.url.path}.json{query}",
        **page.draw(Pen(language, desk.environment), view),
    )


def rendered(
    request: Request, template: str, pairs: list[tuple[str, str]] | None = None, **values: Any
) -> str:
    """Return a page from its template; `pairs` is what of the query belongs to the page."""
    desk: Desk = request.app.state.desk
    language, visit = language_of(request), visit_of(request)
    other = Language.ENGLISH if language is Language.JAPANESE else Language.JAPANESE
    here = f"{request.url.path}?{urlencode(pairs)}" if pairs else request.url.path
    query = urlencode([*(pairs or []), ("language", str(other))])
    whole = {
        **Pen(language, desk.environment).words(),
        "language": str(language),
        "other_language": f"{request.url.path}?{query}",
        "here": here,
        "menu": _menu(values.get("view")),
        "asset": desk.assets.__getitem__,
        "viewer": visit.viewer,
        "can_log_in": visit.access.has_users,
        "log_in_url": f"/log-in?{urlencode({'next': here})}",
        "json_url": None,
        "is_live": False,
        "listens": False,
        "page": None,
        **values,
    }
    return desk.environment.get_template(template).render(whole)


def _menu(view: Any) -> dict[str, str]:
    """Return the pages' addresses by name: the day that is looked at goes along."""
    day = getattr(view, "day", None) or getattr(view, "start", None)
    query = f"?day={day}" if day and len(day) == len("2019-06-04") else ""
    return {name: f"/{name}{query}" for name in MENU}


def source_for(request: Request) -> AbstractContextManager[Source]:
    """Open the store for who looks."""
    desk: Desk = request.app.state.desk
    return source_of(
        desk.engine,
        desk.setting,
        int(desk.clock()),
        viewer_of(request),
        desk.audit,
        desk.room,
        desk.calls,
        desk.served,
        desk.roots,
    )


def viewer_of(request: Request) -> Viewer:
    """Return who is looking."""
    return visit_of(request).viewer


def language_of(request: Request) -> Language:
    """Return the language chosen, or else the browser's first that there is."""
    chosen = request.cookies.get("language")
    if chosen in set(Language):
        return Language(chosen)
    for wanted in request.headers.get("accept-language", "").split(","):
        if wanted.strip()[:2] in set(Language):
            return Language(wanted.strip()[:2])
    return Language.ENGLISH

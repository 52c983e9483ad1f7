"""The application: routes, the language, and what is answered when something is wrong."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from energy.errors import SettingError, YuiError
from orchestrator.web import prints
from orchestrator.web.choices import CHOICES, Query
from orchestrator.web.desk import PULSE_SECONDS, Desk
from orchestrator.web.drawing import Pen
from orchestrator.web.pages import MENU, PAGES, Page, read_day
from orchestrator.web.reads import Source, source_of
from orchestrator.web.viewer import Viewer
from orchestrator.words import Language

LANGUAGE_SECONDS = 365 * 86_400
HEARTBEAT_SECONDS = 15.0
_HEADERS = [
    (name.encode(), value.encode())
    for name, value in {
        "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'self'",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin",
    }.items()
]


def application(desk: Desk) -> Starlette:
    """Return the application over a desk."""
    routes = [
        Route("/", lambda _: RedirectResponse("/now"), name="first"),
        *(Route(path, _chosen(choice)) for path, choice in CHOICES.items()),
        Route("/site/{site:int}/statement", _statement("html"), name="statement"),
        Route("/site/{site:int}/statement.csv", _statement("csv"), name="statement.csv"),
        Route(prints.STYLE, prints.style),
        Route("/favicon.ico", lambda _: RedirectResponse(desk.assets["yui.svg"])),
        Route("/events", _events, name="events"),
        *(route for page in PAGES for route in _routes(page)),
        Mount("/static", _Static(directory=str(files("orchestrator.web").joinpath("static")))),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(_Guarded),
            Middleware(GZipMiddleware, minimum_size=500, compresslevel=5),
        ],
        exception_handlers={HTTPException: _told, YuiError: _told},
    )
    app.state.desk = desk
    return app


class _Guarded:
    """Gives every answer the headers that keep other sites out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        await self._app(scope, receive, guarded)


class _Static(StaticFiles):
    """Files that never change under their address, which has a version in it."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def _routes(page: Page) -> list[Route]:
    def as_json(request: Request) -> Response:
        return _page(request, page, json=True)

    def as_html(request: Request) -> Response:
        return _page(request, page, json=False)

    # The first one that fits is taken: `.json` before what takes any text.
    return [
        Route(f"{page.path}.json", as_json, name=f"{page.name}.json"),
        Route(page.path, as_html, name=page.name),
    ]


def _page(request: Request, page: Page, *, json: bool) -> Response:
    if not json and "language" in request.query_params:
        return _switched(request)
    desk: Desk = request.app.state.desk
    viewer = viewer_of(request)
    arguments = _arguments(request, page)
    language = language_of(request)
    key = (page.name, json, language, viewer, tuple(sorted(arguments.items())))

    def make() -> tuple[bytes, str]:
        with _source(request) as source:
            view = page.view(source, **arguments)
            if json:
                body = TypeAdapter(page.shows).dump_json(view)
            else:
                body = _html(request, page, view, source, language).encode()
        return body, f'"{hashlib.sha256(body).hexdigest()[:20]}"'

    body, tag = desk.made(key, make)
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Cookie, Accept-Language",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    kind = "application/json" if json else "text/html; charset=utf-8"
    return Response(body, media_type=kind, headers=headers)


def _arguments(request: Request, page: Page) -> dict[str, Any]:
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
        elif request.query_params.get(parameter.name):
            found[parameter.name] = parameter.read(request.query_params[parameter.name])
    return found


def _html(request: Request, page: Page, view: Any, source: Source, language: Language) -> str:
    desk: Desk = request.app.state.desk
    pen = Pen(language, desk.environment)
    query = f"?{request.url.query}" if request.url.query else ""
    return rendered(
        request,
        f"{page.name}.html",
        page=page.name,
        view=view,
        is_live=not source.is_record and getattr(view, "is_live", True),
        json_url=f"{request.url.path}.json{query}",
        **page.draw(pen, view),
    )


def rendered(request: Request, template: str, **values: Any) -> str:
    """Return a page from its template."""
    desk: Desk = request.app.state.desk
    language = language_of(request)
    other = Language.ENGLISH if language is Language.JAPANESE else Language.JAPANESE
    pairs = [pair for pair in request.query_params.multi_items() if pair[0] != "language"]
    query = urlencode([*pairs, ("language", str(other))])
    whole = {
        **Pen(language, desk.environment).words(),
        "language": str(language),
        "other_language": f"{request.url.path}?{query}",
        "here": str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
        "menu": _menu(values.get("view")),
        "asset": desk.assets.__getitem__,
        "json_url": None,
        "is_live": False,
        "page": None,
        **values,
    }
    return desk.environment.get_template(template).render(whole)


def _menu(view: Any) -> dict[str, str]:
    """Return the pages' addresses by name: the day that is looked at goes along."""
    day = getattr(view, "day", None) or getattr(view, "start", None)
    query = f"?day={day}" if day and len(day) == len("2019-06-04") else ""
    return {name: f"/{name}{query}" for name in MENU}


def viewer_of(request: Request) -> Viewer:
    """Return who is looking."""
    desk: Desk = request.app.state.desk
    return desk.viewer()


def language_of(request: Request) -> Language:
    """Return the language chosen, or else the browser's first that there is."""
    chosen = request.cookies.get("language")
    if chosen in set(Language):
        return Language(chosen)
    for wanted in request.headers.get("accept-language", "").split(","):
        if wanted.strip()[:2] in set(Language):
            return Language(wanted.strip()[:2])
    return Language.ENGLISH


def _switched(request: Request) -> Response:
    """Remember the language, and show the same page in it."""
    chosen = request.query_params["language"]
    if chosen not in set(Language):
        raise SettingError(f"language must be one of {', '.join(Language)}, got {chosen!r}")
    pairs = [pair for pair in request.query_params.multi_items() if pair[0] != "language"]
    query = f"?{urlencode(pairs)}" if pairs else ""
    response = RedirectResponse(f"{request.url.path}{query}", status_code=303)
    response.set_cookie("language", chosen, max_age=LANGUAGE_SECONDS, samesite="lax")
    return response


def _chosen(choice: Callable[[Source, Query], str]) -> Callable[[Request], Response]:
    def lead(request: Request) -> Response:
        with _source(request) as source:
            address = choice(source, request.query_params)
        return RedirectResponse(address, status_code=303)

    return lead


def _statement(kind: str) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        language, query = language_of(request), request.query_params
        day = read_day(query["day"]) if query.get("day") else None
        site = request.path_params["site"]
        with _source(request) as source:
            month = query.get("month") or None
            text = prints.statement(source, site, day, month, language, kind)
        if kind == "html":
            return HTMLResponse(text)
        name = f"yui-{site}-{month or day or 'day'}.csv"
        return Response(
            text,
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    return answer


def _source(request: Request) -> AbstractContextManager[Source]:
    desk: Desk = request.app.state.desk
    return source_of(desk.engine, desk.setting, int(desk.clock()), viewer_of(request), desk.audit)


async def _events(request: Request) -> Response:
    """Say each time that the store has changed."""
    desk: Desk = request.app.state.desk

    async def told() -> AsyncIterator[str]:
        before = await asyncio.to_thread(desk.version)
        yield "retry: 3000\n\n"
        silent = 0.0
        while not await request.is_disconnected():
            await asyncio.sleep(PULSE_SECONDS)
            version = await asyncio.to_thread(desk.version)
            silent += PULSE_SECONDS
            if version != before:
                yield f"event: block\ndata: {version.block}\n\n"
                before, silent = version, 0.0
            elif silent >= HEARTBEAT_SECONDS:
                yield ": still here\n\n"
                silent = 0.0

    return StreamingResponse(
        told(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


def _told(request: Request, error: Exception) -> Response:
    """Answer an error in the form that was asked for."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    told = error.detail if isinstance(error, HTTPException) else str(error)
    if request.url.path.endswith(".json"):
        return JSONResponse({"error": told}, status_code=status)
    body = rendered(request, "error.html", told=told)
    return Response(body, status_code=status, media_type="text/html; charset=utf-8")

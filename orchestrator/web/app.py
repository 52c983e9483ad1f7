"""The application: routes, the language, and what is answered when something is wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from energy.errors import SettingError, StoreError, YuiError
from energy.japanese import in_language
from orchestrator.web import commanding, openapi, prints
from orchestrator.web.access import pages as access_pages
from orchestrator.web.access.access import Access
from orchestrator.web.access.guard import EVENTS, HEADERS, Guard, visit_of
from orchestrator.web.answers import language_of, page_answer, rendered, source_for
from orchestrator.web.choices import CHOICES, Query
from orchestrator.web.desk import PULSE_SECONDS, STALE_SECONDS, Desk
from orchestrator.web.pages import PAGES, Page
from orchestrator.web.reads import NotThere, Source
from orchestrator.words import Language

log = logging.getLogger("yui.web")
LANGUAGE_SECONDS = 365 * 86_400
HEARTBEAT_SECONDS = 15.0
STREAM_SECONDS = 900.0
"""After so long a stream ends, and the browser's next one is looked at anew."""


def application(desk: Desk, access: Access | None = None) -> Starlette:
    """Return the application over a desk; without `access` nobody can log in, and all may read."""
    access = access or Access()
    routes = [
        Route("/", lambda _: RedirectResponse("/now"), name="first"),
        *(Route(path, _chosen(choice)) for path, choice in CHOICES.items()),
        Route("/site/{site}/statement", prints.as_page, name="statement"),
        Route("/site/{site}/statement.csv", prints.as_csv_file, name="statement.csv"),
        Route(prints.STYLE, prints.style),
        Route("/favicon.ico", lambda _: RedirectResponse(desk.assets["yui.svg"])),
        Route(EVENTS, _events, name="events"),
        Route(openapi.ADDRESS, _openapi, name="openapi"),
        *access_pages.routes(rendered),
        *commanding.routes(),
        *(route for page in PAGES for route in _routes(page)),
        Mount("/static", _Static(directory=str(files("orchestrator.web").joinpath("static")))),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Guard, access, _told),
            Middleware(_Switch),
            Middleware(GZipMiddleware, minimum_size=500, compresslevel=5),
        ],
        exception_handlers={HTTPException: _told, YuiError: _told, Exception: _failed},
    )
    app.state.desk = desk
    return app


class _Switch:
    """Remembers the language that is asked for at any page, and shows the page in it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application answer it."""
        if b"language=" in scope.get("query_string", b"") and scope["method"] == "GET":
            request = Request(scope)
            if "language" in request.query_params and not request.url.path.endswith(".json"):
                await _switched(request)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _switched(request: Request) -> Response:
    chosen = request.query_params["language"]
    if chosen not in set(Language):
        told = f"language must be one of {', '.join(Language)}, got {chosen!r}"
        return _told(request, SettingError(told))
    pairs = [pair for pair in request.query_params.multi_items() if pair[0] != "language"]
    query = f"?{urlencode(pairs)}" if pairs else ""
    # Two slashes at the front would be another host's address.
    path = "/" + request.url.path.lstrip("/")
    response = RedirectResponse(f"{path}{query}", status_code=303)
    response.set_cookie(
        "language",
        chosen,
        max_age=LANGUAGE_SECONDS,
        samesite="lax",
        httponly=True,
        secure=visit_of(request).access.policy.is_secure,
    )
    return response


class _Static(StaticFiles):
    """Files that never change under their address, which has a version in it."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def _routes(page: Page) -> list[Route]:
    async def as_json(request: Request) -> Response:
        return await page_answer(request, page, json=True)

    async def as_html(request: Request) -> Response:
        return await page_answer(request, page, json=False)

    # The first one that fits is taken: `.json` before what takes any text.
    return [
        Route(f"{page.path}.json", as_json, name=f"{page.name}.json"),
        Route(page.path, as_html, name=page.name),
    ]


def _chosen(choice: Callable[[Source, Query], str]) -> Callable[[Request], Response]:
    def lead(request: Request) -> Response:
        with source_for(request) as source:
            address = choice(source, request.query_params)
        return RedirectResponse(address, status_code=303)

    return lead


def _openapi(_: Request) -> Response:
    return JSONResponse(openapi.description(), headers={"Cache-Control": "private, no-cache"})


async def _events(request: Request) -> Response:
    """Say each time that the store has changed."""
    desk: Desk = request.app.state.desk

    async def told() -> AsyncIterator[str]:
        before, again_at = await desk.version(), float("inf")
        yield "retry: 3000\n\n"
        silent, whole = 0.0, 0.0
        while whole < STREAM_SECONDS and not desk.is_ending:
            if await request.is_disconnected():
                return
            await asyncio.sleep(PULSE_SECONDS)
            version = await desk.version()
            silent += PULSE_SECONDS
            whole += PULSE_SECONDS
            if version != before or whole >= again_at:
                again_at = whole + STALE_SECONDS if version != before else float("inf")
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
    status, told, headers = 404 if isinstance(error, NotThere) else 400, str(error), {}
    if isinstance(error, HTTPException):
        status, told, headers = error.status_code, error.detail, dict(error.headers or {})
    elif isinstance(error, StoreError):
        # Where the store lies is no concern of who reads.
        log.error("store does not answer: %s", error)
        status, told = 503, "the store must answer: it does not, and the log says why"
    return _answer(request, status, told, headers)


def _failed(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw. It is raised again after this, and so logged; and is answered
    outside of the guard, which else sets the headers."""
    told = "this page must be made: it could not be, and the log says why"
    return _answer(request, 500, told, HEADERS)


def _answer(request: Request, status: int, told: str, headers: Mapping[str, str]) -> Response:
    headers = {"Cache-Control": "no-store", **headers}
    is_script = request.headers.get("content-type", "").startswith("application/json")
    if request.url.path.endswith(".json") or is_script:
        values = {"error": told}
        if request.method == "POST":
            values["told"] = in_language(language_of(request), told)
        return JSONResponse(values, status, headers)
    body = rendered(request, "error.html", told=told)
    return Response(body, status, headers, media_type="text/html; charset=utf-8")

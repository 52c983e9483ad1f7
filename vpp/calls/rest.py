"""Calls over HTTP: posted, asked about, cancelled.

    POST   /calls           a call (`vpp.calls.document`); 201, or 200 if the same was posted before
    GET    /calls           all of them, in the order in which they begin
    GET    /calls/NAME      one, with who serves it, who was told what, and what happened
    DELETE /calls/NAME      cancel it
    GET    /offer           what can be offered: ?direction=up&minutes=30, &start= a time

Every request carries `Authorization: Bearer` and the token. What is wrong is told as
`{"error": ...}`: 400 for a call that makes no sense, 401, 404, 409 for a name that is taken, 413.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from energy.errors import SettingError, StoreError
from vpp.calls.call import Direction, Product
from vpp.calls.desk import Desk
from vpp.calls.document import posted, to_json
from vpp.calls.kept import Kept
from vpp.calls.reserve import offers

MOST_BYTES = 100_000
MOST_MINUTES = 24 * 60
Handler = Callable[[Request], Awaitable[Response]]


def app_of(desk: Desk, token: str, products: Mapping[str, Product]) -> Starlette:
    """Return the application that takes calls for a desk from who has the token."""

    async def post(request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BYTES:
                return refused(f"a call must have at most {MOST_BYTES} bytes", 413)
        try:
            content = json.loads(body)
        except ValueError:
            return refused("a call must be JSON", 400)
        call = posted(content, desk.now(), products)
        known = next((each for each in desk.store.calls() if each.call.name == call.name), None)
        if known is not None:
            if replace(call, received_at=known.call.received_at) == known.call:
                return JSONResponse(brief(known))
            return refused(f"a call's name must be new, got {call.name} again", 409)
        await desk.receive(call)
        return JSONResponse(
            brief(desk.store.call(call.name)), 201, {"Location": f"/calls/{call.name}"}
        )

    async def every(_: Request) -> Response:
        return JSONResponse([brief(kept) for kept in desk.store.calls()])

    async def one(request: Request) -> Response:
        kept = found(request.path_params["name"])
        return JSONResponse(whole(desk, kept)) if kept else unknown(request)

    async def cancel(request: Request) -> Response:
        kept = found(request.path_params["name"])
        if kept is None:
            return unknown(request)
        return JSONResponse(brief(await desk.cancel(kept.call.name, "by request")))

    async def offer(request: Request) -> Response:
        query = request.query_params
        try:
            direction = Direction(query.get("direction", "up"))
            minutes = int(query.get("minutes", "30"))
            start = desk.now()
            if "start" in query:
                given = datetime.fromisoformat(query["start"])
                if given.tzinfo is None:
                    raise ValueError(f"start must have its offset, +09:00 or another, got {given}")
                start = int(given.timestamp())
        except ValueError as error:
            return refused(str(error), 400)
        if not 0 < minutes <= MOST_MINUTES:
            return refused(f"minutes must be 1 to {MOST_MINUTES}, got {minutes}", 400)
        return JSONResponse(offered(desk, direction, max(start, desk.now()), minutes))

    def found(name: str) -> Kept | None:
        return next((each for each in desk.store.calls() if each.call.name == name), None)

    def guarded(handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode()
            if not hmac.compare_digest(given, f"Bearer {token}".encode()):
                answer = refused("a request must carry the token", 401)
                answer.headers["WWW-Authenticate"] = "Bearer"
                return answer
            try:
                return await handler(request)
            except SettingError as error:
                return refused(str(error), 400)
            except StoreError as error:
                return refused(str(error), 503)

        return checked

    return Starlette(
        routes=[
            Route("/calls", guarded(post), methods=["POST"]),
            Route("/calls", guarded(every), methods=["GET"]),
            Route("/calls/{name}", guarded(one), methods=["GET"]),
            Route("/calls/{name}", guarded(cancel), methods=["DELETE"]),
            Route("/offer", guarded(offer), methods=["GET"]),
        ]
    )


def unknown(request: Request) -> Response:
    """Return an answer that there is no such call."""
    name = request.path_params["name"]
    return refused(f"a call must be one that was received, got {name!r}", 404)


def refused(why: str, status: int) -> Response:
    """Return an answer that says what is wrong."""
    return JSONResponse({"error": why}, status)


def brief(kept: Kept) -> dict[str, Any]:
    """Return a call and how far it is, as JSON."""
    return to_json(kept.call) | {"state": kept.state.value, "changed_at": kept.changed_at}


def whole(desk: Desk, kept: Kept) -> dict[str, Any]:
    """Return all that the desk knows of a call, as JSON."""
    name = kept.call.name
    return brief(kept) | {
        "shares": [asdict(each) for each in desk.store.shares(name)],
        "instructions": [asdict(each) for each in desk.store.told(name)],
        "journal": [asdict(each) for each in desk.store.journal(name)],
    }


def offered(desk: Desk, direction: Direction, start: int, minutes: int) -> dict[str, Any]:
    """Return what the fleet can offer for a time, beyond what live calls hold, as JSON."""
    end = start + minutes * 60
    promised = {
        share.site
        for kept in desk.store.live()
        for share in desk.store.shares(kept.call.name)
        if share.ends_at > start and share.starts_at < end
    }
    found = offers(
        desk.room.states(),
        direction,
        start,
        minutes * 60,
        desk.now(),
        desk.planned,
        frozenset(promised),
        desk.caution,
    )
    return {
        "direction": direction.value,
        "start": start,
        "minutes": minutes,
        "power_w": sum(each.power_w for each in found),
        "sites": [asdict(each) for each in found],
    }

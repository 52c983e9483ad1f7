"""A small VTN for the tests of calls: OpenADR 3.1 over real HTTP, by the published schema.

What clients send, and what is answered, is checked against `openadr_3_1.json`; a request that does
not fit is refused with 400, as a VTN would, and remembered in `refused`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from jsonschema import Draft202012Validator, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SCHEMA = json.loads((Path(__file__).parent / "openadr_3_1.json").read_text())
CLIENT, SECRET = "yui", "for these tests only"
KINDS = {"programs": "program", "events": "event", "reports": "report", "vens": "ven"}


def check(kind: str, content: object) -> None:
    """Check what is sent or answered against the published schema."""
    schema = {"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]}
    checker = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    checker.validate(content)


class SmallVtn:
    """A VTN that keeps all in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
        self.tokens: set[str] = set()
        self.token_requests = 0
        self.refused: list[str] = []
        self.fails = 0
        """How many requests are answered with 503 from now on."""
        self.url = ""
        self._number = itertools.count(1)
        self._second = itertools.count(1)

    def put(self, kind: str, content: dict[str, Any], identity: str | None = None) -> str:
        """Make or replace an object, as the grid's side does; return its id."""
        check(f"{KINDS[kind]}Request", content)
        identity = identity or f"{KINDS[kind]}-{next(self._number)}"
        now = datetime.fromtimestamp(1_800_000_000 + next(self._second), UTC)
        stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        before = self.objects[kind].get(identity, {})
        self.objects[kind][identity] = content | {
            "id": identity,
            "createdDateTime": before.get("createdDateTime", stamp),
            "modificationDateTime": stamp,
            "objectType": KINDS[kind].upper(),
        }
        if kind in ("reports", "vens"):
            self.objects[kind][identity]["clientID"] = CLIENT
        return identity

    def withdraw(self, event: str) -> None:
        """Delete an event."""
        del self.objects["events"][event]

    @property
    def reports(self) -> dict[str, dict[str, Any]]:
        """The reports by their names."""
        return {each["reportName"]: each for each in self.objects["reports"].values()}

    def app(self) -> Starlette:
        """Return the application."""

        async def server(_: Request) -> Response:
            return JSONResponse({"tokenURL": f"{self.url}/auth/token"})

        async def token(request: Request) -> Response:
            form = parse_qs((await request.body()).decode())
            given = {name: values[0] for name, values in form.items()}
            self.token_requests += 1
            try:
                check("clientCredentialRequest", given)
            except ValidationError as error:
                return JSONResponse(
                    {"error": "invalid_request", "error_description": str(error)}, 400
                )
            if (given["client_id"], given["client_secret"]) != (CLIENT, SECRET):
                return JSONResponse({"error": "invalid_client"}, 401)
            made = secrets.token_hex(16)
            self.tokens.add(made)
            return JSONResponse({"access_token": made, "token_type": "Bearer", "expires_in": 3600})

        async def search(request: Request) -> Response:
            kind = request.path_params["kind"]
            trouble = self._trouble(request, kind)
            if trouble is not None:
                return trouble
            query = request.query_params
            found = [
                each
                for each in self.objects[kind].values()
                if all(each.get(key) == query[key] for key in query if key not in ("skip", "limit"))
            ]
            skip, limit = int(query.get("skip", 0)), int(query.get("limit", 50))
            if not 0 < limit <= 50:
                return _problem(400, f"limit must be 1 to 50, got {limit}")
            for each in found:
                check(KINDS[kind], each)
            return JSONResponse(found[skip : skip + limit])

        async def create(request: Request) -> Response:
            kind = request.path_params["kind"]
            trouble = self._trouble(request, kind)
            if trouble is not None:
                return trouble
            try:
                identity = self.put(kind, await request.json())
            except ValidationError as error:
                self.refused.append(error.message)
                return _problem(400, error.message)
            return JSONResponse(self.objects[kind][identity], 201)

        return Starlette(
            routes=[
                Route("/auth/server", server),
                Route("/auth/token", token, methods=["POST"]),
                Route("/{kind}", search, methods=["GET"]),
                Route("/{kind}", create, methods=["POST"]),
            ]
        )

    def _trouble(self, request: Request, kind: str) -> Response | None:
        if self.fails:
            self.fails -= 1
            return _problem(503, "try again")
        if kind not in KINDS:
            return _problem(404, "no such kind")
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return None if given in self.tokens else _problem(401, "no such token")


def _problem(status: int, detail: str) -> Response:
    return JSONResponse({"title": "refused", "status": status, "detail": detail}, status)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    """Serve an application on a free port of this machine; give its URL."""
    channel = socket.socket()
    channel.bind(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    task = asyncio.create_task(server.serve([channel]))
    try:
        yield f"http://127.0.0.1:{channel.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def small_vtn() -> AsyncIterator[SmallVtn]:
    """Run a small VTN."""
    vtn = SmallVtn()
    async with served(vtn.app()) as url:
        vtn.url = url
        yield vtn

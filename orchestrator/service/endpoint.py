"""Where the orchestrator is asked: `/health`, `/metrics`, `/plan/SITE` for the plan that a site's
agent steers by, and `/orders` for signed orders.

An order that is answered with 200 is on disk. Whoever sends one needs no account and no key of
the orchestrator's: the order is signed, and the contract refuses what is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from energy.errors import ChainError, SettingError, StoreError
from orchestrator.service.inbox import signed_from
from orchestrator.service.metrics import metrics_of, waiting_in
from vpp.dispatch.planfile import plan_text

if TYPE_CHECKING:
    from orchestrator.service.service import Orchestrator

MOST_BYTES = 1_000_000
MOST_ORDERS = 1_000


def app_of(orchestrator: Orchestrator) -> Starlette:
    """Return the application that answers for an orchestrator."""

    async def health(_: Request) -> Response:
        troubles = orchestrator.troubles()
        alerts = [
            {"name": each.name, "about": each.about, "details": each.details, "since": each.since}
            for each in list(orchestrator.alerts.raised.values())
        ]
        waiting = await asyncio.to_thread(waiting_in, orchestrator.inbox)
        well = not troubles and waiting is not None
        body: dict[str, Any] = {"healthy": well, "troubles": troubles, "alerts": alerts}
        body |= {"waiting_orders": waiting, "height": orchestrator.watch.height}
        return JSONResponse(body, 200 if well else 503)

    async def metrics(_: Request) -> Response:
        text = await asyncio.to_thread(metrics_of, orchestrator)
        return Response(text, media_type="text/plain; version=0.0.4")

    async def orders(request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BYTES:
                return _refused(f"a body must have at most {MOST_BYTES} bytes", 413)
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            return _refused("a body must be JSON", 400)
        try:
            # A thousand signatures take their time, in which others are answered.
            found, new = await asyncio.to_thread(_taken, orchestrator, values)
        except SettingError as error:
            return _refused(str(error), 400)
        except (ChainError, StoreError) as error:
            return _refused(str(error), 503)
        return JSONResponse({"taken": found, "new": new})

    async def plan(request: Request) -> Response:
        if request.client is None or not ip_address(request.client.host).is_loopback:
            return _refused("a site's plan is told on this machine alone", 403)
        site = request.path_params["site"]
        found = orchestrator.plan_of(site)
        if found is None:
            return _refused(f"an agent of site {site} must have planned, and none has", 404)
        return Response(plan_text(found), media_type="application/json")

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/metrics", metrics),
            Route("/orders", orders, methods=["POST"]),
            Route("/plan/{site:int}", plan),
        ]
    )


def _taken(orchestrator: Orchestrator, values: object) -> tuple[int, int]:
    """Take orders as JSON has them; return how many they are, and how many of them new."""
    if not isinstance(values, list) or not 0 < len(values) <= MOST_ORDERS:
        raise SettingError(f"a body must be a list of 1 to {MOST_ORDERS} orders")
    found = [signed_from(each, orchestrator.market.domain) for each in values]
    return len(found), orchestrator.take(found)


def _refused(why: str, status: int) -> Response:
    return JSONResponse({"error": why}, status)


class _Server(uvicorn.Server):
    """A server that leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(orchestrator: Orchestrator, duties: asyncio.TaskGroup) -> None:
    """Listen, and go on to answer as one of some duties; the port is noted.

    Raises:
        SettingError: if the port is taken.
    """
    settings = orchestrator.settings
    channel = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    try:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.bind((settings.host, settings.port))
    except OSError as error:
        channel.close()
        where = f"port {settings.port} of {settings.host}"
        raise SettingError(f"{where} must be free, got {error}") from error
    orchestrator.port = channel.getsockname()[1]
    config = uvicorn.Config(app_of(orchestrator), log_config=None, access_log=False, lifespan="off")
    duties.create_task(_Server(config).serve([channel]))

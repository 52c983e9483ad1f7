"""The fleet as a VEN of OpenLEADR's VTN: a program of others, on a PostgreSQL of its own.

`openleadr-vtn` 0.2.8 listens on all addresses, so it runs in a network namespace of its own, and
is reached over a socket in a folder. Its migrations need PostgreSQL 16, or the subqueries of two of
them an alias. Tokens come from an authorization server of ours, as they would in the field.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from energy.units import SLOT_SECONDS
from tests.databases import fresh_database
from tests.services.test_calls_openadr import TERMS, an_event, values
from tests.steered import Battery, Clock, MemoryRoom
from tests.vtn import CLIENT, SECRET, served
from vpp.calls.call import State
from vpp.calls.desk import Desk
from vpp.calls.store import CallStore
from vpp.calls.ven import Ven
from vpp.calls.vtn import Vtn

PROGRAM = os.environ.get("YUI_OPENLEADR_VTN", "")
START_SECONDS = 60.0
KEY = b"for these tests only, 32 bytes at least"
GRID = "grid"
SCOPES = {
    GRID: "read_all write_programs write_events write_reports_bl write_vens_bl",
    CLIENT: "read_targets read_ven_objects write_reports_ven write_vens_ven",
}
RELAY = """
import asyncio, sys
async def pipe(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def met(reader, writer):
    there = await asyncio.open_connection("127.0.0.1", 3000)
    await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer), return_exceptions=True)
async def main():
    await (await asyncio.start_unix_server(met, sys.argv[1])).serve_forever()
asyncio.run(main())
"""
"""Runs beside the VTN in its namespace; a socket in a folder is reached from without."""


def token_for(client: str) -> str:
    """A token as an authorization server of the VTN's would sign it."""

    def part(content: object) -> bytes:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    claims = {"sub": client, "exp": int(time.time()) + 3600, "scope": SCOPES[client]}
    head = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    return (head + b"." + part(hmac.digest(KEY, head, hashlib.sha256))).decode()


async def token(request: Request) -> Response:
    form = parse_qs((await request.body()).decode())
    if form.get("client_secret") != [SECRET]:
        return JSONResponse({"error": "invalid_client"}, 401)
    found = token_for(form["client_id"][0])
    return JSONResponse({"access_token": found, "token_type": "Bearer", "expires_in": 3600})


@pytest.fixture(scope="module")
def socket_path(postgresql_folder, tmp_path_factory):
    if not PROGRAM:
        pytest.skip("YUI_OPENLEADR_VTN names no openleadr-vtn (cargo install openleadr-vtn)")
    # Others than root get a namespace as root of a namespace of users.
    apart = ["unshare", "-n" if os.geteuid() == 0 else "-rn", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"]).returncode:
        pytest.skip(
            "openleadr-vtn listens on all addresses, and there is no namespace to keep it in"
        )
    folder = Path(f"/tmp/yui-vtn-{os.getpid()}")
    folder.mkdir()
    database = fresh_database(postgresql_folder).rpartition("@/")[2]
    name, _, host = database.partition("?host=")
    environment = os.environ | {
        "DATABASE_URL": f"postgres://yui@localhost/{name}?host={host}",
        "OAUTH_TYPE": "EXTERNAL",
        "OAUTH_KEY_TYPE": "HMAC",
        "OAUTH_BASE64_SECRET": base64.b64encode(KEY).decode(),
        "OAUTH_TOKEN_URL": "http://127.0.0.1/token",
        "RUST_LOG": "warn",
    }
    log = (folder / "log").open("wb")
    script = 'ip link set lo up && "$0" & ip link set lo up; exec "$1" -c "$2" "$3"'
    running = subprocess.Popen(
        [
            *(*apart, "sh", "-c", script),
            *(PROGRAM, sys.executable, RELAY, str(folder / "socket")),
        ],
        env=environment,
        cwd=folder,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + START_SECONDS
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(folder / "socket"))) as http:
            while True:
                try:
                    if http.get("http://vtn/health").is_success:
                        break
                except httpx.HTTPError:
                    assert time.monotonic() < end, (folder / "log").read_text()[:4000]
                    time.sleep(0.1)
        if "migration failed" in (folder / "log").read_text():
            pytest.skip("its migrations need PostgreSQL 16, or an alias in their subqueries")
        yield folder / "socket"
    finally:
        os.killpg(running.pid, 9)
        running.wait()
        log.close()
        shutil.rmtree(folder)


@asynccontextmanager
async def reached(socket_path):
    """The VTN on a port of this machine alone."""

    async def pipe(reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def met(reader, writer):
        there = await asyncio.open_unix_connection(str(socket_path))
        await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer), return_exceptions=True)

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def test_an_event_of_openleadr_is_answered_modified_withdrawn_and_reported(socket_path, tmp_path):
    now = int(time.time()) // SLOT_SECONDS * SLOT_SECONDS
    clock = Clock(now)
    sites = [Battery(number, clock) for number in range(5)]

    async def day():
        authority = Starlette(routes=[Route("/token", token, methods=["POST"])])
        async with reached(socket_path) as url, served(authority) as tokens:
            grid = Vtn(url, GRID, SECRET, token_url=f"{tokens}/token")
            link = Vtn(url, CLIENT, SECRET, token_url=f"{tokens}/token")
            store = CallStore.at(str(tmp_path / "calls.sqlite"), durable=False)
            desk = Desk(store, MemoryRoom(sites), lambda site, slot: 0, clock=clock)
            ven = Ven(link, desk, "miyagi", TERMS)
            program = await grid.ask("POST", "/programs", {"programName": "tertiary"})
            made = await grid.ask("POST", "/events", an_event(program["id"], start=now + 600))

            async def poll():
                await ven.round()
                await desk.round()
                await desk.teller.idle()
                await ven.round()

            await poll()
            call = store.call(f"{made['id']}.up").call
            assert (call.starts_at, call.asked_w(now + 600), call.priority) == (
                now + 600,
                25_000,
                1,
            )
            clock.time = now + 610
            await poll()
            assert sum(site.called_w for site in sites) == 25_000
            reports = {each["reportName"]: each for each in await grid.every("/reports")}
            assert set(reports) == {f"{call.name}/accepted", f"{call.name}/running"}
            assert values(reports[f"{call.name}/accepted"], "LOAD_SHED_DELTA_AVAILABLE") == [-25.0]
            state = values(reports[f"{call.name}/running"], "OPERATING_STATE")
            assert state == ["RUNNING_CURTAILED"]
            assert {each["clientID"] for each in reports.values()} == {CLIENT}
            less = an_event(program["id"], kw=-12.0, start=now + 600)
            await grid.ask("PUT", f"/events/{made['id']}", less)
            await poll()
            assert sum(site.called_w for site in sites) == 12_000
            (known,) = await grid.every("/vens")
            assert known["venName"] == "miyagi"
            await poll()
            assert len(await grid.every("/reports")) == 2
            # OpenLEADR keeps an event as long as there are reports of it.
            for each in await grid.every("/reports"):
                await grid.ask("DELETE", f"/reports/{each['id']}")
            await grid.ask("DELETE", f"/events/{made['id']}")
            await poll()
            assert sum(site.called_w for site in sites) == 0
            assert store.call(call.name).state is State.CANCELLED
            # An event can be withdrawn as well by asking for nothing any more.
            made = await grid.ask("POST", "/events", an_event(program["id"], start=now + 600))
            await poll()
            assert sum(site.called_w for site in sites) == 25_000
            nothing = an_event(program["id"], kw=0.0, start=now + 600)
            await grid.ask("PUT", f"/events/{made['id']}", nothing)
            await poll()
            assert sum(site.called_w for site in sites) == 0
            await grid.close()
            await link.close()

    asyncio.run(day())

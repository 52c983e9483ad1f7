"""A control room of its own process, for tests that kill it: its sites are reached over HTTP.

`python -m tests.calls_room FOLDER URL` takes calls by the settings in a folder, notes the port
there, and knows the sites at a URL, where `sites_app` serves them.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.steered import MemoryRoom
from vpp.calls.service import answering
from vpp.calls.settings import SETTINGS_FILE, load_call_settings
from vpp.commands import Answer, Instruction, Report

POLL_SECONDS = 0.2


def sites_app(room: MemoryRoom) -> Starlette:
    """Return the application by which a room in another process reaches sites in this one."""

    async def give(request: Request) -> Response:
        return Response(pickle.dumps(await room.send(pickle.loads(await request.body()))))

    async def states(_: Request) -> Response:
        return Response(pickle.dumps(room.states()))

    return Starlette(routes=[Route("/give", give, methods=["POST"]), Route("/states", states)])


class HttpRoom:
    """A room whose sites are behind a URL."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, trust_env=False)
        self._states: list[Report] = []

    async def send(self, instructions: Sequence[Instruction]) -> list[Answer]:
        """Send instructions to their sites."""
        answer = await self._http.post("/give", content=pickle.dumps(list(instructions)))
        found: list[Answer] = pickle.loads(answer.content)
        return found

    def states(self) -> list[Report]:
        """Return what the sites last said."""
        return self._states

    async def listen(self) -> None:
        """Ask the sites how they stand, again and again."""
        while True:
            self._states = pickle.loads((await self._http.get("/states")).content)
            await asyncio.sleep(POLL_SECONDS)


async def main(folder: Path, url: str) -> None:
    """Take calls until killed."""
    settings = load_call_settings(folder / SETTINGS_FILE)
    room = HttpRoom(url)
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    ready.add_done_callback(lambda done: (folder / "port").write_text(str(done.result())))
    async with asyncio.TaskGroup() as duties:
        duties.create_task(room.listen())
        duties.create_task(answering(settings, room, lambda site, slot: 0, ready=ready))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))

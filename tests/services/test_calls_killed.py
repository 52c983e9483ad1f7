"""A control room that is killed, for real, again and again while a call runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from datetime import datetime

import httpx

from energy.units import JST
from tests.calls_room import sites_app
from tests.steered import SITE_W, Battery, MemoryRoom
from tests.vtn import served
from vpp.calls.store import CallStore

TOKEN = "for these tests only"
KILLS = 2


def test_a_room_killed_again_and_again_goes_on_and_nobody_gives_twice(tmp_path):
    (tmp_path / "calls.token").write_text(TOKEN)
    (tmp_path / "calls.toml").write_text("port = 0\n")
    sites = [Battery(number, time.time) for number in range(5)]
    room = MemoryRoom(sites)
    most = 0

    def watch(_):
        nonlocal most
        most = max(most, *(abs(site.called_w) for site in sites), 0)

    room.after_send = watch

    async def day():
        async with served(sites_app(room)) as url:
            begins = int(time.time())
            call = {
                "name": "c1",
                "direction": "up",
                "start": datetime.fromtimestamp(begins, JST).isoformat(),
                "end": datetime.fromtimestamp(begins + 3600, JST).isoformat(),
                "kw": 25,
            }
            running = await started(url)
            await asked("POST", "/calls", call)
            await until(lambda: room.called_w == 25_000)
            wanted = 25_000
            for kill in range(KILLS):
                running.send_signal(signal.SIGKILL)
                await running.wait()
                # Sites go on by themselves.
                assert room.called_w == wanted
                running = await started(url)
                if kill == 0:
                    # Killed while it is at the next one, with the sites told or not.
                    await asked("POST", "/calls", call | {"name": "c2", "kw": 4})
                    running.send_signal(signal.SIGKILL)
                    await running.wait()
                    running = await started(url)
                    wanted = 29_000
                await until(lambda wanted=wanted: room.called_w == wanted)
            await asked("DELETE", "/calls/c1")
            running.send_signal(signal.SIGKILL)
            await running.wait()
            running = await started(url)
            await asked("DELETE", "/calls/c2")
            await until(lambda: room.called_w == 0)
            running.send_signal(signal.SIGKILL)
            await running.wait()

    async def started(url):
        port = tmp_path / "port"
        port.unlink(missing_ok=True)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.calls_room", str(tmp_path), url, env=os.environ
        )
        await until(port.exists)
        await until(lambda: port.read_text() != "")
        return process

    async def asked(method, path, content=None):
        url = f"http://127.0.0.1:{(tmp_path / 'port').read_text()}"
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.request(
                method, url + path, json=content, headers={"Authorization": f"Bearer {TOKEN}"}
            )
            assert answer.is_success, answer.text

    async def until(holds):
        async with asyncio.timeout(60):
            while not holds():
                await asyncio.sleep(0.02)

    asyncio.run(day())
    assert most <= SITE_W
    events = [entry.event for entry in CallStore.at(str(tmp_path / "calls.sqlite")).journal("c1")]
    assert events.count("received") == events.count("running") == events.count("cancelled") == 1

"""Calls as a duty of the real control room: MQTT, TLS, signed instructions, simulated sites."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from contextlib import asynccontextmanager
from datetime import datetime

import httpx
import pytest
from typer.testing import CliRunner

from daemon.table import Table
from energy.units import JST, SLOT_SECONDS
from orchestrator.cli import app
from tests.broker import fleet_in, running_broker
from vpp.calls.call import State
from vpp.calls.linked import LinkedRoom, calls_duty, planned_in
from vpp.calls.settings import call_settings
from vpp.calls.store import CallStore
from vpp.commands import Action
from vpp.link.folders import room_at
from vpp.link.simulated import simulated_fleet
from vpp.room.room import Room
from vpp.room.store import opened, records

SITES = 6
TOKEN = "for these tests only"
CALL_SECONDS = 5.0


@pytest.fixture
def folder(tmp_path):
    fleet_in(tmp_path / "fleet", SITES)
    running = running_broker(tmp_path / "fleet")
    (tmp_path / "calls.token").write_text(TOKEN)
    yield tmp_path
    running.stop()


@asynccontextmanager
async def a_room(folder):
    place = room_at(folder / "fleet")
    engine = opened(str(place.store))
    try:
        async with Room(place, engine, place.key(), watch=True).at_work(10) as room:
            yield room
    finally:
        engine.dispose()


@asynccontextmanager
async def taking_calls(folder, room, port):
    settings = call_settings(Table("test:", {"port": port}), folder)
    duty = asyncio.create_task(calls_duty(settings)(room))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
        async with asyncio.timeout(20):
            while True:
                try:
                    await http.get("/calls")
                    break
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)
        try:
            yield http
        finally:
            duty.cancel()
            with pytest.raises(asyncio.CancelledError):
                await duty


async def until(holds, seconds=30.0):
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


def test_a_call_reaches_the_batteries_over_the_link_and_ends_there(folder):
    async def story():
        async with (
            simulated_fleet(folder / "fleet", report_seconds=0.5) as sites,
            a_room(folder) as room,
        ):

            def called():
                held = [each.battery.report() for each in sites.values()]
                return sum(each.target_w or 0 for each in held if each.call == "c1")

            await until(lambda: len(room.alive()) == SITES)
            # A plan that is taken is what a call comes on top of.
            slot = int(time.time()) // SLOT_SECONDS
            plan = room.instruction(
                0,
                Action.PLAN,
                lasts=4 * SLOT_SECONDS,
                starts_at=slot * SLOT_SECONDS,
                plan_wh=(1_000,) * 4,
            )
            (told,) = await room.send([plan], "planner", "the day's plan")
            assert told.answer is not None
            assert told.answer.taken
            # The room writes down what it hears a moment later.
            await until(lambda: planned_in(room.engine, slot * SLOT_SECONDS))
            linked = LinkedRoom(room)
            assert linked.planned(0, slot) == 1_000
            assert linked.planned(1, slot) is None
            assert planned_in(room.engine, (slot + 4) * SLOT_SECONDS) == {}
            begins = int(time.time())
            call = {
                "name": "c1",
                "direction": "up",
                "start": datetime.fromtimestamp(begins, JST).isoformat(),
                "end": datetime.fromtimestamp(begins + 3600, JST).isoformat(),
                "kw": 40,
            }
            async with taking_calls(folder, room, 19_475) as http:
                began = time.monotonic()
                assert (await http.post("/calls", json=call)).status_code == 201
                await until(lambda: called() > 0)
                assert time.monotonic() - began < CALL_SECONDS
                store = CallStore.at(str(folder / "calls.sqlite"))
                await until(
                    lambda: (
                        len([t for t in store.told("c1") if t.taken])
                        == len({s.site for s in store.shares("c1")})
                        > 0
                    )
                )
                assert sum(share.power_w for share in store.shares("c1")) == 40_000
                with records(room.engine) as read:
                    sent = read.instructions(call="c1")
                assert {each.by for each in sent} == {"calls"}
                assert {each.why for each in sent} == {"call c1"}
            # The room's duty ends and begins anew: nobody is told again.
            async with taking_calls(folder, room, 19_476) as http:
                await asyncio.sleep(2)
                with records(room.engine) as read:
                    assert len(read.instructions(call="c1")) == len(sent)
                assert (await http.delete("/calls/c1")).json()["state"] == "cancelled"
                await until(
                    lambda: all(
                        each.battery.report().target_w in (-1_000, 2_000) for each in sites.values()
                    )
                )
            assert store.call("c1").state is State.CANCELLED

    asyncio.run(story())


def test_a_site_that_drops_off_the_link_is_split_around(folder):
    async def story():
        async with (
            simulated_fleet(folder / "fleet", report_seconds=0.5) as sites,
            a_room(folder) as room,
        ):
            await until(lambda: len(room.alive()) == SITES)
            begins = int(time.time())
            call = {
                "name": "c1",
                "direction": "up",
                "start": datetime.fromtimestamp(begins, JST).isoformat(),
                "end": datetime.fromtimestamp(begins + 1800, JST).isoformat(),
                "kw": 40,
            }
            async with taking_calls(folder, room, 19_477) as http:
                await http.post("/calls", json=call)
                store = CallStore.at(str(folder / "calls.sqlite"))
                await until(lambda: any(t.taken for t in store.told("c1")))
                gone = next(t.site for t in store.told("c1") if t.taken)
                sites[gone].task.cancel()
                now = time.time

                def made_up():
                    held = [s for s in store.shares("c1") if s.starts_at <= now() < s.ends_at]
                    return (
                        gone not in {s.site for s in held}
                        and sum(s.power_w for s in held) == 40_000
                    )

                # It waits first for sites to report, since it has just begun.
                await until(made_up, 120)

    asyncio.run(story())


def test_the_control_room_is_killed_in_the_middle_of_a_call_and_goes_on(folder):
    room_folder = folder / "fleet" / "room"
    there = ["--room", "http://127.0.0.1:19478", "--token", str(room_folder / "calls.token")]
    begins = int(time.time())

    def run(*arguments):
        answer = CliRunner().invoke(app, ["calls", *arguments])
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    run("init", "--folder", str(room_folder), "--port", "19478")
    (folder / "call.json").write_text(
        json.dumps(
            {
                "name": "c1",
                "direction": "up",
                "start": datetime.fromtimestamp(begins, JST).isoformat(),
                "end": datetime.fromtimestamp(begins + 3600, JST).isoformat(),
                "kw": 40,
            }
        )
    )

    async def started():
        command = ["vpp", "room", "--fleet", str(folder / "fleet")]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "orchestrator.entry", *command, stdout=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    await http.get("http://127.0.0.1:19478/calls")
                    return process
                except httpx.HTTPError:
                    await asyncio.sleep(0.1)

    async def story():
        async with simulated_fleet(folder / "fleet", report_seconds=0.5) as sites:

            def called():
                held = [each.battery.report() for each in sites.values()]
                return sum((each.target_w or 0) + 1_000 for each in held if each.call == "c1")

            process = await started()
            await asyncio.to_thread(run, "send", "--file", str(folder / "call.json"), *there)
            await until(lambda: called() == 40_000)
            for _ in range(2):
                process.send_signal(signal.SIGKILL)
                await process.wait()
                assert called() == 40_000
                process = await started()
                await asyncio.sleep(1)
                assert called() == 40_000
            offer = json.loads(await asyncio.to_thread(run, "offer", "--json", *there))
            assert offer["power_w"] > 0
            await asyncio.to_thread(run, "cancel", "c1", *there)
            await until(lambda: called() == 0)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0

    asyncio.run(story())
    store = CallStore.at(str(room_folder / "calls.sqlite"))
    events = [entry.event for entry in store.journal("c1")]
    assert events.count("received") == events.count("running") == events.count("cancelled") == 1
    assert "fault" not in events

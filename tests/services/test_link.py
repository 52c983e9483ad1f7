"""Room and sites over a real broker: MQTT 5, TLS, certificates, access list."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiomqtt import MqttError
from sqlalchemy import create_engine

from energy.errors import SettingError, StoreError
from tests.broker import fleet_in, running_broker
from vpp.commands import Action, Following, Report
from vpp.link.client import client_of
from vpp.link.folders import room_at, site_at
from vpp.link.setup import renewed, revoked
from vpp.link.simulated import simulated_fleet
from vpp.link.wire import enveloped, report_text, topic
from vpp.room.daemon import keep_room
from vpp.room.room import Room
from vpp.room.store import Outcome, opened, records

FOLDER = Path(__file__).resolve().parents[2]
SITES = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    fleet_in(folder, SITES)
    return folder


@pytest.fixture(scope="module")
def broker(folder):
    running = running_broker(folder)
    yield running
    running.stop()


async def until(met: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for a condition, not for a time."""
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def room_of(folder, watch=False, **options):
    place = room_at(folder)
    engine = opened(str(place.store))
    try:
        async with Room(place, engine, place.key(), watch, **options).at_work(10) as room:
            yield room
    finally:
        engine.dispose()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_a_command_is_taken_followed_and_kept_with_who_and_why(folder, broker):
    async def story():
        async with (
            simulated_fleet(folder, report_seconds=0.5) as sites,
            room_of(folder, True) as room,
        ):
            await until(lambda: len(room.alive()) == SITES)
            heard: list[Any] = []
            told = await room.send(
                [room.instruction(site, Action.DISCHARGE, power_w=5_000) for site in range(SITES)],
                "tanaka",
                "trial",
                heard.append,
                until_changed=True,
                patience=20,
            )
            assert [each.outcome for each in told] == [Outcome.TAKEN] * SITES
            for each in told:
                assert each.answer is not None
                assert each.answer.changed_at is not None
                assert 0 <= each.answer.changed_at - each.answer.at < 5
            assert {each.instruction.site for each in heard} == set(range(SITES))
            await until(lambda: all(each.report.battery_w == 5_000 for each in room.alive()))
            assert {each.report.following for each in room.alive()} == {Following.COMMAND}
            kept = sites[0].link.ledger.kept()[-1]
            assert (kept.envelope.order.by, kept.envelope.order.why) == ("tanaka", "trial")
        with records(room.engine) as read:
            sent = read.instructions(site=0)[0]
            assert (sent.by, sent.why, sent.outcome) == ("tanaka", "trial", Outcome.TAKEN)
            assert sent.answer is not None
            assert sent.answer.changed_at is not None
            assert read.check_trail(kept.envelope.order.trail.hex()).broken_at is None
            assert read.minutes(0, int(time.time()) - 120, int(time.time()) + 60)

    run(story())


def raw(folder, user="site-1", broker=None, port=None, identifier=None, session=0):
    """A client of MQTT as whoever has a site's or the room's files may write one."""
    place = room_at(folder) if user == "room" else site_at(folder / "sites" / user)
    known = broker or place.broker
    return client_of(replace(known, port=port or known.port), identifier or user, session)


async def refused_at_the_door(client) -> bool:
    client.timeout = 2
    try:
        async with client, asyncio.timeout(2):
            await client.subscribe("yui/test/site-1/instruction", qos=1)
    except (MqttError, TimeoutError):
        return True
    return False


def test_a_forged_a_changed_and_a_replayed_instruction_are_refused_over_the_broker(folder, broker):
    async def story():
        async with simulated_fleet(folder, [1], 0.5) as sites, room_of(folder, True) as room:
            ledger = sites[1].link.ledger
            await room.send([room.instruction(1, Action.HOLD)], "tanaka", "")
            genuine = ledger.kept()[-1].envelope
            forged = enveloped(genuine.order, genuine.order.signed(room.place.salt, b"\x01" * 32))
            given = replace(genuine.order.instruction, action=Action.STOP)
            changed = enveloped(replace(genuine.order, instruction=given), genuine.signature)
            # Whoever holds the room's certificate, and not its signing key.
            async with raw(folder, "room", identifier="intruder") as intruder:
                for payload in (forged, changed, genuine):
                    await intruder.publish(topic("test", 1, "instruction"), payload.payload, qos=1)
                await intruder.publish(topic("test", 1, "instruction"), b"garbage", qos=1)
                await until(lambda: len(ledger.refusals()) >= 3)
            assert [each.reason.partition(":")[0] for each in ledger.refusals()[-3:]] == [
                "signer",
                "signer",
                "garbled",
            ]
            assert sites[1].battery.report().following is Following.COMMAND
            await until(lambda: "link: signer" in room.alive()[0].report.alarms)
        with records(room.engine) as read:
            # What was answered to the forged one is not taken for an answer to the real one.
            assert read.instructions(site=1)[0].outcome is Outcome.TAKEN

    run(story())


def test_a_site_may_speak_under_its_own_name_alone(folder, broker):
    async def story():
        async with room_of(folder, True) as room:
            heard = []
            room._hearing.report = lambda report, live: heard.append(report.site)
            async with simulated_fleet(folder, [2], 0.5), raw(folder, "site-1") as breaching:
                await until(lambda: 2 in heard)
                heard.clear()
                lie = report_text(Report(3, "x", "x", "x", 1, Following.SELF))
                for site, kind in ((3, "report"), (3, "answer"), (3, "instruction"), (1, "else")):
                    await breaching.publish(topic("test", site, kind), lie, qos=1)
                # Its own topic with another's number inside: the broker lets it, the room does not.
                strays = []
                room._hearing.stray = lambda where, reason: strays.append(reason)
                await breaching.publish(topic("test", 1, "report"), lie, qos=1)
                await until(lambda: strays)
                assert "topic's site 1, got 3" in strays[0]
                await until(lambda: len(heard) > 2)
                assert set(heard) == {2}
                await breaching.subscribe("yui/#", qos=1)
                await room.send([room.instruction(2, Action.HOLD)], "tanaka", "")
                await breaching.subscribe(topic("test", 1, "instruction"), qos=1)
                await room.send([room.instruction(1, Action.HOLD)], "t", "", patience=0.1)
                async with asyncio.timeout(10):
                    async for message in breaching.messages:
                        first = str(message.topic)
                        break
                assert first == topic("test", 1, "instruction")

    run(story())


def test_no_site_takes_anothers_session_or_the_rooms_door(folder, broker):
    async def story():
        place = room_at(folder)
        async with simulated_fleet(folder, [2], 0.5) as sites:
            # The broker names sessions by certificate: this one is not site 2's.
            async with raw(folder, "site-1", identifier="site-2"):
                assert sites[2].link.connected
            # The room's door asks for a certificate by the other authority.
            assert await refused_at_the_door(raw(folder, "site-1", port=place.broker.port))

    run(story())


def speak_without_a_certificate(broker) -> None:
    bare = ssl.create_default_context(cafile=str(broker.authority))
    with (
        socket.create_connection((broker.host, broker.port), 5) as plain,
        bare.wrap_socket(plain, server_hostname=broker.host) as wrapped,
    ):
        wrapped.settimeout(5)
        wrapped.sendall(b"\x10\x00")
        if not wrapped.recv(1):
            raise OSError("closed")


def test_who_has_no_certificate_or_another_fleets_is_not_let_in(folder, broker, tmp_path):
    fleet_in(tmp_path, 2)

    async def story():
        own = site_at(folder / "sites" / "site-1").broker
        strange = site_at(tmp_path / "sites" / "site-1").broker
        mixed = replace(strange, authority=own.authority)
        assert await refused_at_the_door(raw(folder, broker=mixed, port=own.port))
        # And a site does not speak to a broker that another authority signed.
        assert await refused_at_the_door(
            raw(folder, broker=replace(own, authority=strange.authority))
        )
        with pytest.raises((OSError, ssl.SSLError)):
            speak_without_a_certificate(own)

    run(story())


def test_a_revoked_certificate_is_not_let_in_and_a_renewed_one_is(tmp_path):
    fleet_in(tmp_path, 2)
    broker = running_broker(tmp_path)

    async def story():
        place = tmp_path / "sites" / "site-1"
        assert not await refused_at_the_door(raw(tmp_path))
        old = tmp_path / "old"
        shutil.copytree(place, old)
        assert renewed(tmp_path, 1).sites[1].revoked
        broker.kill()
        broker.start()
        assert not await refused_at_the_door(raw(tmp_path))
        stolen = site_at(old).broker
        assert await refused_at_the_door(raw(tmp_path, broker=stolen))
        revoked(tmp_path, 1)
        broker.kill()
        broker.start()
        assert await refused_at_the_door(raw(tmp_path))
        assert not await refused_at_the_door(raw(tmp_path, "site-0"))

    try:
        run(story())
    finally:
        broker.stop()


def test_a_stop_that_was_overtaken_is_signed_anew(folder, broker):
    async def story():
        async with simulated_fleet(folder, [1], 0.5) as sites, room_of(folder) as room:
            early = room.instruction(1, Action.STOP)
            await room.send([room.instruction(1, Action.HOLD)], "planner", "")
            (told,) = await room.send([early], "tanaka", "fire")
            assert told.outcome is Outcome.TAKEN
            assert told.instruction.sequence > early.sequence
            assert sites[1].battery.report().following is Following.STOP
            # What is no stop is told that it came late.
            late = replace(room.instruction(1, Action.HOLD), sequence=early.sequence)
            (told,) = await room.send([replace(late, sequence=early.sequence + 1)], "tanaka", "")
            assert told.answer.refused.startswith("sequence")
            await room.send([room.instruction(1, Action.RESUME)], "tanaka", "")

    run(story())


def test_a_stop_goes_out_though_the_store_takes_nothing(folder, broker):
    async def story():
        async with simulated_fleet(folder, [1], 0.5) as sites, room_of(folder) as room:
            room._sending._engine = opened_read_only(room_at(folder).store)
            with pytest.raises(StoreError):
                await room.send([room.instruction(1, Action.HOLD)], "tanaka", "")
            (told,) = await room.send([room.instruction(1, Action.STOP)], "tanaka", "fire")
            assert told.outcome is Outcome.TAKEN
            assert sites[1].battery.report().following is Following.STOP

    run(story())


def opened_read_only(path):
    return create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")


def kinds_of(room) -> set[str]:
    with records(room.engine) as read:
        return {each.kind for each in read.entries()}


def test_a_site_that_ends_or_goes_silent_is_lost_and_planned_around(folder, broker):
    async def story():
        async with room_of(folder, True, lost_seconds=2.0) as room:
            async with simulated_fleet(folder, [0, 1], 0.3):
                await until(lambda: len(room.alive()) == 2)
                assert room.alive(max_age=-1) == []
            # They said goodbye.
            await until(lambda: room.alive() == [])
            async with simulated_fleet(folder, [0], 0.3) as sites:
                await until(lambda: len(room.alive()) == 1)
                sites[0].link._report_seconds = 3_600.0
                await until(lambda: room.alive() == [])
                assert room.states()[0].linked
                await until(lambda: {"lost", "back"} <= kinds_of(room))

    run(story())


def test_kill_9_of_the_broker_in_the_middle_of_a_command(tmp_path):
    fleet_in(tmp_path, SITES)
    broker = running_broker(tmp_path)

    async def story():
        async with simulated_fleet(tmp_path, None, 0.3), room_of(tmp_path, True) as room:
            await until(lambda: len(room.alive()) == SITES)
            broker.kill()
            told = [
                room.instruction(site, Action.DISCHARGE, power_w=2_000, valid=120)
                for site in range(SITES)
            ]
            sending = asyncio.create_task(room.send(told, "tanaka", "", until_changed=True))
            await asyncio.sleep(0.5)
            assert not sending.done()
            broker.start()
            done = await sending
            assert [each.outcome for each in done] == [Outcome.TAKEN] * SITES
            await until(lambda: all(each.report.battery_w == 2_000 for each in room.alive()))
            await until(lambda: len(room.alive()) == SITES)

    try:
        run(story())
    finally:
        broker.stop()


ROOM = """
import asyncio, sys
from pathlib import Path
from vpp.room.daemon import keep_room
asyncio.run(keep_room(Path(sys.argv[1])))
"""
CALLING = """
import asyncio, sys
from pathlib import Path
from vpp.commands import Action
from vpp.link.folders import room_at
from vpp.room.room import Room
from vpp.room.store import opened

async def main():
    place = room_at(Path(sys.argv[1]))
    async with Room(place, opened(str(place.store)), place.key()).at_work(10) as room:
        told = [room.instruction(site, Action.CALL, power_w=1_500, call="c-9", valid=120)
                for site in (4, 5)]
        print("sending", flush=True)
        await room.send(told, "caller", "call c-9")

asyncio.run(main())
"""


def started(script: str, folder) -> Any:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True, cwd=FOLDER
    )


def test_kill_9_of_who_sent_a_call_and_of_the_room_resumes_it(folder, broker):
    """The sites are away; the sender dies, the room dies; the sites come back, and so the room."""

    def open_calls():
        with records(engine) as read:
            return [each for each in read.instructions(call="c-9") if each.answer is None]

    engine = opened(str(room_at(folder).store))
    sender = started(CALLING, folder)
    assert sender.stdout.readline() == "sending\n"
    watching = started(ROOM, folder)
    end = time.monotonic() + 30
    while len(open_calls()) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    for each in (sender, watching):
        each.kill()
        each.wait()
    again = started(ROOM, folder)

    async def story():
        async with simulated_fleet(folder, [4, 5], 0.3) as sites:
            await until(lambda: not open_calls())
            for each in sites.values():
                assert each.battery.report().following is Following.CALL
                calls = [
                    kept
                    for kept in each.link.ledger.kept()
                    if kept.envelope.order.instruction.call == "c-9"
                ]
                assert len(calls) == 1

    try:
        run(story())
    finally:
        again.terminate()
        again.wait()
    with records(engine) as read:
        assert read.check_trail().broken_at is None
    engine.dispose()


SITE = """
import asyncio, sys
from pathlib import Path
from vpp.link.simulated import simulated_fleet

async def main():
    async with simulated_fleet(Path(sys.argv[1]), [3], 0.3):
        print("up", flush=True)
        await asyncio.sleep(3_600)

asyncio.run(main())
"""


def test_kill_9_of_a_site_goes_on_with_what_it_followed(folder, broker):
    site = started(SITE, folder)
    assert site.stdout.readline() == "up\n"

    async def story():
        async with room_of(folder, True, lost_seconds=2.0) as room:
            await until(lambda: [each.site for each in room.alive()] == [3])
            call = room.instruction(3, Action.CALL, lasts=600, power_w=4_000, call="c-1")
            (told,) = await room.send([call], "caller", "")
            assert told.outcome is Outcome.TAKEN
            site.kill()
            site.wait()
            # The stop goes out while the site is away, and finds it when it is back.
            await until(lambda: room.alive() == [])
            again = started(SITE, folder)
            try:
                await until(lambda: len(room.alive()) == 1)
                await until(lambda: room.alive()[0].report.following is Following.CALL)
                (told,) = await room.send([room.instruction(3, Action.STOP)], "tanaka", "")
                assert told.outcome is Outcome.TAKEN
            finally:
                again.terminate()
                again.wait()

    run(story())


def test_one_room_at_a_time_keeps_watch(folder):
    async def story():
        first = asyncio.create_task(keep_room(folder))
        await asyncio.sleep(0)
        with pytest.raises(SettingError, match="one room at a time"):
            await keep_room(folder)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

    run(story())

"""Room and sites over a real broker: MQTT 5, TLS, certificates, access list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.broker import RunningBroker, fleet_in
from vpp.commands import Action, Following
from vpp.link.folders import room_at
from vpp.link.simulated import simulated_fleet
from vpp.room.room import Room
from vpp.room.store import Outcome, opened, records

SITES = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    fleet_in(folder, SITES)
    return folder


@pytest.fixture(scope="module")
def broker(folder):
    running = RunningBroker(folder)
    running.start()
    yield running
    running.stop()


async def until(met: Callable[[], bool], seconds: float = 20.0) -> None:
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


def run(test: Awaitable[None]) -> None:
    asyncio.run(test)


def test_a_command_is_taken_followed_and_kept_with_who_and_why(folder, broker):
    async def story():
        async with (
            simulated_fleet(folder, report_seconds=0.5) as sites,
            room_of(folder, True) as room,
        ):
            await until(lambda: len(room.alive()) == SITES)
            heard = []
            told = await room.send(
                [room.instruction(site, Action.DISCHARGE, power_w=5_000) for site in range(SITES)],
                "tanaka",
                "trial",
                heard.append,
                until_changed=True,
                patience=20,
            )
            assert [each.outcome for each in told] == [Outcome.TAKEN] * SITES
            assert all(0 <= each.answer.changed_at - each.answer.at < 5 for each in told)
            assert {each.instruction.site for each in heard} == set(range(SITES))
            await until(lambda: all(each.report.battery_w == 5_000 for each in room.alive()))
            assert {each.report.following for each in room.alive()} == {Following.COMMAND}
            kept = sites[0].link.ledger.kept()[-1]
            assert (kept.envelope.order.by, kept.envelope.order.why) == ("tanaka", "trial")
        with records(room.engine) as read:
            sent = read.instructions(site=0)[0]
            assert (sent.by, sent.why, sent.outcome) == ("tanaka", "trial", Outcome.TAKEN)
            assert sent.answer.changed_at is not None
            assert read.check_trail(kept.envelope.order.trail.hex()).broken_at is None
            assert read.minutes(0, int(time.time()) - 120, int(time.time()) + 60)

    run(story())

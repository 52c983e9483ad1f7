"""The desk for calls, with sites in memory: split, told, watched, split anew, resumed."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from energy.errors import SettingError, StoreError
from energy.units import SLOT_SECONDS
from tests.steered import SITE_W, Battery, Clock, MemoryRoom
from vpp.calls.call import Call, Direction, State, Step
from vpp.calls.desk import Desk
from vpp.calls.store import CallStore
from vpp.commands import Following

NOW = 1_000_000 * SLOT_SECONDS
START = NOW + 600


class Hall:
    """A desk with five sites, and time that passes in steps."""

    def __init__(self, folder, sites=5, **options):
        self.clock = Clock(NOW)
        self.sites = [
            Battery(number, self.clock, stored_wh=20_000 + 1_000 * number)
            for number in range(sites)
        ]
        self.room = MemoryRoom(self.sites)
        self.store = CallStore.at(str(folder / "calls.sqlite"), durable=False)
        self.options = options
        self.desk = self.new_desk()

    def new_desk(self):
        return Desk(self.store, self.room, clock=self.clock, **self.options)

    async def live(self, seconds, step=10):
        for _ in range(0, seconds, step):
            await self.desk.round()
            await self.desk.teller.idle()
            for site in self.sites:
                site.live(step)
            self.clock.time += step
        await self.desk.round()
        await self.desk.teller.idle()

    def events(self, name="c1"):
        return [entry.event for entry in self.store.journal(name)]


@pytest.fixture
def hall(tmp_path):
    return Hall(tmp_path)


def a_call(name="c1", kw=25, direction=Direction.UP, start=START, seconds=3600, **options):
    steps = (Step(start, start + seconds, kw * 1000),)
    return Call(name, direction, steps, received_at=NOW, **options)


def test_a_call_is_split_told_and_followed_from_beginning_to_end(hall):
    async def day():
        await hall.desk.receive(a_call())
        await hall.live(0)
        # Sites are told ahead, once each: three of them, the fullest first.
        assert [len(site.given) for site in hall.sites] == [0, 0, 1, 1, 1]
        assert [site.called_w for site in hall.sites] == [0] * 5
        await hall.live(600)
        assert hall.room.called_w == 25_000
        assert hall.store.call("c1").state is State.RUNNING
        await hall.live(3600)
        assert hall.room.called_w == 0
        assert hall.store.call("c1").state is State.ENDED
        assert sum(len(site.given) for site in hall.sites) == 3

    asyncio.run(day())
    assert hall.events() == ["received", "split", "running", "ended"]
    minutes = hall.store.minutes([4], START, START + 3600)
    assert len(minutes) == 60
    assert minutes[30].battery_w == SITE_W
    told = hall.store.told("c1")
    assert all(each.taken and each.changed_at == START for each in told)


def test_a_call_by_half_hours_is_told_half_hour_by_half_hour(hall):
    steps = (Step(START, START + 1800, 15_000), Step(START + 1800, START + 3600, 8_000))
    call = replace(a_call(), steps=steps)

    async def day():
        await hall.desk.receive(call)
        await hall.live(600)
        assert hall.room.called_w == 15_000
        await hall.live(1800)
        assert hall.room.called_w == 8_000

    asyncio.run(day())


def test_down_charges_the_emptiest_first(hall):
    async def day():
        await hall.desk.receive(a_call(kw=15, direction=Direction.DOWN))
        await hall.live(600)
        assert [site.called_w for site in hall.sites] == [-10_000, -5_000, 0, 0, 0]
        assert hall.sites[0].battery_w == -10_000

    asyncio.run(day())


def test_of_a_site_that_refuses_the_others_take_its_share(hall):
    hall.sites[4].refuses = "beyond its owner's limits"

    async def day():
        await hall.desk.receive(a_call())
        await hall.live(600)
        assert hall.room.called_w - hall.sites[4].called_w == 25_000

    asyncio.run(day())
    faults = [entry for entry in hall.store.journal("c1") if entry.event == "fault"]
    assert [(each.site, each.detail) for each in faults] == [
        (4, "refuses: beyond its owner's limits")
    ]


def test_of_a_site_that_does_not_answer_the_others_take_its_share(hall):
    hall.sites[3].silent = True

    async def day():
        await hall.desk.receive(a_call())
        await hall.live(600)
        assert hall.room.called_w == 25_000

    asyncio.run(day())
    assert "does not answer" in [entry.detail for entry in hall.store.journal("c1")]


def test_a_site_that_vanishes_is_split_around_within_a_slot_and_told_when_it_is_back(hall):
    async def day():
        await hall.desk.receive(a_call(kw=20))
        await hall.live(700)
        lost = hall.sites[4]
        assert lost.called_w == 10_000
        lost.gone = True
        await hall.live(120)
        assert hall.room.called_w - lost.called_w == 20_000
        told = len(lost.given)
        lost.gone = False
        await hall.live(20)
        # It went on with the call meanwhile: now it learns that it is over for it.
        assert lost.given[-1].power_w == 0
        assert len(lost.given) == told + 1
        assert hall.room.called_w == 20_000

    asyncio.run(day())


@pytest.mark.parametrize("following", [Following.OUT, Following.STOP, Following.OVERRIDE])
def test_a_site_whose_owner_takes_over_is_split_around(hall, following):
    async def day():
        await hall.desk.receive(a_call())
        await hall.live(700)
        hall.sites[4].following = following
        await hall.live(10)
        assert hall.room.called_w == 25_000

    asyncio.run(day())


def test_a_site_that_gives_too_little_is_made_up_for_until_it_recovers(hall):
    async def day():
        await hall.desk.receive(a_call())
        await hall.live(700)
        hall.sites[4].gives = 0.6
        await hall.live(30)
        assert sum(site.battery_w for site in hall.sites) == 21_000
        await hall.live(60)
        # It is asked on, and the others give what it does not.
        assert hall.sites[4].called_w == 10_000
        assert sum(site.battery_w for site in hall.sites) == 25_000
        await hall.live(300)
        assert sum(site.battery_w for site in hall.sites) == 25_000
        hall.sites[4].gives = 1.0
        await hall.live(90)
        assert hall.room.called_w == 25_000

    asyncio.run(day())
    events = [entry for entry in hall.store.journal("c1") if entry.site == 4]
    assert [(each.event, each.detail) for each in events] == [
        ("fault", "gives 6000 W of 10000 W"),
        ("recovered", ""),
    ]


def test_a_battery_that_runs_empty_is_relieved(hall):
    hall.desk.caution = replace(hall.desk.caution, floor=0.0, efficiency=1.0)
    for site in hall.sites:
        site.stored_wh = 12_100

    async def day():
        await hall.desk.receive(a_call(kw=20))
        await hall.live(600)
        # Somebody draws on one of them.
        hall.sites[0].stored_wh = 3_000
        assert hall.sites[0].called_w
        await hall.live(1200)
        assert hall.sites[0].battery_w == 0
        assert sum(site.battery_w for site in hall.sites) == 20_000

    asyncio.run(day())


def test_a_cancelled_call_is_taken_back_at_once(hall):
    async def day():
        await hall.desk.receive(a_call())
        await hall.live(700)
        await hall.desk.cancel("c1", "the caller took it back")
        await hall.live(0)
        assert hall.room.called_w == 0
        assert [site.given[-1].power_w for site in hall.sites if site.given] == [0, 0, 0]
        told = sum(len(site.given) for site in hall.sites)
        await hall.live(600)
        assert sum(len(site.given) for site in hall.sites) == told

    asyncio.run(day())
    assert hall.store.call("c1").state is State.CANCELLED


def test_a_new_version_replaces_the_call(hall):
    first = a_call(external="e1", revision="1")

    async def day():
        await hall.desk.receive(first)
        await hall.live(700)
        later = replace(first, steps=(Step(START, START + 7200, 12_000),), revision="2")
        await hall.desk.receive(later)
        await hall.live(10)
        assert hall.room.called_w == 12_000
        assert hall.store.call("c1").call.revision == "2"

    asyncio.run(day())


def test_calls_at_the_same_time_have_sites_of_their_own_by_rank(hall):
    async def day():
        await hall.desk.receive(a_call("low", kw=30, priority=5))
        await hall.live(10)
        await hall.desk.receive(a_call("high", kw=30, priority=1))
        await hall.live(600)
        of = {
            name: sum(s.called_w for s in hall.sites if s.call and s.call.call == name)
            for name in ("high", "low")
        }
        assert of == {"high": 30_000, "low": 20_000}

    asyncio.run(day())
    assert hall.store.journal("low")[-2].detail == "2 sites, 10000 W missing at most"


def test_of_contradictory_calls_the_lower_rests_while_both_last(hall):
    async def day():
        await hall.desk.receive(a_call("up", kw=20, priority=1, seconds=1800))
        await hall.desk.receive(
            a_call("down", kw=10, direction=Direction.DOWN, priority=2, seconds=3600)
        )
        await hall.live(700)
        assert sorted({site.called_w for site in hall.sites}) == [0, 10_000]
        await hall.live(1800)
        assert hall.room.called_w == -10_000

    asyncio.run(day())


def test_when_the_call_in_front_is_cancelled_the_one_behind_moves_up(hall):
    async def day():
        await hall.desk.receive(a_call("up", kw=20, priority=1))
        await hall.desk.receive(a_call("down", kw=10, direction=Direction.DOWN, priority=2))
        await hall.live(700)
        await hall.desk.cancel("up")
        await hall.live(10)
        assert hall.room.called_w == -10_000

    asyncio.run(day())


def test_a_call_that_nobody_can_serve_waits_for_who_can(hall):
    for site in hall.sites:
        site.following = Following.STOP

    async def day():
        await hall.desk.receive(a_call(start=NOW))
        await hall.live(30)
        assert hall.room.called_w == 0
        hall.sites[0].following = Following.PLAN
        await hall.live(30)
        assert hall.room.called_w == 10_000

    asyncio.run(day())


def test_a_call_that_stays_short_is_not_written_down_again_and_again(hall):
    async def day():
        await hall.desk.receive(a_call(kw=80, start=NOW))
        await hall.live(60)
        before = hall.store.shares("c1")
        await hall.live(300)
        assert hall.store.shares("c1") == before
        assert [len(site.given) for site in hall.sites] == [1] * 5

    asyncio.run(day())
    assert hall.events() == ["received", "running", "split"]


def test_an_instruction_that_a_newer_one_overtakes_is_nobodys_fault(hall):
    """The older one is refused by its sequence, or never answered: the newer one counts."""
    held = []

    async def late(instructions):
        held.append(instructions)
        gate = asyncio.Event()
        gates.append(gate)
        await gate.wait()
        return await answered(instructions)

    gates: list[asyncio.Event] = []
    answered = hall.room.send
    hall.room.send = late

    async def day():
        await hall.desk.receive(a_call(external="e1", revision="1"))
        await hall.desk.round()
        changed = replace(a_call(kw=14, external="e1"), revision="2")
        await hall.desk.receive(changed)
        await asyncio.sleep(0)
        await hall.desk.round()
        await asyncio.sleep(0)
        assert len(gates) == 2
        for gate in reversed(gates):
            gate.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await hall.desk.teller.idle()
        hall.room.send = answered
        await hall.live(700)
        assert hall.room.called_w == 14_000

    asyncio.run(day())
    assert "fault" not in hall.events()


def test_a_call_that_is_over_and_a_name_that_is_taken_are_refused(hall):
    async def day():
        with pytest.raises(SettingError, match="must end after now"):
            await hall.desk.receive(a_call(start=NOW - 7200, seconds=3600))
        await hall.desk.receive(a_call())
        with pytest.raises(SettingError, match="must be new, got c1"):
            await hall.desk.receive(a_call())
        with pytest.raises(SettingError, match="must be one that was received, got 'c2'"):
            await hall.desk.cancel("c2")

    asyncio.run(day())


def test_a_store_that_fails_for_a_while_holds_up_nothing_but_that_while(hall, caplog):
    fails = 3
    telling, answered = hall.store.telling, hall.store.answered

    def failing(write):
        def tried(*arguments):
            nonlocal fails
            if fails:
                fails -= 1
                raise StoreError("the disk is full")
            return write(*arguments)

        return tried

    hall.store.telling, hall.store.answered = failing(telling), failing(answered)

    async def day():
        await hall.desk.receive(a_call(start=NOW))
        running = asyncio.create_task(hall.desk.run(0.01))
        async with asyncio.timeout(10):
            while hall.room.called_w != 25_000 or fails:
                hall.clock.time += 0.01
                await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(day())
    assert caplog.text.count("the disk is full") == 3


class Killed(BaseException):
    """The process ends here."""


WRITES = ("add", "write", "set_shares", "plan", "telling", "answered", "set_state", "sample")


@pytest.mark.parametrize("after", range(1, 31))
def test_killed_at_any_write_the_room_goes_on_and_nobody_is_asked_twice(tmp_path, after):
    hall = Hall(tmp_path)
    count = itertools.count(1)

    def dying(write):
        def counted(*arguments, **options):
            if next(count) == after:
                raise Killed
            return write(*arguments, **options)

        return counted

    async def day():
        for name in WRITES:
            setattr(hall.store, name, dying(getattr(hall.store, name)))
        try:
            await hall.desk.receive(a_call())
            await hall.live(630, step=30)
        except Killed:
            pass
        hall.store = CallStore.at(str(tmp_path / "calls.sqlite"), durable=False)
        hall.desk = hall.new_desk()
        if not hall.store.calls():
            return
        await hall.live(690, step=30)
        assert hall.room.called_w == 25_000
        # The newest instruction is all that a site holds: none was added to another.
        assert all(abs(site.called_w) <= SITE_W for site in hall.sites)
        assert sum(site.battery_w for site in hall.sites) == 25_000

    asyncio.run(day())


def test_after_a_long_stop_sites_are_given_time_to_report(hall):
    async def day():
        await hall.desk.receive(a_call())
        await hall.live(700)
        told = sum(len(site.given) for site in hall.sites)
        for site in hall.sites:
            site.gone = True
        hall.clock.time += 300
        hall.desk = hall.new_desk()
        await hall.live(20)
        for site in hall.sites:
            site.gone = False
        await hall.live(200)
        assert hall.room.called_w == 25_000
        assert sum(len(site.given) for site in hall.sites) == told

    asyncio.run(day())

"""The demo's day: a clock that waits for everyone, two calls, three faults.

| time  | what happens                                                                        |
| ----- | ----------------------------------------------------------------------------------- |
| 00:00 | the joint plan goes to all sites                                                    |
| 12:20 | a call: less from the fleet (down), 12:30-13:30                                     |
| 12:50 | fault: a battery that serves it shows a state of charge of 140 %, until 14:30       |
| 17:20 | a call: more from the fleet (up), 17:30-18:30                                       |
| 17:45 | fault: the daemon of a site that serves it is killed, until 18:45                   |
| 18:05 | fault: the broker is killed, for a minute                                           |

Units: W, Wh; time in unix seconds of the demo's clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random

from sqlalchemy import Engine

from chain.anvil import AnvilChain, anvil
from chain.indexer import indexed
from chain.market import MarketContract
from chain.store import opened, stored
from energy.language import Language
from energy.market import MarketRules
from energy.messages import address_of
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, slots_of
from oracle.simulator import BATTERY, Fault
from orchestrator.fleet.view import named
from orchestrator.fleet_demo.plan import fleet_of, plan_of
from orchestrator.fleet_demo.site import DemoSite
from orchestrator.fleet_demo.words import say
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import Setting
from vpp.calendar import works_on
from vpp.calls.call import Basis, Call, Direction, Product, Step
from vpp.calls.desk import Desk
from vpp.calls.evidence import fulfilled
from vpp.calls.fulfilment import Fulfilment
from vpp.calls.joint import JointSplit
from vpp.calls.linked import LinkedRoom
from vpp.calls.store import CallStore
from vpp.calls.watch import Patience
from vpp.commands import Action
from vpp.fleet.model import Fleet
from vpp.link.broker import Broker, on_loopback
from vpp.link.folders import Member, room_at
from vpp.link.setup import new_fleet
from vpp.room.room import Room
from vpp.room.store import opened as room_opened

Progress = Callable[[str, int, int], None]
CALM_SECONDS, BUSY_SECONDS = 150, 20
"""A step of the clock: by day, and around a call."""
BUSY_BEFORE, BUSY_AFTER = 900, 300
LOOK_SECONDS, ANSWER_SECONDS = 0.02, 30.0
"""Of the wall's clock: how often it is looked whether all have reported, and how long at most."""
LOST_SECONDS = 3_600.0
"""A site is lost by what the desk says; by day reports come more seldom than the clock moves."""
WORKING_DAYS = 5
SHARE = 0.35
"""Of all batteries' power, that a call asks for."""
BY = "demo"


class Clock:
    """The demo's clock."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return float(self.seconds)


@dataclass(frozen=True)
class Happened:
    """Something that was done to the fleet, by the demo's clock."""

    at: int
    word: str
    site: int | None = None


@dataclass
class FleetDay:
    """What a day came to."""

    day: date
    folder: Path
    names: Mapping[Language, dict[int, str]]
    reports: list[Fulfilment] = field(default_factory=list)
    faults: list[Happened] = field(default_factory=list)

    def told(self, fault: Happened, language: Language) -> str:
        """Return what was done, in a language."""
        site = "" if fault.site is None else self.names[language][fault.site]
        return say(language, fault.word, site=site)


async def run_fleet_day(
    setting: Setting, members: Sequence[Member], day: date, folder: Path, seed: int,
    progress: Progress,
) -> FleetDay:  # fmt: skip
    """Run a fleet's day in an empty folder.

    Raises:
        YuiError: the first that cannot be lived with.
    """
    slots = slots_of(day)
    past = _working_days_before(day)
    begin = slots_of(past[0]).start
    names = {each: {one.site: named(one, each) for one in members} for each in Language}
    done = FleetDay(day, folder, names)
    progress("certify", 0, len(members))
    fleet_folder = folder / "fleet"
    new_fleet(
        fleet_folder, "demo", members, on_loopback(), lambda n, of: progress("certify", n, of)
    )
    clock = Clock(slots.start * SLOT_SECONDS)
    chance, series = Random(seed), (load_series(), pv_series())
    columns = [str(site.load_column) for site in setting.sites]
    sites = [
        DemoSite(each, chance, columns, series, slots, folder, fleet_folder, clock)
        for each in members
    ]
    broker = Broker(fleet_folder)
    with anvil(
        (begin - setting.market.horizon_slots - 3) * SLOT_SECONDS, log=folder / "anvil.log"
    ) as node:
        async with AsyncExitStack() as stack:
            broker.start()
            stack.callback(broker.stop)
            market = await asyncio.to_thread(_deployed, node, setting, sites, begin)
            for site in sites:
                await site.start(stack, node, market.address)
                stack.push_async_callback(site.kill)
            await _fill(node, market, sites, past, progress)
            engine = opened(str(folder / "store.sqlite"))
            stack.callback(engine.dispose)
            day_ = _Day(done, clock, node, market, engine, sites, broker, slots, progress)
            await day_.run(fleet_folder)
    return done


def _working_days_before(day: date) -> list[date]:
    found: list[date] = []
    at = day
    while len(found) < WORKING_DAYS:
        at -= timedelta(days=1)
        if works_on(slots_of(at).start):
            found.append(at)
    return found[::-1]


def _deployed(
    node: AnvilChain, setting: Setting, sites: Sequence[DemoSite], first: int
) -> MarketContract:
    rules: MarketRules = setting.market.rules(node.now() // SLOT_SECONDS)
    market = MarketContract.deployed(node, node.sender, rules)
    market.enact_tariff(first, setting.tariffs)
    for site in sites:
        node.fund(address_of(site.oracle_key))
        market.enrol(first, address_of(site.trader_key), address_of(site.oracle_key), site.ratings)
    return market


async def _fill(
    node: AnvilChain, market: MarketContract, sites: Sequence[DemoSite], past: Sequence[date],
    progress: Progress,
) -> None:  # fmt: skip
    """Push the readings of the working days before: what a baseline is made of."""
    wanted = [slot for each in past for slot in slots_of(each)]
    for number, slot in enumerate(wanted):
        await asyncio.to_thread(node.set_time, (slot + 1) * SLOT_SECONDS)
        signed = [site.before(slot) for site in sites]
        readings, signatures = [each for each, _ in signed], [each for _, each in signed]
        await asyncio.to_thread(market.push, readings, signatures)
        progress("history", number + 1, len(wanted))


class _Day:
    """The day, step by step."""

    def __init__(
        self, done: FleetDay, clock: Clock, node: AnvilChain, market: MarketContract,
        engine: Engine, sites: Sequence[DemoSite], broker: Broker, slots: range,
        progress: Progress,
    ) -> None:  # fmt: skip
        self.done, self.clock, self.node, self.market = done, clock, node, market
        self.engine, self.sites, self.broker = engine, sites, broker
        self.slots, self.progress = slots, progress
        self.start = slots.start * SLOT_SECONDS
        self.desk: Desk | None = None
        power = sum(site.size.power_w for site in sites)
        product = Product("tertiary-2", 30_000, 2_000, response_seconds=300, basis=Basis.PLAN)
        self.calls = [
            self._call("down-1230", Direction.DOWN, 12.5, int(power * SHARE / 2), product),
            self._call("up-1730", Direction.UP, 17.5, int(power * SHARE), product),
        ]

    async def run(self, fleet_folder: Path) -> None:
        place = room_at(fleet_folder)
        room_engine = room_opened(str(place.store))
        calls = self.store = CallStore.at(str(self.done.folder / "calls.sqlite"))
        room = Room(
            place, room_engine, place.key(), watch=True, clock=self.clock, lost_seconds=LOST_SECONDS
        )
        self.room = room
        async with room.at_work(within=ANSWER_SECONDS):
            await self._step(self.start)
            await self._heard()
            fleet = await asyncio.to_thread(fleet_of, self.sites, self.slots)
            linked = LinkedRoom(room)
            split = JointSplit(lambda: fleet, lambda: int(self.clock()), seconds=ANSWER_SECONDS)
            desk = self.desk = Desk(
                calls,
                linked,
                linked.planned,
                wanted=split,
                patience=Patience(answer_seconds=60, gone_seconds=120, short_seconds=120),
                clock=self.clock,
            )
            await self._plan(room, fleet)
            await self._play()
            await desk.teller.idle()
        await asyncio.to_thread(indexed, self.engine, self.node, self.market.address)
        with stored(self.engine) as chain:
            for call in self.calls:
                self.done.reports.append(fulfilled(calls, chain, call.name))
        room_engine.dispose()

    async def _plan(self, room: Room, fleet: Fleet) -> None:
        """Make the joint plan, and have every site take its part of it."""
        by_name = await asyncio.to_thread(plan_of, fleet)
        told = [
            room.instruction(
                site.number,
                Action.PLAN,
                lasts=SLOTS_PER_DAY * SLOT_SECONDS,
                starts_at=self.start,
                valid=3600,
                plan_wh=by_name[site.name],
            )
            for site in self.sites
        ]
        await room.send(told, BY, "the day's joint plan", patience=ANSWER_SECONDS)

    async def _heard(self) -> None:
        """Wait until the room has this step's report of every site whose daemon runs."""
        wanted = {site.number for site in self.sites if site.served is not None}
        end = asyncio.get_running_loop().time() + ANSWER_SECONDS
        while asyncio.get_running_loop().time() < end:
            fresh = {
                state.report.site
                for state in self.room.alive()
                if state.report is not None and state.report.at >= self.clock.seconds
            }
            if wanted <= fresh:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _play(self) -> None:
        events = dict(self._events())
        end = self.slots.stop * SLOT_SECONDS
        while self.clock.seconds < end:
            now = self.clock.seconds
            for at in sorted(at for at in events if at <= now):
                await events.pop(at)()
            await self._step(min(now + self._stride(now), _next_slot(now)))

    async def _step(self, to: int) -> None:
        """Move the clock, and let everyone do what there is to do."""
        before, self.clock.seconds = self.clock.seconds, to
        for site in self.sites:
            site.advance(to)
        if to % SLOT_SECONDS == 0 and to > self.start:
            await asyncio.to_thread(self.node.set_time, to)
            await asyncio.gather(*(site.read(to // SLOT_SECONDS - 1) for site in self.sites))
        elif to == self.start:
            await asyncio.gather(*(site.terminal.sample() for site in self.sites))
        await asyncio.gather(*(site.cycle() for site in self.sites))
        if self._stride(before) == BUSY_SECONDS and self.broker.is_running:
            await self._heard()
        if self.desk is not None:
            await self.desk.round()
        await asyncio.sleep(LOOK_SECONDS)
        slot = (to - self.start) // SLOT_SECONDS
        self.progress("day", slot, len(self.slots))

    def _stride(self, now: int) -> int:
        busy = any(
            call.starts_at - BUSY_BEFORE <= now < call.ends_at + BUSY_AFTER for call in self.calls
        )
        return BUSY_SECONDS if busy else CALM_SECONDS

    def _events(self) -> Iterator[tuple[int, Callable[[], Awaitable[None]]]]:
        down, up = self.calls
        yield down.received_at, lambda: self._receive(down)
        yield down.starts_at + 1_200, lambda: self._break(down)
        yield up.received_at, lambda: self._receive(up)
        yield up.starts_at + 900, lambda: self._kill_site(up)
        yield up.starts_at + 2_100, self._kill_broker
        yield up.starts_at + 2_160, self._start_broker
        yield down.ends_at + 3_600, self._mend
        yield up.ends_at + 900, self._serve_again

    def _call(
        self, name: str, direction: Direction, hour: float, power_w: int, product: Product
    ) -> Call:
        begins = self.start + int(hour * 3600)
        step = Step(begins, begins + 3600, power_w - power_w % 1000)
        return Call(name, direction, (step,), begins - 600, product)

    async def _receive(self, call: Call) -> None:
        if self.desk is not None:
            await self.desk.receive(call)

    def _serving(self, call: Call) -> DemoSite:
        """Return the site that gives the most of a call now."""
        now = self.clock.seconds
        shares = [
            share
            for share in self.store.shares(call.name)
            if share.starts_at <= now < share.ends_at and share.power_w
        ]
        most = max(shares, key=lambda share: abs(share.power_w))
        return next(site for site in self.sites if site.number == most.site)

    async def _break(self, call: Call) -> None:
        self.broken = self._serving(call)
        self.broken.simulator.break_(BATTERY, Fault.OVERFULL)
        self._say("overfull", self.broken)

    async def _mend(self) -> None:
        self.broken.simulator.mend(BATTERY)
        self._say("mended", self.broken)

    async def _kill_site(self, call: Call) -> None:
        self.killed = self._serving(call)
        await self.killed.kill()
        self._say("killed", self.killed)

    async def _serve_again(self) -> None:
        self.killed.serve()
        self._say("started", self.killed)

    async def _kill_broker(self) -> None:
        await asyncio.to_thread(self.broker.kill)
        self._say("broker_killed")

    async def _start_broker(self) -> None:
        await asyncio.to_thread(self.broker.start)
        await self._heard()
        self._say("broker_started")

    def _say(self, word: str, site: DemoSite | None = None) -> None:
        number = None if site is None else site.number
        self.done.faults.append(Happened(self.clock.seconds, word, number))


def _next_slot(now: int) -> int:
    return (now // SLOT_SECONDS + 1) * SLOT_SECONDS

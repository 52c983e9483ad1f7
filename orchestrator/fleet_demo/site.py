"""A site of the demo: simulated devices behind Modbus, and what an office runs beside them.

Load is one of the seven offices' of the bundled year, as it was, the sun that of the bundled roof;
batteries differ. Energy in Wh, power in W.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from chain.market import MarketContract
from chain.node import NodeChain, fresh_key
from chain.terminal import TerminalChain
from energy.messages import sign
from energy.records import Reading
from energy.registry import Ratings
from energy.units import SLOT_SECONDS
from field.modbus import Line, Tcp
from oracle.device import Instruments
from oracle.keys import KeySigner
from oracle.outbox import Outbox
from oracle.plant import Battery
from oracle.simulator import BATTERY, INVERTER, METER, SiteSimulator
from oracle.terminal import Terminal
from orchestrator.setting.series import LoadSeries, PvSeries
from vpp.calendar import works_on
from vpp.dispatch.hand import Rhythm
from vpp.dispatch.instruments import Instruments as DispatchInstruments
from vpp.dispatch.limits import OwnerLimits
from vpp.dispatch.site import Place, SiteDispatch
from vpp.dispatch.store import Store
from vpp.dispatch.sunspec import SunSpecBattery, SunSpecPower
from vpp.dispatch.trust import Patience
from vpp.forecast import HISTORY_DAYS, History, Past
from vpp.link.folders import Member, site_at
from vpp.link.ledger import Ledger
from vpp.link.site import SiteLink
from vpp.link.wire import user_of

LEAST_PERCENT = 20.0
REVERT_SECONDS = 600
"""By the demo's clock, which a step moves on by minutes."""
REPORT_SECONDS = 0.2
"""By the wall's clock."""
PATIENCE = Patience(stale=300.0, sane=600.0, frozen=1200.0, follow=600.0, follow_w=1_000)
SECOND_PARTS = 3600


@dataclass(frozen=True)
class Served:
    """What runs at a site: its daemon's tasks, and what they use."""

    dispatch: SiteDispatch
    link: SiteLink
    task: asyncio.Task[None]
    line: Line


class DemoSite:
    """One site. `clock` is the demo's, in unix seconds."""

    def __init__(
        self,
        member: Member,
        chance: Random,
        columns: list[str],
        series: tuple[LoadSeries, PvSeries],
        slots: range,
        folder: Path,
        fleet: Path,
        clock: Callable[[], float],
    ) -> None:
        self.number, self.name, self.member = member.site, member.name, member
        self.folder, self.clock = folder, clock
        self.link_folder = fleet / "sites" / user_of(member.site)
        loads, sun = series
        column = columns[member.site % len(columns)]
        self.pv_power = chance.choice((400, 600, 800))
        capacity = chance.choice((20_000, 40_000, 60_000))
        self.size = Battery(capacity, capacity // 2, initial_wh=int(capacity * 0.5))
        self.trader_key, self.oracle_key = fresh_key(), fresh_key()
        self.load: Callable[[int], int] = lambda slot: loads.load(column, slot)
        self.sun: Callable[[int], int] = lambda slot: sun.generation(self.pv_power, slot)
        self.simulator = SiteSimulator(
            self.load,
            self.sun,
            self.size,
            start_seconds=slots.start * SLOT_SECONDS,
            parts=SECOND_PARTS,
        )
        self.history = History(works_on)
        for slot in range(slots.start - HISTORY_DAYS * 48, slots.start):
            self.history.slots[slot] = Past(self.load(slot), self.sun(slot))
        self.served: Served | None = None

    @property
    def ratings(self) -> Ratings:
        """What its meters can ever show."""
        return Ratings(
            100_000,
            2_000,
            self.pv_power * 2,
            self.size.power_w // 50,
            self.size.capacity_wh // 100,
            self.size.efficiency,
        )

    async def start(self, stack: AsyncExitStack, node: NodeChain, address: str) -> None:
        """Start the devices, and the terminal that reads them for the chain."""
        await stack.enter_async_context(self.simulator)
        instruments = Instruments(self.simulator.devices())
        outbox = Outbox(self.folder / f"terminal-{self.number}.sqlite")
        stack.callback(outbox.close)
        stack.callback(instruments.close)
        self.market = MarketContract(node.as_sender(self.oracle_key), address)
        self.terminal = Terminal(
            self.number,
            instruments,
            outbox,
            KeySigner(self.market.domain, self.oracle_key),
            lambda: self.simulator.plant.time_seconds,
        )
        self.serve()

    def serve(self) -> None:
        """Run the site's dispatch and link, on what it has on disk."""
        line = Line(Tcp("127.0.0.1", self.simulator.port), retries=0)
        dispatch = SiteDispatch(
            Place(self.number, self.name, self.member.municipality, self.member.kind),
            DispatchInstruments(
                SunSpecBattery(line, BATTERY),
                SunSpecPower(line, METER, SunSpecPower.METER),
                SunSpecPower(line, INVERTER, SunSpecPower.INVERTER),
            ),
            OwnerLimits(self.size.power_w, self.size.power_w, LEAST_PERCENT),
            Store(self.folder / f"dispatch-{self.number}.sqlite"),
            rhythm=Rhythm(REVERT_SECONDS, 1.0),
            patience=PATIENCE,
            clock=self.clock,
            monotonic=self.clock,
        )
        place = site_at(self.link_folder)
        link = SiteLink(place, dispatch, Ledger(place.ledger), REPORT_SECONDS, self.clock)
        self.served = Served(dispatch, link, asyncio.create_task(link.run()), line)

    async def kill(self) -> None:
        """Let the site's daemon be gone from one moment to the next."""
        if self.served is not None:
            served, self.served = self.served, None
            served.task.cancel()
            with suppress(asyncio.CancelledError):
                await served.task
            served.line.close()
            served.dispatch.store.close()

    def advance(self, to_seconds: int) -> None:
        """Let the devices go on; nobody is needed for that."""
        self.simulator.advance(to_seconds)

    async def cycle(self) -> None:
        """Let the daemon read, decide and write, if it is there."""
        if self.served is not None:
            await self.served.dispatch.cycle()

    async def read(self, slot: int) -> None:
        """Read the devices at a slot's end, and push the signed reading."""
        await self.terminal.sample()
        self.terminal.close_slot(slot)
        await self.terminal.push(TerminalChain(self.market))

    def before(self, slot: int) -> tuple[Reading, bytes]:
        """Return the signed reading of a slot before the demo, its battery at rest."""
        net = self.sun(slot) - self.load(slot)
        reading = Reading(
            slot, self.number, max(-net, 0), max(net, 0), self.sun(slot),
            stored=self.size.initial_wh,
        )  # fmt: skip
        return reading, sign(reading, self.market.domain, self.oracle_key)

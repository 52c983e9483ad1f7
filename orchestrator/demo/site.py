"""A site of the day: its simulated devices, its terminal, its trading agent."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path

from chain.attesting import Attestor, key_signed
from chain.database import opened
from chain.market import MarketContract
from chain.node import NodeChain, fresh_key
from chain.origin import OriginContract
from chain.terminal import TerminalChain
from energy.errors import SettingError
from energy.messages import sign
from energy.records import Reading
from energy.registry import Tariff
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, slots_of
from oracle.device import Instruments
from oracle.keys import KeySigner
from oracle.outbox import Outbox
from oracle.plant import Battery as PlantBattery
from oracle.simulator import BATTERY, SiteSimulator
from oracle.terminal import Terminal
from orchestrator.moving.mover import SignedOrder
from orchestrator.setting.series import LoadSeries, PvSeries
from orchestrator.setting.sites import Site
from orchestrator.steering.choice import steering_of
from orchestrator.steering.steering import Position, Tariffs, net_offers
from orchestrator.trading.agents import Limits, Truthful, net_export, orders_of
from vpp.calendar import works_on
from vpp.control import BatteryControl
from vpp.forecast import HISTORY_DAYS, History, Past

REVERT_SECONDS = 2 * SLOT_SECONDS


class SiteOfDay:
    """One site: its simulated devices, its terminal, its agent."""

    def __init__(
        self,
        site: Site,
        day: date,
        folder: Path,
        loads: LoadSeries,
        sun: PvSeries,
        steering: str,
        tariffs: Tariffs,
    ) -> None:
        self.site = site
        self.trader_key, self.oracle_key = fresh_key(), fresh_key()
        self.slots = slots_of(day)
        column = column_of(site)
        battery = None
        if site.battery:
            battery = PlantBattery(
                site.battery.capacity_wh,
                site.battery.size.power_w,
                site.battery.efficiency,
                initial_wh=site.battery.minimum_wh,
            )
        self.simulator = SiteSimulator(
            lambda slot: loads.load(column, slot),
            lambda slot: sun.generation(site.pv_power, slot),
            battery,
            start_seconds=self.slots.start * SLOT_SECONDS,
        )
        # What the site's own meters showed before the trial began.
        self.history = History(works_on)
        first = max(
            self.slots.start - HISTORY_DAYS * SLOTS_PER_DAY, slots_of(loads.first_day).start
        )
        for slot in range(first, self.slots.start):
            self.history.slots[slot] = Past(
                loads.load(column, slot), sun.generation(site.pv_power, slot)
            )
        self.limits = Limits(site.ask, site.bid, site.ratings.order_energy)
        self.outbox = Outbox(folder / f"terminal-{site.number}.sqlite")
        self.readings: dict[int, Reading] = {}
        self.steering = steering_of(steering, site, self.history, tariffs)

    async def start(self, stack: AsyncExitStack, node: NodeChain, address: str) -> None:
        """Start the devices and connect the terminal to them and to the chain."""
        await stack.enter_async_context(self.simulator)
        instruments = Instruments(self.simulator.devices())
        stack.callback(instruments.close)
        stack.callback(self.outbox.close)
        self.market = MarketContract(node.as_sender(self.oracle_key), address)
        self.terminal = Terminal(
            self.site.number,
            instruments,
            self.outbox,
            KeySigner(self.market.domain, self.oracle_key),
            lambda: self.simulator.plant.time_seconds,
        )
        if self.simulator.battery:
            self.control = BatteryControl("127.0.0.1", self.simulator.port, BATTERY)
            stack.callback(self.control.close)

    async def read(self, slot: int) -> None:
        """Let the devices run to the end of a slot, read them, and push the reading."""
        self.simulator.advance((slot + 1) * SLOT_SECONDS)
        await self.terminal.sample()
        reading = self.terminal.close_slot(slot)
        await self.terminal.push(TerminalChain(self.market))
        if reading:
            self.readings[slot] = reading
            self.history.add(reading)

    def attest(self, origin: str) -> None:
        """Recompute the day's root from the chain alone, and attest it."""
        node = self.market.chain
        assert isinstance(node, NodeChain)
        contract = OriginContract(node, origin)
        store = opened("sqlite://")
        sign = key_signed(contract, self.oracle_key)
        attestor = Attestor(store, node, self.market.address, contract, self.site.number, sign)
        attestor.attest_due()
        store.dispose()

    async def command_battery(self, slot: int, position: Position) -> None:
        """Tell the battery what is wanted of it in a slot."""
        if self.site.battery:
            command = self.steering.begin(slot, self.available(slot - 1), position)
            await self.control.send(command, REVERT_SECONDS)

    def orders(self, slot: int, tariff: Tariff, after_metering: bool) -> list[SignedOrder]:
        """Return the agent's signed orders for a slot."""
        if after_metering:
            reading = self.readings.get(slot)
            offers = net_offers(slot, net_export(reading) if reading else 0)
        else:
            offers = self.steering.offers(slot)
        orders = orders_of(offers, self.site.number, tariff, Truthful(), self.limits)
        return [
            SignedOrder(each, sign(each, self.market.domain, self.trader_key)) for each in orders
        ]

    def available(self, slot: int) -> int:
        """Return what the battery can deliver at the end of a slot, by the newest reading, Wh."""
        assert self.site.battery
        newest = max((at for at in self.readings if at <= slot), default=None)
        stored = self.readings[newest].stored if newest else self.site.battery.minimum_wh
        return max(stored - self.site.battery.minimum_wh, 0)


def column_of(site: Site) -> str:
    """Return the column of loads that plays a site; SettingError if it names none."""
    if site.load_column is None:
        raise SettingError(f"site {site.name} must name a load_column to be played, got none")
    return site.load_column

"""A day of the sites file, from meter to statement, on a chain of its own.

Everything in it is real but the buildings: a node (anvil), or a network of the sites' own
validators that is governed by their council; the contract, deployed by brownie
where it is installed; a Modbus server for each site's devices, which play the bundled series;
a terminal for each site that reads them, signs and pushes; a trading agent for each site that
knows its own past readings and no more; the battery's commands over Modbus. Only the clock is
in a hurry: each step happens at its time of the day, and the next one follows at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import Engine

from chain.anvil import AnvilChain, anvil
from chain.attesting import Attestor, key_signed
from chain.council import MARKET, Act, Council
from chain.database import opened
from chain.indexer import indexed
from chain.market import MarketContract
from chain.network.keys import key_at
from chain.network.profile import profile_at
from chain.network.trial import TrialChain, trial
from chain.node import NodeChain, fresh_key
from chain.origin import OriginContract
from chain.safe import creation_of
from chain.store import stored
from chain.terminal import TerminalChain
from chain.writer import written
from energy.errors import ChainError, SettingError
from energy.market import MarketRules
from energy.messages import address_of, sign
from energy.records import Reading
from energy.registry import Tariff
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, slot_of_day, slots_of
from oracle.device import Instruments
from oracle.keys import KeySigner
from oracle.outbox import Outbox
from oracle.plant import Battery as PlantBattery
from oracle.simulator import BATTERY, SiteSimulator
from oracle.terminal import Terminal
from orchestrator.auditing.audit import audited
from orchestrator.auditing.market import Findings
from orchestrator.moving.mover import Mover, SignedOrder, relayed
from orchestrator.setting.series import (
    LOADS_NAME,
    PV_NAME,
    LoadSeries,
    PvSeries,
    load_series,
    pv_series,
)
from orchestrator.setting.sites import Setting, Site
from orchestrator.steering.choice import steering_of
from orchestrator.steering.steering import (
    OPEN,
    RULE,
    Position,
    Tariffs,
    net_offers,
    position_of,
)
from orchestrator.trading.agents import Limits, Truthful, net_export, orders_of
from vpp.calendar import works_on
from vpp.control import BatteryControl
from vpp.forecast import HISTORY_DAYS, History, Past

ORDER_SECONDS = 60
"""How long before the gate, or after the slot's end, agents send their orders."""
REVERT_SECONDS = 2 * SLOT_SECONDS

ANVIL, POA = "anvil", "poa"
NETWORKS = (ANVIL, POA)
"""A development chain, or seven members' validators that seal a block a second."""

DemoChain = AnvilChain | TrialChain

Progress = Callable[[str, int, int], None]
"""Told what is being done, slots settled and slots in all."""


@dataclass(frozen=True)
class DemoDay:
    """What a demo day left: where its store is, what was deployed and how, what the audit found."""

    day: date
    store: str
    address: str
    origin: str
    deployed_by: str
    findings: Findings


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
        column = _column(site)
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


async def run_day(
    setting: Setting,
    day: date,
    folder: Path,
    progress: Progress,
    sites_file: Path | None = None,
    network: str = ANVIL,
    steering: str = RULE,
) -> DemoDay:
    """Run a day and return what it left in `folder`, whose content is replaced.

    `steering` is who steers batteries, one of `STEERINGS`.

    Raises:
        SettingError, ChainError, DeviceError, AuditError.
    """
    loads, sun = load_series(), pv_series()
    for described in setting.sites:
        loads.day(_column(described), day)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    slots = slots_of(day)
    start = (slots.start - setting.market.horizon_slots - 3) * SLOT_SECONDS
    progress("chain", 0, SLOTS_PER_DAY)
    with _chain(network, start, folder, setting) as node:
        progress("deploy", 0, SLOTS_PER_DAY)
        address, origin, deployed_by = await asyncio.to_thread(
            _deployed, node, setting, folder, sites_file
        )
        market = MarketContract(node, address)
        sites = [
            SiteOfDay(
                site,
                day,
                folder,
                loads,
                sun,
                steering,
                lambda slot, _: setting.tariffs[slot_of_day(slot)],
            )
            for site in setting.sites
        ]
        progress("enrol", 0, SLOTS_PER_DAY)
        await asyncio.to_thread(_enrol, node, market, setting, sites, slots.start)
        store_path = str(folder / "store.sqlite")
        engine = opened(store_path)
        with written(engine) as store:
            names = {site.number: [site.name, site.name_ja] for site in setting.sites}
            store.set("names", json.dumps(names))
            store.set("kind", "demo")
            store.set("loads", LOADS_NAME)
            store.set("pv", PV_NAME)
            store.set("pv_gap_days", str(int(sun.has_gap(day))))
            store.set("day", day.isoformat())
            store.set("mode", setting.market.mode)
            store.set("battery", steering)
            store.set("origin", origin)
        mover = Mover(market, node, engine, slots.start)
        progress("day", 0, len(slots))
        async with AsyncExitStack() as stack:
            for site in sites:
                await site.start(stack, node, address)
            await _run(node, market, mover, sites, slots, progress)
        for number, site in enumerate(sites):
            progress("attest", number, len(sites))
            await asyncio.to_thread(site.attest, origin)
        progress("audit", SLOTS_PER_DAY, SLOTS_PER_DAY)
        await asyncio.to_thread(node.wait_until_final, node.height())
        await asyncio.to_thread(indexed, engine, node, address)
        state = folder / "audit.state"
        findings = await asyncio.to_thread(audited, node, address, origin, state=state)
        engine.dispose()
    return DemoDay(day, store_path, address, origin, deployed_by, findings)


async def _run(
    node: DemoChain,
    market: MarketContract,
    mover: Mover,
    sites: list[SiteOfDay],
    slots: range,
    progress: Progress,
) -> None:
    """Do what each moment of the day asks for, in the order of time."""
    rules = market.rules
    settled = 0

    async def begin(slot: int) -> None:
        if slot == slots.start:
            await asyncio.gather(*(site.terminal.sample() for site in sites))
        if rules.after_metering:
            positions = [OPEN] * len(sites)
        else:
            positions = await asyncio.to_thread(_positions, node, market, mover.store, sites, slot)
        await asyncio.gather(
            *(
                site.command_battery(slot, position)
                for site, position in zip(sites, positions, strict=True)
            )
        )

    async def order(slot: int) -> None:
        tariff = market.tariff_at(slot)
        orders = [
            signed for site in sites for signed in site.orders(slot, tariff, rules.after_metering)
        ]
        if orders:
            for refused in await asyncio.to_thread(relayed, market, orders):
                print(f"order refused: {refused.refusal}", file=sys.stderr)

    async def read(slot: int) -> None:
        await asyncio.gather(*(site.read(slot) for site in sites))

    async def move(_: int) -> None:
        nonlocal settled
        settled += len(await asyncio.to_thread(mover.move, node.now()))
        progress("day", settled, len(slots))

    agenda = []
    for slot in slots:
        begins, ends = slot * SLOT_SECONDS, (slot + 1) * SLOT_SECONDS
        gate = rules.gate_of(slot)
        ordering = ends + ORDER_SECONDS if rules.after_metering else gate - ORDER_SECONDS
        # Of what falls on one moment, the slot that ends comes before the one that begins.
        agenda += [
            (ordering, 0, order, slot),
            (gate, 1, move, slot),
            (ends, 2, read, slot),
            (ends + ORDER_SECONDS // 2, 3, move, slot),
            (begins, 4, begin, slot),
        ]
    # A reading that never comes is settled without, once its deadline is past.
    agenda.append((rules.deadline_of(slots[-1]), 5, move, slots[-1]))
    for moment, _, act, slot in sorted(agenda, key=lambda entry: entry[:2]):
        if moment > node.now():
            await asyncio.to_thread(node.set_time, moment)
        await act(slot)
    while mover.first_open < slots.stop and settled == len(slots):
        # Seen is not final yet, and what has vanished is done again.
        await asyncio.to_thread(node.wait_until_final, node.height())
        await move(slots[-1])
    await move(slots[-1])
    if settled != len(slots):
        raise ChainError(f"all {len(slots)} slots must be settled, got {settled}")


def _positions(
    node: DemoChain, market: MarketContract, engine: Engine, sites: list[SiteOfDay], slot: int
) -> list[Position]:
    """Return each site's position in a slot by the book that the chain has cleared."""
    indexed(engine, node, market.address)
    with stored(engine) as store:
        span = range(slot, slot + 1)
        orders, trades = store.orders(span), [trade for trade, _ in store.trades(span)]
    return [position_of(site.site.number, orders, trades) for site in sites]


def _column(site: Site) -> str:
    if site.load_column is None:
        raise SettingError(f"site {site.name} must name a load_column to be played, got none")
    return site.load_column


@contextmanager
def _chain(network: str, start: int, folder: Path, setting: Setting) -> Iterator[DemoChain]:
    if network == ANVIL:
        with anvil(start, log=folder / "anvil.log") as node:
            yield node
        return
    names = [site.name.lower() for site in setting.sites]
    with trial(folder / "network", names, start) as (chain, _):
        yield chain


def _enrol(
    node: DemoChain,
    market: MarketContract,
    setting: Setting,
    sites: list[SiteOfDay],
    first_slot: int,
) -> None:
    keys = [(address_of(site.trader_key), address_of(site.oracle_key)) for site in sites]
    for _, oracle in keys:
        node.fund(oracle)
    if isinstance(node, TrialChain):
        words = tuple(tariff.to_word() for tariff in setting.tariffs)
        acts = [Act(MARKET, market.address, "enactTariff", (first_slot, words))]
        for site, pair in zip(sites, keys, strict=True):
            arguments = (first_slot, *pair, astuple(site.site.ratings))
            acts.append(Act(MARKET, market.address, "enrol", arguments))
        _decide(node, acts)
        return
    market.enact_tariff(first_slot, setting.tariffs)
    for site, pair in zip(sites, keys, strict=True):
        market.enrol(first_slot, *pair, site.site.ratings)


def _decide(node: TrialChain, acts: list[Act]) -> None:
    """Let as many members as are needed sign, and execute it."""
    profile = profile_at(node.network)
    council = Council(node, profile.safe)
    proposal = council.proposal(acts)
    for member in profile.members[: profile.threshold]:
        proposal = proposal.signed(key_at(node.network / "members" / member.name / "council.json"))
    council.execute(proposal)


def _owner(node: DemoChain) -> str:
    """Return who is to own the market: on the members' network, their council."""
    if not isinstance(node, TrialChain):
        return node.sender
    profile = profile_at(node.network)
    creation = creation_of(profile.seats, profile.threshold)
    node.send(creation.to, creation.data)
    return profile.safe


def _deployed(
    node: DemoChain, setting: Setting, folder: Path, sites_file: Path | None
) -> tuple[str, str, str]:
    """Deploy market and ledger of origins; return their addresses and what deployed them."""
    root = Path(__file__).resolve().parent.parent
    script = root / "deploy" / "with-tools"
    if (
        not script.exists()
        or shutil.which("brownie", path=str(Path(sys.executable).parent)) is None
    ):
        first_slot = node.now() // SLOT_SECONDS + 1
        rules: MarketRules = setting.market.rules(first_slot)
        market = MarketContract.deployed(node, _owner(node), rules)
        return market.address, OriginContract.deployed(node, market.address).address, "web3"
    manifest = folder / "manifest.json"
    environment = {
        **os.environ,
        "YUI_RPC_URL": node.url,
        "YUI_MANIFEST": str(manifest),
        "YUI_MODE": setting.market.mode,
    }
    if isinstance(node, TrialChain):
        accounts = node.network.absolute() / "accounts"
        environment["YUI_OWNER"] = _owner(node)
        environment["YUI_DEPLOYER_KEYSTORE"] = str(accounts / "deployer.json")
        environment["YUI_DEPLOYER_PASSPHRASE_FILE"] = str(accounts / "deployer.passphrase")
    if sites_file:
        environment["YUI_SITES"] = str(sites_file.resolve())
    done = subprocess.run(
        [script, "python", "-m", "deploy.deploy"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
    )
    (folder / "deploy.log").write_text(done.stdout + done.stderr)
    if done.returncode or not manifest.exists():
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise ChainError(f"brownie must deploy the market, got {last[0]}")
    contracts = json.loads(manifest.read_text())["contracts"]
    return contracts["Market"]["address"], contracts["Origin"]["address"], "brownie"

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
import shutil
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import Engine

from chain.database import opened
from chain.indexer import indexed
from chain.market import MarketContract
from chain.store import stored
from chain.writer import written
from energy.errors import ChainError
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, slot_of_day, slots_of
from orchestrator.auditing.audit import audited
from orchestrator.auditing.market import Findings
from orchestrator.demo.market import ANVIL, DemoChain, chain_of, deployed, enrol
from orchestrator.demo.site import SiteOfDay, column_of
from orchestrator.moving.mover import Mover, relayed
from orchestrator.setting.series import LOADS_NAME, PV_NAME, load_series, pv_series
from orchestrator.setting.sites import Setting
from orchestrator.steering.steering import OPEN, RULE, Position, position_of

ORDER_SECONDS = 60
"""How long before the gate, or after the slot's end, agents send their orders."""

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
        loads.day(column_of(described), day)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    slots = slots_of(day)
    start = (slots.start - setting.market.horizon_slots - 3) * SLOT_SECONDS
    progress("chain", 0, SLOTS_PER_DAY)
    with chain_of(network, start, folder, setting) as node:
        progress("deploy", 0, SLOTS_PER_DAY)
        address, origin, deployed_by = await asyncio.to_thread(
            deployed, node, setting, folder, sites_file
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
        await asyncio.to_thread(enrol, node, market, setting, sites, slots.start)
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

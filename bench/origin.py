"""The origin engine in seconds, what attesting and claiming cost in gas, and the audit of a day."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from statistics import mean

from bench.figures import Figure
from chain.anvil import AnvilChain, anvil
from chain.events import Cleared, Settled, market_events
from chain.market import MarketContract
from chain.origin import OriginContract
from energy.attestation import Attestation, Claim, Slice, day_number, last_slot_of, signed
from energy.attested import RING
from energy.lots import Kind, Origin
from energy.market import MarketRules
from energy.merkle import MerkleTree
from energy.messages import address_of, sign
from energy.origin import trace
from energy.records import Order, Reading, Side, Trade, packed
from energy.registry import Ratings, Tariff
from energy.rows import Holdings, Row
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, slots_of
from orchestrator.auditing.audit import audited
from orchestrator.moving.clearing import proposed

THE_DAY = date(2019, 6, 4)
DAY = day_number(THE_DAY)
SLOTS = slots_of(THE_DAY)
RATINGS = Ratings(100_000, 2_000, 800, 300, 880, 900)
TARIFF = Tariff(selling=22_000, buying=8_000, fee=1_000)
YEAR = 365 * SLOTS_PER_DAY
DAY_ROWS = 900
MONTH_ROWS = 31 * DAY_ROWS
"""About what 7 sites use in a month, by origin."""


def key(role: str, site: int) -> bytes:
    """Return a site's key, for a chain that lives as long as the bench."""
    return f"{role} {site}".encode().rjust(32, b"\1")


class Sites:
    """Sites that use, generate and store at random, with flows between them."""

    def __init__(self, count: int, batteries: range, seed: int = 1) -> None:
        self.efficiencies = {site: 900 if site in batteries else None for site in range(count)}
        self._stored = dict.fromkeys(range(count), 0)
        self._chance = random.Random(seed)

    def slot(self, slot: int) -> tuple[list[Reading], list[Trade]]:
        """Return a slot's readings and flows, which fit each other."""
        chance, hour = self._chance, slot % SLOTS_PER_DAY
        readings = []
        for site, efficiency in self.efficiencies.items():
            generated = chance.randrange(12_000) if 12 <= hour < 34 else 0
            used = chance.randrange(1_000, 6_000)
            charged = discharged = 0
            if efficiency and generated > used:
                room = (44_000 - self._stored[site]) * 1000 // efficiency
                charged = min(7_500, generated - used, room)
            elif efficiency and hour >= 36:
                discharged = min(4_000, self._stored[site])
            stored = self._stored[site] + charged * (efficiency or 0) // 1000 - discharged
            self._stored[site] = stored
            net = generated + discharged - used - charged
            readings.append(
                Reading(
                    slot, site, max(-net, 0), max(net, 0), generated, charged, discharged, stored
                )
            )
        return readings, list(self._flows(slot, readings))

    def _flows(self, slot: int, readings: list[Reading]) -> Iterator[Trade]:
        sellers = [[one.site, one.exported] for one in readings if one.exported]
        buyers = [[one.site, one.imported] for one in readings if one.imported]
        while sellers and buyers:
            (seller, offered), (buyer, wanted) = sellers[-1], buyers[-1]
            energy = min(offered, wanted)
            yield Trade(slot, seller, buyer, energy)
            sellers[-1][1] -= energy
            buyers[-1][1] -= energy
            if not sellers[-1][1]:
                sellers.pop()
            if not buyers[-1][1]:
                buyers.pop()


def engine_seconds(sites: Sites, slots: int) -> tuple[float, int]:
    """Return the seconds in which slots are traced, without making them up, and the rows."""
    holdings, spent, rows = Holdings(), 0.0, 0
    for slot in range(SLOTS[0], SLOTS[0] + slots):
        readings, flows = sites.slot(slot)
        begin = time.perf_counter()
        holdings, origins = trace(holdings, slot, sites.efficiencies, readings, flows)
        spent += time.perf_counter() - begin
        rows += len(origins.used)
    return spent, rows


def engine_memory(days: int) -> int:
    """Return the most memory, in bytes, that tracing 1,000 sites for some days takes."""
    sites, holdings = Sites(1_000, range(0, 1_000, 7)), Holdings()
    tracemalloc.start()
    for slot in range(SLOTS[0], SLOTS[0] + days * SLOTS_PER_DAY):
        holdings, _ = trace(holdings, slot, sites.efficiencies, *sites.slot(slot))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def rows_of(count: int, slots: range) -> list[Row]:
    """Return rows as a day or month of 7 sites has them; the first is to be claimed.

    Most are used in the slot in which they were generated, a third came by the battery.
    """
    first = Row(slots[36], 6, 8_100, Origin(Kind.GENERATION, 4, slots[24]), 6)
    rows = [first]
    for n in range(1, count):
        slot = slots[n // 21 % 48]
        by_battery = n % 3 == 2
        made = Origin(Kind.GENERATION, n // 7 % 3 + 1, slot - 12 if by_battery else slot)
        rows.append(Row(slot, n % 7, 100 + n, made, 6 if by_battery else None))
    return rows


@dataclass(frozen=True)
class OriginGas:
    """What seven sites' attestations cost, and claims of a row, of its rest, of rows together."""

    attested: tuple[int, ...]
    claimed: int
    claimed_rest: int
    together: float
    """A row, of those that a site claims of a day at once."""
    attested_together: float
    """A site, of all seven in one transaction."""


def gas_of(count: int) -> tuple[OriginGas, OriginGas]:
    """Return the gas in words never used before, and in the steady state: a ring later.

    `count` rows are in the tree, about 900 for a day of 7 sites.
    """
    with anvil((SLOTS[0] - 6) * SLOT_SECONDS) as node:
        rules = MarketRules(SLOTS[0] - 6, 4, 0, 600, after_metering=False)
        market = MarketContract.deployed(node, node.sender, rules)
        origin = OriginContract.deployed(node, market.address)
        for site in range(7):
            keys = address_of(key("trader", site)), address_of(key("oracle", site))
            market.enrol(SLOTS[0], *keys, RATINGS)
        return _gas(node, origin, 0, count), _gas(node, origin, RING, count)


def _gas(node: AnvilChain, origin: OriginContract, later: int, count: int) -> OriginGas:
    """Attest and claim a day, so many days after the first."""
    slots = range(SLOTS[0] + later * SLOTS_PER_DAY, SLOTS[0] + (later + 1) * SLOTS_PER_DAY)
    node.set_time(slots.stop * SLOT_SECONDS)
    rows = rows_of(count, slots)
    tree = MerkleTree(rows)
    attested = []
    for site in range(7):
        message = Attestation(DAY + later, site, tree.root)
        by = signed(message, origin.domain, key("oracle", site))
        attested.append(origin.attest(message, by).gas_used)

    def claimed(slices: list[Slice]) -> int:
        of_row = {one.row: one for one in slices}
        proof = tree.multiproof(of_row)
        ordered = tuple(of_row[row] for row in proof.rows)
        claim = Claim(ordered, "Miyagi Prefecture", "RE100 2019")
        by = signed(claim, origin.domain, key("trader", claim.site))
        return origin.claim(claim, tree.root, proof, by).gas_used

    first, rest = claimed([Slice(rows[0], 0, 8_000)]), claimed([Slice(rows[0], 8_000, 100)])
    days_own = [row for row in rows[1:900] if row.site == 6][:100]
    together = claimed([Slice(row, 0, row.energy) for row in days_own])
    return OriginGas(
        tuple(attested), first, rest, together / len(days_own), _gas_together(node, origin, later)
    )


def _gas_together(node: AnvilChain, origin: OriginContract, later: int) -> float:
    """Attest the day after that one for all sites at once; return the gas a site."""
    day, root = DAY + later + 1, bytes(range(1, 33))
    node.set_time((last_slot_of(day) + 1) * SLOT_SECONDS)
    signatures = [
        signed(Attestation(day, site, root), origin.domain, key("oracle", site))
        for site in range(7)
    ]
    return origin.attest_together(day, root, range(7), signatures).gas_used / 7


def audit_seconds() -> tuple[float, dict[str, int]]:
    """Lead a day of 7 sites through a node, orders and all, and return its audit."""
    sites = Sites(7, range(6, 7))
    with anvil((SLOTS[0] - 6) * SLOT_SECONDS) as node:
        rules = MarketRules(SLOTS[0] - 6, 4, 0, 600, after_metering=False)
        market = MarketContract.deployed(node, node.sender, rules)
        origin = OriginContract.deployed(node, market.address)
        market.enact_tariff(SLOTS[0], [TARIFF] * 48)
        for site in range(7):
            keys = address_of(key("trader", site)), address_of(key("oracle", site))
            market.enrol(SLOTS[0], *keys, RATINGS)
        rows: list[Row] = []
        holdings = Holdings()
        made = {slot: sites.slot(slot)[0] for slot in SLOTS}
        trades: dict[int, list[Trade]] = {}
        for slot in (*SLOTS, SLOTS.stop):
            # A slot is cleared before the one ahead of it ends.
            if slot in made:
                trades[slot] = _traded(node, market, slot, made[slot])
            if slot == SLOTS.start:
                continue
            node.set_time(slot * SLOT_SECONDS)
            flows = _settled(market, made[slot - 1], trades[slot - 1])
            before = made[slot - 1]
            holdings, origins = trace(holdings, slot - 1, sites.efficiencies, before, flows)
            rows += origins.used
        root = MerkleTree(rows).root
        for site in range(7):
            message = Attestation(DAY, site, root)
            origin.attest(message, signed(message, origin.domain, key("oracle", site)))
        begin = time.perf_counter()
        findings = audited(node, market.address, origin.address)
        return time.perf_counter() - begin, findings.to_json()


def _traded(
    node: AnvilChain, market: MarketContract, slot: int, readings: list[Reading]
) -> list[Trade]:
    """Post an order for each site and clear; return the trades."""
    gate = market.rules.gate_of(slot)
    node.set_time(gate - 60)
    orders = [
        Order(slot, one.site, Side.ASK, one.exported, 10_000 + 100 * one.site, 1)
        if one.exported
        else Order(slot, one.site, Side.BID, one.imported, 18_000, 1)
        for one in readings
        if one.exported or one.imported
    ]
    market.post(slot, orders, [sign(one, market.domain, key("trader", one.site)) for one in orders])
    node.set_time(gate)
    book = packed(orders)
    proposal = proposed(slot, book, TARIFF.fee)
    cleared = market.clear_packed(slot, book, proposal.bids, proposal.asks)
    return [
        trade
        for event in market_events(cleared.logs)
        if isinstance(event, Cleared)
        for trade in event.trades
    ]


def _settled(market: MarketContract, readings: list[Reading], trades: list[Trade]) -> list[Trade]:
    """Push each site's reading and settle; return the flows."""
    for one in readings:
        market.push([one], [sign(one, market.domain, key("oracle", one.site))])
    settled = market.settle(readings[0].slot, trades)
    return [
        flow
        for event in market_events(settled.logs)
        if isinstance(event, Settled)
        for flow in (*event.deliveries, *event.pool)
    ]


def figures() -> list[Figure]:
    """Measure all."""
    year, year_rows = engine_seconds(Sites(7, range(6, 7)), YEAR)
    day, day_rows = engine_seconds(Sites(1_000, range(0, 1_000, 7)), SLOTS_PER_DAY)
    memory_of_a_day, memory_of_three = engine_memory(1), engine_memory(3)
    fresh, steady = gas_of(DAY_ROWS)
    fresh_month, steady_month = gas_of(MONTH_ROWS)
    audit, counts = audit_seconds()
    return [
        Figure(f"7 sites, a year with a battery, {year_rows:,} rows", year, "s", 10),
        Figure(f"1,000 sites, a day, {day_rows:,} rows", day, "s", 10),
        Figure(
            "1,000 sites, memory of three days to one",
            memory_of_three / memory_of_a_day,
            "ratio",
            1.2,
        ),
        Figure("1,000 sites, memory at most", memory_of_a_day / 2**20, "MiB"),
        Figure("attest a day of 7 sites, a terminal", mean(steady.attested), "gas", 60_000),
        Figure("attest a day, the dearest terminal", max(steady.attested), "gas", 60_000),
        Figure("the same in a new word", max(fresh.attested), "gas"),
        Figure("attest it for seven together, a site", steady.attested_together, "gas"),
        Figure("claim a row, a day's tree", steady.claimed, "gas", 80_000),
        Figure("the same in a new word", fresh.claimed, "gas"),
        Figure("claim a row's rest", steady.claimed_rest, "gas"),
        Figure("claim a day's 100 rows together, a row", steady.together, "gas"),
        Figure("the same in new words", fresh.together, "gas"),
        Figure(f"claim a row, a tree of {MONTH_ROWS:,}", steady_month.claimed, "gas", 80_000),
        Figure("the same in a new word", fresh_month.claimed, "gas"),
        Figure(f"audit a day of 7 sites, {counts['transactions']} transactions", audit, "s", 10),
        Figure("audit a year, 365 times that day", 365 * audit / 60, "min"),
    ]

"""The contract and its Python twin, on the same generated slots: equal words, entries, errors.

Runs the real bytecode in process. Each example is a run of slots through one deployment, with
withdrawals, replays, gaps, self-crossing orders, wrong keys, missing and corrected readings,
sites that come and go, and calls at the wrong time. `YUI_TWIN_SLOTS` says how many slots.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import pytest

from chain.contract import Chain, Receipt
from chain.events import (
    Cleared,
    Corrected,
    OrdersPosted,
    ReadingMissed,
    ReadingPosted,
    Settled,
    market_events,
)
from chain.evm import EvmChain
from chain.market import MarketContract
from energy.clearing import Ranking, ranking_of
from energy.errors import Refusal
from energy.market import RING, Market, MarketRules
from energy.messages import address_of, sign
from energy.records import VOIDING, Order, Quality, Reading, Side
from energy.registry import NETWORK, UTILITY, Ratings, Registry, Tariff
from energy.units import SLOT_SECONDS
from tests.desk import assumed

SLOTS = int(os.environ.get("YUI_TWIN_SLOTS", "2000"))
SLOTS_A_RUN = 250
FIRST_SLOT = 866_448
GOVERNING = ("enrol", "amend", "suspend", "retire", "enact_tariff")


def key(role: str, site: int, version: int = 0) -> bytes:
    return (f"{role} {site} {version}".encode()).rjust(32, b"\1")


@dataclass
class Pair:
    """A contract and its twin, told the same things."""

    chance: random.Random
    contract: MarketContract
    twin: Market
    keys: dict[str, bytes] = field(default_factory=dict)
    """Of each address that was enrolled."""
    refused: dict[str, int] = field(default_factory=dict)

    def both(self, function: str, *arguments: object, **named: object) -> object:
        """Call both at the chain's time; return what the twin returned, after comparing."""
        now = self.contract.chain.now()
        twin_refusal = contract_refusal = None
        returned = receipt = None
        try:
            sender = self.contract.chain.sender
            if function in GOVERNING:
                returned = getattr(self.twin.registry, function)(now, sender, *arguments)
            elif function == "void_orders":
                returned = self.twin.void_orders(now, sender, *arguments)  # type: ignore[arg-type]
            else:
                returned = getattr(self.twin, function)(now, *arguments)
        except Refusal as refusal:
            twin_refusal = refusal
        try:
            receipt = getattr(self.contract, function)(*arguments)
        except Refusal as refusal:
            contract_refusal = refusal
        assert contract_refusal == twin_refusal, f"{function}{arguments} at {now}"
        if twin_refusal:
            name = type(twin_refusal).__name__
            self.refused[name] = self.refused.get(name, 0) + 1
        if isinstance(receipt, Receipt) and function not in GOVERNING:
            assert market_events(receipt.logs) == self._owed(
                function, cast(int, arguments[0]), returned
            )
        return returned

    def _owed(self, function: str, slot: int, returned: Any) -> list[object]:
        """Return the events that the chain owes for what the twin returned."""
        match function:
            case "post":
                return [OrdersPosted(slot, tuple(returned))] if returned else []
            case "void_orders":
                return [OrdersPosted(word.slot, (word,)) for word in returned]
            case "clear":
                return [Cleared(slot, returned.price, returned.trades)]
            case "push":
                corrections = [Corrected(*correction) for correction in returned.corrections]
                return [*corrections, *map(ReadingPosted, returned.kept)]
            case _:
                missed = map(ReadingMissed, assumed(self.twin, slot))
                return [
                    *missed,
                    Settled(slot, returned.deliveries, returned.pool, returned.entries),
                ]

    def same_slot(self, slot: int) -> None:
        """Compare all words that are kept of a slot."""
        assert _asked(self.contract.state_word, slot) == _asked(self.twin.state_word, slot)
        for site in range(len(self.twin.registry.sites)):
            assert self.contract.reading_of(slot, site) == self.twin.reading_of(slot, site)

    def same_balances(self) -> None:
        """Compare all balances, which sum to zero."""
        accounts = [*range(len(self.twin.registry.sites)), UTILITY, NETWORK]
        balances = [self.contract.balance_of(account) for account in accounts]
        assert balances == [self.twin.balances.get(account, 0) for account in accounts]
        assert sum(balances) == 0


def _asked(ask: Callable[[int], int], slot: int) -> int | Refusal:
    """Return the answer, or the refusal: an older slot may hold the place in the ring."""
    try:
        return ask(slot)
    except Refusal as refusal:
        return refusal


class SettableChain(Chain, Protocol):
    """A chain whose clock stands still until it is set."""

    def set_time(self, time: int, /) -> None: ...


def a_pair(seed: int, after_metering: bool, chain: SettableChain | None = None) -> Pair:
    """Return a contract and twin with tariff and sites, in process unless a chain is given."""
    chance = random.Random(seed)
    chain = chain or EvmChain(FIRST_SLOT * SLOT_SECONDS)
    rules = MarketRules(FIRST_SLOT, 4, 900, chance.choice([0, 600]), after_metering)
    contract = MarketContract.deployed(chain, chain.sender, rules)
    twin = Market(rules, Registry(rules.horizon, chain.sender), contract.domain)
    pair = Pair(chance, contract, twin)
    pair.both("enact_tariff", FIRST_SLOT + 5, [_tariff(chance) for _ in range(48)])
    for _ in range(chance.choice([1, 2, 7, 7, 12])):
        _enrol(pair, FIRST_SLOT + 5)
    return pair


def _tariff(chance: random.Random) -> Tariff:
    buying, fee = chance.choice([(8_000, 1_000), (0, 0), (8_001, 3), (12_345, 2_000)])
    return Tariff(buying + 2 * fee + chance.choice([0, 1, 12_000]), buying, fee)


def _ratings(chance: random.Random) -> Ratings:
    battery = chance.random() < 0.5
    return Ratings(60_000, 1_000, 800, 150 * battery, 440 * battery, 900 * battery)


def _enrol(pair: Pair, from_slot: int) -> None:
    site = len(pair.twin.registry.sites)
    trader, oracle = _known(pair, "trader", site), _known(pair, "oracle", site)
    pair.both("enrol", from_slot, trader, oracle, _ratings(pair.chance))


def _known(pair: Pair, role: str, site: int, version: int = 0) -> str:
    """Return the address of a key that the pair will sign with."""
    secret = key(role, site, version)
    pair.keys[address_of(secret)] = secret
    return address_of(secret)


def _signer(pair: Pair, role: str, site: int, slot: int) -> bytes:
    """Return the key with which a site signs in a slot; a stranger's where it takes no part."""
    terms = pair.twin.registry.site_at(site, slot)
    return pair.keys[str(getattr(terms, role))] if terms else key("stranger", site)


def a_reading(pair: Pair, slot: int, site: int) -> Reading:
    chance = pair.chance
    terms = pair.twin.registry.site_at(site, slot)
    battery = bool(terms and terms.ratings.battery_power)
    generated = chance.choice([0, chance.randrange(12), chance.randrange(40_001)])
    discharged = chance.randrange(7_501) if battery and chance.random() < 0.5 else 0
    charged = chance.randrange(7_501) if battery and not discharged else 0
    imported = chance.choice([0, chance.randrange(12), chance.randrange(50_001)])
    exported = min(
        chance.choice([0, generated + discharged, chance.randrange(40_001)]),
        generated + discharged,
    )
    if imported + generated + discharged < exported + charged:
        imported = min(exported + charged, 50_000)
    stored = chance.randrange(44_001) if battery else 0
    quality = chance.choice([Quality.MEASURED, Quality.RECONCILED | Quality.PARTIAL])
    reading = Reading(
        slot, site, imported, exported, generated, charged, discharged, stored, quality
    )
    if chance.random() < 0.03:
        flaw = chance.choice(
            [
                {"imported": 50_001},
                {"generated": 40_001},
                {"charged": 2**32 - 1},
                {"stored": 44_001},
                {"exported": 2**32 - 1},
                {"quality": Quality.ASSUMED},
                {"imported": 0, "generated": 5, "exported": 5, "charged": 5, "discharged": 0},
            ]
        )
        reading = replace(reading, **flaw)  # type: ignore[arg-type]
    return reading


def push(pair: Pair, readings: list[Reading]) -> None:
    signatures = []
    for reading in readings:
        signer = _signer(pair, "oracle", reading.site, reading.slot)
        if pair.chance.random() < 0.02:
            signer = key("stranger", reading.site)
        signatures.append(sign(reading, pair.contract.domain, signer))
    if pair.chance.random() < 0.01:
        signatures = signatures[1:]
    pair.both("push", readings, signatures)


def some_orders(pair: Pair, slot: int) -> list[Order]:
    """Orders of several sites: mostly as they should be, some replayed, skipping or absurd."""
    chance = pair.chance
    sites = len(pair.twin.registry.sites)
    record = pair.twin.slots.get(slot % RING)
    book = record.book if record and record.slot == slot else ()
    posted = dict.fromkeys(range(sites + 1), 0) | {order.site: order.sequence for order in book}
    orders = []
    for _ in range(chance.choice([1, 2, sites, 2 * sites])):
        site = chance.randrange(sites + (chance.random() < 0.03))
        roll = chance.random()
        sequence = posted[site] + 1
        if roll < 0.03:
            sequence = min(sequence + 1, VOIDING)
        elif roll < 0.08:
            sequence = max(sequence - chance.choice([1, 2]), 0)
        elif sequence <= VOIDING:
            posted[site] = sequence
        energy = chance.choice([0, 1, chance.randrange(100), chance.randrange(60_001)])
        if chance.random() < 0.02:
            energy = chance.choice([60_001, 2**32 - 1])
        price = chance.choice(
            [0, 999, 2**24 - 1, chance.randrange(8_000, 22_001), 500 * chance.randrange(16, 44)]
        )
        side = Side(chance.randrange(2))
        order = Order(slot, site, side, energy, price, sequence & 15, chance.random() < 0.15)
        orders.append(order)
        if chance.random() < 0.05:
            orders.append(order)
    return orders


def post(pair: Pair, slot: int, orders: list[Order]) -> None:
    signatures = []
    for order in orders:
        signer = _signer(pair, "trader", order.site, slot)
        if pair.chance.random() < 0.01:
            signer = key("oracle", order.site)
        signatures.append(sign(order, pair.contract.domain, signer))
    pair.both("post", slot, orders, signatures)


def clear(pair: Pair, slot: int) -> None:
    """Clear with the right ranking; sometimes try a wrong one first."""
    chance = pair.chance
    record = pair.twin.slots.get(slot % RING)
    book = list(record.book) if record and record.slot == slot else []
    fee = pair.twin.registry.tariff_at(slot).fee
    right = ranking_of(book, fee)
    if book and chance.random() < 0.3:
        bids, asks = list(right.bids), list(right.asks)
        roll = chance.randrange(6)
        side = bids if bids and (not asks or chance.random() < 0.5) else asks
        if roll == 0 and side:
            side.pop(chance.randrange(len(side)))
        elif roll == 1 and side:
            side.append(side[0])
        elif roll == 2:
            chance.shuffle(side)
        elif roll == 3:
            side.append(len(book))
        elif roll == 4:
            side.append(chance.randrange(len(book)))
        else:
            bids, asks = asks, bids
        pair.both("clear", slot, book, Ranking(tuple(bids), tuple(asks)))
        pair.both("clear", slot, book[:-1] or book * 2, right)
    pair.both("clear", slot, book, right)


def settle(pair: Pair, slot: int) -> None:
    record = pair.twin.slots.get(slot % RING)
    trades = record.clearing.trades if record and record.slot == slot else ()
    if pair.chance.random() < 0.03:
        pair.both("settle", slot, trades[1:] if trades else trades)
    pair.both("settle", slot, trades)


def one_slot(pair: Pair, slot: int) -> None:
    """Lead a slot through its life, with tries at the wrong time."""
    chance, rules = pair.chance, pair.twin.rules
    chain = cast(SettableChain, pair.contract.chain)
    end = (slot + 1) * SLOT_SECONDS

    def ordering() -> None:
        for _ in range(chance.choice([0, 1, 1, 2, 3])):
            post(pair, slot, some_orders(pair, slot))

    def metering() -> None:
        sites = range(len(pair.twin.registry.sites) + (chance.random() < 0.02))
        readings = [a_reading(pair, slot, site) for site in sites if chance.random() < 0.93]
        if chance.random() < 0.2:
            for reading in readings:
                push(pair, [reading])
        else:
            push(pair, readings)
            push(pair, readings[:2] + readings[2:])

    chain.set_time(rules.gate_of(slot) - 1 - chance.choice([0, 1, 500]))
    if not rules.after_metering:
        ordering()
        if chance.random() < 0.1:
            clear(pair, slot)
        chain.set_time(rules.gate_of(slot) + chance.choice([0, 5]))
        if chance.random() < 0.1:
            post(pair, slot, some_orders(pair, slot))
        if chance.random() < 0.2:
            settle(pair, slot)
        clear(pair, slot)
        if chance.random() < 0.05:
            push(pair, [a_reading(pair, slot, 0)])
        chain.set_time(end + chance.choice([0, 30]))
        metering()
        if chance.random() < 0.5:
            settle(pair, slot)
    else:
        chain.set_time(end + chance.choice([0, 30]))
        metering()
        ordering()
        chain.set_time(rules.gate_of(slot) + chance.choice([0, 5]))
        clear(pair, slot)
    chain.set_time(max(chain.now(), rules.deadline_of(slot) + chance.choice([0, 0, 3])))
    settle(pair, slot)
    pair.same_slot(slot)
    if chance.random() < 0.2:
        late = slot - chance.choice([0, 0, 1, 5])
        readings = [
            replace(a_reading(pair, late, site), revision=chance.choice([0, 1, 1, 2]))
            for site in range(len(pair.twin.registry.sites))
            if chance.random() < 0.5
        ]
        push(pair, readings)
        pair.same_slot(slot)
    if chance.random() < 0.05:
        settle(pair, slot)
    if chance.random() < 0.1:
        pair.same_balances()


def govern(pair: Pair, slot: int) -> None:
    """Now and then enrol, re-key, suspend, retire, void or re-price, mostly beyond the horizon."""
    chance = pair.chance
    now_slot = pair.contract.chain.now() // SLOT_SECONDS
    from_slot = now_slot + pair.twin.rules.horizon + chance.choice([0, 1, 1, 2, 3, 5, 9])
    site = chance.randrange(len(pair.twin.registry.sites) + 1)
    roll = chance.random()
    if roll < 0.01 and len(pair.twin.registry.sites) < 20:
        _enrol(pair, from_slot)
    elif roll < 0.015:
        pair.both("suspend", site, from_slot)
    elif roll < 0.017:
        pair.both("retire", site, from_slot)
    elif roll < 0.06:
        _amend(pair, site, from_slot)
    elif roll < 0.075:
        pair.both("void_orders", site, [slot + chance.choice([0, 0, 1, 2, 6]) for _ in range(2)])
    elif roll < 0.09:
        tariffs = [_tariff(chance) for _ in range(48)]
        if chance.random() < 0.2:
            tariffs[7] = Tariff(9, 8, 1)
        pair.both("enact_tariff", from_slot, tariffs)


def _amend(pair: Pair, site: int, from_slot: int) -> None:
    """Change a site's ratings, its trader key, or both; a key that was lost voids its orders."""
    chance = pair.chance
    ratings = _ratings(chance)
    if chance.random() < 0.1:
        ratings = replace(ratings, battery_efficiency=1_001)
    trader = _known(pair, "trader", site, chance.choice([0, from_slot]))
    oracle = _known(pair, "oracle", site, chance.choice([0, from_slot]))
    pair.both("amend", site, from_slot, trader, oracle, ratings)
    if chance.random() < 0.5:
        pair.both("void_orders", site, range(from_slot - chance.choice([1, 2, 4]), from_slot + 1))


@pytest.mark.parametrize("run", range(max(1, SLOTS // SLOTS_A_RUN)))
def test_contract_and_twin_agree_word_for_word(run: int) -> None:
    pair = a_pair(seed=run, after_metering=run % 2 == 1)
    slot = FIRST_SLOT + 5
    for _ in range(SLOTS_A_RUN):
        govern(pair, slot)
        one_slot(pair, slot)
        # Slots jump so that the ring comes round: now and then exactly, else by one.
        slot += pair.chance.choice([1] * 30 + [RING, RING - 1, 3])
    pair.same_balances()

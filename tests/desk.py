"""A desk at which contract and twin are told the same, and refuse the same.

Three offices trade half hours from `FIRST_SLOT + 5` on: Ogawara, Sendai, and Kesennuma with a
battery. `SLOT` is the one in which things happen; its gate closes ten minutes before it begins.
Energies in Wh.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import pytest

from chain.contract import Receipt
from chain.events import (
    Cleared,
    Corrected,
    OrdersPosted,
    ReadingMissed,
    ReadingPosted,
    Settled,
    market_events,
)
from chain.evm import SENDER, EvmChain
from chain.market import MarketContract
from energy.clearing import Clearing, ranking_of
from energy.errors import Refusal
from energy.market import RING, Market, MarketRules, Pushed, is_assumed
from energy.messages import address_of, sign
from energy.records import Order, Reading, Side, Trade
from energy.registry import NETWORK, UTILITY, Ratings, Registry, Tariff
from energy.units import SLOT_SECONDS

FIRST_SLOT = 866_448
SLOT = FIRST_SLOT + 10
RULES = MarketRules(FIRST_SLOT, 4, 900, 600, after_metering=False)
GATE, DEADLINE = RULES.gate_of(SLOT), RULES.deadline_of(SLOT)
BEGIN, END = SLOT * SLOT_SECONDS, (SLOT + 1) * SLOT_SECONDS
TARIFF = Tariff(selling=22_000, buying=8_000, fee=1_000)
OGAWARA, SENDAI, KESENNUMA = range(3)
PLAIN = Ratings(order_energy=40_000, import_power=800, generation_power=400)
WITH_BATTERY = Ratings(40_000, 800, 800, 150, 440, 900)
STRANGER = "0x00000000000000000000000000000000000000bd"


def key(role: str, site: int) -> bytes:
    return f"{role} {site}".encode().rjust(32, b"\1")


class WitnessedChain(EvmChain):
    """A chain that remembers which functions succeeded, by selector."""

    def __init__(self, time: int, chain_id: int = 7_000) -> None:
        super().__init__(time, chain_id)
        self.succeeded: set[bytes] = set()

    def send(self, to: str, data: bytes) -> Receipt:
        receipt = super().send(to, data)
        self.succeeded.add(data[:4])
        return receipt

    def call(self, to: str, data: bytes) -> bytes:
        answer = super().call(to, data)
        self.succeeded.add(data[:4])
        return answer


class Desk:
    """A contract and its twin, told the same things at the same time."""

    def __init__(self, rules: MarketRules = RULES) -> None:
        self.chain = WitnessedChain(FIRST_SLOT * SLOT_SECONDS)
        self.contract = MarketContract.deployed(self.chain, SENDER, rules)
        self.twin = Market(rules, Registry(rules.horizon, SENDER), self.contract.domain)
        self.met: set[type[Refusal]] = set()

    def open(self) -> Desk:
        """Enact the tariff and enrol the three offices."""
        self.does("enact_tariff", FIRST_SLOT + 5, [TARIFF] * 48)
        for site, ratings in enumerate((PLAIN, PLAIN, WITH_BATTERY)):
            self.enrol(site, FIRST_SLOT + 5, ratings)
        return self

    def enrol(self, site: int, from_slot: int, ratings: Ratings = PLAIN) -> None:
        trader, oracle = address_of(key("trader", site)), address_of(key("oracle", site))
        self.does("enrol", from_slot, trader, oracle, ratings)

    def at(self, moment: int) -> None:
        """Let it be a moment, unix seconds."""
        self.chain.set_time(moment)

    def does(self, function: str, *arguments: object) -> object:
        """Do something that both allow; return what the twin says of it."""
        receipt = getattr(self.contract, function)(*arguments)
        said: Any = self._twin(function, *arguments)
        slot: Any = arguments[0]
        expected: list[object]
        match function:
            case "post":
                expected = [OrdersPosted(slot, tuple(said))] if said else []
            case "void_orders":
                expected = [OrdersPosted(word.slot, (word,)) for word in said]
            case "clear":
                expected = [Cleared(slot, said.price, said.trades)]
            case "push":
                corrections = [Corrected(*correction) for correction in said.corrections]
                expected = [*corrections, *map(ReadingPosted, said.kept)]
            case "settle":
                expected = [*map(ReadingMissed, assumed(self.twin, slot))]
                expected += [Settled(slot, said.deliveries, said.pool, said.entries)]
            case _:
                return said
        assert market_events(receipt.logs) == expected
        return said

    def refuses(self, expected: Refusal, function: str, *arguments: object) -> None:
        """Try something that both refuse with the same error, and that changes nothing."""
        before = self._kept()
        with pytest.raises(Refusal) as by_contract:
            getattr(self.contract, function)(*arguments)
        with pytest.raises(Refusal) as by_twin:
            self._twin(function, *arguments)
        assert by_contract.value == expected
        assert by_twin.value == expected
        assert self._kept() == before
        self.met.add(type(expected))

    def post(self, *orders: Order, role: str = "trader") -> object:
        return self.does("post", orders[0].slot, list(orders), self.signed(*orders, role=role))

    def push(self, *readings: Reading) -> Pushed:
        said = self.does("push", list(readings), self.signed(*readings, role="oracle"))
        assert isinstance(said, Pushed)
        return said

    def refuses_orders(self, expected: Refusal, *orders: Order, role: str = "trader") -> None:
        self.refuses(
            expected, "post", orders[0].slot, list(orders), self.signed(*orders, role=role)
        )

    def refuses_readings(self, expected: Refusal, *readings: Reading, role: str = "oracle") -> None:
        self.refuses(expected, "push", list(readings), self.signed(*readings, role=role))

    def signed(self, *records: Order | Reading, role: str) -> list[bytes]:
        return [sign(one, self.twin.domain, key(role, one.site)) for one in records]

    def book(self) -> list[Order]:
        """Post a book of three orders, of which Ogawara's ask meets Kesennuma's bid."""
        self.at(GATE - 1)
        orders = [
            ask(OGAWARA, 3_000, 9_000),
            bid(KESENNUMA, 2_000, 18_000),
            bid(SENDAI, 500, 9_500),
        ]
        self.post(*orders)
        return orders

    def cleared(self) -> tuple[Trade, ...]:
        """Post and clear that book; return its trade."""
        orders = self.book()
        self.at(GATE)
        clearing = self.does("clear", SLOT, orders, ranking_of(orders, TARIFF.fee))
        assert isinstance(clearing, Clearing)
        return clearing.trades

    def settled(self) -> None:
        """Lead the slot to its settlement, with no order and all readings."""
        self.at(END)
        self.push(*(reading(site) for site in range(3)))
        self.does("settle", SLOT, [])

    def _twin(self, function: str, *arguments: object) -> object:
        now, registry = self.chain.now(), self.twin.registry
        if function == "change_owner":
            return getattr(registry, function)(self.chain.sender, *arguments)
        if function in ("enrol", "amend", "suspend", "retire", "enact_tariff"):
            return getattr(registry, function)(now, self.chain.sender, *arguments)
        if function == "void_orders":
            return self.twin.void_orders(now, self.chain.sender, *arguments)  # type: ignore[arg-type]
        return getattr(self.twin, function)(now, *arguments)

    def _kept(self) -> list[object]:
        """What both keep of the slot, the balances and the registry."""
        record = self.twin.slots.get(SLOT % RING)
        held = record.slot if record else SLOT
        assert self.contract.state_word(held) == self.twin.state_word(held)
        kept: list[object] = [self.contract.state_word(held), self.contract.owner()]
        for site in range(3):
            assert self.contract.reading_of(SLOT, site) == self.twin.reading_of(SLOT, site)
            kept += [self.contract.reading_of(SLOT, site), self.contract.sequence_of(SLOT, site)]
        for account in (0, 1, 2, UTILITY, NETWORK):
            assert self.contract.balance_of(account) == self.twin.balances.get(account, 0)
            kept.append(self.contract.balance_of(account))
        registry = self.twin.registry
        for slot in (SLOT, SLOT + 20, 2**32 - 1):
            sites = self.contract.sites_at(slot)
            assert sites == (registry.enrolled_at(slot), len(registry.active_at(slot)))
            assert self.contract.tariff_at(slot) == registry.tariff_at(slot)
            kept += [sites, self.contract.tariff_at(slot)]
            for site in range(min(sites[0], 4)):
                ours = registry.site_at(site, slot)
                theirs = self.contract.site_at(site, slot)
                assert theirs == (ours and replace(ours, from_slot=slot))
                kept.append(theirs)
        return kept


def assumed(twin: Market, slot: int) -> list[Reading]:
    """Return the readings that settlement assumed, by site."""
    readings = (twin.reading_of(slot, site) for site in range(len(twin.registry.sites)))
    return [reading for reading in readings if reading and is_assumed(reading)]


def ask(site: int, energy: int, price: int, sequence: int = 1, slot: int = SLOT) -> Order:
    return Order(slot, site, Side.ASK, energy, price, sequence)


def bid(site: int, energy: int, price: int, sequence: int = 1, slot: int = SLOT) -> Order:
    return Order(slot, site, Side.BID, energy, price, sequence)


def reading(site: int, slot: int = SLOT, **energies: int) -> Reading:
    return Reading(slot, site, **{"imported": 5_000, **energies})  # type: ignore[arg-type]


def owners_acts(from_slot: int) -> list[tuple[object, ...]]:
    """Return what only the owner does, from a slot on: a function's name and arguments."""
    trader, oracle = address_of(key("trader", 5)), address_of(key("oracle", 5))
    return [
        ("enact_tariff", from_slot, [TARIFF] * 48),
        ("enrol", from_slot, trader, oracle, PLAIN),
        ("amend", SENDAI, from_slot, trader, oracle, PLAIN),
        ("suspend", SENDAI, from_slot),
        ("retire", KESENNUMA, from_slot),
    ]


Test = Callable[[Desk], None]
MET: set[type[Refusal]] = set()


def meets(*kinds: type[Refusal]) -> Callable[[Test], Test]:
    """Say which refusals a test meets, and see to it that it does."""
    MET.update(kinds)

    def decorated(test: Test) -> Test:
        @wraps(test)
        def checked(desk: Desk) -> None:
            test(desk)
            assert set(kinds) <= desk.met

        return checked

    return decorated

"""Sites that trade on a network whose nodes come and go: orders, readings and settlement.

Site 0 sells to the others. All that is posted is signed by keys of the sites' numbers, so that
nothing of it depends on which node is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine

from chain.events import OrdersPosted, market_events
from chain.indexer import indexed
from chain.market import MarketContract
from chain.network.local import set_clock
from chain.network.trial import TrialChain
from chain.node import NodeChain
from chain.store import opened, stored
from energy.errors import ChainError, Refusal, SlotNotOver
from energy.market import MarketRules
from energy.messages import address_of, sign
from energy.records import Order, Reading, Side
from energy.registry import Ratings, Tariff
from energy.units import SLOT_SECONDS
from orchestrator.moving.mover import Mover, SignedOrder
from orchestrator.moving.relay import Relay

RATINGS = Ratings(order_energy=10_000, import_power=400, generation_power=400)
TARIFF = Tariff(selling=22_000, buying=8_000, fee=1_000)
HORIZON = 8
DEADLINE_SECONDS = 900
GATE_SECONDS = 300
_PATIENCE_SECONDS = 90.0


def key_of(role: str, site: int) -> bytes:
    """Return a site's trader's or oracle's key."""
    return f"{role} {site}".encode().rjust(32, b"\1")


def rules_at(moment: int) -> MarketRules:
    """Return the rules of a market that begins after a moment, unix seconds."""
    first = moment // SLOT_SECONDS + 1
    return MarketRules(first, HORIZON, DEADLINE_SECONDS, GATE_SECONDS, False)


@dataclass
class Town:
    """Sites on a market, seen through one node; `first_slot` is the first that they trade in."""

    chain: NodeChain
    network: Path
    market: MarketContract
    sites: int
    first_slot: int
    store: Engine

    @cached_property
    def relay(self) -> Relay:
        """What posts their orders."""
        return Relay(self.chain, self.market.address)

    @classmethod
    def founded(cls, chain: TrialChain, sites: int, folder: Path) -> Town:
        """Deploy a market, enrol sites, and let it be the first slot's eve."""
        now = chain.now()
        market = MarketContract.deployed(chain, chain.sender, rules_at(now))
        first = now // SLOT_SECONDS + HORIZON + 2
        market.enact_tariff(first, [TARIFF] * 48)
        for site in range(sites):
            keys = (address_of(key_of("trader", site)), address_of(key_of("oracle", site)))
            market.enrol(first, *keys, RATINGS)
        chain.set_time((first - 1) * SLOT_SECONDS)
        store = opened(str(folder / f"{market.address}.sqlite"))
        return cls(chain, chain.network, market, sites, first, store)

    def through(self, chain: NodeChain, store: Path) -> Town:
        """Return the same town as seen through another node, with a store of its own."""
        market = MarketContract(chain, self.market.address)
        return Town(chain, self.network, market, self.sites, self.first_slot, opened(str(store)))

    def mover(self, slot: int) -> Mover:
        """Return a mover from a slot on."""
        return Mover(self.market, self.chain, self.store, slot)

    def order(self, slot: int, site: int, sequence: int = 1) -> SignedOrder:
        """Return a site's signed order."""
        if site == 0:
            order = Order(slot, 0, Side.ASK, 500 * self.sites, 9_000, sequence)
        else:
            order = Order(slot, site, Side.BID, 500, 16_000 + 100 * site, sequence)
        return SignedOrder(order, sign(order, self.market.domain, key_of("trader", site)))

    def reading(self, slot: int, site: int) -> tuple[Reading, bytes]:
        """Return a site's signed reading."""
        if site == 0:
            reading = Reading(slot, 0, exported=500 * self.sites, generated=600 * self.sites)
        else:
            reading = Reading(slot, site, imported=700)
        return reading, sign(reading, self.market.domain, key_of("oracle", site))

    def set_time(self, moment: int) -> None:
        """Let it be a moment on all nodes, and wait until a block says so."""
        set_clock(self.network, moment)
        self.until(lambda: self.chain.now() >= moment, f"a block at {moment}")

    def trade(self, slot: int, mishap: Callable[[], None] = lambda: None) -> None:
        """Bring a slot from orders to a final settlement; `mishap` befalls it before its gate.

        The slot before it is settled with it, without orders: the next to trade is two on.
        """
        self.set_time(slot * SLOT_SECONDS - GATE_SECONDS - 240)
        self.relay.take([self.order(slot, site) for site in range(self.sites)])
        self.persist(self.relay.push)
        mishap()
        self.finish(slot)

    def finish(self, slot: int) -> None:
        """Bring a slot whose orders stand, and the empty one before it, to a final settlement."""
        mover = self.mover(slot - 1)
        self.until(lambda: not self.relay.push() and not self.relay.waiting, "orders final")
        self.set_time(slot * SLOT_SECONDS - GATE_SECONDS)
        self.persist(lambda: mover.move(self.chain.now()))
        self.set_time((slot + 1) * SLOT_SECONDS)
        self.persist(lambda: self.push(slot - 1))
        self.persist(lambda: self.push(slot))

        def settled() -> bool:
            mover.move(self.chain.now())
            return mover.first_open > slot

        self.until(settled, f"slot {slot} settled, final")

    def push(self, slot: int) -> None:
        """Push the readings of a slot."""
        signed = [self.reading(slot, site) for site in range(self.sites)]
        self.market.push([reading for reading, _ in signed], [each for _, each in signed])

    def persist(self, act: Callable[[], object]) -> None:
        """Do what is safe to do twice until the chain takes it."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                act()
                return
            except (ChainError, SlotNotOver):  # a fork may lead to a block of before
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds.

        Raises:
            ChainError: if it takes more than a minute and a half.
        """
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                if holds():
                    return
            except (ChainError, Refusal):
                pass  # a node that has just come back, or a fork: asked again
            if time.monotonic() > end:
                raise ChainError(f"{what} must come within {_PATIENCE_SECONDS:g} s, got none")
            time.sleep(0.2)

    def history(self) -> dict[str, list[tuple[object, ...]]]:
        """Return all that the store holds of the chain, indexed anew, by kind.

        Raises:
            ChainError: if an order stands twice.
        """
        indexed(self.store, self.chain, self.market.address)
        slots = range(self.first_slot, self.first_slot + 10_000)
        with stored(self.store) as store:
            orders = store.orders(slots)
            found: dict[str, list[tuple[object, ...]]] = {
                "orders": [(o.slot, o.site, o.sequence) for o in orders],
                "readings": [(r.slot, r.site, r.revision) for r in store.readings(slots)],
                "trades": [(t.slot, t.seller, t.buyer, t.energy) for t, _ in store.trades(slots)],
                "entries": list(store.entries(slots)),
                "origins": [
                    (row.slot, row.site, row.energy, row.origin.site)
                    for row in store.origins("used", slots)
                ],
            }
        for kind in ("orders", "readings", "trades"):
            if len(set(found[kind])) != len(found[kind]):
                raise ChainError(f"each of the {kind} must stand once, got {found[kind]}")
        return found


def orders_in(chain: NodeChain, address: str, first: int, last: int) -> int:
    """Return how many orders the events of some blocks tell of."""
    logs = (log for _, log in chain.logs(address, first, last))
    return sum(
        len(event.orders) for event in market_events(logs) if isinstance(event, OrdersPosted)
    )

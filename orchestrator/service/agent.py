"""A site's trading agent within the orchestrator: from the store's readings to signed orders.

It starts again from chain, store and inbox: for each gate ahead it orders once, under the
sequence after the highest that chain or inbox know. A restart between two looks finds its order
and orders nothing more.

Where its site has a battery, it plans (`orchestrator.steering`) once the slot that runs has begun
and the one before has been read, and offers what the plan makes of it. A reading that does not come
is waited for until shortly before the gate. Energies in Wh, times in unix seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from chain.market import MarketContract
from chain.store import Store
from daemon.journal import said
from energy.messages import sign
from energy.records import Order, Reading
from energy.registry import Tariff
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, slot_of_day
from orchestrator.agents import Limits, Strategy, net_export, orders_of
from orchestrator.mover import SignedOrder
from orchestrator.service.inbox import Inbox
from orchestrator.setting.sites import Site
from orchestrator.steering.choice import steering_of
from orchestrator.steering.neighbours import Neighbours
from orchestrator.steering.rule import Idle
from orchestrator.steering.steering import NONE, Steering, net_offers, position_of
from vpp.calendar import works_on
from vpp.forecast import History

log = logging.getLogger("yui.orchestrator")

HISTORY_DAYS = 28
LAST_CALL_SECONDS = 180
"""Before a gate: what has not been read by then is not waited for."""
LEAST_DAYS = 1
"""Without so many days of readings behind it, an agent does not know its site yet."""


@dataclass
class SiteAgent:
    """Orders for one site; `key` is its trader's, `region` the other sites of its region."""

    site: int
    key: bytes
    strategy: Strategy
    limits: Limits
    region: frozenset[int] = frozenset()
    _history: History = field(default_factory=lambda: History(works_on))
    _region_net: dict[int, int] = field(default_factory=dict)
    _read: int = -1
    _battery: _Steered | None = None

    def orders(
        self, store: Store, market: MarketContract, inbox: Inbox, now: int
    ) -> list[SignedOrder]:
        """Return the orders for the gates that close next and have none of this site's yet."""
        self._learn(store, now // SLOT_SECONDS)
        found = []
        for slot in self._open(market, now):
            if inbox.sequence_of(slot, self.site) or market.sequence_of(slot, self.site):
                continue
            if self._battery is not None and not market.rules.after_metering:
                hurry = market.rules.gate_of(slot) - now <= LAST_CALL_SECONDS
                if not self._battery.begin(store, now // SLOT_SECONDS, hurry):
                    continue
            orders = self._orders(store, market, slot)
            found += [SignedOrder(each, sign(each, market.domain, self.key)) for each in orders]
        return found

    def steer(self, how: str, site: Site) -> None:
        """Let the site's battery be steered so; it is the sites file's."""
        if how != NONE and site.battery is not None:
            self._battery = _Steered(how, site, self._history)

    def _open(self, market: MarketContract, now: int) -> range:
        """Return the slots to order for: the next whose gate is open, or those just read."""
        rules, running = market.rules, now // SLOT_SECONDS
        first = running - SLOTS_PER_DAY if rules.after_metering else running + 1
        while rules.gate_of(first) <= now:
            first += 1
        last = running if rules.after_metering else first + 1
        return range(first, last)

    def _orders(self, store: Store, market: MarketContract, slot: int) -> list[Order]:
        terms = store.sites().at(self.site, slot)
        if terms is None or not terms["trader"]:
            return []
        if market.rules.after_metering:
            readings = store.readings(range(slot, slot + 1), self.site)
            offers = net_offers(slot, net_export(readings[0]) if readings else 0)
        elif len(self._history.slots) < LEAST_DAYS * SLOTS_PER_DAY:
            return []
        elif self._battery is not None:
            offers = self._battery.steering.offers(slot)
        else:
            offers = Idle(self._history).offers(slot)
        most = min(self.limits.most_energy, int(terms["order_energy"]))
        limits = Limits(self.limits.ask, self.limits.bid, most, self.limits.region_discount)
        region = self._region_net.get(slot_of_day(slot), 0)
        tariff = store.tariffs().at(slot)
        return orders_of(offers, self.site, tariff, self.strategy, limits, region)

    def _learn(self, store: Store, running: int) -> None:
        """Take note of readings since the last look."""
        if self._read < 0:
            self._read = running - HISTORY_DAYS * SLOTS_PER_DAY
        # A reading may come late: the last day is looked at again.
        since = range(min(self._read, running - SLOTS_PER_DAY), running)
        for reading in store.readings(since, self.site):
            self._history.add(reading)
        self._read = running
        day = range(running - SLOTS_PER_DAY, running)
        self._region_net = {}
        for site in self.region:
            for reading in store.readings(day, site):
                place = slot_of_day(reading.slot)
                net = reading.exported - reading.imported
                self._region_net[place] = self._region_net.get(place, 0) + net


class _Steered:
    """A site's battery as its agent sees it: by the store's readings and books."""

    def __init__(self, how: str, site: Site, history: History) -> None:
        assert site.battery is not None
        self._site, self._least = site.number, site.battery.minimum_wh
        self._tariff_of: Callable[[int], Tariff]
        self._neighbours: Neighbours | None = None
        self._how, self._place, self._history = how, site, history
        self._begun = -1
        self.steering: Steering = Idle(history)

    def begin(self, store: Store, running: int, hurry: bool) -> bool:
        """Steer the slot that runs; return whether that has been done.

        Without the reading of the slot before, only in a hurry.
        """
        if self._begun == running:
            return True
        since = range(running - HISTORY_DAYS * SLOTS_PER_DAY, running)
        own = store.readings(since, self._site)
        if not own or (own[-1].slot != running - 1 and not hurry):
            return hurry
        self._tariff_of = store.tariffs().at
        if self._neighbours is None:
            self._neighbours = Neighbours(dict.fromkeys(store.sites_at(running), works_on))
            self.steering = steering_of(
                self._how,
                self._place,
                self._history,
                lambda slot, _: self._tariff_of(slot),
                self._neighbours,
                lambda words: log.warning(said("plan", site=self._site, alarm=words)),
            )
            self.steering.go_on([self._available(reading) for reading in own])
            news = since
        else:
            news = range(max(self._begun - 1, since.start), running)
        known = self._neighbours.sites
        self._neighbours.read(each for each in store.readings(news) if each.site in known)
        self._neighbours.ordered(each for each in store.orders(news) if each.site in known)
        span = range(running, running + 1)
        trades = [trade for trade, _ in store.trades(span)]
        position = position_of(self._site, store.orders(span), trades)
        self.steering.begin(running, self._available(own[-1]), position)
        self._begun = running
        return True

    def _available(self, reading: Reading) -> int:
        return max(reading.stored - self._least, 0)

"""A site's trading agent within the orchestrator: from the store's readings to signed orders.

It starts again from chain, store and inbox: for each gate ahead it orders once, under the
sequence after the highest that chain or inbox know. A restart between two looks finds its order
and orders nothing more. Energies in Wh, times in unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chain.market import MarketContract
from chain.store import Store
from energy.messages import sign
from energy.records import Order
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, slot_of_day
from orchestrator.agents import Limits, Situation, Strategy, net_export, quoted
from orchestrator.mover import SignedOrder
from orchestrator.service.inbox import Inbox
from vpp.calendar import works_on
from vpp.forecast import History

HISTORY_DAYS = 28
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

    def orders(
        self, store: Store, market: MarketContract, inbox: Inbox, now: int
    ) -> list[SignedOrder]:
        """Return the orders for the gates that close next and have none of this site's yet."""
        self._learn(store, now // SLOT_SECONDS)
        found = []
        for slot in self._open(market, now):
            if inbox.sequence_of(slot, self.site) or market.sequence_of(slot, self.site):
                continue
            order = self._order(store, market, slot)
            if order is not None:
                found.append(SignedOrder(order, sign(order, market.domain, self.key)))
        return found

    def _open(self, market: MarketContract, now: int) -> range:
        """Return the slots to order for: the next whose gate is open, or those just read."""
        rules, running = market.rules, now // SLOT_SECONDS
        first = running - SLOTS_PER_DAY if rules.after_metering else running + 1
        while rules.gate_of(first) <= now:
            first += 1
        last = running if rules.after_metering else first + 1
        return range(first, last)

    def _order(self, store: Store, market: MarketContract, slot: int) -> Order | None:
        terms = store.sites().at(self.site, slot)
        if terms is None or not terms["trader"]:
            return None
        if market.rules.after_metering:
            readings = store.readings(range(slot, slot + 1), self.site)
            net = net_export(readings[0]) if readings else 0
        elif len(self._history.slots) < LEAST_DAYS * SLOTS_PER_DAY:
            return None
        else:
            net = self._history.generation(slot) - self._history.load(slot)
        most = min(self.limits.most_energy, int(terms["order_energy"]))
        limits = Limits(self.limits.ask, self.limits.bid, most, self.limits.region_discount)
        region = self._region_net.get(slot_of_day(slot), 0)
        tariff = store.tariffs().at(slot)
        situation = Situation(slot, self.site, net, tariff, region_net=region)
        return quoted(situation, self.strategy, limits)

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

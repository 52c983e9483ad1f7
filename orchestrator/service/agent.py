"""A site's trading agent within the orchestrator: from the store's readings to signed orders.

It starts again from chain, store and inbox: in each slot it orders once, for the slot whose gate
closes next, under the sequence after the highest that chain or inbox know. A restart between two
looks finds its order and orders nothing more.

Where its site has a battery, it plans (`orchestrator.service.steered`) once the slot that runs has
begun and the one before has been read, and offers what the plan makes of it. A reading that does
not come is waited for until shortly before the gate. Energies in Wh, times in unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from chain.market import MarketContract
from chain.store import Store
from energy.messages import sign
from energy.records import Order
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, slot_of_day
from orchestrator.moving.mover import SignedOrder
from orchestrator.service.inbox import Inbox
from orchestrator.service.steered import SteeredBattery
from orchestrator.setting.sites import Site
from orchestrator.steering.rule import Idle
from orchestrator.steering.steering import NONE, net_offers
from orchestrator.trading.agents import Limits, Strategy, net_export, orders_of
from vpp.calendar import works_on
from vpp.forecast import HISTORY_DAYS, History

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
    battery: SteeredBattery | None = None

    def orders(
        self, store: Store, market: MarketContract, inbox: Inbox, now: int
    ) -> list[SignedOrder]:
        """Return the orders for the gates that close next and have none of this site's yet."""
        self._learn(store, now // SLOT_SECONDS)
        if self.battery is not None:
            self.battery.write()
        found = []
        for slot in self._open(market, now):
            if inbox.sequence_of(slot, self.site) or market.sequence_of(slot, self.site):
                continue
            if self.battery is not None and not market.rules.after_metering:
                if not self._knows_its_site:
                    continue
                hurry = market.rules.gate_of(slot) - now <= LAST_CALL_SECONDS
                if not self.battery.begin(store, now // SLOT_SECONDS, hurry):
                    continue
            orders = self._orders(store, market, slot)
            found += [SignedOrder(each, sign(each, market.domain, self.key)) for each in orders]
        return found

    def steer(self, how: str, site: Site, plan_file: Path | None = None) -> None:
        """Let the site's battery, the sites file's, be steered so, and its plan be written."""
        if how != NONE and site.battery is not None:
            self.battery = SteeredBattery(how, site, self._history, plan_file)

    @property
    def _knows_its_site(self) -> bool:
        return len(self._history.slots) >= LEAST_DAYS * SLOTS_PER_DAY

    def _open(self, market: MarketContract, now: int) -> range:
        """Return the slots to order for: those just read, or the one whose gate was the next to
        close when the slot that runs began; none once it has closed."""
        rules, running = market.rules, now // SLOT_SECONDS
        if rules.after_metering:
            first = running - SLOTS_PER_DAY
            while rules.gate_of(first) <= now:
                first += 1
            return range(first, running)
        # The one after it is ordered for in the next slot, by what will have been read by then.
        first = running + 1
        while rules.gate_of(first) <= running * SLOT_SECONDS:
            first += 1
        return range(first, first + (now < rules.gate_of(first)))

    def _orders(self, store: Store, market: MarketContract, slot: int) -> list[Order]:
        terms = store.sites().at(self.site, slot)
        if terms is None or not terms["trader"]:
            return []
        if market.rules.after_metering:
            readings = store.readings(range(slot, slot + 1), self.site)
            offers = net_offers(slot, net_export(readings[0]) if readings else 0)
        elif not self._knows_its_site:
            return []
        elif self.battery is not None:
            offers = self.battery.steering.offers(slot)
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
        # One that has run for months knows no more than one that has just started.
        first, known = running - HISTORY_DAYS * SLOTS_PER_DAY, self._history.slots
        for slot in [slot for slot in known if slot < first]:
            del known[slot]
        self._read = running
        day = range(running - SLOTS_PER_DAY, running)
        self._region_net = {}
        for site in self.region:
            for reading in store.readings(day, site):
                place = slot_of_day(reading.slot)
                net = reading.exported - reading.imported
                self._region_net[place] = self._region_net.get(place, 0) + net

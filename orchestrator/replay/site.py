"""One site of a replay: what its devices would measure, and what its agent offers.

The agent knows the site's past readings, the public book, and no more. Energy in Wh, prices in
0.001 JPY/kWh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from eth_utils.crypto import keccak

from energy.messages import Domain, sign
from energy.records import Order, Reading
from energy.registry import Tariff
from energy.units import SLOTS_PER_DAY
from orchestrator.moving.mover import SignedOrder
from orchestrator.replay.series import SiteSeries
from orchestrator.setting.sites import Site
from orchestrator.steering.choice import steering_of
from orchestrator.steering.neighbours import Neighbours
from orchestrator.steering.steering import PLAN, Keeps, Position, Steering, Tariffs, net_offers
from orchestrator.trading.agents import Limits, Strategy, Truthful, net_export, orders_of
from vpp.forecast import HISTORY_DAYS, History, Past
from vpp.rule import Command, Mode, called_flows, expected_flows


def key_of(seed: str, role: str, site: int) -> bytes:
    """Return a key of a replay: the same for the same seed. It guards nothing."""
    return keccak(text=f"{seed} {role} {site}")


@dataclass
class ReplayedSite:
    """A site with its battery and agent, from slot to slot."""

    site: Site
    series: SiteSeries
    seed: str
    battery: str
    """Who steers its battery, one of `STEERINGS`."""
    tariffs: Tariffs
    neighbours: Neighbours | None = None
    keeps: Keeps = lambda _: None
    """What calls that are known of want to be left in its battery."""
    strategy: Strategy = field(default_factory=Truthful)
    readings: dict[int, Reading] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history = History(self.series.works_on)
        self.trader_key = key_of(self.seed, "trader", self.site.number)
        self.oracle_key = key_of(self.seed, "oracle", self.site.number)
        self.size = self.site.battery.size if self.site.battery else None
        self.stored_wh = self.site.battery.minimum_wh if self.site.battery else 0
        self.limits = Limits(self.site.ask, self.site.bid, self.site.ratings.order_energy)
        self.command = Command(Mode.HOLD)
        self.called_wh = self.told_wh = 0
        self.steering: Steering = steering_of(
            self.battery,
            self.site,
            self.history,
            self.tariffs,
            self.neighbours,
            keeps=lambda slot: self.keeps(slot),
        )

    @property
    def available_wh(self) -> int:
        """What the battery can deliver."""
        return self.stored_wh - self.site.battery.minimum_wh if self.site.battery else 0

    def remember(self, first_slot: int) -> None:
        """Know what the site's own meters showed before the market began."""
        start = max(first_slot - HISTORY_DAYS * SLOTS_PER_DAY, self.series.first_slot)
        for slot in range(start, first_slot):
            self.history.slots[slot] = Past(self.series.load(slot), self.series.generation(slot))

    def go_on(self, readings: Sequence[Reading]) -> None:
        """Be as after these readings of the site, all since the market began."""
        for reading in readings[-2 * SLOTS_PER_DAY :]:
            self.take(reading)
        least = self.site.battery.minimum_wh if self.site.battery else 0
        self.steering.go_on([reading.stored - least for reading in readings])

    def begin(self, slot: int, position: Position) -> None:
        """Let the battery be commanded for a slot.

        What a call wants of it besides is said after that, in `called_wh`: more (below 0: less)
        out of the battery.
        """
        self.called_wh = 0
        self.command = self.steering.begin(slot, self.available_wh, position)

    def read(self, slot: int) -> Reading:
        """Return the slot's reading, now that it is over."""
        load, generated = self.series.load(slot), self.series.generation(slot)
        charged = discharged = 0
        if self.size:
            surplus, available = generated - load, self.available_wh
            flows = expected_flows(self.command, surplus, available, self.size)
            self.told_wh = flows[1] - flows[0]
            charged, discharged = called_flows(flows, self.called_wh, surplus, available, self.size)
            self.stored_wh += charged * self.size.efficiency // 1000 - discharged
        net = generated + discharged - load - charged
        reading = Reading(
            slot,
            self.site.number,
            imported=max(-net, 0),
            exported=max(net, 0),
            generated=generated,
            charged=charged,
            discharged=discharged,
            stored=self.stored_wh,
        )
        self.take(reading)
        return reading

    def take(self, reading: Reading) -> None:
        """Take note of a reading of the site, and forget what is too old to matter."""
        self.history.add(reading)
        self.readings[reading.slot] = reading
        old = reading.slot - HISTORY_DAYS * SLOTS_PER_DAY - 1
        self.history.slots.pop(old, None)
        self.readings.pop(old, None)
        self.stored_wh = reading.stored or self.stored_wh

    def orders(self, slot: int, tariff: Tariff, after_metering: bool) -> list[Order]:
        """Return the agent's orders for a slot."""
        if after_metering:
            offers = net_offers(slot, net_export(self.readings[slot]))
        else:
            offers = self.steering.offers(slot)
        return orders_of(offers, self.site.number, tariff, self.strategy, self.limits)

    def signed_order(self, order: Order, domain: Domain) -> SignedOrder:
        """Return an order with the trader's signature."""
        return SignedOrder(order, sign(order, domain, self.trader_key))

    def signature(self, reading: Reading, domain: Domain) -> bytes:
        """Return the oracle's signature of a reading."""
        return sign(reading, domain, self.oracle_key)


def replayed_sites(
    sites: Sequence[Site],
    series: Sequence[SiteSeries],
    seed: str,
    battery: str,
    tariffs: Tariffs,
) -> list[ReplayedSite]:
    """Return the sites of a replay; where plans steer, all know each other by what is public."""
    neighbours = None
    if battery == PLAN:
        pairs = zip(sites, series, strict=True)
        neighbours = Neighbours({site.number: each.works_on for site, each in pairs})
    return [
        ReplayedSite(site, each, seed, battery, tariffs, neighbours)
        for site, each in zip(sites, series, strict=True)
    ]

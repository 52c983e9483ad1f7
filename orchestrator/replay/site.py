"""One site of a replay: what its devices would measure, and what its agent offers.

The agent knows the site's past readings and no more. Energy in Wh, prices in 0.001 JPY/kWh.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from eth_utils.crypto import keccak

from energy.messages import Domain, sign
from energy.records import Reading
from energy.units import SLOTS_PER_DAY
from orchestrator.agents import Limits, net_export, order_for
from orchestrator.mover import SignedOrder
from orchestrator.replay.series import SiteSeries
from orchestrator.setting.sites import Site
from vpp.forecast import History, Past
from vpp.rule import BatterySize, Command, Mode, command_for, expected_flows

HISTORY_DAYS = 28


def key_of(seed: str, role: str, site: int) -> bytes:
    """Return a key of a replay: the same for the same seed. It guards nothing."""
    return keccak(text=f"{seed} {role} {site}")


@dataclass
class ReplayedSite:
    """A site with its battery and agent, from slot to slot."""

    site: Site
    series: SiteSeries
    seed: str
    domain: Domain
    steers: bool
    stored_wh: int = 0
    """What the battery can deliver, with what always stays in it."""
    readings: dict[int, Reading] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history = History(self.series.works_on)
        self.trader_key = key_of(self.seed, "trader", self.site.number)
        self.oracle_key = key_of(self.seed, "oracle", self.site.number)
        battery = self.site.battery if self.steers else None
        self.size = (
            BatterySize(
                battery.capacity_wh - battery.minimum_wh, battery.power * 100, battery.efficiency
            )
            if battery
            else None
        )
        self.limits = Limits(self.site.ask, self.site.bid, self.site.ratings.order_energy)
        self.command = Command(Mode.HOLD)
        if self.site.battery and not self.stored_wh:
            self.stored_wh = self.site.battery.minimum_wh

    @property
    def available_wh(self) -> int:
        """What the battery can deliver."""
        return self.stored_wh - self.site.battery.minimum_wh if self.site.battery else 0

    def remember(self, first_slot: int) -> None:
        """Know what the site's own meters showed before the market began."""
        start = max(first_slot - HISTORY_DAYS * SLOTS_PER_DAY, self.series.first_slot)
        for slot in range(start, first_slot):
            self.history.slots[slot] = Past(self.series.load(slot), self.series.generation(slot))

    def begin(self, slot: int) -> None:
        """Let the battery be commanded for a slot."""
        if self.size:
            self.command = command_for(slot, self.available_wh, self.size)

    def read(self, slot: int) -> tuple[Reading, bytes]:
        """Return the slot's signed reading, now that it is over."""
        load, generated = self.series.load(slot), self.series.generation(slot)
        charged = discharged = 0
        if self.size:
            charged, discharged = expected_flows(
                self.command, generated - load, self.available_wh, self.size
            )
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
        return reading, sign(reading, self.domain, self.oracle_key)

    def take(self, reading: Reading) -> None:
        """Take note of a reading of the site, and forget what is too old to matter."""
        self.history.add(reading)
        self.readings[reading.slot] = reading
        old = reading.slot - HISTORY_DAYS * SLOTS_PER_DAY - 1
        self.history.slots.pop(old, None)
        self.readings.pop(old, None)
        self.stored_wh = reading.stored or self.stored_wh

    def order(self, slot: int, after_metering: bool) -> SignedOrder | None:
        """Return the agent's signed order for a slot; None where there is nothing to trade."""
        net = net_export(self.readings[slot]) if after_metering else self.forecast(slot)
        order = order_for(slot, self.site.number, net, self.limits, sequence=1)
        if order is None:
            return None
        return SignedOrder(order, sign(order, self.domain, self.trader_key))

    def forecast(self, slot: int) -> int:
        """Return the net export to be expected in a slot whose predecessor still runs."""
        surplus = self._surplus(slot)
        if not self.size:
            return surplus
        stored = self.available_wh
        charged, discharged = expected_flows(
            self.command, self._surplus(slot - 1), stored, self.size
        )
        stored += charged * self.size.efficiency // 1000 - discharged
        command = command_for(slot, stored, self.size)
        charged, discharged = expected_flows(command, surplus, stored, self.size)
        return surplus - charged + discharged

    def _surplus(self, slot: int) -> int:
        return self.history.generation(slot) - self.history.load(slot)

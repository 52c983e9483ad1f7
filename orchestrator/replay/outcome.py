"""What a replay came to, added up slot by slot as it goes: energy, origin and money.

Energy in Wh, money in microyen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from energy.laws import check_origins
from energy.lots import Kind
from energy.origin import trace
from energy.rows import Holdings
from energy.units import MICROYEN_PER_YEN, SLOTS_PER_DAY
from orchestrator.replay.replay import SlotResult
from orchestrator.setting.sites import Battery
from vpp.ageing import outlook
from vpp.chemistry import DAYS_PER_YEAR, chemistry

CHEMISTRY = "lfp"
_WH = 1_000


@dataclass(frozen=True)
class Worn:
    """How batteries wear if what was played recurs, of LFP: whole cycles' worth a year and the part
    of capacity left after ten years, both a battery's in the mean; and what the days that were
    played take of what new ones cost, by the years that each lasts, microyen."""

    full_cycles: float = 0.0
    capacity_left: float = 1.0
    microyen: int = 0


@dataclass
class Outcome:
    """Totals of the slots that it has seen, of sites with their batteries; None for one without."""

    batteries: Mapping[int, Battery | None]
    slots: int = 0
    slots_with_trades: int = 0
    orders: int = 0
    used_wh: int = 0
    generated_wh: int = 0
    solar_used_wh: int = 0
    own_solar_wh: int = 0
    through_battery_wh: int = 0
    battery_lost_wh: int = 0
    traded_wh: int = 0
    delivered_wh: int = 0
    pooled_wh: int = 0
    traded_microyen: int = 0
    without_microyen: int = 0
    """What the sites would have paid the utility alone, for what their meters showed."""
    with_microyen: int = 0
    network_microyen: int = 0
    stored: dict[int, list[int]] = field(default_factory=dict)
    """What each battery held at the end of each slot."""
    _holdings: Holdings = field(default_factory=Holdings)

    def __call__(self, slot: SlotResult) -> None:
        """Add a settled slot.

        Raises:
            AuditError: if its origins do not add up.
        """
        settled, tariff = slot.settled, slot.tariff
        self.slots += 1
        self.slots_with_trades += bool(slot.trades)
        self.orders += len(slot.orders)
        traded = sum(trade.energy for trade in slot.trades)
        self.traded_wh += traded
        self.traded_microyen += traded * slot.price
        self.delivered_wh += sum(flow.energy for flow in settled.deliveries)
        self.pooled_wh += sum(flow.energy for flow in settled.pool)
        for reading in slot.readings.values():
            self.used_wh += reading.consumption
            self.generated_wh += reading.generated
            self.without_microyen += (
                tariff.selling * reading.imported - tariff.buying * reading.exported
            )
            if self.batteries[reading.site]:
                self.stored.setdefault(reading.site, []).append(reading.stored)
        *sites, _, network = settled.entries
        self.with_microyen -= sum(sites)
        self.network_microyen += network
        self._trace(slot)

    def _trace(self, slot: SlotResult) -> None:
        flows = [*slot.settled.deliveries, *slot.settled.pool]
        efficiencies = {
            site: battery.efficiency if battery else None
            for site, battery in self.batteries.items()
        }
        self._holdings, origins = trace(
            self._holdings, slot.slot, efficiencies, slot.readings.values(), flows
        )
        check_origins(slot.slot, dict(slot.readings), origins)
        for row in origins.used:
            if row.origin.kind == Kind.GENERATION:
                self.solar_used_wh += row.energy
                self.own_solar_wh += row.energy if row.origin.site == row.site else 0
                self.through_battery_wh += row.energy if row.through is not None else 0
        self.battery_lost_wh += sum(row.energy for row in origins.lost)

    def with_more(self, other: Outcome) -> Outcome:
        """Return what this and another period of the same sites came to together."""
        totals = {name: value + getattr(other, name) for name, value in self._totals().items()}
        paths = {site: path + other.stored.get(site, []) for site, path in self.stored.items()}
        return replace(self, **totals, stored=paths)

    @cached_property
    def worn(self) -> Worn:
        """How its batteries wear; asked for when all has been played."""
        of_kind, days = chemistry(CHEMISTRY), self.slots / SLOTS_PER_DAY
        cycles, left, cost = [], [], 0.0
        for site, path in self.stored.items():
            battery = self.batteries[site]
            assert battery
            size = battery.capacity_wh / _WH
            after = outlook(np.array(path) / _WH, days, size, of_kind)
            cycles.append(after.full_cycles_a_year)
            left.append(after.capacity_left)
            cost += of_kind.replacement_jpy_per_kwh * size / after.years_of_life
        if not cycles:
            return Worn()
        spent = round(cost * days / DAYS_PER_YEAR * MICROYEN_PER_YEN)
        return Worn(float(np.mean(cycles)), float(np.mean(left)), spent)

    @property
    def gain_microyen(self) -> int:
        """What trading saved the sites."""
        return self.without_microyen - self.with_microyen

    @property
    def self_sufficiency(self) -> float:
        """The part of what was used that came from the sites' roofs."""
        return self.solar_used_wh / self.used_wh if self.used_wh else 0.0

    @property
    def own_sufficiency(self) -> float:
        """The part of what was used that came from the site's own roof."""
        return self.own_solar_wh / self.used_wh if self.used_wh else 0.0

    @property
    def self_consumption(self) -> float:
        """The part of what was generated that the sites used."""
        return self.solar_used_wh / self.generated_wh if self.generated_wh else 0.0

    def to_json(self) -> dict[str, float]:
        """Return the totals and what follows from them."""
        worn = self.worn
        return {
            "sites": len(self.batteries),
            **self._totals(),
            "gain_microyen": self.gain_microyen,
            "self_sufficiency": round(self.self_sufficiency, 4),
            "own_sufficiency": round(self.own_sufficiency, 4),
            "self_consumption": round(self.self_consumption, 4),
            "full_cycles_a_year": round(worn.full_cycles, 1),
            "capacity_left": round(worn.capacity_left, 4),
            "wear_microyen": worn.microyen,
        }

    def _totals(self) -> dict[str, int]:
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}

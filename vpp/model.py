"""What a plan is made for: a site's coming slots, its prices, its batteries and its duties.

| Quantity        | Unit                                                             |
| --------------- | ---------------------------------------------------------------- |
| energy          | kWh in a slot, at the meter (AC) unless it says `stored`         |
| power           | kW, mean of a slot                                               |
| stored energy   | kWh inside the battery, before the discharge efficiency          |
| price           | JPY/kWh; demand and reserve JPY/kW                               |
| efficiency      | 0 < e <= 1, one way                                              |

A series is a number, which then holds for every slot, or one number a slot. Everything is checked
when it is made: a `SettingError` names the thing, its value and its limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from energy.errors import SettingError
from vpp.battery import Battery, Rest, Taper, Wear
from vpp.series import Array, Series, checked

__all__ = [
    "Array",
    "Battery",
    "Demand",
    "Problem",
    "Reserve",
    "Rest",
    "Series",
    "Softness",
    "Taper",
    "Tier",
    "Wear",
]

HALF_HOUR = 0.5


@dataclass(frozen=True)
class Tier:
    """Energy that can be bought, or sold, at `price` a slot, up to `most_kwh` a slot."""

    name: str
    price: Series
    most_kwh: Series = np.inf


@dataclass(frozen=True)
class Demand:
    """A charge on the period's highest mean power bought, of which `reached_kw` is there
    already."""

    price: float
    reached_kw: float = 0.0


@dataclass(frozen=True)
class Reserve:
    """Power held ready, paid `price` JPY/kW a slot, deliverable for `hours` from any moment.

    `least_kw` is what has been sold already (soft), `most_kw` what can be sold.
    """

    price: Series
    hours: float
    least_kw: Series = 0.0
    most_kw: Series = np.inf


@dataclass(frozen=True)
class Softness:
    """What a breach costs while planning, JPY; no bill contains it. Each kind of limit is priced
    by area (each slot's breach) and by height (the highest one), kWh."""

    area: float = 1_000.0
    height: float = 5_000.0


@dataclass(frozen=True)
class Problem:
    """A site's coming slots. `sold_kwh` has been committed in the book: firm, paid whatever is
    delivered (below 0: bought). `call_kwh` is a net export that the grid has called for in a slot;
    nan where none is."""

    load_kwh: Series
    pv_kwh: Series
    purchases: tuple[Tier, ...]
    sales: tuple[Tier, ...]
    batteries: tuple[Battery, ...] = ()
    import_kw: Series = np.inf
    export_kw: Series = np.inf
    demand: Demand | None = None
    reserve_up: Reserve | None = None
    reserve_down: Reserve | None = None
    sold_kwh: Series = 0.0
    call_kwh: Series = np.nan
    first_slot: int = 0
    hours: float = HALF_HOUR
    softness: Softness = field(default_factory=Softness)

    def __post_init__(self) -> None:
        if not np.isfinite(self.hours) or self.hours <= 0:
            raise SettingError(f"a slot must have more than 0 hours, got {self.hours}")
        load = checked("load_kwh", self.load_kwh, 0)
        if load.ndim != 1 or not load.size:
            raise SettingError("load_kwh must be given a slot, for one slot at least")
        object.__setattr__(self, "load_kwh", load)
        for name, least in (("pv_kwh", 0.0), ("import_kw", 0.0), ("export_kw", 0.0)):
            endless = name != "pv_kwh"
            object.__setattr__(self, name, self._series(name, getattr(self, name), least, endless))
        object.__setattr__(self, "sold_kwh", self._series("sold_kwh", self.sold_kwh))
        calls = self._series("call_kwh", self.call_kwh, gaps=True)
        object.__setattr__(self, "call_kwh", calls)
        for kind in ("purchases", "sales"):
            tiers = tuple(self._tier(tier) for tier in getattr(self, kind))
            if not any(np.all(np.isinf(tier.most_kwh)) for tier in tiers):
                raise SettingError(f"one of the {kind} must be without a limit (most_kwh)")
            object.__setattr__(self, kind, tiers)
        batteries = tuple(self._battery(battery) for battery in self.batteries)
        if len({battery.name for battery in batteries}) < len(batteries):
            raise SettingError(
                f"batteries must have different names, got {[each.name for each in batteries]}"
            )
        object.__setattr__(self, "batteries", batteries)
        if self.demand is not None:
            checked("demand price", self.demand.price, 0)
            checked("demand reached_kw", self.demand.reached_kw, 0)
        for name in ("reserve_up", "reserve_down"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, self._reserve(name, getattr(self, name)))
        checked("softness", (self.softness.area, self.softness.height), 0)

    def _series(
        self,
        name: str,
        value: Series,
        least: float = -np.inf,
        endless: bool = False,
        gaps: bool = False,
    ) -> Array:
        """Return a checked series, stretched over the slots."""
        array = checked(name, value, least, endless=endless, gaps=gaps)
        if array.ndim and array.shape != (self.slots,):
            raise SettingError(f"{name} must have {self.slots} slots, got {array.size}")
        return np.ascontiguousarray(np.broadcast_to(array, (self.slots,)))

    def _tier(self, tier: Tier) -> Tier:
        return Tier(
            tier.name,
            self._series(f"{tier.name}: price", tier.price),
            self._series(f"{tier.name}: most_kwh", tier.most_kwh, 0, endless=True),
        )

    def _battery(self, battery: Battery) -> Battery:
        names = ("charge_kw", "discharge_kw", "least_kwh", "most_kwh")
        series = {
            name: self._series(f"battery {battery.name}: {name}", getattr(battery, name), 0)
            for name in names
        }
        return replace(battery, **series)  # type: ignore[arg-type]

    def _reserve(self, name: str, reserve: Reserve) -> Reserve:
        checked(f"{name} hours", reserve.hours, 0)
        fitted = Reserve(
            self._series(f"{name} price", reserve.price, 0),
            reserve.hours,
            self._series(f"{name} least_kw", reserve.least_kw, 0),
            self._series(f"{name} most_kw", reserve.most_kw, 0, endless=True),
        )
        crossed = np.flatnonzero(np.asarray(fitted.least_kw) > fitted.most_kw)
        if crossed.size:
            raise SettingError(f"{name} in slot {crossed[0]}: least_kw must be at most most_kw")
        return fitted

    @property
    def slots(self) -> int:
        """How many slots the plan covers."""
        return len(self.load_kwh)  # type: ignore[arg-type]

    @cached_property
    def net_load_kwh(self) -> Array:
        """What the site needs before any battery: load, standby and what is sold, less PV."""
        standby = sum(battery.standby_kw for battery in self.batteries) * self.hours
        need = np.asarray(self.load_kwh) + standby + np.asarray(self.sold_kwh)
        return np.asarray(need - np.asarray(self.pv_kwh))

    def with_batteries(self, *batteries: Battery) -> Problem:
        """Return the same slots for other batteries, or for none."""
        return replace(self, batteries=batteries)

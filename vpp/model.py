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

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from energy.errors import SettingError

Array = NDArray[np.float64]
Series = float | Sequence[float] | Array

HALF_HOUR = 0.5


def _checked(
    name: str,
    value: Series,
    least: float = -np.inf,
    most: float = np.inf,
    *,
    endless: bool = False,
    gaps: bool = False,
) -> Array:
    """Return a series as an array, refusing what is not finite or out of bounds.

    `endless` allows infinity (no limit), `gaps` allows nan (nothing asked).
    """
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{name} must be a number or a number a slot, got {value!r}") from error
    if array.ndim > 1:
        raise SettingError(f"{name} must be a number or a number a slot, got {array.ndim} axes")
    allowed = ~np.isnan(array) | gaps
    if not endless:
        allowed &= ~np.isinf(array)
    bounds = np.isnan(array) | ((array >= least) & (array <= most))
    wrong = np.flatnonzero(~(allowed & bounds))
    if wrong.size:
        slot = f" in slot {wrong[0]}" if array.ndim else ""
        got = np.atleast_1d(array)[wrong[0]]
        wanted = "a finite number"
        if np.isfinite(least) or np.isfinite(most):
            wanted = f"from {least:g} to {most:g}" if np.isfinite(most) else f"{least:g} or more"
        raise SettingError(f"{name}{slot} must be {wanted}, got {got:g}")
    return array


@dataclass(frozen=True)
class Wear:
    """What depth of cycling costs, JPY for a full cycle: convex, zero at zero, in straight pieces.

    The slope rises by `slopes[k]` JPY/kWh at a depth of `kinks_kwh[k]` (stored kWh, rising, the
    first one 0). `followers_kwh` holds where each kink's follower stood when the last plan ended,
    so that a cycle begun there is charged on (see `vpp.wear`); None: no memory.
    """

    kinks_kwh: Series
    slopes: Series
    followers_kwh: Series | None = None

    def __post_init__(self) -> None:
        kinks = _checked("wear kinks", self.kinks_kwh, 0)
        slopes = _checked("wear slopes", self.slopes, 0)
        if kinks.ndim != 1 or kinks.shape != slopes.shape or not kinks.size:
            raise SettingError(
                f"wear must have as many slopes as kinks, got {slopes.size} and {kinks.size}"
            )
        if kinks[0] or np.any(np.diff(kinks) <= 0):
            raise SettingError(f"wear kinks must rise from 0, got {kinks.tolist()}")
        object.__setattr__(self, "kinks_kwh", kinks)
        object.__setattr__(self, "slopes", slopes)
        if self.followers_kwh is not None:
            followers = _checked("wear followers", self.followers_kwh)
            if followers.shape != kinks.shape:
                raise SettingError(
                    f"wear must have a follower a kink, got {followers.size} and {kinks.size}"
                )
            object.__setattr__(self, "followers_kwh", followers)


@dataclass(frozen=True)
class Rest:
    """Calendar wear: each stored kWh above `above_kwh` costs `price` JPY an hour."""

    above_kwh: float
    price: float


@dataclass(frozen=True)
class Taper:
    """Power that depends on what is stored: at most `kw + slope * stored kWh` at a slot's end."""

    kw: float
    slope: float


@dataclass(frozen=True)
class Battery:
    """A battery. Limits may vary by slot: `charge_kw=0` for a while is maintenance.

    `least_kwh` and `most_kwh` are wishes (soft); 0 and `capacity_kwh` are physical. What is
    stored at the end is worth `end_value` JPY/kWh, and is `end_least_kwh` at least where that is
    given. `standby_kw` is drawn at the meter, always; `leak` is the part lost in a slot.
    """

    name: str
    capacity_kwh: float
    charge_kw: Series
    discharge_kw: Series
    initial_kwh: float
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    least_kwh: Series = 0.0
    most_kwh: Series | None = None
    standby_kw: float = 0.0
    leak: float = 0.0
    end_value: float = 0.0
    end_least_kwh: float | None = None
    end_most_kwh: float | None = None
    wear: Wear | None = None
    rests: tuple[Rest, ...] = ()
    charge_tapers: tuple[Taper, ...] = ()
    discharge_tapers: tuple[Taper, ...] = ()

    def __post_init__(self) -> None:
        def checked(field_: str, least: float, most: float = np.inf) -> None:
            value = _checked(f"battery {self.name}: {field_}", getattr(self, field_), least, most)
            object.__setattr__(self, field_, float(value) if value.ndim == 0 else value)

        if not np.isfinite(self.capacity_kwh) or self.capacity_kwh <= 0:
            raise SettingError(
                f"battery {self.name}: capacity_kwh must be above 0, got {self.capacity_kwh}"
            )
        capacity = self.capacity_kwh
        if self.most_kwh is None:
            object.__setattr__(self, "most_kwh", capacity)
        for name in ("charge_efficiency", "discharge_efficiency"):
            if not 0 < getattr(self, name) <= 1:
                raise SettingError(
                    f"battery {self.name}: {name} must be above 0 and at most 1, "
                    f"got {getattr(self, name)}"
                )
        for name in ("charge_kw", "discharge_kw", "standby_kw"):
            checked(name, 0)
        for name in ("least_kwh", "most_kwh", "initial_kwh"):
            checked(name, 0, capacity)
        for name in ("end_least_kwh", "end_most_kwh"):
            if getattr(self, name) is not None:
                checked(name, 0, capacity)
        checked("leak", 0, 1)
        checked("end_value", -np.inf)
        least, most = np.broadcast_arrays(self.least_kwh, self.most_kwh)  # type: ignore[arg-type]
        crossed = np.flatnonzero(np.atleast_1d(least) > np.atleast_1d(most))
        if crossed.size:
            raise SettingError(
                f"battery {self.name}: least_kwh must be at most most_kwh, got "
                f"{np.atleast_1d(least)[crossed[0]]:g} and {np.atleast_1d(most)[crossed[0]]:g}"
            )
        for rest in self.rests:
            _checked(f"battery {self.name}: rest above_kwh", rest.above_kwh, 0, capacity)
            _checked(f"battery {self.name}: rest price", rest.price, 0)
        for taper in (*self.charge_tapers, *self.discharge_tapers):
            ends = (taper.kw, taper.kw + taper.slope * capacity)
            _checked(f"battery {self.name}: power of a taper", ends, 0)


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
        load = _checked("load_kwh", self.load_kwh, 0)
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
            _checked("demand price", self.demand.price, 0)
            _checked("demand reached_kw", self.demand.reached_kw, 0)
        for name in ("reserve_up", "reserve_down"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, self._reserve(name, getattr(self, name)))
        _checked("softness", (self.softness.area, self.softness.height), 0)

    def _series(
        self,
        name: str,
        value: Series,
        least: float = -np.inf,
        endless: bool = False,
        gaps: bool = False,
    ) -> Array:
        """Return a checked series, stretched over the slots."""
        array = _checked(name, value, least, endless=endless, gaps=gaps)
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
        _checked(f"{name} hours", reserve.hours, 0)
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

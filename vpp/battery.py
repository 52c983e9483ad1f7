"""A battery as it is planned: what it holds, its limits, and what it wears by.

Stored energy in kWh inside the battery, before the discharge efficiency; power in kW at the meter;
an efficiency is one way, above 0 and at most 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.errors import SettingError
from vpp.series import Series, checked


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
        kinks = checked("wear kinks", self.kinks_kwh, 0)
        slopes = checked("wear slopes", self.slopes, 0)
        if kinks.ndim != 1 or kinks.shape != slopes.shape or not kinks.size:
            raise SettingError(
                f"wear must have as many slopes as kinks, got {slopes.size} and {kinks.size}"
            )
        if kinks[0] or np.any(np.diff(kinks) <= 0):
            raise SettingError(f"wear kinks must rise from 0, got {kinks.tolist()}")
        object.__setattr__(self, "kinks_kwh", kinks)
        object.__setattr__(self, "slopes", slopes)
        if self.followers_kwh is not None:
            followers = checked("wear followers", self.followers_kwh)
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
        def check(field_: str, least: float, most: float = np.inf) -> None:
            value = checked(f"battery {self.name}: {field_}", getattr(self, field_), least, most)
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
            check(name, 0)
        for name in ("least_kwh", "most_kwh", "initial_kwh"):
            check(name, 0, capacity)
        for name in ("end_least_kwh", "end_most_kwh"):
            if getattr(self, name) is not None:
                check(name, 0, capacity)
        check("leak", 0, 1)
        check("end_value", -np.inf)
        least, most = np.broadcast_arrays(self.least_kwh, self.most_kwh)  # type: ignore[arg-type]
        crossed = np.flatnonzero(np.atleast_1d(least) > np.atleast_1d(most))
        if crossed.size:
            raise SettingError(
                f"battery {self.name}: least_kwh must be at most most_kwh, got "
                f"{np.atleast_1d(least)[crossed[0]]:g} and {np.atleast_1d(most)[crossed[0]]:g}"
            )
        for rest in self.rests:
            checked(f"battery {self.name}: rest above_kwh", rest.above_kwh, 0, capacity)
            checked(f"battery {self.name}: rest price", rest.price, 0)
        for taper in (*self.charge_tapers, *self.discharge_tapers):
            ends = (taper.kw, taper.kw + taper.slope * capacity)
            checked(f"battery {self.name}: power of a taper", ends, 0)

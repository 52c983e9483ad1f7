"""The process image: what all devices showed in a cycle, each value with the time it was read.

A cycle reads everything into an image, decides from it alone, and writes. A value older than the
image's `patience` is not there: nothing is decided on it.

Power in W, energy in Wh, time in seconds of one clock that nobody sets.

>>> image = Image(100.0, 5.0, imported_w=Aged(2_000, 94.0), generated_w=Aged(500, 99.0))
>>> image.age_of(image.imported_w), image.import_w, image.generation_w
(6.0, None, 500)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from vpp.dispatch.device import BatteryShown

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Aged(Generic[T]):
    """A value, and when it was read."""

    value: T
    at: float


@dataclass(frozen=True, slots=True)
class Image:
    """What is known at a moment, and how old a value may be."""

    at: float
    patience: float
    battery: Aged[BatteryShown] | None = None
    imported_w: Aged[int] | None = None
    generated_w: Aged[int] | None = None

    def age_of(self, value: Aged[T] | None) -> float | None:
        """Return how old a value is; None if it never was."""
        return None if value is None else self.at - value.at

    def fresh(self, value: Aged[T] | None) -> T | None:
        """Return a value that is not too old."""
        return value.value if value is not None and self.at - value.at <= self.patience else None

    @property
    def shown(self) -> BatteryShown | None:
        """What the battery shows."""
        return self.fresh(self.battery)

    @property
    def battery_w(self) -> int | None:
        """What leaves the battery."""
        return None if self.shown is None else self.shown.power_w

    @property
    def stored_wh(self) -> int | None:
        """What the battery holds."""
        return None if self.shown is None else self.shown.stored_wh

    @property
    def import_w(self) -> int | None:
        """What comes from the network; negative: goes into it."""
        return self.fresh(self.imported_w)

    @property
    def generation_w(self) -> int | None:
        """What the roof gives."""
        return self.fresh(self.generated_w)

    @property
    def need_w(self) -> int | None:
        """What the site lacks without its battery: load less generation."""
        if self.import_w is None or self.battery_w is None:
            return None
        return self.import_w + self.battery_w

"""A site's devices, read together into one image.

Power in W; time in seconds of a clock that nobody sets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from energy.errors import DeviceError
from vpp.dispatch.device import Battery, BatteryShown, Power
from vpp.dispatch.image import Aged, Image

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read:
    """What a cycle read: the image, the battery's own answer if it gave one, and who failed."""

    image: Image
    battery: BatteryShown | None
    silent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Instruments:
    """The battery, and the meter and inverter beside it, if there are."""

    battery: Battery
    meter: Power | None = None
    inverter: Power | None = None

    async def read(self, before: Image, clock: Callable[[], float]) -> Read:
        """Return what all show now; of a device that fails, what it showed before, with its age."""
        began = clock()
        battery, imported, generated = await asyncio.gather(
            _answered(self.battery.read),
            _answered(self.meter.read if self.meter else None),
            _answered(self.inverter.read if self.inverter else None),
        )
        image = replace(before, at=clock())
        shown = battery if isinstance(battery, BatteryShown) else None
        if shown is not None:
            image = replace(image, battery=Aged(shown, began))
        if isinstance(imported, int):
            image = replace(image, imported_w=Aged(imported, began))
        if isinstance(generated, int):
            image = replace(image, generated_w=Aged(generated, began))
        answers = {"meter": imported, "inverter": generated}
        silent = {
            name: str(answer) if isinstance(answer, DeviceError) else ""
            for name, answer in answers.items()
        }
        return Read(image, shown, silent)


async def _answered(ask: Callable[[], Awaitable[T]] | None) -> T | DeviceError | None:
    """Return what a device answers; its error as such, None without a device."""
    if ask is None:
        return None
    try:
        return await ask()
    except DeviceError as error:
        return error

"""What SunSpec models tell of a battery: what it stores, and which DC ports are its own.

What it stores is 713's WHAvail, or WHRtg x SoC of 713 or 802. A hybrid inverter tells its DC ports
one by one at the end of 714: where ports are marked as storage, these alone are the battery.

Energy in Wh.
"""

from __future__ import annotations

from collections.abc import Mapping

from energy.errors import DeviceError
from field.sunspec import Block, parts_of, raw_of, value_of

STORES = (713, 802)
"""Models that tell the stored energy, the first that does being believed."""
STORAGE_PORT = 1
"""PrtTyp of a port of model 714 that has a battery behind it."""


class Unmeasured(DeviceError):
    """The device says that it does not measure this."""

    kind = "not-implemented"


def storage_parts(block: Block) -> list[Block]:
    """Return the parts of a block that are the battery: its storage ports, or the whole."""
    ports = [part for part in parts_of(block) if "PrtTyp" in part.model.points]
    return [port for port in ports if raw_of(port, "PrtTyp") == STORAGE_PORT] or [block]


def stored_of(blocks: Mapping[int, Block]) -> int:
    """Return what a battery holds, in Wh, from its models' blocks by number.

    Raises:
        DeviceError: if no model tells, or one tells more than the battery's rating.
    """
    for number in STORES:
        block = blocks.get(number)
        if block is None:
            continue
        rating_wh = value_of(block, "WHRtg")
        charge = value_of(block, "SoC", digits=4)  # 0.0001 %
        stored_wh = value_of(block, "WHAvail") if number == 713 else None
        if charge is not None and charge > 100_0000:
            raise DeviceError(f"{number} SoC must be at most 100 %, got {charge // 10_000} %")
        if stored_wh is None and rating_wh is not None and charge is not None:
            stored_wh = rating_wh * charge // 100_0000
        if stored_wh is None:
            continue
        if rating_wh is not None and stored_wh > rating_wh:
            raise DeviceError(
                f"{number} WHAvail must be at most WHRtg {rating_wh} Wh, got {stored_wh} Wh"
            )
        return stored_wh
    raise Unmeasured("the stored energy must be in model 713 or 802, got 'not implemented'")

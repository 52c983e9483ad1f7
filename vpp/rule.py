"""A simple rule for a battery: by day it stores surplus, in the evening it gives it away.

| Japan time   | Command   | What the battery does                                          |
| ------------ | --------- | -------------------------------------------------------------- |
| 06:00-17:00  | STORE     | charges from the site's surplus alone, as far as it goes       |
| 17:00-18:00  | HOLD      | nothing                                                        |
| 18:00-22:00  | DISCHARGE | what it holds, spread evenly; the site uses it or sells it     |
| 22:00-06:00  | HOLD      | nothing                                                        |

Energy in Wh, power in W. Efficiency is that of a round trip, per mille; what is stored is what
can still be delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from energy.units import SLOT_SECONDS, slot_of_day

STORE_SLOTS = range(12, 34)
DISCHARGE_SLOTS = range(36, 44)


class Mode(Enum):
    """What a battery is told for a slot: to store surplus, to serve what the site lacks, to do
    either as it comes (own use), to discharge whatever the site needs, or to hold."""

    STORE = "store"
    SERVE = "serve"
    OWN = "own"
    DISCHARGE = "discharge"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class BatterySize:
    """What a battery can deliver when full (Wh), its power (W), its round trip (per mille)."""

    capacity_wh: int
    power_w: int
    efficiency: int

    @property
    def slot_limit_wh(self) -> int:
        """Most Wh charged or discharged in a slot."""
        return self.power_w * SLOT_SECONDS // 3600


@dataclass(frozen=True, slots=True)
class Command:
    """What a battery should do in a slot. `power_w` is what it discharges, or the most that it
    stores or serves (for own use: serves); None: all that its own power allows."""

    mode: Mode
    power_w: int | None = None

    def energy_wh(self, size: BatterySize) -> int:
        """Return its power's energy in a slot, within the battery's."""
        if self.power_w is None:
            return size.slot_limit_wh
        return min(self.power_w * SLOT_SECONDS // 3600, size.slot_limit_wh)


def command_for(slot: int, stored_wh: int, size: BatterySize) -> Command:
    """Return the rule's command for a slot that begins with `stored_wh` to deliver."""
    number = slot_of_day(slot)
    if number in STORE_SLOTS:
        return Command(Mode.STORE)
    if number in DISCHARGE_SLOTS and stored_wh > 0:
        energy = min(-(-stored_wh // (DISCHARGE_SLOTS.stop - number)), size.slot_limit_wh)
        return Command(Mode.DISCHARGE, energy * 3600 // SLOT_SECONDS)
    return Command(Mode.HOLD)


def expected_flows(
    command: Command, surplus_wh: int, stored_wh: int, size: BatterySize
) -> tuple[int, int]:
    """Return the (charged, discharged) Wh that a command leads to in a slot.

    `surplus_wh` is generation less load, as forecast; `stored_wh` what the slot begins with.
    """
    most = command.energy_wh(size)
    if command.mode is Mode.STORE:
        return max(0, min(surplus_wh, most, _room_wh(stored_wh, size))), 0
    if command.mode is Mode.OWN and surplus_wh > 0:
        return expected_flows(Command(Mode.STORE), surplus_wh, stored_wh, size)
    if command.mode in (Mode.SERVE, Mode.OWN):
        most = min(most, max(-surplus_wh, 0))
    return 0, 0 if command.mode is Mode.HOLD else min(most, stored_wh)


def called_flows(
    flows: tuple[int, int], called_wh: int, surplus_wh: int, stored_wh: int, size: BatterySize
) -> tuple[int, int]:
    """Return the (charged, discharged) Wh of a battery that is called to give `called_wh` more
    (below 0: less) than by `flows`: as far as its power, what it holds and its room reach, and
    charging from the site's surplus alone."""
    charged, discharged = flows
    least = -max(min(surplus_wh, size.slot_limit_wh, _room_wh(stored_wh, size)), 0)
    most = min(size.slot_limit_wh, stored_wh)
    given = min(max(discharged - charged + called_wh, least), most)
    return max(-given, 0), max(given, 0)


def _room_wh(stored_wh: int, size: BatterySize) -> int:
    """Return how much can be charged."""
    return (size.capacity_wh - stored_wh) * 1000 // size.efficiency

"""The physics of a simulated site: PV, load, battery and the connection to the network.

Constant power within a half hour, whole Wh, no energy from nowhere: at every step

    imported - exported = load - generated + charged - discharged        exactly.

The battery follows the controls of SunSpec model 124. Its loss falls on charging: what it
holds is counted as what it can deliver, so that stored x 1000 / efficiency is what was
charged for it. From its terminals no one can see how a loss is divided.

Units: energy in Wh, power in W, rates in 0.01 % of the battery's power, efficiency (round
trip) in per mille, time in unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

FULL_RATE = 10_000
"""100 % in units of 0.01 %."""


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery's size: what it can deliver when full, its power, its round trip."""

    capacity_wh: int
    power_w: int
    efficiency: int = 900
    initial_wh: int = 0


@dataclass(frozen=True, slots=True)
class Controls:
    """The control points of model 124.

    With `limits_charge` the battery's power, charging positive, is at most `charge_rate`;
    with `limits_discharge` at least -`discharge_rate`. A negative rate thereby forces the
    other direction: a charge rate of -40 % discharges with at least 40 %. Without either,
    the battery follows the surplus (self-consumption). After `revert_seconds` without a
    new command both limits fall away (0: never).
    """

    limits_charge: bool = False
    limits_discharge: bool = False
    charge_rate: int = FULL_RATE
    discharge_rate: int = FULL_RATE
    reserve: int = 0
    """What discharging leaves, in 0.01 % of the capacity."""
    charges_from_grid: bool = False
    revert_seconds: int = 0
    commanded_seconds: int = 0

    def reverted(self, now_seconds: int) -> Controls:
        """Return the controls at a moment, the limits dropped if their time is over."""
        if 0 < self.revert_seconds <= now_seconds - self.commanded_seconds:
            return replace(self, limits_charge=False, limits_discharge=False)
        return self

    @property
    def reverts_at(self) -> int | None:
        """When the limits fall away; None if they do not."""
        if self.revert_seconds and (self.limits_charge or self.limits_discharge):
            return self.commanded_seconds + self.revert_seconds
        return None


@dataclass(frozen=True, slots=True)
class Flows:
    """Energies (Wh) over a time, or counters from its beginning."""

    imported: int = 0
    exported: int = 0
    generated: int = 0
    charged: int = 0
    discharged: int = 0

    def __add__(self, other: Flows) -> Flows:
        return Flows(
            self.imported + other.imported,
            self.exported + other.exported,
            self.generated + other.generated,
            self.charged + other.charged,
            self.discharged + other.discharged,
        )


@dataclass(frozen=True, slots=True)
class Plant:
    """A site at a moment: its counters, what the battery holds, and what flowed last.

    `content` is in thousandths of a Wh that can be delivered.
    """

    time_seconds: int
    counters: Flows = field(default_factory=Flows)
    content: int = 0
    last: Flows = field(default_factory=Flows)
    last_seconds: int = 1

    @property
    def stored_wh(self) -> int:
        """What the battery can deliver."""
        return self.content // 1000

    def power_w(self, energy_wh: int) -> int:
        """Return the mean power of an energy that flowed last."""
        return energy_wh * 3600 // self.last_seconds


def advanced(
    plant: Plant,
    seconds: int,
    load_wh: int,
    generation_wh: int,
    battery: Battery | None = None,
    controls: Controls | None = None,
) -> Plant:
    """Return the plant after a time in which load and generation were these."""
    if seconds <= 0:
        raise ValueError(f"a plant must advance by more than 0 s, got {seconds} s")
    energy_wh = 0
    if battery is not None:
        energy_wh = battery_energy(
            battery,
            (controls or Controls()).reverted(plant.time_seconds),
            plant.content,
            generation_wh - load_wh,
            energy_between(battery.power_w, plant.time_seconds, seconds),
        )
    charged, discharged = max(energy_wh, 0), max(-energy_wh, 0)
    net_wh = load_wh - generation_wh + charged - discharged
    flows = Flows(max(net_wh, 0), max(-net_wh, 0), generation_wh, charged, discharged)
    gained = charged * battery.efficiency - discharged * 1000 if battery else 0
    return Plant(
        plant.time_seconds + seconds, plant.counters + flows, plant.content + gained, flows, seconds
    )


def battery_energy(
    battery: Battery, controls: Controls, content: int, surplus_wh: int, most_wh: int
) -> int:
    """Return what goes into the battery (Wh; below zero, out of it) within its limits.

    `surplus_wh` is generation less load; `most_wh` what its power allows in the time.
    Limits that exclude each other let it stand still.

    >>> battery = Battery(44_000, 15_000)
    >>> battery_energy(battery, Controls(), 10_000_000, -3_000, 7_500)
    -3000
    >>> forced = Controls(limits_charge=True, charge_rate=-4_000)
    >>> battery_energy(battery, forced, 10_000_000, -1_000, 7_500)
    -3000
    """
    highest = most_wh
    if controls.limits_charge:
        highest = min(_energy_at(controls.charge_rate, most_wh), most_wh)
    lowest = -most_wh
    if controls.limits_discharge:
        lowest = max(-_energy_at(controls.discharge_rate, most_wh), -most_wh)
    wanted = min(max(surplus_wh, lowest), highest) if lowest <= highest else 0
    if wanted > 0:
        if not controls.charges_from_grid:
            wanted = min(wanted, max(surplus_wh, 0))
        return min(wanted, (battery.capacity_wh * 1000 - content) // battery.efficiency)
    reserve = battery.capacity_wh * 1000 * controls.reserve // FULL_RATE
    return -min(-wanted, max(content - reserve, 0) // 1000)


def _energy_at(rate: int, most_wh: int) -> int:
    """Return the Wh of a rate, rounded towards zero: a rate and its negative do not cross."""
    energy_wh = most_wh * abs(rate) // FULL_RATE
    return energy_wh if rate >= 0 else -energy_wh


def energy_between(power_w: int, start_seconds: int, seconds: int) -> int:
    """Return the Wh of a constant power, such that the parts of a time add up to the whole."""
    return (start_seconds + seconds) * power_w // 3600 - start_seconds * power_w // 3600

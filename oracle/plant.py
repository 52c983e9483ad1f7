"""The physics of a simulated site: PV, load, battery and the connection to the network.

Constant power within a step, whole Wh or parts of one, no energy from nowhere: at every step

    imported - exported = load - generated + charged - discharged        exactly.

The battery follows the controls of SunSpec models 124 and 704. Its loss falls on charging: what it
holds is counted as what it can deliver, so that stored x 1000 / efficiency is what was
charged for it. From its terminals no one can see how a loss is divided.

Half hours are played in Wh; seconds need a finer unit, else their power is nothing but rounding: a
plant that counts in watt-seconds has 3600 `parts` a Wh.

Units: energy in Wh or the plant's parts of it, power in W, rates in 0.01 % of the battery's power,
efficiency (round trip) in per mille, time in unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

FULL_RATE = 10_000
"""100 % in units of 0.01 %."""


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery's size: what it can deliver when full, its power, its round trip.

    Its power changes by at most `ramp_w` in a second (0: at once).
    """

    capacity_wh: int
    power_w: int
    efficiency: int = 900
    initial_wh: int = 0
    ramp_w: int = 0


@dataclass(frozen=True, slots=True)
class Controls:
    """The control points of models 124 and 704.

    With `limits_charge` the battery's power, charging positive, is at most `charge_rate`;
    with `limits_discharge` at least -`discharge_rate`. A negative rate thereby forces the
    other direction: a charge rate of -40 % discharges with at least 40 %. Without either,
    the battery follows the surplus (self-consumption). After `revert_seconds` without a
    new command both limits fall away (0: never).

    With `sets_power`, model 704's WSetEna, the battery's power is `set_w`, discharging positive,
    whatever the limits say; it falls away in the same way, after `set_seconds`.
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
    sets_power: bool = False
    set_w: int = 0
    set_seconds: int = 0
    set_at_seconds: int = 0

    def reverted(self, now_seconds: int) -> Controls:
        """Return the controls at a moment, what is over dropped."""
        controls = self
        if 0 < self.revert_seconds <= now_seconds - self.commanded_seconds:
            controls = replace(controls, limits_charge=False, limits_discharge=False)
        if 0 < self.set_seconds <= now_seconds - self.set_at_seconds:
            controls = replace(controls, sets_power=False)
        return controls

    @property
    def reverts_at(self) -> int | None:
        """When something falls away next; None if nothing does."""
        ends = []
        if self.revert_seconds and (self.limits_charge or self.limits_discharge):
            ends.append(self.commanded_seconds + self.revert_seconds)
        if self.set_seconds and self.sets_power:
            ends.append(self.set_at_seconds + self.set_seconds)
        return min(ends, default=None)


@dataclass(frozen=True, slots=True)
class Flows:
    """Energies over a time, or counters from its beginning, in Wh or a plant's parts of it."""

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

    def scaled(self, factor: int, divisor: int = 1) -> Flows:
        """Return these in another unit, rounded down."""
        return Flows(
            self.imported * factor // divisor,
            self.exported * factor // divisor,
            self.generated * factor // divisor,
            self.charged * factor // divisor,
            self.discharged * factor // divisor,
        )


@dataclass(frozen=True, slots=True)
class Plant:
    """A site at a moment: its counters, what the battery holds, and what flowed last.

    All energies are in its `parts` of a Wh; `content` is in thousandths of that, and can be
    delivered.
    """

    time_seconds: int
    counters: Flows = field(default_factory=Flows)
    content: int = 0
    last: Flows = field(default_factory=Flows)
    last_seconds: int = 1
    parts: int = 1

    @property
    def stored_wh(self) -> int:
        """What the battery can deliver."""
        return self.content // (1000 * self.parts)

    @property
    def counters_wh(self) -> Flows:
        """The counters as devices show them."""
        return self.counters.scaled(1, self.parts)

    def power_w(self, energy: int) -> int:
        """Return the mean power of an energy that flowed last."""
        return energy * 3600 // (self.last_seconds * self.parts)


def advanced(
    plant: Plant,
    seconds: int,
    load: int,
    generation: int,
    battery: Battery | None = None,
    controls: Controls | None = None,
) -> Plant:
    """Return the plant after a time in which load and generation were these, in its parts."""
    if seconds <= 0:
        raise ValueError(f"a plant must advance by more than 0 s, got {seconds} s")
    energy = 0
    if battery is not None:
        most = energy_between(battery.power_w * plant.parts, plant.time_seconds, seconds)
        energy = battery_energy(
            battery,
            (controls or Controls()).reverted(plant.time_seconds),
            plant.content,
            generation - load,
            most,
            plant.parts,
        )
        if battery.ramp_w:
            energy = ramped(plant, battery, energy, seconds)
    charged, discharged = max(energy, 0), max(-energy, 0)
    net = load - generation + charged - discharged
    flows = Flows(max(net, 0), max(-net, 0), generation, charged, discharged)
    gained = charged * battery.efficiency - discharged * 1000 if battery else 0
    return replace(
        plant,
        time_seconds=plant.time_seconds + seconds,
        counters=plant.counters + flows,
        content=plant.content + gained,
        last=flows,
        last_seconds=seconds,
    )


def ramped(plant: Plant, battery: Battery, energy: int, seconds: int) -> int:
    """Return what goes into a battery whose power follows no faster than its ramp.

    An empty or a full one stops at once.
    """
    last_w = plant.power_w(plant.last.charged - plant.last.discharged)
    step_w, unit = battery.ramp_w * seconds, seconds * plant.parts
    lowest, highest = (last_w - step_w) * unit // 3600, (last_w + step_w) * unit // 3600
    within = min(max(energy, lowest), highest)
    room = (battery.capacity_wh * 1000 * plant.parts - plant.content) // battery.efficiency
    return max(min(within, room), -(plant.content // 1000))


def battery_energy(
    battery: Battery, controls: Controls, content: int, surplus: int, most: int, parts: int = 1
) -> int:
    """Return what goes into the battery (below zero, out of it) within its limits.

    `surplus` is generation less load; `most` what its power allows in the time; both in `parts` of
    a Wh. Limits that exclude each other let it stand still.

    >>> battery = Battery(44_000, 15_000)
    >>> battery_energy(battery, Controls(), 10_000_000, -3_000, 7_500)
    -3000
    >>> forced = Controls(limits_charge=True, charge_rate=-4_000)
    >>> battery_energy(battery, forced, 10_000_000, -1_000, 7_500)
    -3000
    """
    full = battery.capacity_wh * 1000 * parts
    highest, lowest = most, -most
    if controls.limits_charge:
        highest = min(_energy_at(controls.charge_rate, most), most)
    if controls.limits_discharge:
        lowest = max(-_energy_at(controls.discharge_rate, most), -most)
    if controls.sets_power:
        highest = lowest = min(max(-controls.set_w * most // battery.power_w, -most), most)
    wanted = min(max(surplus, lowest), highest) if lowest <= highest else 0
    if wanted > 0:
        if not controls.charges_from_grid and not controls.sets_power:
            wanted = min(wanted, max(surplus, 0))
        return min(wanted, (full - content) // battery.efficiency)
    reserve = full * controls.reserve // FULL_RATE
    return -min(-wanted, max(content - reserve, 0) // 1000)


def _energy_at(rate: int, most: int) -> int:
    """Return the energy of a rate, rounded towards zero: a rate and its negative do not cross."""
    energy = most * abs(rate) // FULL_RATE
    return energy if rate >= 0 else -energy


def energy_between(power_w: int, start_seconds: int, seconds: int) -> int:
    """Return the Wh of a constant power, such that the parts of a time add up to the whole."""
    return (start_seconds + seconds) * power_w // 3600 - start_seconds * power_w // 3600

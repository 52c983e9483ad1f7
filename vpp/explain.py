"""Why a plan does what it does, slot by slot, and what would change its mind.

All of it is read from the duals. A battery charges while a kWh at the meter costs less than what it
adds to the battery is worth, and discharges while it saves more than what it takes out is worth,
wear included on both sides. Prices in JPY/kWh at the meter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from vpp.model import Array
from vpp.plan import Plan

SOME = 1e-3
"""kWh in a slot from which a flow is spoken of."""
NEAR = 1e-6


class Why(StrEnum):
    """The reason for what a battery does in a slot."""

    SURPLUS = "surplus"
    OWN_USE = "own use"
    SPREAD = "spread"
    PEAK = "peak"
    RESERVE = "reserve"
    LIMIT = "limit"
    CALL = "call"
    WEAR = "wear"
    FULL = "full"
    EMPTY = "empty"
    POWER = "power"
    EITHER = "either"
    NO_SPREAD = "no spread"
    RULE = "rule"


@dataclass(frozen=True)
class Reason:
    """What battery number `battery` does in a slot (`charge` or `discharge` in kWh, or neither).

    `energy_price` is a kWh's worth at the meter, `stored_value` in the battery; the battery
    charges below `charge_below` and discharges above `discharge_above`: between the two it
    rests. All nan for the safe rule, which knows no prices.
    """

    slot: int
    battery: int
    charge: float
    discharge: float
    why: Why
    energy_price: float
    stored_value: float
    charge_below: float
    discharge_above: float


def reasons(plan: Plan, battery: int = 0, slots: range | None = None) -> list[Reason]:
    """Return a battery's reasons, one a slot, of some of the plan's slots or all."""
    unit = plan.problem.batteries[battery]
    charge, discharge = plan.charge[battery], plan.discharge[battery]
    below, above, price, value = thresholds(plan, battery)
    found = []
    for slot in slots or range(plan.problem.slots):
        why = Why.RULE
        if plan.duals is not None:
            why = _why(plan, battery, slot, float(below[slot]), float(above[slot]))
        elif charge[slot] > SOME:
            why = Why.SURPLUS
        found.append(
            Reason(
                slot,
                battery,
                float(charge[slot]),
                float(discharge[slot]),
                why,
                float(price[slot]),
                float(value[slot]) * unit.discharge_efficiency,
                float(below[slot]),
                float(above[slot]),
            )
        )
    return found


def thresholds(plan: Plan, battery: int = 0) -> tuple[Array, Array, Array, Array]:
    """Return (charges below, discharges above, energy's price, stored energy's value), a slot.

    The first three at the meter, the last a kWh inside the battery, all JPY/kWh. The thresholds
    include what moving the energy wears, as the followers of `vpp.wear` price it: the duals of
    the state rows hold that already, but for throughput.
    """
    slots, unit = plan.problem.slots, plan.problem.batteries[battery]
    if plan.duals is None:
        nothing = np.full(slots, np.nan)
        return nothing, nothing, nothing, nothing
    value = plan.duals.stored[battery]
    throughput = 0.0 if unit.wear is None else float(np.asarray(unit.wear.slopes)[0]) / 2
    below = (value - throughput) * unit.charge_efficiency
    above = (value + throughput) / unit.discharge_efficiency
    return below, above, plan.duals.energy, value


def _why(plan: Plan, battery: int, slot: int, below: float, above: float) -> Why:
    problem, unit = plan.problem, plan.problem.batteries[battery]
    assert plan.duals is not None
    charge, discharge = plan.charge[battery][slot], plan.discharge[battery][slot]
    price, peak = plan.duals.energy[slot], plan.duals.peak[slot]
    need = problem.net_load_kwh[slot]
    called = not np.isnan(np.asarray(problem.call_kwh)[slot])
    if called and (charge > SOME or discharge > SOME):
        return Why.CALL
    if charge > SOME:
        if -need >= charge - SOME:
            return Why.SURPLUS
        return Why.SPREAD
    if discharge > SOME:
        # Without the demand charge, would it still?
        if peak > NEAR and price - peak < above + NEAR:
            return Why.PEAK
        if _bought(plan, slot) < price - NEAR and peak <= NEAR:
            return Why.LIMIT
        return Why.OWN_USE if need >= discharge - SOME else Why.SPREAD
    stored = plan.stored[battery][slot]
    if plan.duals.held and plan.duals.held[battery][slot] > NEAR:
        return Why.RESERVE
    if price > above + NEAR or price < below - NEAR:
        return Why.POWER
    if stored <= np.asarray(unit.least_kwh)[slot] + SOME and price >= below:
        return Why.EMPTY
    if stored >= np.asarray(unit.most_kwh)[slot] - SOME and need < -SOME:
        return Why.FULL
    ends = np.asarray(unit.least_kwh)[slot] + SOME, np.asarray(unit.most_kwh)[slot] - SOME
    out, into = plan.discharge[battery].any(), plan.charge[battery].any()
    if (out and abs(price - above) <= NEAR and stored > ends[0]) or (
        into and abs(price - below) <= NEAR and stored < ends[1]
    ):
        return Why.EITHER
    if unit.wear is not None and _pays_without_wear(plan, battery, slot):
        return Why.WEAR
    return Why.NO_SPREAD


def _bought(plan: Plan, slot: int) -> float:
    return max(float(np.asarray(tier.price)[slot]) for tier in plan.problem.purchases)


def _pays_without_wear(plan: Plan, battery: int, slot: int) -> bool:
    """Return whether another slot's price is far enough off to pay for the losses alone."""
    assert plan.duals is not None
    unit, prices = plan.problem.batteries[battery], plan.duals.energy
    round_trip = unit.charge_efficiency * unit.discharge_efficiency
    later, price = prices[slot + 1 :], prices[slot]
    earlier = prices[:slot]
    dearer = later.size and later.max() * round_trip > price + NEAR
    cheaper = earlier.size and earlier.min() < price * round_trip - NEAR
    return bool(dearer or cheaper)

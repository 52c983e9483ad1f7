"""An independent look at a plan: simulate it again, from the flows alone, and add up the money.

Nothing here is shared with the program that made the plan: balances, states, limits, reserves, wear
by rainflow counting. `faults` is empty for a plan that may be handed on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vpp.model import Array, Battery, Reserve
from vpp.plan import Plan
from vpp.wear import wear_cost

ENERGY = 1e-5
"""kWh, or kW, by which a sum may be out: solvers are exact to about 1e-7 a row."""
MONEY = 1e-6
"""Part of the sum by which money may be out, and JPY for small sums."""
GAP = 1e-5
"""Part of the cost that the proof of optimality may leave open."""
GAP_WITH_BINARIES = 1e-2
"""The same where binaries were searched until the time was up."""


def faults(plan: Plan) -> list[str]:
    """Return what is wrong with a plan, in words; nothing if all holds.

    A soft limit may be missed where the plan itself says so, by as much as it says.
    """
    return [*_finite(plan), *(_all(plan) if not list(_finite(plan)) else ())]


def _finite(plan: Plan) -> Iterator[str]:
    flows = {
        "curtailed": plan.curtailed,
        **plan.purchases,
        **plan.sales,
        **{f"charge {n}": flow for n, flow in enumerate(plan.charge)},
        **{f"discharge {n}": flow for n, flow in enumerate(plan.discharge)},
        **{f"stored {n}": flow for n, flow in enumerate(plan.stored)},
    }
    for name, flow in flows.items():
        if flow.shape != (plan.problem.slots,):
            yield f"{name} must have {plan.problem.slots} slots, got {flow.shape}"
        elif not np.isfinite(flow).all():
            yield f"{name} must be finite in each slot"
        elif (flow < -ENERGY).any():
            yield f"{name} must be 0 or more in each slot, got {flow.min():g} kWh"


def _all(plan: Plan) -> Iterator[str]:
    yield from _meter(plan)
    for number, battery in enumerate(plan.problem.batteries):
        yield from _battery(plan, number, battery)
    for way in ("up", "down"):
        product = getattr(plan.problem, f"reserve_{way}")
        if product is not None:
            yield from _reserve(plan, way, product)
    yield from _money(plan)


def _out(excess: Array, what: str, unit: str = "kWh") -> Iterator[str]:
    worst = int(np.argmax(excess))
    if excess[worst] > ENERGY:
        yield f"{what} is out by {excess[worst]:g} {unit} in slot {worst}"


def _allowed(plan: Plan, limit: str) -> Array:
    """Return by how much a plan says that it misses a limit, a slot."""
    allowed = np.zeros(plan.problem.slots)
    for breach in plan.breaches:
        if breach.limit == limit:
            allowed[breach.slot] += breach.amount
    return allowed


def _meter(plan: Plan) -> Iterator[str]:
    problem = plan.problem
    bought, sold = sum(plan.purchases.values()), sum(plan.sales.values())
    load = (
        np.asarray(problem.load_kwh) + sum(b.standby_kw for b in problem.batteries) * problem.hours
    )
    used = load + sum(plan.charge) + sold + np.asarray(problem.sold_kwh)
    had = bought + np.asarray(problem.pv_kwh) - plan.curtailed + sum(plan.discharge)
    yield from _out(np.abs(np.asarray(had - used)), "the balance at the meter")
    yield from _out(plan.curtailed - np.asarray(problem.pv_kwh), "curtailed PV")
    for tiers, flows in ((problem.purchases, plan.purchases), (problem.sales, plan.sales)):
        for tier in tiers:
            yield from _out(
                flows[tier.name] - np.asarray(tier.most_kwh), f"the limit of {tier.name}"
            )
    yield from _out(np.minimum(bought, sold), "buying and selling at once")
    if plan.is_safe_rule:  # it knows no wishes of the network's
        return
    for limit, power, flow in (
        ("import limit", problem.import_kw, -plan.net_export),
        ("export limit", problem.export_kw, plan.net_export),
    ):
        most = np.asarray(power) * problem.hours + _allowed(plan, limit)
        yield from _out(flow - most, limit)
    called = np.asarray(problem.call_kwh)
    missed = np.nan_to_num(called - plan.net_export)
    yield from _out(missed - _allowed(plan, "energy called for"), "a call")
    yield from _out(-missed - _allowed(plan, "energy called for, exceeded"), "a call")
    if problem.demand is not None:
        peak = max(problem.demand.reached_kw, float(plan.imported.max()) / problem.hours)
        yield from _out(np.array([peak - plan.peak_kw]), "the peak", "kW")


def _battery(plan: Plan, number: int, battery: Battery) -> Iterator[str]:
    name, hours = f"battery {battery.name}", plan.problem.hours
    charge, discharge, stored = (
        flow[number] for flow in (plan.charge, plan.discharge, plan.stored)
    )
    state = battery.initial_kwh
    simulated = np.empty_like(stored)
    for slot in range(plan.problem.slots):
        state -= state * battery.leak
        state += charge[slot] * battery.charge_efficiency
        state -= discharge[slot] / battery.discharge_efficiency
        simulated[slot] = state
    # Each row may be out a little, and a state is the sum of all before it.
    yield from _out(
        np.abs(simulated - stored) / np.arange(1, len(stored) + 1), f"{name}: its state"
    )
    yield from _out(-simulated / np.arange(1, len(stored) + 1), f"{name}: its least state")
    yield from _out(stored - battery.capacity_kwh, f"{name}: its capacity")
    yield from _out(charge - np.asarray(battery.charge_kw) * hours, f"{name}: its charge power")
    yield from _out(discharge - np.asarray(battery.discharge_kw) * hours, f"{name}: its discharge")
    yield from _out(np.minimum(charge, discharge), f"{name}: charging and discharging at once")
    for flow, tapers in ((charge, battery.charge_tapers), (discharge, battery.discharge_tapers)):
        for taper in tapers:
            most = (taper.kw + taper.slope * stored) * hours
            yield from _out(flow - most, f"{name}: power that depends on its state")
    if plan.is_safe_rule:
        return
    least, most = np.array(battery.least_kwh), np.array(battery.most_kwh)
    if battery.end_least_kwh is not None:
        least[-1] = max(least[-1], battery.end_least_kwh)
    if battery.end_most_kwh is not None:
        most[-1] = min(most[-1], battery.end_most_kwh)
    low = _allowed(plan, f"least stored energy of {battery.name}")
    high = _allowed(plan, f"most stored energy of {battery.name}")
    yield from _out(least - stored - low, f"{name}: least_kwh")
    yield from _out(stored - most - high, f"{name}: most_kwh")


def _reserve(plan: Plan, way: str, product: Reserve) -> Iterator[str]:
    """Call the reserve in each slot, at its beginning and at its end, for all of its duration."""
    problem, hours = plan.problem, plan.problem.hours
    offers = plan.reserve_up if way == "up" else plan.reserve_down
    sign = 1.0 if way == "up" else -1.0
    for number, battery in enumerate(problem.batteries):
        offer, name = offers[number], f"battery {battery.name}: reserve {way}"
        flow = (plan.discharge[number] - plan.charge[number]) * sign / hours
        power = np.asarray(battery.discharge_kw if way == "up" else battery.charge_kw)
        yield from _out(flow + offer - power, f"{name}: power", "kW")
        stored = np.concatenate([[battery.initial_kwh], plan.stored[number]])
        if way == "up":
            needed = offer * product.hours / battery.discharge_efficiency
            low = _allowed(plan, f"least stored energy of {battery.name}")
            edges = np.asarray(battery.least_kwh) - low
            free = stored - np.concatenate([np.asarray(battery.least_kwh)[:1], edges])
        else:
            needed = offer * product.hours * battery.charge_efficiency
            high = _allowed(plan, f"most stored energy of {battery.name}")
            edges = np.asarray(battery.most_kwh) + high
            free = np.concatenate([np.asarray(battery.most_kwh)[:1], edges]) - stored
        for moment, there in (("begin", free[:-1]), ("end", free[1:])):
            yield from _out(needed - np.maximum(there, 0.0), f"{name}: energy at a slot's {moment}")
    total = np.sum(offers, axis=0) if offers else np.zeros(problem.slots)
    yield from _out(total - np.asarray(product.most_kw), f"reserve {way}: what can be sold", "kW")
    if not plan.is_safe_rule:
        short = np.asarray(product.least_kw) - total
        yield from _out(short - _allowed(plan, f"reserve sold, {way}ward"), f"reserve {way}", "kW")


def _money(plan: Plan) -> Iterator[str]:
    problem, money = plan.problem, plan.money
    paid = 0.0
    for tiers, flows, sign in (
        (problem.purchases, plan.purchases, 1.0),
        (problem.sales, plan.sales, -1.0),
    ):
        for tier in tiers:
            prices = np.asarray(tier.price)
            paid += sign * sum(
                float(prices[slot]) * float(flows[tier.name][slot]) for slot in range(problem.slots)
            )
    if problem.demand is not None:
        paid += problem.demand.price * plan.peak_kw
    for product, offers in (
        (problem.reserve_up, plan.reserve_up),
        (problem.reserve_down, plan.reserve_down),
    ):
        if product is not None:
            paid -= sum(float((np.asarray(product.price) * offer).sum()) for offer in offers)
    if abs(paid - money.bill) > MONEY * max(abs(paid), 1.0):
        yield f"the bill must be {paid:.6f} JPY, got {money.bill:.6f}"
    wear = 0.0
    for battery, stored in zip(problem.batteries, plan.stored, strict=True):
        if battery.wear is None:
            continue
        if battery.wear.followers_kwh is not None:
            return  # cycles that were begun before the plan are not in its path
        wear += wear_cost(battery.wear, np.concatenate([[battery.initial_kwh], stored]))
    if abs(wear - money.wear) > MONEY * max(wear, 1.0) + 1e-4:
        yield f"wear must be {wear:.6f} JPY by rainflow, got {money.wear:.6f}"
    open_part = GAP_WITH_BINARIES if plan.binaries else GAP
    cost = abs(money.total + plan.steering)
    if np.isfinite(plan.gap) and abs(plan.gap) > open_part * max(cost, 1.0):
        yield f"the proof of optimality must close, got a gap of {plan.gap:g} JPY"
    steering = sum(breach.steering for breach in plan.breaches)
    if plan.steering < steering - MONEY * max(steering, 1.0):
        yield f"steering must be {steering:g} JPY at least, got {plan.steering:g}"

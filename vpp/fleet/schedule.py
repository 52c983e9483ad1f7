"""From a solution of a site's program to a plan that its devices can follow, and that is checked.

A mix of schedules may charge in one and discharge in the other, buy in one and sell in the other.
Going both ways at once is then taken out slot by slot, with the same energy stored: that frees
energy, since a detour through the battery loses some, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from vpp.check import faults
from vpp.model import Array, Problem, Tier
from vpp.plan import Money, Plan, plan_of
from vpp.program import Index, Program
from vpp.solver import Solution


@dataclass(frozen=True)
class SitePlan:
    """What a site does in the joint plan; series have a value a slot, all its batteries together.

    `faults` is what `vpp.check` finds in it: nothing, in a plan that may be handed on.
    """

    name: str
    money: Money
    steering: float
    net_export: Array
    charge: Array
    discharge: Array
    stored: Array
    reserve_up: Array
    reserve_down: Array
    curtailed: Array
    faults: tuple[str, ...]
    alarms: tuple[str, ...] = ()

    @property
    def battery_out(self) -> Array:
        """What leaves its batteries, kWh a slot; below 0 where they charge."""
        return self.discharge - self.charge


def site_plan(name: str, plan: Plan) -> SitePlan:
    """Return a plan in brief, checked."""
    nothing = np.zeros(plan.problem.slots)

    def total(parts: tuple[Array, ...]) -> Array:
        return np.sum(parts, axis=0) if parts else nothing

    return SitePlan(
        name=name,
        money=plan.money,
        steering=plan.steering,
        net_export=plan.net_export,
        charge=total(plan.charge),
        discharge=total(plan.discharge),
        stored=total(plan.stored),
        reserve_up=total(plan.reserve_up),
        reserve_down=total(plan.reserve_down),
        curtailed=plan.curtailed,
        faults=tuple(faults(plan)),
        alarms=plan.alarms,
    )


def plan_from(problem: Problem, program: Program, x: Array) -> Plan:
    """Return a solution, or a mix of them, as a plan that goes one way at a time."""
    fitted = one_way(problem, program.columns, x)
    solution = Solution("optimal", fitted, None, 0.0)
    plan = plan_of(problem, program, solution, made_by="HiGHS, joint", seconds=0.0)
    return replace(plan, gap=np.nan)


def one_way(problem: Problem, columns: Mapping[str, Index], x: Array) -> Array:
    """Return the solution without going both ways at once: states as they are."""
    x = x.copy()
    hours = problem.hours
    freed = np.zeros(problem.slots)
    for number, battery in enumerate(problem.batteries):
        into, out = columns[f"charge.{number}"], columns[f"discharge.{number}"]
        before = x[into] - x[out]
        gained = battery.charge_efficiency * x[into] - x[out] / battery.discharge_efficiency
        both = np.minimum(x[into], x[out]) > 0
        x[into] = np.where(both, np.maximum(gained, 0) / battery.charge_efficiency, x[into])
        x[out] = np.where(both, np.maximum(-gained, 0) * battery.discharge_efficiency, x[out])
        freed += before - (x[into] - x[out])
        for way, sign, power in (("up", 1, battery.discharge_kw), ("down", -1, battery.charge_kw)):
            offer = columns.get(f"reserve {way}.{number}")
            if offer is not None:
                free = np.asarray(power) - sign * (x[out] - x[into]) / hours
                x[offer] = np.clip(x[offer], 0, np.maximum(free, 0))
    bought, sold = (
        np.sum([x[columns[tier.name]] for tier in tiers], axis=0)
        for tiers in (problem.purchases, problem.sales)
    )
    net = sold - bought + freed
    dearest = np.max([np.asarray(tier.price) for tier in problem.sales], axis=0)
    most = np.asarray(problem.export_kw) * hours - np.asarray(problem.sold_kwh)
    spilt = np.where(freed > 0, np.where(dearest < 0, net, net - most), 0.0)
    spilt = np.clip(spilt, 0, np.asarray(problem.pv_kwh) - x[columns["curtailed"]])
    x[columns["curtailed"]] += spilt
    net = net - spilt
    changed = (np.minimum(bought, sold) > 0) | (freed > 0)
    for tiers, flow, best in ((problem.purchases, -net, 1), (problem.sales, net, -1)):
        kept = np.array([x[columns[tier.name]] for tier in tiers])
        filled = _filled(tiers, np.maximum(flow, 0), best)
        for tier, before, after in zip(tiers, kept, filled, strict=True):
            x[columns[tier.name]] = np.where(changed, after, before)
    if problem.demand is not None:
        bought = np.maximum(-net - np.asarray(problem.sold_kwh), 0)
        x[columns["peak"]] = max(problem.demand.reached_kw, float(bought.max()) / hours)
    return x


def _filled(tiers: tuple[Tier, ...], flow: Array, best: int) -> Array:
    """Return a flow's parts by tier, the cheapest (1) or dearest (-1) first in each slot."""
    prices = best * np.array([np.asarray(tier.price) for tier in tiers])
    most = np.array([np.asarray(tier.most_kwh) for tier in tiers])
    found, left = np.zeros(prices.shape), flow.copy()
    slots = np.arange(flow.size)
    for rank in np.argsort(prices, axis=0, kind="stable"):
        part = np.minimum(left, most[rank, slots])
        found[rank, slots] = part
        left = left - part
    return found

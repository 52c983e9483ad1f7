"""What a fleet would do without being planned together: what a joint plan is measured against.

- *idle*: no battery moves; the sites buy what they lack and sell what is left.
- *apart*: each site plans for itself with its share of the caps and of the reserve sold. It keeps
  the shared limits as far as each one can, and so says what sharing them is worth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vpp.fleet.limits import Pool, scaled
from vpp.fleet.model import Fleet
from vpp.model import Problem
from vpp.planner import planned
from vpp.solver import HighsSolver


@dataclass(frozen=True)
class Apart:
    """What sites pay that keep to their shares, JPY, and what missing them costs in steering."""

    money: float
    steering: float

    @property
    def cost(self) -> float:
        """Both: comparable to a joint plan's."""
        return self.money + self.steering


def apart(fleet: Fleet) -> Apart:
    """Return what the sites cost where each plans for itself with its share of what is shared."""
    money = steering = 0.0
    solver = HighsSolver()
    for number in range(len(fleet.members)):
        plan = planned(_with_its_share(fleet, number), solver)
        money += plan.money.total
        steering += plan.steering
    return Apart(money, steering)


def idle_money(problem: Problem) -> float:
    """Return what a site pays whose batteries rest, JPY, with the value of what they hold.

    Flows fill the cheapest tier first; PV that would be sold below 0, or beyond what the connection
    exports, is curtailed.
    """
    need = problem.net_load_kwh
    bought, most = np.maximum(need, 0.0), np.asarray(problem.export_kw) * problem.hours
    dearest = np.max([np.asarray(tier.price) for tier in problem.sales], axis=0)
    sold = np.where(dearest < 0, 0.0, np.clip(-need, 0.0, most))
    money = 0.0
    for tiers, flow, sign in ((problem.purchases, bought, 1), (problem.sales, sold, -1)):
        prices = np.array([np.asarray(tier.price) for tier in tiers])
        caps = np.array([np.asarray(tier.most_kwh) for tier in tiers])
        left = flow
        for rank in np.argsort(sign * prices, axis=0, kind="stable"):
            slots = np.arange(flow.size)
            part = np.minimum(left, caps[rank, slots])
            money += sign * float(part @ prices[rank, slots])
            left = left - part
    if problem.demand is not None:
        drawn = np.maximum(need - np.asarray(problem.sold_kwh), 0.0)
        peak = max(problem.demand.reached_kw, float(drawn.max()) / problem.hours)
        money += problem.demand.price * peak
    for battery in problem.batteries:
        kept = battery.initial_kwh * (1 - battery.leak) ** problem.slots
        money -= battery.end_value * kept
        for rest in battery.rests:
            states = battery.initial_kwh * (1 - battery.leak) ** np.arange(1, problem.slots + 1)
            over = np.maximum(states - rest.above_kwh, 0.0)
            money += rest.price * problem.hours * float(over.sum())
    return money


def _with_its_share(fleet: Fleet, number: int) -> Problem:
    member, share = fleet.members[number], float(fleet.shares[number])
    own = member.problem
    offers = {}
    for pool in fleet.all_pools:
        if member.name in pool.sites and own.batteries:
            part = float(fleet.power_kw[number] / _power_of(fleet, pool))
            offers[f"reserve_{pool.way}"] = scaled(pool.reserve, part)
    return replace(
        own,
        import_kw=np.minimum(own.import_kw, np.asarray(fleet.import_kw) * share),
        export_kw=np.minimum(own.export_kw, np.asarray(fleet.export_kw) * share),
        **offers,  # type: ignore[arg-type]
    )


def _power_of(fleet: Fleet, pool: Pool) -> float:
    return float(
        sum(kw for m, kw in zip(fleet.members, fleet.power_kw, strict=True) if m.name in pool.sites)
    )

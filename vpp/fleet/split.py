"""Split a balancing call over a fleet by cost.

The grid calls for power beyond the plan. Every site's day is planned again with the call as one
more shared limit: the sum of what batteries give beyond the plan. So each site gives until its next
kilowatt hour would cost as much as any other's, what it must charge again later included, and none
gives what its power, its energy, its connection or its owner's limits forbid. Shared caps hold, and
so does reserve sold for other half hours, as far as the call leaves it.

kW are means of a half hour at the site's AC side, as vpp.commands' `CALL` gives them: above 0 the
site exports more or imports less, below 0 the other way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from energy.errors import SettingError
from vpp.fleet.limits import Call
from vpp.fleet.model import Fleet, Member
from vpp.fleet.planner import joint_plan
from vpp.fleet.result import JointPlan
from vpp.fleet.workers import Workers
from vpp.model import Array
from vpp.program import Index

FIRST_PRICES = (10.0, 30.0, 1_000.0)
"""JPY/kWh of a call at which sites are asked first, where there are many of them."""


@dataclass(frozen=True)
class Split:
    """Who gives what of a call.

    `kw` is what each site gives beyond its plan: sites x slots called, in the fleet's order.
    `price` is what one kWh more would cost everyone (JPY), `shortfall_kw` what is missing of the
    call; both a slot called. `cost` is what the call costs the fleet as a whole, JPY, wear and
    later charging included: the least that it should be paid for. `plan` is how the day goes on
    for the sites that answer.
    """

    names: tuple[str, ...]
    slots: tuple[int, ...]
    asked_kw: float
    kw: Array
    price: Array
    shortfall_kw: Array
    cost: float
    plan: JointPlan

    @property
    def by_site(self) -> dict[str, Array]:
        """What each site gives, kW a slot called."""
        return dict(zip(self.names, self.kw, strict=True))


def split(
    fleet: Fleet,
    slots: Sequence[int],
    kw: float,
    *,
    plan: JointPlan | None = None,
    absent: Collection[str] = (),
    workers: Workers | None = None,
) -> Split:
    """Return who gives what of a call for `kw` in each of some slots, counted from the fleet's
    first: above 0 up, below 0 down.

    The fleet's problems are as of now: its first slot is the one that runs, its batteries hold what
    they hold. `plan` is the joint plan of that same fleet, which the call is measured against;
    without one it is made. Sites named `absent` cannot be told: they go on with their plan.

    Raises:
        SettingError: for slots or sites that the fleet has not, or a power of none.
        SiteUnsolved, NoJointPlan: if there is no plan at all.
    """
    called = tuple(sorted({int(slot) for slot in slots}))
    if not called or called[0] < 0 or called[-1] >= fleet.slots:
        raise SettingError(
            f"a call must be for slots from 0 to {fleet.slots - 1}, got {list(slots)}"
        )
    if not np.isfinite(kw) or kw == 0:
        raise SettingError(f"a call must be for a power other than 0, got {kw} kW")
    names = tuple(member.name for member in fleet.members)
    if unknown := set(absent) - set(names):
        raise SettingError(f"absent sites must be of the fleet, got {sorted(unknown)[0]}")
    present = [number for number, name in enumerate(names) if name not in absent]
    if not present:
        raise SettingError("a call must have a site that can answer, got none")
    plan = plan or joint_plan(fleet, workers)
    if tuple(site.name for site in plan.sites) != names:
        raise SettingError("a call must be split over the sites of its plan, got those of another")
    index = np.array(called)
    planned = np.array([site.battery_out[index] for site in plan.sites]) / fleet.hours
    call = Call(called, kw, tuple(planned[present].sum(axis=0)))
    asked = replace(_present(_as_curtailed(fleet, plan, index), plan, present), call=call)
    found = joint_plan(asked, workers, points=_points(asked, plan))
    given = np.zeros(planned.shape)
    given[present] = np.array([site.battery_out[index] for site in found.sites]) / fleet.hours
    given[present] -= planned[present]
    return Split(
        names=names,
        slots=called,
        asked_kw=kw,
        kw=given,
        price=np.abs(found.prices["call up" if kw > 0 else "call down"]),
        shortfall_kw=np.maximum(abs(kw) - np.sign(kw) * given.sum(axis=0), 0.0),
        cost=found.money - _money_without(plan, call, present),
        plan=found,
    )


def _money_without(plan: JointPlan, call: Call, present: Sequence[int]) -> float:
    """Return what the sites that answer would pay by the plan. Reserve of the call's way is paid
    for whether it is called or not, so its price in the slots called is on neither side."""
    called, way = list(call.slots), "up" if call.kw > 0 else "down"
    prices = {
        name: np.asarray(pool.reserve.price)[called]
        for pool in plan.fleet.all_pools
        if pool.way == way
        for name in pool.sites
    }
    money = 0.0
    for number in present:
        site = plan.sites[number]
        held = getattr(site, f"reserve_{way}")[called]
        money += site.money.total + float(held @ prices.get(site.name, np.zeros(held.size)))
    return money


def _present(fleet: Fleet, plan: JointPlan, present: Sequence[int]) -> Fleet:
    """Return the sites that can be told, with what the others' plans leave of the caps."""
    if len(present) == len(fleet.members):
        return fleet
    others = [site for n, site in enumerate(plan.sites) if n not in set(present)]
    flow = np.sum([site.net_export for site in others], axis=0) / fleet.hours
    return replace(
        fleet.only(present),
        import_kw=np.maximum(np.asarray(fleet.import_kw) + flow, 0.0),
        export_kw=np.maximum(np.asarray(fleet.export_kw) - flow, 0.0),
    )


def _as_curtailed(fleet: Fleet, plan: JointPlan, slots: Index) -> Fleet:
    """Return the fleet whose PV is what the plan leaves of it in some slots: to take back what is
    curtailed is nothing that a battery gives."""

    def left(member: Member, curtailed: Array) -> Member:
        if not curtailed[slots].any():
            return member
        pv = np.array(member.problem.pv_kwh)
        pv[slots] = np.maximum(pv[slots] - curtailed[slots], 0.0)
        return replace(member, problem=replace(member.problem, pv_kwh=pv))

    members = (
        left(member, site.curtailed) for member, site in zip(fleet.members, plan.sites, strict=True)
    )
    return replace(fleet, members=tuple(members))


def _points(fleet: Fleet, plan: JointPlan) -> Array:
    """Return the plan's prices, with some for the call beside them."""
    found = []
    for price in FIRST_PRICES:
        parts = []
        for limit in fleet.limits:
            known = plan.prices.get(limit.kind, np.zeros(0))
            if limit.kind.startswith("call"):
                known = np.full(limit.slots.size, -price)
            elif known.size != limit.slots.size:
                known = np.zeros(limit.slots.size)
            parts.append(known)
        found.append(np.concatenate(parts))
    return np.array(found)

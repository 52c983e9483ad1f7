"""The joint plan of the demo's day: of what each site used and generated on such days before.

Units: kWh in a slot, as in `vpp.model`; what comes out is Wh.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from energy.units import SLOTS_PER_DAY
from orchestrator.fleet_demo.site import DemoSite
from orchestrator.setting.fleet import BY_TIME, SOLD_PRICE
from vpp.fleet.model import Fleet, Member
from vpp.fleet.planner import joint_plan
from vpp.model import HALF_HOUR, Array, Battery, Problem, Tier, Wear

WEAR_PRICE = 6.0
"""JPY for a kWh that goes through a battery."""
KEPT_SHARE = 0.2
"""Of a battery's energy, that its owner keeps."""
IMPORT_SHARE = 0.9
"""Of the fleet's highest import without batteries, that its line carries."""


def fleet_of(sites: Sequence[DemoSite], slots: range) -> Fleet:
    """Return the fleet's problem for a day."""
    members = tuple(Member(site.name, _problem(site, slots)) for site in sites)
    net = np.sum([member.problem.net_load_kwh for member in members], axis=0)
    return Fleet(members, import_kw=IMPORT_SHARE * float(net.max()) / HALF_HOUR)


def plan_of(fleet: Fleet) -> dict[str, tuple[int, ...]]:
    """Return what leaves each site's battery in each slot by the joint plan, Wh."""
    return {site.name: _whole(site.battery_out) for site in joint_plan(fleet).sites}


def _whole(kwh: Array) -> tuple[int, ...]:
    return tuple(round(1000 * float(value)) for value in kwh)


def _problem(site: DemoSite, slots: range) -> Problem:
    load = np.array([site.history.load(slot) for slot in slots]) / 1000
    pv = np.array([site.history.generation(slot) for slot in slots]) / 1000
    size = site.size
    # One way's share of a round trip; what a battery holds is what it can deliver.
    one_way = (size.efficiency / 1000) ** 0.5
    capacity = size.capacity_wh / 1000 / one_way
    battery = Battery(
        "battery",
        capacity,
        size.power_w / 1000,
        size.power_w / 1000,
        size.initial_wh / 1000 / one_way,
        one_way,
        one_way,
        KEPT_SHARE * capacity,
        end_value=float(np.mean(BY_TIME)),
        wear=Wear((0.0,), (2 * WEAR_PRICE,)),
    )
    reach = 2 * float(load.max() + pv.max()) / HALF_HOUR + size.power_w / 1000
    return Problem(
        load_kwh=load,
        pv_kwh=pv,
        purchases=(Tier("bought", BY_TIME),),
        sales=(Tier("sold", np.full(SLOTS_PER_DAY, SOLD_PRICE)),),
        batteries=(battery,),
        import_kw=reach,
        export_kw=reach,
        first_slot=slots.start,
    )

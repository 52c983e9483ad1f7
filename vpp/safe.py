"""The safe rule: self-consumption. It needs no price, no forecast and no solver.

What the roof gives beyond the load is stored, what the load lacks is drawn, within the limits that
hold in the slot. It earns little and breaks nothing.
"""

from __future__ import annotations

import numpy as np

from vpp.model import Problem
from vpp.plan import SAFE_RULE, Plan, money_of


def safe_plan(problem: Problem) -> Plan:
    """Return the plan that the safe rule leads to; what is then sold or bought has the tier
    without a limit that is best at that."""
    count, slots, hours = len(problem.batteries), problem.slots, problem.hours
    charge, discharge, stored = (np.zeros((count, slots)) for _ in range(3))
    state = np.array([battery.initial_kwh for battery in problem.batteries])
    curtailed, net = np.zeros(slots), np.zeros(slots)
    for slot in range(slots):
        need = float(problem.net_load_kwh[slot])
        for number, battery in enumerate(problem.batteries):
            kept = state[number] * (1.0 - battery.leak)
            least, most = np.asarray(battery.least_kwh)[slot], np.asarray(battery.most_kwh)[slot]
            into, out = battery.charge_efficiency, battery.discharge_efficiency
            limit_in = float(np.asarray(battery.charge_kw)[slot]) * hours
            limit_out = float(np.asarray(battery.discharge_kw)[slot]) * hours
            for taper in battery.charge_tapers:
                # c <= h (kw + slope (kept + into c)) at the slot's end
                room = hours * (taper.kw + taper.slope * kept)
                limit_in = min(limit_in, max(room / (1.0 - hours * taper.slope * into), 0.0))
            for taper in battery.discharge_tapers:
                room = hours * (taper.kw + taper.slope * kept)
                limit_out = min(limit_out, max(room / (1.0 + hours * taper.slope / out), 0.0))
            if need < 0:
                flow = max(min(-need, limit_in, (most - kept) / into), 0.0)
                charge[number, slot] = flow
                state[number], need = kept + flow * into, need + flow
            else:
                flow = max(min(need, limit_out, (kept - least) * out), 0.0)
                discharge[number, slot] = flow
                state[number], need = kept - flow / out, need - flow
            stored[number, slot] = state[number]
        over = -need + float(np.asarray(problem.sold_kwh)[slot])
        limit = float(np.asarray(problem.export_kw)[slot]) * hours
        curtailed[slot] = min(max(over - limit, 0.0), float(np.asarray(problem.pv_kwh)[slot]))
        net[slot] = need + curtailed[slot]
    buying, selling = (
        next(t.name for t in tiers if np.all(np.isinf(t.most_kwh)))
        for tiers in (problem.purchases, problem.sales)
    )
    purchases = {t.name: np.zeros(slots) for t in problem.purchases}
    sales = {t.name: np.zeros(slots) for t in problem.sales}
    purchases[buying], sales[selling] = np.maximum(net, 0.0), np.maximum(-net, 0.0)
    peak = 0.0
    if problem.demand is not None:
        imported = np.maximum(net - np.asarray(problem.sold_kwh), 0.0)
        peak = max(problem.demand.reached_kw, float(imported.max()) / hours)
    flows = tuple(charge), tuple(discharge), tuple(stored)
    return Plan(
        problem=problem,
        purchases=purchases,
        sales=sales,
        curtailed=curtailed,
        charge=flows[0],
        discharge=flows[1],
        stored=flows[2],
        reserve_up=tuple(np.zeros(slots) for _ in range(count if problem.reserve_up else 0)),
        reserve_down=tuple(np.zeros(slots) for _ in range(count if problem.reserve_down else 0)),
        peak_kw=peak,
        money=money_of(problem, purchases, sales, flows[2], peak, (), ()),
        steering=0.0,
        breaches=(),
        duals=None,
        gap=np.nan,
        made_by=SAFE_RULE,
        seconds=0.0,
    )

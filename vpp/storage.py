"""The columns and rows of a battery in the linear program.

The state of charge is recursive: row t holds states t - 1 and t alone, so that the matrix is
banded.
"""

from __future__ import annotations

import numpy as np

from vpp.model import Array, Battery, Reserve
from vpp.part import Part
from vpp.program import Index, Terms


def add_battery(part: Part, number: int, battery: Battery) -> tuple[Index, Index]:
    """Add a battery; return its columns of charge and of discharge."""
    slots, hours = part.slots, part.problem.hours
    stored_in, drawn = battery.charge_efficiency, 1.0 / battery.discharge_efficiency
    wear = battery.wear
    throughput = 0.0 if wear is None else float(np.asarray(wear.slopes)[0]) / 2
    most_in = np.asarray(battery.charge_kw) * hours
    most_out = np.asarray(battery.discharge_kw) * hours
    charge = part.column(f"charge.{number}", slots, throughput * stored_in, 0.0, most_in)
    discharge = part.column(f"discharge.{number}", slots, throughput * drawn, 0.0, most_out)
    least, most = np.asarray(battery.least_kwh), np.asarray(battery.most_kwh)
    end_least, end_most = np.zeros(slots), np.full(slots, battery.capacity_kwh)
    if battery.end_least_kwh is not None:
        end_least[-1] = battery.end_least_kwh
    if battery.end_most_kwh is not None:
        end_most[-1] = battery.end_most_kwh
    least, most = np.maximum(least, end_least), np.minimum(most, end_most)
    worth = np.zeros(slots)
    worth[-1] = -battery.end_value
    name = f"stored.{number}"
    low = high = None
    if part.relaxed:
        stored = part.column(name, slots, worth, 0.0, battery.capacity_kwh)
        low = part.breach(f"low.{number}", slots, most=least)
        high = part.breach(f"high.{number}", slots, most=battery.capacity_kwh - most)
        part.row(f"least.{number}", [(stored, 1.0), (low, 1.0)], least, np.inf)
        part.row(f"most.{number}", [(stored, 1.0), (high, -1.0)], -np.inf, most)
    else:
        stored = part.column(name, slots, worth, least, most)
    kept = 1.0 - battery.leak
    initial = np.zeros(slots)
    initial[0] = kept * battery.initial_kwh
    terms: Terms = [
        (stored, 1.0),
        (stored[:-1], -kept),
        (charge, -stored_in),
        (discharge, drawn),
    ]
    part.row(f"state.{number}", terms, initial, initial)
    for kind, flow, tapers in (
        ("charge", charge, battery.charge_tapers),
        ("discharge", discharge, battery.discharge_tapers),
    ):
        for place, taper in enumerate(tapers):
            bend: Terms = [(flow, 1.0), (stored, -taper.slope * hours)]
            part.row(f"taper {kind}.{number}.{place}", bend, -np.inf, taper.kw * hours)
    for place, rest in enumerate(battery.rests):
        over = part.column(f"rest.{number}.{place}", slots, rest.price * hours)
        above: Terms = [(stored, 1.0), (over, -1.0)]
        part.row(f"rest.{number}.{place}", above, -np.inf, rest.above_kwh)
    if wear is not None:
        _followers(part, number, battery, stored)
    for way, edge, breach in (("up", -least, low), ("down", most, high)):
        reserve = getattr(part.problem, f"reserve_{way}")
        if reserve is not None:
            columns = (charge, discharge, stored, breach)
            _reserve(part, number, battery, way, reserve, columns, edge)
    return charge, discharge


def _followers(part: Part, number: int, battery: Battery, stored: Index) -> None:
    """Add what wear by depth costs: see `vpp.wear` for why this is rainflow's sum.

    A follower stands `lag` above the state, within half a kink either way, and pays for each
    move. That of the first kink (0) moves as the state does: it is priced as throughput.
    """
    wear = battery.wear
    assert wear is not None
    memory = wear.followers_kwh
    pairs = zip(np.asarray(wear.kinks_kwh)[1:], np.asarray(wear.slopes)[1:], strict=True)
    for place, (kink, slope) in enumerate(pairs, start=1):
        if slope == 0:
            continue
        name = f"{number}.{place}"
        lag = part.column(f"lag.{name}", part.slots, 0.0, -kink / 2, kink / 2)
        rise = part.column(f"rise.{name}", part.slots, slope / 2)
        fall = part.column(f"fall.{name}", part.slots, slope / 2)
        start = np.zeros(part.slots)
        terms: list[tuple[Index | int, Array | float]] = [
            (stored, 1.0),
            (stored[:-1], -1.0),
            (lag, 1.0),
            (lag[:-1], -1.0),
            (rise, -1.0),
            (fall, 1.0),
        ]
        if memory is None:
            first = part.column(f"first lag.{name}", 1, 0.0, -kink / 2, kink / 2)
            start[0] = battery.initial_kwh
            before = np.zeros(part.slots)
            before[0] = -1.0
            terms.append((int(first[0]), before))
        else:
            start[0] = np.asarray(memory)[place]
        part.row(f"follow.{name}", terms, start, start)


def _reserve(
    part: Part,
    number: int,
    battery: Battery,
    way: str,
    reserve: Reserve,
    columns: tuple[Index, Index, Index, Index | None],
    edge: Array,
) -> None:
    """Add a battery's part of a reserve: the power is free, and so is the energy, at both ends
    of the slot: what is stored moves straight between them, so in between as well."""
    hours, (charge, discharge, stored, breach) = part.problem.hours, columns
    if way == "up":
        per_kw, sign = reserve.hours / battery.discharge_efficiency, -1.0
        power = np.asarray(battery.discharge_kw)
    else:
        per_kw, sign = reserve.hours * battery.charge_efficiency, 1.0
        power = np.asarray(battery.charge_kw)
    most = np.array(np.broadcast_to(reserve.most_kw, part.slots), dtype=float)
    if per_kw:
        most[0] = min(most[0], max(edge[0] - sign * battery.initial_kwh, 0.0) / per_kw)
    name = f"reserve {way}.{number}"
    offer = part.column(name, part.slots, -np.asarray(reserve.price), 0.0, most)
    part.offers[way].append(offer)
    flow = [(discharge, -sign), (charge, sign), (offer, hours)]
    part.row(f"{name} power", flow, -np.inf, power * hours)
    end: list[tuple[Index | int, Array | float]] = [(stored, sign), (offer, per_kw)]
    begin = [(stored[:-1], sign), (offer[1:], per_kw)]
    if breach is not None:
        end.append((breach, -1.0))
        begin.append((breach[:-1], -1.0))
    part.row(f"{name} end", end, -np.inf, edge)
    if part.slots > 1:
        part.row(f"{name} begin", begin, -np.inf, edge[:-1], part.slots - 1)

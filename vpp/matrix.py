"""The one builder of the linear program: a `Problem` becomes a sparse matrix with bounds.

Every solver is given this same matrix. Energies in kWh a slot, powers in kW, costs in JPY. The
state of charge is recursive: row t holds states t - 1 and t alone, so that the matrix is banded. A
`relaxed` program has the soft limits' breaches as columns; without them a plan that keeps every
limit is found faster, and is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vpp.model import Array, Battery, Problem, Reserve
from vpp.program import Builder, Index, Program, Terms


@dataclass(frozen=True)
class Exclusive:
    """Slots in which a battery (by number), or the meter (None), may go one way only."""

    battery: int | None
    slots: tuple[int, ...]


def program_of(
    problem: Problem, *, relaxed: bool = False, exclusive: Sequence[Exclusive] = ()
) -> Program:
    """Return the program of a problem."""
    builder = Builder()
    _Site(builder, problem, relaxed, "", 1.0).add(exclusive)
    return builder.program()


def add_site(builder: Builder, problem: Problem, prefix: str, *, relaxed: bool = False) -> None:
    """Add a site's columns and rows to a program of many, its names behind a prefix."""
    _Site(builder, problem, relaxed, prefix, 1.0).add(())


def scenarios_program(
    problems: Sequence[Problem], weights: Sequence[float], *, relaxed: bool = False
) -> Program:
    """Return one program for several futures, whose batteries do the same in the first slot.

    Names carry the scenario's number in front: `1/charge.0`. Costs are weighted.
    """
    builder = Builder()
    for number, (problem, weight) in enumerate(zip(problems, weights, strict=True)):
        _Site(builder, problem, relaxed, f"{number}/", weight).add(())
    for number in range(1, len(problems)):
        for battery in range(len(problems[0].batteries)):
            for flow in ("charge", "discharge"):
                name = f"{flow}.{battery}"
                first, other = (builder.columns[f"{n}/{name}"][:1] for n in (0, number))
                builder.row(f"{number}/same {name}", 1, [(first, 1.0), (other, -1.0)], 0.0, 0.0)
    return builder.program()


class _Site:
    """Adds one problem's columns and rows to a builder, its names behind a prefix."""

    def __init__(
        self, builder: Builder, problem: Problem, relaxed: bool, prefix: str, weight: float
    ) -> None:
        self.builder, self.problem, self.relaxed = builder, problem, relaxed
        self.prefix, self.weight, self.slots = prefix, weight, problem.slots

    def column(
        self,
        name: str,
        count: int,
        cost: Array | float = 0.0,
        lower: Array | float = 0.0,
        upper: Array | float = np.inf,
        steering: bool = False,
        integral: bool = False,
    ) -> Index:
        return self.builder.column(
            self.prefix + name,
            count,
            np.asarray(cost) * self.weight,
            lower,
            upper,
            steering=steering,
            integral=integral,
        )

    def row(
        self,
        name: str,
        terms: Terms,
        lower: Array | float,
        upper: Array | float,
        count: int | None = None,
    ) -> Index:
        count = self.slots if count is None else count
        return self.builder.row(self.prefix + name, count, terms, lower, upper)

    def breach(self, name: str, count: int, most: Array | float = np.inf) -> Index:
        """Add columns for a breach of a soft limit, priced by area and by height."""
        softness = self.problem.softness
        found = self.column(f"breach {name}", count, softness.area, 0.0, most, steering=True)
        if count > 1:
            top = self.column(f"height {name}", 1, softness.height, steering=True)
            self.row(f"height {name}", [(found, 1.0), (top[0], -1.0)], -np.inf, 0.0, count)
        return found

    def add(self, exclusive: Sequence[Exclusive]) -> None:
        problem, slots = self.problem, self.slots
        self.out: list[tuple[Index, float]] = []  # towards the network
        dearest = np.max([np.asarray(tier.price) for tier in problem.sales], axis=0)
        cheapest = np.min([np.asarray(tier.price) for tier in problem.purchases], axis=0)
        # Buying to sell at once would pay without end: it ends at what can flow at all, and the
        # binaries then forbid it.
        endless = np.where(dearest > cheapest, 0.0, np.inf)
        self.reach = _reach(problem)
        for sign, tiers in ((-1.0, problem.purchases), (1.0, problem.sales)):
            reach = self.reach[0 if sign < 0 else 1]
            for tier in tiers:
                cost = -sign * np.asarray(tier.price)
                most = np.minimum(np.asarray(tier.most_kwh), np.maximum(reach, endless))
                found = self.column(tier.name, slots, cost, 0.0, most)
                self.out.append((found, sign))
        spilt = self.column("curtailed", slots, 0.0, 0.0, np.asarray(problem.pv_kwh))
        flows: list[tuple[Index | int, Array | float]] = []
        self.offers: dict[str, list[Index]] = {"up": [], "down": []}
        for number, battery in enumerate(problem.batteries):
            charge, discharge = self._battery(number, battery)
            flows += [(charge, -1.0), (discharge, 1.0)]
        balance: Terms = [*((index, -sign) for index, sign in self.out), (spilt, -1.0), *flows]
        need = problem.net_load_kwh
        self.row("balance", balance, need, need)
        self._demand()
        self._connection()
        self._calls()
        for way in self.offers:
            self._reserve_sold(way)
        for each in exclusive:
            self._exclusive(each)

    def _battery(self, number: int, battery: Battery) -> tuple[Index, Index]:
        slots, hours = self.slots, self.problem.hours
        stored_in, drawn = battery.charge_efficiency, 1.0 / battery.discharge_efficiency
        wear = battery.wear
        throughput = 0.0 if wear is None else float(np.asarray(wear.slopes)[0]) / 2
        most_in = np.asarray(battery.charge_kw) * hours
        most_out = np.asarray(battery.discharge_kw) * hours
        charge = self.column(f"charge.{number}", slots, throughput * stored_in, 0.0, most_in)
        discharge = self.column(f"discharge.{number}", slots, throughput * drawn, 0.0, most_out)
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
        if self.relaxed:
            stored = self.column(name, slots, worth, 0.0, battery.capacity_kwh)
            low = self.breach(f"low.{number}", slots, most=least)
            high = self.breach(f"high.{number}", slots, most=battery.capacity_kwh - most)
            self.row(f"least.{number}", [(stored, 1.0), (low, 1.0)], least, np.inf)
            self.row(f"most.{number}", [(stored, 1.0), (high, -1.0)], -np.inf, most)
        else:
            stored = self.column(name, slots, worth, least, most)
        kept = 1.0 - battery.leak
        initial = np.zeros(slots)
        initial[0] = kept * battery.initial_kwh
        terms: Terms = [
            (stored, 1.0),
            (stored[:-1], -kept),
            (charge, -stored_in),
            (discharge, drawn),
        ]
        self.row(f"state.{number}", terms, initial, initial)
        for kind, flow, tapers in (
            ("charge", charge, battery.charge_tapers),
            ("discharge", discharge, battery.discharge_tapers),
        ):
            for place, taper in enumerate(tapers):
                bend: Terms = [(flow, 1.0), (stored, -taper.slope * hours)]
                self.row(f"taper {kind}.{number}.{place}", bend, -np.inf, taper.kw * hours)
        for place, rest in enumerate(battery.rests):
            over = self.column(f"rest.{number}.{place}", slots, rest.price * hours)
            above: Terms = [(stored, 1.0), (over, -1.0)]
            self.row(f"rest.{number}.{place}", above, -np.inf, rest.above_kwh)
        if wear is not None:
            self._followers(number, battery, stored)
        for way, edge, breach in (("up", -least, low), ("down", most, high)):
            reserve = getattr(self.problem, f"reserve_{way}")
            if reserve is not None:
                columns = (charge, discharge, stored, breach)
                self._reserve(number, battery, way, reserve, columns, edge)
        return charge, discharge

    def _followers(self, number: int, battery: Battery, stored: Index) -> None:
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
            lag = self.column(f"lag.{name}", self.slots, 0.0, -kink / 2, kink / 2)
            rise = self.column(f"rise.{name}", self.slots, slope / 2)
            fall = self.column(f"fall.{name}", self.slots, slope / 2)
            start = np.zeros(self.slots)
            terms: list[tuple[Index | int, Array | float]] = [
                (stored, 1.0),
                (stored[:-1], -1.0),
                (lag, 1.0),
                (lag[:-1], -1.0),
                (rise, -1.0),
                (fall, 1.0),
            ]
            if memory is None:
                first = self.column(f"first lag.{name}", 1, 0.0, -kink / 2, kink / 2)
                start[0] = battery.initial_kwh
                before = np.zeros(self.slots)
                before[0] = -1.0
                terms.append((int(first[0]), before))
            else:
                start[0] = np.asarray(memory)[place]
            self.row(f"follow.{name}", terms, start, start)

    def _reserve(
        self,
        number: int,
        battery: Battery,
        way: str,
        reserve: Reserve,
        columns: tuple[Index, Index, Index, Index | None],
        edge: Array,
    ) -> None:
        """Add a battery's part of a reserve: the power is free, and so is the energy, at both ends
        of the slot: what is stored moves straight between them, so in between as well."""
        hours, (charge, discharge, stored, breach) = self.problem.hours, columns
        if way == "up":
            per_kw, sign = reserve.hours / battery.discharge_efficiency, -1.0
            power = np.asarray(battery.discharge_kw)
        else:
            per_kw, sign = reserve.hours * battery.charge_efficiency, 1.0
            power = np.asarray(battery.charge_kw)
        most = np.array(np.broadcast_to(reserve.most_kw, self.slots), dtype=float)
        if per_kw:
            most[0] = min(most[0], max(edge[0] - sign * battery.initial_kwh, 0.0) / per_kw)
        name = f"reserve {way}.{number}"
        offer = self.column(name, self.slots, -np.asarray(reserve.price), 0.0, most)
        self.offers[way].append(offer)
        flow = [(discharge, -sign), (charge, sign), (offer, hours)]
        self.row(f"{name} power", flow, -np.inf, power * hours)
        end: list[tuple[Index | int, Array | float]] = [(stored, sign), (offer, per_kw)]
        begin = [(stored[:-1], sign), (offer[1:], per_kw)]
        if breach is not None:
            end.append((breach, -1.0))
            begin.append((breach[:-1], -1.0))
        self.row(f"{name} end", end, -np.inf, edge)
        if self.slots > 1:
            self.row(f"{name} begin", begin, -np.inf, edge[:-1], self.slots - 1)

    def _reserve_sold(self, way: str) -> None:
        reserve = getattr(self.problem, f"reserve_{way}")
        if reserve is None:
            return
        least, most = np.asarray(reserve.least_kw), np.asarray(reserve.most_kw)
        terms: list[tuple[Index | int, Array | float]] = [(i, 1.0) for i in self.offers[way]]
        if self.relaxed and least.any():
            terms.append((self.breach(f"reserve {way}", self.slots), 1.0))
        if terms and (least.any() or np.isfinite(most).any()):
            self.row(f"reserve {way}", terms, least, most)

    def _demand(self) -> None:
        demand = self.problem.demand
        if demand is None:
            return
        peak = self.column("peak", 1, demand.price, demand.reached_kw)
        bought = [(index, -sign) for index, sign in self.out]
        sold = np.asarray(self.problem.sold_kwh)
        self.row("peak", [*bought, (int(peak[0]), -self.problem.hours)], -np.inf, sold)

    def _connection(self) -> None:
        """Add what the connection can carry, with the reserves it would have to carry as well."""
        problem = self.problem
        sold = np.asarray(problem.sold_kwh)
        for way, limit, sign in (
            ("import", problem.import_kw, -1.0),
            ("export", problem.export_kw, 1.0),
        ):
            most = np.asarray(limit) * problem.hours
            if not np.isfinite(most).any():
                continue
            terms = [(index, side * sign) for index, side in self.out]
            terms += [(offer, problem.hours) for offer in self.offers["up" if sign > 0 else "down"]]
            if self.relaxed:
                terms.append((self.breach(way, self.slots), -1.0))
            self.row(way, terms, -np.inf, most - sign * sold)

    def _calls(self) -> None:
        calls = np.asarray(self.problem.call_kwh)
        asked = np.flatnonzero(~np.isnan(calls))
        if not asked.size:
            return
        count = asked.size
        terms = [(index[asked], sign) for index, sign in self.out]
        if self.relaxed:
            for word, sign in (("call short", 1.0), ("call over", -1.0)):
                terms.append((self.breach(word, count), sign))
        wanted = calls[asked] - np.asarray(self.problem.sold_kwh)[asked]
        self.row("call", terms, wanted, wanted, count)

    def _exclusive(self, each: Exclusive) -> None:
        """Let a binary choose the way: 1 charges or imports, 0 discharges or exports."""
        problem, slots = self.problem, np.asarray(each.slots)
        columns = self.builder.columns
        if each.battery is None:
            name = "meter"
            ins = [columns[self.prefix + tier.name][slots] for tier in problem.purchases]
            outs = [columns[self.prefix + tier.name][slots] for tier in problem.sales]
            most_in, most_out = (reach[slots] for reach in self.reach)
        else:
            name = str(each.battery)
            battery = problem.batteries[each.battery]
            ins = [columns[f"{self.prefix}charge.{name}"][slots]]
            outs = [columns[f"{self.prefix}discharge.{name}"][slots]]
            most_in = (np.asarray(battery.charge_kw) * problem.hours)[slots]
            most_out = (np.asarray(battery.discharge_kw) * problem.hours)[slots]
        count = slots.size
        way = self.column(f"way.{name}", count, 0.0, 0.0, 1.0, integral=True)
        into: Terms = [*((index, 1.0) for index in ins), (way, -most_in)]
        out: Terms = [*((index, 1.0) for index in outs), (way, most_out)]
        self.row(f"one way in.{name}", into, -np.inf, 0.0, count)
        self.row(f"one way out.{name}", out, -np.inf, most_out, count)


def _reach(problem: Problem) -> tuple[Array, Array]:
    """Return the most that can be bought, and sold, in each slot: kWh."""
    batteries, hours = problem.batteries, problem.hours
    sold = np.asarray(problem.sold_kwh)
    into = sum((np.asarray(b.charge_kw) + b.standby_kw for b in batteries), np.zeros(problem.slots))
    out = sum((np.asarray(b.discharge_kw) for b in batteries), np.zeros(problem.slots))
    load, pv = np.asarray(problem.load_kwh), np.asarray(problem.pv_kwh)
    return load + into * hours + np.maximum(sold, 0), pv + out * hours + np.maximum(-sold, 0)

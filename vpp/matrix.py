"""The one builder of the linear program: a `Problem` becomes a sparse matrix with bounds.

Every solver is given this same matrix. Energies in kWh a slot, powers in kW, costs in JPY. What is
at the meter stands here, what is a battery's in `vpp.storage`. A `relaxed` program has the soft
limits' breaches as columns; without them a plan that keeps every limit is found faster, and is the
same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vpp.model import Array, Problem
from vpp.part import Part
from vpp.program import Builder, Index, Program, Terms
from vpp.storage import add_battery


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


class _Site(Part):
    """Adds all of a problem."""

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
        for number, battery in enumerate(problem.batteries):
            charge, discharge = add_battery(self, number, battery)
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

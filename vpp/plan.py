"""A plan: what each battery does in each coming slot, what it costs, and what proves it.

Energies in kWh a slot, powers in kW, money in JPY: costs positive, income negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vpp.model import Array, Problem, Tier
from vpp.program import Index, Program
from vpp.solver import Solution, dual_bound
from vpp.wear import travelled

SAFE_RULE = "safe rule"
TINY = 1e-6
"""kWh below which a flow counts as none."""


@dataclass(frozen=True)
class Money:
    """What a plan costs, JPY. `bill` is what will be paid; wear, rest and the value of what is
    stored are real, but on no bill."""

    purchases: float
    sales: float
    demand: float
    reserve: float
    wear: float
    rest: float
    stored: float

    @property
    def bill(self) -> float:
        """What will be paid: energy, demand charge, less what is sold and paid for reserve."""
        return self.purchases + self.sales + self.demand + self.reserve

    @property
    def total(self) -> float:
        """The bill, and what it does to the battery and to the energy in it."""
        return self.bill + self.wear + self.rest + self.stored


@dataclass(frozen=True)
class Breach:
    """A soft limit that no plan could keep: by how much in a slot (kWh, a reserve kW), and what
    that cost in steering (JPY, never on the bill)."""

    limit: str
    slot: int
    amount: float
    steering: float


@dataclass(frozen=True)
class Duals:
    """Shadow prices, JPY/kWh: of energy at the meter, and of what each battery holds, a slot."""

    energy: Array
    stored: tuple[Array, ...]
    peak: Array
    """Part of a slot's energy price that is due to the demand charge."""
    held: tuple[Array, ...] = ()
    """What a kWh, or kW, less to hold for reserve would save, a slot: one array a battery."""


@dataclass(frozen=True)
class Plan:
    """A plan for a problem. Arrays have a value a slot, tuples of them one array a battery.

    `made_by` is the solver, or `safe rule`. `gap` is the certificate: cost less the dual bound,
    JPY; nan where there is none. `alarms` and `notes` are for people.
    """

    problem: Problem
    purchases: Mapping[str, Array]
    sales: Mapping[str, Array]
    curtailed: Array
    charge: tuple[Array, ...]
    discharge: tuple[Array, ...]
    stored: tuple[Array, ...]
    reserve_up: tuple[Array, ...]
    reserve_down: tuple[Array, ...]
    peak_kw: float
    money: Money
    steering: float
    breaches: tuple[Breach, ...]
    duals: Duals | None
    gap: float
    made_by: str
    seconds: float
    binaries: int = 0
    alarms: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def imported(self) -> Array:
        """Energy through the meter from the network, kWh, with what has been sold in the book."""
        return np.maximum(-self.net_export, 0.0)

    @property
    def exported(self) -> Array:
        """Energy through the meter to the network, kWh."""
        return np.maximum(self.net_export, 0.0)

    @property
    def net_export(self) -> Array:
        """Export less import, kWh."""
        out = sum(self.sales.values()) - sum(self.purchases.values())
        return np.asarray(out + np.asarray(self.problem.sold_kwh))

    @property
    def is_safe_rule(self) -> bool:
        """Whether the safe rule stands in for the optimum."""
        return self.made_by == SAFE_RULE


def plan_of(
    problem: Problem,
    program: Program,
    solution: Solution,
    *,
    made_by: str,
    seconds: float,
    binaries: int = 0,
    prefix: str = "",
) -> Plan:
    """Return a solution of a problem's program as a plan; `prefix` picks a scenario."""
    assert solution.x is not None
    x = solution.x
    # What a solver leaves beyond a bound by its tolerance is none.
    x = np.clip(x, program.lower, program.upper)
    columns = {
        name.removeprefix(prefix): index
        for name, index in program.columns.items()
        if name.startswith(prefix)
    }

    def each(name: str) -> tuple[Array, ...]:
        return tuple(
            x[columns[f"{name}.{number}"]]
            for number in range(len(problem.batteries))
            if f"{name}.{number}" in columns
        )

    purchases = {tier.name: x[columns[tier.name]] for tier in problem.purchases}
    sales = {tier.name: x[columns[tier.name]] for tier in problem.sales}
    stored = each("stored")
    demand = problem.demand
    peak = float(x[columns["peak"]][0]) if demand else 0.0
    breaches, steering = _breaches(problem, program, columns, x)
    up, down = each("reserve up"), each("reserve down")
    return Plan(
        problem=problem,
        purchases=purchases,
        sales=sales,
        curtailed=x[columns["curtailed"]],
        charge=each("charge"),
        discharge=each("discharge"),
        stored=stored,
        reserve_up=up,
        reserve_down=down,
        peak_kw=peak,
        money=money_of(problem, purchases, sales, stored, peak, up, down),
        steering=steering,
        breaches=breaches,
        duals=None if prefix else _duals(problem, program, solution),
        gap=np.nan if prefix else _gap(program, solution),
        made_by=made_by,
        seconds=seconds,
        binaries=binaries,
    )


def money_of(
    problem: Problem,
    purchases: Mapping[str, Array],
    sales: Mapping[str, Array],
    stored: Sequence[Array],
    peak_kw: float,
    reserve_up: Sequence[Array],
    reserve_down: Sequence[Array],
) -> Money:
    """Return what flows cost, from the flows and prices alone; flows of the first slots only cost
    what these cost."""
    rest = wear = worth = 0.0
    for battery, states in zip(problem.batteries, stored, strict=True):
        worth -= battery.end_value * float(states[-1])
        for each in battery.rests:
            over = np.maximum(states - each.above_kwh, 0.0)
            rest += each.price * problem.hours * float(over.sum())
        if battery.wear is not None:
            wear += travelled(battery.wear, np.concatenate([[battery.initial_kwh], states]))
    reserve = 0.0
    for product, offers in (
        (problem.reserve_up, reserve_up),
        (problem.reserve_down, reserve_down),
    ):
        if product is not None:
            price = np.asarray(product.price)
            reserve -= sum(float(price[: len(offer)] @ offer) for offer in offers)

    def priced(tiers: Sequence[Tier], flows: Mapping[str, Array]) -> float:
        pairs = ((np.asarray(tier.price), flows[tier.name]) for tier in tiers)
        return sum(float(price[: len(flow)] @ flow) for price, flow in pairs)

    return Money(
        purchases=priced(problem.purchases, purchases),
        sales=-priced(problem.sales, sales),
        demand=problem.demand.price * peak_kw if problem.demand else 0.0,
        reserve=reserve,
        wear=wear,
        rest=rest,
        stored=worth,
    )


def _breaches(
    problem: Problem, program: Program, columns: Mapping[str, Index], x: Array
) -> tuple[tuple[Breach, ...], float]:
    found, steering = [], 0.0
    for name, index in columns.items():
        kind, _, limit = name.partition(" ")
        if kind not in ("breach", "height"):
            continue
        places = np.asarray(index, dtype=int)
        cost = program.cost[places] * x[places]
        steering += float(cost.sum())
        if kind == "height":
            continue
        slots = np.arange(problem.slots)
        if limit.startswith("call"):
            slots = np.flatnonzero(~np.isnan(np.asarray(problem.call_kwh)))
        for slot in np.flatnonzero(x[places] > TINY):
            what, _, number = limit.partition(".")
            who = f" of {problem.batteries[int(number)].name}" if number else ""
            found.append(
                Breach(
                    f"{LIMITS[what]}{who}",
                    int(slots[slot]),
                    float(x[places][slot]),
                    float(cost[slot]),
                )
            )
    return tuple(found), steering


LIMITS = {
    "low": "least stored energy",
    "high": "most stored energy",
    "import": "import limit",
    "export": "export limit",
    "call short": "energy called for",
    "call over": "energy called for, exceeded",
    "reserve up": "reserve sold, upward",
    "reserve down": "reserve sold, downward",
}
"""What a breach's name means."""


def _gap(program: Program, solution: Solution) -> float:
    """Return the cost less the bound that proves it; nan without duals."""
    bound = solution.bound
    if bound is None:
        if solution.duals is None:
            return float("nan")
        bound = dual_bound(program, solution.duals)
    return float(program.cost @ np.asarray(solution.x)) - bound


def _duals(problem: Problem, program: Program, solution: Solution) -> Duals | None:
    if solution.duals is None:
        return None
    y, rows = solution.duals, program.rows
    # The bound of a state row is what is put in from outside: a kWh of it saves that much.
    stored = [-y[rows[f"state.{number}"]] for number in range(len(problem.batteries))]
    peak = -y[rows["peak"]] if "peak" in rows else np.zeros(problem.slots)
    held = tuple(_held(problem.slots, program, y, n) for n in range(len(problem.batteries)))
    return Duals(energy=y[rows["balance"]], stored=tuple(stored), peak=peak, held=held)


def _held(slots: int, program: Program, y: Array, number: int) -> Array:
    """Return the sum of the duals of a battery's reserve rows, by the slot whose end they hold."""
    held = np.zeros(slots)
    for way in ("up", "down"):
        for kind in ("power", "end", "begin"):
            found = program.rows.get(f"reserve {way}.{number} {kind}")
            if found is not None:
                held[: len(found)] += np.abs(y[found])
    return held

"""What sites share: caps, pools of reserve, and a call of the grid, slot by slot.

Units as in `vpp.model`. A shared limit is on sums over all sites, slot by slot:

| Limit          | What is summed over the sites                                              |
| -------------- | -------------------------------------------------------------------------- |
| import, export | net flow at the meters, with the reserve that the same wires would carry    |
| reserve up     | power held ready to export more or import less, at least what is sold       |
| reserve down   | power held ready to import more or export less                             |
| call           | what batteries give towards the grid (a call up) or take (a call down)      |

Caps, what has been sold of a reserve and what is called for are soft, as at a site: breaches are
priced by area and by height, so that there is a plan in any case, which says what it broke. What
can be sold of a reserve, and a call exceeded, are hard limits: doing less is always possible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from vpp.model import Array, Problem, Reserve
from vpp.program import Index, Terms

CALL_WEIGHT, LATER_WEIGHT = 0.5, 0.05
"""Parts of the usual price of a breach: a call yields to caps, and while one is answered, reserve
sold for other slots yields to the call."""


@dataclass(frozen=True)
class Call:
    """What the grid calls for: in each of `slots`, `kw` of all sites together beyond `planned_kw`
    (of their batteries, out of them positive, one a slot called). Above 0: up, below 0: down."""

    slots: tuple[int, ...]
    kw: float
    planned_kw: tuple[float, ...]

    def scaled(self, scale: float) -> Call:
        """Return a part of a call."""
        return Call(self.slots, self.kw * scale, tuple(kw * scale for kw in self.planned_kw))


@dataclass(frozen=True)
class Pool:
    """Reserve that some sites, by name, sell as one: a region's, or a product's. A site is in one
    pool of a way at most."""

    name: str
    way: str
    reserve: Reserve
    sites: frozenset[str]

    @property
    def kind(self) -> str:
        """What its limit is called."""
        return f"reserve {self.way} {self.name}".strip()

    def beside(self, call: Call | None) -> Reserve:
        """Return the reserve as it can be offered beside a call: what is called of its way is not
        offered a second time."""
        if call is None or (call.kw > 0) != (self.way == "up"):
            return self.reserve
        price, least = np.array(self.reserve.price), np.array(self.reserve.least_kw)
        price[list(call.slots)] = least[list(call.slots)] = 0.0
        return replace(self.reserve, price=price, least_kw=least)


def scaled(reserve: Reserve, scale: float) -> Reserve:
    """Return a part of a reserve."""
    least, most = np.asarray(reserve.least_kw), np.asarray(reserve.most_kw)
    return replace(reserve, least_kw=least * scale, most_kw=most * scale)


@dataclass(frozen=True)
class Limit:
    """A shared limit: in each of `slots`, lower <= sum over sites <= upper (kWh, a reserve kW).

    Where it is `soft`, a breach costs `weight` of what the fleet's softness says.
    """

    kind: str
    slots: Index
    lower: Array | float
    upper: Array | float
    soft: bool
    weight: float = 1.0
    paid: float = 0.0
    """JPY: the most that is paid for a unit of it."""
    sites: frozenset[str] | None = None
    """Whose sum it is, by name; None: everyone's."""

    def concerns(self, name: str) -> bool:
        """Whether a site is part of the sum."""
        return self.sites is None or name in self.sites

    @property
    def way(self) -> str:
        """Of a reserve: up or down."""
        return self.kind.split()[1]

    @property
    def is_least(self) -> bool:
        """Whether what may be missed is the lower bound, a duty, and not the upper one, a cap."""
        return self.kind not in ("import", "export")

    def terms(self, problem: Problem, columns: Mapping[str, Index], prefix: str) -> Terms:
        """Return a site's part of the sum, one term a column and slot, `constant` left out."""
        batteries = range(len(problem.batteries))

        def offers(way: str, factor: float) -> list[tuple[Index | int, Array | float]]:
            if getattr(problem, f"reserve_{way}") is None:
                return []
            names = (f"{prefix}reserve {way}.{number}" for number in batteries)
            return [(columns[name][self.slots], factor) for name in names]

        if self.kind.startswith("reserve "):
            return offers(self.way, 1.0)
        if self.kind.startswith("call "):
            way = 1.0 if self.kind == "call up" else -1.0
            ways = [("discharge", way), ("charge", -way)]
            given: list[tuple[Index | int, Array | float]] = [
                (columns[f"{prefix}{flow}.{number}"][self.slots], side)
                for flow, side in ways
                for number in batteries
            ]
            # What PV is curtailed beyond the plan never counts as an answer.
            return [*given, (columns[f"{prefix}curtailed"][self.slots], -1.0)]
        sign = 1.0 if self.kind == "export" else -1.0
        sides = ((problem.purchases, -sign), (problem.sales, sign))
        flows: list[tuple[Index | int, Array | float]] = [
            (columns[prefix + tier.name][self.slots], side)
            for tiers, side in sides
            for tier in tiers
        ]
        return [*flows, *offers("up" if sign > 0 else "down", problem.hours)]

    def constant(self, problem: Problem) -> Array:
        """Return what is in a site's part already: what it has sold in the book."""
        sold = np.asarray(problem.sold_kwh)[self.slots]
        return {"import": -sold, "export": sold}.get(self.kind, np.zeros(self.slots.size))

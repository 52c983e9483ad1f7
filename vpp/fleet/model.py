"""What a joint plan is made for: many sites, and the limits that they share.

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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from energy.errors import SettingError
from vpp.model import Array, Problem, Reserve, Series, Softness
from vpp.plan import TINY
from vpp.program import Index, Terms


@dataclass(frozen=True)
class Member:
    """A site of a fleet. `share` is its part of what the caps carry, in proportion to the others'
    ; None: in proportion to the energy that it uses."""

    name: str
    problem: Problem
    share: float | None = None


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


@dataclass(frozen=True)
class Fleet:
    """Sites of the same slots, and what they share. Powers in kW, of all sites together.

    While a `call` is answered, the reserve of its way is not offered again in its slots.
    """

    members: tuple[Member, ...]
    import_kw: Series = np.inf
    export_kw: Series = np.inf
    reserve_up: Reserve | None = None
    reserve_down: Reserve | None = None
    softness: Softness = field(default_factory=Softness)
    call: Call | None = None

    def __post_init__(self) -> None:
        if not self.members:
            raise SettingError("a fleet must have a site at least, got none")
        names = [member.name for member in self.members]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise SettingError(f"the sites of a fleet must have different names, got {twice} twice")
        first = self.members[0].problem
        spans = (first.first_slot, first.slots, first.hours)
        for member in self.members:
            problem = member.problem
            span = (problem.first_slot, problem.slots, problem.hours)
            if span != spans:
                raise SettingError(
                    f"site {member.name} must have the fleet's slots (first, number, hours) "
                    f"{spans}, got {span}"
                )
            for way in ("reserve_up", "reserve_down"):
                if getattr(problem, way) is not None:
                    raise SettingError(
                        f"site {member.name}: {way} must be sold by the fleet, not by the site"
                    )
            if member.share is not None and not 0 <= member.share < np.inf:
                raise SettingError(
                    f"site {member.name}: share must be 0 or more, got {member.share}"
                )
        # The model of one site checks the fleet's series as it does its own.
        checked = replace(
            first,
            import_kw=self.import_kw,
            export_kw=self.export_kw,
            reserve_up=self.reserve_up,
            reserve_down=self.reserve_down,
            softness=self.softness,
        )
        for name in ("import_kw", "export_kw", "reserve_up", "reserve_down"):
            object.__setattr__(self, name, getattr(checked, name))

    @property
    def slots(self) -> int:
        """How many slots the plan covers."""
        return self.members[0].problem.slots

    @property
    def hours(self) -> float:
        """Hours in a slot."""
        return self.members[0].problem.hours

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        """The limits that bind in some slot, in a fixed order."""
        found = []
        for kind, power in (("import", self.import_kw), ("export", self.export_kw)):
            most = np.asarray(power) * self.hours
            slots = np.flatnonzero(np.isfinite(most))
            if slots.size:
                found.append(Limit(kind, slots, -np.inf, most[slots], soft=True))
        weight = 1.0 if self.call is None else LATER_WEIGHT
        for kind in ("reserve up", "reserve down"):
            reserve = self._offered(kind)
            if reserve is None:
                continue
            least, most = np.asarray(reserve.least_kw), np.asarray(reserve.most_kw)
            slots = np.flatnonzero((least > 0) | np.isfinite(most))
            if slots.size:
                soft = bool(least.any())
                found.append(Limit(kind, slots, least[slots], most[slots], soft, weight))
        if self.call is not None:
            way = 1 if self.call.kw > 0 else -1
            kwh = way * (np.array(self.call.planned_kw) + self.call.kw) * self.hours
            kind = "call up" if way > 0 else "call down"
            found.append(Limit(kind, np.array(self.call.slots), kwh, kwh, True, CALL_WEIGHT))
        return tuple(found)

    def _offered(self, kind: str) -> Reserve | None:
        """Return a reserve as it can be offered beside a call of its way."""
        reserve = {"reserve up": self.reserve_up, "reserve down": self.reserve_down}[kind]
        call = self.call
        if reserve is None or call is None or (call.kw > 0) != (kind == "reserve up"):
            return reserve
        price, least = np.array(reserve.price), np.array(reserve.least_kw)
        price[list(call.slots)] = least[list(call.slots)] = 0.0
        return replace(reserve, price=price, least_kw=least)

    def problem(self, number: int) -> Problem:
        """Return a site's own problem, with the fleet's reserves to offer at the fleet's price."""
        own = self.members[number].problem
        if not own.batteries:
            return own
        offers = [
            None if each is None else Reserve(each.price, each.hours)
            for each in map(self._offered, ("reserve up", "reserve down"))
        ]
        return replace(own, reserve_up=offers[0], reserve_down=offers[1])

    def only(self, numbers: Sequence[int]) -> Fleet:
        """Return some of the sites, with the limits of all."""
        return replace(self, members=tuple(self.members[number] for number in numbers))

    def part(self, numbers: Sequence[int]) -> Fleet:
        """Return a smaller fleet with limits in proportion to the energy that its sites use."""
        used = self.used_kwh + TINY
        scale = float(used[list(numbers)].sum() / used.sum())

        def scaled(reserve: Reserve | None) -> Reserve | None:
            if reserve is None:
                return None
            least, most = np.asarray(reserve.least_kw), np.asarray(reserve.most_kw)
            return replace(reserve, least_kw=least * scale, most_kw=most * scale)

        return replace(
            self.only(numbers),
            import_kw=np.asarray(self.import_kw) * scale,
            export_kw=np.asarray(self.export_kw) * scale,
            reserve_up=scaled(self.reserve_up),
            reserve_down=scaled(self.reserve_down),
        )

    @cached_property
    def used_kwh(self) -> Array:
        """What each site uses in all slots, kWh."""
        return np.array([np.sum(member.problem.load_kwh) for member in self.members])

    @cached_property
    def shares(self) -> Array:
        """Each site's part of what the caps carry; the sum is 1."""
        given = np.array(
            [
                used if member.share is None else member.share
                for member, used in zip(self.members, self.used_kwh, strict=True)
            ]
        )
        total = given.sum()
        return given / total if total > 0 else np.full(len(given), 1 / len(given))


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
            return offers(self.kind.removeprefix("reserve "), 1.0)
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

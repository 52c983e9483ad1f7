"""What a joint plan is made for: many sites, and the limits that they share (`vpp.fleet.limits`).

Units as in `vpp.model`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from energy.errors import SettingError
from vpp.fleet.limits import CALL_WEIGHT, LATER_WEIGHT, Call, Limit, Pool, scaled
from vpp.model import Array, Problem, Reserve, Series, Softness
from vpp.plan import TINY


@dataclass(frozen=True)
class Member:
    """A site of a fleet. `share` is its part of what the caps carry, in proportion to the others'
    ; None: in proportion to the energy that it uses."""

    name: str
    problem: Problem
    share: float | None = None


@dataclass(frozen=True)
class Fleet:
    """Sites of the same slots, and what they share. Powers in kW, of all sites together.

    Sites in one of the `pools` offer their reserve to it; `reserve_up` and `reserve_down` are the
    pools of all others. While a `call` is answered, the reserve of its way is not offered a second
    time in its slots.
    """

    members: tuple[Member, ...]
    import_kw: Series = np.inf
    export_kw: Series = np.inf
    reserve_up: Reserve | None = None
    reserve_down: Reserve | None = None
    pools: tuple[Pool, ...] = ()
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
        object.__setattr__(self, "pools", tuple(map(self._checked_pool, self.pools)))
        self._check_pools()

    def _checked_pool(self, pool: Pool) -> Pool:
        reserve = replace(self.members[0].problem, reserve_up=pool.reserve).reserve_up
        assert reserve is not None
        return replace(pool, reserve=reserve)

    def _check_pools(self) -> None:
        taken: dict[tuple[str, str], str] = {}
        for pool in self.pools:
            if pool.way not in ("up", "down"):
                raise SettingError(f"pool {pool.name} must be up or down, got {pool.way}")
            if not pool.name:
                raise SettingError("a pool must have a name, got none")
            for site in pool.sites:
                other = taken.setdefault((site, pool.way), pool.name)
                if other != pool.name:
                    raise SettingError(
                        f"site {site} must be in one pool {pool.way} at most, "
                        f"got {other} and {pool.name}"
                    )
        kinds = [pool.kind for pool in self.pools]
        if len(set(kinds)) < len(kinds):
            raise SettingError(f"pools of a way must have different names, got {sorted(kinds)}")

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
        for pool in self.all_pools:
            reserve = pool.beside(self.call)
            least, most, price = (
                np.asarray(each) for each in (reserve.least_kw, reserve.most_kw, reserve.price)
            )
            slots = np.flatnonzero((least > 0) | ((price > 0) & np.isfinite(most)))
            if slots.size:
                soft = bool(least.any())
                bounds = (least[slots], most[slots])
                paid = float(price.max())
                found.append(Limit(pool.kind, slots, *bounds, soft, weight, paid, pool.sites))
        if self.call is not None:
            way = 1 if self.call.kw > 0 else -1
            kwh = way * (np.array(self.call.planned_kw) + self.call.kw) * self.hours
            kind = "call up" if way > 0 else "call down"
            found.append(Limit(kind, np.array(self.call.slots), kwh, kwh, True, CALL_WEIGHT))
        return tuple(found)

    @cached_property
    def all_pools(self) -> tuple[Pool, ...]:
        """The pools, with one of each way for the sites that are in none."""
        found = []
        for way, reserve in (("up", self.reserve_up), ("down", self.reserve_down)):
            own = [pool for pool in self.pools if pool.way == way]
            if reserve is not None:
                pooled = frozenset().union(*(pool.sites for pool in own))
                others = frozenset(member.name for member in self.members) - pooled
                found.append(Pool("", way, reserve, others))
            found += own
        return tuple(found)

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """Each site's own problem, with its pools' reserves to offer in the slots in which they are
        paid or sold."""
        offers: dict[str, dict[str, Reserve]] = {member.name: {} for member in self.members}
        for pool in self.all_pools:
            reserve = pool.beside(self.call)
            price, least = np.asarray(reserve.price), np.asarray(reserve.least_kw)
            most = np.where((price > 0) | (least > 0), np.inf, 0.0)
            offer = Reserve(price, reserve.hours, np.zeros(self.slots), most)
            for site in pool.sites & offers.keys():
                offers[site][f"reserve_{pool.way}"] = offer
        return tuple(_offering(member.problem, offers[member.name]) for member in self.members)

    def only(self, numbers: Sequence[int]) -> Fleet:
        """Return some of the sites, with the limits of all."""
        members = tuple(self.members[number] for number in numbers)
        names = frozenset(member.name for member in members)
        pools = tuple(replace(pool, sites=pool.sites & names) for pool in self.pools)
        return replace(self, members=members, pools=pools)

    def part(self, numbers: Sequence[int]) -> Fleet:
        """Return a smaller fleet that is as short of what is shared as the whole one.

        What the caps leave to batteries beyond their sites' net load is in proportion to the
        batteries' power, and so are the reserves: the smaller fleet's prices are then near those
        of the whole, however unlike their loads are.
        """
        chosen = list(numbers)
        scale = float(self.power_kw[chosen].sum() / self.power_kw.sum())
        net = np.array([member.problem.net_load_kwh for member in self.members]) / self.hours
        whole, own = net.sum(axis=0), net[chosen].sum(axis=0)

        def cap(most: Series, sign: int) -> Array:
            return np.asarray(
                np.maximum(sign * own + scale * (np.asarray(most) - sign * whole), 0.0)
            )

        small = self.only(numbers)
        return replace(
            small,
            import_kw=cap(self.import_kw, 1),
            export_kw=cap(self.export_kw, -1),
            reserve_up=self.reserve_up and scaled(self.reserve_up, scale),
            reserve_down=self.reserve_down and scaled(self.reserve_down, scale),
            pools=tuple(
                replace(own, reserve=scaled(pool.reserve, self._power_share(own, pool)))
                for own, pool in zip(small.pools, self.pools, strict=True)
            ),
            call=self.call and self.call.scaled(scale),
        )

    def _power_share(self, part: Pool, whole: Pool) -> float:
        power = {m.name: kw for m, kw in zip(self.members, self.power_kw, strict=True)}
        own, all_ = (sum(power.get(name, 0.0) for name in pool.sites) for pool in (part, whole))
        return float(own / max(all_, TINY))

    @cached_property
    def power_kw(self) -> Array:
        """What each site's batteries can give or take at most, kW; a little where it is none."""
        return np.array(
            [
                TINY
                + sum(
                    max(np.max(battery.charge_kw), np.max(battery.discharge_kw))
                    for battery in member.problem.batteries
                )
                for member in self.members
            ]
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


def _offering(own: Problem, offers: Mapping[str, Reserve]) -> Problem:
    """Return a problem with other reserves, which have been checked: nothing is checked again."""
    if not own.batteries or not offers:
        return own
    found = copy(own)
    for name, reserve in offers.items():
        object.__setattr__(found, name, reserve)
    return found

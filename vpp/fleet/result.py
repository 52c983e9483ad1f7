"""A joint plan: what every site does, what that costs, what proves it, and who pays for what.

The cost is not the optimiser's word: it is summed from the sites' checked plans, and the shared
limits are measured again on their flows. The bound is the sum of the sites' own dual bounds at the
shared prices. Between the two lies the best plan there is.

Units: JPY; kWh a slot; reserve kW.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vpp.fleet.apart import idle_money
from vpp.fleet.limits import Limit
from vpp.fleet.model import Fleet
from vpp.fleet.schedule import SitePlan
from vpp.model import Array

TOLERANCE = 1e-5
"""kWh or kW a site by which a shared sum may be out."""
OVER = 0.01
"""Part of a call by which more may be given: a mix of schedules that goes one way at a time loses
less than the mix did."""


@dataclass(frozen=True)
class SharedBreach:
    """A shared limit that no plan could keep, or none that was found: by how much in a slot."""

    limit: str
    slot: int
    amount: float


@dataclass(frozen=True)
class Account:
    """A site's part of the joint plan, JPY.

    `money` is what it pays and wears out by itself. `transfers` is what it owes, by shared limit,
    at the limit's price for taking more of the sum than its share (below 0: it is owed); over all
    sites they sum to zero. `settled` is both together.
    """

    name: str
    money: float
    transfers: dict[str, float]

    @property
    def settled(self) -> float:
        """What the site pays, with what it owes the others for shared limits."""
        return self.money + sum(self.transfers.values())


@dataclass(frozen=True)
class JointPlan:
    """A joint plan. `prices` has one vector a shared limit, a value for each of its slots: what a
    unit less of the limit would cost everyone. `points` are the price vectors worth trying first
    when a plan like this is next made. `bound` is the cost that no joint plan can beat."""

    fleet: Fleet
    sites: tuple[SitePlan, ...]
    prices: dict[str, Array]
    bound: float
    rounds: int
    seconds: float
    made_by: str
    points: Array

    @cached_property
    def sums(self) -> dict[str, Array]:
        """What the sites together take of each shared limit, measured on their flows."""
        return {limit.kind: self.uses(limit).sum(axis=0) for limit in self.fleet.limits}

    def uses(self, limit: Limit) -> Array:
        """Return what each site takes of a shared limit: sites x the limit's slots."""
        if limit.kind.startswith("reserve"):
            taken = [getattr(site, f"reserve_{limit.way}") for site in self.sites]
        elif limit.kind.startswith("call"):
            toward = 1 if limit.kind == "call up" else -1
            taken = [toward * site.battery_out - site.curtailed for site in self.sites]
        else:
            sign, way = (1, "reserve_up") if limit.kind == "export" else (-1, "reserve_down")
            hours = self.fleet.hours
            taken = [sign * site.net_export + hours * getattr(site, way) for site in self.sites]
        concerned = np.array([limit.concerns(site.name) for site in self.sites])
        return np.where(concerned[:, None], np.array(taken)[:, limit.slots], 0.0)

    @cached_property
    def breaches(self) -> tuple[SharedBreach, ...]:
        """Where shared limits are missed."""
        least = TOLERANCE * len(self.sites)
        return tuple(
            SharedBreach(limit.kind, int(slot), float(amount))
            for limit in self.fleet.limits
            if limit.soft
            for slot, amount in zip(limit.slots, self._breach(limit), strict=True)
            if amount > least
        )

    def _breach(self, limit: Limit) -> Array:
        taken = self.sums[limit.kind]
        if limit.is_least:
            return np.maximum(limit.lower - taken, 0.0)
        return np.maximum(taken - limit.upper, 0.0)

    @property
    def money(self) -> float:
        """What the sites pay and wear out: no penalty is in it."""
        return sum(site.money.total for site in self.sites)

    @cached_property
    def steering(self) -> float:
        """What breaches cost while planning, the sites' own and the shared ones: on no bill."""
        total = sum(site.steering for site in self.sites)
        softness = self.fleet.softness
        for limit in self.fleet.limits:
            if limit.soft:
                breach = self._breach(limit)
                total += limit.weight * softness.area * float(breach.sum())
                total += limit.weight * softness.height * float(breach.max())
        return total

    @property
    def cost(self) -> float:
        """Money and steering: what was minimised."""
        return self.money + self.steering

    @property
    def gap(self) -> float:
        """The certificate: cost less bound, as a part of the cost."""
        return (self.cost - self.bound) / max(abs(self.cost), 1.0)

    @property
    def gap_of_money(self) -> float:
        """The same without steering: what may be left to save, as a part of what is paid."""
        return (self.cost - self.bound) / max(abs(self.money), 1.0)

    @cached_property
    def gain(self) -> float:
        """What the batteries earn: money of the same sites with their batteries idle, less the
        plan's, JPY."""
        return sum(idle_money(member.problem) for member in self.fleet.members) - self.money

    @property
    def gap_of_gain(self) -> float:
        """What may be left to save, as a part of what the batteries earn: the strictest measure.
        Infinite where they earn nothing, as where caps cost more than they save."""
        return (self.cost - self.bound) / self.gain if self.gain > 0 else np.inf

    @cached_property
    def faults(self) -> list[str]:
        """What is wrong with the plan, in words; nothing if it may be handed on."""
        found = [f"site {site.name}: {fault}" for site in self.sites for fault in site.faults]
        for limit in self.fleet.limits:
            if limit.is_least:
                found += self._over(limit)
        if self.gap < -1e-6:
            found.append(f"the cost must be at least the bound, got {-self.gap:g} of it below")
        return found

    def _over(self, limit: Limit) -> list[str]:
        """Return by how much a hard limit is exceeded, in words; nothing if it holds."""
        over = self.sums[limit.kind] - np.broadcast_to(limit.upper, limit.slots.shape)
        what, unit, most = "what can be sold", "kW", TOLERANCE * len(self.sites)
        if limit.kind.startswith("call") and self.fleet.call is not None:
            what, unit = "what is asked", "kWh"
            most += OVER * abs(self.fleet.call.kw) * self.fleet.hours
        worst = int(np.argmax(over))
        if over[worst] <= most:
            return []
        return [f"{limit.kind} exceeds {what} by {over[worst]:g} {unit} in {limit.slots[worst]}"]

    @cached_property
    def accounts(self) -> tuple[Account, ...]:
        """Who pays for the caps, and who earns from the reserve: a site each."""
        shares = self.fleet.shares
        owed: dict[str, Array] = {}
        for limit in self.fleet.limits:
            uses = self.uses(limit)
            own = shares * [limit.concerns(site.name) for site in self.sites]
            own = own / own.sum() if own.sum() > 0 else np.full(own.size, 1 / own.size)
            beyond = uses - np.outer(own, uses.sum(axis=0))
            owed[limit.kind] = beyond @ self.prices[limit.kind]
        return tuple(
            Account(
                site.name,
                site.money.total,
                {kind: float(amounts[number]) for kind, amounts in owed.items()},
            )
            for number, site in enumerate(self.sites)
        )


def by_limit(fleet: Fleet, values: Array) -> dict[str, Array]:
    """Return a vector over all shared limits as one for each."""
    ends = np.cumsum([limit.slots.size for limit in fleet.limits])
    parts = np.split(values, ends[:-1]) if fleet.limits else []
    return {limit.kind: part for limit, part in zip(fleet.limits, parts, strict=True)}


def ranked(points: Sequence[Array], weights: Array, best: Array, count: int) -> Array:
    """Return the best prices, and then those whose schedules weigh most in the plan."""
    order = np.argsort(-weights.sum(axis=0))[:count]
    chosen = [best, *(points[n] for n in order if not np.array_equal(points[n], best))]
    return np.array(chosen[:count])

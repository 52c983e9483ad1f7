"""The joint plan by prices on what is shared: for fleets too large for one program.

Each round every site plans for itself at the same prices, and the master (`vpp.fleet.master`) finds
the best mix of all schedules so far and with it the next prices, which are drawn halfway back to
the best ones so far (Wentges 1997; Pessoa, Sadykov, Uchoa and Vanderbeck 2018, "Automation and
combination of linear-programming based stabilization techniques in column generation"). A round
yields both sides of the certificate: the mix is a joint plan, and what the sites prove at the
round's prices bounds every plan from below.

It begins with the price vectors of the last plan, or else with those that served a sample of the
fleet. The schedules at several of them span most of what the mix needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from vpp.fleet.master import Master, admissible, bound_of
from vpp.fleet.model import Fleet
from vpp.fleet.result import JointPlan, by_limit, ranked
from vpp.fleet.workers import Hall, Workers
from vpp.model import Array
from vpp.program import Index

GROUPS = 200
"""Into how many groups the sites are summed: the more, the freer the mix, the larger the master."""
SAMPLE = 100
SAMPLE_GAP = 1e-3
POINTS = 6
"""How many price vectors of one plan serve the next."""
GAP, ROUNDS = 1e-3, 60
MARGIN = 0.9
"""Part of the gap at which the rounds end: making plans of the mix may cost a little."""
SMOOTHING = 0.5

Progress = Callable[[int, float, float], None]
"""Told after each round: its number, the best cost, the best bound."""


def decomposed(
    fleet: Fleet,
    workers: Workers | None = None,
    *,
    points: Array | None = None,
    gap: float = GAP,
    rounds: int = ROUNDS,
    seconds: float = np.inf,
    groups: int = GROUPS,
    seed: int = 0,
    progress: Progress | None = None,
) -> JointPlan:
    """Return a joint plan whose cost is proven to be within `gap` of the best, as far as rounds and
    seconds allow: there is a plan in any case, and it states its gap.

    `points` are the price vectors to begin with, those of an earlier `JointPlan` of like limits.

    Raises:
        SiteUnsolved: if a site has no schedule at all.
    """
    began = time.perf_counter()
    sites, width = len(fleet.members), sum(limit.slots.size for limit in fleet.limits)
    order = np.random.default_rng(seed).permutation(sites)
    workers = workers or Hall()
    parts = [sorted(part.tolist()) for part in np.array_split(order, min(groups, sites))]
    workers.take(fleet, parts)
    if points is None or points.shape[1:] != (width,):
        points = _sampled(fleet, order, seed) if sites > 2 * SAMPLE else np.zeros((1, width))
    master, search, tried = Master(fleet, len(parts)), _Search(fleet), []
    waiting = [admissible(fleet, point) for point in (*_within_hard_limits(fleet), *points)]
    while True:
        prices = waiting.pop(0)
        answers = workers.answers(prices)
        tried.append(prices)
        master.add(answers)
        search.found(prices, bound_of(fleet, prices, answers))
        late = time.perf_counter() - began > seconds or len(tried) >= rounds
        if waiting and not late:
            continue
        mix = master.mix()
        if progress is not None:
            progress(len(tried), mix.cost, search.bound)
        if late or mix.cost - search.bound <= MARGIN * gap * max(abs(mix.cost), 1.0):
            break
        near = master.prices_near(search.centre, search.radius)
        step = SMOOTHING * near + (1 - SMOOTHING) * search.centre
        waiting = [admissible(fleet, step)]
    plans = workers.plans(mix.weights)
    made = {
        n: p for part, own in zip(parts, plans, strict=True) for n, p in zip(part, own, strict=True)
    }
    return JointPlan(
        fleet=fleet,
        sites=tuple(made[number] for number in range(sites)),
        prices=by_limit(fleet, search.centre),
        bound=search.bound,
        rounds=len(tried),
        seconds=time.perf_counter() - began,
        made_by="prices",
        points=ranked(tried, mix.weights, search.centre, POINTS),
    )


def _within_hard_limits(fleet: Fleet) -> list[Array]:
    """Return prices at which no site offers reserve, if what can be sold of it is limited, nor
    answers a call: those limits have no breach, and with this schedule among them some mix keeps
    them."""
    parts, is_needed = [], False
    for limit in fleet.limits:
        price = np.zeros(limit.slots.size)
        if limit.is_least and np.isfinite(np.broadcast_to(limit.upper, price.shape)).any():
            price += (limit.paid or fleet.softness.area) + 1.0
            is_needed = True
        parts.append(price)
    return [np.concatenate(parts)] if is_needed else []


class _Search:
    """The best prices so far, what they prove, and how far from them the master may look."""

    def __init__(self, fleet: Fleet) -> None:
        width = sum(limit.slots.size for limit in fleet.limits)
        self.centre, self.bound, self._reach = np.zeros(width), -np.inf, 1.0

    @property
    def radius(self) -> Array:
        """JPY a unit: the dearer, the wider."""
        return self._reach * (1.0 + 0.1 * np.abs(self.centre))

    def found(self, prices: Array, bound: float) -> None:
        """Take note of what some prices prove."""
        if bound <= self.bound:
            self._reach = max(self._reach * 0.7, 0.5)
            return
        at_edge = np.abs(prices - self.centre) > 0.99 * SMOOTHING * self.radius
        if at_edge.size and at_edge.mean() > 0.05:
            self._reach *= 2
        self.centre, self.bound = prices, bound


def _sampled(fleet: Fleet, order: Index, seed: int) -> Array:
    """Return the price vectors that serve a sample of the fleet, each of its sites by itself."""
    small = fleet.part(sorted(order[:SAMPLE].tolist()))
    return decomposed(small, Hall(), gap=SAMPLE_GAP, groups=SAMPLE, seed=seed).points

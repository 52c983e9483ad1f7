"""Batteries: what they moved, how deep they cycled, and what ten years would leave of them.

Energies in kWh of what a battery can still deliver, as readings state it; money in JPY.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import rainflow

from energy.units import PRICE_PER_YEN, SLOTS_PER_DAY
from orchestrator.steering.steering import RULE
from orchestrator.verification.cases import own_first
from orchestrator.verification.facts import Facts
from orchestrator.verification.period import Array
from vpp.ageing import YEARS, Outlook, outlook
from vpp.chemistry import DAYS_PER_YEAR, Chemistry, chemistries, chemistry
from vpp.model import Battery, Problem, Tier
from vpp.planner import planned
from vpp.rule import BatterySize, command_for, expected_flows
from vpp.solver import HighsSolver

WEEK, BEYOND = 7 * SLOTS_PER_DAY, 2 * SLOTS_PER_DAY
"""A plan's slots that are kept, and those that it sees after them."""
STEPS = 10
"""Of the histograms: tenths of the capacity."""
IDLE, AS_RUN, SELF_USE, PLANNED, SPARING = "idle", "as_run", "self_use", "planned", "sparing"
BY_RULE = "by_rule"
_WH = 1_000
_KW = 10


@dataclass(frozen=True)
class Strategy:
    """A way to run a battery over the period, and what would be left of it after ten years.

    Money in JPY a year, against the battery idle; other sites' meters as they were.
    """

    key: str
    capacity: float
    alone: float
    """What it spares its site, with the utility alone."""
    together: float
    """What it spares all offices and the network together, with the market."""
    spared_kwh: float
    """kWh a year that all of them together buy less of the utility."""
    outlooks: Mapping[str, Outlook]
    """By chemistry."""
    at_rest: Mapping[str, Outlook]
    """The idle battery's, by chemistry."""

    def wear(self, key: str) -> float:
        """Return what wear costs a year: a chemistry's replacement over the years of life."""
        return self._replacement(key) / self.outlooks[key].years_of_life

    def wear_by_cycles(self, key: str) -> float:
        """Return the part of it that cycles take; the rest of it is time's."""
        lost = self.outlooks[key].lost_to_cycles / (1 - chemistry(key).end_of_life)
        return self._replacement(key) * lost / YEARS

    def wear_by_rest(self, key: str) -> float:
        """Return the part of it that time takes, at the charges that the strategy holds."""
        return self.wear(key) - self.wear_by_cycles(key)

    def wear_beyond_idle(self, key: str) -> float:
        """Return the wear a year that the idle battery would not have: what running it costs."""
        return self.wear(key) - self._replacement(key) / self.at_rest[key].years_of_life

    def net(self, key: str) -> float:
        """Return what is left a year of its worth in the market, less the wear beyond idle's."""
        return self.together - self.wear_beyond_idle(key)

    def _replacement(self, key: str) -> float:
        return chemistry(key).replacement_jpy_per_kwh * self.capacity


@dataclass(frozen=True)
class Store:
    """A site's battery over the period."""

    site: int
    capacity: float
    power: float
    efficiency: float
    least: float
    charged: float
    discharged: float
    full_cycles: float
    depths: Array
    """Cycles by tenth of depth, half cycles as half."""
    states: Array
    """The part of time in each tenth of the state of charge."""
    strategies: tuple[Strategy, ...]
    steered: str | None = None
    """Who steered it, `rule` or `plan`, where the store says so."""

    def strategy(self, key: str) -> Strategy:
        """Return one of its strategies."""
        return next(one for one in self.strategies if one.key == key)

    def best(self, kind: str) -> Strategy:
        """Return the strategy that leaves most after wear by a chemistry."""
        looked_at = [one for one in self.strategies if kind in one.outlooks]
        return max(looked_at, key=lambda one: one.net(kind))


def battery_figures(facts: Facts, steered: str | None = None) -> list[Store]:
    """Look at each battery of a period, steered so."""
    return [_store(facts, site, steered) for site in sorted(facts.batteries)]


def _store(facts: Facts, site: int, steered: str | None) -> Store:
    power, capacity, efficiency = facts.batteries[site]
    size, kw = capacity / _KW, power / _KW
    seen = facts.settled & ~facts.missed[:, site]
    path = facts.meters["stored"][seen, site] / _WH
    depths, full = np.zeros(STEPS), 0.0
    turns = path[np.concatenate([[True], np.diff(path) != 0])]
    for depth, _, count, _, _ in rainflow.extract_cycles(turns) if len(turns) > 2 else ():
        depths[min(int(depth / size * STEPS), STEPS - 1)] += count
        full += count * depth / size
    places = np.minimum((path / size * STEPS).astype(int), STEPS - 1)
    return Store(
        site=site,
        capacity=size,
        power=kw,
        efficiency=efficiency / 1_000,
        least=float(path.min()),
        charged=float(facts.meters["charged"][:, site].sum()) / _WH,
        discharged=float(facts.meters["discharged"][:, site].sum()) / _WH,
        full_cycles=full,
        depths=depths,
        states=np.bincount(places, minlength=STEPS) / len(path),
        strategies=_strategies(facts, site, path, steered),
        steered=steered,
    )


def _strategies(facts: Facts, site: int, path: Array, steered: str | None) -> tuple[Strategy, ...]:
    """Return the strategies for the site's own load and sun at the utility's prices.

    Plans see the whole week and two days more, and nothing of the market: what is saved without
    one, they bound; what a battery is worth in it, they do not. The simple rule needs no forecast,
    and stands beside what ran unless that was it.
    """
    case = _Case(facts, site, least=float(path.min()))
    names = sorted(chemistries())
    found = [
        case.strategy(IDLE, case.resting, names),
        case.as_run(path, names),
        *([] if steered == RULE else [case.strategy(BY_RULE, case.by_rule(), names)]),
        case.strategy(SELF_USE, own_first(facts, site).stored[0], names),
        case.strategy(PLANNED, case.weekly(None), names),
    ]
    found += [case.strategy(SPARING, case.weekly(chemistry(name)), [name]) for name in names]
    return tuple(found)


class _Case:
    """A site's battery with its load and sun, and what the others' meters showed."""

    def __init__(self, facts: Facts, site: int, least: float) -> None:
        power, capacity, efficiency = facts.batteries[site]
        self.size, self.power = capacity / _KW, power / _KW
        self.efficiency, self.least = efficiency / 1_000, least
        self.slots = facts.slots
        self.days = float(facts.settled.sum()) / SLOTS_PER_DAY
        self.used = np.maximum(facts.consumption[:, site], 0) / _WH
        self.sun = facts.meters["generated"][:, site] / _WH
        self.buy, self.sell = facts.selling / PRICE_PER_YEN, facts.buying / PRICE_PER_YEN
        net = (facts.meters["imported"] - facts.meters["exported"]) / _WH
        self.net, self.rest = net[:, site], net.sum(axis=1) - net[:, site]
        self.idle = self._bills(self.used - self.sun)
        self.idle_bought = self._bought(self.used - self.sun)
        self.resting = np.full(len(facts.slots), least)
        self.at_rest = self._outlooks(self.resting, sorted(chemistries()))

    def problem(self, slots: slice, start: float, of_kind: Chemistry | None = None) -> Problem:
        """Return what a plan is made from."""
        unit = Battery(
            "site",
            self.size,
            self.power,
            self.power,
            start,
            charge_efficiency=self.efficiency,
            discharge_efficiency=1.0,
            least_kwh=self.least,
            end_least_kwh=self.least,
            wear=of_kind.wear(self.size) if of_kind else None,
            rests=of_kind.rests() if of_kind else (),
        )
        buy, sell = Tier("buy", self.buy[slots]), Tier("sell", self.sell[slots])
        return Problem(self.used[slots], self.sun[slots], (buy,), (sell,), (unit,))

    def weekly(self, of_kind: Chemistry | None) -> Array:
        """Return the path of plans made week by week."""
        solver, start, parts = HighsSolver(60), self.least, []
        for first in range(0, len(self.used), WEEK):
            ahead = self.problem(slice(first, first + WEEK + BEYOND), start, of_kind)
            parts.append(planned(ahead, solver).stored[0][:WEEK])
            start = float(np.clip(parts[-1][-1], self.least, self.size))
        return np.concatenate(parts)

    def by_rule(self) -> Array:
        """Return the path of the simple rule."""
        size = BatterySize(
            round((self.size - self.least) * _WH),
            round(self.power * _WH),
            round(self.efficiency * 1_000),
        )
        stored, path = 0, []
        for slot, net in zip(self.slots, self.sun - self.used, strict=True):
            command = command_for(slot, stored, size)
            charged, discharged = expected_flows(command, round(float(net) * _WH), stored, size)
            stored += charged * size.efficiency // 1000 - discharged
            path.append(stored)
        return np.array(path) / _WH + self.least

    def strategy(self, key: str, stored: Array, names: list[str]) -> Strategy:
        """Return what a path of stored energy comes to."""
        moved = np.diff(stored, prepend=self.least)
        given = np.maximum(-moved, 0)
        net = self.used + np.maximum(moved, 0) / self.efficiency - self.sun - given
        return self._strategy(key, stored, names, net)

    def as_run(self, stored: Array, names: list[str]) -> Strategy:
        """Return what the meters came to."""
        return self._strategy(AS_RUN, stored, names, self.net)

    def _strategy(self, key: str, stored: Array, names: list[str], net: Array) -> Strategy:
        a_year = DAYS_PER_YEAR / self.days
        alone, together = (
            (before - after) * a_year
            for before, after in zip(self.idle, self._bills(net), strict=True)
        )
        spared = (self.idle_bought - self._bought(net)) * a_year
        outlooks = self._outlooks(stored, names)
        return Strategy(key, self.size, alone, together, spared, outlooks, self.at_rest)

    def _outlooks(self, stored: Array, names: list[str]) -> dict[str, Outlook]:
        return {name: outlook(stored, self.days, self.size, chemistry(name)) for name in names}

    def _bought(self, net: Array) -> float:
        """Return what all together buy of the utility, kWh."""
        return float(np.maximum(net + self.rest, 0).sum())

    def _bills(self, net: Array) -> tuple[float, float]:
        """Return the site's bill alone, and that of all together, JPY."""

        def bill(flow: Array) -> float:
            return float((self.buy * np.maximum(flow, 0) - self.sell * np.maximum(-flow, 0)).sum())

        return bill(net), bill(net + self.rest)

"""What a period's bills and peaks would be with batteries idle, as they ran, and with each serving
its own office first; alone with the utility and together.

Money in microyen, power in kW. Loads and roofs are those of the readings in every case.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.verification.facts import Facts
from orchestrator.verification.period import Array, months
from vpp.model import Battery, Problem, Tier
from vpp.plan import Plan
from vpp.safe import safe_plan

IDLE, AS_RUN, OWN_FIRST = "batteries_idle", "batteries_run", "batteries_own"
_WH, _KW, _HOURS = 1_000, 10, 0.5


@dataclass(frozen=True)
class Case:
    """What the offices pay the utility, and how much they draw at most."""

    alone: Array
    """By site, each with the utility alone."""
    together: int
    """All of them and the network, trading: they buy only what their exports do not cover in the
    half hour, and sell the rest; whatever they pay each other stays among them."""
    peak: Array
    """By site, the mean of the months' highest half-hour means of import, kW."""

    @property
    def worth_of_trading(self) -> int:
        """What trading spares all."""
        return int(self.alone.sum()) - self.together


def cases_of(facts: Facts) -> dict[str, Case]:
    """Return the cases, by key."""
    bare = facts.meters["generated"] - facts.consumption
    own = bare.copy()
    for site in facts.batteries:
        plan = own_first(facts, site)
        own[:, site] = np.rint(plan.net_export * _WH).astype(np.int64)
    metered = facts.meters["imported"], facts.meters["exported"]
    return {
        IDLE: _case(facts, *_sides(bare)),
        AS_RUN: _case(facts, *metered),
        OWN_FIRST: _case(facts, *_sides(own)),
    }


def _sides(net: Array) -> tuple[Array, Array]:
    """Return import and export of net exports."""
    return np.maximum(-net, 0), np.maximum(net, 0)


def _case(facts: Facts, imported: Array, exported: Array) -> Case:
    alone = facts.selling[:, None] * imported - facts.buying[:, None] * exported
    net = imported.sum(axis=1) - exported.sum(axis=1)
    together = facts.selling * np.maximum(net, 0) - facts.buying * np.maximum(-net, 0)
    names, month = months(facts.slots)
    there = [imported[(month == number) & facts.settled] for number in range(len(names))]
    peaks = [part.max(axis=0) for part in there if len(part)]
    return Case(alone.sum(axis=0), int(together.sum()), np.mean(peaks, axis=0) / _WH / _HOURS)


def own_first(facts: Facts, site: int) -> Plan:
    """Return what a site's battery does that takes what the roof has left and gives it back as soon
    as the office needs it, from the least that it was seen to hold; at no price."""
    power, capacity, efficiency = facts.batteries[site]
    stored = facts.meters["stored"][facts.settled & ~facts.missed[:, site], site]
    least = float(stored.min(initial=capacity * _WH // _KW)) / _WH
    used = np.maximum(facts.consumption[:, site], 0) / _WH
    sun = facts.meters["generated"][:, site] / _WH
    unit = Battery(
        "site",
        capacity / _KW,
        power / _KW,
        power / _KW,
        least,
        charge_efficiency=efficiency / 1_000,
        discharge_efficiency=1.0,
        least_kwh=least,
    )
    none = np.zeros(len(used))
    return safe_plan(Problem(used, sun, (Tier("buy", none),), (Tier("sell", none),), (unit,)))

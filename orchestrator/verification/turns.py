"""How the verdict on a battery turns with what it rests on: its price, its life, and the spread
between the utility's prices.

Asked twice, of the battery as it ran: does *running* one that is there pay for the wear that
running brings beyond an idle one's, and would *buying* one pay, which must earn all of its wear.
The path of its charge is held: who expects other prices would run it otherwise, and at best earn
more.

Money in JPY a year, prices in JPY/kWh.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from energy.units import PRICE_PER_YEN
from orchestrator.verification.facts import Facts
from orchestrator.verification.storage import AS_RUN, Store, Strategy
from vpp.ageing import MOST_YEARS, YEARS, years_until
from vpp.chemistry import chemistry

RUNNING, BUYING = "running", "buying"
DEPTH = 0.8
"""Of the cycles by whose number a cycle life is told."""
PRICES = tuple(range(10_000, 80_001, 10_000))
"""Of a kWh of capacity, JPY: from below the packs of the world market to above commercial systems
in Japan (`vpp/data/chemistry.toml`)."""
LIVES = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Times as many cycles as assumed; LFP's published cell lasts three times what is assumed."""
RESTS = (0.5, 0.75, 1.5, 2.0)
"""Times as much loss at rest as assumed."""
SPREADS = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0)
"""More that the utility asks for each kWh, JPY."""
_HALVINGS = 60


@dataclass(frozen=True)
class Assumed:
    """What a verdict rests on: the price of a kWh of capacity, how many times as many cycles and
    as much loss at rest as the chemistry says, and by how much the utility sells dearer."""

    price: float
    cycles: float = 1.0
    rest: float = 1.0
    dearer: float = 0.0


def assumed(kind: str) -> Assumed:
    """Return what a chemistry's file assumes."""
    return Assumed(chemistry(kind).replacement_jpy_per_kwh)


def cycles_of_life(kind: str) -> float:
    """Return how many cycles of `DEPTH` a chemistry is taken to last."""
    return 1.0 / float(chemistry(kind).cycle(DEPTH))


def years_of_life(strategy: Strategy, kind: str, case: Assumed) -> float:
    """Return how long a strategy lets a battery last, `MOST_YEARS` at most.

    Cycles take capacity in proportion to time, rest by the chemistry's power of it.
    """
    return _years(strategy.outlooks[kind].lost_to_cycles / case.cycles,
                  strategy.outlooks[kind].lost_to_rest * case.rest, kind)  # fmt: skip


def left(strategy: Strategy, kind: str, question: str, case: Assumed) -> float:
    """Return what a strategy leaves a year in the market, wear taken off as a question asks."""
    worth = strategy.together + case.dearer * strategy.spared_kwh
    replacement = case.price * strategy.capacity
    wear = replacement / years_of_life(strategy, kind, case)
    if question == RUNNING:
        idle = strategy.at_rest[kind]
        wear -= replacement / _years(0.0, idle.lost_to_rest * case.rest, kind)
    return worth - wear


def best(battery: Store, kind: str, case: Assumed) -> Strategy:
    """Return the strategy that leaves most by running a battery that is there."""
    known = [one for one in battery.strategies if kind in one.outlooks]
    return max(known, key=lambda one: left(one, kind, RUNNING, case))


@dataclass(frozen=True)
class BreakEven:
    """Where what a battery leaves as it ran turns from loss to gain, each with all else as assumed;
    None where it does not, within `MOST_YEARS` of life, a thousandth to a thousand times the
    cycles."""

    kind: str
    question: str
    left: float
    price: float | None
    """Of a kWh of capacity, JPY: at most."""
    dearer: float | None
    """By how much the utility must sell dearer, JPY/kWh: at least."""
    years: float | None
    """Of life, as it ran: at least."""
    cycles: float | None
    """Times as many cycles as assumed: at least."""


def break_even(battery: Store, kind: str, question: str) -> BreakEven:
    """Return where a battery's verdict turns."""
    ran, now = battery.strategy(AS_RUN), assumed(kind)
    found = left(ran, kind, question, now)
    wear = ran.together - found  # at the assumed price, to which it is proportional
    replacement = now.price * ran.capacity
    a_year = ran.together / replacement  # the part of a battery that it earns
    if question == RUNNING:
        a_year += 1 / ran.at_rest[kind].years_of_life
    years = 1 / a_year if a_year > 0 else None
    return BreakEven(
        kind,
        question,
        found,
        now.price * ran.together / wear if wear > 0 and ran.together > 0 else None,
        -found / ran.spared_kwh if ran.spared_kwh > 0 else None,
        years if years is not None and years < MOST_YEARS else None,
        _turn(lambda times: left(ran, kind, question, replace(now, cycles=times))),
    )


def spread(facts: Facts) -> float:
    """Return by how much the utility sells dearer than it buys, the mean of a period's settled
    half hours, JPY/kWh."""
    apart = (facts.selling - facts.buying)[facts.settled]
    return float(apart.mean()) / PRICE_PER_YEN


def _years(cycles: float, rest: float, kind: str) -> float:
    """Return when losses that are so large after `YEARS` end a battery's life."""
    law = chemistry(kind)

    def lost(years: float) -> float:
        part = years / YEARS
        return float(cycles * part + rest * part**law.calendar.exponent)

    return years_until(lost, 1 - law.end_of_life)


def _turn(gain: Callable[[float], float]) -> float | None:
    """Return where a gain that grows with its argument turns positive."""
    low, high = 1e-3, 1e3
    if gain(low) > 0 or gain(high) <= 0:
        return None
    for _ in range(_HALVINGS):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if gain(middle) <= 0 else (low, middle)
    return high

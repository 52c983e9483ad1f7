"""How well load and sun could be foreseen, and how far orders were from what meters showed.

The two are not the same: an order says what a site offers to trade, and one whose battery is
steered by a plan offers, at prices of their own, parts of which it means to keep all but one.

Energy in Wh.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from energy.units import SLOTS_PER_DAY
from orchestrator.verification.facts import Facts
from orchestrator.verification.period import Array, halves
from vpp.calendar import works_on
from vpp.forecast import HISTORY_DAYS, History, Past

LEAD = 2
"""When orders for a slot are sent, the one before it still runs: so many slots before it lies the
newest reading."""
WARM_UP = 14 * SLOTS_PER_DAY
"""Slots of a site's past before a forecast counts: two weeks hold four days of either kind."""
MOST = 200_000
"""Forecasts, above which they are made for each second, third .. day only."""


@dataclass(frozen=True)
class Orders:
    """Orders against meters, by site: what was ordered less what the meter showed, net exports."""

    compared: Array
    """Whether a site's orders state what it expects: not where a plan's do, and they are left
    out of what is summed over sites."""
    mean_absolute: Array
    """Wh a half hour."""
    bias: Array
    """Wh a half hour; above zero: more export, or less import, was ordered than came."""
    part_of_flow: Array
    """The absolute errors' sum as a part of what went through the meter."""
    half_absolute: Array
    """The same for all compared sites, mean Wh by half hour of the day."""
    half_together: Array
    """The error of their sum, where errors of one make up for another's."""


def order_figures(facts: Facts, conditional: Collection[int] = ()) -> Orders:
    """Compute how far orders were off; of sites that take part, in settled slots with a reading.

    `conditional` are the sites whose orders are a plan's alternatives.
    """
    seen = facts.settled[:, None] & facts.active & ~facts.missed
    net = facts.first_exported - facts.first_imported
    error = np.where(seen, facts.ordered - net, 0)
    compared = ~np.isin(np.arange(facts.sites), list(conditional))
    count = np.maximum(seen.sum(axis=0), 1)
    flow = np.maximum((np.abs(net) * seen).sum(axis=0), 1)
    half, days = halves(facts.slots), np.maximum(facts.settled.sum() / SLOTS_PER_DAY, 1)
    known = error[:, compared]
    return Orders(
        compared=compared,
        mean_absolute=np.abs(error).sum(axis=0) / count,
        bias=error.sum(axis=0) / count,
        part_of_flow=np.abs(error).sum(axis=0) / flow,
        half_absolute=np.bincount(half, np.abs(known).sum(axis=1), SLOTS_PER_DAY) / days,
        half_together=np.bincount(half, np.abs(known.sum(axis=1)), SLOTS_PER_DAY) / days,
    )


@dataclass(frozen=True)
class Forecasts:
    """A quantity's forecasts against what readings showed, by site and for the sum of all sites
    (the last place): mean over the half hours that count, Wh."""

    error: Array
    """Mean absolute error."""
    bias: Array
    """Mean error; above zero: more was forecast than came."""
    mean: Array
    """What came."""
    half: Array
    """The mean absolute errors of all sites, added, by half hour of the day."""


@dataclass(frozen=True)
class Foresight:
    """What a forecast from past readings alone was off by, made when orders are sent."""

    load: Forecasts
    generation: Forecasts
    net: Forecasts
    """Of generation less load."""
    counted: int
    """Half hours with a forecast of some site."""
    every: int
    """Each how manieth day was forecast: 1 is all of them."""


def foresight_figures(facts: Facts) -> Foresight | None:
    """Forecast each site's load and generation again, slot by slot, with `vpp.forecast.History`
    over the readings that were known; None where no site has a past of two weeks."""
    every = -(-len(facts.slots) * facts.sites // MOST)
    every += every % 7 == 0  # each seventh day would always be the same day of the week
    shape = (len(facts.slots), facts.sites)
    loads, suns = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    made = np.zeros(shape, bool)
    used, generated = np.maximum(facts.consumption, 0), facts.meters["generated"]
    known = facts.settled[:, None] & facts.active & ~facts.missed
    for site in range(facts.sites):
        load, sun, made[:, site] = _forecast(facts, site, known[:, site], used, generated, every)
        loads[:, site], suns[:, site] = load, sun
    if not made.any():
        return None
    half = halves(facts.slots)
    return Foresight(
        load=_against(loads, used, made, half),
        generation=_against(suns, generated, made, half),
        net=_against(suns - loads, generated - used, made, half),
        counted=int(made.any(axis=1).sum()),
        every=every,
    )


def _forecast(
    facts: Facts, site: int, known: Array, used: Array, generated: Array, every: int
) -> tuple[Array, Array, Array]:
    """Return a site's forecasts of load and generation, and where they were made and count."""
    first, count = facts.slots.start, len(facts.slots)
    of_site = facts.past[facts.past[:, 1] == site]
    history = History(
        works_on, {first + slot: Past(use, made) for slot, _, use, made in of_site.tolist()}
    )
    begun = min(history.slots, default=first + int(np.argmax(known)))
    load, sun, made = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, bool)
    means: dict[int, int] = {}

    def mean_of(slot: int) -> int:
        # What the days before it showed is known, and does not change within these few slots.
        if slot not in means:
            means[slot] = history.generation_of_days(slot)
        return means[slot]

    takes, gives = used[:, site].tolist(), generated[:, site].tolist()
    there = known.tolist()
    for place, slot in enumerate(facts.slots):
        newest = place - LEAD
        if newest >= 0 and there[newest]:
            history.slots[slot - LEAD] = Past(takes[newest], gives[newest])
        history.slots.pop(slot - (HISTORY_DAYS + 1) * SLOTS_PER_DAY, None)
        if place // SLOTS_PER_DAY % every or not there[place] or slot < begun + WARM_UP:
            continue
        load[place], sun[place] = history.load(slot), history.generation(slot, mean_of)
        made[place] = True
    return load, sun, made


def _against(forecast: Array, came: Array, made: Array, half: Array) -> Forecasts:
    error, came = np.where(made, forecast - came, 0), np.where(made, came, 0)
    with_sum = np.concatenate([error, error.sum(axis=1, keepdims=True)], axis=1)
    sums = np.concatenate([came, came.sum(axis=1, keepdims=True)], axis=1)
    count = np.append(made.sum(axis=0), made.any(axis=1).sum())
    slots = np.maximum(np.bincount(half[made.any(axis=1)], minlength=SLOTS_PER_DAY), 1)
    with np.errstate(invalid="ignore"):
        return Forecasts(
            error=np.abs(with_sum).sum(axis=0) / count,
            bias=with_sum.sum(axis=0) / count,
            mean=sums.sum(axis=0) / count,
            half=np.bincount(half, np.abs(error).sum(axis=1), SLOTS_PER_DAY) / slots,
        )

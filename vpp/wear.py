"""Wear by depth of cycling: what rainflow counts, in a form that a linear program can hold.

Rainflow counting splits a path of the state of charge into cycles of depth d_i, each whole
(w_i = 1) or half (w_i = 1/2), and charges sum of w_i F(d_i), with F convex and F(0) = 0.

For kinks r_k where the slope of F rises by a_k, F(d) = sum of a_k (d - r_k)+. A play operator of
width r follows the path as a cart is dragged by a rope with that much slack: it turns only when the
path has come back by r. It moves (d - r)+ each way on a swing of depth d, and swings nest as
rainflow's cycles do, hence

    sum of w_i (d_i - r)+  =  1/2 (how far the play operator of width r travels)

It is also the laziest follower: no path that stays within r / 2 of the state travels less (with
a free start). So wear is the least cost of followers that pay a_k / 2 for each kWh they move, which
is a linear program; and where a follower stands is all the memory of begun cycles there is. Chords
of F (`Wear` of `chords`) plan at or above the true cost, tangents at or below it: a bound.

Depths and energies in stored kWh, costs in JPY. Sources: ASTM E1049-85 (rainflow); M. Brokate,
K. Dressler, P. Krejčí, "Rainflow counting and energy dissipation for hysteresis models in
elastoplasticity", Eur. J. Mech. A 15 (1996); Y. Shi, B. Xu et al., "Optimal battery control under
cycle aging mechanisms in pay for performance settings", IEEE Trans. Automatic Control 64 (2019).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import rainflow

from energy.errors import SettingError
from vpp.model import Array, Wear


@dataclass(frozen=True)
class DepthLaw:
    """The part of a battery's life that a whole cycle of depth d (0 to 1) takes:
    `factor * d ** exponent`."""

    factor: float
    exponent: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.factor) and self.factor >= 0):
            raise SettingError(f"a depth law's factor must be 0 or more, got {self.factor}")
        if not (np.isfinite(self.exponent) and self.exponent >= 1):
            raise SettingError(f"a depth law's exponent must be 1 or more, got {self.exponent}")

    def __call__(self, depth: Array | float) -> Array:
        """Return the part of life for a depth, or for many."""
        return np.asarray(self.factor * np.power(depth, self.exponent))

    def slope(self, depth: Array | float) -> Array:
        """Return the derivative."""
        return np.asarray(self.factor * self.exponent * np.power(depth, self.exponent - 1))


def even_depths(count: int, deepest: float = 1.0) -> Array:
    """Return `count + 1` depths from 0 to `deepest`: a quadratic law's error is then even."""
    return np.linspace(0.0, deepest, count + 1)


def chords(law: DepthLaw, capacity_kwh: float, replacement_jpy: float, depths: Array) -> Wear:
    """Return wear that meets the law at `depths` and lies above it in between.

    `replacement_jpy` is what the life is worth: the whole battery's replacement.
    """
    cost = replacement_jpy * law(depths)
    slopes = np.diff(cost) / (np.diff(depths) * capacity_kwh)
    return Wear(depths[:-1] * capacity_kwh, np.maximum(np.diff(slopes, prepend=0.0), 0.0))


def tangents(law: DepthLaw, capacity_kwh: float, replacement_jpy: float, depths: Array) -> Wear:
    """Return wear that touches the law at `depths` (the first one 0) and lies below elsewhere."""
    cost, slopes = replacement_jpy * law(depths), replacement_jpy * law.slope(depths)
    crossings = (np.diff(cost) - depths[1:] * slopes[1:] + depths[:-1] * slopes[:-1]) / -np.diff(
        slopes
    )
    kinks = np.concatenate([[0.0], crossings]) * capacity_kwh
    return Wear(kinks, np.diff(slopes, prepend=0.0) / capacity_kwh)


def flat(price: float) -> Wear:
    """Return wear of `price` JPY for each kWh of depth, however deep: throughput alone."""
    return Wear([0.0], [price])


def wear_cost(wear: Wear, stored_kwh: Array) -> float:
    """Return the cost of a path under straight pieces, counted by rainflow; begun cycles as half.

    `stored_kwh` begins with the state at the start.
    """
    kinks, slopes = np.asarray(wear.kinks_kwh), np.asarray(wear.slopes)
    return rainflow_sum(lambda depth: float(slopes @ np.maximum(depth - kinks, 0.0)), stored_kwh)


def life_used(law: DepthLaw, stored_kwh: Array, capacity_kwh: float) -> float:
    """Return the part of a battery's life that a path takes, counted by rainflow."""
    return rainflow_sum(lambda depth: float(law(depth)), np.asarray(stored_kwh) / capacity_kwh)


def rainflow_sum(cost: Callable[[float], float], path: Array) -> float:
    """Return the sum of a cost over a path's cycles, half cycles as half.

    >>> rainflow_sum(lambda depth: depth, np.array([0.0, 3.0, 1.0, 2.0, 0.0]))
    4.0
    """
    path = np.asarray(path, dtype=float)
    moves = np.flatnonzero(np.diff(path))
    if not moves.size:
        return 0.0
    turns = path[np.concatenate([[0], moves + 1])]
    if turns.size == 2:
        # The package sees no cycle in two points.
        turns = np.array([turns[0], turns.mean(), turns[1]])
    return float(
        sum(count * cost(depth) for depth, _, count, _, _ in rainflow.extract_cycles(turns))
    )


def follow(path: Array, width: float, start: float | None = None) -> Array:
    """Return where a play operator of a width stands after each point of a path.

    It starts at `start`, or where it need not move for as long as possible.
    """
    half = width / 2
    if start is None:
        start = _lazy_start(path, half)
    places = np.empty(len(path))
    place = start
    for number, value in enumerate(path):
        place = min(max(place, value - half), value + half)
        places[number] = place
    return places


def _lazy_start(path: Array, half: float) -> float:
    low, high = path[0] - half, path[0] + half
    for value in path[1:]:
        if value - half > high:
            return float(high)
        if value + half < low:
            return float(low)
        low, high = max(low, value - half), min(high, value + half)
    return float((low + high) / 2)


def travelled(wear: Wear, stored_kwh: Array) -> float:
    """Return the cost of a path by followers, from the wear's memory where it has one.

    Without memory it equals `wear_cost`. With it, it is what the path adds to the cycles that
    were begun before.
    """
    memory = wear.followers_kwh
    total = 0.0
    for number, (kink, slope) in enumerate(
        zip(np.asarray(wear.kinks_kwh), np.asarray(wear.slopes), strict=True)
    ):
        start = None if memory is None else float(np.asarray(memory)[number])
        places = follow(stored_kwh, kink, start)
        first = places[0] if start is None else start
        total += slope / 2 * float(np.abs(np.diff(places, prepend=first)).sum())
    return total


def remembered(wear: Wear, stored_kwh: Array) -> Wear:
    """Return the same wear with its followers where a path has left them: the next plan's."""
    memory = wear.followers_kwh
    starts = [None] * len(np.asarray(wear.kinks_kwh)) if memory is None else np.asarray(memory)
    places = [
        follow(stored_kwh, kink, start)[-1]
        for kink, start in zip(np.asarray(wear.kinks_kwh), starts, strict=True)
    ]
    return replace(wear, followers_kwh=np.array(places))

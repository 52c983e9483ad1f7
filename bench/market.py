"""Off-chain clearing in ms: the best of many runs, as noise only adds."""

from __future__ import annotations

import random
import timeit
from collections.abc import Callable

from bench.figures import Figure
from energy.clearing import cleared, ranking_of
from energy.records import Order, Side, packed
from orchestrator.moving.clearing import proposed

FEE = 1_000


def figures() -> list[Figure]:
    """Measure books of random orders, as many bids as asks."""
    small = _orders(7)
    middle, large = packed(_orders(1_000)), packed(_orders(10_000))
    return [
        Figure(
            "7 + 7 orders, at hand, to ranking, trades and price",
            _best(lambda: cleared(small, ranking_of(small, FEE), FEE), 2_000),
            "ms",
            0.05,
        ),
        Figure("7 + 7 orders, packed", _best(lambda: proposed(5, packed(small), FEE), 2_000), "ms"),
        Figure(
            "1,000 + 1,000 orders, packed", _best(lambda: proposed(5, middle, FEE), 100), "ms", 1
        ),
        Figure(
            "10,000 + 10,000 orders, packed", _best(lambda: proposed(5, large, FEE), 20), "ms", 10
        ),
    ]


def _orders(pairs: int) -> list[Order]:
    chance = random.Random(pairs)
    return [
        Order(
            5,
            site,
            Side(site % 2),
            chance.randrange(1, 60_000),
            chance.randrange(8_000, 22_000),
            1,
        )
        for site in range(2 * pairs)
    ]


def _best(run: Callable[[], object], number: int) -> float:
    return min(timeit.repeat(run, number=number, repeat=5)) / number * 1_000

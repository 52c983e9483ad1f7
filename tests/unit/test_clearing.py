"""The vectorised clearing proposes what the twin does, whatever the book."""

from __future__ import annotations

import random

import pytest

from energy.clearing import cleared, ranking_of
from energy.records import Order, Side, packed
from orchestrator.moving import clearing
from orchestrator.moving.clearing import proposed


def a_book(chance: random.Random, sites: int, orders: int) -> list[Order]:
    """Random orders, with ties, zero energies, fresh and self-crossing ones."""
    step = chance.choice([1, 500, 4_000])
    return [
        Order(
            slot=5,
            site=chance.randrange(sites),
            side=Side(chance.randrange(2)),
            energy=chance.choice([0, 1, chance.randrange(100), chance.randrange(2**32)]),
            price=chance.choice([0, 2**24 - 1, chance.randrange(8_000, 22_000) // step * step]),
            sequence=number % 16,
            fresh=chance.random() < 0.05,
        )
        for number in range(orders)
    ]


@pytest.mark.parametrize("seed", range(150))
def test_proposal_of_a_large_book_is_the_twins(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "SMALL", 0)
    chance = random.Random(seed)
    book = a_book(chance, chance.choice([2, 7, 200, 1_000]), chance.choice([1, 2, 14, 300]))
    fee = chance.choice([0, 1, 1_000])
    ranking = ranking_of(book, fee)
    expected = cleared(book, ranking, fee)
    proposal = proposed(5, packed(book), fee)
    assert proposal.bids == b"".join(index.to_bytes(2) for index in ranking.bids)
    assert proposal.asks == b"".join(index.to_bytes(2) for index in ranking.asks)
    assert proposal.trades == packed(expected.trades)
    assert proposal.price == expected.price


def test_a_small_book_is_cleared_by_the_twin_itself() -> None:
    book = [Order(5, 0, Side.ASK, 100, 9_000, 1), Order(5, 1, Side.BID, 60, 20_000, 1)]
    proposal = proposed(5, packed(book), 1_000)
    assert proposal.price == (max(10_000, 0) + min(20_000, 10_000)) // 2 - 1_000
    assert proposal.trades.hex() == "0000000100" + "00003c"

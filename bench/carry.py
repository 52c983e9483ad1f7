"""How many sites one chain carries: gas on a node, orders a second, and signature checks.

Gas is of the second use of the ring's words, all transactions of a slot in it. What validators
take in a second is `bench.network`'s, seven of them on two cores.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.figures import Figure
from bench.region import DAY, Game, beginning_of, sample
from chain.anvil import AnvilChain, anvil
from chain.network.genesis import GAS_LIMIT
from chain.origin import OriginContract
from energy.attestation import Attestation, day_number, last_slot_of, signed
from energy.attested import RING as DAYS_HELD
from energy.market import RING
from energy.messages import address_of, signature_of, signer_of_digest
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY
from orchestrator.replay.replay import ORDER_SECONDS
from orchestrator.replay.scenarios import base, resampled

MESSAGES_A_SECOND = 1_396
"""Signed orders that seven validators on two cores took for 48 s without losing one; see
docs/network.md."""
DEFAULT_PERIOD = 5
BAR = 30_000
CHECKS = 2_000


@dataclass(frozen=True)
class Burnt:
    """Gas a site and slot by what it was for, and orders and trades a site and slot."""

    sites: int
    gas: Mapping[str, float]
    orders: float
    trades: float

    @property
    def whole(self) -> float:
        """All of it."""
        return sum(self.gas.values())


def burnt(sites: int, halves: int) -> Burnt:
    """Play half hours of a market on a node, each twice in the same place of the ring."""
    town = resampled(sites)(base())
    with anvil(beginning_of(town)) as node:
        game = Game(node, town, node.set_time)
        for use in (0, RING):
            game.replay.gas.clear()
            game.counts.clear()
            if use:
                game.remember(game.first + use)
            game.play(sample(halves), later=use)
        attesting = _attesting(node, game)
    share = 1 / (sites * halves)
    gas = {act: gas * share for act, gas in sorted(game.replay.gas.items())}
    orders, trades = (count * share for count in game.came_to)
    return Burnt(sites, {**gas, "attest the day's root": attesting}, orders, trades)


def told(found: Burnt, is_held: bool) -> Iterator[Figure]:
    """Yield a market's gas, against the bar if that is for its size."""
    size = f"{found.sites:,} sites"
    bar = BAR if is_held else None
    yield Figure(f"gas a site and slot, all in, at {size}", found.whole, "gas", bar)
    for act, gas in found.gas.items():
        yield Figure(f"of it, to {act}", gas, "gas")
    yield Figure(f"orders a site and slot, at {size}", found.orders, "count")
    yield Figure(f"trades a site and slot, at {size}", found.trades, "count")


def carried(found: Burnt) -> Iterator[Figure]:
    """Yield how many sites a chain carries by each of its limits, and which of them binds."""
    checks = checks_a_second()
    messages = found.orders + 1
    gas = GAS_LIMIT * SLOT_SECONDS / found.whole
    spread = {
        "gas of full blocks, one a second": gas,
        "signed orders and readings, spread over the half hour": MESSAGES_A_SECOND
        * SLOT_SECONDS
        / messages,
        "signature checks of one core": checks * SLOT_SECONDS / (messages + 1 / SLOTS_PER_DAY),
    }
    crowded = MESSAGES_A_SECOND * ORDER_SECONDS / found.orders
    yield Figure("signatures that one core checks a second", checks, "1/s")
    for what, sites in spread.items():
        yield Figure(f"sites that one chain carries by {what}", sites, "count")
    yield Figure(
        f"the same by gas of blocks {DEFAULT_PERIOD} s apart", gas / DEFAULT_PERIOD, "count"
    )
    binds = min(spread, key=lambda what: spread[what])
    yield Figure(f"sites that one chain carries; bound by {binds}", spread[binds], "count")
    yield Figure(
        f"the same while all orders come in the {ORDER_SECONDS} s before a gate", crowded, "count"
    )


def checks_a_second() -> float:
    """Return how many signatures this process recovers in a second, by libsecp256k1 as geth."""
    key, digest = bytes(31) + b"\1", bytes(range(32))
    signature = signature_of(digest, key)
    assert signer_of_digest(digest, signature) == address_of(key)
    best = min(
        timeit.repeat(
            lambda: signer_of_digest(digest, signature),
            timer=time.process_time,
            number=CHECKS,
            repeat=3,
        )
    )
    return CHECKS / best


def _attesting(node: AnvilChain, game: Game) -> float:
    """Have all sites attest a day together, and the one that later takes its place in the ring;
    return the gas a site and slot of the second."""
    origin = OriginContract.deployed(node, game.replay.market.address)
    root, sites = bytes(range(1, 33)), game.replay.sites
    numbers = [site.site.number for site in sites]
    for day in (day_number(DAY), day_number(DAY) + DAYS_HELD):
        node.set_time(max((last_slot_of(day) + 1) * SLOT_SECONDS, node.now() + 1))
        signatures = [
            signed(Attestation(day, number, root), origin.domain, site.oracle_key)
            for number, site in zip(numbers, sites, strict=True)
        ]
        receipt = origin.attest_together(day, root, numbers, signatures)
    return receipt.gas_used / len(numbers) / SLOTS_PER_DAY

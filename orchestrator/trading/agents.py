"""Trading agents: what a site offers and asks for in a slot, from its own past readings alone.

Ahead of a slot an agent forecasts its site's surplus (`vpp.forecast`); after metering it quotes
what its own terminal has read. A strategy then names a price, and the site's limits hold whatever
it says: never sell below, never buy above.

The book is one price for all, so no one chooses with whom to trade. What a site can do for its
own region is to give way on the price while its neighbours are on the other side.

Energy in Wh, prices in 0.001 JPY/kWh; a bid has the network's fee in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from energy.records import Order, Reading, Side
from energy.registry import Tariff
from energy.units import PRICE_LIMIT
from orchestrator.steering.steering import Offer


@dataclass(frozen=True, slots=True)
class Limits:
    """A site never sells below `ask` and never buys above `bid`; energies within the rating.

    `region_discount` is what it gives up, within these limits, to trade while the other sites of
    its region need what it has, or have what it needs.
    """

    ask: int
    bid: int
    most_energy: int
    region_discount: int = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """What an agent knows of a slot before its gate.

    `net_export` is its own expected surplus (below zero: need). `worth` is what a kWh more or
    less is worth to it then, by its battery's plan (`orchestrator.steering.plan`); None where the
    utility is the only other way. `region_net` is the expected net export of the others of its
    region, as their readings of the day before show it.
    """

    slot: int
    site: int
    net_export: int
    tariff: Tariff
    worth: int | None = None
    region_net: int = 0

    @property
    def side(self) -> Side:
        """Whether it would sell or buy."""
        return Side.ASK if self.net_export > 0 else Side.BID

    @property
    def opportunity(self) -> int:
        """What a kWh sold would bring, or one bought would cost, outside of the book."""
        if self.worth is not None:
            return self.worth
        return self.tariff.buying if self.side == Side.ASK else self.tariff.selling


class Strategy(Protocol):
    """Names the price at which a site is ready to trade in a situation."""

    def price(self, situation: Situation) -> int:
        """Return the limit of an ask, or of a bid with its fee."""


@dataclass(frozen=True, slots=True)
class Truthful:
    """Says what the energy is worth: the planner's dual, or what the utility pays or takes."""

    def price(self, situation: Situation) -> int:
        """Return the opportunity cost."""
        return situation.opportunity


@dataclass(frozen=True, slots=True)
class ZeroIntelligence:
    """Draws any price between the utility's two (Gode and Sunder, 1993: constrained traders).

    The draw depends on seed, slot and site alone, so that one that starts again says the same.
    """

    seed: int = 0

    def price(self, situation: Situation) -> int:
        """Return a price that does no worse than the utility."""
        chance = random.Random(f"{self.seed} {situation.slot} {situation.site}")
        return chance.randint(situation.tariff.buying, situation.tariff.selling)


@dataclass(frozen=True, slots=True)
class FixedMargin:
    """Wants a fixed gain over the opportunity cost, within the utility's two prices."""

    margin: int = 1_000

    def price(self, situation: Situation) -> int:
        """Return the opportunity cost with the margin on the better side of it."""
        tariff = situation.tariff
        if situation.side == Side.ASK:
            return min(situation.opportunity + self.margin, tariff.selling)
        return max(situation.opportunity - self.margin, tariff.buying)


STRATEGIES: dict[str, Callable[[int], Strategy]] = {
    "truthful": lambda _: Truthful(),
    "zero-intelligence": lambda _: ZeroIntelligence(),
    "fixed-margin": FixedMargin,
}
"""By name, made with a margin for those that have one."""


def quoted(
    situation: Situation, strategy: Strategy, limits: Limits, sequence: int = 1
) -> Order | None:
    """Return the order of a strategy within a site's limits; None where there is nothing to trade.

    >>> situation = Situation(866450, 3, 2_000, Tariff(22_000, 8_000, 1_000))
    >>> order = quoted(situation, Truthful(), Limits(ask=9_000, bid=18_000, most_energy=1_500))
    >>> order.side.name, order.energy, order.price
    ('ASK', 1500, 9000)
    """
    energy = min(abs(situation.net_export), limits.most_energy)
    if not energy:
        return None
    price = strategy.price(situation)
    if situation.side == Side.ASK:
        given_up = limits.region_discount if situation.region_net < 0 else 0
        price = max(price - given_up, limits.ask)
    else:
        given_up = limits.region_discount if situation.region_net > 0 else 0
        price = min(price + given_up, limits.bid)
    price = min(max(price, 0), PRICE_LIMIT - 1)
    return Order(situation.slot, situation.site, situation.side, energy, price, sequence)


def orders_of(
    offers: Iterable[Offer],
    site: int,
    tariff: Tariff,
    strategy: Strategy,
    limits: Limits,
    region_net: int = 0,
) -> list[Order]:
    """Return a site's first orders for a slot: what it has to offer, priced by its strategy."""
    found: list[Order] = []
    for offer in offers:
        net = offer.energy if offer.side is Side.ASK else -offer.energy
        situation = Situation(offer.slot, site, net, tariff, offer.worth, region_net)
        order = quoted(situation, strategy, limits, sequence=len(found) + 1)
        if order is not None:
            found.append(order)
    return found


def net_export(reading: Reading) -> int:
    """Return what a site quotes after metering, in Wh: its export, or below zero its import.

    A meter can show both in a half hour; the larger is quoted, since a bid and an ask of one
    site that would trade with each other are void.
    """
    return reading.exported if reading.exported >= reading.imported else -reading.imported

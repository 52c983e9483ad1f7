"""What a site's battery is told, and what its agent can offer because of that.

Whoever steers is asked twice about a slot: before its orders close, what the site has to sell or
would buy then, and what a kWh of that is worth to it otherwise; and when it begins, what the
battery is told. It knows the site's readings up to the slot before, the tariff, and what the
cleared book says of the slot; nothing else of the slot itself.

Energy in Wh, power in W, prices in 0.001 JPY/kWh, as in `energy`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from energy.records import Order, Side, Trade
from energy.registry import Tariff
from vpp.rule import Command

NONE, RULE, OWN_USE, PLAN = "none", "rule", "own-use", "plan"
STEERINGS = (NONE, RULE, OWN_USE, PLAN)


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a battery is spoken for in the 48 slots from one on, Wh: what is to be left in it to
    deliver at the end of each, and what of its power is to be free in each."""

    left: Sequence[int]
    free: Sequence[int]


Keeps = Callable[[int], Kept | None]
"""What is spoken for, by what is known when a slot begins; None: nothing."""

Tariffs = Callable[[int, int], Tariff]
"""The tariff of a slot, as far as it is known when another one begins."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a site can sell (ASK) or would buy (BID) in a slot, and what a kWh of it is worth to it
    otherwise; None where that is what the utility pays or takes."""

    slot: int
    side: Side
    energy: int
    worth: int | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """What a slot's cleared book says of it before it begins: what the site has sold (below 0:
    bought), and what others wanted and offered in vain. `is_open` if it is not cleared yet."""

    sold: int = 0
    wanted: int = 0
    offered: int = 0
    is_open: bool = False


OPEN = Position(is_open=True)


def position_of(site: int, orders: Iterable[Order], trades: Iterable[Trade]) -> Position:
    """Return a site's position by a slot's book and its trades."""
    sold = wanted = offered = 0
    for order in orders:
        if order.site != site:
            wanted += order.energy if order.side is Side.BID else 0
            offered += order.energy if order.side is Side.ASK else 0
    for trade in trades:
        sold += (trade.seller == site) * trade.energy - (trade.buyer == site) * trade.energy
        wanted -= (trade.buyer != site) * trade.energy
        offered -= (trade.seller != site) * trade.energy
    return Position(sold, wanted, offered)


class Steering(Protocol):
    """What decides for a site's battery."""

    def begin(self, slot: int, stored_wh: int, position: Position) -> Command:
        """Return what the battery is told for a slot that begins with `stored_wh` to deliver."""
        ...

    def offers(self, slot: int) -> list[Offer]:
        """Return what the site has to sell or to buy in a slot after the one that runs."""
        ...

    def planned(self, slot: int) -> int:
        """Return what is expected to leave the battery in a slot, from the one begun last on, Wh
        (below 0: what goes into it)."""
        ...

    def go_on(self, stored_wh: Sequence[int]) -> None:
        """Be as if there at the end of each of the slots so far, with so much to deliver."""
        ...


def net_offers(slot: int, net_export: int) -> list[Offer]:
    """Return the offer of an expected net export (below 0: import); none of nothing."""
    side = Side.ASK if net_export > 0 else Side.BID
    return [Offer(slot, side, abs(net_export))] if net_export else []

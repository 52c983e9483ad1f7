"""Trading agents: what a site offers and asks for in a slot, from its own past readings alone.

Ahead of a slot an agent forecasts its site's surplus (`vpp.forecast`); after metering it quotes
what its own terminal has read. Either way it names its one limit: never sell below, never buy
above.

Energy in Wh, prices in 0.001 JPY/kWh.
"""

from __future__ import annotations

from dataclasses import dataclass

from energy.records import Order, Reading, Side


@dataclass(frozen=True, slots=True)
class Limits:
    """A site never sells below `ask` and never buys above `bid`; energies within the rating."""

    ask: int
    bid: int
    most_energy: int


def order_for(slot: int, site: int, net_export: int, limits: Limits, sequence: int) -> Order | None:
    """Return the order for an expected net export (below zero: import) in Wh; None for none."""
    energy = min(abs(net_export), limits.most_energy)
    if not energy:
        return None
    side, price = (Side.ASK, limits.ask) if net_export > 0 else (Side.BID, limits.bid)
    return Order(slot, site, side, energy, price, sequence)


def net_export(reading: Reading) -> int:
    """Return what a site quotes after metering, in Wh: its export, or below zero its import.

    A meter can show both in a half hour; the larger is quoted, since a bid and an ask of one
    site that would trade with each other are void.
    """
    return reading.exported if reading.exported >= reading.imported else -reading.imported

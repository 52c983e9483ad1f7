"""The rules that never break, as checks of a settled slot.

Each check is named by its law and raises an `AuditError` with slot, law and figures. They
look at results alone and know nothing of how these were found.
Energies in Wh, prices in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from energy.clearing import Clearing, live_orders
from energy.errors import AuditError
from energy.records import Order, Reading, Side, Trade
from energy.rows import SlotOrigins


class SettledSlot(Protocol):
    """What a settlement says, from the twin or from a chain's event."""

    @property
    def deliveries(self) -> Sequence[Trade]:
        """What flowed of each trade."""

    @property
    def pool(self) -> Sequence[Trade]:
        """What flowed through the pool."""

    @property
    def entries(self) -> Sequence[int]:
        """What each account is owed."""


def check_clearing(slot: int, book: Sequence[Order], clearing: Clearing, fee: int) -> None:
    """No order trades beyond its limit, and no better set of trades existed.

    The largest surplus is found again from the two price curves, not from a ranking: at every
    price that is quoted, what is wanted above it and offered below it bounds what may trade.
    Holds for books whose orders count in full (gates ahead of the slot).
    """
    live = [book[index] for index in live_orders(book, fee)]
    bids = [order for order in live if order.side == Side.BID]
    asks = [order for order in live if order.side == Side.ASK]
    traded = sum(trade.energy for trade in clearing.trades)
    price = clearing.price
    if traded:
        _demand(slot, "within limits: buyers", _bought(clearing), _by_site(bids, price + fee, 1))
        _demand(slot, "within limits: sellers", _sold(clearing), _by_site(asks, price, -1))
    # Bids above p + fee and asks below p have to trade in full: then no surplus is left over.
    if traded or (bids and asks):
        steps = sorted({order.price for order in bids} | {order.price + fee for order in asks})
        most = max(
            min(
                sum(order.energy for order in bids if order.price >= step),
                sum(order.energy for order in asks if order.price + fee <= step),
            )
            for step in steps
        )
        if traded != most:
            raise AuditError(
                f"slot {slot}: no better set of trades: {most} Wh must trade, got {traded} Wh"
            )


def _bought(clearing: Clearing) -> Counter[int]:
    found: Counter[int] = Counter()
    for trade in clearing.trades:
        found[trade.buyer] += trade.energy
    return found


def _sold(clearing: Clearing) -> Counter[int]:
    found: Counter[int] = Counter()
    for trade in clearing.trades:
        found[trade.seller] += trade.energy
    return found


def _by_site(orders: Sequence[Order], price: int, sign: int) -> Counter[int]:
    found: Counter[int] = Counter()
    for order in orders:
        if sign * order.price >= sign * price:
            found[order.site] += order.energy
    return found


def _demand(slot: int, law: str, used: Mapping[int, int], limits: Mapping[int, int]) -> None:
    for site, energy in used.items():
        if energy > limits.get(site, 0):
            raise AuditError(
                f"slot {slot}: {law}: site {site} must trade at most {limits.get(site, 0)} Wh, "
                f"got {energy} Wh"
            )


def check_settlement(
    slot: int, trades: Sequence[Trade], readings: Mapping[int, Reading], settlement: SettledSlot
) -> None:
    """No delivery exceeds its trade, what was exported or imported; the ledger sums to zero."""
    if len(settlement.deliveries) != len(trades):
        raise AuditError(
            f"slot {slot}: a delivery for each trade: must be {len(trades)}, "
            f"got {len(settlement.deliveries)}"
        )
    for trade, delivery in zip(trades, settlement.deliveries, strict=True):
        if delivery.energy > trade.energy:
            raise AuditError(
                f"slot {slot}: no delivery beyond its trade: must be at most {trade.energy} Wh, "
                f"got {delivery.energy} Wh"
            )
    out: dict[int, int] = defaultdict(int)
    into: dict[int, int] = defaultdict(int)
    for flow in (*settlement.deliveries, *settlement.pool):
        out[flow.seller] += flow.energy
        into[flow.buyer] += flow.energy
    exported = {site: reading.exported for site, reading in readings.items()}
    imported = {site: reading.imported for site, reading in readings.items()}
    _demand(slot, "no flow beyond what was exported", out, exported)
    _demand(slot, "no flow beyond what was imported", into, imported)
    if sum(settlement.entries):
        raise AuditError(
            f"slot {slot}: the ledger sums to zero: must be 0, got {sum(settlement.entries)} "
            "microyen"
        )


def check_origins(slot: int, readings: Mapping[int, Reading], origins: SlotOrigins) -> None:
    """What a site used, summed by origin, equals what its meter says."""
    used: dict[int, int] = defaultdict(int)
    for row in origins.used:
        used[row.site] += row.energy
    for site, reading in readings.items():
        if site not in origins.unread and used[site] != reading.consumption:
            raise AuditError(
                f"slot {slot}: origins sum to consumption: site {site} must have "
                f"{reading.consumption} Wh, got {used[site]} Wh"
            )

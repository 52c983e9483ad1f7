"""Sites on a market by its rules alone: no chain, no signatures, many times as fast as a replay.

The same sites as in a replay (`orchestrator.replay.site`), the reference rules of clearing and
settlement, and the same moments: ahead of a slot orders rest on forecasts, and a battery is told
what to do when the slot's book is cleared; after metering they rest on what was read.

Energy in Wh, prices in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from energy.clearing import Clearing, cleared, ranking_of
from energy.records import Order, Reading
from energy.registry import Tariff
from energy.settlement import Settlement, settled
from energy.units import day_of, slot_of_day
from orchestrator.replay.site import ReplayedSite
from orchestrator.steering.steering import OPEN, position_of


@dataclass(frozen=True)
class Rehearsed:
    """What came of a slot; readings are by site."""

    slot: int
    tariff: Tariff
    orders: Sequence[Order]
    clearing: Clearing
    readings: Sequence[Reading]
    settlement: Settlement

    def gain(self, site: int) -> int:
        """Return what a site is owed beyond what the utility alone would owe it for its meter."""
        return self.settlement.entries[site] - self.alone(site)

    def alone(self, site: int) -> int:
        """Return what the utility alone would owe a site for what its meter showed."""
        reading, tariff = self.readings[site], self.tariff
        return tariff.buying * reading.exported - tariff.selling * reading.imported


def rehearsed(
    sites: Sequence[ReplayedSite],
    tariffs_on: Callable[[date], Sequence[Tariff]],
    slots: range,
    after_metering: bool = False,
) -> Iterator[Rehearsed]:
    """Play some slots and yield each. Sites stand in the order of their numbers."""
    neighbours = sites[0].neighbours

    def tariff_of(slot: int) -> Tariff:
        return tariffs_on(day_of(slot))[slot_of_day(slot)]

    def book_of(slot: int) -> list[Order]:
        tariff = tariff_of(slot)
        book = [order for site in sites for order in site.orders(slot, tariff, after_metering)]
        if neighbours:
            neighbours.ordered(book)
        return book

    def cleared_book(
        slot: int, book: Sequence[Order], caps: dict[int, tuple[int, int]] | None = None
    ) -> Clearing:
        fee = tariff_of(slot).fee
        return cleared(book, ranking_of(book, fee), fee, caps)

    coming: list[Order] = [] if after_metering else book_of(slots.start)
    for slot in slots:
        book = coming
        clearing = cleared_book(slot, book)
        for site in sites:
            number = site.site.number
            is_open = after_metering
            site.begin(slot, OPEN if is_open else position_of(number, book, clearing.trades))
        if not after_metering and slot + 1 in slots:
            # Orders close before the slot that lies in between has been read.
            coming = book_of(slot + 1)
        readings = [site.read(slot) for site in sites]
        if neighbours:
            neighbours.read(readings)
        if after_metering:
            book = book_of(slot)
            caps = {each.site: (each.imported, each.exported) for each in readings}
            clearing = cleared_book(slot, book, caps)
        tariff = tariff_of(slot)
        settlement = settled(readings, clearing.trades, clearing.price, tariff)
        yield Rehearsed(slot, tariff, book, clearing, readings, settlement)

"""What the other sites of a market are going to need and to have left, and who could buy of them.

Readings and orders are public: anyone can forecast anyone. What another site's battery does counts
as its load. A site is taken to want what it lacks at the price that it bid last, and to offer what
it has left at the price that it asked last; one that has never quoted does not count.

Energy in Wh and prices in 0.001 JPY/kWh, as in `energy`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from scipy.special import ndtr

from energy.records import Order, Reading, Side
from energy.units import SLOTS_PER_DAY
from vpp.ahead import Ahead
from vpp.forecast import HISTORY_DAYS, History, Past
from vpp.model import Array

SUN_ERROR = 0.35
"""What the others' generation differs by from its forecast, as a part of it: one deviation."""


class Neighbours:
    """The sites of a market as all of them see each other; one for all in a process."""

    def __init__(self, works_on: Mapping[int, Callable[[int], bool]]) -> None:
        self._histories = {site: History(works) for site, works in works_on.items()}
        self._ahead = {site: Ahead(history) for site, history in self._histories.items()}
        self._quotes: dict[tuple[int, Side], tuple[int, int]] = {}
        """By site and side: slot and price of the last order."""
        self._slot = -1
        self._net: dict[int, Array] = {}
        self._sun: dict[int, Array] = {}

    def read(self, readings: Iterable[Reading]) -> None:
        """Take note of readings; those of sites that have come since are passed over."""
        for reading in readings:
            if reading.site not in self._histories:
                continue
            used = max(reading.generated + reading.imported - reading.exported, 0)
            slots = self._histories[reading.site].slots
            slots[reading.slot] = Past(used, reading.generated)
            slots.pop(reading.slot - HISTORY_DAYS * SLOTS_PER_DAY - 1, None)

    def ordered(self, orders: Iterable[Order]) -> None:
        """Take note of orders."""
        for order in orders:
            known, _ = self._quotes.get((order.site, order.side), (-1, 0))
            if order.energy and order.slot > known:
                self._quotes[order.site, order.side] = order.slot, order.price

    def wanted(self, first_slot: int, site: int, ask: int, fees: Sequence[int]) -> Wanted:
        """Return what a site can expect to sell in the book of the 48 slots from one on, if it asks
        `ask`: (Wh, price) a slot."""
        self._forecast(first_slot)
        none = np.zeros(SLOTS_PER_DAY)
        cheaper = [
            np.maximum(net, 0)
            for other, net in self._net.items()
            if other != site and self._price(first_slot, other, Side.ASK, ask + 1) <= ask
        ]
        supply = sum(cheaper, none)
        demand, price = none, none
        bids = [
            (self._price(first_slot, other, Side.BID, 0), np.maximum(-net, 0))
            for other, net in self._net.items()
            if other != site
        ]
        fee = np.asarray(fees, dtype=float)
        for bid, lacks in sorted(bids, key=lambda each: -each[0]):
            if bid >= ask + fee.min():
                # The bid that the cheaper supply leaves unserved sets the price.
                price = np.where((demand <= supply) & (lacks > 0), bid - fee, price)
                demand = demand + lacks
        left = demand - supply
        # Of a normal distribution around what is expected to be left, the mean of what is positive.
        sun = sum((each for other, each in self._sun.items() if other != site), none)
        deviation = np.maximum(SUN_ERROR * sun, 1.0)
        part = left / deviation
        density = np.exp(-part * part / 2) / np.sqrt(2 * np.pi)
        energy = left * ndtr(part) + deviation * density
        return np.where(demand > 0, energy, 0.0), np.where(demand > 0, price, 0.0)

    def _price(self, now: int, site: int, side: Side, unknown: int) -> int:
        """Return what a site asked or bid last, within the days that count."""
        slot, price = self._quotes.get((site, side), (-1, unknown))
        return price if slot >= now - HISTORY_DAYS * SLOTS_PER_DAY else unknown

    def _forecast(self, first_slot: int) -> None:
        if first_slot == self._slot:
            return
        self._slot = first_slot
        for site, ahead in self._ahead.items():
            load, sun = ahead(first_slot)
            self._net[site], self._sun[site] = sun - load, sun


Wanted = tuple[Array, Array]

"""A battery's content by origin: lots, first in, first out.

Energies are Wh, efficiency is the battery's for a round trip in per mille (0 without a
battery). A lot counts the Wh that were charged; drawing gives less, and the difference is
lost. So `stored` Wh, which a battery can still deliver, stand for
`charge_for(stored, efficiency)` Wh of lots.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """How energy entered the market."""

    GENERATION = 0
    """Generated at a site's roof."""
    GRID = 1
    """Bought from the utility by a site."""
    INITIAL = 2
    """Found in a site's battery at its first reading."""
    UNEXPLAINED = 3
    """Discharged by a site's battery beyond everything known to be in it."""


# Named tuples where a dataclass would do: origins are dictionary keys in the innermost loops.
class Origin(NamedTuple):
    """Where and when energy entered the market, and how."""

    kind: Kind
    site: int
    slot: int


class Lot(NamedTuple):
    """Wh of one origin."""

    origin: Origin
    energy: int


Lots = tuple[Lot, ...]
"""What a battery holds, oldest first."""


class Drawn(NamedTuple):
    """What came out of a battery's lots, what was lost on the way, and what stays."""

    delivered: list[Lot]
    lost: list[Lot]
    kept: Lots


def charge_for(delivered: int, efficiency: int) -> int:
    """Return the charged Wh that a delivery consumes; with no efficiency, none are held.

    >>> charge_for(90, 900), charge_for(91, 900), charge_for(91, 0)
    (100, 102, 0)
    """
    return -(-delivered * 1000 // efficiency) if efficiency else 0


def delivery_of(charged: int, efficiency: int) -> int:
    """Return the Wh that charged Wh can deliver.

    >>> delivery_of(100, 900), delivery_of(101, 900)
    (90, 90)
    """
    return charged * efficiency // 1000


def initial_charge(stored: int, charged: int, discharged: int, efficiency: int) -> int:
    """Return the Wh of lots that a battery held before its first reading.

    It is what makes the first slot come out at the `stored` Wh of its end, at least 0: what
    was charged in that slot keeps its own origin.

    >>> initial_charge(stored=900, charged=100, discharged=90, efficiency=900)
    1000
    """
    at_end = charge_for(stored, efficiency)
    return max(0, at_end - charged + charge_for(discharged, efficiency))


def total(lots: Iterable[Lot]) -> int:
    """Return the Wh of lots together."""
    return sum(energy for _, energy in lots)


def take(lots: Lots, energy: int) -> tuple[list[Lot], Lots]:
    """Split lots into the oldest `energy` Wh (at most all) and the rest."""
    taken: list[Lot] = []
    for index, lot in enumerate(lots):
        if energy < lot.energy:
            if energy:
                taken.append(Lot(lot.origin, energy))
                return taken, (Lot(lot.origin, lot.energy - energy), *lots[index + 1 :])
            return taken, lots[index:]
        taken.append(lot)
        energy -= lot.energy
    return taken, ()


def draw(lots: Lots, delivered: int, efficiency: int) -> Drawn:
    """Draw a delivery from the oldest lots.

    Of the x consumed Wh, the first T deliver floor(delivered * T / x): every lot's share is
    rounded, their sum never is. `delivered` must be at most `delivery_of(total(lots))`.

    >>> noon, evening = Origin(Kind.GENERATION, 4, 24), Origin(Kind.GRID, 6, 36)
    >>> drawn = draw((Lot(noon, 5), Lot(evening, 50)), delivered=9, efficiency=900)
    >>> [lot.energy for lot in drawn.delivered], [lot.energy for lot in drawn.lost]
    ([4, 5], [1])
    >>> total(drawn.kept)
    45
    """
    consumed = charge_for(delivered, efficiency)
    taken, kept = take(lots, consumed)
    shares: list[Lot] = []
    lost: list[Lot] = []
    so_far = given = 0
    for origin, energy in taken:
        so_far += energy
        share = delivered * so_far // consumed - given
        given += share
        if share:
            shares.append(Lot(origin, share))
        if share < energy:
            lost.append(Lot(origin, energy - share))
    return Drawn(shares, lost, kept)


def add(lots: Lots, charged: Sequence[Lot]) -> Lots:
    """Put newly charged Wh behind the lots; neighbours of one origin become one lot.

    Joining neighbours changes no later row: shares are rounded on running sums.
    """
    joined = list(lots[-1:])
    for lot in charged:
        if joined and joined[-1].origin == lot.origin:
            joined[-1] = Lot(lot.origin, joined[-1].energy + lot.energy)
        else:
            joined.append(lot)
    return lots[:-1] + tuple(joined)

"""The market's records, each of which fits one EVM word.

Fields are those of `energy.units`. `to_word` gives the integer that the contracts hold
(see `contracts/types/`), `to_bytes` the packed form in which a record travels and is
logged; the slot travels once for a batch and is not in an order's or trade's bytes.

An order, 10 bytes:     site 16 | energy 32 | price 24 | zero 2 | fresh 1 | ask 1 | sequence 4
A trade or flow, 8:     seller 16 | buyer 16 | energy 32
A reading, 32 bytes:    slot 32 | site 16 | imported 32 | exported 32 | generated 32
                        | charged 32 | discharged 32 | stored 32 | quality 8 | revision 8
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

ORDER_BYTES = 10
TRADE_BYTES = 8
READING_BYTES = 32
REVISION_LIMIT = 2**8


class Side(IntEnum):
    """Which way an order goes: a bid buys, an ask sells."""

    BID = 0
    ASK = 1


# A look-up costs a fifth of the call Side(...), and books are long.
_SIDES = (Side.BID, Side.ASK)


class Quality(IntFlag):
    """How a reading came about; no flag set means measured at both boundaries."""

    MEASURED = 0
    INTERPOLATED = 1
    """A boundary lies between two samples."""
    INTEGRATED = 2
    """No accumulator answered: power was integrated."""
    RECONCILED = 4
    """Inverter and revenue meter disagreed by a little; generation was raised."""
    PARTIAL = 8
    """Part of the half hour was not seen."""
    ASSUMED = 128
    """No reading arrived; the settlement assumed one. No terminal may sign it."""


@dataclass(frozen=True, slots=True)
class Order:
    """A site's offer to buy or sell up to `energy` Wh in a slot at `price` or better.

    `sequence` counts from 1 within site and slot. `fresh` voids the site's earlier orders
    for the slot; with zero energy it withdraws them.
    """

    slot: int
    site: int
    side: Side
    energy: int
    price: int
    sequence: int
    fresh: bool = False

    def to_wire(self) -> int:
        """Return the order's 80 bits, without the slot."""
        return (
            self.site << 64
            | self.energy << 32
            | self.price << 8
            | self.fresh << 5
            | self.side << 4
            | self.sequence
        )

    def to_word(self) -> int:
        """Return the order's word: the slot above its 80 bits."""
        return self.slot << 80 | self.to_wire()

    def to_bytes(self) -> bytes:
        """Return the 10 bytes in which the order travels."""
        return self.to_wire().to_bytes(ORDER_BYTES)

    @classmethod
    def from_word(cls, word: int) -> Order:
        """Read an order from its word."""
        return cls(
            word >> 80,
            word >> 64 & 0xFFFF,
            _SIDES[word >> 4 & 1],
            word >> 32 & 0xFFFFFFFF,
            word >> 8 & 0xFFFFFF,
            word & 15,
            word & 32 != 0,
        )

    @classmethod
    def from_bytes(cls, slot: int, data: bytes) -> Order:
        """Read an order of a slot from its 10 bytes."""
        return cls.from_word(slot << 80 | int.from_bytes(data))


VOIDING = 15
"""The sequence of the word by which the owner voids a site's orders: no site signs it."""


def voiding_order(slot: int, site: int) -> Order:
    """Return the word that voids a site's orders in a slot: fresh, without energy."""
    return Order(slot, site, Side.BID, 0, 0, VOIDING, fresh=True)


@dataclass(frozen=True, slots=True)
class Trade:
    """Energy that `seller` owes `buyer` in a slot, or that flowed between them."""

    slot: int
    seller: int
    buyer: int
    energy: int

    def to_word(self) -> int:
        """Return the trade's word: the slot above its 64 bits."""
        return self.slot << 64 | self.seller << 48 | self.buyer << 32 | self.energy

    def to_bytes(self) -> bytes:
        """Return the 8 bytes in which the trade travels."""
        return (self.to_word() & (1 << 64) - 1).to_bytes(TRADE_BYTES)

    @classmethod
    def from_word(cls, word: int) -> Trade:
        """Read a trade from its word."""
        return cls(word >> 64, word >> 48 & 0xFFFF, word >> 32 & 0xFFFF, word & 0xFFFFFFFF)

    @classmethod
    def from_bytes(cls, slot: int, data: bytes) -> Trade:
        """Read a trade of a slot from its 8 bytes."""
        return cls.from_word(slot << 64 | int.from_bytes(data))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a site's devices measured in a slot, in Wh.

    `imported` and `exported` are the revenue meter's, `generated` the inverter's, `charged`
    and `discharged` the battery's (at its terminals), `stored` what the battery held at the
    end of the slot. `revision` counts corrections, from 0.
    """

    slot: int
    site: int
    imported: int = 0
    exported: int = 0
    generated: int = 0
    charged: int = 0
    discharged: int = 0
    stored: int = 0
    quality: Quality = Quality.MEASURED
    revision: int = 0

    @property
    def consumption(self) -> int:
        """What the site used, in Wh; below zero if the reading contradicts itself."""
        return self.imported + self.generated + self.discharged - self.exported - self.charged

    def to_word(self) -> int:
        """Return the reading's word."""
        word = self.slot << 16 | self.site
        for energy in (
            self.imported,
            self.exported,
            self.generated,
            self.charged,
            self.discharged,
            self.stored,
        ):
            word = word << 32 | energy
        return word << 16 | self.quality << 8 | self.revision

    def to_bytes(self) -> bytes:
        """Return the 32 bytes in which the reading travels."""
        return self.to_word().to_bytes(READING_BYTES)

    @classmethod
    def from_word(cls, word: int) -> Reading:
        """Read a reading from its word."""
        return cls(
            slot=word >> 224,
            site=word >> 208 & 0xFFFF,
            imported=word >> 176 & 0xFFFFFFFF,
            exported=word >> 144 & 0xFFFFFFFF,
            generated=word >> 112 & 0xFFFFFFFF,
            charged=word >> 80 & 0xFFFFFFFF,
            discharged=word >> 48 & 0xFFFFFFFF,
            stored=word >> 16 & 0xFFFFFFFF,
            quality=Quality(word >> 8 & 0xFF),
            revision=word & 0xFF,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Reading:
        """Read a reading from its 32 bytes."""
        return cls.from_word(int.from_bytes(data))


def packed(records: Iterable[Order | Trade | Reading]) -> bytes:
    """Return records one after the other, as they travel."""
    return b"".join(record.to_bytes() for record in records)


def orders_from(slot: int, data: bytes) -> list[Order]:
    """Read the orders of a slot from their packed bytes."""
    return [Order.from_bytes(slot, piece) for piece in _pieces(data, ORDER_BYTES)]


def trades_from(slot: int, data: bytes) -> list[Trade]:
    """Read the trades or flows of a slot from their packed bytes."""
    return [Trade.from_bytes(slot, piece) for piece in _pieces(data, TRADE_BYTES)]


def readings_from(data: bytes) -> list[Reading]:
    """Read readings from their packed bytes."""
    return [Reading.from_bytes(piece) for piece in _pieces(data, READING_BYTES)]


def _pieces(data: bytes, size: int) -> Sequence[bytes]:
    if len(data) % size:
        raise ValueError(
            f"packed records must be a multiple of {size} bytes, got {len(data)} bytes"
        )
    return [data[at : at + size] for at in range(0, len(data), size)]

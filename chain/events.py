"""What the market's events say, in the market's records.

Prices in 0.001 JPY/kWh, energies in Wh, money in microyen, as in `energy.units`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chain.contract import Event, Log, interface
from energy.records import Order, Reading, Trade, orders_from, readings_from, trades_from
from energy.registry import Ratings, Tariff

ENTRY_BYTES = 8


@dataclass(frozen=True)
class OrdersPosted:
    """Newly accepted orders of a slot, in order."""

    slot: int
    orders: tuple[Order, ...]


@dataclass(frozen=True)
class Cleared:
    """A slot's trades and their price."""

    slot: int
    price: int
    trades: tuple[Trade, ...]


@dataclass(frozen=True)
class ReadingPosted:
    """A site's final reading."""

    reading: Reading


@dataclass(frozen=True)
class ReadingMissed:
    """The reading that settlement assumed because none had come."""

    reading: Reading


@dataclass(frozen=True)
class Settled:
    """What flowed in a slot, and what each site, the utility and the network are owed."""

    slot: int
    deliveries: tuple[Trade, ...]
    pool: tuple[Trade, ...]
    entries: tuple[int, ...]


@dataclass(frozen=True)
class Corrected:
    """A reading that came or changed after settlement, and what the site is owed for it."""

    reading: Reading
    entry: int


@dataclass(frozen=True)
class SiteChanged:
    """A site's keys and ratings from a slot on."""

    site: int
    from_slot: int
    trader: str
    oracle: str
    ratings: Ratings


@dataclass(frozen=True)
class SiteSuspended:
    """A site that takes no part from a slot on, until it is amended."""

    site: int
    from_slot: int


@dataclass(frozen=True)
class SiteRetired:
    """A site that takes no part from a slot on, for good."""

    site: int
    from_slot: int


@dataclass(frozen=True)
class TariffEnacted:
    """The prices and fee of a day's 48 half hours, from a slot on."""

    from_slot: int
    tariffs: tuple[Tariff, ...]


@dataclass(frozen=True)
class OwnerChanged:
    """Who may change the registry."""

    owner: str


MarketEvent = (
    OrdersPosted
    | Cleared
    | ReadingPosted
    | ReadingMissed
    | Settled
    | Corrected
    | SiteChanged
    | SiteSuspended
    | SiteRetired
    | TariffEnacted
    | OwnerChanged
)


def market_events(logs: Iterable[Log]) -> list[MarketEvent]:
    """Read the market's events from logs; others' are left out."""
    market = interface("Market")
    found: list[MarketEvent] = []
    for log in logs:
        event = market.event(log)
        if event and event.name == "ReadingsPosted":
            found += [
                ReadingPosted(reading) for reading in readings_from(event.arguments["readings"])
            ]
        elif event:
            found.append(_event(event))
    return found


def _event(event: Event) -> MarketEvent:
    values: dict[str, Any] = dict(event.arguments)
    match event.name:
        case "OrdersPosted":
            slot = values["slot"]
            return OrdersPosted(slot, tuple(orders_from(slot, values["orders"])))
        case "Cleared":
            slot = values["slot"]
            return Cleared(slot, values["price"], tuple(trades_from(slot, values["trades"])))
        case "ReadingMissed":
            return ReadingMissed(Reading.from_word(values["assumed"]))
        case "Settled":
            slot = values["slot"]
            return Settled(
                slot,
                tuple(trades_from(slot, values["deliveries"])),
                tuple(trades_from(slot, values["pool"])),
                entries_from(values["entries"]),
            )
        case "Corrected":
            return Corrected(Reading.from_word(values["reading"]), values["entry"])
        case "SiteChanged":
            return SiteChanged(
                values["site"],
                values["from"],
                values["trader"],
                values["oracle"],
                Ratings(*values["ratings"]),
            )
        case "SiteSuspended":
            return SiteSuspended(values["site"], values["from"])
        case "SiteRetired":
            return SiteRetired(values["site"], values["from"])
        case "TariffEnacted":
            return TariffEnacted(values["from"], tuple(map(tariff_from, values["tariffs"])))
        case _:
            return OwnerChanged(values["owner"])


def entries_from(packed: bytes) -> tuple[int, ...]:
    """Read a settlement's entries: sites, then utility, then network."""
    return tuple(
        int.from_bytes(packed[at : at + ENTRY_BYTES], signed=True)
        for at in range(0, len(packed), ENTRY_BYTES)
    )


def tariff_from(word: int) -> Tariff:
    """Read a tariff from its 72 bits."""
    return Tariff(word >> 48, word >> 24 & 0xFFFFFF, word & 0xFFFFFF)

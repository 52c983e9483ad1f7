"""*Slot*: a half hour's order book, price, trades, readings, settlement, and their proof.

Energies in Wh, prices in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chain import tables
from energy.clearing import cleared, live_orders, ranking_of
from energy.lots import Kind
from energy.merkle import leaf_of
from energy.records import Order, Quality, Reading
from energy.registry import NETWORK, UTILITY
from energy.units import day_of, half_hour
from orchestrator.web.reads import Ref, Source

COMMON = (UTILITY, NETWORK)
"""The accounts of no office."""


@dataclass(frozen=True, slots=True)
class BookOrder:
    """An accepted order, and what it traded."""

    site: Ref
    side: str
    energy_wh: int
    price_milliyen_per_kwh: int
    sequence: int
    is_live: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a curve: up to an energy, all at a price."""

    until_wh: int
    price_milliyen_per_kwh: int


@dataclass(frozen=True, slots=True)
class SlotTrade:
    """A trade or a flow of the pool; `delivered_wh` is None before the settlement."""

    seller: Ref
    buyer: Ref
    energy_wh: int
    delivered_wh: int | None


@dataclass(frozen=True, slots=True)
class SlotReading:
    """A site's newest reading, or with quality `assumed` what the settlement took in its place;
    its energies are None where they are not to be seen."""

    site: Ref
    used_wh: int | None
    generated_wh: int | None
    imported_wh: int | None
    exported_wh: int | None
    charged_wh: int | None
    discharged_wh: int | None
    stored_wh: int | None
    quality: tuple[str, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class SlotEntry:
    """What the settlement owes an account; those that are not to be seen are left out."""

    account: Ref
    microyen: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """A row of what a site used, and the leaf that proves it under the day's root."""

    site: Ref
    kind: str
    origin_site: Ref | None
    origin_slot: int
    energy_wh: int
    leaf: str


@dataclass(frozen=True, slots=True)
class Proof:
    """Where on the chain it all stands. Blocks are None for what has not happened."""

    orders_block: int | None
    clearing_block: int | None
    readings_block: int | None
    settlement_block: int | None
    is_final: bool
    is_recomputed: bool | None
    """Whether price and trades, computed again from the book, are the same; None: not cleared."""
    money_sum_microyen: int
    day_root: str | None
    leaves: tuple[Leaf, ...]


@dataclass(frozen=True, slots=True)
class SlotPage:
    """A half hour from order to proof."""

    slot: int
    day: str
    half_hour: str
    mode: str
    selling_milliyen_per_kwh: int
    buying_milliyen_per_kwh: int
    fee_milliyen_per_kwh: int
    price_milliyen_per_kwh: int | None
    traded_wh: int
    delivered_wh: int
    orders: tuple[BookOrder, ...]
    demand: tuple[Step, ...]
    supply: tuple[Step, ...]
    """Asks with the fee on top: what a buyer has to bid."""
    trades: tuple[SlotTrade, ...]
    pool: tuple[SlotTrade, ...]
    readings: tuple[SlotReading, ...]
    missing: tuple[Ref, ...]
    """The sites of which no reading has come."""
    entries: tuple[SlotEntry, ...]
    proof: Proof


def slot_view(source: Source, slot: int | None) -> SlotPage:
    """Return a half hour; the newest settled one if none is asked for."""
    slot = source.slot_or_last(slot)
    span = range(slot, slot + 1)
    store, tariff = source.store, source.tariff(slot)
    book = store.orders(span)
    live = set(live_orders(book, tariff.fee))
    trades = store.trades(span)
    readings = source.readings(span)
    came = {reading.site for reading in source.measured(span)}
    entries = _entries(source, span)
    ranking = ranking_of(book, tariff.fee)
    price = store.price(slot)
    return SlotPage(
        slot=slot,
        day=day_of(slot).isoformat(),
        half_hour=half_hour(slot),
        mode=source.setting.market.mode,
        selling_milliyen_per_kwh=tariff.selling,
        buying_milliyen_per_kwh=tariff.buying,
        fee_milliyen_per_kwh=tariff.fee,
        price_milliyen_per_kwh=price,
        traded_wh=sum(trade.energy for trade, _ in trades),
        delivered_wh=sum(delivered or 0 for _, delivered in trades),
        orders=tuple(
            BookOrder(
                source.ref(order.site),
                order.side.name.lower(),
                order.energy,
                order.price,
                order.sequence,
                index in live,
            )
            for index, order in enumerate(book)
        ),
        demand=_curve([book[index] for index in ranking.bids], 0),
        supply=_curve([book[index] for index in ranking.asks], tariff.fee),
        trades=tuple(
            SlotTrade(source.ref(one.seller), source.ref(one.buyer), one.energy, delivered)
            for one, delivered in trades
        ),
        pool=tuple(
            SlotTrade(source.ref(one.seller), source.ref(one.buyer), one.energy, one.energy)
            for one in store.pool(span)
        ),
        readings=tuple(_reading(source, reading) for reading in readings),
        missing=tuple(source.ref(site) for site in source.sites(slot) if site not in came),
        entries=_seen(source, entries),
        proof=_proof(source, slot, book, entries),
    )


def _curve(ranked: Sequence[Order], fee: int) -> tuple[Step, ...]:
    steps, so_far = [], 0
    for order in ranked:
        so_far += order.energy
        steps.append(Step(so_far, order.price + fee))
    return tuple(steps)


def _reading(source: Source, reading: Reading) -> SlotReading:
    seen = source.viewer.sees_load_of(reading.site)
    energies = (
        reading.consumption,
        reading.generated,
        reading.imported,
        reading.exported,
        reading.charged,
        reading.discharged,
        reading.stored,
    )
    shown: list[Any] = [*(energies if seen else [None] * len(energies))]
    shown += [flags_of(reading.quality), reading.revision]
    return SlotReading(source.ref(reading.site), *shown)


def flags_of(quality: Quality) -> tuple[str, ...]:
    """Return a reading's flags by name.

    >>> flags_of(Quality.RECONCILED | Quality.PARTIAL), flags_of(Quality.MEASURED)
    (('reconciled', 'partial'), ())
    """
    return tuple(str(flag.name).lower() for flag in quality)


def _entries(source: Source, span: range) -> tuple[SlotEntry, ...]:
    owed: Counter[int] = Counter()
    for _, account, microyen in source.store.entries(span):
        owed[account] += microyen
    return tuple(SlotEntry(account_ref(source, account), owed[account]) for account in sorted(owed))


def _seen(source: Source, entries: Sequence[SlotEntry]) -> tuple[SlotEntry, ...]:
    """Return the accounts that are to be seen.

    With what was traded, a site's account tells its load; and as all sum to zero, the utility's
    and the network's tell the sum of those that are hidden.
    """
    viewer = source.viewer
    offices = [one.account.number for one in entries if one.account.number not in COMMON]
    return tuple(
        one
        for one in entries
        if (
            viewer.sees_sum_of(offices)
            if one.account.number in COMMON
            else viewer.sees_load_of(one.account.number)
        )
    )


def account_ref(source: Source, account: int) -> Ref:
    """Return an account's names: an office, the utility, or the network."""
    others = {UTILITY: ("Utility", "電力会社"), NETWORK: ("Network", "送配電側")}
    return Ref(account, *others[account]) if account in others else source.ref(account)


def _proof(
    source: Source,
    slot: int,
    book: Sequence[Order],
    entries: Sequence[SlotEntry],
) -> Proof:
    store, span = source.store, range(slot, slot + 1)
    rows = store.origins("used", span)
    return Proof(
        orders_block=store.block_of(tables.ORDERS, slot=slot),
        clearing_block=store.block_of(tables.CLEARINGS, slot=slot),
        readings_block=store.block_of(tables.READINGS, slot=slot),
        settlement_block=store.block_of(tables.ENTRIES, slot=slot),
        is_final=slot in store.final_slots(span),
        is_recomputed=is_recomputed(source, slot, book),
        money_sum_microyen=sum(entry.microyen for entry in entries),
        day_root=source.root(day_of(slot)),
        leaves=tuple(
            Leaf(
                source.ref(row.site),
                row.origin.kind.name.lower(),
                None if row.origin.kind == Kind.GRID else source.ref(row.origin.site),
                row.origin.slot,
                row.energy,
                "0x" + leaf_of(row).hex(),
            )
            for row in rows
            if source.viewer.sees_load_of(row.site)
        ),
    )


def is_recomputed(source: Source, slot: int, book: Sequence[Order]) -> bool | None:
    price = source.store.price(slot)
    if price is None:
        return None
    fee = source.tariff(slot).fee
    caps: Mapping[int, tuple[int, int]] | None = None
    if source.setting.market.after_metering:
        first: dict[int, Reading] = {}
        for reading in source.store.readings(range(slot, slot + 1)):
            first.setdefault(reading.site, reading)
        caps = {one.site: (one.imported, one.exported) for one in first.values()}
    clearing = cleared(book, ranking_of(book, fee), fee, caps)
    kept = [trade for trade, _ in source.store.trades(range(slot, slot + 1))]
    return clearing.price == price and list(clearing.trades) == kept

"""From a chain's events to the store, block by block, one commit a block.

What is *seen* is indexed at once; the store keeps up to which block it is *final*. A block that
the chain gave up is taken back with all that came after it, and what the chain has instead is
read. A slot is traced (`energy.origin`) once it and all before it are settled.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Engine

from chain import store as tables
from chain.contract import Log
from chain.events import (
    Cleared,
    Corrected,
    MarketEvent,
    OrdersPosted,
    OwnerChanged,
    ReadingMissed,
    ReadingPosted,
    Settled,
    SiteChanged,
    SiteRetired,
    SiteSuspended,
    TariffEnacted,
    market_events,
)
from chain.node import NodeChain
from chain.store import Store, terms_row
from energy.errors import ChainError
from energy.origin import trace
from energy.records import Reading
from energy.registry import NETWORK, NO_RATINGS, UTILITY, SiteTerms


def indexed(engine: Engine, node: NodeChain, address: str) -> int:
    """Bring a store up to the chain's newest block and return that block's number.

    Raises:
        ChainError: if the chain cannot be reached or is behind the store, if the store is of
            another market, or if a final block has been replaced.
    """
    with engine.begin() as connection:
        store = Store(connection)
        market = f"{node.chain_id}:{address.lower()}"
        if store.setting("market") not in (None, market):
            raise ChainError(f"the store must be of market {market}, got {store.setting('market')}")
        store.set("market", market)
        begin = _common_block(store, node) + 1
    head = node.height()
    logs = node.logs(address, begin, head)
    for (block, digest), found in groupby(logs, key=itemgetter(0)):
        with engine.begin() as connection:
            _index_block(Store(connection), block, digest, (log for _, log in found))
    # What was read so deep below the newest block was so deep then: no fork came between.
    with engine.begin() as connection:
        Store(connection).set("final", str(head - node.depth))
    return head


def _common_block(store: Store, node: NodeChain) -> int:
    """Return the newest indexed block that the chain still has; forget those after it.

    All blocks that were not final are looked at, not the newest alone: while the chain forked,
    some may have been read from one branch and the next from another.
    """
    height = node.height()
    for block, digest in store.blocks_after(store.final_block()):
        if block > height or node.block_hash(block) != digest:
            store.take_back(block)
            break
    while (last := store.last_block()) is not None:
        block, digest = last
        if block <= height and node.block_hash(block) == digest:
            return block
        if node.depth:
            raise ChainError(_lost(block, height))
        store.take_back(block)
    return -1


def _lost(block: int, height: int) -> str:
    if block > height:
        return f"the node must have final block {block}, got {height}: it is behind"
    return (
        f"block {block} was final and must stand, got another: more than half of the validators "
        "have rewritten it; a new store would follow them"
    )


def _index_block(store: Store, block: int, digest: bytes, logs: Iterable[Log]) -> None:
    store.put(tables.BLOCKS, block, [{"hash": digest}])
    for event in market_events(logs):
        _index(store, block, event)
    _trace_settled(store, block)


def _index(store: Store, block: int, event: MarketEvent) -> None:
    match event:
        case OrdersPosted(slot, orders):
            first = store.order_count(slot)
            store.put(
                tables.ORDERS,
                block,
                (
                    {
                        "slot": slot,
                        "position": first + number,
                        "site": order.site,
                        "side": int(order.side),
                        "energy": order.energy,
                        "price": order.price,
                        "sequence": order.sequence,
                        "fresh": order.fresh,
                    }
                    for number, order in enumerate(orders)
                ),
            )
        case Cleared(slot, price, trades):
            store.put(tables.CLEARINGS, block, [{"slot": slot, "price": price}])
            store.put_flows(block, "trade", trades)
        case ReadingPosted(reading) | ReadingMissed(reading):
            store.put(tables.READINGS, block, [_reading_row(reading)])
        case Settled(slot, deliveries, pool, entries):
            store.put_flows(block, "delivery", deliveries)
            store.put_flows(block, "pool", pool)
            accounts = [*range(len(entries) - 2), UTILITY, NETWORK]
            store.put(
                tables.ENTRIES,
                block,
                (
                    {"slot": slot, "account": account, "microyen": entry, "revision": -1}
                    for account, entry in zip(accounts, entries, strict=True)
                ),
            )
        case Corrected(reading, entry):
            store.put(tables.READINGS, block, [_reading_row(reading)])
            store.put(
                tables.ENTRIES,
                block,
                (
                    {
                        "slot": reading.slot,
                        "account": account,
                        "microyen": amount,
                        "revision": reading.revision,
                    }
                    for account, amount in ((reading.site, entry), (UTILITY, -entry))
                ),
            )
        case SiteChanged(site, from_slot, trader, oracle, ratings):
            terms = SiteTerms(from_slot, trader, oracle, ratings)
            store.put_change(tables.SITES, block, [terms_row(site, terms)])
        case SiteSuspended(site, from_slot) | SiteRetired(site, from_slot):
            terms = SiteTerms(from_slot, None, None, NO_RATINGS)
            store.put_change(tables.SITES, block, [terms_row(site, terms)])
        case TariffEnacted(from_slot, tariffs):
            store.put_change(
                tables.TARIFFS,
                block,
                (
                    {
                        "from_slot": from_slot,
                        "slot_of_day": number,
                        "selling": tariff.selling,
                        "buying": tariff.buying,
                        "fee": tariff.fee,
                    }
                    for number, tariff in enumerate(tariffs)
                ),
            )
        case OwnerChanged():
            pass  # of no reader's interest yet: the contract tells its owner


def _reading_row(reading: Reading) -> dict[str, int]:
    return {
        "slot": reading.slot,
        "site": reading.site,
        "imported": reading.imported,
        "exported": reading.exported,
        "generated": reading.generated,
        "charged": reading.charged,
        "discharged": reading.discharged,
        "stored": reading.stored,
        "quality": int(reading.quality),
        "revision": reading.revision,
    }


def _trace_settled(store: Store, block: int) -> None:
    """Trace the slots that are settled, in order, up to the first that is not."""
    holdings = store.holdings()
    slot = store.first_slot() if holdings.slot is None else holdings.slot + 1
    while slot is not None:
        span = range(slot, slot + 1)
        if not store.entries(span):
            return
        sites = {
            site: row["battery_efficiency"] or None for site, row in store.sites_at(slot).items()
        }
        first_readings = {reading.site: reading for reading in reversed(store.readings(span))}
        holdings, origins = trace(holdings, slot, sites, first_readings.values(), store.flows(span))
        store.put_origins(block, origins, holdings)
        slot += 1

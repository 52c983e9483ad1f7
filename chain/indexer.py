"""From a chain's events to the store, block by block, one commit a block.

What is *seen* is indexed at once; the store keeps up to which block it is *final*. A block that
the chain gave up is taken back with all that came after it, and what the chain has instead is
read. A slot is traced (`energy.origin`) once it and all before it are settled, or passed over: a
later slot has taken their place in the contract's ring, so that they hold no order and no reading.

The store's setting `origin` names the ledger of origins whose roots and claims are indexed
beside the market's events, if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from chain import tables
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
from chain.origin import Claimed, RootAttested, origin_events
from chain.store import stored
from chain.writer import Writer, tariff_rows, terms_row, written
from energy.errors import ChainError, FinalReplaced, NodeBehind
from energy.origin import trace
from energy.registry import NO_RATINGS, SiteTerms

if TYPE_CHECKING:
    from chain.node import NodeChain

FINAL, FINAL_HASH = "final", "final_hash"
"""What the store keeps of the chain: the newest final block, its hash where forks are possible."""
MARKET, ORIGIN, INDEXED_ORIGIN = "market", "origin", "indexed_origin"
"""What the store keeps of itself: of which contracts it is."""

Progress = Callable[[int, int], None]
"""Told the block that has been indexed, and the newest."""


def indexed(engine: Engine, node: NodeChain, address: str, progress: Progress | None = None) -> int:
    """Bring a store up to the chain's newest block and return that block's number.

    Two that index one store do no harm: a block that the other has indexed is passed over.

    Raises:
        ChainError: if the chain cannot be reached, or the store is of another market.
        NodeBehind: if the node lacks blocks that were final when the store was last indexed.
        FinalReplaced: if it has others in their place.
        StoreError: if the store does not answer.
    """
    contracts = _contracts(engine, node, address)
    begin = _common_block(engine, node) + 1
    head = node.height()
    logs = node.logs(contracts, begin, head)
    for (block, digest), found in groupby(logs, key=itemgetter(0)):
        events = [log for _, log in found]
        time = node.time_of(block)
        with written(engine) as store:
            last = store.last_block()
            if last is None or last[0] < block:
                _index_block(store, block, digest, time, events)
        if progress:
            progress(block, head)
    _keep_final(engine, node, head)
    return head


def _keep_final(engine: Engine, node: NodeChain, head: int) -> None:
    """Keep up to which block the store is final; where forks are possible, it never goes back."""
    # What was read so deep below the newest block was so deep then: no fork came between.
    final = head - node.depth
    with stored(engine) as store:
        before = store.final_block()
    if final == before or (node.depth and final < max(before, 0)):
        return
    digest = node.block_hash(final).hex() if node.depth else ""
    with written(engine) as store:
        # Another indexer may have come further meanwhile.
        if not node.depth or store.final_block() < final:
            store.set(FINAL, str(final))
            store.set(FINAL_HASH, digest)


def _contracts(engine: Engine, node: NodeChain, address: str) -> list[str]:
    """Return the addresses to index; note in the store which they are."""
    market = f"{node.chain_id}:{address.lower()}"
    with stored(engine) as store:
        known, origin = store.setting(MARKET), store.setting(ORIGIN)
        before = store.setting(INDEXED_ORIGIN)
    if known not in (None, market):
        raise ChainError(f"the store must be of market {market}, got {known}")
    if known is None or origin != before:
        with written(engine) as store:
            # A ledger of origins that comes later than the first block is read from the first.
            store.take_back(0)
            store.set(MARKET, market)
            if origin:
                store.set(INDEXED_ORIGIN, origin)
    return [address, origin] if origin else [address]


def _common_block(engine: Engine, node: NodeChain) -> int:
    """Return the newest indexed block that the chain still has; forget those after it.

    All blocks that were not final are looked at, not the newest alone: while the chain forked,
    some may have been read from one branch and the next from another.
    """
    height = node.height()
    with stored(engine) as store:
        final, digest = store.final_block(), store.setting(FINAL_HASH)
        unsure = store.blocks_after(final)
    if node.depth and digest:
        _check_final(node, final, digest, height)
    for block, known in unsure:
        if block > height or node.block_hash(block) != known:
            with written(engine) as store:
                store.take_back(block)
            break
    while True:
        with stored(engine) as store:
            last = store.last_block()
        if last is None:
            return -1
        block, known = last
        if node.depth and block <= final:
            _check_final(node, block, known.hex(), height)
            return block
        if block <= height and node.block_hash(block) == known:
            return block
        with written(engine) as store:
            store.take_back(block)


def _check_final(node: NodeChain, block: int, digest: str, height: int) -> None:
    """Demand that a node has a block that was final, and the same."""
    if block > height:
        raise NodeBehind(f"the node must have final block {block}, got {height}: it is behind")
    if node.block_hash(block).hex() != digest:
        raise FinalReplaced(
            f"block {block} was final and must stand, got another: the node lies, or more than "
            "half of the validators have rewritten it; a new store would follow them"
        )


def _index_block(store: Writer, block: int, digest: bytes, time: int, logs: Iterable[Log]) -> None:
    store.put(tables.BLOCKS, block, [{"hash": digest, "time": time}])
    logs = list(logs)
    for event in market_events(logs):
        _index(store, block, event)
    for told in origin_events(logs):
        _index_origin(store, block, told)
    _trace_settled(store, block)


def _index(store: Writer, block: int, event: MarketEvent) -> None:
    match event:
        case OrdersPosted(slot, orders):
            store.put_orders(block, slot, orders)
        case Cleared(slot, price, trades):
            store.put_clearing(block, slot, price, trades)
        case ReadingPosted(reading) | ReadingMissed(reading):
            store.put_readings(block, [reading])
        case Settled(slot, deliveries, pool, entries):
            store.put_settlement(block, slot, deliveries, pool, entries)
        case Corrected(reading, entry):
            store.put_correction(block, reading, entry)
        case SiteChanged(site, from_slot, trader, oracle, ratings):
            terms = SiteTerms(from_slot, trader, oracle, ratings)
            store.put_change(tables.SITES, block, [terms_row(site, terms)])
        case SiteSuspended(site, from_slot) | SiteRetired(site, from_slot):
            terms = SiteTerms(from_slot, None, None, NO_RATINGS)
            store.put_change(tables.SITES, block, [terms_row(site, terms)])
        case TariffEnacted(from_slot, tariffs):
            store.put_change(tables.TARIFFS, block, tariff_rows(from_slot, tariffs))
        case OwnerChanged():
            pass  # of no reader's interest yet: the contract tells its owner


def _index_origin(store: Writer, block: int, event: RootAttested | Claimed) -> None:
    match event:
        case RootAttested(day, site, root, replaced):
            row = {"day": day, "site": site, "root": root, "replaced": replaced}
            store.put(tables.ATTESTATIONS, block, [row])
        case Claimed(day, site, taken, beneficiary, purpose):
            shared = {"day": day, "site": site, "beneficiary": beneficiary, "purpose": purpose}
            rows = [
                {**shared, "leaf": one.leaf, "start": one.start, "energy": one.energy}
                for one in taken
            ]
            store.put(tables.CLAIMS, block, rows)


def _trace_settled(store: Writer, block: int) -> None:
    """Trace the slots that are settled or passed over, in order, up to the first that is not."""
    last = store.last_traced()
    slot = store.first_slot() if last is None else last + 1
    if slot is None or not _is_over(store, slot):
        return
    holdings, sites = store.holdings(), store.sites()
    while _is_over(store, slot):
        span = range(slot, slot + 1)
        efficiencies = {
            site: row["battery_efficiency"] or None
            for site, row in sites.all_at(slot).items()
            if row["trader"]
        }
        first_readings = {reading.site: reading for reading in reversed(store.readings(span))}
        holdings, origins = trace(
            holdings, slot, efficiencies, first_readings.values(), store.flows(span)
        )
        store.put_origins(block, origins, holdings)
        slot += 1


def _is_over(store: Writer, slot: int) -> bool:
    span = range(slot, slot + 1)
    return bool(store.slots(span) or store.passed_over(span))

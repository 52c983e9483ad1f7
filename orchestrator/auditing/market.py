"""The audit's first half: every transaction of a market run again through its twin, the laws
of `energy.laws` held against what comes out, and every slot traced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eth_utils.address import to_checksum_address

from chain.contract import interface
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
    tariff_from,
)
from chain.history import Call, Transaction
from chain.market import MarketContract
from energy.clearing import Ranking
from energy.errors import AuditError, Refusal
from energy.laws import check_clearing, check_origins, check_settlement
from energy.market import RING, Market, MarketRules, is_assumed
from energy.messages import SIGNATURE_BYTES, Domain
from energy.origin import trace
from energy.records import Reading, orders_from, readings_from, trades_from
from energy.registry import NETWORK, UTILITY, Ratings, Registry
from energy.rows import Holdings
from orchestrator.auditing.origin import OriginAuditor, out_of_sight, readable

_MARKET = interface("Market")
_NOTHING = Settled(0, (), (), ())
"""What flowed in a slot that was never settled: it held no order and no reading."""


@dataclass
class Findings:
    """What an audit checked, in counts; money in microyen."""

    blocks: int = 0
    transactions: int = 0
    signatures: int = 0
    orders: int = 0
    trades: int = 0
    readings: int = 0
    missed: int = 0
    corrections: int = 0
    slots: int = 0
    flows: int = 0
    origin_rows: int = 0
    balances: int = 0
    roots: int = 0
    attestations: int = 0
    claims: int = 0
    claimed_wh: int = 0

    def to_json(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


class Auditor:
    """A twin that follows a market's transactions."""

    def __init__(self, address: str) -> None:
        self.address = address.lower()
        self.findings = Findings()
        self.market: Market | None = None
        self.origin: OriginAuditor | None = None
        self.holdings = Holdings()
        self._settled: dict[int, tuple[Settled, dict[int, Reading]]] = {}

    def follow(
        self, transaction: Transaction, domain: Domain, calls: Sequence[Call] | None
    ) -> None:
        """Run a transaction's calls of the market again and compare.

        `calls` is None if they came by way of another contract, and nobody tells them: then
        only what a council did to the registry can be followed.

        Raises:
            AuditError: at the first thing that the rules do not allow.
        """
        self.findings.transactions += 1
        logs = transaction.logs_of(self.address)
        if not logs:
            return
        found = readable(transaction.block, lambda: market_events(logs))
        if transaction.to is None:
            self._create(transaction, domain)
            return
        if self.market is None:
            raise AuditError(f"block {transaction.block}: the market must have been created")
        try:
            if calls is None:
                expected = self._follow_council(self.market, transaction, found)
            else:
                expected = []
                for call in calls:
                    expected += self._run(self.market, transaction, call)
        except Refusal as refusal:
            raise AuditError(
                f"block {transaction.block}: a transaction must have been refused, got status 1: "
                f"{refusal}"
            ) from refusal
        if found != expected:
            raise AuditError(f"block {transaction.block}: events must be {expected}, got {found}")
        for event in found:
            self._check_laws(self.market, event)

    def finish(self, contract: MarketContract) -> None:
        """Compare what the chain keeps: slot words, readings and balances."""
        market = self.market
        if market is None:
            raise AuditError("the market must have been created, got no such transaction")
        records = list(market.slots.values())
        words = contract.state_words([record.slot for record in records])
        for record, word in zip(records, words, strict=True):
            if word != record.to_word():
                raise AuditError(
                    f"slot {record.slot}: its word must be {record.to_word():#x}, got {word:#x}"
                )
        readings = list(market.readings.values())
        all_kept = contract.readings_of([(one.slot, one.site) for one in readings])
        for reading, kept in zip(readings, all_kept, strict=True):
            if kept != reading:
                raise AuditError(
                    f"slot {reading.slot}: the reading of site {reading.site} must be {reading}, "
                    f"got {kept}"
                )
        accounts = (*range(len(market.registry.sites)), UTILITY, NETWORK)
        self.findings.balances = len(accounts)
        for account in accounts:
            balance = contract.balance_of(account)
            if balance != market.balances.get(account, 0):
                raise AuditError(
                    f"account {account} must be owed {market.balances.get(account, 0)} microyen, "
                    f"got {balance}"
                )

    def _create(self, transaction: Transaction, domain: Domain) -> None:
        arguments = _MARKET.constructor_arguments(transaction.data)
        if arguments is None:
            raise AuditError(f"block {transaction.block}: the code must be this version's market")
        owner, *rules = arguments
        registry = Registry(rules[1], to_checksum_address(owner))
        self.market = Market(MarketRules(*rules), registry, domain)

    def _follow_council(
        self, market: Market, transaction: Transaction, found: list[MarketEvent]
    ) -> list[object]:
        """Do what the events say that the owner did, and return those that follow from it."""
        registry, now = market.registry, transaction.time
        expected: list[object] = []
        for event in found:
            match event:
                case SiteChanged(site, from_slot, trader, oracle, ratings):
                    keys = _keys(trader, oracle)
                    if site == len(registry.sites):
                        registry.enrol(now, registry.owner, from_slot, *keys, ratings)
                    else:
                        registry.amend(now, registry.owner, site, from_slot, *keys, ratings)
                case SiteSuspended(site, from_slot):
                    registry.suspend(now, registry.owner, site, from_slot)
                case SiteRetired(site, from_slot):
                    registry.retire(now, registry.owner, site, from_slot)
                case OrdersPosted(slot, (order,)) if not order.energy and order.fresh:
                    words = market.void_orders(now, registry.owner, order.site, [slot])
                    expected += [OrdersPosted(word.slot, (word,)) for word in words]
                    continue
                case TariffEnacted(from_slot, tariffs):
                    registry.enact_tariff(now, registry.owner, from_slot, tariffs)
                case OwnerChanged(owner):
                    registry.change_owner(registry.owner, to_checksum_address(owner))
                case _:
                    raise out_of_sight(transaction, f"{type(event).__name__} of the market")
            expected.append(event)
        return expected

    def _run(self, market: Market, transaction: Transaction, call: Call) -> list[object]:
        """Tell the twin what a call said; return the events that it has to have."""
        read = _MARKET.read_call(call.data)
        if read is None:
            raise AuditError(f"block {transaction.block}: a call must be known, got none")
        name, values = read
        now, sender = transaction.time, call.sender
        match name:
            case "post":
                return self._post(market, now, *values)
            case "clear":
                slot, data, bids, asks = values
                ranking = Ranking(_indices(bids), _indices(asks))
                clearing = market.clear(now, slot, orders_from(slot, data), ranking)
                return [Cleared(slot, clearing.price, clearing.trades)]
            case "push":
                return self._push(market, now, *values)
            case "settle":
                return self._settle(market, now, *values)
            case "enrol":
                from_slot, trader, oracle, ratings = values
                keys = _keys(trader, oracle)
                site = market.registry.enrol(now, sender, from_slot, *keys, Ratings(*ratings))
                return [SiteChanged(site, from_slot, trader, oracle, Ratings(*ratings))]
            case "amend":
                site, from_slot, trader, oracle, ratings = values
                keys = _keys(trader, oracle)
                market.registry.amend(now, sender, site, from_slot, *keys, Ratings(*ratings))
                return [SiteChanged(site, from_slot, trader, oracle, Ratings(*ratings))]
            case "suspend":
                market.registry.suspend(now, sender, *values)
                return [SiteSuspended(*values)]
            case "retire":
                market.registry.retire(now, sender, *values)
                return [SiteRetired(*values)]
            case "voidOrders":
                words = market.void_orders(now, sender, *values)
                return [OrdersPosted(word.slot, (word,)) for word in words]
            case "enactTariff":
                from_slot, words = values
                tariffs = tuple(tariff_from(word) for word in words)
                market.registry.enact_tariff(now, sender, from_slot, tariffs)
                return [TariffEnacted(from_slot, tariffs)]
            case "changeOwner":
                market.registry.change_owner(sender, to_checksum_address(values[0]))
                return [OwnerChanged(values[0])]
        return []

    def _post(
        self, market: Market, now: int, slot: int, data: bytes, signatures: bytes
    ) -> list[object]:
        orders = orders_from(slot, data)
        self.findings.signatures += len(orders)
        accepted = market.post(now, slot, orders, _pieces(signatures, SIGNATURE_BYTES))
        self.findings.orders += len(accepted)
        return [OrdersPosted(slot, tuple(accepted))] if accepted else []

    def _push(self, market: Market, now: int, data: bytes, signatures: bytes) -> list[object]:
        readings = readings_from(data)
        self.findings.signatures += len(readings)
        pushed = market.push(now, readings, _pieces(signatures, SIGNATURE_BYTES))
        self.findings.readings += len(pushed.kept)
        self.findings.corrections += len(pushed.corrections)
        # The contract logs corrections one by one, and what it kept at the end.
        corrections = [Corrected(reading, entry) for reading, entry in pushed.corrections]
        return [*corrections, *map(ReadingPosted, pushed.kept)]

    def _settle(self, market: Market, now: int, slot: int, data: bytes) -> list[object]:
        missing = [
            site
            for site in market.registry.active_at(slot)
            if market.reading_of(slot, site) is None
        ]
        settlement = market.settle(now, slot, trades_from(slot, data))
        assumed = [market.reading_of(slot, site) for site in missing]
        self.findings.missed += len(assumed)
        events: list[object] = [ReadingMissed(reading) for reading in assumed if reading]
        events.append(Settled(slot, settlement.deliveries, settlement.pool, settlement.entries))
        return events

    def _check_laws(self, market: Market, event: object) -> None:
        if isinstance(event, Cleared):
            self.findings.trades += len(event.trades)
            record = market.slots[event.slot % RING]
            fee = market.registry.tariff_at(event.slot).fee
            if not market.rules.after_metering:
                check_clearing(event.slot, record.book, record.clearing, fee)
        elif isinstance(event, Settled):
            self.findings.slots += 1
            self.findings.flows += len(event.deliveries) + len(event.pool)
            readings = self._readings(market, event.slot)
            self._settled[event.slot] = event, readings
            trades = market.slots[event.slot % RING].clearing.trades
            check_settlement(event.slot, trades, readings, event)
            self._trace(market)
        elif isinstance(event, OrdersPosted | ReadingPosted):
            # They may take the place of a slot that was never settled.
            self._trace(market)

    def _readings(self, market: Market, slot: int) -> dict[int, Reading]:
        sites = range(len(market.registry.sites))
        found = ((site, market.reading_of(slot, site)) for site in sites)
        return {site: reading for site, reading in found if reading}

    def _trace(self, market: Market) -> None:
        """Trace the slots that are settled or passed over, in order, as far as they go."""
        if not market.registry.sites:
            return
        first = min(versions[0].from_slot for versions in market.registry.sites)
        slot = first if self.holdings.slot is None else self.holdings.slot + 1
        while slot in self._settled or _has_lost_its_place(market, slot):
            settled, readings = self._settled.pop(slot, (_NOTHING, {}))
            sites = {}
            for site in market.registry.active_at(slot):
                terms = market.registry.site_at(site, slot)
                sites[site] = (terms.ratings.battery_efficiency or None) if terms else None
            flows = [*settled.deliveries, *settled.pool]
            self.holdings, origins = trace(self.holdings, slot, sites, readings.values(), flows)
            measured = {site: r for site, r in readings.items() if not is_assumed(r)}
            check_origins(slot, measured, origins)
            self.findings.origin_rows += len(origins.used)
            if self.origin:
                self.origin.traced(slot, origins.used)
            slot += 1


def _has_lost_its_place(market: Market, slot: int) -> bool:
    """Say whether a slot can never be settled: a later one has its place in the ring."""
    record = market.slots.get(slot % RING)
    return record is not None and record.slot > slot


def _keys(trader: Any, oracle: Any) -> tuple[str, str]:
    return to_checksum_address(trader), to_checksum_address(oracle)


def _indices(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(piece) for piece in _pieces(data, 2))


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]

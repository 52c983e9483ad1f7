"""The way of energy as a tree: back to roofs, meters and signatures, or forward to its use.

Energies in Wh. With a node, signatures are fetched from its blocks and checked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.tree import Tree

from chain import tables
from chain.contract import interface
from chain.market import MarketContract
from chain.store import Store
from energy.errors import AuditError, SettingError
from energy.lots import Kind, charge_for
from energy.messages import SIGNATURE_BYTES, signer_of
from energy.records import ORDER_BYTES, READING_BYTES, Order, Reading, Side
from energy.rows import Row as OriginRow
from energy.units import kwh
from orchestrator.records.words import COLUMNS, in_japanese
from orchestrator.statements.statement import destinations_of, statement_of
from orchestrator.when import WHEN, Row, when
from orchestrator.words import Language, say, say_slot

_ENERGIES = ("imported", "exported", "generated", "charged", "discharged", "stored")
_IN_WH = ("energy", "delivered", "loss", *_ENERGIES)
_AS_THEY_ARE = (
    *("site", "seller", "buyer", "kind", "end", "side", "sequence", "quality", "revisions"),
    *("block", "key", "signature"),
)
TRACE_COLUMNS = (
    *("number", "under", "step", *WHEN, "site", "seller", "buyer", "energy_wh", "delivered_wh"),
    *("loss_wh", "price_milliyen_per_kwh", "kind", "end", "through_battery", "side", "sequence"),
    *(*(f"{name}_wh" for name in _ENERGIES), "quality", "revisions", "block", "key", "signature"),
)


@dataclass
class Step:
    """A step of the way: what it is, its facts, and the steps that it rests on."""

    what: str
    facts: dict[str, Any]
    steps: list[Step] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the step with all below it."""
        below = [step.to_json() for step in self.steps]
        return {"step": self.what, **self.facts, **({"from": below} if below else {})}


class Tracer:
    """Follows energy in a store; with a market on a node, signatures as well."""

    def __init__(self, store: Store, names: Mapping[int, str], market: MarketContract | None):
        self.store = store
        self.names = names
        self.market = market

    def back(self, site: int, slot: int, first: int = 0, last: int | None = None) -> Step:
        """Follow Wh `first` up to `last` of a site's consumption in a slot, as they were poured.

        Raises:
            SettingError: if the slot is not final, or nothing was used in this range of Wh.
        """
        rows = [entry.row for entry in statement_of(self.store, site, range(slot, slot + 1)).rows]
        used = sum(row.energy for row in rows)
        end = used if last is None else last
        if not 0 <= first < end <= used:
            raise SettingError(f"a range of Wh must be within 0 to {used}, got {first} to {end} Wh")
        root = Step("use", self._at(site, slot) | {"energy": end - first})
        root.steps.append(self._reading(site, slot))
        at = 0
        for row in rows:
            part = min(at + row.energy, end) - max(at, first)
            if part > 0:
                root.steps.append(self._origin(row, part))
            at += row.energy
        return root

    def forward(self, site: int, slot: int) -> Step:
        """Follow what a site generated in a slot to where it was used, lost, sold or is held."""
        ended = destinations_of(self.store, site, range(slot, slot + 1))
        energy = sum(one.row.energy for one in ended)
        root = Step("generation", self._at(site, slot) | {"energy": energy})
        root.steps.append(self._reading(site, slot))
        for one in ended:
            through = None if one.row.through is None else self.names[one.row.through]
            facts = self._at(one.row.site, one.row.slot)
            facts |= {"energy": one.row.energy, "end": one.end, "through": through}
            step = Step("end", facts)
            source = site if one.row.through is None else one.row.through
            if one.end == "used" and source != one.row.site:
                step.steps += self._flows(source, one.row.site, one.row.slot)
            root.steps.append(step)
        return root

    def _origin(self, row: OriginRow, energy: int) -> Step:
        """Return where Wh of a row came from; they arrived at the row's site in its slot."""
        origin = row.origin
        facts = self._at(origin.site, origin.slot)
        facts |= {"energy": energy, "kind": origin.kind.name.lower()}
        step = Step("part", facts)
        source = origin.site if row.through is None else row.through
        if source != row.site:
            step.steps += self._flows(source, row.site, row.slot)
        if row.through is not None:
            step.steps.append(self._battery(row, energy))
        elif origin.kind == Kind.GENERATION and origin.site != row.site:
            step.steps.append(self._reading(origin.site, origin.slot))
        return step

    def _battery(self, row: OriginRow, energy: int) -> Step:
        """Return how Wh that left a battery had come into it."""
        battery = row.through
        assert battery is not None
        rating = self.store.sites_at(row.slot).get(battery, {}).get("battery_efficiency") or 0
        loss = max(charge_for(energy, rating) - energy, 0)
        facts = self._at(battery, row.slot) | {"energy": energy, "loss": loss}
        step = Step("battery", facts)
        step.steps.append(self._reading(battery, row.slot))
        span = range(row.origin.slot, row.slot + 1)
        for charged in self.store.origins("charged", span, battery):
            if charged.origin == row.origin:
                facts = self._at(battery, charged.slot) | {"energy": charged.energy}
                charge = Step("charged", facts)
                charge.steps.append(self._reading(battery, charged.slot))
                source = charged.origin.site if charged.through is None else charged.through
                if source != battery:
                    charge.steps += self._flows(source, battery, charged.slot)
                if charged.through is not None:
                    charge.steps.append(self._battery(charged, charged.energy))
                elif charged.origin.kind == Kind.GENERATION and source != battery:
                    charge.steps.append(self._reading(source, charged.slot))
                step.steps.append(charge)
        return step

    def _flows(self, seller: int, buyer: int, slot: int) -> Iterator[Step]:
        span = range(slot, slot + 1)
        names = {"seller": self.names[seller], "buyer": self.names[buyer], "slot": slot}
        for trade, delivered in self.store.trades(span):
            if (trade.seller, trade.buyer) == (seller, buyer):
                facts = {**names, "energy": trade.energy, "delivered": delivered or 0}
                facts |= {"price": self.store.price(slot) or 0}
                facts |= {"block": self.store.block_of(tables.CLEARINGS, slot=slot)}
                step = Step("trade", facts)
                for order in self.store.orders(span):
                    side = Side.ASK if order.site == seller else Side.BID
                    if order.site in (seller, buyer) and order.side == side:
                        step.steps.append(self._order(order))
                yield step
        for flow in self.store.pool(span):
            if (flow.seller, flow.buyer) == (seller, buyer):
                block = self.store.block_of(tables.ENTRIES, slot=slot, revision=-1)
                yield Step("pool", {**names, "energy": flow.energy, "block": block})

    def _order(self, order: Order) -> Step:
        block = self.store.block_of(
            tables.ORDERS, slot=order.slot, site=order.site, sequence=order.sequence
        )
        facts = self._at(order.site, order.slot) | {
            "side": order.side.name.lower(),
            "energy": order.energy,
            "price": order.price,
            "sequence": order.sequence,
            "block": block,
            "key": self._key(order.site, order.slot, "trader"),
        }
        if self.market and block is not None:
            facts["signature"] = self._signature(order, block, facts["key"])
        return Step("order", facts)

    def _reading(self, site: int, slot: int) -> Step:
        found = [one for one in self.store.readings(range(slot, slot + 1)) if one.site == site]
        if not found:
            return Step("no_reading", self._at(site, slot))
        reading = found[0]  # what the slot was settled with, and traced by
        block = self.store.block_of(tables.READINGS, slot=slot, site=site)
        facts = self._at(site, slot) | {name: getattr(reading, name) for name in _ENERGIES}
        facts |= {
            "quality": (reading.quality.name or "MEASURED").lower(),
            "revisions": len(found) - 1,
            "block": block,
            "key": self._key(site, slot, "oracle"),
        }
        if self.market and block is not None and reading.quality.name != "ASSUMED":
            facts["signature"] = self._signature(reading, block, facts["key"])
        return Step("reading", facts)

    def _signature(self, record: Order | Reading, block: int, key: str) -> str:
        """Return a record's signature from its block, after checking it.

        Raises:
            AuditError: if the block has none by the site's key.
        """
        from chain.node import NodeChain

        assert self.market
        node = self.market.chain
        assert isinstance(node, NodeChain)
        address = self.market.address
        for sent in node.transactions(address, block, block):
            for call in node.calls_of(sent, address) or ():
                for candidate, signature in _signed(interface("Market").read_call(call.data)):
                    if candidate != record:
                        continue
                    signer = signer_of(record, self.market.domain, signature) or ""
                    if signer.lower() == key.lower():
                        return "0x" + signature.hex()
        raise AuditError(f"block {block}: {record} must be signed by {key}, got no such signature")

    def _key(self, site: int, slot: int, role: str) -> str:
        return str(self.store.sites_at(slot).get(site, {}).get(role) or "")

    def _at(self, site: int, slot: int) -> dict[str, Any]:
        return {"site": self.names[site], "slot": slot}


def _signed(call: tuple[str, tuple[Any, ...]] | None) -> Iterator[tuple[Order | Reading, bytes]]:
    """Yield the records of a call, each with its signature."""
    if call is None or call[0] not in ("post", "push"):
        return
    *slot, data, signatures = call[1]
    size = ORDER_BYTES if slot else READING_BYTES
    for number in range(len(data) // size):
        piece = data[number * size : (number + 1) * size]
        record = Order.from_bytes(slot[0], piece) if slot else Reading.from_bytes(piece)
        yield record, signatures[number * SIGNATURE_BYTES : (number + 1) * SIGNATURE_BYTES]


def trace_rows(ways: Iterable[Step]) -> list[Row]:
    """Return all steps of some ways in rows; `under` is the number of the step above, if any."""
    rows: list[Row] = []

    def put(step: Step, under: int | None) -> None:
        facts = step.facts
        row: Row = dict.fromkeys(TRACE_COLUMNS)
        row |= {"number": len(rows), "under": under, "step": step.what, **when(facts["slot"])}
        row |= {name: facts[name] for name in _AS_THEY_ARE if name in facts}
        row |= {f"{name}_wh": facts[name] for name in _IN_WH if name in facts}
        row["price_milliyen_per_kwh"] = facts.get("price")
        row["through_battery"] = facts.get("through")
        rows.append(row)
        number = len(rows) - 1
        for below in step.steps:
            put(below, number)

    for way in ways:
        put(way, None)
    return rows


def drawn(step: Step, language: Language) -> Tree:
    """Draw a step with all below it."""
    tree = Tree(_sentence(step, language))
    for below in step.steps:
        tree.add(drawn(below, language))
    return tree


def _sentence(step: Step, language: Language) -> str:
    facts = dict(step.facts)
    if "slot" in facts:
        facts["when"] = say_slot(language, facts["slot"])
    if step.what == "reading":
        japanese = language is Language.JAPANESE
        called = {name: COLUMNS[f"{name}_wh"] if japanese else name for name in _ENERGIES}
        facts["figures"] = ", ".join(f"{called[name]} {facts[name]}" for name in called) + " Wh"
        facts["quality"] = in_japanese(facts["quality"]) if japanese else facts["quality"]
    for name in ("energy", "delivered", "loss"):
        if name in facts:
            facts[name] = f"{kwh(facts[name]):.3f}"
    if "price" in facts:
        facts["price"] = f"{facts['price'] / 1000:.3f}"
    if "side" in facts:
        facts["side"] = say(language, facts["side"])
    if "kind" in facts:
        facts["source"] = say(language, facts["kind"].upper())
    if "end" in facts:
        facts["end"] = say(language, f"end_{facts['end']}")
        through = facts["through"]
        facts["through"] = say(language, "trace_end_through", site=through) if through else ""
    signature = facts.get("signature")
    facts["signature"] = f" {signature[:18]}…" if signature else ""
    return say(language, f"trace_{step.what}", **facts)

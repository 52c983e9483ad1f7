"""What a store says of a period, as arrays: whatever the report states is computed from these.

Energy in Wh, prices in 0.001 JPY/kWh, money in microyen, all whole. Arrays are by slot of the
period, or by slot and site, sites in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, and_, func, select

from chain.tables import (
    BLOCKS,
    CLEARINGS,
    ENTRIES,
    FLOWS,
    ORDERS,
    ORIGINS,
    READINGS,
    SITES,
    TARIFFS,
)
from energy.errors import SettingError
from energy.records import Quality, Side
from energy.registry import NETWORK, UTILITY
from energy.units import SLOTS_PER_DAY
from orchestrator.verification.period import Array, halves
from vpp.forecast import HISTORY_DAYS

ENERGIES = ("imported", "exported", "generated", "charged", "discharged", "stored")
FLOW_KINDS = ("trade", "delivery", "pool")


@dataclass(frozen=True)
class Facts:
    """A period of a market. In slots that are not settled, all is 0."""

    slots: range
    sites: int
    settled: Array
    """By slot, whether it is settled."""
    active: Array
    """By slot and site, whether the site takes part."""
    meters: dict[str, Array]
    """The newest reading of each slot and site, by name (`ENERGIES`)."""
    first_imported: Array
    """What the settlement was made with: the first reading, or the one it assumed."""
    first_exported: Array
    missed: Array
    """By slot and site, whether no reading had come by the settlement."""
    mended: Array
    """Of these, where one has come since."""
    quality: Array
    selling: Array
    buying: Array
    fee: Array
    price: Array
    cleared: Array
    """By slot, whether there was a book to clear."""
    live: Array
    """Rows of (slot's place, site, side, energy, price): the live orders of settled slots."""
    entries: Array
    """What the settlements owe each site, the utility, the network: sites + 2 columns."""
    corrections: Array
    """The same for corrections, by the slot that they correct."""
    flows: dict[str, Array]
    """Rows of (slot's place, seller, buyer, energy), by kind."""
    origins: Array
    """Rows of (day's place, part, site, kind, origin's site, battery or -1, energy)."""
    parts: tuple[str, ...]
    past: Array
    """Rows of (slots before the period as -1, -2 .., site, used, generated): four weeks' readings
    that came in time."""
    batteries: dict[int, tuple[int, int, int]]
    """By site, power (0.1 kW), capacity (0.1 kWh), round trip (per mille), as last registered."""
    counts: dict[str, int]
    """Of the period's events: orders, order batches, clearings, reading batches, blocks."""

    @property
    def middle(self) -> Array:
        """The pool's price of each slot."""
        return (self.buying + self.selling - self.fee) // 2

    @property
    def ordered(self) -> Array:
        """What live orders came to, by slot and site: asks less bids."""
        slot, site, side, energy, _ = self.live.T
        signed = np.where(side == int(Side.ASK), energy, -energy)
        return _placed(slot, site, signed, (len(self.slots), self.sites))

    @property
    def consumption(self) -> Array:
        """What each site used, by slot and site."""
        meters = self.meters
        supplied = meters["imported"] + meters["generated"] + meters["discharged"]
        return supplied - meters["exported"] - meters["charged"]

    def by_site(self, kind: str, end: int) -> Array:
        """Return a kind of flow by slot and its seller (`end` 1) or buyer (2)."""
        rows = self.flows[kind]
        return _placed(rows[:, 0], rows[:, end], rows[:, 3], (len(self.slots), self.sites))

    def between(self, kind: str) -> Array:
        """Return a kind of flow by seller and buyer."""
        rows = self.flows[kind]
        return _placed(rows[:, 1], rows[:, 2], rows[:, 3], (self.sites, self.sites))


def settled_slots(connection: Connection) -> range:
    """Return from the first settled slot to the last."""
    query = select(func.min(ENTRIES.c.slot), func.max(ENTRIES.c.slot))
    first, last = connection.execute(query.where(ENTRIES.c.revision == -1)).one()
    return range(0) if first is None else range(first, last + 1)


def facts_of(connection: Connection, slots: range) -> Facts:
    """Read a period from a store.

    Raises:
        SettingError: if nothing of it is settled.
    """
    sites = 1 + (connection.scalar(select(func.max(SITES.c.site))) or 0)
    shape = (len(slots), sites)
    entries, corrections = _entries(connection, slots, sites)
    settled = entries[:, -1] != _UNSETTLED
    if not settled.any():
        raise SettingError("the period must hold settled half hours, got none")
    entries[~settled] = 0
    rows = _rows(connection, READINGS, slots, ("slot", "site", *ENERGIES, "quality", "revision"))
    rows = rows[np.lexsort((rows[:, -1], rows[:, 1], rows[:, 0]))]
    rows = rows[settled[rows[:, 0]]]
    places = rows[:, 0] * sites + rows[:, 1]
    first = rows[np.unique(places, return_index=True)[1]]
    newest = rows[len(rows) - 1 - np.unique(places[::-1], return_index=True)[1]]
    meters = {
        name: _placed(newest[:, 0], newest[:, 1], newest[:, column], shape)
        for column, name in enumerate(ENERGIES, start=2)
    }
    quality = _placed(newest[:, 0], newest[:, 1], newest[:, 8], shape)
    was_assumed = _placed(first[:, 0], first[:, 1], first[:, 8], shape) >= int(Quality.ASSUMED)
    live, posted = _live(connection, slots, shape)
    prices = _rows(connection, CLEARINGS, slots, ("slot", "price"))
    price, cleared = np.zeros(len(slots), np.int64), np.zeros(len(slots), bool)
    price[prices[:, 0]], cleared[prices[:, 0]] = prices[:, 1], True
    selling, buying, fee = _tariffs(connection, slots)
    parts, origins = _origins(connection, slots)
    active, batteries = _sites(connection, slots, shape)
    return Facts(
        slots=slots,
        sites=sites,
        settled=settled,
        active=active,
        meters=meters,
        first_imported=_placed(first[:, 0], first[:, 1], first[:, 2], shape),
        first_exported=_placed(first[:, 0], first[:, 1], first[:, 3], shape),
        missed=was_assumed,
        mended=was_assumed & (quality < int(Quality.ASSUMED)),
        quality=quality,
        selling=selling * settled,
        buying=buying * settled,
        fee=fee * settled,
        price=price * settled,
        cleared=cleared & settled,
        live=live[settled[live[:, 0]]],
        entries=entries,
        corrections=corrections,
        flows=_flows(connection, slots, settled),
        origins=origins,
        parts=parts,
        past=_past(connection, slots),
        batteries=batteries,
        counts={
            **posted,
            "clearings": len(prices),
            "readings": len(rows),
            "reading_batches": _distinct(connection, slots, READINGS.c.block, READINGS.c.slot),
            "settled": int(settled.sum()),
            "blocks": connection.scalar(select(func.count()).select_from(BLOCKS)) or 0,
        },
    )


_UNSETTLED = np.iinfo(np.int64).min


def _array(found: Sequence[Any], columns: int) -> Array:
    return np.array([tuple(row) for row in found], dtype=np.int64).reshape(-1, columns)


def _within(column: ColumnElement[int], slots: range) -> ColumnElement[bool]:
    return and_(column >= slots.start, column < slots.stop)


def _rows(connection: Connection, table: Any, slots: range, names: Sequence[str]) -> Array:
    """Return columns of a table, the first being the slot, as its place in the period."""
    columns = [table.c[name] for name in names]
    query = select(*columns).where(_within(table.c.slot, slots))
    rows = _array(connection.execute(query).all(), len(columns))
    rows[:, 0] -= slots.start
    return rows


def _distinct(connection: Connection, slots: range, block: Any, slot: Any) -> int:
    query = select(func.count(func.distinct(block))).where(_within(slot, slots))
    return connection.scalar(query) or 0


def _placed(row: Array, column: Array, values: Array, shape: tuple[int, int]) -> Array:
    """Return values summed at their places."""
    out = np.zeros(shape, np.int64)
    np.add.at(out, (row, column), values)
    return out


def _entries(connection: Connection, slots: range, sites: int) -> tuple[Array, Array]:
    """Return the settlements' entries, the last column marked where there is none; and the sums of
    corrections."""
    rows = _rows(connection, ENTRIES, slots, ("slot", "account", "microyen", "revision"))
    columns = rows[:, 1].copy()
    columns[rows[:, 1] == UTILITY] = sites
    columns[rows[:, 1] == NETWORK] = sites + 1
    at_first = rows[:, 3] == -1
    entries = np.zeros((len(slots), sites + 2), np.int64)
    entries[:, -1] = _UNSETTLED
    entries[rows[at_first, 0], columns[at_first]] = rows[at_first, 2]
    late = ~at_first
    corrections = _placed(rows[late, 0], columns[late], rows[late, 2], entries.shape)
    return entries, corrections


def _live(
    connection: Connection, slots: range, shape: tuple[int, int]
) -> tuple[Array, dict[str, int]]:
    """Return the live orders: from each site's last fresh order of a slot on."""
    names = ("slot", "site", "side", "energy", "price", "sequence", "fresh")
    rows = _rows(connection, ORDERS, slots, names)
    since = np.zeros(shape, np.int64)
    fresh = rows[rows[:, 6] == 1]
    np.maximum.at(since, (fresh[:, 0], fresh[:, 1]), fresh[:, 5])
    live = rows[(rows[:, 5] >= since[rows[:, 0], rows[:, 1]]) & (rows[:, 3] > 0)]
    batches = _distinct(connection, slots, ORDERS.c.block, ORDERS.c.slot)
    return live[:, :5], {"orders": len(rows), "order_batches": batches}


def _past(connection: Connection, slots: range) -> Array:
    """Return what sites used and generated in the four weeks before a period."""
    before = range(slots.start - HISTORY_DAYS * SLOTS_PER_DAY, slots.start)
    names = ("slot", "site", *ENERGIES, "quality")
    rows = _rows(connection, READINGS, before, names)
    rows = rows[rows[:, 8] < int(Quality.ASSUMED)]
    imported, exported, generated, charged, discharged = rows[:, 2:7].T
    used = imported + generated + discharged - exported - charged
    return np.stack([rows[:, 0] - len(before), rows[:, 1], used, generated], axis=1)


def _tariffs(connection: Connection, slots: range) -> tuple[Array, Array, Array]:
    """Return the prices of each slot: the last change that has begun holds."""
    columns = ("change", "from_slot", "slot_of_day", "selling", "buying", "fee")
    query = select(*(TARIFFS.c[name] for name in columns)).order_by(TARIFFS.c.change)
    rows = _array(connection.execute(query).all(), len(columns))
    numbers = np.arange(slots.start, slots.stop)
    half = halves(slots)
    found = np.zeros((3, len(slots)), np.int64)
    for change in np.unique(rows[:, 0]):
        day = np.zeros((3, SLOTS_PER_DAY), np.int64)
        of_change = rows[rows[:, 0] == change]
        day[:, of_change[:, 2]] = of_change[:, 3:].T
        found = np.where(numbers >= of_change[0, 1], day[:, half], found)
    return found[0], found[1], found[2]


def _sites(
    connection: Connection, slots: range, shape: tuple[int, int]
) -> tuple[Array, dict[int, tuple[int, int, int]]]:
    query = select(SITES).where(SITES.c.from_slot < slots.stop).order_by(SITES.c.change)
    numbers, active = np.arange(slots.start, slots.stop), np.zeros(shape, bool)
    batteries = {}
    for row in connection.execute(query):
        active[numbers >= row.from_slot, row.site] = row.trader is not None
        if row.battery_capacity:
            size = (row.battery_power, row.battery_capacity, row.battery_efficiency)
            batteries[row.site] = size
    return active, batteries


def _flows(connection: Connection, slots: range, settled: Array) -> dict[str, Array]:
    found = {}
    for kind in FLOW_KINDS:
        query = select(FLOWS.c.slot, FLOWS.c.seller, FLOWS.c.buyer, FLOWS.c.energy)
        query = query.where(_within(FLOWS.c.slot, slots), FLOWS.c.kind == kind)
        rows = _array(connection.execute(query).all(), 4)
        rows[:, 0] -= slots.start
        found[kind] = rows[settled[rows[:, 0]]]
    return found


def _origins(connection: Connection, slots: range) -> tuple[tuple[str, ...], Array]:
    """Return the traced energy summed by day: the database adds up, the rows are too many."""
    # A period begins with a day, so that days are counted from it without a word of time zones.
    day = ((ORIGINS.c.slot - slots.start) // SLOTS_PER_DAY).label("day")
    through = func.coalesce(ORIGINS.c.through, -1)
    keys = (ORIGINS.c.part, ORIGINS.c.site, ORIGINS.c.kind, ORIGINS.c.origin_site)
    query = select(day, *keys, through.label("battery"), func.sum(ORIGINS.c.energy))
    # By their labels: to PostgreSQL two expressions with parameters are never the same.
    query = query.where(_within(ORIGINS.c.slot, slots)).group_by("day", *keys, "battery")
    rows = connection.execute(query).all()
    parts = tuple(sorted({row[1] for row in rows}))
    return parts, _array([(row[0], parts.index(row[1]), *row[2:]) for row in rows], 7)

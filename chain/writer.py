"""Writing the read model: what blocks gave rise to, and taking it back.

Units as in `energy.units`: energy in Wh, price in 0.001 JPY/kWh, money in microyen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, Table, delete, func, insert, select

from chain import database
from chain.store import Store
from chain.tables import (
    CLEARINGS,
    ENTRIES,
    FLOWS,
    HOLDINGS,
    META,
    ORDERS,
    ORIGINS,
    PARTS,
    READINGS,
    SETTINGS,
    SETTLEMENTS,
)
from energy.records import Order, Quality, Reading, Trade
from energy.registry import NETWORK, UTILITY, SiteTerms, Tariff
from energy.rows import Holdings, SlotOrigins

SETTLED = -1
"""The revision of a settlement's entries."""


@contextmanager
def written(engine: Engine) -> Iterator[Writer]:
    """Give a store to write: all is kept at the end, or nothing; one writer at a time.

    Raises:
        StoreError: if it does not answer.
    """
    with database.writing(engine) as connection:
        yield Writer(connection)


class Writer(Store):
    """A store that takes what blocks gave rise to."""

    def put(self, table: Table, block: int, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows that a block gave rise to."""
        rows = [{"block": block, **row} for row in rows]
        if rows:
            self.connection.execute(insert(table), rows)

    def put_change(self, table: Table, block: int, rows: Iterable[dict[str, Any]]) -> None:
        """Add a version of a site or tariff: it replaces what was planned for its slot or later.

        The last change that has begun by a slot is then what holds in it.
        """
        last = self.connection.scalar(select(func.max(table.c.change)))
        change = 0 if last is None else last + 1
        self.put(table, block, ({"change": change, **row} for row in rows))

    def put_orders(self, block: int, slot: int, orders: Sequence[Order]) -> None:
        """Add newly accepted orders of a slot, behind those that it has."""
        first = self.order_count(slot)
        self.put(
            ORDERS,
            block,
            (
                {
                    "slot": slot,
                    "position": position,
                    "site": order.site,
                    "side": int(order.side),
                    "energy": order.energy,
                    "price": order.price,
                    "sequence": order.sequence,
                    "fresh": order.fresh,
                }
                for position, order in enumerate(orders, first)
            ),
        )

    def put_clearing(self, block: int, slot: int, price: int, trades: Sequence[Trade]) -> None:
        """Add a slot's trades and their price."""
        energy = sum(trade.energy for trade in trades)
        counts = {"orders": self.order_count(slot), "trades": len(trades), "energy": energy}
        self.put(CLEARINGS, block, [{"slot": slot, "price": price, **counts}])
        self._put_flows(block, "trade", trades)

    def put_readings(self, block: int, readings: Iterable[Reading]) -> None:
        """Add readings, or what a settlement assumed in their place."""
        self.put(READINGS, block, map(_reading_row, readings))

    def put_settlement(
        self,
        block: int,
        slot: int,
        deliveries: Sequence[Trade],
        pool: Sequence[Trade],
        entries: Sequence[int],
    ) -> None:
        """Add what flowed in a slot, and what each site, the utility and the network are owed."""
        self._put_flows(block, "delivery", deliveries)
        self._put_flows(block, "pool", pool)
        accounts = [*range(len(entries) - 2), UTILITY, NETWORK]
        owed = zip(accounts, entries, strict=True)
        self._put_entries(block, slot, owed, SETTLED)
        missing = select(func.count()).select_from(READINGS)
        missing = missing.where(
            READINGS.c.slot == slot,
            READINGS.c.block == block,
            READINGS.c.quality == int(Quality.ASSUMED),
        )
        brief = {
            "slot": slot,
            "delivered": sum(flow.energy for flow in deliveries),
            "pooled": sum(flow.energy for flow in pool),
            "missing": self.connection.scalar(missing),
        }
        self.put(SETTLEMENTS, block, [brief])

    def put_correction(self, block: int, reading: Reading, microyen: int) -> None:
        """Add a reading that came or changed after settlement, and what its site is owed for it."""
        self.put_readings(block, [reading])
        owed = ((reading.site, microyen), (UTILITY, -microyen))
        self._put_entries(block, reading.slot, owed, reading.revision)

    def put_origins(self, block: int, origins: SlotOrigins, holdings: Holdings) -> None:
        """Add a traced slot's rows, and what the batteries hold after it."""
        self.put(
            ORIGINS,
            block,
            (
                {
                    "slot": row.slot,
                    "part": part,
                    "position": position,
                    "site": row.site,
                    "energy": row.energy,
                    "kind": int(row.origin.kind),
                    "origin_site": row.origin.site,
                    "origin_slot": row.origin.slot,
                    "through": row.through,
                }
                for part in PARTS
                for position, row in enumerate(getattr(origins, part))
            ),
        )
        self.put(HOLDINGS, block, [{"slot": origins.slot, "state": holdings.to_json()}])

    def take_back(self, block: int) -> None:
        """Forget what came from a block and those after it."""
        for table in META.sorted_tables:
            if "block" in table.c:
                self.connection.execute(delete(table).where(table.c.block >= block))

    def set(self, name: str, value: str) -> None:
        """Keep a setting."""
        self.connection.execute(delete(SETTINGS).where(SETTINGS.c.name == name))
        self.connection.execute(insert(SETTINGS).values(name=name, value=value))

    def _put_flows(self, block: int, kind: str, flows: Sequence[Trade]) -> None:
        self.put(
            FLOWS,
            block,
            (
                {
                    "kind": kind,
                    "slot": flow.slot,
                    "position": position,
                    "seller": flow.seller,
                    "buyer": flow.buyer,
                    "energy": flow.energy,
                }
                for position, flow in enumerate(flows)
            ),
        )

    def _put_entries(
        self, block: int, slot: int, owed: Iterable[tuple[int, int]], revision: int
    ) -> None:
        self.put(
            ENTRIES,
            block,
            (
                {"slot": slot, "account": account, "microyen": microyen, "revision": revision}
                for account, microyen in owed
            ),
        )


def terms_row(site: int, terms: SiteTerms) -> dict[str, Any]:
    """Return a site's version as a row of `SITES`."""
    ratings = terms.ratings
    return {
        "site": site,
        "from_slot": terms.from_slot,
        "trader": terms.trader,
        "oracle": terms.oracle,
        "order_energy": ratings.order_energy,
        "import_power": ratings.import_power,
        "generation_power": ratings.generation_power,
        "battery_power": ratings.battery_power,
        "battery_capacity": ratings.battery_capacity,
        "battery_efficiency": ratings.battery_efficiency,
    }


def tariff_rows(from_slot: int, tariffs: Sequence[Tariff]) -> list[dict[str, int]]:
    """Return a day's prices from a slot on as rows of `TARIFFS`."""
    return [
        {
            "from_slot": from_slot,
            "slot_of_day": number,
            "selling": tariff.selling,
            "buying": tariff.buying,
            "fee": tariff.fee,
        }
        for number, tariff in enumerate(tariffs)
    ]


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

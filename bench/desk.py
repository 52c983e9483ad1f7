"""What the desk asks of a store: a year of 7 sites, and 1,000 sites over 30 days, in ms.

The stores are filled through the store's own writing functions, with readings and flows that
fit each other, traced by the origin engine. Each question is asked of a month in the middle,
from opening the store's transaction to the last record; the middle of some repetitions counts.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import Engine
from starlette.testclient import TestClient

from bench.figures import Figure
from bench.origin import RATINGS, SLOTS, TARIFF, THE_DAY, Sites
from chain import overview, tables
from chain.store import Store, opened, stored
from chain.writer import Writer, tariff_rows, terms_row, written
from energy.errors import SettingError
from energy.origin import trace
from energy.records import Order, Reading, Side
from energy.registry import SiteTerms
from energy.rows import Holdings
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, day_of, slots_of
from orchestrator.setting.sites import load_setting
from orchestrator.statements.statement import statement_of
from orchestrator.web.app import application
from orchestrator.web.desk import Desk

MOST_MS = 100.0
REPETITIONS = 7
SLOTS_OF_A_BLOCK = 48
SITE = 3
"""The site that is asked for: it sells, buys, and uses what came through a battery."""


def figures() -> list[Figure]:
    """Measure both stores."""
    return [*measured(7, 365), *measured(1_000, 30)]


def measured(sites: int, days: int) -> list[Figure]:
    """Return the figures of a store of so many sites and days."""
    what = f"{sites:,} sites x {days} days"
    with tempfile.TemporaryDirectory(prefix="yui-bench-") as folder:
        path = Path(folder) / "store.sqlite"
        engine = opened(str(path))
        begin, busy = time.perf_counter(), time.process_time()
        fill(engine, sites, days)
        took, worked = time.perf_counter() - begin, time.process_time() - busy
        size = path.stat().st_size / 1e6
        engine.dispose()
        engine = opened(str(path))
        found = [
            Figure(f"{what}: {name}", milliseconds(engine, ask), "ms", MOST_MS)
            for name, ask in questions(days).items()
        ]
        found += _statements(what, engine, days)
        engine.dispose()
    return [
        *found,
        Figure(f"{what}: indexing a slot, with its trace", took / days / 48 * 1000, "ms"),
        Figure(f"{what}: of it processor time", worked / days / 48 * 1000, "ms"),
        Figure(f"{what}: size", size, "MB"),
    ]


def _statements(what: str, engine: Engine, days: int) -> list[Figure]:
    """Return how long the page of a month's statement takes: where no root is attested, so that
    each day's is computed from what all sites used; where they are attested; and when the page is
    asked for again."""
    client = TestClient(application(Desk(engine, load_setting())))
    month = f"{THE_DAY + timedelta(days=days // 2):%Y-%m}"
    found = []
    for name, site, bar in (
        ("roots not attested", SITE, None),
        ("roots known", SITE + 1, None),
        ("again", SITE, MOST_MS),
    ):
        begin = time.perf_counter()
        if client.get(f"/site/{site}/statement?month={month}").status_code != 200:
            raise SettingError(f"the statement of site {site} of {month} must be answered with 200")
        took = (time.perf_counter() - begin) * 1000
        found.append(Figure(f"{what}: a month's statement as a page, {name}", took, "ms", bar))
    return found


def questions(days: int) -> dict[str, Callable[[Store], object]]:
    """Return what is asked, by name."""
    first = THE_DAY + timedelta(days=days // 2)
    middle = slots_of(first)
    month = range(middle.start, middle.start + min(31, days // 2) * SLOTS_PER_DAY)
    every = range(SLOTS.start, SLOTS.start + days * SLOTS_PER_DAY)
    return {
        "list of all slots": lambda store: overview.slot_lines(store, every),
        "list of a day's slots": lambda store: overview.slot_lines(store, middle),
        "a site's month, by half hour": lambda store: (
            store.readings(month, SITE),
            store.entries(month, SITE),
            store.trades(month, SITE),
            store.prices(month),
        ),
        "a site's month, by day": lambda store: (
            overview.site_days(store, SITE, month),
            overview.used_by_origin(store, SITE, month),
            overview.generated_by_end(store, SITE, month),
        ),
        "a site's days, of all": lambda store: overview.site_days(store, SITE, every),
        "a site's statement of a month": lambda store: statement_of(store, SITE, month),
        "all sites' sums of a day": lambda store: overview.site_sums(store, middle),
        "a slot's book, trades and readings": lambda store: (
            store.orders(middle[24:25]),
            store.trades(middle[24:25]),
            store.readings(middle[24:25]),
        ),
    }


def milliseconds(engine: Engine, ask: Callable[[Store], object]) -> float:
    """Return the middle of how long a question takes, each time in a transaction of its own."""
    spent = []
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        with stored(engine) as store:
            ask(store)
        spent.append(time.perf_counter() - begin)
    return median(spent) * 1000


def fill(engine: Engine, sites: int, days: int) -> None:
    """Fill a store with the days of some sites, from the day of `bench.origin` on."""
    made, chance = Sites(sites, range(0, sites, 7)), random.Random(2)
    with written(engine) as store:
        store.put_change(tables.TARIFFS, 0, tariff_rows(SLOTS.start, [TARIFF] * SLOTS_PER_DAY))
        for site in range(sites):
            terms = SiteTerms(SLOTS.start, f"0x{site:040x}", f"0x{site:040x}", RATINGS)
            store.put_change(tables.SITES, 0, [terms_row(site, terms)])
        store.set("names", "{}")
        store.set("day", day_of(SLOTS.start).isoformat())
    holdings = Holdings()
    for first in range(SLOTS.start, SLOTS.start + days * SLOTS_PER_DAY, SLOTS_OF_A_BLOCK):
        block = first - SLOTS.start + 1
        with written(engine) as store:
            time_of = (first + SLOTS_OF_A_BLOCK) * SLOT_SECONDS
            store.put(tables.BLOCKS, block, [{"hash": block.to_bytes(32), "time": time_of}])
            for slot in range(first, first + SLOTS_OF_A_BLOCK):
                holdings = _slot(store, block, slot, made, holdings, chance)
            store.set("final", str(block))


def _slot(
    store: Writer,
    block: int,
    slot: int,
    made: Sites,
    holdings: Holdings,
    chance: random.Random,
) -> Holdings:
    """Write a slot: what is metered was ordered and traded, for the most part."""
    readings, flows = made.slot(slot)
    trades, pool = flows[: len(flows) * 9 // 10], flows[len(flows) * 9 // 10 :]
    store.put_orders(block, slot, [_order(reading, chance) for reading in readings])
    store.put_clearing(block, slot, 15_000 + slot % 7 * 100, trades)
    store.put_readings(block, readings)
    entries = [reading.exported * 8_000 - reading.imported * 22_000 for reading in readings]
    store.put_settlement(block, slot, trades, pool, [*entries, -sum(entries), 0])
    holdings, origins = trace(holdings, slot, made.efficiencies, readings, [*trades, *pool])
    store.put_origins(block, origins, holdings)
    return holdings


def _order(reading: Reading, chance: random.Random) -> Order:
    side = Side.ASK if reading.exported else Side.BID
    energy = max(reading.exported, reading.imported, 1)
    return Order(reading.slot, reading.site, side, energy, chance.randrange(9_000, 22_000), 1)

"""The store on SQLite and PostgreSQL alike: rebuilt, taken back, shared, brought up to date."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, create_engine, insert, inspect, select, text

from chain import indexer, migrations, overview
from chain.anvil import anvil
from chain.attesting import Attestor, key_signed
from chain.indexer import indexed
from chain.node import NodeChain
from chain.origin import OriginContract
from chain.store import Versions, opened, stored
from chain.tables import META
from chain.writer import written
from energy.errors import SettingError, StoreError
from energy.lots import Kind
from energy.registry import NETWORK, Tariff
from energy.rows import Holdings
from energy.units import SLOT_SECONDS, day_of, slots_of
from orchestrator.moving.mover import relayed
from orchestrator.statements.statement import statement_of
from tests.services.conftest import FreshStore
from tests.services.test_node import (
    KESENNUMA,
    OGAWARA,
    SENDAI,
    SLOT,
    TARIFF,
    Town,
    a_town,
    content,
    key,
)
from tests.unit.test_twin import FIRST_SLOT


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, OriginContract]]:
    """Two slots, one with late and amended readings, and a day whose root sites attest."""
    with anvil(FIRST_SLOT * SLOT_SECONDS) as node:
        node.request("anvil_setBlockTimestampInterval", [0])
        town = a_town(node, tmp_path_factory.mktemp("lived"))
        origin = OriginContract.deployed(node, town.market.address)
        mover = town.mover()
        town.live(SLOT, mover)
        later = SLOT + 1
        town.at((later + 1) * SLOT_SECONDS)
        town.push(*town.readings(later)[1:])
        mover.move(town.at(town.market.rules.deadline_of(later)))
        late = replace(town.readings(later)[0], revision=1)
        town.push(late, replace(town.readings(later)[1], imported=1_300, revision=2))
        day = day_of(SLOT)
        for slot in range(later + 1, slots_of(day).stop):
            town.at(max(town.node.now(), (slot + 1) * SLOT_SECONDS))
            town.push(*town.readings(slot))
            mover.move(town.node.now())
        for site in range(3):
            sign = key_signed(origin, key("oracle", site))
            market, own = town.market.address, opened("sqlite://")
            assert Attestor(own, node, market, origin, site, sign).attest_due() == [day]
        yield town, origin


def told_of(url: str, origin: OriginContract) -> Engine:
    """Make a store that is of a ledger of origins."""
    engine = opened(url)
    with written(engine) as store:
        store.set("origin", origin.address)
    return engine


def index(engine: Engine, town: Town) -> dict[str, list[tuple[object, ...]]]:
    indexed(engine, town.node, town.market.address)
    return content(engine)


# -- a cache ---------------------------------------------------------------------------------


def test_every_table_of_a_store_that_is_deleted_and_indexed_again_is_the_same(
    lived: tuple[Town, OriginContract], fresh_store: FreshStore
) -> None:
    town, origin = lived
    first = index(told_of(fresh_store(), origin), town)
    for table in META.tables:
        assert first[table] or table == "claims", table
    again = told_of(fresh_store(), origin)
    for _ in range(2):  # the second time adds nothing
        assert index(again, town) == first


def test_a_store_reads_a_ledger_of_origins_from_its_first_block_when_it_is_told_of_it_later(
    lived: tuple[Town, OriginContract], fresh_store: FreshStore
) -> None:
    town, origin = lived
    engine = opened(fresh_store())
    assert index(engine, town)["attestations"] == []
    with written(engine) as store:
        store.set("origin", origin.address)
    assert index(engine, town) == index(told_of(fresh_store(), origin), town)
    day = (SLOT + 18) // 48
    with stored(engine) as reader:
        roots = reader.roots(range(day, day + 1))[day]
    assert set(roots) == {OGAWARA, SENDAI, KESENNUMA}
    assert len(set(roots.values())) == 1


def test_blocks_that_the_chain_gives_up_are_taken_back_and_come_again(
    tmp_path: Path, fresh_store: FreshStore
) -> None:
    with anvil(FIRST_SLOT * SLOT_SECONDS) as node:
        node.request("anvil_setBlockTimestampInterval", [0])
        town = a_town(node, tmp_path)
        engine = opened(fresh_store())
        gate, end = town.market.rules.gate_of(SLOT), (SLOT + 1) * SLOT_SECONDS
        town.at(gate - 1)
        relayed(town.market, town.orders(SLOT))
        town.mover().move(town.at(gate))
        town.at(end)
        before, fork = index(engine, town), node.height()
        town.push(*town.readings(SLOT))
        town.mover().move(end)
        assert index(engine, town)["settlements"]
        # As many empty blocks in place of those since the fork: the readings are gone.
        node.request("anvil_reorg", [node.height() - fork, []])
        assert index(engine, town) == before
        town.push(*town.readings(SLOT))
        town.mover().move(end)
        assert index(engine, town) == index(opened(fresh_store()), town)


def test_a_block_that_is_not_indexed_to_its_end_leaves_nothing(
    lived: tuple[Town, OriginContract], fresh_store: FreshStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    town, origin = lived
    engine = told_of(fresh_store(), origin)

    def falls(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(indexer, "trace", falls)
        with pytest.raises(KeyboardInterrupt):
            indexed(engine, town.node, town.market.address)
    with stored(engine) as reader:
        assert reader.last_settled() is None
        assert reader.orders(range(SLOT, SLOT + 1)), "blocks before it stand"
    assert index(engine, town) == index(told_of(fresh_store(), origin), town)


# -- shared ----------------------------------------------------------------------------------


def all_at_once(count: int, act: Callable[[], object]) -> None:
    """Do something in as many threads at once; what one raises is raised."""
    start, faults = threading.Barrier(count), list[BaseException]()

    def run() -> None:
        try:
            start.wait()
            act()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for fault in faults:
        raise fault


def test_indexers_that_share_a_store_count_nothing_twice(
    lived: tuple[Town, OriginContract], fresh_store: FreshStore
) -> None:
    town, origin = lived
    url = fresh_store()
    told_of(url, origin)
    address = town.market.address

    def run() -> None:
        indexed(opened(url), NodeChain(town.node.url), address)

    all_at_once(3, run)
    assert content(opened(url)) == index(told_of(fresh_store(), origin), town)


def test_a_reader_sees_one_state_and_locks_no_indexer_out(
    lived: tuple[Town, OriginContract], fresh_store: FreshStore
) -> None:
    town, origin = lived
    url = fresh_store()
    engine = told_of(url, origin)
    with stored(opened(url)) as reader:
        assert reader.slots() == []
        indexed(engine, town.node, town.market.address)
        assert reader.slots() == [], "it goes on to see what it saw"
        assert reader.price(SLOT) is None
    with stored(opened(url)) as reader:
        assert SLOT in reader.slots()


def test_what_a_writer_does_not_finish_is_not_there(fresh_store: FreshStore) -> None:
    engine = opened(fresh_store())

    def falls() -> None:
        with written(engine) as store:
            store.set("name", "value")
            raise KeyError

    with pytest.raises(KeyError):
        falls()
    with stored(engine) as reader:
        assert reader.setting("name") is None


# -- steps -----------------------------------------------------------------------------------


def schema(engine: Engine) -> dict[str, object]:
    """Return tables with their columns and indices."""
    seen = inspect(engine)
    return {
        name: (
            {each["name"]: (str(each["type"]), each["nullable"]) for each in columns},
            {
                (str(each["name"]), tuple(each["column_names"]), bool(each["unique"]))
                for each in seen.get_indexes(name)
            },
        )
        for name in seen.get_table_names()
        if name != "migrations"
        for columns in [seen.get_columns(name)]
    }


def raw(url: str) -> Engine:
    """Return a database as it is, without what `opened` does to it."""
    if "://" not in url:
        return create_engine(f"sqlite:///{url}")
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"))


def test_the_steps_lead_to_the_tables_that_are_described(fresh_store: FreshStore) -> None:
    described = raw(fresh_store())
    META.create_all(described)
    assert schema(opened(fresh_store())) == schema(described)


def test_a_store_from_before_steps_were_numbered_is_brought_up_to_date_and_keeps_all(
    lived: tuple[Town, OriginContract], fresh_store: FreshStore
) -> None:
    town, origin = lived
    newest = index(told_of(fresh_store(), origin), town)
    url = fresh_store()
    old = raw(url)
    with old.begin() as connection:
        migrations.m001_events_of_the_market(connection)
        tables = MetaData()
        tables.reflect(connection)
        with told_of(fresh_store(), origin).connect() as full:
            indexed(full.engine, town.node, town.market.address)
        for table in tables.sorted_tables:
            names = [column.name for column in table.c]
            with full.engine.connect() as source:
                found = source.execute(select(*(META.tables[table.name].c[n] for n in names)))
                held = [dict(row._mapping) for row in found]
            connection.execute(insert(table), held)
    old.dispose()
    upgraded = content(opened(url))
    for name, rows in newest.items():
        if name == "attestations":
            assert upgraded[name] == [], "they come with the next indexing"
        elif name == "blocks":
            assert upgraded[name] == [(block, digest, None) for block, digest, _ in rows]
        else:
            assert upgraded[name] == rows, name


def test_the_newest_of_years_of_holdings_is_found_without_reading_them_all(
    fresh_store: FreshStore,
) -> None:
    engine = opened(fresh_store())
    state, years = Holdings().to_json(), range(2 * 17_520)
    with written(engine) as writer:
        rows = [{"block": slot, "slot": slot, "state": state} for slot in years]
        writer.connection.execute(insert(META.tables["holdings"]), rows)
        # PostgreSQL plans by what it has been told of a table.
        writer.connection.execute(text("ANALYZE holdings"))
        writer.set("final", str(years[-10]))
    explain = "EXPLAIN QUERY PLAN " if engine.name == "sqlite" else "EXPLAIN "
    with stored(engine) as reader:
        assert (reader.last_traced(), reader.last_final()) == (years[-1], years[-10])
        for query in (
            "SELECT max(slot) FROM holdings",
            f"SELECT max(slot) FROM holdings WHERE block <= {years[-10]}",
            "SELECT state FROM holdings ORDER BY slot DESC LIMIT 1",
        ):
            plan = str(reader.connection.execute(text(explain + query)).all())
            assert "holdings_by_slot" in plan, plan


def test_steps_are_done_once_by_whoever_opens_a_store_first(fresh_store: FreshStore) -> None:
    url = fresh_store()
    all_at_once(4, lambda: opened(url))
    with opened(url).connect() as connection:
        done = connection.execute(text("SELECT number, name FROM migrations ORDER BY number"))
        assert [tuple(row) for row in done] == [
            (number, step.__name__) for number, step in enumerate(migrations.MIGRATIONS, 1)
        ]


def test_a_step_that_fails_leaves_the_store_as_it_was(
    fresh_store: FreshStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = fresh_store()
    before = schema(opened(url))

    def m008_breaks(connection: object) -> None:
        connection.execute(text("ALTER TABLE blocks ADD COLUMN gone BIGINT"))  # type: ignore[attr-defined]
        raise ZeroDivisionError

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, m008_breaks))
    with pytest.raises(ZeroDivisionError):
        opened(url)
    assert schema(raw(url)) == before


def test_a_store_of_a_newer_version_is_refused(fresh_store: FreshStore) -> None:
    url = fresh_store()
    with written(opened(url)) as store:
        store.connection.execute(text("INSERT INTO migrations VALUES (8, 'm008_to_come')"))
    with pytest.raises(StoreError, match=r"\(steps up to 7\), got step 8: use a newer yui"):
        opened(url)


# -- what is no store ------------------------------------------------------------------------


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_text("a letter, and much longer than a database's first sixteen bytes\n" * 40)
    with pytest.raises(
        StoreError, match=r"other must be a store that works, got: .*not a database"
    ):
        opened(str(path))


def test_a_broken_store_is_one_error(lived: tuple[Town, OriginContract], tmp_path: Path) -> None:
    town, origin = lived
    path = tmp_path / "store.sqlite"
    engine = told_of(str(path), origin)
    indexed(engine, town.node, town.market.address)
    engine.dispose()
    held = bytearray(path.read_bytes())
    held[4096 * 3 :] = b"\xff" * (len(held) - 4096 * 3)
    path.write_bytes(held)

    def read() -> None:
        with stored(opened(str(path))) as reader:
            reader.orders(range(SLOT, SLOT + 1))

    with pytest.raises(StoreError, match=r"must be a store that works, got: .*malformed"):
        read()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "mysql://yui@localhost/yui",
            "a store must be at sqlite:// or postgresql://, got mysql://",
        ),
        ("no such://", "a store must be a path or a URL, got 'no such://'"),
    ],
)
def test_an_address_of_no_store_is_refused(url: str, message: str) -> None:
    with pytest.raises(SettingError) as refused:
        opened(url)
    assert str(refused.value) == message


def test_a_database_that_is_not_there_is_one_error_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as told:
        opened(f"postgresql://yui:secret@/yui?host={tmp_path}")
    assert "must be a store that works, got: " in str(told.value)
    assert "secret" not in str(told.value)


# -- what it says ----------------------------------------------------------------------------


def test_slots_and_sites_in_brief_are_what_their_rows_add_up_to(
    lived: tuple[Town, OriginContract], fresh_store: FreshStore
) -> None:
    town, origin = lived
    engine = told_of(fresh_store(), origin)
    indexed(engine, town.node, town.market.address)
    day = slots_of(day_of(SLOT))
    with stored(engine) as store:
        lines = overview.slot_lines(store, day)
        assert [line.slot for line in lines] == store.slots(day) == list(range(SLOT, day.stop))
        first, second = lines[:2]
        assert (first.orders, first.trades, first.traded) == (3, 2, 2_500)
        assert (first.price, first.missing, first.stage) == (store.price(SLOT), 0, "final")
        assert first.delivered == sum(given or 0 for _, given in store.trades(day))
        assert (second.orders, second.price, second.missing) == (0, None, 1)
        for site in (OGAWARA, SENDAI, KESENNUMA):
            (found,) = overview.site_days(store, site, day)
            newest = {one.slot: one for one in store.readings(day, site)}.values()
            assert found.energies.readings == len(newest) == len(lines)
            assert found.energies.used == sum(one.consumption for one in newest)
            assert found.microyen == sum(store.owed(site, day))
            assert overview.site_sums(store, day)[site] == (found.energies, found.microyen)
            used = overview.used_by_origin(store, site, day)
            assert sum(share.energy for share in used) == sum(
                row.energy for row in store.origins("used", day, site)
            )
            went = overview.generated_by_end(store, site, day)
            assert sum(share.energy for share in went) == sum(
                row.energy for _, row in store.destinations(site, day)
            )
        assert {share.kind for share in used} == {"generation", "grid"}
        assert overview.site_days(store, 7, day) == []


def test_a_book_that_is_open_or_only_cleared_is_listed_as_such(
    tmp_path: Path, fresh_store: FreshStore
) -> None:
    with anvil(FIRST_SLOT * SLOT_SECONDS) as node:
        node.request("anvil_setBlockTimestampInterval", [0])
        town = a_town(node, tmp_path)
        engine = opened(fresh_store())
        gate = town.market.rules.gate_of(SLOT)
        town.at(gate - 1)
        for slot in (SLOT, SLOT + 1):
            relayed(town.market, town.orders(slot))
        town.mover().move(town.at(gate))
        indexed(engine, node, town.market.address)
        with stored(engine) as store:
            lines = overview.slot_lines(store, range(SLOT, SLOT + 2))
        assert [(line.stage, line.orders, line.trades) for line in lines] == [
            ("cleared", 3, 2),
            ("open", 3, 0),
        ]


def test_what_is_asked_of_one_site_is_that_sites_part_of_all(
    lived: tuple[Town, OriginContract], fresh_store: FreshStore
) -> None:
    town, origin = lived
    engine = told_of(fresh_store(), origin)
    indexed(engine, town.node, town.market.address)
    span = slots_of(day_of(SLOT))
    with stored(engine) as store:
        for site in (OGAWARA, SENDAI, KESENNUMA):
            assert store.orders(span, site) == [o for o in store.orders(span) if o.site == site]
            assert store.readings(span, site) == [
                one for one in store.readings(span) if one.site == site
            ]
            for ask in (store.trades, store.flows, store.pool):
                every: list[object] = list(ask(span))
                own = [one for one in every if site in sides_of(one)]
                assert list(ask(span, site)) == own
            assert store.entries(span, site) == [e for e in store.entries(span) if e[1] == site]
        assert store.prices(span) == {
            slot: price for slot in span if (price := store.price(slot)) is not None
        }
        assert store.entries(span, NETWORK)
        statement = statement_of(store, SENDAI, span)
        assert statement.energies.used == sum(row.row.energy for row in statement.rows)
        assert {row.row.origin.kind for row in statement.rows} == {Kind.GENERATION, Kind.GRID}


def sides_of(flow: Any) -> tuple[int, int]:
    trade = flow[0] if isinstance(flow, tuple) else flow
    return trade.seller, trade.buyer


def test_a_change_replaces_what_was_planned_for_its_slot_or_later() -> None:
    versions = Versions([(0, 10, "first"), (0, 30, "planned"), (1, 5, "other"), (0, 20, "changed")])
    assert [versions.at(0, slot) for slot in (9, 10, 19, 20, 30)] == [
        *(None, "first", "first", "changed", "changed")
    ]
    assert versions.all_at(7) == {1: "other"}
    assert versions.at(2, 100) is None


def test_the_tariff_of_each_slot_is_the_one_enacted_for_it(
    lived: tuple[Town, OriginContract], fresh_store: FreshStore
) -> None:
    town, origin = lived
    engine = told_of(fresh_store(), origin)
    indexed(engine, town.node, town.market.address)
    with stored(engine) as store:
        tariffs = store.tariffs()
        assert tariffs.at(SLOT) == store.tariff(SLOT, (SLOT + 18) % 48) == TARIFF
        assert tariffs.at(SLOT - 1) == Tariff(0, 0, 0)

"""Pages are made once however many ask, anew when the store changes, and never for too long."""

import asyncio
import time

import pytest

from bench.desk import fill
from chain import tables
from chain.database import opened
from chain.writer import written
from orchestrator.setting.sites import load_setting
from orchestrator.web import desk as desks
from orchestrator.web.desk import Desk, Made


@pytest.fixture
def engine(tmp_path):
    engine = opened(str(tmp_path / "store.sqlite"))
    fill(engine, 2, 1)
    yield engine
    engine.dispose()


@pytest.fixture
def desk(engine, monkeypatch):
    monkeypatch.setattr(desks, "PULSE_SECONDS", 0.0)
    return Desk(engine, load_setting())


class Maker:
    """Makes numbered pages, as slowly as it is told."""

    def __init__(self):
        self.count, self.slow = 0, 0.0

    def __call__(self):
        time.sleep(self.slow)
        self.count += 1
        return Made(str(self.count).encode(), b"", "")


def put(engine, table=None, **values):
    """Index one more block, with an event or without one."""
    with written(engine) as store:
        last = store.last_block()
        assert last is not None
        block = last[0] + 1
        store.put(tables.BLOCKS, block, [{"hash": block.to_bytes(32), "time": 0}])
        if table is not None:
            store.put(table, block, [values])


def change(engine):
    put(engine, tables.ENTRIES, slot=866430, account=0, microyen=1, revision=1)


async def bodies(desk, make, count=1):
    found = await asyncio.gather(*(desk.made(("page",), make) for _ in range(count)))
    return [int(made.body) for made in found]


async def settled(desk):
    """Have the desk see the store as it is."""
    await desk.version()
    while desk._asking is not None:
        await asyncio.sleep(0.001)


def test_a_page_is_made_once_however_many_ask(desk):
    make = Maker()
    make.slow = 0.05
    assert asyncio.run(bodies(desk, make, 50)) == [1] * 50
    assert asyncio.run(bodies(desk, make, 50)) == [1] * 50


def test_a_page_is_made_anew_when_something_happens_and_not_for_an_empty_block(engine, desk):
    async def walk():
        make = Maker()
        assert await bodies(desk, make) == [1]
        put(engine)
        await settled(desk)
        assert await bodies(desk, make) == [1]
        change(engine)
        await settled(desk)
        assert await bodies(desk, make) == [2]

    asyncio.run(walk())


def test_an_older_page_will_do_while_the_new_one_takes_long_but_not_for_ever(
    engine, desk, monkeypatch
):
    monkeypatch.setattr(desks, "PATIENCE_SECONDS", 0.01)

    async def walk():
        make = Maker()
        assert await bodies(desk, make) == [1]
        make.slow = 0.3
        change(engine)
        await settled(desk)
        assert await bodies(desk, make, 3) == [1, 1, 1]
        assert make.count == 1
        monkeypatch.setattr(desks, "STALE_SECONDS", 0.0)
        assert await bodies(desk, make, 3) == [2, 2, 2]
        assert make.count == 2

    asyncio.run(walk())


def test_a_page_that_was_begun_before_a_change_does_not_count_as_new(engine, desk):
    async def walk():
        make = Maker()
        make.slow = 0.2
        first = asyncio.create_task(bodies(desk, make))
        await asyncio.sleep(0.1)
        change(engine)
        await settled(desk)
        assert await first == [1]
        assert await bodies(desk, make) in ([1], [2])
        make.slow = 0.0
        await asyncio.sleep(0.3)
        assert await bodies(desk, make) == [2]

    asyncio.run(walk())


def test_a_page_that_cannot_be_made_is_told_to_all_and_tried_again(desk):
    def broken():
        raise ValueError("broken")

    async def walk():
        tried = [desk.made(("page",), broken) for _ in range(3)]
        found = await asyncio.gather(*tried, return_exceptions=True)
        assert [str(one) for one in found] == ["broken"] * 3
        assert await bodies(desk, Maker()) == [1]

    asyncio.run(walk())


def test_a_desk_that_ends_does_not_first_make_all_that_waits(desk):
    make = Maker()
    make.slow = 0.2

    async def ask_and_end():
        await settled(desk)
        asked = [asyncio.create_task(desk.made((number,), make)) for number in range(20)]
        while not desk._making:
            await asyncio.sleep(0.001)
        desk.end()
        return await asyncio.gather(*asked, return_exceptions=True)

    found = asyncio.run(ask_and_end())
    assert sum(isinstance(one, asyncio.CancelledError) for one in found) > 15
    assert make.count < 5

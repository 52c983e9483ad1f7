"""A chain in a file: run again, it comes to the same, or says where it does not."""

import sqlite3

import pytest

from chain.market import MarketContract
from chain.recorded import RecordedChain
from energy.errors import ChainError, NotOwner
from energy.messages import address_of
from energy.units import SLOT_SECONDS
from tests.desk import FIRST_SLOT, OGAWARA, PLAIN, RULES, STRANGER, TARIFF, key

START = FIRST_SLOT * SLOT_SECONDS


@pytest.fixture
def path(tmp_path):
    return tmp_path / "chain.sqlite"


def begun(path):
    chain = RecordedChain(path, START)
    market = MarketContract.deployed(chain, chain.sender, RULES)
    market.enact_tariff(FIRST_SLOT + 5, [TARIFF] * 48)
    chain.set_time(START + 60)
    trader, oracle = (address_of(key(role, OGAWARA)) for role in ("trader", "oracle"))
    market.enrol(FIRST_SLOT + 5, trader, oracle, PLAIN)
    return chain, market


def test_a_chain_from_a_file_runs_again_to_the_same_state(path):
    chain, market = begun(path)
    chain.commit(done=3)
    height, digest, words = chain.height(), chain.block_hash(1), market.site_at(0, FIRST_SLOT + 5)
    chain.close()
    again = RecordedChain(path)
    assert (again.height(), again.block_hash(1), again.mark("done")) == (height, digest, 3)
    again.run_again()
    assert again.now() == START + 60
    assert again.created(0) == market.address
    assert MarketContract(again, market.address).site_at(0, FIRST_SLOT + 5) == words


def test_what_was_not_committed_is_not_there(path):
    chain, _ = begun(path)
    chain.commit()
    height = chain.height()
    MarketContract(chain, chain.created(0)).suspend(0, FIRST_SLOT + 60)
    chain.close()
    assert RecordedChain(path).height() == height


def test_it_is_read_like_a_node(path):
    chain, market = begun(path)
    assert chain.height() == chain.final_height() == 1
    assert [chain.time_of(number) for number in (0, 1)] == [START, START + 60]
    heights = [number for (number, _), _ in chain.logs(market.address, 0, 1)]
    assert heights == [0, 0, 1]
    found = list(chain.transactions([market.address], 0, 1))
    assert [transaction.block for transaction in found] == [0, 0, 1]
    assert found[0].to is None
    assert list(chain.logs([STRANGER], 0, 1)) == []
    with pytest.raises(ChainError, match="newest, 1: 0"):
        chain.at_block(0)
    with pytest.raises(ChainError, match="at most 1, got 7"):
        chain.block_hash(7)
    with pytest.raises(ChainError, match="got 1"):
        chain.created(1)


def test_what_is_refused_is_not_kept(path):
    chain, market = begun(path)
    market.change_owner(STRANGER)
    height = chain.height()
    with pytest.raises(NotOwner):
        market.suspend(0, FIRST_SLOT + 60)
    assert chain.height() == height


def test_it_must_be_run_again_before_it_is_asked(path):
    chain, market = begun(path)
    chain.commit()
    chain.close()
    with pytest.raises(ChainError, match="run again"):
        RecordedChain(path).call(market.address, b"")


@pytest.mark.parametrize(
    "change",
    [
        "update transactions set data = x'00' where number = 1",
        "update logs set data = x'00' where number = 2",
        "update blocks set time = time + 100000 where number = 0",
    ],
)
def test_a_changed_file_is_found_out(path, change):
    chain, _ = begun(path)
    chain.commit()
    chain.close()
    with sqlite3.connect(path) as file:
        file.execute(change)
    with pytest.raises(ChainError, match="block"):
        RecordedChain(path).run_again()

"""Seen and final, on a node that gives blocks up when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.town import GATE_SECONDS, RATINGS, TARIFF, Town, key_of, rules_at
from chain.anvil import AnvilChain, anvil
from chain.indexer import indexed
from chain.market import MarketContract
from chain.network.folders import create, new_member
from chain.node import NodeChain
from chain.store import Store, opened
from energy.errors import ChainError, FinalReplaced, GateClosed, NodeBehind, SettingError
from energy.messages import address_of
from energy.units import SLOT_SECONDS
from orchestrator.auditing.audit import audited
from orchestrator.options import chain_at

START = 1_559_574_000
SITES = 3
DEPTH = 3


class AnvilTown(Town):
    """The same sites on a development node."""

    def set_time(self, moment: int) -> None:
        self.node.set_time(moment)

    @property
    def node(self) -> AnvilChain:
        assert isinstance(self.chain, AnvilChain)
        return self.chain

    def give_up(self, blocks: int) -> None:
        """Let as many empty blocks take the place of the newest."""
        self.node.request("anvil_reorg", [blocks, []])

    def bury(self) -> None:
        """Let what is seen become final."""
        for _ in range(DEPTH):
            self.node.request("evm_mine", [])


@pytest.fixture
def town(tmp_path: Path) -> Iterator[AnvilTown]:
    with anvil(START) as node:
        node.depth = DEPTH
        market = MarketContract.deployed(node, node.sender, rules_at(START))
        first = START // SLOT_SECONDS + 10
        market.enact_tariff(first, [TARIFF] * 48)
        for site in range(SITES):
            keys = (address_of(key_of("trader", site)), address_of(key_of("oracle", site)))
            market.enrol(first, *keys, RATINGS)
        node.set_time((first - 1) * SLOT_SECONDS)
        store = opened(str(tmp_path / "store.sqlite"))
        yield AnvilTown(node, tmp_path, market, SITES, first, store)


def final_block(town: Town) -> int:
    with town.store.connect() as connection:
        return Store(connection).final_block()


def test_what_is_final_has_blocks_on_top(town):
    head = indexed(town.store, town.node, town.market.address)
    assert final_block(town) == head - DEPTH == town.node.final_height()
    town.bury()
    town.node.wait_until_final(head)
    with pytest.raises(ChainError, match=f"block {head + 1} must be final within 0 s, got {head}"):
        town.node.wait_until_final(head + 1, timeout_seconds=0)


def test_a_transaction_is_waited_for_until_it_is_final_or_has_vanished(town):
    receipt = town.node.send("0x" + "44" * 20, b"", 1)
    with pytest.raises(ChainError, match=r"must be final within 0 s, and is not"):
        town.node.finally_in(receipt, timeout_seconds=0)
    town.bury()
    assert town.node.finally_in(receipt) == receipt
    lost = town.node.send("0x" + "44" * 20, b"", 1)
    town.give_up(1)
    town.bury()
    with pytest.raises(ChainError, match=f"transaction 0x{lost.transaction.hex()} must be final"):
        town.node.finally_in(lost, timeout_seconds=0)


def test_a_view_of_what_is_final_does_not_tell_what_is_only_seen(town):
    slot = town.first_slot + 1
    town.relay.take([town.order(slot, 1)])
    town.relay.push()
    final = MarketContract(town.node.as_final(), town.market.address)
    assert town.market.sequence_of(slot, 1) == 1
    assert final.sequence_of(slot, 1) == 0
    town.bury()
    assert final.sequence_of(slot, 1) == 1


def test_a_relay_posts_what_vanished_again_and_lets_go_of_what_is_final(town):
    slot = town.first_slot + 1
    town.relay.take([town.order(slot, 1), town.order(slot, 1, sequence=2)])
    assert town.relay.push() == []
    assert town.relay.waiting == 2
    town.give_up(1)
    assert town.market.sequence_of(slot, 1) == 0
    town.relay.push()
    assert town.market.sequence_of(slot, 1) == 2
    town.bury()
    assert town.relay.push() == []
    assert town.relay.waiting == 0
    assert len(town.history()["orders"]) == 2


def test_a_relay_lets_go_of_what_is_refused_and_of_what_came_too_late(town):
    slot = town.first_slot + 1
    gap, late = town.order(slot, 1, sequence=3), town.order(slot, 2)
    town.relay.take([gap])
    assert [refused.order for refused in town.relay.push()] == [gap.order]
    town.node.set_time(slot * SLOT_SECONDS - GATE_SECONDS)
    town.relay.take([late])
    (refused,) = town.relay.push()
    assert isinstance(refused.refusal, GateClosed)
    assert town.relay.waiting == 0


def test_a_settlement_that_vanished_is_done_again_and_told_once(town):
    slot = town.first_slot
    mover = town.mover(slot)
    town.node.set_time((slot + 1) * SLOT_SECONDS)
    town.push(slot)
    town.bury()
    assert mover.move(town.node.now()) == [slot]
    assert mover.first_open == slot, "it is not final"
    settled = town.history()["entries"]
    town.give_up(1)
    assert town.history()["entries"] == []
    assert mover.move(town.node.now()) == []
    assert town.history()["entries"] == settled
    town.bury()
    mover.move(town.node.now())
    assert mover.first_open == slot + 1
    with town.store.connect() as connection:
        assert Store(connection).final_slots(range(slot, slot + 2)) == {slot}


def test_blocks_read_from_two_branches_are_all_taken_back(town, monkeypatch):
    """A fork between two queries of logs leaves a stale block below one that stands."""
    slot = town.first_slot + 1
    indexed(town.store, town.node, town.market.address)
    begin = town.node.height()
    town.relay.take([town.order(slot, 1)])
    town.relay.push()
    stale = list(town.node.logs(town.market.address, begin + 1, town.node.height()))
    town.give_up(1)
    town.node.request("evm_mine", [])
    town.relay.take([town.order(slot, 2)])
    town.relay.push()
    read = AnvilChain.logs

    def torn(self, address, first, last):
        yield from stale
        yield from read(self, address, begin + 2, last)

    with monkeypatch.context() as patch:
        patch.setattr(AnvilChain, "logs", torn)
        indexed(town.store, town.node, town.market.address)
    with town.store.connect() as connection:
        torn_orders = Store(connection).order_count(slot)
    fresh = town.through(town.node, town.network / "fresh.sqlite").history()
    assert torn_orders != len(fresh["orders"])
    assert town.history() == fresh


def test_a_final_block_that_is_replaced_stops_the_indexer(town):
    slot = town.first_slot + 1
    town.relay.take([town.order(slot, 1)])
    town.relay.push()
    town.bury()
    indexed(town.store, town.node, town.market.address)
    block = town.node.height() - DEPTH
    town.give_up(DEPTH + 1)
    with pytest.raises(FinalReplaced, match=f"block {block} was final and must stand, got anoth"):
        indexed(town.store, town.node, town.market.address)


def test_a_final_block_in_which_nothing_happened_is_known_as_well(town):
    town.bury()
    town.bury()
    indexed(town.store, town.node, town.market.address)
    final = final_block(town)
    assert final == town.node.final_height()
    # Empty blocks by another are others.
    town.node.request("anvil_setCoinbase", ["0x" + "55" * 20])
    town.give_up(DEPTH + 1)
    with pytest.raises(FinalReplaced, match=f"block {final} was final and must stand"):
        indexed(town.store, town.node, town.market.address)


def test_what_is_final_stays_final_when_a_node_is_a_little_behind(town):
    town.bury()
    snapshot = town.node.request("evm_snapshot", [])
    town.node.request("evm_mine", [])
    indexed(town.store, town.node, town.market.address)
    final = final_block(town)
    town.node.request("evm_revert", [snapshot])
    indexed(town.store, town.node, town.market.address)
    assert final_block(town) == final == town.node.final_height() + 1


def test_a_node_that_is_behind_is_told_from_a_fork(town):
    snapshot = town.node.request("evm_snapshot", [])
    slot = town.first_slot + 1
    town.relay.take([town.order(slot, 1)])
    town.relay.push()
    town.bury()
    indexed(town.store, town.node, town.market.address)
    block = town.node.height() - DEPTH
    town.node.request("evm_revert", [snapshot])
    with pytest.raises(NodeBehind, match=f"must have final block {block}, got {block - 1}"):
        indexed(town.store, town.node, town.market.address)


def test_a_node_of_another_chain_is_refused(town, tmp_path):
    members = [new_member(tmp_path / name, name, port=at) for at, name in enumerate("ab", 1)]
    profile = create(tmp_path / "net", "x", members, 7_001, 1)
    with pytest.raises(ChainError, match="must be of chain 7001, got 7000"):
        profile.chain(town.node.url)


def test_a_chain_is_as_deep_as_its_network_says_named_or_beside_the_manifest(town, tmp_path):
    net, url = tmp_path / "net", town.node.url
    members = [
        new_member(net / "members" / name, name, port=at, rpc_port=at)
        for at, name in enumerate("abc", 1)
    ]
    create(net, "x", members, town.node.chain_id, 1)
    assert chain_at(url, net).depth == 2
    assert chain_at(url, net / "network.json").depth == 2
    assert chain_at(url, None, net / "manifest.json").depth == 2
    assert chain_at(url, None, tmp_path / "manifest.json").depth == 0
    with pytest.raises(ChainError, match="a node must answer at http://127.0.0.1:2,"):
        chain_at(None, net / "members" / "b")
    with pytest.raises(SettingError, match="--rpc or --network must be given, got neither"):
        chain_at(None, None, tmp_path / "manifest.json")


def test_an_audit_goes_on_from_what_is_final_when_what_was_only_seen_vanishes(town, tmp_path):
    town.bury()
    state, slot = tmp_path / "audit.state", town.first_slot + 1
    town.relay.take([town.order(slot, 1)])
    town.relay.push()
    assert audited(town.node, town.market.address, state=state).orders == 0
    town.give_up(1)
    town.relay.push()
    town.bury()
    assert audited(town.node, town.market.address, state=state).orders == 1


def test_a_chain_of_one_node_is_final_at_once(town):
    lone = NodeChain(town.node.url)
    assert lone.final_height() == lone.height()

"""Four members' validators: they seal, vote, fork and come back.

What is traded is small, and must stand exactly once whatever befalls.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from bench.town import GATE_SECONDS, Town
from chain.indexer import indexed
from chain.market import MarketContract
from chain.network.folders import join, new_member, with_member
from chain.network.keys import key_at
from chain.network.local import await_height, await_joined, down, heal, set_clock, split, state_of
from chain.network.node import MemberNode
from chain.network.profile import profile_at
from chain.network.seal import sealer_of
from chain.network.trial import TrialChain
from chain.network.votes import standing, voted
from chain.origin import OriginContract
from chain.store import Store
from energy.errors import ChainError, NotOwner, SettingError
from energy.units import SLOT_SECONDS
from orchestrator.auditing.audit import audited
from orchestrator.cli import app
from tests.services.conftest import MEMBERS, START

ROOT = Path(__file__).resolve().parents[2]
SITES = 3


@pytest.fixture(scope="module")
def town(running: tuple[TrialChain, list[MemberNode]], folder: Path) -> Town:
    """Three sites, seen through the last member's node; its slots are traded one test each."""
    chain, nodes = running
    town = Town.founded(chain, SITES, folder)
    return town.through(nodes[-1].chain(chain.key), folder / "town.sqlite")


def next_slot(town: Town) -> int:
    """The next slot to trade: two on from the last, as `Town.trade` has it."""
    return max(town.first_slot + 1, town.chain.now() // SLOT_SECONDS + 2)


def suppressed(act: Callable[[], object]) -> None:
    with suppress(ChainError):
        act()


def yui(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)


def test_all_nodes_seal_one_history_and_say_how_deep_it_is_final(nodes, network):
    await_height(nodes, nodes[0].height() + 5)
    states = [state_of(node) for node in nodes]
    assert all(state.peers == len(MEMBERS) - 1 and bool(state.seals) for state in states)
    assert all((state.height or 0) - (state.final or 0) == 3 for state in states)
    assert sum(state.sealed or 0 for state in states) > 0
    final = min(state.final or 0 for state in states)
    hashes = {node.chain().block_hash(final) for node in nodes}
    assert len(hashes) == 1
    shown = json.loads(yui("network", "status", "--network", network, "--json").output)
    assert [each["name"] for each in shown] == list(MEMBERS)


def test_a_node_that_runs_is_not_started_again(nodes):
    with pytest.raises(SettingError, match="the node of ogawara must not run, got process"):
        nodes[0].start()
    with pytest.raises(SettingError, match="the node of ogawara must not run"):
        nodes[0].wipe()


def test_a_slot_is_traded_and_audited_while_a_validator_is_killed(town, nodes):
    slot, killed = next_slot(town), nodes[1]
    town.trade(slot, killed.kill)
    found = town.history()
    assert [row for row in found["orders"] if row[0] == slot] == [(slot, s, 1) for s in range(3)]
    assert [row[1:3] for row in found["trades"] if row[0] == slot] == [(0, 2), (0, 1)]
    with town.store.connect() as connection:
        assert Store(connection).final_slots(range(slot, slot + 1)) == {slot}
    findings = audited(town.chain, town.market.address)
    assert findings.slots == 2
    assert findings.orders == 3
    killed.start()
    await_joined(nodes)


def test_a_fork_neither_loses_nor_doubles_an_order(town, nodes, folder, network):
    slot, alone = next_slot(town), nodes[0]
    relay = alone.chain(key_at(network / "accounts" / "relay.json"))
    beyond = town.through(relay, folder / "beyond.sqlite")
    town.set_time(slot * SLOT_SECONDS - GATE_SECONDS - 240)
    beyond.history()
    split(nodes, [alone])
    assert alone.ask("admin_peers") == []
    town.relay.take([town.order(slot, 1), town.order(slot, 2)])
    town.persist(town.relay.push)
    # Alone it can seal one block in three, and then has to wait for others.
    beyond.relay.take([town.order(slot, 0), town.order(slot, 1)])
    unheard = threading.Thread(target=lambda: suppressed(beyond.relay.push))
    unheard.start()
    time.sleep(3)
    seen = [row for row in beyond.history()["orders"] if row[0] == slot]
    with beyond.store.connect() as connection:
        assert Store(connection).final_block() < relay.height()
    # How soon the others are ahead hangs on whose turn it was; alone it stays behind.
    beyond.until(lambda: alone.height() < nodes[-1].height(), "the others go on")
    heal(nodes, [alone])
    await_joined(nodes)
    unheard.join()
    beyond.until(lambda: not beyond.relay.push() and not beyond.relay.waiting, "orders final")
    town.finish(slot)
    ours, theirs = town.history(), beyond.history()
    assert {row for row in ours["orders"] if row[0] == slot} == {(slot, s, 1) for s in range(3)}
    assert set(seen) <= set(ours["orders"])
    beyond.until(lambda: beyond.history() == town.history(), "the same history on both sides")
    assert theirs.keys() == ours.keys()


def test_a_validator_that_lost_its_disk_syncs_and_seals_again(nodes):
    node = nodes[2]
    node.kill()
    node.wipe()
    node.start()
    height = nodes[-1].height()
    await_height([node], height)
    end = time.monotonic() + 30
    address = node.member.validator.lower()
    while True:
        sealers = {
            nodes[-1].ask("clique_getSigner", hex(number)).lower()
            for number in range(height + 1, nodes[-1].height() + 1)
        }
        if address in sealers:
            break
        assert time.monotonic() < end, "it must seal again"
        time.sleep(0.2)
    await_joined(nodes)


def test_a_blocks_seal_names_the_validator_that_the_node_names(nodes):
    node = nodes[0]
    height = node.height()
    numbers = [hex(number) for number in range(height - 9, height + 1)]
    blocks = node.chain().batch("eth_getBlockByNumber", [[each, False] for each in numbers])
    named = [node.ask("clique_getSigner", each).lower() for each in numbers]
    assert [sealer_of(block) for block in blocks] == named


def test_a_node_that_steps_back_from_its_newest_blocks_takes_those_of_the_others(nodes):
    """What the watch does to end a deadlock, done to a node that is in none."""
    node, others = nodes[1], nodes[-1]
    height = node.height()
    node.ask("debug_setHead", hex(height - node.profile.depth + 1))
    await_height([node], height + node.profile.depth)
    assert node.chain().block_hash(height) == others.chain().block_hash(height)


def test_validators_come_and_go_by_vote_of_more_than_half(nodes, network):
    own = network / "members" / "tome"
    new = new_member(own, "tome", port=nodes[0].member.port + 1_000, rpc_port=0)
    before, after = voted(nodes[:2], new.validator, True, 30)
    assert len(before.validators) == len(after.validators) == 4
    assert len(after.voters) == 2
    assert after.needed == 3
    with pytest.raises(SettingError, match="must seal for this vote, got the opposite"):
        voted(nodes[:1], new.validator, False, 30)
    said = yui("network", "vote", "--network", network, "--add", new.validator, "--as", "osaki")
    assert "before: block" in said.output
    assert "after: block" in said.output
    assert "5 validators" in said.output
    assert profile_at(network).depth == profile_at(nodes[2].folder).depth == 3
    with_member(profile_at(network), new).write(network)
    assert yui("network", "peer", own / "member.json", "--network", network).exit_code == 0
    join(own, network)
    before, after = voted(nodes[:3], new.validator, False, 60)
    assert new.validator in before.validators
    assert new.validator not in after.validators
    assert standing(nodes[0], new.validator).voters == ()
    yui("network", "refresh", "--network", network)
    assert len(profile_at(network).validators) == 4
    assert nodes[0].ask("clique_proposals") in ({}, None)


def test_brownie_deploys_once_and_leaves_the_market_out_of_the_deployers_hands(chain, network):
    if shutil.which("brownie", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("eth-brownie must be installed, and is not")

    def deployed() -> str:
        done = subprocess.run(
            [ROOT / "deploy" / "with-tools", "python", "deploy/deploy.py"],
            env={**os.environ, "YUI_NETWORK": str(network)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    (network / "manifest.json").unlink(missing_ok=True)
    first, again = deployed(), deployed()
    profile = profile_at(network)
    deployer = profile.accounts["deployer"]
    owned = f"The market's owner is {profile.safe.lower()}; the deployer {deployer}"
    assert "Market is deployed at" in first
    assert "Origin is deployed at" in first
    assert owned in first
    assert "nothing to do" in again
    assert owned in again
    manifest = json.loads((network / "manifest.json").read_text())
    market, origin = (manifest["contracts"][name]["address"] for name in ("Market", "Origin"))
    assert OriginContract(chain, origin).registry() == market
    market = MarketContract(chain, market)
    with pytest.raises(NotOwner):
        market.change_owner(chain.sender)
    (network / "manifest.json").unlink()


def test_a_network_that_was_down_goes_on_where_it_was(nodes, network, town):
    store: Engine = town.store
    before = indexed(store, town.chain, town.market.address)
    stands = town.history()
    down(network)
    town.until(lambda: not any(node.pid() for node in nodes), "all nodes ended")
    with pytest.raises(ChainError, match="a node of .* must run here"):
        yui("network", "funds", "--network", network)
    set_clock(network, START + 90 * 86_400)
    assert yui("network", "up", "--network", network).exit_code == 0
    assert nodes[0].height() >= before
    assert town.history() == stands
    yui("network", "down", "--network", network)

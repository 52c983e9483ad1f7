"""Four members' validators in processes of their own: they seal, vote, fork and come back.

Real nodes on a clock that is set; a block a second. What is traded is small, and must stand
exactly once whatever befalls.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from bench.town import GATE_SECONDS, HORIZON, TARIFF, Town, rules_at
from chain.council import ACCOUNT, Act, Council, proposal_at
from chain.indexer import indexed
from chain.market import MarketContract
from chain.network.client import geth_program
from chain.network.folders import join, new_member, with_member
from chain.network.keys import key_at
from chain.network.local import await_height, await_joined, down, heal, set_clock, split, state_of
from chain.network.node import MemberNode
from chain.network.profile import profile_at
from chain.network.trial import TrialChain, trial
from chain.network.votes import standing, voted
from chain.node import NodeChain
from chain.origin import OriginContract
from chain.store import Store
from energy.errors import ChainError, NotOwner, SettingError, TooSoon
from energy.units import SLOT_SECONDS
from orchestrator.audit import audited
from orchestrator.cli import app

try:
    geth_program(trial=True)
except ChainError as error:
    pytest.skip(str(error), allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("ogawara", "sendai", "osaki", "kesennuma")
START = 1_559_574_000
SITES = 3


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # A socket's path must be short, shorter than those that pytest gives.
    with TemporaryDirectory(prefix="yui") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[tuple[TrialChain, list[MemberNode]]]:
    with trial(folder / "net", NAMES, START) as (chain, nodes):
        yield chain, nodes


@pytest.fixture
def nodes(running: tuple[TrialChain, list[MemberNode]]) -> list[MemberNode]:
    return running[1]


@pytest.fixture
def chain(running: tuple[TrialChain, list[MemberNode]]) -> TrialChain:
    return running[0]


@pytest.fixture
def network(chain: TrialChain) -> Path:
    return chain.network


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
    assert all(state.peers == len(NAMES) - 1 and bool(state.seals) for state in states)
    assert all((state.height or 0) - (state.final or 0) == 3 for state in states)
    assert sum(state.sealed or 0 for state in states) > 0
    final = min(state.final or 0 for state in states)
    hashes = {node.chain().block_hash(final) for node in nodes}
    assert len(hashes) == 1
    shown = json.loads(yui("network", "status", "--network", network, "--json").output)
    assert [each["name"] for each in shown] == list(NAMES)


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
    assert alone.height() < nodes[-1].height()
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


# -- the council ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def governed(running: tuple[TrialChain, list[MemberNode]]) -> MarketContract:
    """A market that belongs to the council from its first block on."""
    chain, _ = running
    said = yui("council", "create", "--network", chain.network)
    assert "3 of 4 must sign" in said.output
    assert yui("council", "create", "--network", chain.network).output == said.output
    safe = profile_at(chain.network).safe
    market = MarketContract.deployed(chain, safe, rules_at(chain.now()))
    manifest = {"contracts": {"Market": {"address": market.address}}}
    (chain.network / "manifest.json").write_text(json.dumps(manifest))
    return market


def signed_by(file: Path, network: Path, *names: str) -> None:
    for name in names:
        keystore = network / "members" / name / "council.json"
        said = yui("council", "sign", file, "--keystore", keystore, "--yes", "--network", network)
        assert f"{name} (council) has signed" in said.output


def test_a_quorum_enrols_a_site_off_line_and_fewer_cannot(governed, chain, network, tmp_path):
    file = tmp_path / "proposal.json"
    from_slot = chain.now() // SLOT_SECONDS + HORIZON + 4
    common = ("--from", from_slot, "--file", file, "--network", network)
    trader, oracle = "0x" + "11" * 20, "0x" + "22" * 20
    assert yui("council", "propose", "tariff", *common).exit_code == 0
    enrol = ("--site", "Kesennuma", "--trader", trader, "--oracle", oracle)
    said = yui("council", "propose", "enrol", *enrol, *common).output
    assert "Enrol a new site from" in said
    assert "battery 44 kWh, 15 kW, 90 % round trip" in said
    copy = tmp_path / "copy.json"
    copy.write_text(file.read_text())
    signed_by(file, network, "ogawara", "sendai")
    with pytest.raises(SettingError, match="3 of the members must have signed, got 2"):
        yui("council", "execute", file, "--network", network)
    # Nor does the contract take it from one who asks it without this program's checks.
    proposal = proposal_at(file)
    with pytest.raises(ChainError, match="GS020"):
        chain.send(proposal.safe, proposal.transaction.execution(proposal.signatures))
    with pytest.raises(SettingError, match="must not be signed yet"):
        yui("council", "propose", "tariff", *common)
    signed_by(copy, network, "kesennuma")
    shown = json.loads(yui("council", "show", file, copy, "--network", network, "--json").output)
    assert shown["signed_by"] == [f"{n} (council)" for n in ("ogawara", "sendai", "kesennuma")]
    assert shown["acts"][0].startswith("Enact a tariff from")
    assert "00:00-24:00 sells at 22, buys at 8, fee 1 JPY/kWh" in shown["acts"][0]
    ja = yui("council", "show", file, "--network", network, "--language", "ja").output
    assert "新しい拠点を登録" in ja
    done = yui("council", "execute", file, copy, "--network", network)
    assert "has 3 blocks on top" in done.output
    assert governed.site_at(0, from_slot).trader == trader
    assert governed.tariff_at(from_slot) == TARIFF
    with pytest.raises(SettingError, match="it was executed or overtaken"):
        yui("council", "execute", file, copy, "--network", network)
    # The auditor sees what came through the council, without trusting it.
    assert audited(chain, governed.address).transactions == 2, "its creation, and both acts at once"


def test_a_proposal_changed_after_a_signature_is_refused(governed, chain, network, tmp_path):
    file = tmp_path / "proposal.json"
    pay = ("pay", "--to", "relay", "--coins", 5, "--file", file, "--network", network)
    assert "Pay 5 coins for gas to relay" in yui("council", "propose", *pay).output
    signed_by(file, network, "ogawara")
    file.write_text(file.read_text().replace(str(5 * 10**18), str(6 * 10**18)))
    with pytest.raises(SettingError, match=r"must be as 0x\w+ signed it"):
        yui("council", "show", file, "--network", network)


def test_the_council_tops_an_account_up_and_low_ones_are_named(governed, chain, network, tmp_path):
    relay = profile_at(network).accounts["relay"]
    before = chain.balance_of(relay)
    council = Council(chain, profile_at(network).safe)
    proposal = council.proposal([Act(ACCOUNT, relay, value=10**18)])
    for name in NAMES[:3]:
        proposal = proposal.signed(key_at(network / "members" / name / "council.json"))
    council.execute(proposal)
    assert chain.balance_of(relay) == before + 10**18
    assert yui("network", "funds", "--network", network).exit_code == 0
    said = yui(
        *("network", "pay", "--from", "osaki", "--to", "relay", "--coins", 2),
        *("--network", network),
    )
    assert said.output.startswith("relay has ")
    assert chain.balance_of(relay) == before + 3 * 10**18
    poor = NodeChain(chain.url, key_at(network / "accounts" / "relay.json"), 10**9)
    poor.send("0x" + "44" * 20, b"", poor.balance_of(relay) - 10**18)
    shown = yui("network", "funds", "--network", network, "--json")
    assert shown.exit_code == 1
    low = [each["name"] for each in json.loads(shown.output) if each["low"]]
    assert "relay" in low
    assert "council" not in low
    proposal = council.proposal([Act(ACCOUNT, relay, value=999 * 10**18)])
    for name in NAMES[1:]:
        proposal = proposal.signed(key_at(network / "members" / name / "council.json"))
    council.execute(proposal)
    assert yui("network", "funds", "--network", network).exit_code == 0


def test_a_refusal_of_the_market_reaches_the_council_by_name(governed, chain, network):
    council = Council(chain, profile_at(network).safe)
    act = Act("market", governed.address, "retire", (0, 5))
    proposal = council.proposal([act])
    for name in NAMES[:3]:
        proposal = proposal.signed(key_at(network / "members" / name / "council.json"))
    with pytest.raises(TooSoon):
        council.execute(proposal)


# -- the last: it ends the network ---------------------------------------------------------


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

"""The council of a network that runs: proposals signed off line, executed by a quorum."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench.town import HORIZON, TARIFF, rules_at
from chain.council import Act, Council, proposal_at
from chain.market import MarketContract
from chain.network.keys import key_at
from chain.network.node import MemberNode
from chain.network.profile import profile_at
from chain.network.trial import TrialChain
from chain.node import NodeChain
from energy.errors import ChainError, SettingError, TooSoon
from energy.units import SLOT_SECONDS
from orchestrator.auditing.audit import audited
from orchestrator.cli import app
from tests.services.conftest import MEMBERS


def yui(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)


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


def test_low_accounts_are_named_and_topped_up_by_the_council_or_a_validator(
    governed, chain, network, tmp_path
):
    relay, here = profile_at(network).accounts["relay"], ("--network", network)
    assert yui("network", "funds", *here).exit_code == 0
    poor = NodeChain(chain.url, key_at(network / "accounts" / "relay.json"), 10**9)
    poor.send("0x" + "44" * 20, b"", poor.balance_of(relay) - 10**17)
    shown = yui("network", "funds", *here, "--json")
    assert shown.exit_code == 1
    assert [each["name"] for each in json.loads(shown.output) if each["low"]] == ["relay"]
    assert "LOW" in yui("network", "funds", *here).output
    file, before = tmp_path / "top-up.json", chain.balance_of(relay)
    pay = ("pay", "--to", "relay", "--coins", 500, "--file", file, *here)
    assert "Pay 500 coins for gas to relay" in yui("council", "propose", *pay).output
    signed_by(file, network, *MEMBERS[1:])
    yui("council", "execute", file, *here, "--account", "deployer")
    assert chain.balance_of(relay) == before + 500 * 10**18
    assert yui("network", "funds", *here).exit_code == 0
    said = yui("network", "pay", "--from", "osaki", "--to", "relay", "--coins", 2, *here)
    assert said.output.startswith("relay has 502.")
    assert chain.balance_of(relay) == before + 502 * 10**18


def test_a_refusal_of_the_market_reaches_the_council_by_name(governed, chain, network):
    council = Council(chain, profile_at(network).safe)
    act = Act("market", governed.address, "retire", (0, 5))
    proposal = council.proposal([act])
    for name in MEMBERS[:3]:
        proposal = proposal.signed(key_at(network / "members" / name / "council.json"))
    with pytest.raises(TooSoon):
        council.execute(proposal)

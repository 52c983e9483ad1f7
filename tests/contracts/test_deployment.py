"""`brownie run deploy` and `make deploy`, from outside: on a chain of their own and at a URL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from chain.anvil import anvil
from chain.contract import interface
from chain.market import MarketContract
from chain.origin import OriginContract

ROOT = Path(__file__).resolve().parents[2]
START = 1_559_606_400  # 2019-06-04 09:00 in Japan
PASSPHRASE = "seven offices"


@pytest.fixture(scope="module")
def node():
    with anvil(START, chain_id=7_101) as chain:
        yield chain


@pytest.fixture
def manifest_file(tmp_path) -> Path:
    return tmp_path / "manifest.json"


@pytest.fixture
def deploy(manifest_file):
    """Run the deployment as a person would, and return how it ended."""

    def run(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("YUI_")}
        settings = {"YUI_MANIFEST": str(manifest_file), "YUI_RPC_URL": url, **environment}
        return subprocess.run(
            [ROOT / "deploy" / "with-tools", "python", "deploy/deploy.py"],
            env=kept | settings,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def manifest(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())["contracts"]["Market"]


def test_the_exported_abi_and_code_are_those_of_the_contracts():
    check = subprocess.run(
        [sys.executable, "deploy/export_abi.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr


def test_a_deployment_is_what_its_manifest_says(node, deploy, manifest_file):
    first = deploy(node.url)
    assert first.returncode == 0, first.stderr
    recorded = manifest(manifest_file)
    rules = MarketContract(node, recorded["address"]).rules
    assert recorded["constructor_arguments"] == {
        "owner": node.sender,
        "first_slot": rules.first_slot,
        "horizon_slots": rules.horizon,
        "reading_deadline_seconds": rules.reading_deadline_seconds,
        "gate_seconds": rules.gate_seconds,
        "after_metering": rules.after_metering,
    }
    assert rules.first_slot == START // 1800 + 1
    assert json.loads(manifest_file.read_text())["chain_id"] == 7_101
    code = interface("Market").init_code(list(in_order(recorded["constructor_arguments"])))
    sent = node.web3.eth.get_transaction(recorded["transaction"])
    assert sent["blockNumber"] == recorded["block"]
    assert recorded["init_code_hash"] == node.web3.keccak(sent["input"]).to_0x_hex()
    assert bytes(sent["input"]) == code


def test_the_ledger_of_origins_is_told_the_markets_address(node, deploy, manifest_file):
    assert deploy(node.url).returncode == 0
    contracts = json.loads(manifest_file.read_text())["contracts"]
    market, ledger = contracts["Market"]["address"], contracts["Origin"]["address"]
    assert contracts["Origin"]["constructor_arguments"] == {"registry": market}
    assert OriginContract(node, ledger).registry() == market


def test_a_market_deployed_before_is_given_its_ledger_of_origins(node, deploy, manifest_file):
    assert deploy(node.url).returncode == 0
    before = json.loads(manifest_file.read_text())
    del before["contracts"]["Origin"]
    manifest_file.write_text(json.dumps(before))
    done = deploy(node.url)
    assert "Market stands at" in done.stdout
    assert "Origin is deployed at" in done.stdout
    assert manifest(manifest_file) == before["contracts"]["Market"]


def in_order(arguments):
    names = ("owner", "first_slot", "horizon_slots", "reading_deadline_seconds")
    return (arguments[name] for name in (*names, "gate_seconds", "after_metering"))


def test_a_second_deployment_changes_nothing(node, deploy, manifest_file):
    deploy(node.url)
    before, height = manifest_file.read_text(), node.height()
    node.set_time(node.now() + 3600)
    again = deploy(node.url)
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in again.stdout
    assert manifest_file.read_text() == before
    assert node.height() == height + 1  # the block that moved the clock


def test_a_changed_setting_is_not_deployed_unasked(node, deploy, manifest_file, tmp_path):
    deploy(node.url)
    before = manifest_file.read_text()
    sites = (ROOT / "orchestrator" / "setting" / "sites.toml").read_text()
    changed = tmp_path / "sites.toml"
    changed.write_text(sites.replace('mode = "ahead"', 'mode = "after-metering"'))
    refused = deploy(node.url, YUI_SITES=str(changed))
    assert refused.returncode == 1
    assert "its settings have changed" in refused.stderr
    assert manifest_file.read_text() == before
    anew = deploy(node.url, YUI_SITES=str(changed), YUI_REDEPLOY="1")
    assert anew.returncode == 0, anew.stderr
    assert manifest(manifest_file)["constructor_arguments"]["after_metering"] is True


def test_a_manifest_of_a_chain_that_is_gone_is_said_to_be(node, deploy, manifest_file):
    deploy(node.url)
    with anvil(START, chain_id=7_101) as fresh:
        refused = deploy(fresh.url)
    assert refused.returncode == 1
    assert "the chain has no code at 0x" in refused.stderr
    with anvil(START, chain_id=7_102) as other:
        refused = deploy(other.url)
    assert "it is of chain 7101, and this is chain 7102" in refused.stderr


def test_a_keystores_key_deploys_and_shows_nowhere(node, deploy, manifest_file, tmp_path):
    account = Account.create()
    keystore, secret = tmp_path / "deployer.json", tmp_path / "passphrase"
    keystore.write_text(json.dumps(account.encrypt(PASSPHRASE, kdf="pbkdf2", iterations=1)))
    secret.write_text(PASSPHRASE + "\n")
    node.fund(account.address)
    files = {
        "YUI_DEPLOYER_KEYSTORE": str(keystore),
        "YUI_DEPLOYER_PASSPHRASE_FILE": str(secret),
    }
    done = deploy(node.url, **files)
    assert done.returncode == 0, done.stderr
    recorded = manifest(manifest_file)
    assert recorded["constructor_arguments"]["owner"] == account.address
    assert node.web3.eth.get_transaction(recorded["transaction"])["from"] == account.address
    shown = done.stdout + done.stderr + manifest_file.read_text()
    assert account.key.hex() not in shown
    assert PASSPHRASE not in shown
    secret.write_text("another")
    refused = deploy(node.url, **files)
    assert refused.returncode == 1
    assert "deployer.json must open with" in refused.stderr
    assert "must both be set" in deploy(node.url, YUI_DEPLOYER_KEYSTORE=str(keystore)).stderr


def test_an_owner_can_be_named(node, deploy, manifest_file):
    council = Account.create().address
    assert deploy(node.url, YUI_OWNER=council).returncode == 0
    assert MarketContract(node, manifest(manifest_file)["address"]).owner() == council
    assert "YUI_OWNER must be an address, got 0x12" in deploy(node.url, YUI_OWNER="0x12").stderr


def test_a_url_without_a_node_is_named(deploy):
    refused = deploy("http://127.0.0.1:1")
    assert refused.returncode == 1
    assert "YUI_RPC_URL must lead to a node, got http://127.0.0.1:1" in refused.stderr


def test_brownie_runs_the_deployment_on_a_chain_of_its_own(manifest_file):
    if any("." in part for part in ROOT.parts):
        pytest.skip("brownie runs no script below a folder with a dot in its name")
    environment = {**os.environ, "YUI_MANIFEST": str(manifest_file)}
    environment.pop("YUI_RPC_URL", None)
    for _ in range(2):
        run = subprocess.run(
            [ROOT / "deploy" / "with-tools", "brownie", "run", "deploy"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
    assert manifest(manifest_file)["block"] == 1

"""The day's chain and its market: started, deployed, tariff and sites enrolled."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from chain.anvil import AnvilChain, anvil
from chain.council import MARKET, Act, Council
from chain.market import MarketContract
from chain.network.keys import key_at
from chain.network.profile import profile_at
from chain.network.trial import TrialChain, trial
from chain.origin import OriginContract
from chain.safe import creation_of
from energy.errors import ChainError
from energy.market import MarketRules
from energy.messages import address_of
from energy.units import SLOT_SECONDS
from orchestrator.demo.site import SiteOfDay
from orchestrator.setting.sites import Setting

ANVIL, POA = "anvil", "poa"
NETWORKS = (ANVIL, POA)
"""A development chain, or seven members' validators that seal a block a second."""

DemoChain = AnvilChain | TrialChain
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def chain_of(network: str, start: int, folder: Path, setting: Setting) -> Iterator[DemoChain]:
    """Start the chain of a day at a time (unix seconds), and end it."""
    if network == ANVIL:
        with anvil(start, log=folder / "anvil.log") as node:
            yield node
        return
    names = [site.name.lower() for site in setting.sites]
    with trial(folder / "network", names, start) as (chain, _):
        yield chain


def deployed(
    node: DemoChain, setting: Setting, folder: Path, sites_file: Path | None
) -> tuple[str, str, str]:
    """Deploy market and ledger of origins; return their addresses and what deployed them."""
    script = ROOT / "deploy" / "with-tools"
    if (
        not script.exists()
        or shutil.which("brownie", path=str(Path(sys.executable).parent)) is None
    ):
        first_slot = node.now() // SLOT_SECONDS + 1
        rules: MarketRules = setting.market.rules(first_slot)
        market = MarketContract.deployed(node, _owner(node), rules)
        return market.address, OriginContract.deployed(node, market.address).address, "web3"
    manifest = folder / "manifest.json"
    environment = {
        **os.environ,
        "YUI_RPC_URL": node.url,
        "YUI_MANIFEST": str(manifest),
        "YUI_MODE": setting.market.mode,
    }
    if isinstance(node, TrialChain):
        accounts = node.network.absolute() / "accounts"
        environment["YUI_OWNER"] = _owner(node)
        environment["YUI_DEPLOYER_KEYSTORE"] = str(accounts / "deployer.json")
        environment["YUI_DEPLOYER_PASSPHRASE_FILE"] = str(accounts / "deployer.passphrase")
    if sites_file:
        environment["YUI_SITES"] = str(sites_file.resolve())
    done = subprocess.run(
        [script, "python", "-m", "deploy.deploy"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    (folder / "deploy.log").write_text(done.stdout + done.stderr)
    if done.returncode or not manifest.exists():
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise ChainError(f"brownie must deploy the market, got {last[0]}")
    contracts = json.loads(manifest.read_text())["contracts"]
    return contracts["Market"]["address"], contracts["Origin"]["address"], "brownie"


def enrol(
    node: DemoChain,
    market: MarketContract,
    setting: Setting,
    sites: list[SiteOfDay],
    first_slot: int,
) -> None:
    """Fund the sites' oracles, enact the tariff and enrol the sites, as owner or by the council."""
    keys = [(address_of(site.trader_key), address_of(site.oracle_key)) for site in sites]
    for _, oracle in keys:
        node.fund(oracle)
    if isinstance(node, TrialChain):
        words = tuple(tariff.to_word() for tariff in setting.tariffs)
        acts = [Act(MARKET, market.address, "enactTariff", (first_slot, words))]
        for site, pair in zip(sites, keys, strict=True):
            arguments = (first_slot, *pair, astuple(site.site.ratings))
            acts.append(Act(MARKET, market.address, "enrol", arguments))
        _decide(node, acts)
        return
    market.enact_tariff(first_slot, setting.tariffs)
    for site, pair in zip(sites, keys, strict=True):
        market.enrol(first_slot, *pair, site.site.ratings)


def _decide(node: TrialChain, acts: list[Act]) -> None:
    """Let as many members as are needed sign, and execute it."""
    profile = profile_at(node.network)
    council = Council(node, profile.safe)
    proposal = council.proposal(acts)
    for member in profile.members[: profile.threshold]:
        proposal = proposal.signed(key_at(node.network / "members" / member.name / "council.json"))
    council.execute(proposal)


def _owner(node: DemoChain) -> str:
    """Return who is to own the market: on the members' network, their council."""
    if not isinstance(node, TrialChain):
        return node.sender
    profile = profile_at(node.network)
    creation = creation_of(profile.seats, profile.threshold)
    node.send(creation.to, creation.data)
    return profile.safe

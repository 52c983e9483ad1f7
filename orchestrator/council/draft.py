"""A proposal in the making: its file, and the network, council and market that it is for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer
from eth_utils.address import is_address, to_checksum_address

from chain.council import MARKET, Act, Council, proposal_at
from chain.market import MarketContract
from chain.network.keys import key_at
from chain.network.profile import Profile, profile_at
from chain.node import NodeChain
from energy.errors import SettingError
from energy.reason import reason_of
from energy.units import SLOT_SECONDS
from orchestrator.council.words import words_of
from orchestrator.options import InLanguage
from orchestrator.words import Language

DEFAULT_NETWORK = Path(".yui/network")

Network = Annotated[
    Path, typer.Option("--network", help="The network's folder, or a member's own.")
]
Rpc = Annotated[
    str | None, typer.Option(help="A node; that of the network's first member if not given.")
]
File = Annotated[Path, typer.Option("--file", help="The proposal; made, or added to.")]
Manifest = Annotated[
    Path | None, typer.Option(help="The market's manifest; the network's own if not given.")
]


@dataclass(frozen=True)
class Draft:
    """What the commands under `yui council propose` add acts to."""

    file: Path
    network: Path
    rpc: str | None
    manifest: Path
    language: Language

    @cached_property
    def profile(self) -> Profile:
        """The network."""
        return profile_at(self.network)

    @cached_property
    def chain(self) -> NodeChain:
        """Its chain."""
        return self.profile.chain(self.rpc)

    @cached_property
    def council(self) -> Council:
        """Its council."""
        return Council(self.chain, self.profile.safe)

    @cached_property
    def market(self) -> MarketContract:
        """The market of the manifest."""
        return self.market_at(self.manifest)

    def market_at(self, manifest: Path) -> MarketContract:
        """Return the market of another manifest on the same chain.

        Raises:
            SettingError: if it is none.
        """
        try:
            address = json.loads(manifest.read_text())["contracts"]["Market"]["address"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingError(f"{manifest} must be a manifest, got {reason_of(error)}") from error
        return MarketContract(self.chain, address)

    def change(self, function: str, *arguments: object, at: int) -> None:
        """Add a change of the market's registry that holds from a slot on.

        Raises:
            SettingError: if that is too soon, or the arguments are impossible.
        """
        check_time(self.market, at)
        self.add(Act(MARKET, self.market.address, function, arguments))

    def add(self, act: Act) -> None:
        """Add an act, and say it in words.

        Raises:
            SettingError: if it is impossible, or the proposal is signed already.
        """
        if self.file.exists():
            proposal = proposal_at(self.file).with_act(act)
        else:
            proposal = self.council.proposal([act])
        act.call()
        proposal.write(self.file)
        print(words_of(proposal, self.profile, self.language)[-1])


def for_council(
    file: File = Path("proposal.json"),
    network: Network = DEFAULT_NETWORK,
    rpc: Rpc = None,
    language: InLanguage = Language.ENGLISH,
) -> Draft:
    """Return the draft that options name."""
    return Draft(file, network, rpc, network / "manifest.json", language)


def for_market(
    file: File = Path("proposal.json"),
    network: Network = DEFAULT_NETWORK,
    manifest: Manifest = None,
    rpc: Rpc = None,
    language: InLanguage = Language.ENGLISH,
) -> Draft:
    """Return the draft that options name, with its market."""
    return Draft(file, network, rpc, manifest or network / "manifest.json", language)


def check_time(market: MarketContract, slot: int) -> None:
    """Demand that a slot is beyond the horizon, or the market would refuse it at the end.

    Raises:
        SettingError: naming the earliest.
    """
    earliest = market.chain.now() // SLOT_SECONDS + market.rules.horizon + 1
    if slot < earliest:
        raise SettingError(
            f"--from must leave time to sign, and be slot {earliest} at the earliest, got {slot}"
        )


def payer_of(network: Path, name: str) -> bytes:
    """Return the key of an account that pays for gas, from the network's folder."""
    return key_at(network / "accounts" / f"{name}.json")


def address_named(option: str, text: str) -> str:
    """Return an address that a person gave with an option."""
    if not is_address(text):
        raise SettingError(f"{option} must be an address, got {text!r}")
    return to_checksum_address(text)

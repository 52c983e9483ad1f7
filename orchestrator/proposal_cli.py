"""`yui council propose`: put acts into a proposal's file."""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path
from typing import Annotated

import typer
from eth_utils.address import is_address, to_checksum_address

from chain.council import ACCOUNT, COUNCIL, MARKET, Act, Council, proposal_at
from chain.market import MarketContract
from chain.network.genesis import COIN
from chain.network.keys import key_at
from chain.network.profile import Profile, profile_at
from chain.node import NodeChain
from energy.errors import SettingError
from energy.units import SLOT_SECONDS, slot_from
from orchestrator.council_words import words_of
from orchestrator.setting.sites import load_setting
from orchestrator.words import Language

DEFAULT_NETWORK = Path(".yui/network")
DEFAULT_FILE = Path("proposal.json")

propose = typer.Typer(
    no_args_is_help=True,
    help="Put an act into a proposal's file; acts of one file are done together or not at all.",
)

Network = Annotated[
    Path, typer.Option("--network", help="The network's folder, or a member's own.")
]
File = Annotated[Path, typer.Option("--file", help="The proposal; made, or added to.")]
Manifest = Annotated[
    Path | None, typer.Option(help="The market's manifest; the network's own if not given.")
]
From = Annotated[
    str, typer.Option("--from", help="The first half hour it holds for, as '2026-12-01 00:00'.")
]
Rpc = Annotated[
    str | None, typer.Option(help="A node; that of the network's first member if not given.")
]
Sites = Annotated[Path | None, typer.Option(help="A sites file of your own.")]
SiteNumber = Annotated[int, typer.Option(help="The site's number on the market.")]
Trader = Annotated[str | None, typer.Option(help="The address of the trader's key.")]
Oracle = Annotated[str | None, typer.Option(help="The address of the oracle's key.")]


@propose.command()
def enrol(
    site: Annotated[str, typer.Option(help="Its name in the sites file.")],
    trader: Annotated[str, typer.Option(help="The address of the trader's key.")],
    oracle: Annotated[str, typer.Option(help="The address of the oracle's key.")],
    from_slot: From,
    sites: Sites = None,
    file: File = DEFAULT_FILE,
    network: Network = DEFAULT_NETWORK,
    manifest: Manifest = None,
    rpc: Rpc = None,
) -> None:
    """Enrol a site of the sites file; it gets the market's next number."""
    found = [each for each in load_setting(sites).sites if each.name.lower() == site.lower()]
    if not found:
        raise SettingError(f"--site must be a site of the sites file, got {site!r}")
    slot = _slot(from_slot)
    keys = (_address("--trader", trader), _address("--oracle", oracle))
    _add(network, manifest, rpc, file, "enrol", slot, *keys, astuple(found[0].ratings), at=slot)


@propose.command()
def rotate(
    site: SiteNumber,
    from_slot: From,
    trader: Trader = None,
    oracle: Oracle = None,
    file: File = DEFAULT_FILE,
    network: Network = DEFAULT_NETWORK,
    manifest: Manifest = None,
    rpc: Rpc = None,
) -> None:
    """Give a site another trader's or oracle's key, or both; its ratings stay."""
    if trader is None and oracle is None:
        raise SettingError("--trader or --oracle must be given, got neither")
    slot = _slot(from_slot)
    market = _market(network, manifest, rpc)
    terms = market.site_at(site, slot)
    if terms is None:
        raise SettingError(f"site {site} must take part in the slot, got none")
    keys = (
        _address("--trader", trader) if trader else terms.trader,
        _address("--oracle", oracle) if oracle else terms.oracle,
    )
    ratings = astuple(terms.ratings)
    _add(network, manifest, rpc, file, "amend", site, slot, *keys, ratings, at=slot)


@propose.command()
def suspend(
    site: SiteNumber,
    from_slot: From,
    file: File = DEFAULT_FILE,
    network: Network = DEFAULT_NETWORK,
    manifest: Manifest = None,
    rpc: Rpc = None,
) -> None:
    """Let a site take no part from a half hour on, until it is amended."""
    slot = _slot(from_slot)
    _add(network, manifest, rpc, file, "suspend", site, slot, at=slot)


@propose.command()
def retire(
    site: SiteNumber,
    from_slot: From,
    file: File = DEFAULT_FILE,
    network: Network = DEFAULT_NETWORK,
    manifest: Manifest = None,
    rpc: Rpc = None,
) -> None:
    """Let a site take no part from a half hour on, for good."""
    slot = _slot(from_slot)
    _add(network, manifest, rpc, file, "retire", site, slot, at=slot)


@propose.command()
def void(
    site: SiteNumber,
    slots: Annotated[
        list[str], typer.Option("--slot", help="A half hour, as '2026-12-01 00:00'; repeat it.")
    ],
    file: File = DEFAULT_FILE,
    network: Network = DEFAULT_NETWORK,
    manifest: Manifest = None,
    rpc: Rpc = None,
) -> None:
    """Void a site's orders for half hours before its new trader's key holds."""
    market = _market(network, manifest, rpc)
    numbers = tuple(_slot(each) for each in slots)
    _write(network, rpc, file, Act(MARKET, market.address, "voidOrders", (site, numbers)))


@propose.command()
def tariff(
    from_slot: From,
    sites: Sites = None,
    file: File = DEFAULT_FILE,
    network: Network = DEFAULT_NETWORK,
    manifest: Manifest = None,
    rpc: Rpc = None,
) -> None:
    """Enact the sites file's prices and fee."""
    slot = _slot(from_slot)
    words = tuple(each.to_word() for each in load_setting(sites).tariffs)
    _add(network, manifest, rpc, file, "enactTariff", slot, words, at=slot)


@propose.command()
def pay(
    to: Annotated[str, typer.Option(help="A name of the profile (relay, ...), or an address.")],
    coins: Annotated[float, typer.Option(help="How many.")],
    file: File = DEFAULT_FILE,
    network: Network = DEFAULT_NETWORK,
    rpc: Rpc = None,
) -> None:
    """Top an account up from what the council holds."""
    profile = profile_at(network)
    names = {**profile.accounts, **{each.name: each.validator for each in profile.members}}
    address = names.get(to) or _address("--to", to)
    if not 0 < coins <= 10**9:
        raise SettingError(f"--coins must be above 0 and at most 10^9, got {coins:g}")
    _write(network, rpc, file, Act(ACCOUNT, address, value=round(coins * COIN)))


@propose.command()
def seat(
    add: Annotated[str | None, typer.Option(help="Who comes: an address.")] = None,
    remove: Annotated[
        str | None, typer.Option(help="Who goes: a member's name or address.")
    ] = None,
    threshold: Annotated[int | None, typer.Option(help="How many must then sign.")] = None,
    file: File = DEFAULT_FILE,
    network: Network = DEFAULT_NETWORK,
    rpc: Rpc = None,
) -> None:
    """Change who sits in the council (both options: one takes the other's place)."""
    profile = profile_at(network)
    council = Council(network_chain(network, profile, rpc), profile.safe)
    owners = council.owners()
    number = council.threshold() if threshold is None else threshold
    comes = _address("--add", add) if add else None
    goes = None
    if remove:
        named = {each.name: each.council for each in profile.members}
        goes = named.get(remove) or _address("--remove", remove)
        if goes not in owners:
            raise SettingError(f"--remove must name a seat of the council, got {remove}")
    # The contract keeps its owners in a ring that begins and ends with this address.
    before = {
        owner: previous
        for previous, owner in zip(("0x" + "0" * 39 + "1", *owners), owners, strict=False)
    }
    if comes and goes:
        act = Act(COUNCIL, profile.safe, "swapOwner", (before[goes], goes, comes))
    elif comes:
        act = Act(COUNCIL, profile.safe, "addOwnerWithThreshold", (comes, number))
    elif goes:
        act = Act(COUNCIL, profile.safe, "removeOwner", (before[goes], goes, number))
    else:
        act = Act(COUNCIL, profile.safe, "changeThreshold", (number,))
    _write(network, rpc, file, act)


@propose.command()
def move(
    to: Annotated[Path, typer.Option(help="The new deployment's manifest.")],
    from_slot: From,
    file: File = DEFAULT_FILE,
    network: Network = DEFAULT_NETWORK,
    manifest: Manifest = None,
    rpc: Rpc = None,
) -> None:
    """Hand over to a new deployment: its tariff and sites are those of the old one, which then
    has none."""
    slot = _slot(from_slot)
    old = _market(network, manifest, rpc)
    new = _market(network, to, rpc)
    _check_time(new, slot)
    day = [old.tariff_at(slot + offset).to_word() for offset in range(48)]
    shift = (slot + 18) % 48
    words = tuple(day[(at - shift) % 48] for at in range(48))
    _write(network, rpc, file, Act(MARKET, new.address, "enactTariff", (slot, words)))
    enrolled, _ = old.sites_at(slot)
    for site in range(enrolled):
        terms = old.site_at(site, slot)
        if terms is None:
            raise SettingError(
                f"every site of the old market must take part to keep its number, got none at "
                f"{site}: enrol the sites of the new one by hand"
            )
        arguments = (slot, terms.trader, terms.oracle, astuple(terms.ratings))
        _write(network, rpc, file, Act(MARKET, new.address, "enrol", arguments))
    for site in range(enrolled):
        _write(network, rpc, file, Act(MARKET, old.address, "retire", (site, slot)))


def _add(
    network: Path,
    manifest: Path | None,
    rpc: str | None,
    file: Path,
    function: str,
    *arguments: object,
    at: int,
) -> None:
    market = _market(network, manifest, rpc)
    _check_time(market, at)
    _write(network, rpc, file, Act(MARKET, market.address, function, arguments))


def _write(network: Path, rpc: str | None, file: Path, act: Act) -> None:
    profile = profile_at(network)
    if file.exists():
        proposal = proposal_at(file).with_act(act)
    else:
        proposal = Council(network_chain(network, profile, rpc), profile.safe).proposal([act])
    act.call()
    proposal.write(file)
    print(words_of(proposal, profile, Language.ENGLISH)[-1])


def _check_time(market: MarketContract, slot: int) -> None:
    """Demand that a slot is beyond the horizon, or the market would refuse it at the end."""
    earliest = market.chain.now() // SLOT_SECONDS + market.rules.horizon + 1
    if slot < earliest:
        raise SettingError(
            f"--from must leave time to sign, and be slot {earliest} at the earliest, got {slot}"
        )


def _market(network: Path, manifest: Path | None, rpc: str | None) -> MarketContract:
    file = manifest or network / "manifest.json"
    try:
        address = json.loads(file.read_text())["contracts"]["Market"]["address"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{file} must be a manifest, got {error!r}") from error
    return MarketContract(network_chain(network, profile_at(network), rpc), address)


def network_chain(
    network: Path, profile: Profile, rpc: str | None, pays: str | None = None
) -> NodeChain:
    """Return the network's chain; `pays` names the account, with its key here, that pays."""
    key = None
    if pays:
        key = key_at(network / "accounts" / f"{pays}.json")
    return profile.chain(rpc, key)


def _slot(text: str) -> int:
    try:
        return slot_from(text)
    except ValueError as error:
        raise SettingError(str(error)) from error


def _address(option: str, text: str) -> str:
    if not is_address(text):
        raise SettingError(f"{option} must be an address, got {text!r}")
    return to_checksum_address(text)

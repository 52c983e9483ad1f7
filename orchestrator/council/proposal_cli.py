"""`yui council propose`: put acts into a proposal's file."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Annotated

import typer

from chain.council import ACCOUNT, COUNCIL, MARKET, Act
from chain.network.genesis import COIN
from energy.errors import SettingError
from orchestrator.council.draft import (
    Draft,
    address_named,
    check_time,
    for_council,
    for_market,
)
from orchestrator.dates import slot_named
from orchestrator.options import with_options
from orchestrator.setting.sites import load_setting

propose = typer.Typer(
    no_args_is_help=True,
    help="Put an act into a proposal's file; acts of one file are done together or not at all.",
)

From = Annotated[
    str, typer.Option("--from", help="The first half hour it holds for, as '2026-12-01 00:00'.")
]
Sites = Annotated[Path | None, typer.Option(help="A sites file of your own.")]
SiteNumber = Annotated[int, typer.Option(help="The site's number on the market.")]
Trader = Annotated[str | None, typer.Option(help="The address of the trader's key.")]
Oracle = Annotated[str | None, typer.Option(help="The address of the oracle's key.")]


@propose.command()
@with_options(for_market)
def enrol(
    draft: Draft,
    site: Annotated[str, typer.Option(help="Its name in the sites file.")],
    trader: Annotated[str, typer.Option(help="The address of the trader's key.")],
    oracle: Annotated[str, typer.Option(help="The address of the oracle's key.")],
    from_slot: From,
    sites: Sites = None,
) -> None:
    """Enrol a site of the sites file; it gets the market's next number."""
    found = [each for each in load_setting(sites).sites if each.name.lower() == site.lower()]
    if not found:
        raise SettingError(f"--site must be a site of the sites file, got {site!r}")
    slot = slot_named(from_slot)
    keys = (address_named("--trader", trader), address_named("--oracle", oracle))
    draft.change("enrol", slot, *keys, astuple(found[0].ratings), at=slot)


@propose.command()
@with_options(for_market)
def rotate(
    draft: Draft,
    site: SiteNumber,
    from_slot: From,
    trader: Trader = None,
    oracle: Oracle = None,
) -> None:
    """Give a site another trader's or oracle's key, or both; its ratings stay."""
    if trader is None and oracle is None:
        raise SettingError("--trader or --oracle must be given, got neither")
    slot = slot_named(from_slot)
    terms = draft.market.site_at(site, slot)
    if terms is None:
        raise SettingError(f"site {site} must take part in the slot, got none")
    keys = (
        address_named("--trader", trader) if trader else terms.trader,
        address_named("--oracle", oracle) if oracle else terms.oracle,
    )
    draft.change("amend", site, slot, *keys, astuple(terms.ratings), at=slot)


@propose.command()
@with_options(for_market)
def suspend(draft: Draft, site: SiteNumber, from_slot: From) -> None:
    """Let a site take no part from a half hour on, until it is amended."""
    slot = slot_named(from_slot)
    draft.change("suspend", site, slot, at=slot)


@propose.command()
@with_options(for_market)
def retire(draft: Draft, site: SiteNumber, from_slot: From) -> None:
    """Let a site take no part from a half hour on, for good."""
    slot = slot_named(from_slot)
    draft.change("retire", site, slot, at=slot)


@propose.command()
@with_options(for_market)
def void(
    draft: Draft,
    site: SiteNumber,
    slots: Annotated[
        list[str], typer.Option("--slot", help="A half hour, as '2026-12-01 00:00'; repeat it.")
    ],
) -> None:
    """Void a site's orders for half hours before its new trader's key holds."""
    numbers = tuple(slot_named(each) for each in slots)
    draft.add(Act(MARKET, draft.market.address, "voidOrders", (site, numbers)))


@propose.command()
@with_options(for_market)
def tariff(draft: Draft, from_slot: From, sites: Sites = None) -> None:
    """Enact the sites file's prices and fee."""
    slot = slot_named(from_slot)
    words = tuple(each.to_word() for each in load_setting(sites).tariffs)
    draft.change("enactTariff", slot, words, at=slot)


@propose.command()
@with_options(for_council)
def pay(
    draft: Draft,
    to: Annotated[str, typer.Option(help="A name of the profile (relay, ...), or an address.")],
    coins: Annotated[float, typer.Option(help="How many.")],
) -> None:
    """Top an account up from what the council holds."""
    profile = draft.profile
    names = {**profile.accounts, **{each.name: each.validator for each in profile.members}}
    address = names.get(to) or address_named("--to", to)
    if not 0 < coins <= 10**9:
        raise SettingError(f"--coins must be above 0 and at most 10^9, got {coins:g}")
    draft.add(Act(ACCOUNT, address, value=round(coins * COIN)))


@propose.command()
@with_options(for_council)
def seat(
    draft: Draft,
    add: Annotated[str | None, typer.Option(help="Who comes: an address.")] = None,
    remove: Annotated[
        str | None, typer.Option(help="Who goes: a member's name or address.")
    ] = None,
    threshold: Annotated[int | None, typer.Option(help="How many must then sign.")] = None,
) -> None:
    """Change who sits in the council (both options: one takes the other's place)."""
    profile, owners = draft.profile, draft.council.owners()
    number = draft.council.threshold() if threshold is None else threshold
    comes = address_named("--add", add) if add else None
    goes = None
    if remove:
        named = {each.name: each.council for each in profile.members}
        goes = named.get(remove) or address_named("--remove", remove)
        if goes not in owners:
            raise SettingError(f"--remove must name a seat of the council, got {remove}")
    # The contract keeps its owners in a ring that begins and ends with this address.
    ring = ("0x" + "0" * 39 + "1", *owners)
    before = dict(zip(owners, ring, strict=False))
    if comes and goes:
        act = Act(COUNCIL, profile.safe, "swapOwner", (before[goes], goes, comes))
    elif comes:
        act = Act(COUNCIL, profile.safe, "addOwnerWithThreshold", (comes, number))
    elif goes:
        act = Act(COUNCIL, profile.safe, "removeOwner", (before[goes], goes, number))
    else:
        act = Act(COUNCIL, profile.safe, "changeThreshold", (number,))
    draft.add(act)


@propose.command()
@with_options(for_market)
def move(
    draft: Draft,
    to: Annotated[Path, typer.Option(help="The new deployment's manifest.")],
    from_slot: From,
) -> None:
    """Hand over to a new deployment: its tariff and sites are those of the old one, which then
    has none."""
    slot = slot_named(from_slot)
    old, new = draft.market, draft.market_at(to)
    check_time(new, slot)
    day = [old.tariff_at(slot + offset).to_word() for offset in range(48)]
    shift = (slot + 18) % 48
    words = tuple(day[(at - shift) % 48] for at in range(48))
    draft.add(Act(MARKET, new.address, "enactTariff", (slot, words)))
    enrolled, _ = old.sites_at(slot)
    for site in range(enrolled):
        terms = old.site_at(site, slot)
        if terms is None:
            raise SettingError(
                f"every site of the old market must take part to keep its number, got none at "
                f"{site}: enrol the sites of the new one by hand"
            )
        arguments = (slot, terms.trader, terms.oracle, astuple(terms.ratings))
        draft.add(Act(MARKET, new.address, "enrol", arguments))
    for site in range(enrolled):
        draft.add(Act(MARKET, old.address, "retire", (site, slot)))

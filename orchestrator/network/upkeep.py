"""`yui network`: keep a network going: votes on who seals, the profile, what pays for gas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from eth_utils.address import is_address, to_checksum_address

from chain.funds import LOW_DAYS, funds_of
from chain.network.genesis import COIN
from chain.network.keys import key_at
from chain.network.node import MemberNode, nodes_in
from chain.network.profile import Profile, profile_at
from chain.network.votes import Standing, voted
from chain.node import NodeChain
from energy.errors import ChainError, SettingError
from orchestrator import screen
from orchestrator.council.draft import DEFAULT_NETWORK, Network
from orchestrator.network.view import funds_table
from orchestrator.network.words import say
from orchestrator.options import InLanguage, Json
from orchestrator.words import Language


def mount(app: typer.Typer) -> None:
    """Add the commands to `yui network`."""
    for command in (vote, refresh, funds, pay):
        app.command()(command)


def vote(
    network: Network = DEFAULT_NETWORK,
    add: Annotated[str | None, typer.Option(help="Whom to let seal: a name or address.")] = None,
    remove: Annotated[
        str | None, typer.Option(help="Who shall seal no more: a name or address.")
    ] = None,
    voters: Annotated[
        str | None,
        typer.Option("--as", help="Who votes, as a,b,c; all that are here, if not given."),
    ] = None,
    timeout: Annotated[int, typer.Option(help="Seconds to wait for votes to be cast.")] = 120,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Vote a validator in or out; more than half of the validators must agree."""
    if (add is None) is (remove is None):
        raise SettingError("one of --add and --remove must be given")
    candidate = _validator(profile_at(network), add or remove or "")
    nodes = _voters(network, voters)
    if voters is None and remove is not None:
        nodes = [node for node in nodes if node.member.validator != candidate]
    before, after = voted(nodes, candidate, add is not None, timeout)
    profile = profile_at(network).with_validators(after.validators)
    passed = (candidate in after.validators) is (add is not None)
    if passed:
        profile.write(network)
    if as_json:
        print(
            json.dumps(
                {
                    "before": {"block": before.block, "validators": before.validators},
                    "after": {"block": after.block, "validators": after.validators},
                    "passed": passed,
                    "votes": after.voters,
                    "needed": after.needed,
                },
                indent=2,
            )
        )
        return
    print(_standing("before", before, profile, language))
    print(_standing("after", after, profile, language))
    if passed:
        print(say(language, "passed", depth=profile.depth))
    else:
        print(say(language, "not_passed", votes=len(after.voters), needed=after.needed))


def refresh(
    network: Network = DEFAULT_NETWORK,
    known_by: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Where no node runs: a member's folder or network.json to take it from."
        ),
    ] = None,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Renew the profile by what the chain says: who seals, and so how deep is final."""
    if known_by is not None:
        _renew(network, profile_at(known_by), language)
        return
    nodes = _answering(network)
    sealers = [to_checksum_address(each) for each in nodes[0].ask("clique_getSigners")]
    for node in nodes:
        node.keep_validators(sealers)
    _renew(network, profile_at(network).with_validators(tuple(sealers)), language)


def funds(
    network: Network = DEFAULT_NETWORK,
    low_days: Annotated[
        float, typer.Option(help="Low is what lasts fewer days, at the use of the last one.")
    ] = LOW_DAYS,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Say what each account has to pay gas with, and how long it lasts; exit code 1 if one is
    low that does not earn by sealing."""
    profile, chain = profile_at(network), _chain(network)
    accounts = {
        **{each.name: each.validator for each in profile.members},
        **profile.accounts,
        "council": profile.safe,
    }
    found = {name: funds_of(chain, address, low_days) for name, address in accounts.items()}
    if as_json:
        rows = [
            {
                "name": name,
                "address": each.address,
                "coins": each.coins,
                "transactions": each.transactions,
                "days": each.days,
                "low": each.low,
            }
            for name, each in found.items()
        ]
        print(json.dumps(rows, indent=2))
    else:
        screen.console().print(funds_table(found, language))
    if any(each.low for each in found.values() if each.address not in profile.validators):
        raise typer.Exit(1)


def pay(
    to: Annotated[str, typer.Option(help="A name of the profile, or an address.")],
    coins: Annotated[float, typer.Option(help="How many.")],
    payer: Annotated[
        str, typer.Option("--from", help="A member or account whose key is here.")
    ] = "relay",
    network: Network = DEFAULT_NETWORK,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Hand coins on, as a validator does with what it earned."""
    profile = profile_at(network)
    if not 0 < coins <= 10**9:
        raise SettingError(f"--coins must be above 0 and at most 10^9, got {coins:g}")
    address = profile.accounts.get(to) or _validator(profile, to)
    chain = _chain(network).as_sender(key_at(_keystore(network, payer)))
    chain.finally_in(chain.send(address, b"", round(coins * COIN)))
    coins_now = chain.balance_of(address) / COIN
    print(say(language, "paid", name=profile.name_of(address), coins=coins_now))


def _renew(network: Path, profile: Profile, language: Language) -> None:
    before = profile_at(network)
    if (profile.chain_id, profile.safe) != (before.chain_id, before.safe):
        raise SettingError(
            f"--from must be of chain {before.chain_id} with council {before.safe}, got chain "
            f"{profile.chain_id} with {profile.safe}"
        )
    profile.write(network if network.is_dir() else network.parent)
    print(say(language, "renewed", count=len(profile.validators), depth=profile.depth))


def _keystore(network: Path, payer: str) -> Path:
    """Return the key of a member or account: in the network's folder, or the member's own."""
    own = network / "members" / payer / "validator.json"
    alone = network / "validator.json"
    if own.exists():
        return own
    return alone if alone.exists() else network / "accounts" / f"{payer}.json"


def _voters(network: Path, named: str | None) -> list[MemberNode]:
    if named is None:
        return _answering(network)
    here = {node.name: node for node in nodes_in(network)}
    unknown = set(named.split(",")) - set(here)
    if unknown:
        raise SettingError(f"voters must be members here, got {', '.join(sorted(unknown))}")
    return [here[each] for each in named.split(",")]


def _answering(network: Path) -> list[MemberNode]:
    nodes = [node for node in nodes_in(network) if node.answers()]
    if not nodes:
        raise ChainError(f"a node of {network} must run here, got none (`yui network up`)")
    return nodes


def _chain(network: Path) -> NodeChain:
    return _answering(network)[0].chain()


def _validator(profile: Profile, named: str) -> str:
    return to_checksum_address(named) if is_address(named) else profile.member(named).validator


def _standing(when: str, standing: Standing, profile: Profile, language: Language) -> str:
    names = ", ".join(profile.name_of(each) for each in standing.validators)
    return say(
        language,
        "votes",
        when=say(language, when),
        block=standing.block,
        count=len(standing.validators),
        names=names,
    )

"""The files of a network, and of each member: made once, handed out, never written over.

NETWORK/network.json genesis.json          what all know
NETWORK/members/NAME/
    member.json                            the member's public half
    node.key                               its node is known to its peers by this
    validator.json validator.passphrase    seals blocks and votes
    council.json council.passphrase        signs for the council: keep it off line
    network.json genesis.json geth.toml    from `network.json`, at `create` or `join`
    yui-validator.service compose.yaml     run its node on a host of its own
    data/                                  the chain
NETWORK/accounts/NAME.json NAME.passphrase prefunded: deployer, relay, oracles
NETWORK/deploy.env                         settings of a deployment to it
NETWORK/clock                              only in a trial: its clock can be set
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from chain.files import write_whole
from chain.network.genesis import COIN, GAS_PRICE_WEI, genesis
from chain.network.keys import new_key, new_node_key
from chain.network.profile import GENESIS_FILE, Member, Profile, majority_of, profile_at
from chain.network.units import compose_file, deploy_settings, service_unit
from chain.safe import address_of_safe
from energy.errors import SettingError
from energy.reason import reason_of

MEMBER_FILE = "member.json"
FIRST_PORT, FIRST_RPC_PORT = 30303, 8545
PREFUNDED = 1_000
"""Coins of each prefunded account: at 1 gwei a gas, 10^12 gas."""
RESERVE = 1_000_000
"""Coins of the council, to top accounts up with."""


def new_member(
    folder: Path,
    name: str,
    host: str = "127.0.0.1",
    port: int = FIRST_PORT,
    rpc_port: int = FIRST_RPC_PORT,
) -> Member:
    """Make a member's keys and return its public half, which is also `member.json`.

    Raises:
        SettingError: if the folder holds a member already.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (folder / MEMBER_FILE).exists():
        raise SettingError(f"{folder} must hold no member yet, got {MEMBER_FILE}")
    member = Member(
        name=name,
        validator=new_key(folder, "validator"),
        council=new_key(folder, "council"),
        node=new_node_key(folder / "node.key"),
        host=host,
        port=port,
        rpc_port=rpc_port,
    )
    write_whole(folder / MEMBER_FILE, json.dumps(asdict(member), indent=2) + "\n")
    return member


def member_at(file: Path) -> Member:
    """Read a member's public half: `member.json`, or the folder that holds it.

    Raises:
        SettingError: if it is none.
    """
    file = file / MEMBER_FILE if file.is_dir() else file
    try:
        return Member(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise SettingError(
            f"{file} must be a member's public half, got {reason_of(error)}"
        ) from error


def create(
    folder: Path,
    name: str,
    members: Sequence[Member],
    chain_id: int,
    period_seconds: int,
    threshold: int | None = None,
    accounts: Sequence[str] = ("deployer", "relay"),
    funded: Mapping[str, str] | None = None,
    start_time: int | None = None,
) -> Profile:
    """Make a network of members; keys of theirs that lie in `folder/members` stay as they are.

    `accounts` are made and prefunded, `funded` (address by name) prefunded only. The council's
    `threshold` is by default five of seven, and for other numbers the nearest above two thirds.
    `start_time`, unix seconds, makes it a trial: its clock stands there when it is first set.

    Raises:
        SettingError: if the members or numbers are impossible, or the folder has a network.
    """
    threshold = (2 * len(members) + 2) // 3 if threshold is None else threshold
    _check(folder, members, chain_id, period_seconds, threshold)
    folder.mkdir(parents=True, exist_ok=True)
    made = {each: new_key(folder / "accounts", each) for each in accounts}
    seats = tuple(member.council for member in members)
    profile = Profile(
        name=name,
        chain_id=chain_id,
        period_seconds=period_seconds,
        gas_price_wei=GAS_PRICE_WEI,
        threshold=threshold,
        safe=address_of_safe(seats, threshold),
        seats=seats,
        members=tuple(members),
        validators=tuple(member.validator for member in members),
        accounts={**made, **(funded or {})},
    )
    balances = dict.fromkeys((*profile.validators, *profile.accounts.values()), PREFUNDED * COIN)
    balances[profile.safe] = RESERVE * COIN
    begins = int(time.time()) if start_time is None else start_time
    first = genesis(chain_id, period_seconds, profile.validators, balances, begins)
    write_whole(folder / GENESIS_FILE, json.dumps(first, indent=2) + "\n")
    profile.write(folder)
    (folder / "deploy.env").write_text(deploy_settings(profile))
    if start_time is not None:
        (folder / "clock").write_bytes(bytes(8))
    for member in members:
        own = folder / "members" / member.name
        if own.exists():
            join(own, folder)
    return profile


def join(own: Path, network: Path) -> Profile:
    """Put what all know into a member's own folder, and what its node reads; return the profile.

    Raises:
        SettingError: if the network does not know the member as it is.
    """
    member, profile = member_at(own), profile_at(network)
    if profile.member(member.name) != member:
        raise SettingError(
            f"member {member.name} must be in {network} as in {own / MEMBER_FILE}, "
            f"got {profile.member(member.name)}"
        )
    if own.resolve() != network.resolve():
        shutil.copyfile(network / GENESIS_FILE, own / GENESIS_FILE)
        profile.write(own)
    (own / "geth.toml").write_text(_geth_toml(profile, member))
    (own / "compose.yaml").write_text(compose_file(member))
    (own / "yui-validator.service").write_text(service_unit(own))
    return profile


def with_member(profile: Profile, member: Member) -> Profile:
    """Return a profile that knows one more member, or one member anew (another host or key).

    Raises:
        SettingError: if it would share an address or name with another.
    """
    others = tuple(each for each in profile.members if each.name != member.name)
    _check_distinct([*others, member])
    return replace(profile, members=(*others, member))


def _geth_toml(profile: Profile, member: Member) -> str:
    peers = ",\n".join(f'  "{each.enode}"' for each in profile.members if each.node != member.node)
    return f"[Node.P2P]\nNoDiscovery = true\nMaxPeers = 50\nStaticNodes = [\n{peers}\n]\n"


def _check(
    folder: Path, members: Sequence[Member], chain_id: int, period_seconds: int, threshold: int
) -> None:
    if (folder / GENESIS_FILE).exists():
        raise SettingError(f"{folder} must hold no network yet, got {GENESIS_FILE}")
    if not members:
        raise SettingError("a network must have members, got none")
    if not 0 < chain_id < 2**53:
        raise SettingError(f"a chain id must be from 1 to 2^53 - 1, got {chain_id}")
    if not 1 <= period_seconds <= 60:
        raise SettingError(f"a block period must be from 1 to 60 s, got {period_seconds} s")
    if not majority_of(len(members)) <= threshold <= len(members):
        raise SettingError(
            f"the council's threshold must be from {majority_of(len(members))} to "
            f"{len(members)}, got {threshold}"
        )
    _check_distinct(members)


def _check_distinct(members: Sequence[Member]) -> None:
    values: list[tuple[str, Any]] = [
        *(("name", member.name) for member in members),
        *(("validator", member.validator.lower()) for member in members),
        *(("council key", member.council.lower()) for member in members),
        *(("node key", member.node) for member in members),
        *(("address", (member.host, member.port)) for member in members),
    ]
    for what, value in values:
        if values.count((what, value)) > 1:
            raise SettingError(f"each member's {what} must be its own, got {value} twice")

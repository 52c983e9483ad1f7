"""The settings file that `yui oracle init` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from eth_utils.address import is_address

from chain.network.folders import MEMBER_FILE, member_at
from chain.network.profile import PROFILE_FILE, profile_at
from energy.errors import SettingError
from oracle.settings import MOST_SITES, manifest_at

_TEXT = """\
# A terminal's settings; docs/site.md says what each of them means.

[site]
number = {site}

[chain]
rpc = {rpc}
market = {market}
# origin = "0x..."          # the ledger of origins: then each day is attested
{depth}

[key]
keystore = "oracle.json"
passphrase = {passphrase}

[store]
outbox = "outbox.sqlite"
keep_days = 30

[run]
sample_seconds = 10
port = 9464

# One table a device. `yui oracle probe` shows what is there.

[[device]]
role = "meter"
host = "127.0.0.1"
port = 5020
unit = 1
ceiling_w = 100_000

[[device]]
role = "inverter"
host = "127.0.0.1"
port = 5020
unit = 2
ceiling_w = 60_000

[[device]]
role = "battery"
host = "127.0.0.1"
port = 5020
unit = 3
ceiling_w = 30_000
"""


class Place(NamedTuple):
    """The deployment that a terminal is to work for; `network` is the members' profile."""

    rpc: str
    market: str
    chain_id: int
    network: Path | None = None


def place_of(
    market: str | None, chain_id: int | None, rpc: str | None, network: Path | None
) -> Place:
    """Return the deployment that is named, or that a network's own files tell of.

    Raises:
        SettingError: if neither tells it, or they contradict each other.
    """
    if network is not None:
        folder = network if network.is_dir() else network.parent
        profile = profile_at(network)
        if chain_id not in (None, profile.chain_id):
            raise SettingError(
                f"--chain-id must be left out, or be the network's {profile.chain_id}, got "
                f"{chain_id}"
            )
        chain_id = profile.chain_id
        if rpc is None and (folder / MEMBER_FILE).exists():
            rpc = member_at(folder).url
        if market is None and (folder / "manifest.json").exists():
            market, _, _ = manifest_at(folder / "manifest.json")
        network = folder / PROFILE_FILE if network.is_dir() else network
    if market is None:
        raise SettingError("--market must be given where no network's manifest tells it")
    if chain_id is None:
        raise SettingError("--chain-id or --network must be given, got neither")
    return Place(rpc or "http://127.0.0.1:8545", market, chain_id, network)


def settings_text(site: int, place: Place, passphrase_file: Path | None) -> str:
    """Return the text of a settings file whose devices are those of `yui simulate site`.

    With a network, it is its profile that says the chain's id and how deep is final.

    Raises:
        SettingError: for a value that cannot be.
    """
    if not 0 <= site < MOST_SITES:
        raise SettingError(f"--site must be 0 to {MOST_SITES - 1}, got {site}")
    if not is_address(place.market):
        raise SettingError(
            f"--market must be an address (0x and 40 hex digits), got {place.market!r}"
        )
    if place.chain_id < 1:
        raise SettingError(f"--chain-id must be 1 or more, got {place.chain_id}")
    passphrase = "passphrase" if passphrase_file is None else str(passphrase_file.resolve())
    depth = f"chain_id = {place.chain_id}\nconfirmations = 4"
    if place.network is not None:
        # After a vote on who seals it is renewed in place: no copy.
        depth = f"network = {json.dumps(str(place.network.resolve()))}"
    return _TEXT.format(
        site=site,
        rpc=json.dumps(place.rpc),
        market=json.dumps(place.market),
        depth=depth,
        passphrase=json.dumps(passphrase),
    )

"""The settings file that `yui oracle init` writes."""

from __future__ import annotations

import json
from pathlib import Path

from eth_utils.address import is_address

from energy.errors import SettingError
from oracle.settings import MOST_SITES

_TEXT = """\
# A terminal's settings; docs/site.md says what each of them means.

[site]
number = {site}

[chain]
rpc = {rpc}
market = {market}
# origin = "0x..."          # the ledger of origins: then each day is attested
chain_id = {chain_id}
confirmations = 4

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


def settings_text(
    site: int, market: str, chain_id: int, rpc: str, passphrase_file: Path | None
) -> str:
    """Return the text of a settings file whose devices are those of `yui simulate site`.

    Raises:
        SettingError: for a value that cannot be.
    """
    if not 0 <= site < MOST_SITES:
        raise SettingError(f"--site must be 0 to {MOST_SITES - 1}, got {site}")
    if not is_address(market):
        raise SettingError(f"--market must be an address (0x and 40 hex digits), got {market!r}")
    if chain_id < 1:
        raise SettingError(f"--chain-id must be 1 or more, got {chain_id}")
    passphrase = "passphrase" if passphrase_file is None else str(passphrase_file.resolve())
    return _TEXT.format(
        site=site,
        rpc=json.dumps(rpc),
        market=json.dumps(market),
        chain_id=chain_id,
        passphrase=json.dumps(passphrase),
    )

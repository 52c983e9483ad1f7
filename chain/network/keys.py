"""Keys on disk: keystore V3 files, each beside a file with its passphrase."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from coincurve import PrivateKey
from eth_account import Account

from chain.files import write_secret
from energy.errors import SettingError
from energy.messages import address_of

# Passphrases are 128 random bits: stretching them would only cost time.
_SCRYPT_ROUNDS = 4096


def new_key(folder: Path, name: str) -> str:
    """Make a key `NAME.json` and its passphrase `NAME.passphrase`; return its address.

    Raises:
        SettingError: if there is one already: no key is ever written over.
    """
    key = PrivateKey().secret
    passphrase = secrets.token_hex(16)
    keystore = Account.encrypt(key, passphrase, kdf="scrypt", iterations=_SCRYPT_ROUNDS)
    write_secret(folder / f"{name}.passphrase", passphrase + "\n")
    write_secret(folder / f"{name}.json", json.dumps(keystore) + "\n")
    return address_of(key)


def key_at(keystore: Path, passphrase: Path | None = None) -> bytes:
    """Open a keystore with the passphrase in a file, by default the one beside it.

    Raises:
        SettingError: if it does not open.
    """
    passphrase = passphrase or keystore.with_suffix(".passphrase")
    try:
        words = passphrase.read_text().rstrip("\n")
        return bytes(Account.decrypt(json.loads(keystore.read_text()), words))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{keystore} must open with {passphrase}, got {error}") from None


def new_node_key(path: Path) -> str:
    """Make the key by which a node is known to its peers; return its public half, hex."""
    key = PrivateKey()
    write_secret(path, key.secret.hex() + "\n")
    return key.public_key.format(compressed=False)[1:].hex()

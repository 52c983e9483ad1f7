"""Who signs a site's readings: a key in memory, from a keystore, or a signer elsewhere.

A keystore is a V3 file, encrypted with a passphrase that stands in a file of its own or comes
as a systemd credential. A signer elsewhere (a token, a module, another machine) is a command
that is given a digest and answers with a signature: the key never enters this process.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from coincurve import PrivateKey, PublicKey
from eth_account import Account

from chain.files import write_secret
from energy.errors import SettingError
from energy.messages import HALF_ORDER, Domain, address_of, digest, signature_of
from energy.records import Reading

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The order of secp256k1."""
SIGNER_SECONDS = 10.0


class Signer(ABC):
    """Signs for one deployment's market; `address` is that of its key, enrolled for the site."""

    def __init__(self, domain: Domain, address: str) -> None:
        self.domain = domain
        self.address = address

    def sign(self, reading: Reading) -> bytes:
        """Return a reading's compact signature (64 bytes).

        Raises:
            SettingError: if the signer does not sign.
        """
        return self.sign_digest(digest(reading, self.domain))

    @abstractmethod
    def sign_digest(self, message: bytes) -> bytes:
        """Return the compact signature of a digest (32 bytes).

        Raises:
            SettingError: if the signer does not sign.
        """


class KeySigner(Signer):
    """A private key (32 bytes) in memory."""

    def __init__(self, domain: Domain, key: bytes) -> None:
        super().__init__(domain, address_of(key))
        self._key = key

    def sign_digest(self, message: bytes) -> bytes:
        """Return the compact signature of a digest."""
        return signature_of(message, self._key)


class CommandSigner(Signer):
    """A command that is given a digest (64 hex digits) and prints r and s (128) or r, s and v.

    It is run for each message, without a shell. An answer that is not of `address` is refused.
    """

    def __init__(self, domain: Domain, address: str, command: Sequence[str]) -> None:
        super().__init__(domain, address)
        self.command = tuple(command)

    def sign_digest(self, message: bytes) -> bytes:
        """Return the compact signature of a digest."""
        try:
            done = subprocess.run(
                [*self.command, message.hex()],
                capture_output=True,
                text=True,
                check=False,
                timeout=SIGNER_SECONDS,
            )
            signature = bytes.fromhex(done.stdout.strip().removeprefix("0x"))
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise SettingError(f"{self.command[0]} must print a signature, got {error}") from error
        if done.returncode or len(signature) not in (64, 65):
            got = (done.stderr.strip().splitlines() or [f"{len(signature)} bytes"])[-1]
            raise SettingError(f"{self.command[0]} must print a signature, got {got}")
        return compact(message, signature, self.address)


def compact(message: bytes, signature: bytes, address: str) -> bytes:
    """Return the compact form of r and s by an address: s made low, the parity found.

    Raises:
        SettingError: if the signature is not of that address.
    """
    r, s = signature[:32], int.from_bytes(signature[32:64])
    low = (ORDER - s if s > HALF_ORDER else s).to_bytes(32)
    for parity in (0, 1):
        try:
            public = PublicKey.from_signature_and_message(
                r + low + bytes([parity]), message, hasher=None
            )
        except ValueError:
            continue
        if address_of(public) == address:
            return r + (parity << 255 | int.from_bytes(low)).to_bytes(32)
    raise SettingError(f"a signature must be by {address}, got another's")


def new_keystore(path: Path, passphrase: str) -> str:
    """Write a new key, encrypted, to a file that is not there yet; return its address.

    Raises:
        SettingError: if the file is there, or cannot be written.
    """
    key = PrivateKey().secret
    text = json.dumps(Account.encrypt(key, passphrase), indent=2) + "\n"
    write_secret(path, text)
    return address_of(key)


def new_passphrase() -> str:
    """Return a passphrase of 192 random bits."""
    return secrets.token_urlsafe(24)


def passphrase_from(path: Path | None, credential: str | None = None) -> str:
    """Return the passphrase from a file or a systemd credential.

    Raises:
        SettingError: if there is none, or others may read its file.
    """
    if credential is not None:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if folder is None:
            raise SettingError(
                f"the credential {credential} must be handed over by systemd "
                "(LoadCredential=), got no CREDENTIALS_DIRECTORY"
            )
        path = Path(folder) / credential
    assert path is not None
    try:
        if credential is None and path.stat().st_mode & 0o077:
            mode = f"{path.stat().st_mode & 0o777:o}"
            raise SettingError(f"{path} must be readable by its owner alone (600), got {mode}")
        return path.read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise SettingError(f"{path} must be a readable passphrase file, got {error}") from error


def unlocked(path: Path, passphrase: str) -> bytes:
    """Return the private key of a keystore.

    Raises:
        SettingError: if the file is no keystore or the passphrase another one.
    """
    try:
        keystore = json.loads(path.read_text(encoding="utf-8"))
        return bytes(Account.decrypt(keystore, passphrase))
    except OSError as error:
        raise SettingError(f"{path} must be a readable keystore, got {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if "MAC mismatch" in str(error):
            raise SettingError(f"{path} must open with its passphrase, got another one") from None
        raise SettingError(f"{path} must be a keystore (V3), got {type(error).__name__}") from None

"""Who signs: keystores, passphrases, and signers elsewhere."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from coincurve import PrivateKey

from chain.files import write_secret
from energy.errors import SettingError
from energy.messages import Domain, address_of, digest, signer_of
from energy.records import Reading
from oracle.keys import (
    ORDER,
    CommandSigner,
    KeySigner,
    compact,
    new_keystore,
    new_passphrase,
    passphrase_from,
    unlocked,
)

KEY = bytes(31) + b"\x07"
DOMAIN = Domain(31337, "0x" + "22" * 20)
READING = Reading(1000, 3, imported=5)

TOKEN = """
import sys
from coincurve import PrivateKey
signed = PrivateKey(bytes(31) + bytes([{key}])).sign_recoverable(
    bytes.fromhex(sys.argv[1]), hasher=None
)
print(signed[:{length}].hex())
"""


def test_a_keystore_opens_with_its_passphrase_alone(tmp_path: Path):
    path, passphrase = tmp_path / "oracle.json", new_passphrase()
    address = new_keystore(path, passphrase)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert passphrase not in path.read_text()
    assert address_of(unlocked(path, passphrase)) == address
    with pytest.raises(SettingError, match="oracle.json must open with its passphrase"):
        unlocked(path, "another")
    with pytest.raises(SettingError, match="must not be there yet: a key is never overwritten"):
        new_keystore(path, passphrase)
    path.write_text("{}")
    with pytest.raises(SettingError, match=r"oracle.json must be a keystore \(V3\)"):
        unlocked(path, passphrase)
    with pytest.raises(SettingError, match="must be a readable keystore"):
        unlocked(tmp_path / "none.json", passphrase)


def test_a_passphrase_comes_from_a_file_of_its_owner_or_from_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "passphrase"
    write_secret(path, "open sesame\n")
    assert passphrase_from(path) == "open sesame"
    path.chmod(0o640)
    with pytest.raises(SettingError, match=r"readable by its owner alone \(600\), got 640"):
        passphrase_from(path)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(SettingError, match="credential passphrase must be handed over by systemd"):
        passphrase_from(None, "passphrase")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert passphrase_from(None, "passphrase") == "open sesame"


@pytest.mark.parametrize("length", [64, 65])
def test_a_signer_elsewhere_signs_without_its_key_coming_here(length: int):
    command = [sys.executable, "-c", TOKEN.format(key=7, length=length)]
    signer = CommandSigner(DOMAIN, address_of(KEY), command)
    assert signer.sign(READING) == KeySigner(DOMAIN, KEY).sign(READING)


def test_a_signer_of_another_key_or_with_no_answer_is_refused():
    other = CommandSigner(
        DOMAIN, address_of(KEY), [sys.executable, "-c", TOKEN.format(key=8, length=64)]
    )
    with pytest.raises(SettingError, match="a signature must be by 0x.*, got another's"):
        other.sign(READING)
    broken = CommandSigner(DOMAIN, address_of(KEY), [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(SettingError, match="must print a signature, got 0 bytes"):
        broken.sign(READING)
    absent = CommandSigner(DOMAIN, address_of(KEY), ["/no/such/signer"])
    with pytest.raises(SettingError, match="/no/such/signer must print a signature"):
        absent.sign(READING)


def test_a_high_s_is_made_low():
    message = digest(READING, DOMAIN)
    signed = PrivateKey(KEY).sign_recoverable(message, hasher=None)
    high = (ORDER - int.from_bytes(signed[32:64])).to_bytes(32)
    made = compact(message, signed[:32] + high, address_of(KEY))
    assert signer_of(READING, DOMAIN, made) == address_of(KEY)

"""Passkeys (WebAuthn): registered by who is logged in, and then a log-in of their own.

The device asks for its owner (finger, face, PIN), so a passkey is two factors in one. The
server has the public key only. Signing for a market is another matter: no member's key for that
ever comes here.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from energy.errors import SettingError
from orchestrator.web.access.accounts import Accounts, User
from orchestrator.web.access.disk import Disk

CHALLENGE_SECONDS = 300
LONGEST_LABEL = 64
MOST_PASSKEYS = 20
TO_REGISTER, TO_LOG_IN = b"register ", b"log in "
"""What a challenge is for: one that anyone is given to log in adds no passkey."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """A user's passkey, under the name that they gave it; times in unix seconds."""

    credential: bytes
    label: str
    since: float
    used: float | None

    @property
    def short(self) -> str:
        """What it is called in a list: its label may be any."""
        return hashlib.sha256(self.credential).hexdigest()[:12]


class Passkeys:
    """The passkeys in a file, for pages at an origin (`https://desk.example`)."""

    def __init__(self, disk: Disk, origin: str, clock: Callable[[], float] = time.time) -> None:
        self._disk = disk
        self._clock = clock
        self.origin = origin
        self.domain = urlsplit(origin).hostname or ""

    def of(self, user: User) -> list[Passkey]:
        """Return a user's passkeys, oldest first."""
        found = self._disk.rows(
            "SELECT credential, label, since, used FROM passkeys WHERE user = ? ORDER BY since",
            user.number,
        )
        return [Passkey(*row) for row in found]

    def to_register(self, user: User, browser: bytes) -> str:
        """Return what a browser is asked in order to make a passkey (JSON)."""
        known = [PublicKeyCredentialDescriptor(id=one.credential) for one in self.of(user)]
        options = webauthn.generate_registration_options(
            rp_id=self.domain,
            rp_name="Yui",
            user_id=user.handle,
            user_name=user.name,
            challenge=self._challenge(TO_REGISTER + browser),
            exclude_credentials=known,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
        )
        return webauthn.options_to_json(options)

    def register(
        self, user: User, browser: bytes, credential: Mapping[str, Any], label: str
    ) -> None:
        """Keep the passkey that a browser made.

        Raises:
            SettingError: if it is not what it was asked for.
        """
        if len(self.of(user)) >= MOST_PASSKEYS:
            raise SettingError(f"a user may have {MOST_PASSKEYS} passkeys, got one more")
        challenge = self._answered(credential, TO_REGISTER + browser)
        try:
            made = webauthn.verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self.domain,
                expected_origin=self.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise SettingError(f"a passkey must be made as asked, got: {error}") from error
        label = label.strip()[:LONGEST_LABEL] or "passkey"
        now = self._clock()
        added = self._disk.write(
            "INSERT OR IGNORE INTO passkeys VALUES (?, ?, ?, ?, ?, ?, NULL)",
            *(made.credential_id, user.number, made.credential_public_key),
            *(made.sign_count, label, now),
        )
        if not added:
            raise SettingError("a passkey must not be registered twice, got one that is there")

    def remove(self, user: User, credential: bytes) -> int:
        """Remove a user's passkey; return how many were."""
        return self._disk.write(
            "DELETE FROM passkeys WHERE user = ? AND credential = ?", user.number, credential
        )

    def to_log_in(self, browser: bytes) -> str:
        """Return what a browser is asked in order to show who is there (JSON)."""
        options = webauthn.generate_authentication_options(
            rp_id=self.domain,
            challenge=self._challenge(TO_LOG_IN + browser),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return webauthn.options_to_json(options)

    def log_in(self, accounts: Accounts, browser: bytes, credential: Mapping[str, Any]) -> User:
        """Return whose passkey has answered.

        Raises:
            SettingError: if it is nobody's, or not what it was asked for.
        """
        challenge = self._answered(credential, TO_LOG_IN + browser)
        try:
            key = base64url_to_bytes(str(credential["id"]))
            row = self._disk.row(
                "SELECT passkeys.public_key, uses, name FROM passkeys "
                "JOIN users ON user = number WHERE credential = ?",
                key,
            )
            if row is None:
                raise SettingError("a passkey must be registered, got an unknown one")
            public_key, uses, name = row
            shown = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self.domain,
                expected_origin=self.origin,
                credential_public_key=public_key,
                credential_current_sign_count=uses,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise SettingError(f"a passkey must answer as asked, got: {error}") from error
        self._disk.write(
            "UPDATE passkeys SET uses = ?, used = ? WHERE credential = ?",
            *(shown.new_sign_count, self._clock(), key),
        )
        return accounts.user(name)

    def _challenge(self, browser: bytes) -> bytes:
        """Return a challenge for a purpose and a browser, which can be answered once."""
        challenge, now = secrets.token_bytes(32), self._clock()
        with self._disk.writing() as disk:
            disk.execute("DELETE FROM challenges WHERE until <= ?", (now,))
            disk.execute(
                "INSERT INTO challenges VALUES (?, ?, ?)",
                (challenge, browser, now + CHALLENGE_SECONDS),
            )
        return challenge

    def _answered(self, credential: Mapping[str, Any], browser: bytes) -> bytes:
        try:
            told = base64url_to_bytes(str(credential["response"]["clientDataJSON"]))
            challenge = parse_client_data_json(told).challenge
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise SettingError(f"a passkey must answer as asked, got: {error}") from error
        taken = self._disk.write(
            "DELETE FROM challenges WHERE challenge = ? AND browser = ? AND until > ?",
            *(challenge, browser, self._clock()),
        )
        if not taken:
            raise SettingError("a passkey must answer within five minutes, once, where it is asked")
        return challenge

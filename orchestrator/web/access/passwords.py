"""Passwords: hashed by Argon2id (RFC 9106, its profile for little memory: 64 MiB, 3 rounds)."""

from __future__ import annotations

from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from energy.errors import SettingError

SHORTEST, LONGEST = 12, 200
"""Characters. Length counts, not kinds of characters (NIST SP 800-63B, 3.1.1.2)."""
FEWEST_DIFFERENT = 5

_HASHER = PasswordHasher()
_AT_ONCE = BoundedSemaphore(2)
"""Each hash takes 64 MiB: however many log in at once, memory does not grow."""
_NOBODY = _HASHER.hash("nobody has this password")


def hashed(password: str) -> str:
    """Return what is kept of a password."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def is_password(kept: str | None, password: str) -> bool:
    """Return whether a password is the one kept; as slow where there is none as where there is."""
    if len(password) > LONGEST:
        return False
    with _AT_ONCE:
        try:
            return _HASHER.verify(kept or _NOBODY, password) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(kept: str) -> bool:
    """Return whether a password was hashed with less effort than now."""
    return _HASHER.check_needs_rehash(kept)


def check_new(password: str, name: str) -> None:
    """Raise `SettingError` for a password that is too easily guessed.

    >>> check_new("four walls and a roof", "sato")
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise SettingError(
            f"a password must have {SHORTEST} to {LONGEST} characters, got {len(password)}"
        )
    if name.casefold() in password.casefold() and len(password) < SHORTEST + len(name):
        raise SettingError("a password must be more than the user's name, got it with little else")
    if len(set(password)) < FEWEST_DIFFERENT:
        raise SettingError(
            f"a password must have {FEWEST_DIFFERENT} different characters or more, "
            f"got {len(set(password))}"
        )

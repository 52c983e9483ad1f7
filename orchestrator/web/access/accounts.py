"""Users: name, role, office, password; and the invitations by which they first log in."""

from __future__ import annotations

import secrets
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from energy.errors import SettingError
from orchestrator.web.access import passwords
from orchestrator.web.access.disk import Disk, hash_of
from orchestrator.web.viewer import Role

LONGEST_NAME = 64
INVITATION_SECONDS = 3 * 86_400
_COLUMNS = "number, name, role, site, handle, password IS NOT NULL, since"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in; `site` is a member's office, `handle` what passkeys know them by."""

    number: int
    name: str
    role: Role
    site: int | None
    handle: bytes
    has_password: bool
    since: float

    @classmethod
    def of(cls, row: tuple[object, ...]) -> User:
        """Return the user of a row of `_COLUMNS`."""
        number, name, role, site, handle, has_password, since = row
        return cls(number, name, Role(str(role)), site, handle, bool(has_password), since)  # type: ignore[arg-type]


class Accounts:
    """The users in a file."""

    def __init__(self, disk: Disk, clock: Callable[[], float] = time.time) -> None:
        self.disk = disk
        self._clock = clock

    def is_empty(self) -> bool:
        """Return whether there is no user."""
        return self.disk.row("SELECT 1 FROM users LIMIT 1") is None

    def users(self) -> list[User]:
        """Return all users by name."""
        found = self.disk.rows(f"SELECT {_COLUMNS} FROM users ORDER BY folded")
        return [User.of(row) for row in found]

    def named(self, name: str) -> User | None:
        """Return the user of a name."""
        row = self.disk.row(f"SELECT {_COLUMNS} FROM users WHERE folded = ?", folded(name))
        return None if row is None else User.of(row)

    def user(self, name: str) -> User:
        """Return the user of a name.

        Raises:
            SettingError: if there is none.
        """
        found = self.named(name)
        if found is None:
            known = ", ".join(user.name for user in self.users()) or "nobody yet"
            raise SettingError(f"a user must be one of {known}, got {name!r}")
        return found

    def add(self, name: str, role: Role, site: int | None) -> User:
        """Add a user, who can log in once a password is set or an invitation taken.

        Raises:
            SettingError: if the name is taken or impossible, or role and site do not go together.
        """
        check_role(role, site)
        name = unicodedata.normalize("NFC", name)
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
            raise SettingError(
                f"a name must have 1 to {LONGEST_NAME} characters without spaces around, "
                f"got {name!r}"
            )
        if self.named(name) is not None:
            raise SettingError(f"a name must not be taken, got {name!r}")
        self.disk.write(
            "INSERT INTO users (name, folded, role, site, handle, since) VALUES (?, ?, ?, ?, ?, ?)",
            *(name, folded(name), role, site, secrets.token_bytes(32), self._clock()),
        )
        return self.user(name)

    def set_role(self, user: User, role: Role, site: int | None) -> None:
        """Change what a user is; whoever is logged in under the name has to log in again.

        Raises:
            SettingError: if role and site do not go together.
        """
        check_role(role, site)
        with self.disk.writing() as disk:
            disk.execute(
                "UPDATE users SET role = ?, site = ? WHERE number = ?", (role, site, user.number)
            )
            disk.execute("DELETE FROM sessions WHERE user = ?", (user.number,))

    def remove(self, user: User) -> None:
        """Remove a user, with passkeys, sessions and invitation; the log of log-ins stays."""
        self.disk.write("DELETE FROM users WHERE number = ?", user.number)

    def set_password(self, user: User, password: str, *, keeps_passkeys: bool = False) -> None:
        """Give a user a password, and end all sessions, the invitation and the passkeys.

        Passkeys are kept where the users themselves change a password that they know; else the
        log-in is in doubt, and so is what was added by it.

        Raises:
            SettingError: if it is too easily guessed.
        """
        passwords.check_new(password, user.name)
        kept = passwords.hashed(password)
        with self.disk.writing() as disk:
            disk.execute("UPDATE users SET password = ? WHERE number = ?", (kept, user.number))
            for table in ("sessions", "invitations", *(() if keeps_passkeys else ("passkeys",))):
                disk.execute(f"DELETE FROM {table} WHERE user = ?", (user.number,))

    def has_password(self, user: User | None, password: str) -> bool:
        """Return whether a password is a user's; as slow for nobody as for somebody."""
        row = user and self.disk.row("SELECT password FROM users WHERE number = ?", user.number)
        kept = row[0] if row else None
        if not passwords.is_password(kept, password):
            return False
        if user is not None and kept is not None and passwords.is_outdated(kept):
            again = passwords.hashed(password)
            self.disk.write("UPDATE users SET password = ? WHERE number = ?", again, user.number)
        return True

    def invite(self, user: User) -> str:
        """Return a token that lets a user set a password once; an earlier one is void.

        Who needs it has lost their log-in: passkeys and sessions end with it.
        """
        token = secrets.token_urlsafe(32)
        until = self._clock() + INVITATION_SECONDS
        with self.disk.writing() as disk:
            disk.execute(
                "INSERT OR REPLACE INTO invitations VALUES (?, ?, ?)",
                (user.number, hash_of(token), until),
            )
            for table in ("sessions", "passkeys"):
                disk.execute(f"DELETE FROM {table} WHERE user = ?", (user.number,))
        return token

    def invited(self, token: str) -> User | None:
        """Return who an invitation is for; None if it is void, or was taken."""
        row = self.disk.row(
            f"SELECT {_COLUMNS} FROM users JOIN invitations ON number = user "
            "WHERE token = ? AND until > ?",
            *(hash_of(token), self._clock()),
        )
        return None if row is None else User.of(row)


def check_role(role: Role, site: int | None) -> None:
    """Raise `SettingError` unless a member has an office, and nobody else."""
    if (role is Role.MEMBER) != (site is not None):
        wanted = "a site" if role is Role.MEMBER else "no site"
        raise SettingError(f"--role {role} must have {wanted}, got {site}")


def folded(name: str) -> str:
    """Return a name as it is compared: however it is typed, it is the same.

    >>> folded("Ｓａｔｏ") == folded("sato")
    True
    """
    return unicodedata.normalize("NFKC", name).casefold()

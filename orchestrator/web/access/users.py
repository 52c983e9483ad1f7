"""`yui web users`: who may log in to the pages. A password is typed or piped, never an argument."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from energy.errors import SettingError
from orchestrator.dates import moment
from orchestrator.names import site_number
from orchestrator.options import DEFAULT_STORE, InLanguage, Json, StorePath, store_at
from orchestrator.records.listing import Listing
from orchestrator.records.words import in_japanese
from orchestrator.web.access.access import Access
from orchestrator.web.access.accounts import INVITATION_SECONDS, User
from orchestrator.web.access.disk import Disk
from orchestrator.web.access.passkeys import Passkey
from orchestrator.web.viewer import Role
from orchestrator.words import Language, Phrases, phrase

DEFAULT_ACCOUNTS = Path(".yui/accounts.sqlite")
HERE = "command line"
ORIGIN = "origin"
"""The fact of the accounts' file that says where the pages were last."""

_WORDS: Phrases = {
    "can_log_in": ("{name} can log in", "{name}はログインできる"),
    "passkeys": (
        "{name} has {count} passkeys, and is logged out everywhere",
        "{name}のパスキーは残り{count}個、全端末からログアウト済み",
    ),
    "new_password": ("{name} has a new password", "{name}のパスワードを変更した"),
    "role": ("{name} is {role}", "{name}の役割: {role}"),
    "removed": ("{name} is removed", "{name}を削除した"),
    "invited": (
        "{name} is {role}. Let them open this once, within {days} days:",
        "{name}の役割: {role}。本人が{days}日以内に次のURLを開く(1回限り):",
    ),
    "of_site": ("{role} of site {site}", "庁舎{site}の{role}"),
    "password": ("Password", "パスワード"),
    "again": ("Repeat for confirmation", "パスワード(確認)"),
}
AccountsPath = Annotated[
    Path, typer.Option("--accounts", help="The file that users and their log-ins are kept in.")
]
Name = Annotated[str, typer.Argument(help="The user's name.")]
InRole = Annotated[Role, typer.Option("--role", help="member, operator or auditor.")]
OfSite = Annotated[
    str | None, typer.Option("--site", help="A member's office, by number or the store's name.")
]
app = typer.Typer(no_args_is_help=True, help="Who may log in to the pages.")


@contextmanager
def _opened(path: Path) -> Iterator[Access]:
    disk = Disk(path)
    try:
        yield Access(disk=disk)
    finally:
        disk.close()


@app.command("add")
def add(
    name: Name,
    role: InRole,
    site: OfSite = None,
    with_password: Annotated[
        bool,
        typer.Option("--password", help="Ask for a password instead of making an invitation."),
    ] = False,
    accounts: AccountsPath = DEFAULT_ACCOUNTS,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Add a user, and print the invitation by which they set their password and log in."""
    number = _site(site, store_path)
    with _opened(accounts) as access:
        password = _password(language) if with_password else None
        user = access.accounts.add(name, role, number)
        if password is None:
            _invite(access, user, language)
            return
        try:
            access.accounts.set_password(user, password)
        except SettingError:
            access.accounts.remove(user)
            raise
        print(phrase(_WORDS, language, "can_log_in", name=user.name))


@app.command("invite")
def invite(
    name: Name,
    accounts: AccountsPath = DEFAULT_ACCOUNTS,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Print a new invitation for a user who lost their log-in; earlier ones are void, and so are
    their passkeys."""
    with _opened(accounts) as access:
        _invite(access, access.accounts.user(name), language)


@app.command("passkeys")
def passkeys(
    name: Name,
    remove: Annotated[
        str | None,
        typer.Option(help="Remove one, by its id, or all; log the user out everywhere."),
    ] = None,
    accounts: AccountsPath = DEFAULT_ACCOUNTS,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """List a user's passkeys, or remove one that was lost, or that they did not add."""
    with _opened(accounts) as access:
        user = access.accounts.user(name)
        found = access.passkeys.of(user)
        if remove is not None:
            _remove_passkeys(access, user, found, remove, language)
            return
    rows = [
        {
            "id": one.short,
            "label": one.label,
            "since": moment(one.since),
            "last_used": None if one.used is None else moment(one.used),
        }
        for one in found
    ]
    Listing(("id", "label", "since", "last_used"), rows).show(as_json, as_csv, language)


def _remove_passkeys(
    access: Access, user: User, found: list[Passkey], asked: str, language: Language
) -> None:
    chosen = [one for one in found if asked in ("all", one.short)]
    if not chosen:
        known = ", ".join(one.short for one in found) or "none"
        raise SettingError(f"--remove must be all, or one of {known}, got {asked!r}")
    for one in chosen:
        access.passkeys.remove(user, one.credential)
        access.limits.record(user.name, HERE, "passkey", "removed")
    access.sessions.end_all(user)
    left = len(found) - len(chosen)
    print(phrase(_WORDS, language, "passkeys", name=user.name, count=left))


@app.command("password")
def password(
    name: Name,
    accounts: AccountsPath = DEFAULT_ACCOUNTS,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Set a user's password, typed twice or piped in as one line; log them out everywhere, and
    take their passkeys away."""
    with _opened(accounts) as access:
        user = access.accounts.user(name)
        access.accounts.set_password(user, _password(language))
        print(phrase(_WORDS, language, "new_password", name=user.name))


@app.command("role")
def set_role(
    name: Name,
    role: Annotated[Role, typer.Argument(help="member, operator or auditor.")],
    site: OfSite = None,
    accounts: AccountsPath = DEFAULT_ACCOUNTS,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Change a user's role, and log them out everywhere."""
    number = _site(site, store_path)
    with _opened(accounts) as access:
        user = access.accounts.user(name)
        access.accounts.set_role(user, role, number)
        told = _told(access.accounts.user(name), language)
        print(phrase(_WORDS, language, "role", name=user.name, role=told))


@app.command("remove")
def remove(
    name: Name,
    accounts: AccountsPath = DEFAULT_ACCOUNTS,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Remove a user with passkeys and sessions; the log of log-ins stays."""
    with _opened(accounts) as access:
        user = access.accounts.user(name)
        access.accounts.remove(user)
        print(phrase(_WORDS, language, "removed", name=user.name))


@app.command("list")
def list_users(
    accounts: AccountsPath = DEFAULT_ACCOUNTS,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """List the users: role, office, how they log in, and how often they are logged in now."""
    columns = ("name", "role", "site", "password", "passkeys", "sessions", "since")
    with _opened(accounts) as access:
        rows = [
            {
                "name": user.name,
                "role": str(user.role),
                "site": user.site,
                "password": user.has_password,
                "passkeys": len(access.passkeys.of(user)),
                "sessions": access.sessions.count(user),
                "since": moment(user.since),
            }
            for user in access.accounts.users()
        ]
    Listing(columns, rows).show(as_json, as_csv, language)


@app.command("log")
def log(
    accounts: AccountsPath = DEFAULT_ACCOUNTS,
    name: Annotated[str | None, typer.Option(help="Only those of a user.")] = None,
    most: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """List who logged in and who failed to, from where and how."""
    columns = ("time", "user", "address", "way", "outcome")
    with _opened(accounts) as access:
        found = access.limits.log_ins(name and access.accounts.user(name).name, most)
    rows = [
        {
            "time": moment(one.time),
            "user": one.user,
            "address": one.address,
            "way": one.way,
            "outcome": one.outcome,
        }
        for one in found
    ]
    Listing(columns, rows).show(as_json, as_csv, language)


def _invite(access: Access, user: User, language: Language) -> None:
    token = access.accounts.invite(user)
    origin = access.disk.fact(ORIGIN) or ""
    days, role = INVITATION_SECONDS // 86_400, _told(user, language)
    print(phrase(_WORDS, language, "invited", name=user.name, role=role, days=days))
    print(f"{origin}/invitation/{token}")


def _told(user: User, language: Language) -> str:
    role = in_japanese(user.role) if language is Language.JAPANESE else str(user.role)
    if user.site is None:
        return role
    return phrase(_WORDS, language, "of_site", role=role, site=user.site)


def _site(site: str | None, store_path: str) -> int | None:
    if site is None or site.isdecimal():
        return None if site is None else int(site)
    with store_at(store_path) as (_, names):
        return site_number(names, site)


def _password(language: Language) -> str:
    if sys.stdin.isatty():
        again = phrase(_WORDS, language, "again")
        found: str = typer.prompt(
            phrase(_WORDS, language, "password"), hide_input=True, confirmation_prompt=again
        )
        return found
    return sys.stdin.readline().rstrip("\n")

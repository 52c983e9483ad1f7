"""`yui web`: the pages, on this machine or for others, and who may log in to them."""

from __future__ import annotations

import logging
import shlex
import socket
import sys
import webbrowser
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from threading import Timer
from types import FrameType
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
import uvicorn
from sqlalchemy import make_url

from chain.database import opened_to_read
from daemon.health import notify
from energy.errors import SettingError
from orchestrator.options import DEFAULT_STORE, InLanguage, StorePath, folder_of, reader_at
from orchestrator.replay.asked import FILE as CALLS_FILE
from orchestrator.setting.sites import load_setting
from orchestrator.web.access import users
from orchestrator.web.access.access import Access, Policy, Reading
from orchestrator.web.access.disk import Disk
from orchestrator.web.access.limits import log
from orchestrator.web.access.users import DEFAULT_ACCOUNTS, ORIGIN, AccountsPath
from orchestrator.web.viewer import Others
from orchestrator.words import Language, Phrases, phrase
from vpp.calls.tables import STEPS as CALLS_STEPS
from vpp.link.folders import room_at
from vpp.room.tables import STEPS

if TYPE_CHECKING:
    from orchestrator.web.called import Origin
    from orchestrator.web.desk import Desk

HOST, PORT = "127.0.0.1", 8480
AUDIT = "audit.state"
"""The file beside a store that an audit leaves."""
ROOM = Path(".yui/fleet/room/room.sqlite")
CALLS_STORE = ROOM.with_name("calls.sqlite")
OPEN_AFTER_SECONDS = 1.0
MOST_CONNECTIONS = 2_000
KEEP_ALIVE_SECONDS = 60
SHUTDOWN_SECONDS = 5
SWITCH_SECONDS = 0.0005
_WORDS: Phrases = {"serves": ("{address}  (Ctrl-C ends)", "{address}  (Ctrl-Cで終了)")}

app = typer.Typer(help="The pages, and who may log in to them.")
app.add_typer(users.app, name="users")


@app.callback(invoke_without_command=True)
def web(
    context: typer.Context,
    store_path: StorePath = str(DEFAULT_STORE),
    host: Annotated[str, typer.Option(help="The address to listen on.")] = HOST,
    port: Annotated[int, typer.Option(help="The port to listen on.")] = PORT,
    accounts: AccountsPath = DEFAULT_ACCOUNTS,
    reading: Annotated[
        Reading | None,
        typer.Option(
            help="open, or log-in: whether the pages can be read without one; open on a loopback "
            "address, log-in elsewhere, if not given."
        ),
    ] = None,
    others: Annotated[
        Others | None,
        typer.Option(
            help="trades, or all: what members, and readers without a log-in, see of other "
            "offices; all while there are no users, then trades, if not given."
        ),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(help="Where browsers find the pages behind a proxy, as https://desk.example."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="A TLS certificate (PEM), where there is no proxy.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    audit: Annotated[
        Path | None,
        typer.Option(help="What an audit left (yui audit --state); audit.state beside the store."),
    ] = None,
    calls: Annotated[
        str | None,
        typer.Option(
            help="Balancing calls: what a replay left, as JSON, or a control room's store of them; "
            f"calls.json beside the store, or else {CALLS_STORE}, if it is there."
        ),
    ] = None,
    room: Annotated[
        str | None,
        typer.Option(
            help="The control room's store, for the fleet: a path, or a postgresql:// URL; "
            f"{ROOM} if it is there."
        ),
    ] = None,
    fleet: Annotated[
        Path | None,
        typer.Option(
            help="The fleet's folder, so that operators may command from its page: the process "
            "then holds the control room's signing key. Its store is shown."
        ),
    ] = None,
    sites: Annotated[Path | None, typer.Option(help="A sites file of your own.")] = None,
    open_: Annotated[
        bool, typer.Option("--open", help="Open the pages in this machine's browser.")
    ] = False,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Show the pages of a store, to read: they hold no member's key, and sign nothing but an
    operator's commands to a fleet (--fleet)."""
    if context.invoked_subcommand is None:
        serve(
            store_path,
            host,
            port,
            accounts,
            reading,
            others,
            origin,
            certificate,
            key,
            audit,
            calls,
            room,
            fleet,
            sites,
            open_,
            language,
        )


def serve(
    store_path: str,
    host: str = HOST,
    port: int = PORT,
    accounts: Path = DEFAULT_ACCOUNTS,
    reading: Reading | None = None,
    others: Others | None = None,
    origin: str | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    audit: Path | None = None,
    calls: str | None = None,
    room: str | None = None,
    fleet: Path | None = None,
    sites: Path | None = None,
    open_: bool = False,
    language: Language = Language.ENGLISH,
) -> None:
    """Serve the pages of a store until the process is told to end.

    Raises:
        SettingError: if there is no store, or as `policy_of`.
    """
    # The pages bring the planner, which takes seconds to load.
    from orchestrator.web.app import application
    from orchestrator.web.carrying import Carrier
    from orchestrator.web.desk import Desk

    if (certificate is None) != (key is None):
        raise SettingError("--certificate and --key must be given together, got one")
    disk = Disk(accounts)
    has_users = not Access(disk=disk).accounts.is_empty()
    policy = policy_of(host, port, reading, others, origin, certificate is not None, has_users)
    if room is None and fleet is not None:
        room = str(room_at(fleet).store)
    if room is None and ROOM.exists():
        room = str(ROOM)
    desk = Desk(
        reader_at(store_path),
        load_setting(sites),
        audit=audit or beside(store_path, AUDIT),
        calls=calls_kept(calls, store_path),
        room=opened_to_read(room, STEPS) if room else None,
        commander=Carrier(fleet) if fleet else None,
        served=served(store_path),
    )
    disk.note(ORIGIN, policy.origin)
    _log_to_stderr()
    # While a page is made in a thread, others are answered in between.
    sys.setswitchinterval(SWITCH_SECONDS)
    address = f"{policy.origin}/now"
    print(phrase(_WORDS, language, "serves", address=address), flush=True)
    if open_:
        Timer(OPEN_AFTER_SECONDS, webbrowser.open, [address]).start()
    config = uvicorn.Config(
        application(desk, Access(policy, disk)),
        host=host,
        port=port,
        log_level="warning",
        # Only a proxy of ours may tell whom it asks for.
        proxy_headers=origin is not None and certificate is None,
        forwarded_allow_ips="127.0.0.1,::1",
        server_header=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    with suppress(KeyboardInterrupt):
        _Server(config, desk).run()


class _Server(uvicorn.Server):
    """A server that, told to end, has the streams of events end as well."""

    def __init__(self, config: uvicorn.Config, desk: Desk) -> None:
        super().__init__(config)
        self._desk = desk

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and tell systemd so."""
        await super().startup(sockets)
        notify("READY=1")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let those who are there have their answers, for a few seconds, and end."""
        await super().shutdown(sockets)
        self._desk.end()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal to end."""
        self._desk.is_ending = True
        super().handle_exit(sig, frame)


def policy_of(
    host: str,
    port: int,
    reading: Reading | None,
    others: Others | None,
    origin: str | None,
    has_certificate: bool,
    has_users: bool,
) -> Policy:
    """Return the policy of a desk that listens on an address.

    Raises:
        SettingError: if others could read unasked, nobody could log in, or passwords would
            travel in the clear.
    """
    local = is_loopback(host)
    chosen = reading or (Reading.OPEN if local and origin is None else Reading.LOG_IN)
    if chosen is Reading.LOG_IN and not has_users:
        if reading is None:
            raise SettingError(
                f"--host must be a loopback address while there are no users, got {host}: add one "
                "with `yui web users add`, or let everyone read with --reading open"
                if not local
                else f"users must be there before {origin} shows pages: add one with "
                "`yui web users add`, or let everyone read with --reading open"
            )
        raise SettingError("users must be there for --reading log-in: `yui web users add`")
    scheme = "https" if has_certificate else "http"
    name = "localhost" if local else f"[{host}]" if ":" in host else host
    whole = origin or f"{scheme}://{name}:{port}"
    parsed = urlsplit(whole)
    if parsed.scheme not in ("http", "https") or not parsed.hostname or parsed.path.strip("/"):
        raise SettingError(f"--origin must be as https://desk.example, got {whole!r}")
    if has_users and parsed.scheme != "https" and not is_loopback(parsed.hostname):
        raise SettingError(
            f"{whole} must be https where users log in, or passwords travel in the clear: "
            "give --certificate and --key, or --origin https://... of a proxy in front"
        )
    hosts = {parsed.hostname.lower()}
    if local:
        hosts |= {"localhost", "127.0.0.1", "::1"}
    any_address = host in ("0.0.0.0", "::")
    return Policy(
        chosen,
        others,
        whole.rstrip("/"),
        None if any_address and origin is None else tuple(sorted(hosts)),
    )


def beside(store: str, name: str) -> Path | None:
    """Return where a file beside a store is kept; None beside one that is no file."""
    folder = folder_of(store)
    return folder and folder / name


def calls_kept(given: str | None, store: str) -> Origin | None:
    """Return where balancing calls are kept: where it is said, beside the store, or where a control
    room keeps them.

    Raises:
        SettingError: if what is said is not there.
        StoreError: if it is no store.
    """
    file = Path(given) if given else beside(store, CALLS_FILE)
    if given and Path(given).suffix == ".json":
        if not Path(given).is_file():
            raise SettingError(f"--calls must be a file of calls, got {given}, which is not there")
        return file
    if not given and not (file and file.exists()) and CALLS_STORE.exists():
        given = str(CALLS_STORE)
    return opened_to_read(given, CALLS_STEPS) if given else file


def served(store: str) -> str | None:
    """Return a store as a command names it, without a password; None if it need not be named.

    >>> served("postgresql://yui:secret@db/yui"), served("a/store.sqlite"), served(DEFAULT_STORE)
    ('postgresql://yui:***@db/yui', 'a/store.sqlite', None)
    """
    if store == DEFAULT_STORE:
        return None
    return make_url(store).render_as_string(hide_password=True) if "://" in store else store


def command_for(store: Path, sites: Path | None) -> str:
    """Return the command that shows a store.

    >>> command_for(Path(DEFAULT_STORE), None), command_for(Path("a b/store.sqlite"), None)
    ('yui web', "yui web --store 'a b/store.sqlite'")
    """
    words = ["yui", "web"]
    if str(store) != str(DEFAULT_STORE):
        words += ["--store", str(store)]
    if sites:
        words += ["--sites", str(sites)]
    return shlex.join(words)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False

"""Opening a store: SQLite by a path, PostgreSQL by a URL; one writer at a time, any readers.

A read sees the store as it was when it began, and locks nobody out: SQLite writes ahead of
its file (WAL), PostgreSQL keeps versions. A write waits for the one before it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from chain.migrations import MIGRATIONS, Steps, migrate, pending
from energy.errors import SettingError, StoreAway, StoreError

SQLITE, POSTGRESQL = "sqlite", "postgresql"
WAIT_SECONDS = 30
"""How long a write waits for another one before it is an error."""
_WRITER_LOCK = 0x797569
"""The advisory lock that PostgreSQL's writers of a database take in turn."""


def opened(url: str, steps: Steps | None = None, durable: bool = False) -> Engine:
    """Return the store at an SQLAlchemy URL, or a path of an SQLite file; made if need be.

    An older store is brought up to date, by `steps` or the market's, and keeps what it holds. A
    commit to a durable one survives a power cut; others may lose the last, to be indexed again.

    Raises:
        SettingError: as `described`, or `bring_up_to_date`.
        StoreError: as `bring_up_to_date`.
    """
    engine = described(url, durable)
    bring_up_to_date(engine, steps)
    return engine


def described(url: str, durable: bool = False) -> Engine:
    """Return the store at a URL or path, as `opened`, of which nothing has been asked yet.

    Raises:
        SettingError: if the URL is none, or names another kind of database.
    """
    if "://" not in url:
        url = f"{SQLITE}:///{url}"
    try:
        parsed = make_url(url)
        name = parsed.get_backend_name()
        if name == POSTGRESQL:
            # The driver that comes along, whatever SQLAlchemy would take by itself.
            parsed = parsed.set(drivername="postgresql+psycopg")
        elif name != SQLITE:
            raise SettingError(f"a store must be at sqlite:// or postgresql://, got {name}://")
        given = {each: value for each, value in _WAYS[name].items() if each not in parsed.query}
        engine = create_engine(parsed, connect_args=given, **_OPTIONS[name])
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingError(f"a store must be a path or a URL, got {url!r}") from error
    if name == SQLITE:
        _write_ahead(engine, "FULL" if durable else "NORMAL")
    return engine


def bring_up_to_date(engine: Engine, steps: Steps | None = None) -> None:
    """Make a store's tables, or do the steps that they lack.

    Raises:
        SettingError: if PostgreSQL answers, and refuses the user or has no such database.
        StoreAway: if the database does not answer now.
        StoreError: if what is there is no store, or one of a newer version.
    """
    try:
        if engine.name == SQLITE and engine.url.database not in _IN_MEMORY:
            Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
        with _as_refused(engine):
            with reading(engine) as connection:
                behind = pending(connection, steps)
            if behind:
                with writing(engine) as connection:
                    migrate(connection, steps)
    except OSError as error:
        raise StoreAway(f"{named(engine)} must be a store that works, got: {error}") from error


@contextmanager
def _as_refused(engine: Engine) -> Iterator[None]:
    """Tell a PostgreSQL that answers, and lets nobody in, from one that is away."""
    try:
        yield
    except StoreAway as error:
        if engine.name == POSTGRESQL and (why := _refusal(engine)):
            raise SettingError(
                f"{named(engine)} must name a user and a database that PostgreSQL knows, got: {why}"
            ) from error
        raise


def _refusal(engine: Engine) -> str | None:
    """Return why a PostgreSQL that answers lets nobody in; None if it is away, or full.

    libpq tells no code of what fails before a session; whether a server takes sessions at all is
    what its ping says. It may have come up just now: then the second try is good.
    """
    # Where there is no PostgreSQL to reach, psycopg need not be installed.
    driver: Any = engine.dialect.dbapi
    where = engine.url.set(drivername=POSTGRESQL).render_as_string(hide_password=False)
    ping = driver.pq.PGconn.ping(where.encode())
    if ping in (driver.pq.Ping.REJECT, driver.pq.Ping.NO_RESPONSE):
        return None
    try:
        driver.connect(where, connect_timeout=WAIT_SECONDS).close()
    except driver.OperationalError as error:
        why = str(error).strip().splitlines()[-1]
        return None if any(words in why for words in _FULL) else why
    return None


def opened_to_read(url: str, steps: Steps | None = None) -> Engine:
    """Return the store at a URL or path for readers alone: nothing of it is written.

    An SQLite file may belong to somebody else, or lie where nothing can be written. Only an
    older store must be writable once, to be brought up to date.

    Raises:
        SettingError: as `opened`, or if there is no such file.
        StoreError: as `opened`.
    """
    path = _file_of(url)
    if path is None:
        return opened(url, steps)
    if not path.is_file():
        raise SettingError(f"{path} must be a store, got no such file")
    engine = create_engine(f"{SQLITE}:///{path}", creator=lambda: read_only(path))

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    with reading(engine) as connection:
        behind = pending(connection, steps)
    if behind:
        opened(str(path), steps).dispose()
    return engine


def steps_to_do(url: str) -> int | None:
    """Return how many steps the store at a URL or path lacks; None if it is not there yet.

    Nothing is made, and nothing of it is changed.

    Raises:
        SettingError: as `opened`, or if it cannot be made where it is to be.
        StoreError: as `opened`.
    """
    path = _file_of(url)
    if path is not None and not path.exists():
        check_room_for(path)
        return None
    if path is None:
        engine = described(url)
    else:
        engine = create_engine(f"{SQLITE}:///{path}", creator=lambda: read_only(path, False))
    try:
        with _as_refused(engine), reading(engine) as connection:
            behind = pending(connection)
    finally:
        engine.dispose()
    if path is not None:
        check_writable(path)
    return None if behind == len(MIGRATIONS) else behind


def check_room_for(path: Path) -> None:
    """Demand that a file that is not there yet can be made, with the folders that it lacks.

    Raises:
        SettingError: if it cannot.
    """
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise SettingError(f"{path} must be a file that can be made, got no right to in {there}")


def check_writable(path: Path) -> None:
    """Demand that a file that is there may be written.

    Raises:
        SettingError: if it may not.
    """
    if not os.access(path, os.W_OK):
        raise SettingError(f"{path} must be a file that may be written, got one that may not")


def _file_of(url: str) -> Path | None:
    """Return the file of an SQLite store; None for one in memory, or of another kind."""
    if "://" not in url:
        return Path(url)
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    is_file = parsed.get_backend_name() == SQLITE and parsed.database not in _IN_MEMORY
    return Path(str(parsed.database)) if is_file else None


def read_only(path: Path, may_make: bool = True) -> sqlite3.Connection:
    """Connect to an SQLite file to read it; told not to make files beside it, none are made."""
    # Beside a file that was closed well lie no others. Where none can be made, SQLite reads it
    # only if it is told that nobody writes.
    beside = path.with_name(f"{path.name}-wal")
    is_still = not beside.exists() and not (may_make and os.access(path.parent, os.W_OK))
    query = "mode=ro&immutable=1" if is_still else "mode=ro"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{query}",
        uri=True,
        timeout=WAIT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


_OPTIONS: dict[str, dict[str, Any]] = {
    SQLITE: {},
    POSTGRESQL: {"isolation_level": "REPEATABLE READ", "pool_pre_ping": True},
}
_WAYS: dict[str, dict[str, Any]] = {
    SQLITE: {"timeout": WAIT_SECONDS},
    # A machine that has gone without a word is found out in half a minute, not in two hours.
    POSTGRESQL: {
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "tcp_user_timeout": 30_000,
    },
}
"""How each is reached, where the URL does not say: seconds, the last in milliseconds."""
_FULL = ("too many", "connection slots")
"""PostgreSQL's words where it has no room for one more: that passes."""
_IN_MEMORY = (None, "", ":memory:")
_LASTING = 1
"""SQLite's code of a statement that cannot be; others of its operational errors pass."""


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees one state of the store.

    Raises:
        StoreError: if the database does not answer, or what it holds is broken.
    """
    with _told(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give the one connection that may write; all that it wrote is kept, or nothing.

    Raises:
        StoreError: as `reading`, or if another writer does not come to its end.
    """
    options: dict[str, Any] = {"writes": True}
    if engine.name == POSTGRESQL:
        # What the writer before has committed must be seen once the lock is ours.
        options["isolation_level"] = "READ COMMITTED"
    with (
        _told(engine),
        engine.connect().execution_options(**options) as connection,
        connection.begin(),
    ):
        if engine.name == POSTGRESQL:
            connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})"))
        yield connection


def named(engine: Engine) -> str:
    """Return where a store is, without its password."""
    return str(engine.url.database if engine.name == SQLITE else engine.url)


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        told = StoreAway if _passes(error) else StoreError
        raise told(f"{named(engine)} must be a store that works, got: {reason}") from error


def _passes(error: SQLAlchemyError) -> bool:
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return isinstance(error, OperationalError | NoConnectionFree) and code != _LASTING


def _write_ahead(engine: Engine, synchronous: str) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        # Transactions are begun below; the driver would begin them late, and not for reads.
        connection.isolation_level = None
        # The first connection changes the file's mode, and must wait for another that does so.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

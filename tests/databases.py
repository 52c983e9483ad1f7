"""Databases for the tests: an SQLite file, and a PostgreSQL that runs as long as they do."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

START_SECONDS = 60.0
_NUMBER = count()


def _program(name: str) -> str | None:
    """Return a server's program; Debian keeps them off the PATH, a folder a version."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(beside[-1]) if beside else None)


def _unprivileged() -> str:
    """Return who is to run it: PostgreSQL refuses to be root's."""
    if os.geteuid():
        return getpass.getuser()
    names = {each.pw_name for each in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody", "daemon") if name in names)


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a PostgreSQL in a folder of its own, on a socket there; give the folder.

    A test that asks for it is skipped where there is none.
    """
    with cluster() as folder, running(folder):
        yield folder


@contextmanager
def cluster() -> Iterator[str]:
    """Make a PostgreSQL that does not run yet; give its folder, in which its socket will be.

    Its superuser is `yui`, whom it trusts, and its first database `postgres`.
    """
    initdb = _program("initdb")
    if initdb is None or _program("postgres") is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    # Sockets have short names, and another user must come to it.
    folder = Path(tempfile.mkdtemp(prefix="yui-pg-", dir="/tmp"))
    user = _unprivileged()
    try:
        shutil.chown(folder, user)
        subprocess.run(
            [initdb, "-D", "cluster", "-U", "yui", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            user=_other(user),
        )
        yield str(folder)
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(folder: str) -> Iterator[None]:
    """Let the PostgreSQL of a folder run."""
    server = _program("postgres")
    assert server
    with (Path(folder) / "log").open("wb") as log:
        started = subprocess.Popen(
            [server, "-D", str(Path(folder) / "cluster"), "-k", folder, "-h", "", "-F"],
            stdout=log,
            stderr=log,
            cwd=folder,
            user=_other(_unprivileged()),
        )
    try:
        _wait(Path(folder), started)
        yield
    finally:
        # Fast shutdown: it does not wait for those who are connected.
        started.send_signal(2)
        started.wait()


def _other(user: str) -> str | None:
    return None if user == getpass.getuser() else user


def _wait(folder: Path, running: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(host=str(folder), user="yui", dbname="postgres").close()
            return
        except psycopg.OperationalError as error:
            if running.poll() is not None or time.monotonic() > end:
                raise RuntimeError((folder / "log").read_text()) from error
            time.sleep(0.05)


def fresh_database(folder: str) -> str:
    """Return the URL of a new database of a PostgreSQL."""
    name = f"yui{next(_NUMBER)}"
    with psycopg.connect(host=folder, user="yui", dbname="postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    return f"postgresql://yui@/{name}?host={folder}"

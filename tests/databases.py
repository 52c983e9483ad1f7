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
    initdb, server = _program("initdb"), _program("postgres")
    if initdb is None or server is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    # Sockets have short names, and another user must come to it.
    folder = Path(tempfile.mkdtemp(prefix="yui-pg-", dir="/tmp"))
    user = _unprivileged()
    try:
        shutil.chown(folder, user)
        as_user = None if user == getpass.getuser() else user
        cluster = str(folder / "cluster")
        subprocess.run(
            [initdb, "-D", cluster, "-U", "yui", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            user=as_user,
        )
        with (folder / "log").open("wb") as log:
            running = subprocess.Popen(
                [server, "-D", cluster, "-k", str(folder), "-h", "", "-F"],
                stdout=log,
                stderr=log,
                cwd=folder,
                user=as_user,
            )
        try:
            _wait(folder, running)
            yield str(folder)
        finally:
            # Fast shutdown: it does not wait for those who are connected.
            running.send_signal(2)
            running.wait()
    finally:
        shutil.rmtree(folder)


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

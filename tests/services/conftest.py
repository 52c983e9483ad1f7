"""What the service tests share: the address of a store, on each kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.databases import fresh_database, postgresql

FreshStore = Callable[[], str]


@pytest.fixture(scope="session")
def postgresql_folder() -> Iterator[str]:
    """A PostgreSQL that runs for these tests alone."""
    with postgresql() as folder:
        yield folder


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_store(request: pytest.FixtureRequest, tmp_path: Path) -> FreshStore:
    """Make the address of a new store, on each kind of database."""
    if request.param == "sqlite":
        number = count()
        return lambda: str(tmp_path / f"store{next(number)}.sqlite")
    folder = request.getfixturevalue("postgresql_folder")
    return lambda: fresh_database(folder)

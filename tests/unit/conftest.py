"""What the unit tests share."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.setting.sites import AHEAD
from orchestrator.verification.report import Figures
from tests.desk import Desk
from tests.played import DAYS, looked_at, played


@pytest.fixture
def desk() -> Desk:
    """A market with its tariff and three offices."""
    return Desk().open()


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Three days over a month's end, Friday to Sunday, replayed through the real contracts."""
    return played(tmp_path_factory.mktemp("ahead"), AHEAD, DAYS)


@pytest.fixture(scope="session")
def figures(folder) -> Figures:
    """What a report states of them."""
    return looked_at(folder)


@pytest.fixture(scope="session")
def readings(folder) -> pd.DataFrame:
    """Their readings, as the store holds them."""
    with closing(sqlite3.connect(folder / "store.sqlite")) as store:
        return pd.read_sql("select * from readings", store)


@pytest.fixture
def copy(folder, tmp_path) -> Iterator[sqlite3.Connection]:
    """Their store to be tampered with, at `tmp_path`."""
    shutil.copy(folder / "store.sqlite", tmp_path / "store.sqlite")
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as store:
        yield store

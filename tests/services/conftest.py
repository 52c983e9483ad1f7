"""What the service tests share: stores on each kind of database, and the members' network.

The network: four validators in processes of their own, real nodes on a clock that is set, a
block a second; each file has one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chain.network.client import geth_program
from chain.network.node import MemberNode
from chain.network.trial import TrialChain, trial
from energy.errors import ChainError
from tests.databases import fresh_database, postgresql
from tests.orchestrated import Place, a_place
from tests.web import played

FreshStore = Callable[[], str]
MEMBERS = ("ogawara", "sendai", "osaki", "kesennuma")
START = 1_559_574_000


@pytest.fixture(scope="session")
def postgresql_folder() -> Iterator[str]:
    """A PostgreSQL that runs for these tests alone."""
    with postgresql() as folder:
        yield folder


@pytest.fixture(scope="session")
def played_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a replayed day, for the pages: not to be changed."""
    folder = tmp_path_factory.mktemp("played")
    played(folder)
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_store(request: pytest.FixtureRequest, tmp_path: Path) -> FreshStore:
    """Make the address of a new store, on each kind of database."""
    if request.param == "sqlite":
        number = count()
        return lambda: str(tmp_path / f"store{next(number)}.sqlite")
    folder = request.getfixturevalue("postgresql_folder")
    return lambda: fresh_database(folder)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A town on anvil with an orchestrator's settings, and stores of its own."""
    number = count()
    with a_place(tmp_path, lambda: str(tmp_path / f"own{next(number)}.sqlite")) as made:
        yield made


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # A socket's path must be short, shorter than those that pytest gives.
    with TemporaryDirectory(prefix="yui") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[tuple[TrialChain, list[MemberNode]]]:
    try:
        geth_program(trial=True)
    except ChainError as error:
        pytest.skip(str(error))
    with trial(folder / "net", MEMBERS, START) as (chain, nodes):
        yield chain, nodes


@pytest.fixture
def nodes(running: tuple[TrialChain, list[MemberNode]]) -> list[MemberNode]:
    return running[1]


@pytest.fixture
def chain(running: tuple[TrialChain, list[MemberNode]]) -> TrialChain:
    return running[0]


@pytest.fixture
def network(chain: TrialChain) -> Path:
    return chain.network

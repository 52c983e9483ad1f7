"""What the tests share that need the members' network: four validators in processes of their own.

Real nodes on a clock that is set; a block a second. Each file has a network of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chain.network.client import geth_program
from chain.network.node import MemberNode
from chain.network.trial import TrialChain, trial
from energy.errors import ChainError

MEMBERS = ("ogawara", "sendai", "osaki", "kesennuma")
START = 1_559_574_000


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

"""Indexing beside the replay: a process that reads the chain's file, and traces the days that are
over; on a node, the same in this process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread

from chain.anvil import AnvilChain
from chain.attesting import day_tree
from chain.database import opened
from chain.indexer import indexed
from chain.recorded import RecordedChain
from chain.store import stored

STORE, CHAIN = "store.sqlite", "chain.sqlite"
SettableChain = RecordedChain | AnvilChain
Index = Callable[[str, int, date], Future[bytes]]
"""Index a market's blocks up to one, and give the root of a day that is over by then."""


@contextmanager
def indexer(folder: Path) -> Iterator[Index]:
    """Have a process beside this one that indexes; it reads the chain's file."""
    with ProcessPoolExecutor(1, get_context("spawn"), _ends_with_its_parent) as pool:
        yield lambda market, height, day: pool.submit(_indexed_root, folder, market, height, day)


def index_here(folder: Path, node: SettableChain) -> Index:
    """Index from a node, in this process."""

    def index(market: str, _: int, day: date) -> Future[bytes]:
        done: Future[bytes] = Future()
        done.set_result(_root(folder, node, market, day))
        return done

    return index


def _ends_with_its_parent() -> None:
    # Ctrl-C goes to both: the other one ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # One that is killed ends nothing; a worker that waits for work would wait for ever.
    Thread(target=_end_after, args=(parent_process(),), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _indexed_root(folder: Path, market: str, height: int, day: date) -> bytes:
    chain = RecordedChain(folder / CHAIN, last_block=height)
    try:
        return _root(folder, chain, market, day)
    finally:
        chain.close()


def _root(folder: Path, chain: SettableChain, market: str, day: date) -> bytes:
    engine = opened(str(folder / STORE))
    try:
        indexed(engine, chain, market)  # type: ignore[arg-type]
        with stored(engine) as store:
            return day_tree(store, day).root
    finally:
        engine.dispose()

"""What the pages have in common: the store, the sites file, the clock, and how a page is made."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy import Engine

from chain.store import stored
from orchestrator.setting.sites import Setting
from orchestrator.web.reads import RECORD_SECONDS

if TYPE_CHECKING:
    from orchestrator.web.commanding import Commander

PULSE_SECONDS = 1.0
"""How often, at most, the store is asked whether anything has changed."""
MOST_KEPT = 512
"""Pages kept ready, until the store changes."""
LIVE_SECONDS = 5
"""How long a page that tells the time is kept."""

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A page as it is sent: plain, packed by gzip, and the tag by which a browser knows it."""

    body: bytes
    packed: bytes
    tag: str


@dataclass(frozen=True, slots=True)
class Version:
    """A state of the store: its newest block, what of it is final, and when it last settled."""

    block: int
    block_hash: str
    final: int
    settled_at: float
    """Unix seconds at which the last settled slot ended."""
    audited_at: float = 0.0
    """Unix seconds at which the file of the last audit was written."""


@dataclass
class Desk:
    """Everything that a request needs. `clock` gives unix seconds."""

    engine: Engine
    setting: Setting
    clock: Callable[[], float] = time.time
    audit: Path | None = None
    """The file that the chain's last audit left."""
    room: Engine | None = None
    """The control room's store."""
    commander: Commander | None = None
    """What carries operators' commands to the fleet."""
    environment: Environment = field(init=False)
    assets: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.environment = Environment(
            loader=PackageLoader("orchestrator.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        folder = files("orchestrator.web").joinpath("static")
        self.assets = {
            one.name: f"/static/{one.name}?v={hashlib.sha256(one.read_bytes()).hexdigest()[:8]}"
            for one in folder.iterdir()
        }
        self._version: tuple[float, Version] | None = None
        self._asking: asyncio.Task[Version] | None = None
        self._kept: OrderedDict[Key, Made] = OrderedDict()
        self._making: dict[Key, asyncio.Task[Made]] = {}

    async def version(self) -> Version:
        """Return the store's state, as it was at most `PULSE_SECONDS` ago.

        While it is asked for, those who know an older one go on with that.
        """
        if self._version and time.monotonic() - self._version[0] < PULSE_SECONDS:
            return self._version[1]
        if self._asking is None:
            self._asking = asyncio.create_task(self._asked())
        if self._version and time.monotonic() - self._version[0] < 2 * PULSE_SECONDS:
            return self._version[1]
        return await asyncio.shield(self._asking)

    async def _asked(self) -> Version:
        try:
            found = await asyncio.to_thread(self._version_now)
        finally:
            self._asking = None
        if self._version is None or self._version[1] != found:
            self._kept.clear()
        self._version = time.monotonic(), found
        return found

    def _version_now(self) -> Version:
        with stored(self.engine) as store:
            block, block_hash = store.last_block() or (-1, b"")
            settled = store.last_settled()
            return Version(
                block,
                block_hash.hex(),
                store.final_block(),
                0.0 if settled is None else (settled + 1) * 1800.0,
                self.audit.stat().st_mtime if self.audit and self.audit.exists() else 0.0,
            )

    async def made(self, key: Key, make: Callable[[], Made]) -> Made:
        """Return what `make` makes, or what it made before of the same key and store.

        However many ask at once, it is made once, in a thread of its own.
        """
        version = await self.version()
        # What is live tells the time: it is made anew each few seconds.
        is_live = self.clock() - version.settled_at < RECORD_SECONDS
        whole = (*key, version, self.clock() // LIVE_SECONDS if is_live else 0)
        kept = self._kept.get(whole)
        if kept is not None:
            self._kept.move_to_end(whole)
            return kept
        making = self._making.get(whole)
        if making is None:
            making = self._making[whole] = asyncio.create_task(self._make(whole, make))
        return await asyncio.shield(making)

    async def _make(self, whole: Key, make: Callable[[], Made]) -> Made:
        try:
            found = await asyncio.to_thread(make)
        finally:
            del self._making[whole]
        self._kept[whole] = found
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return found

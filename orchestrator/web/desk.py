"""What the pages have in common: the store, the sites file, the clock, and how a page is made."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy import Engine

from chain.store import stored
from energy.errors import YuiError
from orchestrator.setting.sites import Setting
from orchestrator.web.called import Origin, changed_at
from orchestrator.web.reads import RECORD_SECONDS

if TYPE_CHECKING:
    from orchestrator.web.commanding import Commander

log = logging.getLogger("yui.web")
PULSE_SECONDS = 1.0
"""How often, at most, the store is asked whether anything has changed."""
MOST_KEPT = 512
"""Pages kept ready."""
PATIENCE_SECONDS, STALE_SECONDS = 0.1, 10.0
"""How long one waits for a page to be made anew where there is an older one, and for how long
after a change of the store that one will do. Who listens is told of a change again when it is
over, so that nobody is left with the older one."""
LIVE_SECONDS = 5
"""How long a page that tells the time is kept."""
MAKERS = 2
"""Pages made at a time: they share one core, and more would only take turns on it."""

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A page as it is sent: plain, packed by gzip, and the tag by which a browser knows it."""

    body: bytes
    packed: bytes
    tag: str


@dataclass(frozen=True, slots=True)
class Version:
    """A state of the store: the newest block that it has something of, and how far it is final.

    Blocks in which nothing of the market happens change no page.
    """

    block: int
    block_hash: str
    final: int
    """The newest final block, up to `block`."""
    settled_at: float
    """Unix seconds at which the last settled slot ended."""
    audited_at: float = 0.0
    called_at: float = 0.0
    """Unix seconds at which the files of the last audit and of calls were written."""


@dataclass(slots=True)
class Kept:
    """A page that is kept: of which version, made when, out of date since when (monotonic)."""

    made: Made
    version: Version
    made_at: float
    outdated_at: float | None


@dataclass
class Desk:
    """Everything that a request needs. `clock` gives unix seconds."""

    engine: Engine
    setting: Setting
    clock: Callable[[], float] = time.time
    is_ending: bool = False
    """Whether the server is about to end, and streams with it."""
    audit: Path | None = None
    """The file that the chain's last audit left."""
    room: Engine | None = None
    """The control room's store."""
    calls: Origin | None = None
    """Where balancing calls are kept."""
    commander: Commander | None = None
    """What carries operators' commands to the fleet."""
    served: str | None = None
    """The store as a command names it, without a password; None if it is the usual one."""
    roots: dict[date, str] = field(default_factory=dict)
    """The roots of final days, once they were computed."""
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
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._makers = ThreadPoolExecutor(MAKERS, "page")
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
        now = time.monotonic()
        if self._newest() != found:
            for kept in self._kept.values():
                kept.outdated_at = kept.outdated_at or now
        self._version = now, found
        return found

    def _version_now(self) -> Version:
        with stored(self.engine) as store:
            block = store.last_eventful()
            settled = store.last_settled()
            return Version(
                block,
                (store.block_hash(block) or b"").hex(),
                min(store.final_block(), block),
                0.0 if settled is None else (settled + 1) * 1800.0,
                changed_at(self.audit),
                changed_at(self.calls),
            )

    def has(self, key: Key) -> bool:
        """Return whether a page is kept, or is being made: then it costs nothing to ask for it."""
        return key in self._kept or key in self._making

    async def made(self, key: Key, make: Callable[[], Made]) -> Made:
        """Return what `make` makes, or what it made before of the same key and store.

        However many ask at once, it is made once. Where that takes longer than
        `PATIENCE_SECONDS`, one made before the store's last change will do, for `STALE_SECONDS`.
        """
        version = await self.version()
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            outdated = self._outdated_seconds(kept, version)
            if outdated < 0:
                return kept.made
        else:
            outdated = STALE_SECONDS
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = asyncio.create_task(self._make(key, version, make))
            making.add_done_callback(_told_of_failure)
        if kept is not None and outdated < STALE_SECONDS:
            await asyncio.wait({making}, timeout=PATIENCE_SECONDS)
            if not making.done():
                return kept.made
        return await asyncio.shield(making)

    def _outdated_seconds(self, kept: Kept, version: Version) -> float:
        """Return for how long a page has been out of date; below zero while it is not."""
        now = time.monotonic()
        if kept.version != version:
            return now - (kept.outdated_at or now)
        # What is live tells the time: it is made anew each few seconds.
        is_live = self.clock() - version.settled_at < RECORD_SECONDS
        return now - kept.made_at - LIVE_SECONDS if is_live else -1.0

    async def _make(self, key: Key, version: Version, make: Callable[[], Made]) -> Made:
        try:
            loop = asyncio.get_running_loop()
            begun = time.monotonic()
            found = await loop.run_in_executor(self._makers, make)
        finally:
            del self._making[key]
        now = time.monotonic()
        self._kept[key] = Kept(found, version, begun, None if version == self._newest() else now)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return found

    def end(self) -> None:
        """Make no more pages: those that wait to be made would hold up the process's end."""
        self.is_ending = True
        self._makers.shutdown(wait=False, cancel_futures=True)

    def _newest(self) -> Version | None:
        return self._version[1] if self._version else None


def _told_of_failure(making: asyncio.Task[Made]) -> None:
    # Who waits is told as well; where an older page did, nobody does.
    error = None if making.cancelled() else making.exception()
    if error is not None and not isinstance(error, YuiError):
        log.warning("page could not be made: %r", error)

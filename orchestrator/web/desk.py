"""What the pages have in common: the store, the sites file, the clock, and how a page is made."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy import Engine

from chain.store import stored
from orchestrator.setting.sites import Setting
from orchestrator.web.reads import RECORD_SECONDS
from orchestrator.web.viewer import Viewer

PULSE_SECONDS = 1.0
"""How often, at most, the store is asked whether anything has changed."""
MOST_KEPT = 512
"""Pages kept ready, until the store changes."""


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
    hides_load: bool = False
    """Whether offices' own meter readings are kept from the pages."""
    audit: Path | None = None
    """The file that the chain's last audit left."""
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
        self._lock = Lock()
        self._version: tuple[float, Version] | None = None
        self._kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def version(self) -> Version:
        """Return the store's state, at most `PULSE_SECONDS` old."""
        with self._lock:
            asked = time.monotonic()
            if self._version and asked - self._version[0] < PULSE_SECONDS:
                return self._version[1]
            with stored(self.engine) as store:
                block, block_hash = store.last_block() or (-1, b"")
                settled = store.last_settled()
                found = Version(
                    block,
                    block_hash.hex(),
                    store.final_block(),
                    0.0 if settled is None else (settled + 1) * 1800.0,
                    self.audit.stat().st_mtime if self.audit and self.audit.exists() else 0.0,
                )
            if self._version is None or self._version[1] != found:
                self._kept.clear()
            self._version = asked, found
            return found

    def made(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return what `make` makes, or what it made before of the same key and store."""
        version = self.version()
        # What is live tells the time: it is made anew each few seconds.
        is_live = self.clock() - version.settled_at < RECORD_SECONDS
        whole = (*key, version, self.clock() // 5 if is_live else 0)
        with self._lock:
            if whole in self._kept:
                self._kept.move_to_end(whole)
                return self._kept[whole]
        found = make()
        with self._lock:
            self._kept[whole] = found
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def viewer(self) -> Viewer:
        """Return who reads."""
        return Viewer(self.hides_load)

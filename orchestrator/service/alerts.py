"""What is wrong right now: to the log, to the metrics, and to a webhook.

An alert is raised once, named by fixed words and what it is about, and cleared once. A webhook
that does not answer is tried again for a while; it never holds the other duties up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace

import httpx

from daemon.journal import said

log = logging.getLogger("yui.orchestrator")

NAMES = {
    "chain-away": "the node does not answer",
    "chain-stalled": "no new block comes",
    "store-failed": "the store does not answer",
    "node-behind": "the node is behind the second one, or behind what was final before",
    "node-lies": "the node tells other final blocks or events than the second one, or than before",
    "node-unverified": "what the node tells is compared with no second one now",
    "second-away": "the second node does not answer",
    "reading-missing": "a site's reading did not come by its deadline",
    "settlement-late": "a slot is not settled though it could be",
    "slot-refused": "the contract refuses to clear or to settle a slot",
    "slot-passed-over": "slots were not settled before later ones took their place",
    "low-funds": "the account that pays for gas runs low",
    "roots-conflict": "sites attest different roots of a day, or another one than this store has",
    "plan-unwritten": "an agent's plan does not come to its site's dispatch",
    "order-refused": "the contract turned an order down",
}
MOST_WAITING = 1_000
TRIES, PAUSE_SECONDS, TIMEOUT_SECONDS = 5, 2.0, 10.0


@dataclass(frozen=True)
class Alert:
    """An alert: its name, what it is about, and its details."""

    name: str
    about: str
    details: str
    since: int


@dataclass
class Alerts:
    """The alerts that are raised, and those that wait to be told to the webhook."""

    webhook: str | None = None
    raised: dict[tuple[str, str], Alert] = field(default_factory=dict)
    failed: int = 0
    """How many could not be told to the webhook."""
    _waiting: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self, name: str, wrong: dict[str, str]) -> None:
        """Say what an alert is about now, with details: others of its name are cleared."""
        with self._lock:
            for about in [about for one, about in self.raised if one == name]:
                if about not in wrong:
                    self._clear(name, about)
            for about, details in wrong.items():
                self._raise(name, about, details)

    def note(self, name: str, about: str, wrong: str | None) -> None:
        """Say what is wrong of one thing that an alert can be about, nothing if nothing is."""
        with self._lock:
            if wrong:
                self._raise(name, about, wrong)
            elif (name, about) in self.raised:
                self._clear(name, about)

    def _raise(self, name: str, about: str, details: str) -> None:
        assert name in NAMES, name
        if (name, about) in self.raised:
            # What is asked of it is what is so now; that it was raised has been told.
            self.raised[name, about] = replace(self.raised[name, about], details=details)
            return
        alert = Alert(name, about, details, int(time.time()))
        self.raised[name, about] = alert
        log.warning(said("alert.raised", name=name, about=about, details=details))
        self._tell("raised", alert)

    def _clear(self, name: str, about: str) -> None:
        gone = self.raised.pop((name, about))
        log.info(said("alert.cleared", name=name, about=about))
        self._tell("cleared", gone)

    def tell(self, name: str, about: str, details: str) -> None:
        """Tell of something that happened, and is no state that ends."""
        log.warning(said("alert.told", name=name, about=about, details=details))
        self._tell("told", Alert(name, about, details, int(time.time())))

    def _tell(self, what: str, alert: Alert) -> None:
        if self.webhook:
            # The oldest makes room.
            self.failed += len(self._waiting) == MOST_WAITING
            self._waiting.append(
                {
                    "event": what,
                    "name": alert.name,
                    "meaning": NAMES[alert.name],
                    "about": alert.about,
                    "details": alert.details,
                    "since": alert.since,
                }
            )
            if self._loop:
                # Duties tell of alerts from threads of their own.
                self._loop.call_soon_threadsafe(self._news.set)

    async def deliver(self) -> None:
        """Tell the webhook, until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._news.set()
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._waiting:
                    await self._deliver(client, self._waiting.popleft())

    async def _deliver(self, client: httpx.AsyncClient, body: dict[str, object]) -> None:
        assert self.webhook
        for attempt in range(TRIES):
            with contextlib.suppress(httpx.HTTPError, httpx.InvalidURL):
                answer = await client.post(self.webhook, json=body)
                if answer.is_success:
                    return
            await asyncio.sleep(PAUSE_SECONDS * attempt)
        self.failed += 1
        log.error(said("webhook.failed", name=body["name"], about=body["about"]))

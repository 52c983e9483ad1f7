"""The control room's end of the link: it hears all sites, and sends each what is signed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiomqtt import Client, Message, MqttError

from energy.errors import LinkError
from vpp.commands import Answer, Report
from vpp.link.client import client_of, expiring, heeded, kept_connected
from vpp.link.folders import RoomPlace
from vpp.link.wire import answer_from, link_from, report_from, topic, topic_parts

SESSION_SECONDS = 86_400
"""How long the broker keeps answers for a room that is away."""


class Listener(Protocol):
    """What is told of all that sites say."""

    def on_connected(self) -> None:
        """The broker is there, for the first time or again."""

    def on_report(self, report: Report, live: bool) -> None:
        """A report came; not live: the broker had kept it."""

    def on_answer(self, answer: Answer, of: str) -> None:
        """An answer came to the envelope of a name."""

    def on_link(self, site: int, up: bool) -> None:
        """A site has connected or gone."""

    def on_stray(self, topic: str, reason: str) -> None:
        """A message came that makes no sense."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An envelope to a site, worth sending until `expires_at`.

    The broker gives one that `lasts` to a site whenever it connects: it keeps the last of them.
    """

    site: int
    payload: str
    expires_at: int
    lasts: bool = False


class RoomLink:
    """A connection of the control room, kept until cancelled.

    `identifier` is the session's: two that are connected at once must differ. A session that is
    kept gets what sites answered while it was away.
    """

    def __init__(
        self,
        place: RoomPlace,
        listener: Listener,
        identifier: str,
        keeps_session: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.place = place
        self.connected = asyncio.Event()
        self._listener = listener
        self._identifier = identifier
        self._session_seconds = SESSION_SECONDS if keeps_session else 0
        self._clock = clock
        self._client: Client | None = None

    async def run(self) -> None:
        """Keep the connection until cancelled.

        Raises:
            SettingError: if the certificate's files are none.
        """
        await kept_connected(self._made, self._used, self._identifier, self._lost)

    async def send(self, outgoing: Outgoing) -> bool:
        """Send an envelope; return whether the broker has taken it."""
        client, left = self._client, outgoing.expires_at - self._clock()
        if client is None or left <= 0:
            return False
        going = client.publish(
            topic(self.place.fleet.name, outgoing.site, "instruction"),
            outgoing.payload,
            qos=1,
            retain=outgoing.lasts,
            properties=expiring(int(left)),
        )
        try:
            await heeded(going)
        except MqttError:
            return False
        return True

    def _made(self) -> Client:
        return client_of(self.place.broker, self._identifier, self._session_seconds)

    async def _used(self, client: Client) -> None:
        fleet = self.place.fleet.name
        wanted = [(topic(fleet, "+", kind), qos) for kind, qos in _KINDS.items()]
        await heeded(client.subscribe(wanted))
        self._client = client
        self.connected.set()
        self._listener.on_connected()
        async for message in client.messages:
            self._hear(message)

    def _lost(self) -> None:
        self._client = None
        self.connected.clear()

    def _hear(self, message: Message) -> None:
        where = str(message.topic)
        payload = message.payload if isinstance(message.payload, bytes) else b""
        try:
            site, kind = topic_parts(where)
            if kind == "report":
                report = report_from(payload)
                _same(site, report.site)
                self._listener.on_report(report, live=not message.retain)
            elif kind == "answer":
                answer, of = answer_from(payload)
                _same(site, answer.site)
                self._listener.on_answer(answer, of)
            elif kind == "link":
                self._listener.on_link(site, link_from(payload))
        except LinkError as error:
            self._listener.on_stray(where, str(error))


_KINDS = {"report": 0, "answer": 1, "link": 1}


def _same(of_topic: int, of_message: int) -> None:
    if of_topic != of_message:
        raise LinkError(f"a message must be of the topic's site {of_topic}, got {of_message}")

"""A connection to the fleet's broker, made outward and made again whenever it is lost.

TLS 1.3, both sides by certificate. A lost connection is tried again after half a second, then
after twice as long each time up to `LONGEST_WAIT_SECONDS`, each time by chance up to half less,
so that a thousand sites do not come back in the same moment.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from aiomqtt import Client, MqttError, ProtocolVersion, Will
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from daemon.journal import said
from energy.errors import LinkError, SettingError

KEEPALIVE_SECONDS = 15
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0
IN_FLIGHT = 1_000
"""Messages that may wait for the broker's word at a time."""

AGAIN_SECONDS = 1.0

T = TypeVar("T")
log = logging.getLogger("yui.link")
# What it says is said here, in our words.
_silent = logging.getLogger("yui.link.mqtt")
_silent.setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and the files by which both sides know each other."""

    host: str
    port: int
    authority: Path
    """The certificate that the broker's must be signed by."""
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return what TLS needs.

        Raises:
            SettingError: if a file is missing or none of its kind.
        """
        try:
            made = ssl.create_default_context(cafile=str(self.authority))
            made.minimum_version = ssl.TLSVersion.TLSv1_3
            made.load_cert_chain(str(self.certificate), str(self.key))
        except OSError as error:
            raise SettingError(
                f"{self.certificate}, its key and {self.authority.name} must be a certificate's "
                f"files, got {error}"
            ) from None
        return made


def properties(packet: int, **values: Any) -> Properties:
    """Return MQTT 5 properties of a packet, named as in the standard without blanks."""
    made = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(made, name, value)
    return made


@lru_cache(maxsize=16)
def expiring(seconds: int) -> Properties:
    """Return the properties of a message that the broker drops after some seconds."""
    return properties(PacketTypes.PUBLISH, MessageExpiryInterval=max(1, seconds))


def client_of(
    broker: Broker, identifier: str, session_seconds: int, will: Will | None = None
) -> Client:
    """Return a client that is not connected yet.

    The broker keeps its session, with what arrives meanwhile, for `session_seconds`.
    """
    made = Client(
        broker.host,
        broker.port,
        identifier=identifier,
        protocol=ProtocolVersion.V5,
        tls_context=broker.context(),
        keepalive=KEEPALIVE_SECONDS,
        clean_start=not session_seconds,
        properties=properties(PacketTypes.CONNECT, SessionExpiryInterval=session_seconds),
        will=will,
        max_inflight_messages=IN_FLIGHT,
        logger=_silent,
    )
    made.pending_calls_threshold = IN_FLIGHT
    return made


async def kept_connected(
    made: Callable[[], Client],
    used: Callable[[Client], Awaitable[None]],
    name: str,
    lost: Callable[[], None] = lambda: None,
) -> None:
    """Connect and let the connection be used, again and again, until cancelled.

    `used` is called once a connection and should last as long as it does; `lost` is told of the
    end of each.

    Raises:
        SettingError: if the certificate's files are none.
    """
    wait, told = FIRST_WAIT_SECONDS, ""
    while True:
        try:
            async with made() as client:
                log.info(said("link.connected", name=name))
                wait, told = FIRST_WAIT_SECONDS, ""
                await used(client)
        except* (MqttError, LinkError, OSError) as errors:
            reason = _first_line(errors)
            if reason != told:
                log.warning(said("link.lost", name=name, reason=reason))
            told = reason
        finally:
            lost()
        # Saying goodbye may fail as well, and must not hide that it was to be the last time.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        await asyncio.sleep(wait * random.uniform(0.5, 1))
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)


async def heeded(call: Awaitable[T]) -> T:
    """Wait for a call of the client's, and heed it if the task was told to end meanwhile.

    In Python 3.11 `asyncio.wait_for`, by which the client waits, forgets that it was cancelled if
    what it waits for comes in the same moment.
    """
    result = await call
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    return result


async def together(*duties: Coroutine[Any, Any, None]) -> None:
    """Do duties until the first of them ends or fails, and end the others; raise what it raised.

    A task group would do, but for Python 3.11: there it leaves its task marked as cancelled after
    a duty has failed, and who asks whether it is to end is told wrongly.
    """
    tasks = [asyncio.create_task(duty) for duty in duties]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await ended(*tasks)
    for task in done:
        task.result()


async def ended(*tasks: asyncio.Task[None]) -> None:
    """Tell tasks to end, again where one has not heard it, and wait until all have."""
    while going := [task for task in tasks if not task.done()]:
        for task in going:
            task.cancel()
        await asyncio.wait(going, timeout=AGAIN_SECONDS)


def _first_line(errors: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return (str(error) or type(error).__name__).splitlines()[0]

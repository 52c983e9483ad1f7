"""ECHONET Lite over UDP: one socket for all nodes that are asked.

Devices send their answers to port 3610, whatever port they were asked from, so the socket is bound
to it; newer ones answer to where the question came from, and a `local_port` of 0 serves them.
One process a machine can have port 3610.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from weakref import WeakKeyDictionary

from energy.errors import DeviceError, SettingError
from field.echonet import (
    ANSWERS,
    CONTROLLER,
    GET,
    INSTANCES,
    NODE,
    PORT,
    SET,
    WRITABLE,
    Frame,
    codes_from,
    frame_from,
    instances_from,
)
from field.modbus import NoAnswer

MOST_PROPERTIES = 8
"""Asked for in one frame: small nodes refuse more."""


@dataclass(frozen=True)
class Echonet:
    """A host that speaks ECHONET Lite, and the port that is asked from."""

    host: str
    port: int = PORT
    local_port: int = PORT

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Declined(DeviceError):
    """The device answered that it does not have, or does not take, a property."""

    kind = "declined"


class EchonetLine:
    """Questions to one node; one at a time, each asked again once."""

    def __init__(self, address: Echonet, *, timeout_seconds: float = 1.0, retries: int = 1) -> None:
        self.address = address
        self._timeout, self._tries = timeout_seconds, 1 + retries
        self._socket: _Socket | None = None
        self._lock = asyncio.Lock()
        self._objects: list[int] | None = None
        self._writable: dict[int, set[int]] = {}

    def __str__(self) -> str:
        return str(self.address)

    async def objects(self) -> list[int]:
        """Return the objects of the node, as its profile lists them.

        Raises:
            DeviceError: if it does not answer.
        """
        if self._objects is None:
            answer = await self.get(NODE, [INSTANCES])
            self._objects = instances_from(answer.get(INSTANCES, b""))
        return self._objects

    async def object_for(self, classes: Sequence[int], instance: int) -> int:
        """Return the node's object of the first of some classes that it has.

        Raises:
            DeviceError: if it has none of them.
        """
        found = await self.objects()
        for class_ in classes:
            if class_ << 8 | instance in found:
                return class_ << 8 | instance
        self._objects = None  # it may have others by the next time
        names = " or ".join(f"{class_:04X}{instance:02X}" for class_ in classes)
        listed = ", ".join(f"{each:06X}" for each in found) or "none"
        raise DeviceError(f"{self} must have object {names}, got {listed}")

    async def writable(self, target: int) -> set[int]:
        """Return the codes of an object that can be set."""
        if target not in self._writable:
            answer = await self.get(target, [WRITABLE])
            self._writable[target] = codes_from(answer.get(WRITABLE, b""))
        return self._writable[target]

    async def get(self, target: int, codes: Sequence[int]) -> dict[int, bytes]:
        """Return an object's properties; those that it does not have are absent.

        Raises:
            NoAnswer: if the node does not answer.
            Declined: if it has none of them.
        """
        found: dict[int, bytes] = {}
        for at in range(0, len(codes), MOST_PROPERTIES):
            asked = tuple((code, b"") for code in codes[at : at + MOST_PROPERTIES])
            answer = await self._ask(target, GET, asked)
            found |= {code: value for code, value in answer.properties if value}
        if not found:
            names = ", ".join(f"0x{code:X}" for code in codes)
            raise Declined(f"{self} object {target:06X} must tell {names}, got none of them")
        return found

    async def set(self, target: int, properties: Sequence[tuple[int, bytes]]) -> None:
        """Set an object's properties, in their order.

        Raises:
            NoAnswer: if the node does not answer.
            Declined: if it does not take one.
        """
        answer = await self._ask(target, SET, tuple(properties))
        if answer.service != ANSWERS[SET][0]:
            refused = ", ".join(
                f"0x{code:X} = 0x{value.hex()}"
                for (code, value), (_, left) in zip(properties, answer.properties, strict=False)
                if left
            )
            raise Declined(f"{self} object {target:06X} must take {refused}, got a refusal")

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.left()
            self._socket = None

    async def _ask(
        self, target: int, service: int, properties: tuple[tuple[int, bytes], ...]
    ) -> Frame:
        async with self._lock:
            heard_from = await self._resolved()
            if self._socket is None or self._socket.is_closed:
                self._socket = await _joined(self.address.local_port)
            place = (heard_from, self.address.port)
            for _ in range(self._tries):
                answer = await self._socket.asked(place, target, service, properties, self._timeout)
                if answer is not None:
                    return answer
        raise NoAnswer(f"{self} must answer for object {target:06X}, got no answer")

    async def _resolved(self) -> str:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                self.address.host, None, family=socket.AF_INET, type=socket.SOCK_DGRAM
            )
        except OSError as error:
            raise NoAnswer(f"{self.address.host} must be a host, got: {error}") from None
        return str(found[0][4][0])


_sockets: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, asyncio.Task[_Socket]]] = (
    WeakKeyDictionary()
)
"""By loop and port; a task, since two lines may ask for it at once."""


async def _joined(local_port: int) -> _Socket:
    """Return the loop's socket on a port, opened by whoever needs it first.

    Raises:
        SettingError: if another process has the port.
    """
    loop = asyncio.get_running_loop()
    opened = _sockets.setdefault(loop, {})
    known = opened.get(local_port)
    if known is None or (known.done() and (known.exception() or known.result().is_closed)):
        opened[local_port] = loop.create_task(_socket(local_port))
    try:
        found = await opened[local_port]
    except OSError as error:
        raise SettingError(
            f"local_port must be free to hear ECHONET Lite answers, got {local_port}: {error}"
        ) from None
    found.users += 1
    return found


async def _socket(local_port: int) -> _Socket:
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        _Socket, local_addr=("0.0.0.0", local_port)
    )
    return protocol


class _Socket(asyncio.DatagramProtocol):
    """A socket, and for each host the one question that is not answered yet."""

    transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self.users = 0
        self._transaction = 0
        self._waiting: dict[tuple[str, int], tuple[int, int, asyncio.Future[Frame]]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, by its last user or by an error."""
        return self.transport.is_closing()

    def left(self) -> None:
        """Close it with its last user."""
        self.users -= 1
        if not self.users:
            self.transport.close()

    async def asked(
        self,
        place: tuple[str, int],
        target: int,
        service: int,
        properties: tuple[tuple[int, bytes], ...],
        timeout_seconds: float,
    ) -> Frame | None:
        """Ask; return the answer, None if none comes in time."""
        self._transaction = self._transaction % 0xFFFF + 1
        key = (place[0], self._transaction)
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[key] = (target, service, future)
        frame = Frame(self._transaction, CONTROLLER, target, service, properties)
        self.transport.sendto(frame.to_bytes(), place)
        try:
            return await asyncio.wait_for(future, timeout_seconds)
        except TimeoutError:
            return None
        finally:
            del self._waiting[key]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take an answer to a question; what else is heard on the port is passed over."""
        try:
            frame = frame_from(data)
        except DeviceError:
            return
        waiting = self._waiting.get((addr[0], frame.transaction))
        if waiting is None:
            return
        target, service, future = waiting
        if frame.source == target and frame.service in ANSWERS[service] and not future.done():
            future.set_result(frame)

    def error_received(self, exc: Exception) -> None:
        """A host that is not there is one that does not answer."""

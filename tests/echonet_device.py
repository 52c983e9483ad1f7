"""A simulated ECHONET Lite node on a UDP port: objects with properties that can be set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from field.echonet import (
    ANSWERS,
    GET,
    INSTANCES,
    NODE,
    READABLE,
    SET,
    WRITABLE,
    Frame,
    frame_from,
    map_of,
)


@dataclass
class SimulatedNode(asyncio.DatagramProtocol):
    """Answers from `objects`: properties by object. `deaf` it answers nothing; what is in
    `refused` it does not take; what is in `ignored` it takes and forgets."""

    objects: dict[int, dict[int, bytes]]
    writable: dict[int, set[int]] = field(default_factory=dict)
    deaf: bool = False
    refused: set[int] = field(default_factory=set)
    ignored: set[int] = field(default_factory=set)
    asked: list[Frame] = field(default_factory=list)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        frame = frame_from(data)
        self.asked.append(frame)
        if self.deaf:
            return
        answer = self.answer(frame)
        if answer is not None:
            self.transport.sendto(answer.to_bytes(), addr)  # type: ignore[attr-defined]

    def answer(self, frame: Frame) -> Frame | None:
        held = self.properties(frame.target)
        if held is None or frame.service not in (GET, SET):
            return None
        if frame.service == GET:
            found = tuple((code, held.get(code, b"")) for code, _ in frame.properties)
            full = all(value for _, value in found)
        else:
            found = tuple(self.taken(frame.target, *each) for each in frame.properties)
            full = not any(value for _, value in found)
        service = ANSWERS[frame.service][0 if full else 1]
        return Frame(frame.transaction, frame.target, frame.source, service, found)

    def properties(self, target: int) -> dict[int, bytes] | None:
        if target == NODE:
            listed = b"".join(each.to_bytes(3) for each in self.objects)
            return {INSTANCES: bytes([len(self.objects)]) + listed, READABLE: map_of([INSTANCES])}
        held = self.objects.get(target)
        if held is None:
            return None
        maps = {
            READABLE: map_of([*held, READABLE, WRITABLE]),
            WRITABLE: map_of(list(self.writable.get(target, ()))),
        }
        return held | maps

    def taken(self, target: int, code: int, value: bytes) -> tuple[int, bytes]:
        """A property that is set: its code alone; one that is not, with the value refused."""
        if code in self.refused or code not in self.writable.get(target, ()):
            return code, value
        if code not in self.ignored:
            self.objects[target][code] = value
        return code, b""


@asynccontextmanager
async def served(node: SimulatedNode) -> AsyncIterator[int]:
    """Serve a node on loopback; yield its port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: node, ("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def word(number: int) -> bytes:
    """Four bytes, signed."""
    return number.to_bytes(4, signed=number < 0)


def battery(
    mode: int = 0x46, codes: Iterable[int] = (0xDA, 0xEB, 0xEC, 0xC1, 0xC2)
) -> tuple[dict[int, bytes], set[int]]:
    """A battery of 44 kWh and 15 kW that charges with 3 kW; and what of it can be set."""
    properties = {
        0x80: b"\x30",
        0x88: b"\x42",
        0xA1: word(44_000),
        0xA5: word(11_000),
        0xA8: word(5_500_000),
        0xA9: word(4_900_000),
        0xC1: b"\x01",
        0xC2: b"\x01",
        0xC8: word(0) + word(15_000),
        0xC9: word(0) + word(14_000),
        0xD3: word(3_000),
        0xDA: bytes([mode]),
        0xE4: b"\x19",
        0xEB: word(0),
        0xEC: word(0),
    }
    return properties, set(codes)


def meter() -> dict[int, bytes]:
    """A smart meter that counts in 0.1 kWh, with eight digits, and exports 1.2 kW."""
    return {
        0xD3: word(1),
        0xD7: b"\x08",
        0xE0: word(123_456),
        0xE1: b"\x01",
        0xE3: word(654),
        0xE7: word(-1_200),
    }


def roof() -> dict[int, bytes]:
    """A roof that gives 4.2 kW."""
    return {0xE0: (4_200).to_bytes(2), 0xE1: word(9_876_543)}

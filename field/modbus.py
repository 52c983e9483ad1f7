"""Registers of field devices over Modbus TCP or RTU: the client side of pymodbus.

Addresses are those of the protocol, from 0. A register has 16 bits.
Source: Modbus application protocol 1.1b3 (at most 125 registers a read, 123 a write).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from energy.errors import DeviceError

READ_LIMIT = 125
CODES = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target silent",
}

# What goes wrong is raised here; pymodbus would print it a second time.
logging.getLogger("pymodbus").addHandler(logging.NullHandler())


Table = Literal["holding", "input"]
"""Which registers: holding (function 3) or input (function 4)."""


class NoAnswer(DeviceError):
    """The device could not be reached, did not answer, or answered what is no Modbus."""

    kind = "no-answer"


class Garbled(NoAnswer):
    """What came back is no Modbus."""

    kind = "garbage"


class CodeAnswered(DeviceError):
    """The device answered with an exception code: it is there, and declines."""

    kind = "exception-code"

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Tcp:
    """A host that speaks Modbus TCP, a gateway to a serial line perhaps."""

    host: str
    port: int = 502

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Serial:
    """A serial line with Modbus RTU: eight data bits, as the specification has it."""

    path: str
    baud: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: int = 1

    def __str__(self) -> str:
        return self.path


Address = Tcp | Serial


class Line:
    """A connection, opened by the first read and, after a failure, by the next."""

    def __init__(self, address: Address, *, timeout_seconds: float = 1.0, retries: int = 1) -> None:
        self.address = address
        self._client: AsyncModbusTcpClient | AsyncModbusSerialClient
        if isinstance(address, Tcp):
            self._client = AsyncModbusTcpClient(
                address.host,
                port=address.port,
                timeout=timeout_seconds,
                retries=retries,
                reconnect_delay=0,
                trace_packet=self._without_nonsense,
            )
        else:
            self._client = AsyncModbusSerialClient(
                address.path,
                baudrate=address.baud,
                parity=address.parity,
                stopbits=address.stop_bits,
                timeout=timeout_seconds,
                retries=retries,
                reconnect_delay=0,
            )
        self._lock = asyncio.Lock()
        self._nonsense = b""

    def __str__(self) -> str:
        return str(self.address)

    async def read(
        self, unit: int, address: int, count: int, table: Table = "holding"
    ) -> list[int]:
        """Return `count` registers (1..125) of a unit (1..247) from `address` on.

        Raises:
            CodeAnswered: if the device answers with an exception code.
            Garbled: if it answers nonsense.
            NoAnswer: if it cannot be reached or does not answer.
        """
        client = self._client
        ask = client.read_holding_registers if table == "holding" else client.read_input_registers
        answer = await self._answer(
            lambda: ask(address, count=count, device_id=unit),
            f"{self} unit {unit} must answer for register {address}",
            f"{self} unit {unit} must give register {address}",
        )
        if len(answer.registers) != count:
            raise Garbled(
                f"{self} unit {unit} must give {count} registers from {address}, "
                f"got {len(answer.registers)}"
            )
        return list(answer.registers)

    async def write(self, unit: int, address: int, registers: Sequence[int]) -> None:
        """Write 1 to 123 registers of a unit from `address` on, in one message (function 16).

        Raises:
            CodeAnswered: if the device declines with an exception code.
            Garbled: if it answers nonsense.
            NoAnswer: if it cannot be reached or does not answer; it may have taken them.
        """
        await self._answer(
            lambda: self._client.write_registers(address, list(registers), device_id=unit),
            f"{self} unit {unit} must answer to a write of register {address}",
            f"{self} unit {unit} must take register {address}",
        )

    async def _answer(
        self, ask: Callable[[], Awaitable[ModbusPDU]], question: str, wish: str
    ) -> ModbusPDU:
        """Ask, over a connection that is opened where it must be, and return what was answered."""
        async with self._lock:
            self._nonsense = b""
            try:
                if not self._client.connected and not await self._client.connect():
                    raise NoAnswer(f"{self} must accept a connection, got none")
                answer = await ask()
            except ModbusException as error:
                self._client.close()
                if self._nonsense:
                    got = self._nonsense.hex()
                    raise Garbled(f"{question}, got bytes {got}") from error
                raise NoAnswer(f"{question}, got no answer") from error
            except BaseException:
                # An answer to a cancelled question must not be taken for the next one's.
                self._client.close()
                raise
        if isinstance(answer, ExceptionResponse) or answer.isError():
            code = getattr(answer, "exception_code", 0)
            raise CodeAnswered(f"{wish}, got exception {code} ({CODES.get(code, 'unknown')})", code)
        return answer

    def _without_nonsense(self, sending: bool, packet: bytes) -> bytes:
        """Withhold from pymodbus what would break its decoder, and with it the connection."""
        if not sending and not is_answer(packet):
            self._nonsense = packet[:16]
            return b""
        return packet

    def close(self) -> None:
        """Close the connection; a later read opens it again."""
        self._client.close()


def is_answer(packet: bytes) -> bool:
    """Whether bytes from the line are, or may become, an answer to a read or write of registers.

    An answer is a header (transaction, protocol 0, length, unit), then function 3 or 4, a
    count of bytes and so many; or function 16, an address and a count; or one of these plus
    0x80 and a code.
    """
    if len(packet) < 9:
        return packet[2:4] in (b"", b"\0", b"\0\0")
    length, function, count = int.from_bytes(packet[4:6]), packet[7], packet[8]
    if packet[2:4] != b"\0\0":
        return False
    if function in (0x83, 0x84, 0x90):
        return length == 3
    if function == 16:
        return length == 6
    return function in (3, 4) and length == 3 + count and count % 2 == 0

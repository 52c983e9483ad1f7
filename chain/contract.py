"""A contract's words on the wire: calls, results, events and refusals, by its slim ABI.

Needs no compiler and no node: `chain/abi/` holds what the compiler made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, Protocol

from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from energy.errors import ChainError, Refusal, refusal_from

_REASON = keccak(text="Error(string)")[:4]
_PUSH1, _PUSH32 = 0x60, 0x7F


@dataclass(frozen=True)
class Log:
    """An event as the chain keeps it."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True)
class Receipt:
    """What became of a transaction: block number, gas, logs."""

    transaction: bytes
    block: int
    gas_used: int
    logs: tuple[Log, ...]


@dataclass(frozen=True)
class Event:
    """An event by name, with its arguments."""

    name: str
    arguments: Mapping[str, Any]


class Chain(Protocol):
    """A chain that transactions can be sent to: a node, or an EVM in this process."""

    @property
    def chain_id(self) -> int:
        """The number that signatures are for."""
        ...

    @property
    def sender(self) -> str:
        """The address that pays for transactions."""
        ...

    def now(self) -> int:
        """Return the newest block's time, unix seconds."""
        ...

    def deploy(self, init_code: bytes) -> tuple[str, Receipt]:
        """Create a contract and return its address.

        Raises:
            ChainError, Refusal.
        """
        ...

    def send(self, to: str, data: bytes) -> Receipt:
        """Send a transaction and wait until it is in a block.

        Raises:
            Refusal: by which the contract turned it down.
            ChainError: if it failed for another reason.
        """
        ...

    def call(self, to: str, data: bytes) -> bytes:
        """Ask without a transaction.

        Raises:
            Refusal, ChainError: as `send`.
        """
        ...

    def calls(self, to: str, data: Sequence[bytes]) -> list[bytes]:
        """Ask many things of a contract, as `call` does."""
        ...


@dataclass(frozen=True)
class Interface:
    """A contract's ABI and the code that creates it."""

    name: str
    abi: tuple[Mapping[str, Any], ...]
    bytecode: bytes
    runtime: bytes = b""
    """The code that then stands at its address, where it was published."""

    def init_code(self, arguments: Sequence[Any]) -> bytes:
        """Return the code that creates the contract with these constructor arguments."""
        constructor = next(entry for entry in self.abi if entry["type"] == "constructor")
        return self.bytecode + encode([_type(i) for i in constructor["inputs"]], list(arguments))

    def call(self, function: str, *arguments: Any) -> bytes:
        """Return the data of a call."""
        selector, entry = self._functions[function]
        return selector + encode([_type(i) for i in entry["inputs"]], list(arguments))

    def read_call(self, data: bytes) -> tuple[str, tuple[Any, ...]] | None:
        """Read a call's function and arguments; None if it is none of this contract's."""
        for name, (selector, entry) in self._functions.items():
            if data[:4] == selector:
                # Not strict: Solidity does not look at what pads a call's bytes either.
                types = [_type(field) for field in entry["inputs"]]
                return name, tuple(decode(types, data[4:], strict=False))
        return None

    def constructor_arguments(self, init_code: bytes) -> tuple[Any, ...] | None:
        """Read the arguments that a contract was created with; None if it is another one."""
        if not init_code.startswith(self.bytecode):
            return None
        constructor = next(entry for entry in self.abi if entry["type"] == "constructor")
        inputs = [_type(field) for field in constructor["inputs"]]
        return tuple(decode(inputs, init_code[len(self.bytecode) :]))

    def is_code_of(self, code: bytes) -> bool:
        """Say whether deployed code is this contract's, whatever its immutable values are."""
        template = self.bytecode[len(self.bytecode) - len(code) :]
        if len(code) != len(template):
            return False
        at = 0
        while at < len(code):
            if code[at] != template[at]:
                return False
            is_push = _PUSH1 <= code[at] <= _PUSH32
            operand = slice(at + 1, at + 2 + code[at] - _PUSH1) if is_push else slice(at, at)
            # An immutable value is put in the place of 32 zero bytes.
            if code[operand] != template[operand] and template[operand] != bytes(32):
                return False
            at = max(operand.stop, at + 1)
        return True

    def result(self, function: str, data: bytes) -> Any:
        """Read what a call returned: a value, or a tuple of several."""
        _, entry = self._functions[function]
        values = decode([_type(output) for output in entry["outputs"]], data)
        return values[0] if len(values) == 1 else values

    def events(self, logs: Iterable[Log]) -> list[Event]:
        """Read events; logs of other contracts' events are left out."""
        return [event for log in logs if (event := self.event(log))]

    def event(self, log: Log) -> Event | None:
        """Read one event; None if it is none of this contract's."""
        entry = self._events.get(log.topics[0]) if log.topics else None
        if entry is None:
            return None
        indexed = [field for field in entry["inputs"] if field["indexed"]]
        others = [field for field in entry["inputs"] if not field["indexed"]]
        values = dict(
            zip(
                (field["name"] for field in others),
                decode([_type(field) for field in others], log.data),
                strict=True,
            )
        )
        for field, topic in zip(indexed, log.topics[1:], strict=True):
            (values[field["name"]],) = decode([_type(field)], topic)
        return Event(entry["name"], values)

    @cached_property
    def _functions(self) -> dict[str, tuple[bytes, Mapping[str, Any]]]:
        return {
            entry["name"]: (keccak(text=_signature(entry))[:4], entry)
            for entry in self.abi
            if entry["type"] == "function"
        }

    @cached_property
    def _events(self) -> dict[bytes, Mapping[str, Any]]:
        return {
            keccak(text=_signature(entry)): entry for entry in self.abi if entry["type"] == "event"
        }


def _type(field: Mapping[str, Any]) -> str:
    kind: str = field["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(part) for part in field['components'])}){kind[5:]}"


def _signature(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']}({','.join(_type(field) for field in entry['inputs'])})"


@lru_cache
def interface(name: str) -> Interface:
    """Return a contract's interface as it was exported at the last compilation."""
    text = files("chain").joinpath("abi", f"{name}.json").read_text()
    exported = json.loads(text)
    codes = (bytes.fromhex(exported.get(code, "0x")[2:]) for code in ("bytecode", "runtime"))
    return Interface(name, tuple(exported["abi"]), *codes)


def refusal_or_error(data: bytes, what: str) -> Refusal | ChainError:
    """Return the error that a revert's data stand for; `what` was being done."""
    refusal = refusal_from(data)
    if refusal:
        return refusal
    if data[:4] == _REASON:
        return ChainError(f"{what} must not revert, got {decode(['string'], data[4:])[0]}")
    return ChainError(f"{what} must not revert, got 0x{data.hex()}")

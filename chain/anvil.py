"""A development chain in a process of its own: anvil, on a free port, with a clock to set."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from web3.types import RPCEndpoint

from chain.node import NodeChain
from chain.ports import free_port
from energy.errors import ChainError

DEFAULT_CHAIN_ID = 7_000
START_TIMEOUT_SECONDS = 15.0
_PACKAGE = Path("node_modules/@foundry-rs")


class AnvilChain(NodeChain):
    """A node whose clock can be set, and which holds the keys of ten rich accounts."""

    def set_time(self, moment: int) -> None:
        """Mine a block at a moment, unix seconds; later ones follow a second apart."""
        self.request("evm_setNextBlockTimestamp", [moment])
        self.request("evm_mine", [])

    def request(self, method: str, parameters: list[object]) -> object:
        """Ask the node something that only a development node knows."""
        answer = self.web3.provider.make_request(RPCEndpoint(method), parameters)
        if "error" in answer:
            raise ChainError(f"{method} must be taken by the node, got {answer['error']}")
        return answer["result"]

    def fund(self, address: str, wei: int = 10**20) -> None:
        """Give an account money for gas."""
        self.request("anvil_setBalance", [address, hex(wei)])


def anvil_program() -> str:
    """Return the path of anvil: `YUI_ANVIL`, PATH, or the project's npm packages.

    Raises:
        ChainError: if there is none.
    """
    named = os.environ.get("YUI_ANVIL") or shutil.which("anvil")
    if named:
        return named
    for root in (Path.cwd(), Path(__file__).resolve().parent.parent):
        for found in sorted((root / _PACKAGE).glob("anvil-*/bin/anvil*")):
            return str(found)
    raise ChainError("anvil must be installed (make setup), or named by YUI_ANVIL, got none")


@contextmanager
def anvil(
    start_time: int, chain_id: int = DEFAULT_CHAIN_ID, log: Path | None = None
) -> Iterator[AnvilChain]:
    """Run a development chain on loopback whose first block is at `start_time`, unix seconds.

    It ends with the `with` block. London's rules, blocks of 60 M gas, gas for nothing.
    """
    port = free_port()
    command = [
        anvil_program(),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--chain-id", str(chain_id), "--timestamp", str(start_time)),
        *("--hardfork", "london", "--gas-limit", "60000000"),
        *("--base-fee", "0", "--gas-price", "0"),
    ]
    output = log.open("wb") if log else subprocess.DEVNULL
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    )
    try:
        chain = _answering(process, f"http://127.0.0.1:{port}")
        chain.request("anvil_setBlockTimestampInterval", [1])
        yield chain
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if log:
            output.close()  # type: ignore[union-attr]


def _answering(process: subprocess.Popen[bytes], url: str) -> AnvilChain:
    end = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        try:
            return AnvilChain(url)
        except ChainError as error:
            if process.poll() is not None:
                raise ChainError(f"anvil must start, got exit code {process.returncode}") from error
            if time.monotonic() > end:
                raise
            time.sleep(0.02)

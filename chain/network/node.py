"""One member's node: geth with Clique in a process of its own, sealing and voting for him.

JSON-RPC answers on the machine's loopback only, since whoever reaches it may spend what the
validator has; votes go through the socket in the member's folder, which only he can open.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chain.network.client import geth_program
from chain.network.folders import MEMBER_FILE, member_at
from chain.network.genesis import GAS_LIMIT
from chain.network.profile import GENESIS_FILE, PROFILE_FILE, profile_at
from chain.node import NodeChain
from energy.errors import ChainError, SettingError

STOP_SECONDS = 15.0
_LONGEST_SOCKET = 104
"""Bytes that a path of a socket may have everywhere."""


class MemberNode:
    """The node of the member whose own folder this is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.member = member_at(folder)
        self.profile = profile_at(folder)
        self.name = self.member.name
        self._socket = self.folder / "data" / "geth.ipc"
        self._process: subprocess.Popen[bytes] | None = None
        if len(os.fsencode(self._socket)) > _LONGEST_SOCKET:
            raise SettingError(
                f"the path of a member's folder must be at most {_LONGEST_SOCKET - 14} bytes, "
                f"got {len(os.fsencode(self.folder))}: {self.folder}"
            )

    def command(self, seal: bool = True) -> list[str]:
        """Return the command that runs the node, from its folder, sealing from the start or not."""
        member, profile = self.member, self.profile
        return [
            geth_program(trial=self.clock is not None),
            *("--config", "geth.toml", "--datadir", "data", "--nodekey", "node.key"),
            *("--networkid", str(profile.chain_id), "--port", str(member.port)),
            # All states are kept and written with their block: neither a kill nor a power cut
            # sets a node back, and anyone may ask it about any block.
            *("--syncmode", "full", "--gcmode", "archive", "--cache", "128"),
            *("--http", "--http.addr", "127.0.0.1", "--http.port", str(member.rpc_port)),
            *("--http.api", "eth,net,web3", "--authrpc.port", "0"),
            *("--txpool.globalslots", "20000", "--txpool.accountslots", "2000"),
            *("--txpool.globalqueue", "4000", "--txpool.accountqueue", "2000"),
            *(("--mine",) if seal else ()),
            *("--miner.etherbase", member.validator),
            *("--miner.gaslimit", str(GAS_LIMIT), "--miner.gasprice", "1"),
            *("--unlock", member.validator, "--password", "validator.passphrase"),
            *("--allow-insecure-unlock", "--verbosity", "3"),
        ]

    @property
    def clock(self) -> Path | None:
        """The file by which a trial's clock is set, if this is a trial."""
        file = self.folder.parent.parent / "clock"
        return file if file.exists() else None

    @property
    def environment(self) -> dict[str, str]:
        """What the node's process is told by its environment."""
        return {**os.environ, "YUI_CLOCK": str(self.clock)} if self.clock else dict(os.environ)

    def prepare(self) -> None:
        """Write the first block and the validator's key where geth wants them, if they are not.

        Raises:
            ChainError: if geth does not take them.
        """
        if not (self.folder / "data" / "geth" / "chaindata").exists():
            self._geth("init", "--datadir", "data", "--state.scheme", "hash", GENESIS_FILE)
        keystore = self.folder / "data" / "keystore"
        keystore.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(self.folder / "validator.json", keystore / "validator.json")

    def start(self, seal: bool = True) -> None:
        """Start the node in the background; its output goes to `geth.log`.

        Without `seal` it seals only when it is asked to (`miner_start`).

        Raises:
            SettingError: if it runs already.
            ChainError: if the client is missing or refuses the first block.
        """
        self._check_down()
        self.prepare()
        with (self.folder / "geth.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(seal),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._pid_file.write_text(f"{self._process.pid}\n")

    def run(self) -> int:
        """Run the node until it ends, or this program is asked to; return its exit code.

        Raises:
            SettingError: if it runs already.
        """
        self._check_down()
        self.prepare()
        self._process = subprocess.Popen(
            self.command(), cwd=self.folder, env=self.environment, start_new_session=True
        )
        self._pid_file.write_text(f"{self._process.pid}\n")
        try:
            return self._process.wait()
        except KeyboardInterrupt:
            self.stop()
            return 0

    def stop(self) -> None:
        """Ask the node to end, and wait; kill it if it does not."""
        self._end(signal.SIGINT)
        limit = time.monotonic() + STOP_SECONDS
        while self.pid() is not None:
            if time.monotonic() > limit:
                self.kill()
            time.sleep(0.05)
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the node at once, as a power cut would."""
        self._end(signal.SIGKILL)
        while self.pid() is not None:
            time.sleep(0.01)

    def wipe(self) -> None:
        """Forget the chain, as after a broken disk; keys stay.

        Raises:
            SettingError: if the node runs.
        """
        self._check_down()
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def pid(self) -> int | None:
        """Return the node's process, if it runs here."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else None
        try:
            pid = int(self._pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            cwd = Path(f"/proc/{pid}/cwd").resolve()
        except (OSError, ValueError):
            return None
        # Numbers are given again: is it ours?
        return pid if b"geth.toml" in command and cwd == self.folder.resolve() else None

    def ask(self, method: str, *parameters: Any) -> Any:
        """Return the node's answer to a request over its own socket.

        Raises:
            ChainError: if it does not answer, or answers with an error.
        """
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(10)
                connection.connect(str(self._socket))
                connection.sendall(json.dumps(request).encode())
                answer = _whole_answer(connection)
        except OSError as error:
            raise ChainError(f"the node of {self.name} must answer, got {error}") from error
        if "error" in answer:
            raise ChainError(f"{method} must be taken by {self.name}, got {answer['error']}")
        return answer["result"]

    def answers(self) -> bool:
        """Say whether the node answers, wherever it runs: in a container its process is unseen."""
        try:
            self.ask("net_version")
        except ChainError:
            return False
        return True

    def height(self) -> int:
        """Return the number of the newest block that the node has."""
        return int(self.ask("eth_blockNumber"), 16)

    def chain(self, key: bytes | None = None) -> NodeChain:
        """Return the network's chain through this node; `key` pays."""
        return self.profile.chain(self.member.url, key)

    def keep_validators(self, validators: Sequence[str]) -> None:
        """Keep in the member's profile who seals now."""
        self.profile = self.profile.with_validators(tuple(validators))
        self.profile.write(self.folder)

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"

    def _check_down(self) -> None:
        if self.pid() is not None:
            raise SettingError(f"the node of {self.name} must not run, got process {self.pid()}")

    def _end(self, how: signal.Signals) -> None:
        pid = self.pid()
        if pid is not None:
            os.kill(pid, how)

    def _geth(self, *arguments: str) -> None:
        done = subprocess.run(
            [geth_program(trial=self.clock is not None), *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise ChainError(f"geth {arguments[0]} must succeed for {self.name}, got {last}")


def _whole_answer(connection: socket.socket) -> dict[str, Any]:
    received = b""
    while True:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("an answer that breaks off")
        received += piece
        try:
            answer: dict[str, Any] = json.loads(received)
        except ValueError:
            continue
        return answer


def member_nodes(network: Path) -> list[MemberNode]:
    """Return the nodes of the members whose own folders lie in a network's and have joined it.

    Raises:
        SettingError: if there are none.
    """
    files = sorted((network / "members").glob(f"*/{MEMBER_FILE}"))
    joined = [file.parent for file in files if (file.parent / PROFILE_FILE).exists()]
    nodes = {node.name: node for node in map(MemberNode, joined)}
    known = [member.name for member in profile_at(network).members]
    if not nodes:
        raise SettingError(f"{network} must hold members' own folders, got none")
    return [nodes[name] for name in known if name in nodes]


def nodes_in(folder: Path) -> list[MemberNode]:
    """Return the nodes of a network's folder, or the one of a member's own.

    Raises:
        SettingError: if it is neither.
    """
    return [MemberNode(folder)] if (folder / MEMBER_FILE).exists() else member_nodes(folder)


def holds_nodes(folder: Path) -> bool:
    """Say whether a folder is a member's own, or a network's with members' folders in it."""
    return (folder / MEMBER_FILE).exists() or any((folder / "members").glob(f"*/{PROFILE_FILE}"))

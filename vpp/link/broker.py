"""Mosquitto with a fleet's settings on this machine, in a process that can be killed."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

from chain.ports import free_ports
from energy.errors import SettingError
from vpp.link.folders import room_at
from vpp.link.setup import Where

START_SECONDS = 20.0


def mosquitto() -> str:
    """Return the broker's program.

    Raises:
        SettingError: if there is none.
    """
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SettingError(
            "Mosquitto must be installed (Debian, Ubuntu: apt install mosquitto; "
            "macOS: brew install mosquitto), found none"
        )
    return found


def on_loopback() -> Where:
    """Return where a fleet's broker is reached that serves this machine alone."""
    port, room_port = free_ports(2)
    return Where(port=port, room_port=room_port, bind="127.0.0.1")


class Broker:
    """The broker of a fleet's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = mosquitto()
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens.

        Raises:
            SettingError: with what it says, if it does not.
        """
        path = self._folder / "broker" / "log"
        with path.open("ab") as log:
            self._running = subprocess.Popen(
                [self._program, "-c", str(self._folder / "broker" / "mosquitto.conf")],
                stdout=log,
                stderr=log,
            )
        place = room_at(self._folder).broker
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                raw = socket.create_connection((place.host, place.port), 1)
                place.context().wrap_socket(raw, server_hostname=place.host).close()
                return
            except (OSError, ssl.SSLError):
                if self._running.poll() is not None or time.monotonic() > end:
                    last = path.read_text(errors="replace").strip().splitlines()[-1:]
                    raise SettingError(f"Mosquitto must start, got: {last}") from None
                time.sleep(0.05)

    @property
    def pid(self) -> int:
        """The process that was started last."""
        if self._running is None:
            raise ValueError("a broker must have been started to have a process")
        return self._running.pid

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self._running is not None and self._running.poll() is None

    def kill(self) -> None:
        """Kill it as `kill -9` does."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()

    def stop(self) -> None:
        """End it."""
        if self._running is not None and self._running.poll() is None:
            self._running.terminate()
            self._running.wait()

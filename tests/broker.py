"""A real MQTT broker for the tests: Mosquitto on loopback, with a fleet's own settings."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from vpp.link.folders import FleetFile, Member, room_at
from vpp.link.setup import Where, new_fleet

START_SECONDS = 20.0
CITIES = ("Sendai", "Osaki", "Ishinomaki")


def mosquitto() -> str:
    """Return the broker's program; a test that asks for it is skipped where there is none."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("Mosquitto is not installed (Debian: apt install mosquitto)")
    return found


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def members(count: int) -> list[Member]:
    """Return sites in three cities."""
    return [
        Member(site, f"{CITIES[site % 3]} {site}", CITIES[site % 3], "pv+battery")
        for site in range(count)
    ]


def fleet_in(folder: Path, count: int) -> FleetFile:
    """Make a fleet whose broker listens on loopback."""
    where = Where(port=free_port(), room_port=free_port(), bind="127.0.0.1")
    return new_fleet(folder, "test", members(count), where)


class RunningBroker:
    """Mosquitto with a fleet's settings, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._program = mosquitto()
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "broker" / "log").open("ab") as log:
            self._running = subprocess.Popen(
                [self._program, "-c", str(self.folder / "broker" / "mosquitto.conf")],
                stdout=log,
                stderr=log,
            )
        place = room_at(self.folder)
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                raw = socket.create_connection((place.broker.host, place.broker.port), 1)
                place.broker.context().wrap_socket(raw, server_hostname=place.broker.host).close()
                return
            except (OSError, ssl.SSLError):
                if self._running.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(self.log()) from None
                time.sleep(0.05)

    def log(self) -> str:
        return (self.folder / "broker" / "log").read_text(errors="replace")

    def kill(self) -> None:
        assert self._running is not None
        self._running.kill()
        self._running.wait()

    def stop(self) -> None:
        if self._running is not None and self._running.poll() is None:
            self._running.terminate()
            self._running.wait()

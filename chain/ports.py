"""Ports of loopback that nothing listens on now."""

from __future__ import annotations

import socket


def free_ports(number: int) -> list[int]:
    """Return so many different ports."""
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def free_port() -> int:
    """Return a port."""
    return free_ports(1)[0]

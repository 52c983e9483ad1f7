"""What runs a member's node on a host of its own: a systemd unit, or a compose file."""

from __future__ import annotations

import sys
from pathlib import Path

from chain.network.client import PACKAGE
from chain.network.profile import Member


def service_unit(own: Path) -> str:
    """Return a systemd unit that runs the node in a member's own folder, as user `yui`."""
    folder = own.absolute()
    return f"""\
[Unit]
Description=Yui validator of {own.name}
Wants=network-online.target
After=network-online.target time-sync.target

[Service]
User=yui
ExecStart={Path(sys.executable).parent / "yui"} network run {folder}
Restart=always
RestartSec=5
KillSignal=SIGINT
TimeoutStopSec=60
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={folder}
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""


def compose_file(member: Member) -> str:
    """Return a compose file that builds the client and runs the node in the folder beside it."""
    return f"""\
services:
  validator:
    build:
      context: ${{YUI_SOURCE:?must name the folder of the project}}
      dockerfile_inline: |
        FROM golang:1.22 AS client
        RUN go install {PACKAGE}
        FROM python:3.12-slim
        COPY --from=client /go/bin/geth /usr/local/bin/geth
        RUN useradd --create-home yui
        COPY . /src
        RUN pip install --no-cache-dir "/src[operator]"
        USER yui
    command: ["yui", "network", "run", "/member"]
    network_mode: host  # JSON-RPC stays on the host's loopback; peers come to {member.port}
    restart: always
    stop_signal: SIGINT
    stop_grace_period: 60s
    volumes:
      - .:/member
"""

"""Files for other programs: a systemd unit or compose file for a host, settings for deployment."""

from __future__ import annotations

import sys
from pathlib import Path

from chain.network.client import PACKAGE
from chain.network.profile import Member, Profile


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


def deploy_settings(profile: Profile) -> str:
    """Return the settings by which `deploy/with-tools` finds the network that it deploys to."""
    return f"""\
# Read by deploy/with-tools where YUI_NETWORK names this folder.
YUI_RPC_URL={profile.members[0].url}
YUI_DEPLOYER_KEYSTORE="$YUI_NETWORK/accounts/deployer.json"
YUI_DEPLOYER_PASSPHRASE_FILE="$YUI_NETWORK/accounts/deployer.passphrase"
YUI_MANIFEST="${{YUI_MANIFEST:-$YUI_NETWORK/manifest.json}}"
YUI_OWNER={profile.safe}
"""

"""The fleet on disk: what its set-up makes, and what each end reads of it.

fleet.json       the register: sites, certificates, where the broker is; nothing secret
ca/              the authorities' keys; best kept off line
broker/          Mosquitto's settings, access list, certificate, revocation list
room/            the control room's certificate and signing key, its store
sites/site-7/    what one site needs, to be carried there: link.json, certificate, key
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chain.files import write_whole
from chain.network.keys import key_at
from energy.errors import SettingError
from energy.reason import reason_of
from vpp.link.client import Broker
from vpp.link.wire import user_of

FLEET_FILE, LINK_FILE = "fleet.json", "link.json"
FLEET_AUTHORITY, SITES_AUTHORITY = "fleet", "sites"


@dataclass(frozen=True, slots=True)
class Member:
    """A site in the register; `certificates` are serial numbers, the last one is in use."""

    site: int
    name: str
    municipality: str
    kind: str
    name_ja: str = ""
    certificates: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FleetFile:
    """The register. `salt` is the fleet's own 32 random bytes, in hex; `signer` the address of
    the control room's key."""

    name: str
    salt: str
    signer: str
    host: str
    port: int
    room_host: str
    room_port: int
    sites: tuple[Member, ...]

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=2)
        write_whole(folder / FLEET_FILE, text + "\n")


@dataclass(frozen=True, slots=True)
class SitePlace:
    """What a site knows of its fleet: `link.json` and the files beside it."""

    folder: Path
    fleet: str
    salt: bytes
    signers: frozenset[str]
    site: int
    broker: Broker

    @property
    def ledger(self) -> Path:
        """Where its ledger is."""
        return self.folder / "ledger.sqlite"

    @property
    def user(self) -> str:
        """What its certificate names it."""
        return user_of(self.site)


@dataclass(frozen=True, slots=True)
class RoomPlace:
    """What the control room knows of its fleet."""

    folder: Path
    fleet: FleetFile
    broker: Broker

    @property
    def salt(self) -> bytes:
        """The fleet's 32 bytes."""
        return bytes.fromhex(self.fleet.salt)

    @property
    def store(self) -> Path:
        """Where its store is, unless it is told another place."""
        return self.folder / "room" / "room.sqlite"

    def key(self) -> bytes:
        """Open the signing key.

        Raises:
            SettingError: if it does not open.
        """
        return key_at(self.folder / "room" / "signing.json")


def fleet_at(folder: Path) -> FleetFile:
    """Read a fleet's register.

    Raises:
        SettingError: if there is none.
    """
    path = folder / FLEET_FILE
    values = _json(path, "a fleet's register (`yui fleet init` makes one)")
    try:
        sites = tuple(_member(each) for each in values.pop("sites"))
        return FleetFile(**values, sites=sites)
    except (KeyError, TypeError, AttributeError) as error:
        raise SettingError(f"{path} must be a fleet's register, got {error}") from None


def _member(values: dict[str, Any]) -> Member:
    lists = {name: tuple(values[name]) for name in ("certificates", "revoked")}
    return Member(**{**values, **lists})


def room_at(folder: Path) -> RoomPlace:
    """Read what the control room needs.

    Raises:
        SettingError: if there is no fleet.
    """
    fleet = fleet_at(folder)
    room = folder / "room"
    broker = Broker(
        fleet.room_host,
        fleet.room_port,
        room / f"{FLEET_AUTHORITY}.crt",
        room / "room.crt",
        room / "room.key",
    )
    return RoomPlace(folder, fleet, broker)


def site_at(folder: Path) -> SitePlace:
    """Read what a site needs.

    Raises:
        SettingError: if something of it is missing or makes no sense.
    """
    path = folder / LINK_FILE
    values = _json(path, "a site's link file (from its folder of the fleet's set-up)")
    try:
        broker = Broker(
            str(values["host"]),
            int(values["port"]),
            folder / f"{FLEET_AUTHORITY}.crt",
            folder / "site.crt",
            folder / "site.key",
        )
        return SitePlace(
            folder,
            str(values["fleet"]),
            bytes.fromhex(values["salt"]),
            frozenset(map(str, values["signers"])),
            int(values["site"]),
            broker,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SettingError(f"{path} must be a site's link file, got {reason_of(error)}") from None


def _json(path: Path, what: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingError(f"{path} must be {what}, got {error}") from None
    if not isinstance(found, dict):
        raise SettingError(f"{path} must be {what}, got {type(found).__name__}")
    return found

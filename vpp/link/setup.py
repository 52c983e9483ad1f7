"""Making a fleet: authorities, certificates, the signing key, the broker's settings."""

from __future__ import annotations

import getpass
import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

from chain.files import write_whole
from chain.network.keys import new_key
from energy.errors import SettingError
from vpp.link.authority import Authority, certificate_text
from vpp.link.folders import (
    FLEET_AUTHORITY,
    FLEET_FILE,
    LINK_FILE,
    SITES_AUTHORITY,
    FleetFile,
    Member,
    fleet_at,
)
from vpp.link.wire import MOST_BYTES, ROOM, user_of

PORT, ROOM_PORT = 8883, 8884
MOST_SITES = 100_000
REGIONS = {"Sendai": "仙台", "Osaki": "大崎", "Ishinomaki": "石巻"}
"""The municipalities of a fleet that is only counted."""

_SETTINGS = """\
# Mosquitto's settings for the fleet {fleet}: mosquitto -c {folder}/mosquitto.conf
# Written by `yui fleet init`. After `yui fleet certificate`, start it again.
per_listener_settings false
allow_anonymous false
acl_file {folder}/acl
user {user}

# What was retained and queued outlives the broker.
persistence true
persistence_location {folder}/kept/
autosave_interval 30
persistent_client_expiration 7d
max_queued_messages 1000
max_packet_size {most_bytes}
# A site that goes silent is seen within one and a half of its keep-alives.
max_keepalive 60
set_tcp_nodelay true

# For the sites, from outside. A site's certificate is its name, and its name its only session.
listener {port}{bind}
cafile {folder}/{sites}.crt
certfile {folder}/broker.crt
keyfile {folder}/broker.key
crlfile {folder}/{sites}.crl
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
use_username_as_clientid true

# For the control room. No site's certificate opens it.
listener {room_port} {room_host}
cafile {folder}/{authority}.crt
certfile {folder}/broker.crt
keyfile {folder}/broker.key
crlfile {folder}/{authority}.crl
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
"""

_ACCESS = """\
# Who may do what at the broker of the fleet {fleet}; %u is the name in a client's certificate.
user {room}
topic write yui/{fleet}/+/instruction
topic read yui/{fleet}/+/answer
topic read yui/{fleet}/+/report
topic read yui/{fleet}/+/link

pattern read yui/{fleet}/%u/instruction
pattern write yui/{fleet}/%u/answer
pattern write yui/{fleet}/%u/report
pattern write yui/{fleet}/%u/link
"""


@dataclass(frozen=True, slots=True)
class Where:
    """Where the broker is reached: by the sites at `host`, by the control room at `room_host`.

    `bind` is the address it listens on for the sites, all of them if empty; `user` who it runs
    as, if root starts it.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    room_host: str = "127.0.0.1"
    room_port: int = ROOM_PORT
    bind: str = ""
    user: str = ""


def counted(sites: int) -> list[Member]:
    """Return so many sites with a roof and a battery, in three municipalities in turn."""
    return [
        Member(number, f"{region} {number}", region, "pv+battery", f"{region_ja} {number}")
        for number, (region, region_ja) in zip(range(sites), cycle(REGIONS.items()), strict=False)
    ]


def new_fleet(
    folder: Path,
    name: str,
    sites: Sequence[Member],
    where: Where = Where(),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FleetFile:
    """Make a fleet in a folder.

    Raises:
        SettingError: if there is one already, or what is asked for is impossible.
    """
    if not re.fullmatch(r"[a-z0-9-]{1,40}", name):
        raise SettingError(f"a fleet's name must be of a-z, 0-9 and -, 40 at most, got {name!r}")
    if not 1 <= len(sites) <= MOST_SITES:
        raise SettingError(f"sites must be from 1 to {MOST_SITES}, got {len(sites)}")
    if (folder / FLEET_FILE).exists():
        raise SettingError(f"{folder} must hold no fleet yet: no key is ever written over")
    authorities, broker, room = folder / "ca", folder / "broker", folder / "room"
    for each in (folder, authorities, broker, room):
        each.mkdir(parents=True, exist_ok=True)
        each.chmod(0o700)
    (broker / "kept").mkdir(exist_ok=True)
    fleet = Authority.new(authorities, FLEET_AUTHORITY, f"Yui fleet {name}")
    own = Authority.new(authorities, SITES_AUTHORITY, f"Yui fleet {name}, sites")
    hosts = dict.fromkeys((where.host, where.room_host, "127.0.0.1", "localhost"))
    fleet.issue(f"broker of {name}", broker, "broker", hosts)
    fleet.issue(ROOM, room, ROOM)
    for authority, stem in ((fleet, FLEET_AUTHORITY), (own, SITES_AUTHORITY)):
        text = certificate_text(authority.certificate)
        (broker / f"{stem}.crt").write_text(text, encoding="ascii")
        (broker / f"{stem}.crl").write_text(authority.revocation_list(()), encoding="ascii")
    (room / f"{FLEET_AUTHORITY}.crt").write_text(certificate_text(fleet.certificate), "ascii")
    signer = new_key(room, "signing")
    made = FleetFile(
        name,
        secrets.token_bytes(32).hex(),
        signer,
        where.host,
        where.port,
        where.room_host,
        where.room_port,
        (),
    )
    _write_broker(broker, made, where)
    members = []
    for site in sites:
        members.append(_with_certificate(folder, made, site, own, fleet))
        progress(len(members), len(sites))
    made = replace(made, sites=tuple(members))
    made.write(folder)
    return made


def renewed(folder: Path, site: int) -> FleetFile:
    """Make a new certificate for a site and revoke the ones before.

    Raises:
        SettingError: if there is no such site, or the authorities' keys are not here.
    """
    return _changed(folder, site, renew=True)


def revoked(folder: Path, site: int) -> FleetFile:
    """Revoke a site's certificates.

    Raises:
        SettingError: as `renewed`.
    """
    return _changed(folder, site, renew=False)


def _changed(folder: Path, site: int, renew: bool) -> FleetFile:
    fleet = fleet_at(folder)
    found = next((each for each in fleet.sites if each.site == site), None)
    if found is None:
        raise SettingError(f"a site must be of the fleet {fleet.name}, got {site}")
    authorities = folder / "ca"
    own = Authority.at(authorities, SITES_AUTHORITY)
    member = replace(found, revoked=found.certificates)
    if renew:
        member = _with_certificate(
            folder, fleet, member, own, Authority.at(authorities, FLEET_AUTHORITY), replace=True
        )
    made = replace(
        fleet, sites=tuple(member if each.site == site else each for each in fleet.sites)
    )
    serials = [int(serial, 16) for each in made.sites for serial in each.revoked]
    made.write(folder)
    write_whole(folder / "broker" / f"{SITES_AUTHORITY}.crl", own.revocation_list(serials))
    return made


def _with_certificate(
    folder: Path,
    fleet: FleetFile,
    site: Member,
    own: Authority,
    authority: Authority,
    replace: bool = False,
) -> Member:
    user = user_of(site.site)
    place = folder / "sites" / user
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o700)
    made = own.issue(user, place, "site", replace=replace)
    text = certificate_text(authority.certificate)
    write_whole(place / f"{FLEET_AUTHORITY}.crt", text)
    values = {
        "fleet": fleet.name,
        "salt": fleet.salt,
        "signers": [fleet.signer],
        "site": site.site,
        "name": site.name,
        "municipality": site.municipality,
        "kind": site.kind,
        "host": fleet.host,
        "port": fleet.port,
    }
    write_whole(place / LINK_FILE, json.dumps(values, ensure_ascii=False, indent=2) + "\n")
    return Member(
        site.site,
        site.name,
        site.municipality,
        site.kind,
        site.name_ja,
        (*site.certificates, f"{made.serial_number:x}"),
        site.revoked,
    )


def _write_broker(broker: Path, fleet: FleetFile, where: Where) -> None:
    text = _SETTINGS.format(
        fleet=fleet.name,
        folder=broker.absolute(),
        user=where.user or getpass.getuser(),
        port=fleet.port,
        bind=f" {where.bind}" if where.bind else "",
        room_port=fleet.room_port,
        room_host=fleet.room_host,
        sites=SITES_AUTHORITY,
        authority=FLEET_AUTHORITY,
        most_bytes=MOST_BYTES + 1024,
    )
    (broker / "mosquitto.conf").write_text(text, encoding="utf-8")
    access = _ACCESS.format(fleet=fleet.name, room=ROOM)
    (broker / "acl").write_text(access, encoding="utf-8")

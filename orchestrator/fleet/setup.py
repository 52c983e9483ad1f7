"""`yui fleet init|certificate`: a fleet's certificates, keys and broker settings."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from energy.errors import SettingError
from orchestrator.fleet.room_cli import FLEET_FOLDER, FleetPath
from orchestrator.fleet.view import named
from orchestrator.fleet.words import say
from orchestrator.options import InLanguage
from orchestrator.progress import progress_bar
from orchestrator.setting.sites import Site, load_setting
from orchestrator.words import Language
from vpp.link.authority import CERTIFICATE_DAYS, certificate_at
from vpp.link.folders import Member, fleet_at, room_at
from vpp.link.setup import PORT, ROOM_PORT, Where, counted, new_fleet, renewed, revoked
from vpp.link.wire import user_of
from vpp.room.keeper import keeping
from vpp.room.store import opened

RENEW_DAYS = 60


def mount(app: typer.Typer) -> None:
    """Add the commands to `yui fleet`."""
    app.command()(init)
    app.command()(certificate)


def init(
    folder: Annotated[Path, typer.Argument(help="Where the fleet's files go.")] = FLEET_FOLDER,
    sites: Annotated[
        str | None,
        typer.Option(help="A sites file, or how many sites; the bundled sites file if left out."),
    ] = None,
    name: Annotated[str, typer.Option(help="What the fleet is called, as miyagi-1.")] = "yui",
    host: Annotated[
        str, typer.Option(help="Where sites reach the broker: a name or an address.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The broker's port for the sites.")] = PORT,
    bind: Annotated[
        str, typer.Option(help="Which address the broker listens on for the sites; all if empty.")
    ] = "",
    room_host: Annotated[
        str, typer.Option(help="Where the control room reaches the broker.")
    ] = "127.0.0.1",
    room_port: Annotated[
        int, typer.Option(help="The broker's port for the control room.")
    ] = ROOM_PORT,
    broker_user: Annotated[
        str, typer.Option(help="Who the broker runs as if root starts it; you if left out.")
    ] = "",
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Make a fleet: certificates, the control room's signing key, the broker's settings."""
    where = Where(host, port, room_host, room_port, bind, broker_user)
    with progress_bar(language) as progress:
        made = new_fleet(
            folder, name, _members(sites), where, lambda done, of: progress("certify", done, of)
        )
    _noted(folder, {"made": made.name, "signer": made.signer, "sites": len(made.sites)})
    of = {"name": made.name, "count": len(made.sites), "signer": made.signer}
    print(say(language, "made", folder=folder, **of))
    print(say(language, "broker", settings=folder / "broker" / "mosquitto.conf"))
    print(say(language, "carry", folder=folder / "sites"))
    print(say(language, "off_line", folder=folder / "ca"))


def certificate(
    site: Annotated[
        str | None, typer.Option(help="The site, by name or number; all are listed if left out.")
    ] = None,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Only revoke; the site cannot connect any more.")
    ] = False,
    fleet: FleetPath = FLEET_FOLDER,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Renew a site's certificate, or revoke it; or list how long those of all sites are good."""
    register = fleet_at(fleet)
    if site is None:
        if revoke:
            raise SettingError("--site must say whose certificate is revoked, got none")
        _list(fleet, register.sites, language)
        return
    found = [
        each
        for each in register.sites
        if site.lower() in (str(each.site), each.name.lower(), each.name_ja.lower())
    ]
    if not found:
        raise SettingError(f"a site must be of the fleet {register.name}, got {site!r}")
    number = found[0].site
    (revoked if revoke else renewed)(fleet, number)
    _noted(fleet, {"revoked" if revoke else "renewed": number})
    name = named(found[0], language)
    if revoke:
        print(say(language, "revoked", name=name))
    else:
        place = fleet / "sites" / user_of(number)
        print(say(language, "renewed", name=name, days=CERTIFICATE_DAYS, place=place))
    print(say(language, "restart_broker"))


def _list(folder: Path, sites: tuple[Member, ...], language: Language) -> None:
    for each in sites:
        if set(each.certificates) <= set(each.revoked):
            print(say(language, "revoked", name=named(each, language)))
            continue
        path = folder / "sites" / user_of(each.site) / "site.crt"
        until = certificate_at(path).not_valid_after_utc
        days = (until - datetime.now(UTC)).days
        hint = say(language, "renew", site=each.site) if days < RENEW_DAYS else ""
        good = {"until": f"{until:%Y-%m-%d}", "days": days, "hint": hint}
        print(say(language, "good_until", name=named(each, language), **good))


def _noted(folder: Path, content: dict[str, object]) -> None:
    engine = opened(str(room_at(folder).store))
    with keeping(engine) as keep:
        keep.note("fleet", content, int(time.time()))
    engine.dispose()


def _members(sites: str | None) -> list[Member]:
    if sites is not None and sites.isdecimal():
        return counted(int(sites))
    return [_member(site) for site in load_setting(Path(sites) if sites else None).sites]


def _member(site: Site) -> Member:
    parts = [name for name, there in (("pv", site.pv_power), ("battery", site.battery)) if there]
    return Member(site.number, site.name, site.region, "+".join(parts) or "load", site.name_ja)

"""A site's dispatch settings, from one TOML file.

    [site]
    number = 6                          # in the fleet, as the control room knows it
    name = "Kesennuma"
    municipality = "Kesennuma"
    kind = "pv+battery"                 # what stands behind the meter

    [owner]                             # what others may do with the battery
    charge_w = 15_000                   # the most, in W
    discharge_w = 15_000
    least_percent = 10                  # states of charge, left to the owner beyond
    most_percent = 95
    actions = ["plan", "call", "charge", "discharge", "hold", "limit"]
    hours = "00:00-24:00"               # Japan time, on half hours; "08:00-12:00,13:00-20:00"
    grid_charging = true                # whether it may charge from the network

    [run]
    state = "dispatch.sqlite"           # what it was told and how far it is
    plan = "plan.json"                  # followed for want of the control room's
    cycle_seconds = 1.0
    timeout_seconds = 0.8               # of one question to a device
    port = 9465                         # health, metrics and status, on 127.0.0.1; 0: none

    [device]                            # what the battery stands, and how closely it follows
    revert_seconds = 60                 # it lets go of a set-point by itself; renewed at half
    write_seconds = 2.0                 # at least between two commands
    ramp_w = 0                          # the most that a set-point changes in a second; 0: any
    tolerance_wh = 5.0                  # a half hour missed by less is let be
    deadband_w = 100
    without_timer = false               # dispatch a device that has no revert timer

    [trust]                             # when a device is believed; seconds
    stale_seconds = 5.0                 # a value older than this is not there
    sane_seconds = 30.0                 # so long well before it is believed again
    frozen_seconds = 30.0
    follow_seconds = 60.0               # so long may its power stay away from its set-point ...
    follow_w = 500                      # ... by more than this

    [lost]                              # whose silence ends what the control room said; seconds
    link_seconds = 60
    chain_seconds = 300                 # without a new block
    rpc = "http://127.0.0.1:8545"       # the node that is asked for blocks; "": none

    [link]                              # the way to the control room; none: the file's plan alone
    folder = "link"

    [[battery]]                         # one
    host = "192.168.1.10"               # and port = 502; or serial = "/dev/ttyUSB0" and so on
    unit = 3
    protocol = "modbus"                 # or "echonet": unit is then the instance
    control = 124                       # 704; the first that it has if left out

    [[meter]]                           # several are summed; reversed = true turns one round
    host = "192.168.1.10"
    unit = 1

    [[inverter]]
    host = "192.168.1.10"
    unit = 2

Paths are relative to the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daemon.table import Table, load_table
from energy.errors import SettingError
from field.address import place_from
from field.echonet_node import Echonet
from field.modbus import Address
from vpp.commands import Action
from vpp.dispatch.controller import Tuning
from vpp.dispatch.hand import Rhythm
from vpp.dispatch.limits import STEERING, OwnerLimits, hours_from
from vpp.dispatch.site import Place
from vpp.dispatch.sunspec import CONTROLS
from vpp.dispatch.trust import Patience

MOST_W = 100_000_000


@dataclass(frozen=True, slots=True)
class DevicePlace:
    """Where a device is; `control` is the model that commands a battery."""

    address: Address | Echonet
    unit: int
    control: int | None = None
    reversed: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """How long the link and the chain may be silent; `rpc` is the node that is asked, if any."""

    link_seconds: float
    chain_seconds: float
    rpc: str


@dataclass(frozen=True)
class Settings:
    """All of a site's dispatch settings."""

    path: Path
    place: Place
    limits: OwnerLimits
    state: Path
    plan: Path
    cycle_seconds: float
    timeout_seconds: float
    port: int
    rhythm: Rhythm
    tuning: Tuning
    patience: Patience
    without_timer: bool
    lost: Lost
    link: Path | None
    battery: DevicePlace
    meters: tuple[DevicePlace, ...]
    inverters: tuple[DevicePlace, ...]


def load_settings(path: Path) -> Settings:
    """Read a site's dispatch settings.

    Raises:
        SettingError: naming file, key, value and what was expected.
    """
    table = load_table(path, "settings file")
    beside = path.parent
    site, run = table.part("site"), table.part("run", {})
    device, trust = table.part("device", {}), table.part("trust", {})
    lost, link = table.part("lost", {}), table.part("link", {})
    folder = link.text("folder", "")
    settings = Settings(
        path,
        Place(
            site.whole("number", 0, 2**32 - 1),
            site.text("name", ""),
            site.text("municipality", ""),
            site.text("kind", "battery"),
        ),
        _owner(table.part("owner")),
        beside / run.text("state", "dispatch.sqlite"),
        beside / run.text("plan", "plan.json"),
        run.number("cycle_seconds", 0.05, 60.0, 1.0),
        run.number("timeout_seconds", 0.05, 30.0, 0.8),
        run.whole("port", 0, 65_535, 9465),
        Rhythm(
            device.whole("revert_seconds", 2, 3600, 60),
            device.number("write_seconds", 0.1, 600.0, 2.0),
        ),
        Tuning(
            device.number("tolerance_wh", 0.0, 1000.0, 5.0),
            device.whole("deadband_w", 0, MOST_W, 100),
            device.whole("ramp_w", 0, MOST_W, 0),
        ),
        Patience(
            trust.number("stale_seconds", 0.1, 600.0, 5.0),
            trust.number("sane_seconds", 0.0, 86_400.0, 30.0),
            trust.number("frozen_seconds", 1.0, 3600.0, 30.0),
            trust.number("follow_seconds", 1.0, 3600.0, 60.0),
            trust.whole("follow_w", 1, MOST_W, 500),
        ),
        device.flag("without_timer"),
        Lost(
            lost.number("link_seconds", 1.0, 86_400.0, 60.0),
            lost.number("chain_seconds", 1.0, 86_400.0, 300.0),
            lost.text("rpc", ""),
        ),
        beside / folder if folder else None,
        _battery(table),
        _devices(table, "meter"),
        _devices(table, "inverter"),
    )
    _agree(settings, run, device, trust)
    for part in (site, run, device, trust, lost, link, table):
        part.refuse_unknown()
    return settings


def _owner(part: Table) -> OwnerLimits:
    names = {action.value: action for action in STEERING}
    chosen = part.texts("actions") if "actions" in part else tuple(names)
    for name in chosen:
        if name not in names:
            raise part.error("actions", f"be some of {', '.join(sorted(names))}", name)
    hours = part.text("hours", "00:00-24:00")
    try:
        half_hours = hours_from(hours)
    except SettingError as error:
        raise SettingError(f"{part.where} {error}") from None
    least = part.number("least_percent", 0.0, 100.0, 0.0)
    most = part.number("most_percent", 0.0, 100.0, 100.0)
    if least >= most:
        raise part.error("least_percent", f"be below most_percent {most:g}", least)
    limits = OwnerLimits(
        part.whole("charge_w", 1, MOST_W),
        part.whole("discharge_w", 1, MOST_W),
        least,
        most,
        frozenset(names[name] for name in chosen),
        half_hours,
        part.flag("grid_charging", True),
    )
    part.refuse_unknown()
    return limits


def _battery(table: Table) -> DevicePlace:
    batteries = table.tables("battery")
    if len(batteries) > 1:
        raise table.error("[[battery]]", "be one: a site's dispatch has one battery", 2)
    (part,) = batteries
    control = part.whole("control", 0, 65_535, 0)
    if control and control not in CONTROLS:
        raise part.error("control", f"be one of {', '.join(map(str, CONTROLS))}", control)
    address, unit = place_from(part)
    if control and isinstance(address, Echonet):
        raise part.error("control", "be left out for ECHONET Lite", control)
    place = DevicePlace(address, unit, control or None)
    part.refuse_unknown()
    return place


def _devices(table: Table, role: str) -> tuple[DevicePlace, ...]:
    found = []
    for part in table.tables(role) if role in table else ():
        turned = part.flag("reversed") if role == "meter" else False
        found.append(DevicePlace(*place_from(part), reversed=turned))
        part.refuse_unknown()
    return tuple(found)


def _agree(settings: Settings, run: Table, device: Table, trust: Table) -> None:
    """Refuse settings that contradict each other.

    Raises:
        SettingError: naming both.
    """
    refresh = settings.rhythm.refresh_seconds
    if settings.rhythm.write_seconds > refresh:
        raise device.error(
            "write_seconds",
            f"be at most half of revert_seconds, {refresh:g} s",
            settings.rhythm.write_seconds,
        )
    if settings.cycle_seconds > refresh:
        raise run.error(
            "cycle_seconds",
            f"be at most half of revert_seconds, {refresh:g} s",
            settings.cycle_seconds,
        )
    if settings.patience.stale < settings.cycle_seconds:
        raise trust.error(
            "stale_seconds",
            f"be at least cycle_seconds, {settings.cycle_seconds:g} s",
            settings.patience.stale,
        )
    if not settings.meters and not settings.limits.grid_charging:
        raise SettingError(
            f"{settings.path}: a [[meter]] must be there where grid_charging is false"
        )


def allowed(limits: OwnerLimits) -> str:
    """Return the actions that an owner allows, as they are typed."""
    return ", ".join(action.value for action in Action if action in limits.actions)

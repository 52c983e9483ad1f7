"""Tables for the site's battery commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from energy.units import day_of, half_hour
from vpp.dispatch.checking import Checked
from vpp.dispatch.standing import Standing
from vpp.dispatch.store import Owner, SlotResult

NONE = "–"


def kept_status(
    standing: Standing, owner: Owner, slots: Sequence[SlotResult], now: float
) -> dict[str, Any]:
    """Return what is on disk of a site whose dispatch does not run."""
    standing = standing.at(now)
    override = owner.override if owner.override and owner.override.holds(now) else None
    return {
        "running": False,
        "sequence": standing.sequence,
        "stopped": standing.stopped,
        "stopped_here": owner.stopped,
        "override_w": override.power_w if override else None,
        "told": [action.value for action in standing.told],
        "planned_half_hours": sum(len(plan.plan_wh) for plan in standing.plans),
        "half_hours": [asdict(result) for result in slots],
    }


def status_view(status: dict[str, Any]) -> RenderableType:
    """Return a site's status as tables."""
    parts: list[RenderableType] = []
    if not status["running"]:
        parts.append(Text("no yui vpp run answers; this is what is on disk", style="yellow"))
        names = ("sequence", "stopped", "stopped_here", "override_w", "told", "planned_half_hours")
        parts.append(_pairs([(name, _spelled(status[name])) for name in names]))
    else:
        parts.append(_pairs(_live(status)))
        parts += [Text(f"alarm  {alarm}", style="red") for alarm in status["alarms"]]
    if status["half_hours"]:
        table = Table(title="half hours (Wh out of the battery)", title_justify="left")
        for column in ("half hour", "planned", "called", "delivered", "missed"):
            table.add_column(column, justify="left" if column == "half hour" else "right")
        for row in status["half_hours"]:
            planned = row["planned_wh"]
            missed = None
            if planned is not None:
                missed = row["delivered_wh"] - planned - row["called_wh"]
            table.add_row(
                f"{day_of(row['slot'])} {half_hour(row['slot'])}",
                _whole(planned),
                _whole(row["called_wh"]),
                _whole(row["delivered_wh"]) + ("" if row["known"] else " (partly)"),
                _whole(missed),
            )
        parts.append(table)
    return Group(*parts)


def _live(status: dict[str, Any]) -> list[tuple[str, str]]:
    stored, capacity = status["stored_wh"], status["capacity_wh"]
    charge = f" ({100 * stored / capacity:.1f} %)" if stored is not None and capacity else ""
    ages = ", ".join(f"{name} {_spelled(age)} s" for name, age in status["ages"].items())
    half = status["half_hour"]
    return [
        ("site", f"{status['site']} {status['name']}"),
        ("follows", status["following"] + (f" {status['call']}" if status["call"] else "")),
        ("set-point", status["set_point"] or "none: self-consumption"),
        ("target", _power(status["target_w"])),
        ("battery", _power(status["battery_w"])),
        ("stored", f"{_whole(stored)} Wh{charge}"),
        ("from the network", _power(status["imported_w"])),
        ("generated", _power(status["generated_w"])),
        ("room", f"charge {status['charge_w']} W, discharge {status['discharge_w']} W"),
        (
            "this half hour",
            NONE
            if half is None
            else f"{half['delivered_wh']:.0f} of {_whole(half['planned_wh'])} Wh",
        ),
        ("ages", ages),
        ("commands", f"{status['commands_last_hour']} in the last hour"),
    ]


def check_view(found: Checked) -> RenderableType:
    """Return what a check found."""
    report, shown = found.report, found.shown
    rows = [
        ("battery", _power(report.battery_w)),
        ("stored", f"{_whole(report.stored_wh)} of {_whole(report.capacity_wh)} Wh"),
        ("from the network", _power(report.imported_w)),
        ("generated", _power(report.generated_w)),
        ("holds", "?" if shown is None or shown.held is None else str(shown.held.setpoint)),
        ("revert timer", "yes" if found.reverts else "no"),
        ("ranges", "yes" if found.follows_ranges else "no: one power"),
        ("follows", report.following.value),
        ("would", found.would),
    ]
    troubles = [Text(f"trouble  {trouble}", style="red") for trouble in found.troubles]
    return Group(_pairs(rows), *troubles)


def _pairs(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(style="dim")
    table.add_column()
    for name, value in rows:
        table.add_row(name, Text(value))
    return table


def _power(power_w: int | None) -> str:
    return NONE if power_w is None else f"{power_w:,} W"


def _whole(value: float | None) -> str:
    return NONE if value is None else f"{round(value):,}"


def _spelled(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or NONE
    return NONE if value is None else str(value)

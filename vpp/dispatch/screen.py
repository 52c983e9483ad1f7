"""Tables for the site's battery commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from energy.japanese import in_language
from energy.language import Language
from energy.units import day_of, half_hour
from vpp.dispatch.checking import Checked
from vpp.dispatch.standing import Standing
from vpp.dispatch.store import Owner, SlotResult
from vpp.dispatch.words import say

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


def status_view(status: dict[str, Any], language: Language) -> RenderableType:
    """Return a site's status as tables."""
    parts: list[RenderableType] = []
    if not status["running"]:
        parts.append(Text(say(language, "on_disk"), style="yellow"))
        parts.append(_pairs(_kept(status, language)))
    else:
        parts.append(_pairs(_live(status, language)))
        for alarm in status["alarms"]:
            told = say(language, "alarm", said=in_language(language, alarm))
            parts.append(Text(told, style="red"))
    if status["half_hours"]:
        table = Table(title=say(language, "half_hours"), title_justify="left")
        for word in ("half_hour", "planned", "called", "delivered", "missed"):
            justify: JustifyMethod = "left" if word == "half_hour" else "right"
            table.add_column(say(language, word), justify=justify, overflow="fold")
        for row in status["half_hours"]:
            planned = row["planned_wh"]
            missed = None
            if planned is not None:
                missed = row["delivered_wh"] - planned - row["called_wh"]
            table.add_row(
                f"{day_of(row['slot'])} {half_hour(row['slot'])}",
                _whole(planned),
                _whole(row["called_wh"]),
                _whole(row["delivered_wh"]) + ("" if row["known"] else say(language, "partly")),
                _whole(missed),
            )
        parts.append(table)
    return Group(*parts)


def _kept(status: dict[str, Any], language: Language) -> list[tuple[str, str]]:
    """Return what is on disk, by its label."""
    told = say(language, "comma").join(say(language, action) for action in status["told"])
    values = {
        "sequence": _spelled(status["sequence"]),
        "stopped": say(language, str(status["stopped"])),
        "stopped_here": say(language, str(status["stopped_here"])),
        "override_w": _spelled(status["override_w"]),
        "told": told or NONE,
        "planned_half_hours": _spelled(status["planned_half_hours"]),
    }
    return [(say(language, f"kept_{name}"), value) for name, value in values.items()]


def _live(status: dict[str, Any], language: Language) -> list[tuple[str, str]]:
    stored, capacity = status["stored_wh"], status["capacity_wh"]
    charge = f" ({100 * stored / capacity:.1f} %)" if stored is not None and capacity else ""
    ages = say(language, "comma").join(
        say(language, "age", name=say(language, name), age=_spelled(age))
        for name, age in status["ages"].items()
    )
    following, half = say(language, status["following"]), status["half_hour"]
    values = {
        "site": f"{status['site']} {status['name']}",
        "follows": following + (f" {status['call']}" if status["call"] else ""),
        "set-point": status["set_point"] or say(language, "no_set_point"),
        "target": _power(status["target_w"]),
        "battery": _power(status["battery_w"]),
        "stored": f"{_whole(stored)} Wh{charge}",
        "imported": _power(status["imported_w"]),
        "generated": _power(status["generated_w"]),
        "room": say(
            language, "room_is", charge=status["charge_w"], discharge=status["discharge_w"]
        ),
        "this_half_hour": NONE
        if half is None
        else say(
            language,
            "of_planned",
            delivered=half["delivered_wh"],
            planned=_whole(half["planned_wh"]),
        ),
        "ages": ages,
        "commands": say(language, "last_hour", count=status["commands_last_hour"]),
    }
    return [(say(language, word), value) for word, value in values.items()]


def check_view(found: Checked, language: Language) -> RenderableType:
    """Return what a check found."""
    report, shown = found.report, found.shown
    stored, capacity = _whole(report.stored_wh), _whole(report.capacity_wh)
    held = None if shown is None else shown.held
    values = {
        "battery": _power(report.battery_w),
        "stored": say(language, "stored_of", stored=stored, capacity=capacity),
        "imported": _power(report.imported_w),
        "generated": _power(report.generated_w),
        "holds": "?" if held is None else str(held.setpoint or say(language, "no_set_point")),
        "revert_timer": say(language, "yes" if found.reverts else "no"),
        "ranges": say(language, "can" if found.follows_ranges else "one_power"),
        "follows": say(language, report.following.value),
        "would": found.would(language),
    }
    troubles = [
        Text(say(language, "trouble", said=in_language(language, trouble)), style="red")
        for trouble in found.troubles
    ]
    return Group(_pairs([(say(language, word), told) for word, told in values.items()]), *troubles)


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
    return NONE if value is None else str(value)

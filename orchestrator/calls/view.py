"""A call's report as tables, JSON, rows and a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from energy.units import JST, half_hour, kwh, yen
from orchestrator.calls.words import say
from orchestrator.when import when
from orchestrator.words import Language
from vpp.calls.document import to_json
from vpp.calls.fulfilment import Fulfilment, Measured

Names = Mapping[int, str]
Line = list[str]

SLOT_COLUMNS = (
    *("slot", "day", "half_hour", "asked_wh", "meter_wh", "plan_wh", "delivered_wh"),
    *("unmeasured", "missing_wh", "energy_microyen", "ready_microyen", "penalty_microyen"),
    "paid_microyen",
)
SITE_COLUMNS = (
    *("slot", "day", "half_hour", "site", "asked_wh"),
    *("meter_baseline_wh", "meter_actual_wh", "meter_delivered_wh"),
    *("plan_baseline_wh", "plan_actual_wh", "plan_delivered_wh"),
)
MINUTE_COLUMNS = ("time", "asked_w", "sites", "meter_w", "plan_w")
SITE_MINUTE_COLUMNS = ("time", "site", "battery_w", "imported_w", "meter_w", "plan_w")


def at(seconds: float) -> str:
    """Return a time as people in Japan read it."""
    return datetime.fromtimestamp(seconds, JST).strftime("%Y-%m-%d %H:%M:%S")


def slot_rows(report: Fulfilment) -> list[dict[str, Any]]:
    """Return the half hours as records."""
    return [
        when(line.slot) | asdict(line) | {"paid_microyen": line.paid_microyen}
        for line in report.lines
    ]


def site_rows(report: Fulfilment, names: Names) -> list[dict[str, Any]]:
    """Return the half hours of each site as records."""

    def measured(prefix: str, found: Measured | None) -> dict[str, int | None]:
        values = asdict(found) if found else dict.fromkeys(Measured.__slots__)
        return {f"{prefix}_{name}": value for name, value in values.items()}

    return [
        when(each.slot)
        | {"site": name_of(names, each.site), "asked_wh": each.asked_wh}
        | measured("meter", each.meter)
        | measured("plan", each.plan)
        for each in report.by_site
    ]


def minute_rows(report: Fulfilment) -> list[dict[str, Any]]:
    """Return the minutes as records; powers in whole W."""
    return [
        {
            "time": at(line.minute * 60),
            "asked_w": line.asked_w,
            "sites": line.sites,
            "meter_w": _whole(line.meter_w),
            "plan_w": _whole(line.plan_w),
        }
        for line in report.minutes
    ]


def site_minute_rows(report: Fulfilment, names: Names) -> list[dict[str, Any]]:
    """Return the minutes of each site as records; powers in whole W."""
    return [
        {
            "time": at(each.minute * 60),
            "site": name_of(names, each.site),
            "battery_w": round(each.battery_w),
            "imported_w": round(each.imported_w),
            "meter_w": _whole(each.meter_w),
            "plan_w": _whole(each.plan_w),
        }
        for each in report.site_minutes
    ]


def report_json(report: Fulfilment, names: Names) -> dict[str, Any]:
    """Return a report as JSON, all of it."""
    return {
        "call": to_json(report.call) | {"state": report.kept.state.value},
        "settled": report.settled,
        "asked_wh": report.asked_wh,
        "delivered_wh": report.delivered_wh,
        "paid_microyen": report.paid_microyen,
        "penalty_microyen": report.penalty_microyen,
        "answers": asdict(report.answered),
        "reached_seconds": report.reached_seconds,
        "half_hours": slot_rows(report),
        "sites": site_rows(report, names),
        "minutes": minute_rows(report),
        "site_minutes": site_minute_rows(report, names),
        "baselines": {
            name_of(names, site): None
            if found is None
            else {
                "days": [day.isoformat() for day in found.days],
                "considered": [day.isoformat() for day in found.considered],
                "left_out": {day.isoformat(): why.value for day, why in found.left_out.items()},
                "adjustment_wh": found.adjustment_wh,
                "filled_up": found.filled_up,
                "reverse_flow": found.reverse.value,
            }
            for site, found in report.baselines.items()
        },
    }


def name_of(names: Names, site: int) -> str:
    """Return a site's name; its number where it has none."""
    return names.get(site, str(site))


def brief_lines(report: Fulfilment, language: Language) -> list[tuple[str, str]]:
    """Return a report in brief: what and value."""
    call, answered = report.call, report.answered
    most = max(step.power_w for step in call.steps)
    times = f"{at(call.starts_at)} - {at(report.kept.ended_at)}"
    answers = (answered.told, answered.taken, answered.refused, answered.silent)
    unmeasured = sum(line.unmeasured for line in report.lines)
    state = (
        say(language, "settled")
        if report.settled
        else say(language, "open", count=unmeasured, all=len(report.by_site))
    )
    return [
        (say(language, "direction"), say(language, call.direction.value)),
        (say(language, "time"), times),
        (say(language, "asked_at_most"), f"{most / 1000:,.1f} kW"),
        (say(language, "sites"), f"{len(report.sites)}"),
        (say(language, "came"), f"{call.source.value}, {call.notice_seconds} s"),
        (say(language, "answers"), " / ".join(map(str, answers))),
        (say(language, "slowest"), _seconds(answered.slowest_answer)),
        (say(language, "first_change"), _seconds(answered.first_change)),
        (
            say(language, "reached", percent=f"{1 - call.product.tolerance:.0%}"),
            f"{_seconds(report.reached_seconds)} ({call.product.response_seconds} s)",
        ),
        (say(language, "basis"), say(language, call.product.basis.value)),
        (say(language, "asked_all"), f"{kwh(report.asked_wh):,.3f} kWh"),
        (say(language, "delivered_all"), f"{kwh(report.delivered_wh):,.3f} kWh"),
        (say(language, "penalties"), f"{yen(report.penalty_microyen):,.2f} JPY"),
        (say(language, "paid"), f"{yen(report.paid_microyen):,.2f} JPY"),
        ("", state),
    ]


def tables_of(
    report: Fulfilment, names: Names, language: Language
) -> list[tuple[str, Line, list[Line]]]:
    """Return a report's tables: title, columns (the first is text), rows."""
    slots = [
        [
            half_hour(line.slot),
            _kwh(line.asked_wh),
            _kwh(line.meter_wh),
            _kwh(line.plan_wh),
            _kwh(line.missing_wh),
            *(
                f"{yen(amount):,.2f}"
                for amount in (
                    line.energy_microyen,
                    line.ready_microyen,
                    line.penalty_microyen,
                    line.paid_microyen,
                )
            ),
        ]
        for line in report.lines
    ]
    sites = []
    for site in report.sites:
        its = [each for each in report.by_site if each.site == site]
        found = report.baselines[site]
        meters = [each.meter for each in its if each.meter]
        plans = [each.plan for each in its if each.plan]
        sites.append(
            [
                name_of(names, site),
                _kwh(sum(each.asked_wh for each in its)),
                _sum(each.baseline_wh for each in meters),
                _sum(each.actual_wh for each in meters),
                _sum(each.delivered_wh for each in meters),
                _sum(each.delivered_wh for each in plans),
                "-" if found is None else ", ".join(f"{day:%m-%d}" for day in found.days),
                "-"
                if found is None or found.adjustment_wh is None
                else f"{kwh(round(found.adjustment_wh)):+,.3f}",
            ]
        )
    words = ("asked", "by_meter", "by_plan", "missing")
    pay = ("energy_pay", "ready_pay", "penalty_pay", "paid_pay")
    slot_columns = [
        say(language, "half_hour"),
        *(f"{say(language, word)} kWh" for word in words),
        *(say(language, word) for word in pay),
    ]
    site_columns = [
        say(language, "site"),
        *(
            f"{say(language, word)} kWh"
            for word in ("asked", "baseline", "actual", "by_meter", "by_plan")
        ),
        say(language, "days"),
        f"{say(language, 'adjustment')} kWh",
    ]
    return [
        (say(language, "half_hours"), slot_columns, slots),
        (say(language, "by_site"), site_columns, sites),
    ]


def title_of(report: Fulfilment, language: Language) -> str:
    """Return a report's title."""
    state = say(language, report.kept.state.value)
    return say(language, "title", name=report.call.name, state=state)


def report_view(report: Fulfilment, names: Names, language: Language) -> RenderableType:
    """Draw a report."""
    brief = Table(title=title_of(report, language), show_header=False, title_justify="left")
    for what, value in brief_lines(report, language):
        brief.add_row(what, value)
    return Group(
        brief,
        *(
            table_view(title, columns, rows)
            for title, columns, rows in tables_of(report, names, language)
        ),
    )


def table_view(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1
) -> RenderableType:
    """Draw a table whose first columns are texts, and the others numbers."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < texts else "right")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def page_of(report: Fulfilment, names: Names, language: Language) -> str:
    """Return a report as a Markdown page."""
    lines = [f"# {title_of(report, language)}", ""]
    lines += ["| | |", "| --- | --- |"]
    lines += [f"| {what} | {value} |" for what, value in brief_lines(report, language)]
    for title, columns, rows in tables_of(report, names, language):
        lines += ["", f"## {title}", "", f"| {' | '.join(columns)} |"]
        lines += ["| --- |" + " ---: |" * (len(columns) - 1)]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _whole(watts: float | None) -> int | None:
    return None if watts is None else round(watts)


def _kwh(wh: int | None) -> str:
    return "-" if wh is None else f"{kwh(wh):,.3f}"


def _sum(values: Iterable[int]) -> str:
    found = list(values)
    return _kwh(sum(found)) if found else "-"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} s"

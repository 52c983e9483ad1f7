"""What a site's dispatch says of itself on a local port: `/health`, `/status`, `/metrics`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from daemon.health import METRICS, Page, json_page
from vpp.commands import Following, Report
from vpp.dispatch.site import SiteDispatch

_registry = CollectorRegistry()
_power = Gauge("yui_dispatch_power_watts", "Power, by place", ["of"], registry=_registry)
_stored = Gauge("yui_dispatch_stored_watt_hours", "What the battery holds", registry=_registry)
_target = Gauge("yui_dispatch_target_watts", "What is aimed at", registry=_registry)
_following = Gauge(
    "yui_dispatch_following", "1 for what is followed now", ["what"], registry=_registry
)
_alarms = Gauge("yui_dispatch_alarms", "Alarms that are on", registry=_registry)
_commands = Gauge(
    "yui_dispatch_commands_last_hour", "Commands written in the last hour", registry=_registry
)
_owed = Gauge(
    "yui_dispatch_slot_watt_hours", "Energy of this half hour", ["of"], registry=_registry
)
_missed = Gauge(
    "yui_dispatch_missed_watt_hours",
    "Energy of the last half hour less what was planned and called",
    registry=_registry,
)
_age = Gauge("yui_dispatch_cycle_age_seconds", "Time since the last cycle", registry=_registry)
_out = Gauge("yui_dispatch_out", "1 if the device is out of dispatch", registry=_registry)

UNKNOWN = float("nan")
SLOTS_SHOWN = 8


def status_of(site: SiteDispatch) -> dict[str, Any]:
    """Return how a site stands, as `yui vpp status --json` prints it."""
    report, ledger = site.report(), site.ledger
    now = site.monotonic()
    image = site.image
    return {
        **plain_report(report),
        "ages": {
            name: None if value is None else round(now - value.at, 1)
            for name, value in (
                ("battery", image.battery),
                ("meter", image.imported_w),
                ("inverter", image.generated_w),
            )
        },
        "set_point": None if site.hand.told is None else str(site.hand.told),
        "commands_last_hour": site.hand.commands_an_hour(now),
        "half_hour": None
        if ledger is None
        else {
            "slot": ledger.slot,
            "planned_wh": site.duty.plan_wh,
            "called_wh": round(ledger.called_wh, 1),
            "delivered_wh": round(ledger.delivered_wh, 1),
        },
        "half_hours": [asdict(result) for result in site.store.slots(SLOTS_SHOWN)],
    }


def plain_report(report: Report) -> dict[str, Any]:
    """Return a report as plain values."""
    return {**asdict(report), "following": report.following.value}


def metrics_of(site: SiteDispatch, cycle_age: float) -> bytes:
    """Return a site's metrics in Prometheus' text format."""
    report, ledger = site.report(), site.ledger
    powers = {
        "battery": report.battery_w,
        "imported": report.imported_w,
        "generated": report.generated_w,
    }
    for name, power_w in powers.items():
        _power.labels(name).set(_number(power_w))
    _stored.set(_number(report.stored_wh))
    _target.set(_number(report.target_w))
    for each in Following:
        _following.labels(each.value).set(report.following is each)
    _alarms.set(len(report.alarms))
    _commands.set(site.hand.commands_an_hour(site.monotonic()))
    _owed.labels("planned").set(_number(site.duty.plan_wh))
    _owed.labels("delivered").set(UNKNOWN if ledger is None else ledger.delivered_wh)
    _owed.labels("called").set(UNKNOWN if ledger is None else ledger.called_wh)
    last = site.store.slots(1)
    _missed.set(_number(last[0].missed_wh) if last else UNKNOWN)
    _age.set(cycle_age)
    _out.set(site.trust.out)
    return generate_latest(_registry)


def metrics_page(site: SiteDispatch, cycle_age: float) -> Page:
    """Return the metrics as a page."""
    return Page("200 OK", METRICS, metrics_of(site, cycle_age))


def health_page(site: SiteDispatch, cycle_age: float, limit: float) -> Page:
    """Return whether all is well; what is wrong goes by the alarms' names."""
    troubles = list(site.alarms)
    if cycle_age > limit:
        troubles.append("no-cycle")
    if site.trust.out:
        troubles.append("out-of-dispatch")
    body = {"healthy": not troubles, "troubles": troubles}
    return json_page(body, well=not troubles)


def _number(value: float | None) -> float:
    return UNKNOWN if value is None else value

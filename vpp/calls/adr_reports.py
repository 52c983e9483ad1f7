"""What a VTN is told of a call: that it was accepted, that it runs, and what it came to.

| report           | when             | payloads                                                 |
| ---------------- | ---------------- | -------------------------------------------------------- |
| `NAME/accepted`  | once it is split | `OPERATING_STATE` NORMAL, `LOAD_SHED_DELTA_AVAILABLE` kW |
| `NAME/running`   | once it runs     | `OPERATING_STATE` RUNNING_CURTAILED or _HEIGHTENED       |
| `NAME/cancelled` | if it is         | `OPERATING_STATE` NORMAL                                 |
| `NAME/result`    | once it is read  | `BASELINE`, `USAGE`, `DELTA_USAGE`, kWh                  |
| `NAME/unserved`  | if nobody could  | `OPERATING_STATE` ERROR                                  |
| `ID/opted-out`   | if it cannot be  | `OPERATING_STATE` RUNNING_OPTED_OUT                      |

A change is negative for less consumption. `USAGE` may not be negative: it is left out of half hours
in which a site sent power out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from energy.units import SLOT_SECONDS, kwh
from vpp.calls.call import Basis, Call, Direction
from vpp.calls.fulfilment import Fulfilment
from vpp.calls.kept import Share

ALL = "AGGREGATED_REPORT"
Document = dict[str, Any]


def accepted(call: Call, shares: Sequence[Share], client: str) -> Document:
    """Return that a call was accepted, and what the sites are to give it."""
    sign = -call.direction.sign
    intervals = []
    for number, step in enumerate(call.steps):
        at = step.starts_at
        promised = sum(abs(s.power_w) for s in shares if s.starts_at <= at < s.ends_at)
        intervals.append(
            _interval(
                number,
                step.starts_at,
                step.ends_at,
                {
                    "OPERATING_STATE": "NORMAL",
                    "LOAD_SHED_DELTA_AVAILABLE": sign * promised / 1000,
                },
            )
        )
    units = {"LOAD_SHED_DELTA_AVAILABLE": ("KW", "FORECAST"), "OPERATING_STATE": (None, None)}
    return _report(call.external, f"{call.name}/accepted", client, units, {ALL: intervals})


def state(external: str, name: str, client: str, value: str, start: int, end: int) -> Document:
    """Return how the fleet operates."""
    interval = _interval(0, start, end, {"OPERATING_STATE": value})
    return _report(external, name, client, {"OPERATING_STATE": (None, None)}, {ALL: [interval]})


def running(call: Call, client: str) -> Document:
    """Return that the fleet answers a call."""
    value = "RUNNING_CURTAILED" if call.direction is Direction.UP else "RUNNING_HEIGHTENED"
    name = f"{call.name}/running"
    return state(call.external, name, client, value, call.starts_at, call.ends_at)


def result(report: Fulfilment, names: Mapping[int, str], client: str) -> Document:
    """Return what a call came to, by site and together."""
    call = report.call
    sign = -call.direction.sign
    resources: dict[str, list[Document]] = {}
    for site in report.sites:
        its = [each for each in report.by_site if each.site == site]
        found = []
        for number, each in enumerate(its):
            measured = each.by(call.product.basis)
            if measured is None:
                values: dict[str, float | str] = {"DATA_QUALITY": "MISSING"}
            else:
                values = {
                    "BASELINE": _consumed(measured.baseline_wh, call.product.basis),
                    "DELTA_USAGE": kwh(sign * measured.delivered_wh),
                }
                usage = _consumed(measured.actual_wh, call.product.basis)
                if usage >= 0:
                    values["USAGE"] = usage
            found.append(_half_hour(number, each.slot, values))
        resources[names.get(site, str(site))] = found
    resources[ALL] = [
        _half_hour(
            number,
            line.slot,
            {"DATA_QUALITY": "MISSING"}
            if line.delivered_wh is None
            else {"DELTA_USAGE": kwh(sign * line.delivered_wh)},
        )
        for number, line in enumerate(report.lines)
    ]
    units = {
        "BASELINE": ("KWH", None),
        "USAGE": ("KWH", "DIRECT_READ"),
        "DELTA_USAGE": ("KWH", "DIRECT_READ"),
    }
    return _report(call.external, f"{call.name}/result", client, units, resources)


def _consumed(wh: int, basis: Basis) -> float:
    """Return an energy as consumption: at the meter it is one, out of a battery the opposite."""
    return kwh(wh if basis is Basis.METER else -wh)


def _half_hour(number: int, slot: int, values: Mapping[str, float | str]) -> Document:
    return _interval(number, slot * SLOT_SECONDS, (slot + 1) * SLOT_SECONDS, values)


def _interval(number: int, start: int, end: int, values: Mapping[str, float | str]) -> Document:
    return {
        "id": number,
        "intervalPeriod": {
            "start": datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "duration": f"PT{end - start}S",
        },
        "payloads": [{"type": name, "values": [value]} for name, value in values.items()],
    }


def _report(
    event: str,
    name: str,
    client: str,
    units: Mapping[str, tuple[str | None, str | None]],
    resources: Mapping[str, list[Document]],
) -> Document:
    descriptors = []
    for payload, (unit, reading) in units.items():
        each: Document = {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": payload}
        each |= {"units": unit} if unit else {}
        each |= {"readingType": reading} if reading else {}
        descriptors.append(each)
    return {
        "objectType": "REPORT",
        "eventID": event,
        "clientName": client,
        "reportName": name,
        "payloadDescriptors": descriptors,
        "resources": [
            {"resourceName": resource, "intervals": intervals}
            for resource, intervals in resources.items()
        ],
    }

"""*Battery*: plan against actual, state of charge, value and wear, as charts and one table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from energy.units import MICROYEN_PER_YEN, PRICE_PER_YEN, SLOTS_PER_DAY
from orchestrator.steering.plan import WH
from orchestrator.web import charts
from orchestrator.web.charts import Series
from orchestrator.web.drawing import DASH, Pen, kwh, price, signed_kwh, yen
from orchestrator.web.views.battery import BatteryCall, BatteryPage
from orchestrator.words import say_day

EVERY = SLOTS_PER_DAY // 8


def drawn(pen: Pen, view: BatteryPage) -> dict[str, Any]:
    """Return the charts with their series, and the rows of the tables."""
    hours = [one.half_hour[:5] for one in view.half_hours]
    flows, plan = _flows(pen, view)
    lines = _known([plan, _called(pen, view)])
    stored = _known(
        [
            Series(pen.say("actual"), "green", _kwh(view, "stored_wh"), "line"),
            Series(pen.say("planned_at_midnight"), "ink", _kwh(view, "planned_stored_wh"), "line"),
        ]
    )
    value = [
        Series(pen.say(word), mark, _prices(view, field), "step")
        for word, mark, field in (
            ("worth_at_meter", "grey", "price_milliyen_per_kwh"),
            ("worth_stored", "violet", "value_milliyen_per_kwh"),
            ("charges_below", "blue", "charge_below_milliyen_per_kwh"),
            ("discharges_above", "sun", "discharge_above_milliyen_per_kwh"),
        )
    ]
    days = [date.fromisoformat(one.day) for one in view.days]
    wear = [
        Series(pen.say(word), mark, [getattr(one, field) / MICROYEN_PER_YEN for one in view.days])
        for word, mark, field in (
            ("cycling", "red", "cycling_microyen"),
            ("standing", "grey", "standing_microyen"),
        )
    ]
    moved = pen.say(
        "flow_text",
        charged=kwh(view.charged_wh, 1),
        discharged=kwh(view.discharged_wh, 1),
        plan_charged=kwh(view.planned_charged_wh, 1),
        plan_discharged=kwh(view.planned_discharged_wh, 1),
    )
    return {
        "when": say_day(pen.language, date.fromisoformat(view.day)),
        "flow_series": [*flows, *lines],
        "stored_series": stored,
        "value_series": value,
        "wear_series": wear,
        "flow_chart": charts.bars(
            "flow", pen.say("plan_and_actual"), moved, hours, flows[:1], "kWh",
            below=flows[1:], lines=lines, every=EVERY,
        ),
        "stored_chart": charts.bars(
            "stored", pen.say("stored_by_hour"), _stored_text(pen, view), hours, (), "kWh",
            lines=stored, every=EVERY,
        ),
        "value_chart": charts.bars(
            "value", pen.say("value"), pen.say("value_text"), hours, (), pen.say("price_unit"),
            lines=value, every=EVERY,
        ),
        "wear_chart": charts.bars(
            "wear", pen.say("wear_by_day"), pen.say("wear_text", days=len(days)),
            [f"{day.month}/{day.day}" for day in days], wear, pen.say("jpy"),
            every=max(len(days) // 6, 1),
        ),
        "call_rows": [_call(pen, one) for one in view.calls],
        "called_half_hours": sum(bool(one.called_wh) for one in view.half_hours),
        "rows": _rows(pen, view),
        "wear_rows": [
            [
                say_day(pen.language, day),
                kwh(one.charged_wh, 1),
                kwh(one.discharged_wh, 1),
                yen(one.cycling_microyen),
                yen(one.standing_microyen),
            ]
            for day, one in zip(days, view.days, strict=True)
        ],
        "reasons": [
            [pen.say(f"why_{why}"), pen.say(f"whylong_{why}"), count]
            for why, count in _counted(view)
        ],
    }  # fmt: skip


def _flows(pen: Pen, view: BatteryPage) -> tuple[list[Series], Series]:
    """Return what was charged and discharged, and the plan: charged less discharged."""
    planned = [
        None
        if one.planned_charged_wh is None or one.planned_discharged_wh is None
        else (one.planned_charged_wh - one.planned_discharged_wh) / WH
        for one in view.half_hours
    ]
    return [
        Series(pen.say("charged"), "blue", _kwh(view, "charged_wh")),
        Series(pen.say("discharged"), "sun", _kwh(view, "discharged_wh")),
    ], Series(pen.say("planned"), "ink", planned, "step")


def _known(series: Sequence[Series]) -> list[Series]:
    """Return those that have anything to show."""
    return [one for one in series if any(value is not None for value in one.values)]


def _called(pen: Pen, view: BatteryPage) -> Series:
    """Return what calls wanted of the battery besides, drawn as what is charged and discharged."""
    values = [-one.called_wh / WH if one.called_wh else None for one in view.half_hours]
    return Series(pen.say("called_besides"), "violet", values, "step")


def _call(pen: Pen, one: BatteryCall) -> list[str]:
    start, end = (datetime.fromisoformat(when) for when in (one.starts_at, one.ends_at))
    span = f"{start:%H:%M}-{end:%H:%M}"
    if start.date() != end.date():
        span = f"{start:%m-%d %H:%M} ~ {end:%m-%d %H:%M}"
    return [
        one.name, pen.say(f"call_{one.direction}"), span, kwh(one.asked_wh), kwh(one.given_wh)
    ]  # fmt: skip


def _kwh(view: BatteryPage, field: str) -> Sequence[float | None]:
    found = (getattr(one, field) for one in view.half_hours)
    return [None if wh is None else wh / WH for wh in found]


def _prices(view: BatteryPage, field: str) -> Sequence[float | None]:
    found = (getattr(one, field) for one in view.half_hours)
    return [None if milliyen is None else milliyen / PRICE_PER_YEN for milliyen in found]


def _stored_text(pen: Pen, view: BatteryPage) -> str:
    read = [one.stored_wh for one in view.half_hours if one.stored_wh is not None]
    if not read:
        return pen.say("no_reading")
    return pen.say(
        "stored_text",
        least=kwh(min(read), 1),
        most=kwh(max(read), 1),
        capacity=kwh(view.capacity_wh, 1),
    )


def _rows(pen: Pen, view: BatteryPage) -> list[list[str]]:
    return [
        [
            one.half_hour,
            *map(
                kwh,
                (
                    one.planned_charged_wh,
                    one.charged_wh,
                    one.planned_discharged_wh,
                    one.discharged_wh,
                    one.planned_stored_wh,
                    one.stored_wh,
                ),
            ),
            price(one.price_milliyen_per_kwh),
            price(one.value_milliyen_per_kwh),
            price(one.charge_below_milliyen_per_kwh),
            price(one.discharge_above_milliyen_per_kwh),
            pen.say(f"why_{one.why}") if one.why else DASH,
            signed_kwh(one.called_wh) if one.called_wh else DASH,
            DASH if one.is_kept_to is None else "✓" if one.is_kept_to else "✗",
        ]
        for one in view.half_hours
    ]


def _counted(view: BatteryPage) -> list[tuple[str, int]]:
    """Return each reason of the plan with how many half hours it holds in, most first."""
    reasons = [one.why for one in view.half_hours if one.why]
    return sorted(
        ((why, reasons.count(why)) for why in dict.fromkeys(reasons)), key=lambda pair: -pair[1]
    )

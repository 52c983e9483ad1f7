"""*Site*: the charts of use, generation and money, and their tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from energy.units import SLOTS_PER_DAY, half_hour
from orchestrator.web import charts, words
from orchestrator.web.charts import Series
from orchestrator.web.drawing import Pen, kwh, percent, yen
from orchestrator.web.views.site import ENDS, ORIGINS, Part, SitePage
from orchestrator.words import say_day

MARKS = {
    "own": "sun",
    "office": "green",
    "grid": "grey",
    "initial": "violet",
    "unexplained": "red",
    "used_here": "sun",
    "used_there": "green",
    "held": "blue",
    "lost": "red",
    "utility": "grey",
    "unmetered": "violet",
}
RARE = ("initial", "unexplained", "held", "lost", "unmetered")
"""Left out of a chart and its table where there is none of it."""


def drawn(pen: Pen, view: SitePage) -> dict[str, Any]:
    """Return the charts of use, generation and money, and their tables."""
    parts = view.parts
    labels = [part.label for part in parts]
    by_day = view.span == "month"
    axis = labels if by_day else [half_hour(part.slot)[:5] for part in parts]
    every = 2 if by_day else SLOTS_PER_DAY // 8
    used, generated = _series(pen, parts, ORIGINS), _series(pen, parts, ENDS)
    share = percent(view.renewable_wh / view.used_wh if view.used_wh else None)
    used_text = pen.say("used_text", used=kwh(view.used_wh, 1), share=share)
    generated_text = pen.say(
        "generated_text",
        generated=kwh(view.generated_wh, 1),
        here=kwh(sum(part.used_here_wh for part in parts), 1),
        there=kwh(sum(part.used_there_wh for part in parts), 1),
    )
    owed = [part.owed_microyen / 1e6 for part in parts]
    total = yen(sum(part.owed_microyen for part in parts))
    bill = view.bill
    first, last = view.days or (None, None)
    return {
        "first_day": say_day(pen.language, date.fromisoformat(first)) if first else "",
        "last_day": say_day(pen.language, date.fromisoformat(last)) if last else "",
        "when": words.say_month(pen.language, view.start)
        if by_day
        else say_day(pen.language, date.fromisoformat(view.start)),
        "used_series": used,
        "generated_series": generated,
        "used_chart": charts.bars(
            "used", pen.say("used_by_origin"), used_text, axis, used, "kWh", every=every
        ),
        "generated_chart": charts.bars(
            "generated",
            pen.say("generated_by_end"),
            generated_text,
            axis,
            generated,
            "kWh",
            every=every,
        ),
        "money_chart": charts.bars(
            "owed",
            pen.say("owed"),
            f"{pen.say('together')}: {total}",
            axis,
            [Series(pen.say("owed"), "green", [max(value, 0.0) for value in owed])],
            pen.say("jpy"),
            below=[Series("−", "grey", [max(-value, 0.0) for value in owed])],
            every=every,
        ),
        "used_rows": _rows(parts, used, lambda part: part.used_wh),
        "generated_rows": _rows(parts, generated, lambda part: part.generated_wh),
        "money_rows": [[part.label, yen(part.owed_microyen)] for part in parts],
        "bill_rows": [
            [pen.say(f"bill_{name}"), yen(getattr(bill, name))]
            for name in (
                "bought",
                "sold",
                "fees",
                "rest",
                "corrections",
                "total",
                "without_yui",
            )
        ]
        if bill
        else [],
        "neighbour_rows": [
            [pen.name(one.site), kwh(one.from_wh), kwh(one.to_wh)] for one in view.neighbours
        ],
    }


def _series(pen: Pen, parts: Sequence[Part], kinds: Sequence[str]) -> list[Series]:
    found = []
    for kind in kinds:
        values = [getattr(part, f"{kind}_wh") / 1000 for part in parts]
        if any(values) or kind not in RARE:
            found.append(Series(pen.say(kind), MARKS[kind], values))
    return found


def _rows(
    parts: Sequence[Part], series: Sequence[Series], total: Callable[[Part], int]
) -> list[list[str]]:
    return [
        [
            part.label,
            *(f"{(one.values[place] or 0.0):,.3f}" for one in series),
            kwh(total(part)),
        ]
        for place, part in enumerate(parts)
    ]

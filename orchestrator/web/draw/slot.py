"""*Slot*: the order book's curves, and the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from energy.units import day_of, half_hour, slots_of
from orchestrator.web import charts
from orchestrator.web.charts import Curve, Series
from orchestrator.web.drawing import DASH, Pen, kwh, price, yen
from orchestrator.web.views.slot import SlotPage, Step


def drawn(pen: Pen, view: SlotPage) -> dict[str, Any]:
    """Return the order book's curves and the tables."""
    series = [
        Series(pen.say("demand"), "blue", (), "line"),
        Series(pen.say("supply"), "sun", (), "line"),
    ]
    found = [
        Curve(pen.say("demand"), "blue", _steps(view.demand)),
        Curve(pen.say("supply"), "sun", _steps(view.supply)),
    ]
    met, at = pen.say("book_apart"), None
    if view.trades and view.price_milliyen_per_kwh is not None:
        paid = view.price_milliyen_per_kwh + view.fee_milliyen_per_kwh
        met = pen.say("book_met", kwh=kwh(view.traded_wh), price=price(paid))
        at = (view.traded_wh / 1000, paid / 1000)
    told = pen.say("book_text", bids=_last(view.demand), asks=_last(view.supply), met=met)
    title, unit = pen.say("book"), pen.say("price_unit")
    return {
        "half_hours": [half_hour(slot) for slot in slots_of(day_of(view.slot))],
        "book": charts.curves("book", title, told, found, "kWh", unit, at=at),
        "book_series": series,
        "missing": ", ".join(map(pen.name, view.missing)),
        "order_rows": [
            [
                pen.name(order.site),
                pen.say(order.side),
                kwh(order.energy_wh),
                price(order.price_milliyen_per_kwh),
                order.sequence,
                pen.say("alive" if order.is_live else "void"),
            ]
            for order in view.orders
        ],
        "trade_rows": [
            [
                pen.name(one.seller),
                pen.name(one.buyer),
                pen.say(kind),
                kwh(one.energy_wh) if kind == "trade" else DASH,
                kwh(one.delivered_wh),
            ]
            for kind, group in (("trade", view.trades), ("pool", view.pool))
            for one in group
        ],
        "entry_rows": [[pen.name(entry.account), yen(entry.microyen)] for entry in view.entries],
        "reading_rows": [
            [
                pen.name(one.site),
                *map(
                    kwh,
                    (
                        one.used_wh,
                        one.generated_wh,
                        one.imported_wh,
                        one.exported_wh,
                        one.charged_wh,
                        one.discharged_wh,
                        one.stored_wh,
                    ),
                ),
                ", ".join(map(pen.say, one.quality)) or pen.say("measured"),
            ]
            for one in view.readings
        ],
        "leaf_rows": [
            [
                pen.name(leaf.site),
                pen.say(leaf.kind)
                + (f", {pen.name(leaf.origin_site)}" if leaf.origin_site else ""),
                pen.when(leaf.origin_slot),
                kwh(leaf.energy_wh),
                Markup("<code>{}</code>").format(f"{leaf.leaf[:18]}…"),
            ]
            for leaf in view.proof.leaves
        ],
    }


def _steps(steps: Sequence[Step]) -> list[tuple[float, float]]:
    return [(step.until_wh / 1000, step.price_milliyen_per_kwh / 1000) for step in steps]


def _last(steps: Sequence[Step]) -> str:
    return kwh(steps[-1].until_wh if steps else 0)

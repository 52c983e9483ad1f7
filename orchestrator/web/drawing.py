"""What a page's template needs beside the view: charts, and rows of its tables as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from energy.units import SLOTS_PER_DAY, half_hour
from orchestrator.web import charts, geography, words
from orchestrator.web.charts import Curve, Series
from orchestrator.web.reads import Ref
from orchestrator.web.views.now import Now, Office
from orchestrator.web.views.site import ENDS, ORIGINS, Part, SitePage
from orchestrator.web.views.slot import SlotPage, Step
from orchestrator.words import Language, say_day

DASH = "–"
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


def kwh(wh: int | None, digits: int = 3) -> str:
    """Return energy in kWh as text.

    >>> kwh(12345), kwh(None), kwh(1234567, 1)
    ('12.345', '–', '1,234.6')
    """
    return DASH if wh is None else f"{wh / 1000:,.{digits}f}"


def price(milliyen: int | float | None) -> str:
    """Return a price in JPY/kWh as text.

    >>> price(14500), price(None)
    ('14.50', '–')
    """
    return DASH if milliyen is None else f"{milliyen / 1000:,.2f}"


def yen(microyen: int, digits: int = 2) -> str:
    """Return money in JPY as text, with the sign that people read.

    >>> yen(-12345678), yen(0), yen(-1, 0)
    ('−12.35', '0.00', '0')
    """
    text = f"{abs(microyen) / 1e6:,.{digits}f}"
    return f"−{text}" if microyen < 0 and text.strip("0,.") else text


def percent(part: float | None) -> str:
    """Return a part of one as per cent.

    >>> percent(0.4185), percent(None)
    ('41.9 %', '–')
    """
    return DASH if part is None else f"{part * 100:.1f} %"


def clock(moment: str) -> str:
    """Return the hour of an ISO time.

    >>> clock("2019-06-04T09:20:00+09:00")
    '09:20'
    """
    return f"{datetime.fromisoformat(moment):%H:%M}"


@dataclass(frozen=True)
class Pen:
    """Draws in a language."""

    language: Language
    environment: Environment

    def say(self, word: str, **values: object) -> str:
        """Return a phrase."""
        return words.say(self.language, word, **values)

    def name(self, ref: Ref) -> str:
        """Return an office's name, short."""
        return words.name_of(self.language, ref)

    def full_name(self, ref: Ref) -> str:
        """Return an office's name."""
        return ref.ja if self.language is Language.JAPANESE else ref.en

    def when(self, slot: int) -> str:
        """Return a slot's day and half hour."""
        return words.say_when(self.language, slot)

    def words(self) -> dict[str, Any]:
        """Return what every template may say."""
        return {
            "say": self.say,
            "name": self.name,
            "full_name": self.full_name,
            "say_day": lambda slot: self.when(slot).rsplit(" ", 1)[0],
            "kwh": kwh,
            "price": price,
            "yen": yen,
            "percent": percent,
            "clock": clock,
        }

    # -- pages -------------------------------------------------------------------------------

    def now(self, view: Now) -> dict[str, Any]:
        """Return the map and its table."""
        drawing = geography.drawing_of(view)
        drawn = self.environment.get_template("map.html").render(
            self.words(),
            view=view,
            drawing=drawing,
            offices={office.site.number: office for office in view.offices},
            moved=sum(flow.energy_wh for flow in view.flows),
            balance=_balance,
            told=self._told,
        )
        return {
            "map": Markup(drawn),
            "has_outline": bool(drawing.outline),
            "flow_rows": [
                [
                    self.name(flow.seller),
                    self.name(flow.buyer),
                    self.say(flow.kind),
                    kwh(flow.energy_wh),
                ]
                for flow in sorted(view.flows, key=lambda flow: -flow.energy_wh)
            ],
        }

    def _told(self, office: Office) -> str:
        if not office.is_read:
            return self.say("no_reading")
        if office.imported_wh is None or office.exported_wh is None:
            return ""
        net = office.exported_wh - office.imported_wh
        return f"{'+' if net > 0 else '−' if net < 0 else ''}{abs(net) / 1000:.1f} kWh"

    def slot(self, view: SlotPage) -> dict[str, Any]:
        """Return the order book's curves and the tables."""
        series = [
            Series(self.say("demand"), "blue", ()),
            Series(self.say("supply"), "sun", ()),
        ]
        found = [
            Curve(self.say("demand"), "blue", _steps(view.demand)),
            Curve(self.say("supply"), "sun", _steps(view.supply)),
        ]
        met, at = self.say("book_apart"), None
        if view.trades and view.price_milliyen_per_kwh is not None:
            paid = view.price_milliyen_per_kwh + view.fee_milliyen_per_kwh
            met = self.say("book_met", kwh=kwh(view.traded_wh), price=price(paid))
            at = (view.traded_wh / 1000, paid / 1000)
        told = self.say("book_text", bids=_last(view.demand), asks=_last(view.supply), met=met)
        title, unit = self.say("book"), self.say("price_unit")
        return {
            "book": charts.curves("book", title, told, found, "kWh", unit, at=at),
            "book_series": series,
            "missing": ", ".join(map(self.name, view.missing)),
            "order_rows": [
                [
                    self.name(order.site),
                    self.say(order.side),
                    kwh(order.energy_wh),
                    price(order.price_milliyen_per_kwh),
                    order.sequence,
                    self.say("alive" if order.is_live else "void"),
                ]
                for order in view.orders
            ],
            "trade_rows": [
                [
                    self.name(one.seller),
                    self.name(one.buyer),
                    self.say(kind),
                    kwh(one.energy_wh) if kind == "trade" else DASH,
                    kwh(one.delivered_wh),
                ]
                for kind, group in (("trade", view.trades), ("pool", view.pool))
                for one in group
            ],
            "entry_rows": [
                [self.name(entry.account), yen(entry.microyen)] for entry in view.entries
            ],
            "reading_rows": [
                [
                    self.name(one.site),
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
                    ", ".join(map(self.say, one.quality)) or self.say("measured"),
                ]
                for one in view.readings
            ],
            "leaf_rows": [
                [
                    self.name(leaf.site),
                    self.say(leaf.kind)
                    + (f", {self.name(leaf.origin_site)}" if leaf.origin_site else ""),
                    self.when(leaf.origin_slot),
                    kwh(leaf.energy_wh),
                    Markup("<code>{}</code>").format(f"{leaf.leaf[:18]}…"),
                ]
                for leaf in view.proof.leaves
            ],
        }

    def site(self, view: SitePage) -> dict[str, Any]:
        """Return the charts of use, generation and money, and their tables."""
        parts = view.parts
        labels = [part.label for part in parts]
        by_day = view.span == "month"
        axis = labels if by_day else [half_hour(part.slot)[:5] for part in parts]
        every = 2 if by_day else SLOTS_PER_DAY // 8
        used, generated = self._series(parts, ORIGINS), self._series(parts, ENDS)
        share = percent(view.renewable_wh / view.used_wh if view.used_wh else None)
        used_text = self.say("used_text", used=kwh(view.used_wh, 1), share=share)
        generated_text = self.say(
            "generated_text",
            generated=kwh(view.generated_wh, 1),
            here=kwh(sum(part.used_here_wh for part in parts), 1),
            there=kwh(sum(part.used_there_wh for part in parts), 1),
        )
        owed = [part.owed_microyen / 1e6 for part in parts]
        total = yen(sum(part.owed_microyen for part in parts))
        bill = view.bill
        return {
            "when": words.say_month(self.language, view.start)
            if by_day
            else say_day(self.language, date.fromisoformat(view.start)),
            "used_series": used,
            "generated_series": generated,
            "used_chart": charts.bars(
                "used", self.say("used_by_origin"), used_text, axis, used, "kWh", every=every
            ),
            "generated_chart": charts.bars(
                "generated",
                self.say("generated_by_end"),
                generated_text,
                axis,
                generated,
                "kWh",
                every=every,
            ),
            "money_chart": charts.bars(
                "owed",
                self.say("owed"),
                f"{self.say('together')}: {total}",
                axis,
                [Series(self.say("owed"), "green", [max(value, 0.0) for value in owed])],
                self.say("jpy"),
                below=[Series("−", "grey", [max(-value, 0.0) for value in owed])],
                every=every,
            ),
            "used_rows": _rows(parts, used, lambda part: part.used_wh),
            "generated_rows": _rows(parts, generated, lambda part: part.generated_wh),
            "money_rows": [[part.label, yen(part.owed_microyen)] for part in parts],
            "bill_rows": [
                [self.say(f"bill_{name}"), yen(getattr(bill, name))]
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
                [self.name(one.site), kwh(one.from_wh), kwh(one.to_wh)] for one in view.neighbours
            ],
        }

    def _series(self, parts: Sequence[Part], kinds: Sequence[str]) -> list[Series]:
        found = []
        for kind in kinds:
            values = [getattr(part, f"{kind}_wh") / 1000 for part in parts]
            if any(values) or kind not in RARE:
                found.append(Series(self.say(kind), MARKS[kind], values))
        return found


def _balance(office: Office) -> str:
    if not office.is_read:
        return "unread"
    if office.exported_wh is None or office.imported_wh is None:
        return "balanced"
    if office.exported_wh > office.imported_wh:
        return "surplus"
    return "needs" if office.imported_wh > office.exported_wh else "balanced"


def _steps(steps: Sequence[Step]) -> list[tuple[float, float]]:
    return [(step.until_wh / 1000, step.price_milliyen_per_kwh / 1000) for step in steps]


def _last(steps: Sequence[Step]) -> str:
    return kwh(steps[-1].until_wh if steps else 0)


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

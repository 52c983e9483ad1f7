"""The pages: each is a view of the store at an address, as HTML and as JSON.

One list says all of it: routes, templates and the OpenAPI description are made from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from energy.errors import SettingError
from orchestrator.web.draw import audit, battery, now, site, slot
from orchestrator.web.drawing import Pen
from orchestrator.web.reads import LAST_SLOT, Source, check_year, days_of_month
from orchestrator.web.views.audit import AuditPage, audit_view
from orchestrator.web.views.battery import BatteryPage, battery_view
from orchestrator.web.views.now import Now, now_view
from orchestrator.web.views.site import SitePage, site_view
from orchestrator.web.views.slot import SlotPage, slot_view

DAY, MONTH = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", r"^[12][0-9]{3}-(0[1-9]|1[0-2])$"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the path or the query, its JSON schema, and how its text is read."""

    name: str
    place: str
    """`path` or `query`."""
    schema: dict[str, Any]
    says: str
    read: Callable[[str], Any]


def _number(name: str, limit: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or int(text) >= limit:
            raise SettingError(f"{name} must be a number below {limit}, got {text!r}")
        return int(text)

    return read


def read_day(text: str) -> date:
    """Return a day given as 2019-06-04.

    Raises:
        SettingError: if it is none.
        NotThere: if it is of another age.
    """
    try:
        found = date.fromisoformat(text) if re.match(DAY, text) else None
    except ValueError:
        found = None
    if found is None:
        raise SettingError(f"day must be as 2019-06-04, got {text!r}")
    check_year(found)
    return found


def _month(text: str) -> str:
    if not re.match(MONTH, text):
        raise SettingError(f"month must be as 2019-06, got {text!r}")
    days_of_month(text)
    return text


def _slot(name: str, place: str, says: str) -> Parameter:
    schema = {"type": "integer", "minimum": 0, "maximum": LAST_SLOT}
    return Parameter(name, place, schema, says, _number(name, LAST_SLOT + 1))


SITE = Parameter(
    "site", "path", {"type": "integer", "minimum": 0, "maximum": 999}, "the site's number",
    _number("site", 1_000),
)  # fmt: skip
ON_DAY = Parameter(
    "day", "query", {"type": "string", "format": "date"}, "a day, as 2019-06-04", read_day
)
IN_MONTH = Parameter(
    "month", "query", {"type": "string", "pattern": MONTH}, "a month, as 2019-06", _month
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its name, addresses, what it shows, and how that is found and drawn."""

    name: str
    path: str
    says: str
    shows: type
    parameters: tuple[Parameter, ...]
    view: Callable[..., Any]
    draw: Callable[[Pen, Any], dict[str, Any]]


def _now(source: Source, at: int | None = None, day: date | None = None) -> Now:
    return now_view(source, at, day)


def _slot_page(source: Source, slot: int | None = None) -> SlotPage:
    return slot_view(source, slot)


def _site(
    source: Source, site: int = 0, day: date | None = None, month: str | None = None
) -> SitePage:
    return site_view(source, site, day, month)


def _battery(source: Source, site: int = 0, day: date | None = None) -> BatteryPage:
    return battery_view(source, site, day)


def _audit(source: Source, day: date | None = None, month: str | None = None) -> AuditPage:
    return audit_view(source, day, month, source.audit)


PAGES = (
    Page(
        "now", "/now", "A half hour: offices, flows between them, next gate.", Now,
        (_slot("at", "query", "the half hour, as a slot: unix seconds // 1800"), ON_DAY), _now,
        now.drawn,
    ),
    Page(
        "slot", "/slot/{slot}", "A half hour from order to proof.", SlotPage,
        (_slot("slot", "path", "the half hour: unix seconds // 1800"),), _slot_page, slot.drawn,
    ),
    Page(
        "site", "/site/{site}", "An office's day or month: origins, destinations, money.",
        SitePage, (SITE, ON_DAY, IN_MONTH), _site, site.drawn,
    ),
    Page(
        "battery", "/battery/{site}", "A battery's day as planned and as measured, why, its wear.",
        BatteryPage, (SITE, ON_DAY), _battery, battery.drawn,
    ),
    Page(
        "audit", "/audit", "Roots by day and who attests them, what was checked, finality.",
        AuditPage, (ON_DAY, IN_MONTH), _audit, audit.drawn,
    ),
)  # fmt: skip

MENU = ("now", "slot", "site", "battery", "audit")

"""The pages: each is a view of the store at an address, as HTML and as JSON.

One list says all of it: routes, templates and the OpenAPI description are made from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from energy.errors import SettingError
from orchestrator.web.draw import audit, battery, fleet, now, site, slot
from orchestrator.web.drawing import Pen
from orchestrator.web.reads import LAST_SLOT, Source, check_year, days_of_month
from orchestrator.web.views.audit import AuditPage, audit_view
from orchestrator.web.views.battery import BatteryPage, battery_view
from orchestrator.web.views.fleet import Filters, FleetPage, fleet_view
from orchestrator.web.views.now import Now, now_view
from orchestrator.web.views.site import SitePage, site_view
from orchestrator.web.views.slot import SlotPage, slot_view

LONGEST_TEXT = 100
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


def _text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise SettingError(f"a filter must have at most {LONGEST_TEXT} characters, got {len(text)}")
    return text


def _standing(text: str) -> str:
    if text not in fleet.STANDINGS:
        raise SettingError(f"standing must be one of {', '.join(fleet.STANDINGS)}, got {text!r}")
    return text


_PER_CENT = {"type": "integer", "minimum": 0, "maximum": 100}
_TEXT = {"type": "string", "maxLength": LONGEST_TEXT}
FILTERS = (
    Parameter("municipality", "query", _TEXT, "a municipality", _text),
    Parameter("type", "query", _TEXT, "what is at the site, as pv+battery", _text),
    Parameter(
        "standing", "query", {"type": "string", "enum": list(fleet.STANDINGS)},
        "whether it can be counted on", _standing,
    ),
    Parameter("from", "query", _PER_CENT, "charged at least, per cent", _number("from", 101)),
    Parameter("to", "query", _PER_CENT, "charged at most, per cent", _number("to", 101)),
)  # fmt: skip
PAGE = Parameter(
    "page", "query", {"type": "integer", "minimum": 1, "maximum": 9_999}, "which 50 of them",
    _number("page", 10_000),
)  # fmt: skip


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
    tells_time: bool = False
    """Whether it is another one each few seconds, whatever the store says."""


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


def filters_of(found: Mapping[str, Any]) -> Filters:
    """Return the filters that an address's parameters, as they were read, ask for."""
    return Filters(
        found.get("municipality"),
        found.get("type"),
        found.get("standing"),
        found.get("from"),
        found.get("to"),
    )


def _fleet(source: Source, page: int = 1, **found: Any) -> FleetPage:
    return fleet_view(source, filters_of(found), max(page, 1))


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
        "fleet", "/fleet", "All sites as the control room knows them, filtered.", FleetPage,
        (*FILTERS, PAGE), _fleet, fleet.drawn, tells_time=True,
    ),
    Page(
        "audit", "/audit", "Roots by day and who attests them, what was checked, finality.",
        AuditPage, (ON_DAY, IN_MONTH), _audit, audit.drawn,
    ),
)  # fmt: skip

MENU = ("now", "slot", "site", "battery", "fleet", "audit")

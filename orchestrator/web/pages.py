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
    example: Any = None
    """One that the demonstration's day knows; None: any will do."""


MOST_DIGITS = 20
"""A longer number is none: of thousands of digits Python makes none."""


def number_of(name: str, text: str, least: int, most: int) -> int:
    """Return a whole number that an address gives.

    Raises:
        SettingError: if it is none, or not from `least` to `most`.
    """
    is_number = text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS
    if not is_number or not least <= int(text) <= most:
        raise SettingError(f"{name} must be a number from {least} to {most}, got {text[:50]!r}")
    return int(text)


def _whole(name: str, place: str, says: str, least: int, most: int, example: int) -> Parameter:
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Parameter(
        name, place, schema, says, lambda text: number_of(name, text, least, most), example
    )


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
        raise SettingError(f"day must be as 2019-06-04, got {text[:50]!r}")
    check_year(found)
    return found


def _month(text: str) -> str:
    if not re.match(MONTH, text):
        raise SettingError(f"month must be as 2019-06, got {text[:50]!r}")
    days_of_month(text)
    return text


def _slot(name: str, place: str, says: str) -> Parameter:
    return _whole(name, place, says, 0, LAST_SLOT, 866_437)


SITE = _whole("site", "path", "the site's number", 0, 999, 6)
ON_DAY = Parameter(
    "day", "query", {"type": "string", "format": "date"}, "a day, as 2019-06-04", read_day,
    "2019-06-04",
)  # fmt: skip
IN_MONTH = Parameter(
    "month", "query", {"type": "string", "pattern": MONTH}, "a month, as 2019-06", _month,
    "2019-06",
)  # fmt: skip


def _text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise SettingError(f"a filter must have at most {LONGEST_TEXT} characters, got {len(text)}")
    return text


def _standing(text: str) -> str:
    if text not in fleet.STANDINGS:
        raise SettingError(
            f"standing must be one of {', '.join(fleet.STANDINGS)}, got {text[:50]!r}"
        )
    return text


_TEXT = {"type": "string", "maxLength": LONGEST_TEXT}
FILTERS = (
    Parameter("municipality", "query", _TEXT, "a municipality", _text),
    Parameter("type", "query", _TEXT, "what is at the site, as pv+battery", _text),
    Parameter(
        "standing", "query", {"type": "string", "enum": list(fleet.STANDINGS)},
        "whether it can be counted on", _standing,
    ),
    _whole("from", "query", "charged at least, per cent", 0, 100, 0),
    _whole("to", "query", "charged at most, per cent", 0, 100, 100),
)  # fmt: skip
PAGE = _whole("page", "query", "which 50 of them", 1, 9_999, 1)


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
    return fleet_view(source, filters_of(found), page)


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

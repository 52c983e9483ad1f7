"""Where an address without its object leads: `/slot` to a half hour, `/site` to an office.

The day, or what a form asks for, comes in the query, and goes along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from energy.errors import SettingError
from energy.units import SLOTS_PER_DAY, slots_of
from orchestrator.web.pages import SITE, number_of, read_day
from orchestrator.web.reads import Source

Query = Mapping[str, str]


def slot_address(source: Source, query: Query) -> str:
    """Return the half hour that is asked for by day and number (0 to 47), or else the one of the
    day, or of the newest day, in which most was traded."""
    day = read_day(query["day"]) if query.get("day") else None
    number = query.get("number")
    if day is None or not number:
        return f"/slot/{source.busiest(day)}"
    return f"/slot/{slots_of(day)[number_of('number', number, 0, SLOTS_PER_DAY - 1)]}"


def site_address(source: Source, query: Query) -> str:
    """Return the office that is asked for, or the first one."""
    return _with_site("/site", 0, query)


def battery_address(source: Source, query: Query) -> str:
    """Return the battery of the site that is asked for, or the first one."""
    sites = source.store.sites_at(source.slot_or_last(None))
    first = next((site for site, has in sites.items() if has["battery_capacity"]), None)
    if first is None and not query.get("site"):
        raise SettingError("a site of the market must have a battery to show, got none")
    return _with_site("/battery", first or 0, query)


def _with_site(path: str, first: int, query: Query) -> str:
    pairs = {name: value for name, value in query.items() if name != "site" and value}
    site = SITE.read(query["site"]) if query.get("site") else first
    return f"{path}/{site}" + (f"?{urlencode(pairs)}" if pairs else "")


CHOICES: Mapping[str, Callable[[Source, Query], str]] = {
    "/slot": slot_address,
    "/site": site_address,
    "/battery": battery_address,
}

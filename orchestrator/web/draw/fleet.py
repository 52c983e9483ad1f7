"""*Fleet*: the rows of its tables, and the addresses of its pages."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from orchestrator.web.drawing import DASH, Pen, percent
from orchestrator.web.views.fleet import FleetPage, FleetSite, Told

STANDINGS = ("alive", "lost", "unheard", "alarm")
NAMES = {"charge_from": "from", "charge_to": "to", "kind": "type"}
"""What filters are called in an address, where that is another name."""
BADGES = {"alive": "good", "lost": "bad", "unheard": "wait"}
OUTCOMES = {"taken": "good", "refused": "bad", "expired": "bad", "open": "wait"}


def kilowatts(watts: int | None) -> str:
    """Return a power in kW as text, with the sign that people read.

    >>> kilowatts(-1500), kilowatts(None), kilowatts(20)
    ('−1.5', '–', '0.0')
    """
    return DASH if watts is None else f"{watts / 1000:,.1f}".replace("-", "−")


def age(seconds: int | None) -> str:
    """Return how old something is, in the largest unit that it fills.

    >>> age(4), age(119), age(7300), age(200_000), age(None)
    ('4 s', '1 min', '2 h', '2 d', '–')
    """
    if seconds is None:
        return DASH
    for unit, long in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= long:
            return f"{seconds // long} {unit}"
    return f"{seconds} s"


def drawn(pen: Pen, view: FleetPage) -> dict[str, Any]:
    """Return the rows of sites and instructions, and where the filters and pages lead."""
    asked = {
        NAMES.get(name, name): value
        for name, value in asdict(view.filters).items()
        if value is not None
    }
    return {
        "standings": STANDINGS,
        "kilowatts": kilowatts,
        "site_rows": [_site(pen, site) for site in view.sites],
        "told_rows": [_told(pen, told) for told in view.told],
        "command_url": f"/fleet/command?{urlencode(asked)}",
        "pages": {
            word: f"/fleet?{urlencode({**asked, 'page': number})}"
            for word, number in (("before", view.page - 1), ("after", view.page + 1))
            if 1 <= number <= view.pages
        },
        "moment": f"{datetime.fromisoformat(view.at):%H:%M:%S}" if view.at else "",
    }


def _site(pen: Pen, site: FleetSite) -> list[object]:
    badge = Markup('<span class="badge {}">{}</span>')
    wrong = Markup(" ").join(badge.format("bad", alarm) for alarm in site.alarms)
    following = pen.say(f"following_{site.following}") if site.following else DASH
    return [
        pen.full_name(site.site),
        site.municipality,
        site.kind,
        badge.format(BADGES[site.standing], pen.say(f"standing_{site.standing}")),
        wrong or DASH,
        age(site.age_seconds),
        percent(site.charge),
        kilowatts(site.battery_w),
        kilowatts(site.generated_w),
        kilowatts(site.imported_w),
        f"{following} {site.call}".strip(),
    ]


def _told(pen: Pen, told: Told) -> list[object]:
    when = datetime.fromisoformat(told.made_at)
    outcome = Markup('<span class="badge {}">{}</span> {}').format(
        OUTCOMES[told.outcome], pen.say(f"outcome_{told.outcome}"), told.refused
    )
    powered = told.action in ("charge", "discharge", "limit", "call")
    return [
        f"{when:%Y-%m-%d %H:%M:%S}",
        pen.full_name(told.site),
        pen.say(f"action_{told.action}"),
        kilowatts(told.power_w) if powered else DASH,
        told.by,
        told.why,
        outcome,
    ]

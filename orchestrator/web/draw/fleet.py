"""*Fleet*: the rows of its tables, and the addresses of its pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from orchestrator.web.drawing import DASH, Pen, percent
from orchestrator.web.reads import Ref
from orchestrator.web.views.fleet import FleetPage, FleetSite, Told, Town
from orchestrator.web.words import say
from orchestrator.words import Language
from vpp.calls.linked import BY

STANDINGS = ("alive", "lost", "unheard", "alarm")
NAMES = {"charge_from": "from", "charge_to": "to", "kind": "type"}
"""What filters are called in an address, where that is another name."""
COLUMNS_OF_ALL = 6
"""The first columns of the sites, which are for all; the others have figures."""
BADGES = {"alive": "good", "lost": "bad", "unheard": "wait"}
OUTCOMES = {"taken": "good", "refused": "bad", "expired": "bad", "open": "wait"}


def kilowatts(watts: int | None) -> str:
    """Return a power in kW as text, with the sign that people read.

    >>> kilowatts(-1500), kilowatts(None), kilowatts(20)
    ('−1.5', '–', '0.0')
    """
    return DASH if watts is None else f"{watts / 1000:,.1f}".replace("-", "−")


def age(language: Language, seconds: int | None) -> str:
    """Return how old something is, in the largest unit that it fills.

    >>> [age(Language.ENGLISH, seconds) for seconds in (4, 119, 7300, 200_000, None)]
    ['4 s', '1 min', '2 h', '2 d', '–']
    >>> age(Language.JAPANESE, 119)
    '1分'
    """
    if seconds is None:
        return DASH
    for unit, long in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= long:
            return say(language, f"age_{unit}", count=seconds // long)
    return say(language, "age_seconds", count=seconds)


def kind_name(pen: Pen, kind: str) -> object:
    """Return what is at a site, given as pv+battery, in words; what is not known, as it is."""
    parts = kind.split("+")
    if not all(pen.knows(f"kind_{part}") for part in parts):
        return pen.foreign(kind)
    return "+".join(pen.say(f"kind_{part}") for part in parts)


def alarm_text(pen: Pen, alarm: str) -> object:
    """Return an alarm, given as its name, a colon and why, in words."""
    name, colon, why = alarm.partition(":")
    told = pen.say(f"alarm_{name}") if pen.knows(f"alarm_{name}") else pen.foreign(name)
    why = why.strip()
    reason = pen.say(f"{name}_{why}") if pen.knows(f"{name}_{why}") else pen.explained(why)
    return Markup("{}{} {}").format(told, colon, reason) if colon else told


def drawn(pen: Pen, view: FleetPage) -> dict[str, Any]:
    """Return the rows of sites and instructions, and where the filters and pages lead."""
    shows_figures = view.is_shown or any(site.following is not None for site in view.sites)
    towns = {town.municipality: _town(pen, town) for town in view.towns}
    asked = {
        NAMES.get(name, name): value
        for name, value in asdict(view.filters).items()
        if value is not None
    }
    return {
        "standings": STANDINGS,
        "kinds": [(kind, kind_name(pen, kind)) for kind in view.kinds],
        "towns": list(towns.items()),
        "kilowatts": kilowatts,
        "shows_figures": shows_figures,
        "site_rows": [
            _site(pen, site, towns)[: None if shows_figures else COLUMNS_OF_ALL]
            for site in view.sites
        ],
        "told_rows": [_told(pen, told) for told in view.told],
        "command_url": f"/fleet/command?{urlencode(asked)}",
        "pages": {
            word: f"/fleet?{urlencode({**asked, 'page': number})}"
            for word, number in (("before", view.page - 1), ("after", view.page + 1))
            if 1 <= number <= view.pages
        },
        "moment": f"{datetime.fromisoformat(view.at):%H:%M:%S}" if view.at else "",
    }


def meant_rows(pen: Pen, sites: Sequence[FleetSite], towns: Sequence[Town]) -> list[list[object]]:
    """Return the rows of the sites that a command is for."""
    names = {town.municipality: _town(pen, town) for town in towns}
    badge = Markup('<span class="badge {}">{}</span>')
    return [
        [
            pen.full_name(site.site),
            pen.foreign(names[site.municipality]),
            badge.format(BADGES[site.standing], pen.say(f"standing_{site.standing}")),
            percent(site.charge),
        ]
        for site in sites
    ]


def answer_rows(pen: Pen, told: Sequence[tuple[Ref, str, str]]) -> list[list[object]]:
    """Return the rows of what sites answered: the site, the outcome, why it was refused."""
    return [
        [pen.full_name(site), _outcome(pen, outcome), pen.explained(refused)]
        for site, outcome, refused in told
    ]


def _town(pen: Pen, town: Town) -> str:
    return town.ja if pen.language is Language.JAPANESE else town.en


def _outcome(pen: Pen, outcome: str) -> Markup:
    badge = Markup('<span class="badge {}">{}</span>')
    return badge.format(OUTCOMES[outcome], pen.say(f"outcome_{outcome}"))


def _site(pen: Pen, site: FleetSite, towns: Mapping[str, str]) -> list[object]:
    badge = Markup('<span class="badge {}">{}</span>')
    wrong = Markup(" ").join(badge.format("bad", alarm_text(pen, alarm)) for alarm in site.alarms)
    following = pen.say(f"following_{site.following}") if site.following else DASH
    return [
        pen.full_name(site.site),
        pen.foreign(towns[site.municipality]),
        kind_name(pen, site.kind),
        badge.format(BADGES[site.standing], pen.say(f"standing_{site.standing}")),
        wrong or DASH,
        age(pen.language, site.age_seconds),
        percent(site.charge),
        kilowatts(site.battery_w),
        kilowatts(site.generated_w),
        kilowatts(site.imported_w),
        f"{following} {site.call}".strip(),
    ]


def _told(pen: Pen, told: Told) -> list[object]:
    when = datetime.fromisoformat(told.made_at)
    outcome = Markup("{} {}").format(_outcome(pen, told.outcome), pen.explained(told.refused))
    powered = told.action in ("charge", "discharge", "limit", "call")
    return [
        f"{when:%Y-%m-%d %H:%M:%S}",
        pen.full_name(told.site),
        pen.say(f"action_{told.action}"),
        kilowatts(told.power_w) if powered else DASH,
        pen.say("by_calls") if told.by == BY else told.by,
        pen.explained(told.why) if told.by == BY else pen.foreign(told.why),
        outcome,
    ]

"""*Now*: the map and its table."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from orchestrator.web import geography
from orchestrator.web.drawing import Pen, kwh, signed_kwh
from orchestrator.web.views.now import Now, Office


def drawn(pen: Pen, view: Now) -> dict[str, Any]:
    """Return the map and its table."""
    labels = {
        office.site.number: (pen.name(office.site), _told(pen, office)) for office in view.offices
    }
    drawing = geography.drawing_of(view, {site: name for site, (name, _) in labels.items()})
    map_ = pen.environment.get_template("map.html").render(
        pen.words(),
        view=view,
        drawing=drawing,
        offices={office.site.number: office for office in view.offices},
        moved=sum(flow.energy_wh for flow in view.flows),
        balance=_balance,
        labels=labels,
    )
    return {
        "map": Markup(map_),
        "has_outline": bool(drawing.outline),
        "flow_rows": [
            [
                pen.name(flow.seller),
                pen.name(flow.buyer),
                pen.say(flow.kind),
                kwh(flow.energy_wh),
            ]
            for flow in sorted(view.flows, key=lambda flow: -flow.energy_wh)
        ],
    }


def _told(pen: Pen, office: Office) -> str:
    if not office.is_read:
        return pen.say("no_reading")
    if office.imported_wh is None or office.exported_wh is None:
        return ""
    return f"{signed_kwh(office.exported_wh - office.imported_wh, 1)} kWh"


def _balance(office: Office) -> str:
    if not office.is_read:
        return "unread"
    if office.exported_wh is None or office.imported_wh is None:
        return "balanced"
    if office.exported_wh > office.imported_wh:
        return "surplus"
    return "needs" if office.imported_wh > office.exported_wh else "balanced"

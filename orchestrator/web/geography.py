"""The map: where offices lie, the prefecture's outline behind them, and what flows between them.

Places are degrees of WGS 84, drawn so that a kilometre is as long in both directions. Sites
without a place are set on a circle, and then there is no outline.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import cos, hypot, pi, radians, sin, sqrt

from orchestrator.web.views.now import Flow, Now

WIDTH = 560.0
MARGIN = 24.0
NEAR = 20.0
"""How far from an office's middle an arrow ends."""


@dataclass(frozen=True, slots=True)
class Spot:
    """An office's place on the drawing, and on which side its name stands."""

    site: int
    x: float
    y: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class Arrow:
    """A flow's way on the drawing: an SVG path, its width, and the flow."""

    path: str
    width: float
    flow: Flow


@dataclass(frozen=True, slots=True)
class Drawing:
    """The map: its size, outline (an SVG path; empty without one), spots and arrows."""

    width: float
    height: float
    outline: str
    spots: tuple[Spot, ...]
    arrows: tuple[Arrow, ...]


@cache
def outline() -> tuple[tuple[float, float], ...]:
    """Return Miyagi's outline as (longitude, latitude); its licence lies beside it."""
    text = files("orchestrator.web").joinpath("map", "miyagi.json").read_text(encoding="utf-8")
    return tuple((east, north) for east, north in json.loads(text))


def drawing_of(now: Now) -> Drawing:
    """Return the map of a half hour."""
    places = [(one.longitude, one.latitude) for one in now.offices]
    border = outline()
    on_earth = [(east, north) for east, north in places if east is not None and north is not None]
    inside = len(on_earth) == len(places) and all(
        min(e for e, _ in border) <= east <= max(e for e, _ in border)
        and min(n for _, n in border) <= north <= max(n for _, n in border)
        for east, north in on_earth
    )
    if not inside:
        return _on_a_circle(now)
    middle = cos(radians(sum(north for _, north in border) / len(border)))
    flat = [(east * middle, -north) for east, north in border]
    left, right = min(x for x, _ in flat), max(x for x, _ in flat)
    top, bottom = min(y for _, y in flat), max(y for _, y in flat)
    scale = (WIDTH - 2 * MARGIN) / (right - left)

    def at(east: float, north: float) -> tuple[float, float]:
        return MARGIN + (east * middle - left) * scale, MARGIN + (-north - top) * scale

    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*place) for place in border))
    spots = tuple(
        Spot(one.site.number, *at(*place), is_right=True)
        for one, place in zip(now.offices, on_earth, strict=True)
    )
    height = (bottom - top) * scale + 2 * MARGIN
    return Drawing(WIDTH, height, f"M{points}Z", _turned(spots), _arrows(now.flows, spots))


def _turned(spots: Sequence[Spot]) -> tuple[Spot, ...]:
    """Let names near the right edge stand on the left."""
    return tuple(Spot(one.site, one.x, one.y, one.x < WIDTH * 0.72) for one in spots)


def _on_a_circle(now: Now) -> Drawing:
    radius = WIDTH / 2 - 3 * MARGIN
    spots = tuple(
        Spot(
            one.site.number,
            WIDTH / 2 + radius * sin(2 * pi * place / len(now.offices)),
            WIDTH / 2 - radius * cos(2 * pi * place / len(now.offices)),
            is_right=True,
        )
        for place, one in enumerate(now.offices)
    )
    return Drawing(WIDTH, WIDTH, "", _turned(spots), _arrows(now.flows, spots))


def _arrows(flows: Sequence[Flow], spots: Sequence[Spot]) -> tuple[Arrow, ...]:
    """Return an arrow for each pair, bent to its right so that both ways can be told apart."""
    where = {spot.site: spot for spot in spots}
    most = max([flow.energy_wh for flow in flows] or [1])
    arrows = []
    for flow in flows:
        start, end = where.get(flow.seller.number), where.get(flow.buyer.number)
        if start is None or end is None or start is end:
            continue
        across, down = end.x - start.x, end.y - start.y
        length = hypot(across, down) or 1.0
        bend = 0.16 * length
        x, y = (
            (start.x + end.x) / 2 - down / length * bend,
            (start.y + end.y) / 2 + across / length * bend,
        )
        from_x, from_y = _towards(start, x, y, NEAR * 0.7)
        to_x, to_y = _towards(end, x, y, NEAR)
        path = f"M{from_x:.1f},{from_y:.1f}Q{x:.1f},{y:.1f} {to_x:.1f},{to_y:.1f}"
        arrows.append(Arrow(path, 1.5 + 6.5 * sqrt(flow.energy_wh / most), flow))
    return tuple(arrows)


def _towards(spot: Spot, x: float, y: float, far: float) -> tuple[float, float]:
    length = hypot(x - spot.x, y - spot.y) or 1.0
    return spot.x + (x - spot.x) / length * far, spot.y + (y - spot.y) / length * far

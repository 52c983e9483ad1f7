"""The map: where offices lie, the prefecture's outline behind them, and what flows between them.

Places are degrees of WGS 84, drawn so that a kilometre is as long in both directions. Sites
without a place are set on a circle, and then there is no outline.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from math import cos, hypot, pi, radians, sin, sqrt

from orchestrator.web.views.now import Flow, Now

WIDTH = 560.0
MARGIN = 24.0
NEAR = 20.0
"""How far from an office's middle an arrow ends."""
LINE = 18.0
"""From the baseline of a name to that of the figure below it."""
GAUGE = 20.0
"""What the gauge of a battery takes on a spot's left."""
SIDES = ("right", "left", "below", "above")
_LABELS: dict[str, tuple[float, float]] = {
    "right": (14, -2),
    "left": (-15, -2),
    "below": (0, 31),
    "above": (0, -35),
}
_TALL = 44.0
"""How high name and figure are together, on a telephone, where type is larger."""
_MOST_PLACED = 40
"""More names than this are not kept apart: nobody could read them."""


@dataclass(frozen=True, slots=True)
class Spot:
    """An office's place on the drawing, and where its name stands: `side` of `SIDES`, the
    anchor, and the baselines' x and y (the figure's is `LINE` further down)."""

    site: int
    x: float
    y: float
    has_gauge: bool = False
    side: str = "right"

    @property
    def anchor(self) -> str:
        """How the name is aligned, as SVG says it."""
        return {"right": "start", "left": "end"}.get(self.side, "middle")

    @property
    def label(self) -> tuple[float, float]:
        """Where the name's baseline is anchored."""
        across, down = _LABELS[self.side]
        if self.side == "left" and self.has_gauge:
            across -= GAUGE
        return self.x + across, self.y + down


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


def drawing_of(now: Now, names: Mapping[int, str]) -> Drawing:
    """Return the map of a half hour, with sites' names where they are least in the way."""
    places = [(one.longitude, one.latitude) for one in now.offices]
    border = outline()
    on_earth = [(east, north) for east, north in places if east is not None and north is not None]
    inside = len(on_earth) == len(places) and all(
        min(e for e, _ in border) <= east <= max(e for e, _ in border)
        and min(n for _, n in border) <= north <= max(n for _, n in border)
        for east, north in on_earth
    )
    if not inside:
        return _on_a_circle(now, names)
    middle = cos(radians(sum(north for _, north in border) / len(border)))
    flat = [(east * middle, -north) for east, north in border]
    left, right = min(x for x, _ in flat), max(x for x, _ in flat)
    top, bottom = min(y for _, y in flat), max(y for _, y in flat)
    scale = (WIDTH - 2 * MARGIN) / (right - left)

    def at(east: float, north: float) -> tuple[float, float]:
        return MARGIN + (east * middle - left) * scale, MARGIN + (-north - top) * scale

    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*place) for place in border))
    spots = tuple(
        Spot(one.site.number, *at(*place), one.charge is not None)
        for one, place in zip(now.offices, on_earth, strict=True)
    )
    height = (bottom - top) * scale + 2 * MARGIN
    spots = _placed(spots, names, height)
    return Drawing(WIDTH, height, f"M{points}Z", spots, _arrows(now.flows, spots))


def _on_a_circle(now: Now, names: Mapping[int, str]) -> Drawing:
    radius = WIDTH / 2 - 3 * MARGIN
    spots = tuple(
        Spot(
            one.site.number,
            WIDTH / 2 + radius * sin(2 * pi * place / len(now.offices)),
            WIDTH / 2 - radius * cos(2 * pi * place / len(now.offices)),
            one.charge is not None,
        )
        for place, one in enumerate(now.offices)
    )
    spots = _placed(spots, names, WIDTH)
    return Drawing(WIDTH, WIDTH, "", spots, _arrows(now.flows, spots))


_Box = tuple[float, float, float, float]


def _placed(spots: tuple[Spot, ...], names: Mapping[int, str], height: float) -> tuple[Spot, ...]:
    """Let each name stand on the side where it covers least of the others, of the spots and of
    the ways between them, whatever flows just now: so names stay where they are all day."""
    if len(spots) > _MOST_PLACED:
        return spots
    ways = [point for one in spots for other in spots for point in _points_between(one, other)]
    found = list(spots)
    for _ in range(3):
        for place, spot in enumerate(found):
            taken = [_box(one, names) for one in found if one is not spot]
            taken += [(one.x - 12, one.y - 16, one.x + 12, one.y + 16) for one in spots]
            choices = [replace(spot, side=side) for side in SIDES]
            costs = [_cost(_box(one, names), taken, ways, height) for one in choices]
            found[place] = choices[costs.index(min(costs))]
    return tuple(found)


def _cost(
    box: _Box, taken: Sequence[_Box], ways: Sequence[tuple[float, float]], height: float
) -> float:
    """Return how much a name in a box would be in the way."""
    covered = sum(_common(box, one) for one in taken)
    crossed = sum(box[0] < x < box[2] and box[1] < y < box[3] for x, y in ways)
    inside = _common(box, (4, 4, WIDTH - 4, height - 4))
    outside = (box[2] - box[0]) * (box[3] - box[1]) - inside
    return 4 * covered + 10 * outside + 12 * crossed


def _box(spot: Spot, names: Mapping[int, str]) -> _Box:
    """Return what a name covers, its figure included, in a telephone's large type."""
    name = names.get(spot.site, "")
    wide = max(sum(13 if ord(letter) < 0x3000 else 24 for letter in name), 100)
    x, y = spot.label
    left = {"start": x, "end": x - wide, "middle": x - wide / 2}[spot.anchor]
    return left, y - 20, left + wide, y - 20 + _TALL


def _common(one: _Box, other: _Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0.0) * max(down, 0.0)


def _points_between(start: Spot, end: Spot) -> Iterator[tuple[float, float]]:
    if start is end:
        return
    x, y = _bend(start, end)
    for step in range(1, 10):
        part = step / 10
        a, b, c = (1 - part) ** 2, 2 * part * (1 - part), part**2
        yield a * start.x + b * x + c * end.x, a * start.y + b * y + c * end.y


def _bend(start: Spot, end: Spot) -> tuple[float, float]:
    """Return the point that a way is bent towards: to its right, so that both ways differ."""
    across, down = end.x - start.x, end.y - start.y
    length = hypot(across, down) or 1.0
    bend = 0.16 * length
    return (
        (start.x + end.x) / 2 - down / length * bend,
        (start.y + end.y) / 2 + across / length * bend,
    )


def _arrows(flows: Sequence[Flow], spots: Sequence[Spot]) -> tuple[Arrow, ...]:
    """Return an arrow for each flow."""
    where = {spot.site: spot for spot in spots}
    most = max([flow.energy_wh for flow in flows] or [1])
    arrows = []
    for flow in flows:
        start, end = where.get(flow.seller.number), where.get(flow.buyer.number)
        if start is None or end is None or start is end:
            continue
        x, y = _bend(start, end)
        from_x, from_y = _towards(start, x, y, NEAR * 0.7)
        to_x, to_y = _towards(end, x, y, NEAR)
        path = f"M{from_x:.1f},{from_y:.1f}Q{x:.1f},{y:.1f} {to_x:.1f},{to_y:.1f}"
        arrows.append(Arrow(path, 1.5 + 6.5 * sqrt(flow.energy_wh / most), flow))
    return tuple(arrows)


def _towards(spot: Spot, x: float, y: float, far: float) -> tuple[float, float]:
    length = hypot(x - spot.x, y - spot.y) or 1.0
    return spot.x + (x - spot.x) / length * far, spot.y + (y - spot.y) / length * far

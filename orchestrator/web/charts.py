"""Charts, drawn as SVG on the server: nothing to load, nothing to run, and they print.

Each has a title and a description for who cannot see it; the page puts its table beside it. What
a colour means is left to the style sheet: marks carry classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 268
RIGHT, TOP, BOTTOM = 10, 24, 38
INSIDE_HEIGHT = HEIGHT - TOP - BOTTOM
WIDEST = 48.0
"""How wide a column is at most."""
CHARACTER = 11.0
"""How wide a figure's character is at most: on a telephone, where type is larger."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values by place along the axis, and the class that they are drawn with.

    None leaves a gap. A line goes through the middles of the columns, a step along their widths.
    """

    name: str
    mark: str
    values: Sequence[float | None]
    shape: str = "bar"
    """`bar`, `line` or `step`."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A staircase: (x up to which, y)."""

    name: str
    mark: str
    steps: Sequence[tuple[float, float]]


class _Scale:
    """Whole steps from a lowest to a highest value, and where a value lies between them."""

    def __init__(self, lowest: float, highest: float, steps: int = 5) -> None:
        span = (highest - lowest) or 1.0
        rough = span / steps
        unit = 10.0 ** floor(log10(rough))
        self.step = next(unit * n for n in (1, 2, 2.5, 5, 10) if unit * n >= rough * 0.999)
        self.low = floor(lowest / self.step + 1e-9) * self.step
        self.high = ceil(highest / self.step - 1e-9) * self.step
        if self.high <= self.low:
            self.high = self.low + self.step

    def ticks(self) -> list[float]:
        """Return the steps."""
        count = round((self.high - self.low) / self.step)
        return [self.low + number * self.step for number in range(count + 1)]

    def part(self, value: float) -> float:
        """Return where a value lies, 0 to 1."""
        return (value - self.low) / (self.high - self.low)

    @property
    def left(self) -> float:
        """How much room its figures need on the left."""
        return 14 + CHARACTER * max(len(_figure(tick)) for tick in self.ticks())


def bars(
    ident: str,
    title: str,
    description: str,
    labels: Sequence[str],
    above: Sequence[Series],
    unit: str,
    *,
    below: Sequence[Series] = (),
    lines: Sequence[Series] = (),
    every: int = 1,
) -> Markup:
    """Draw series stacked on each other; those `below` hang down from zero, `lines` lie over.

    Each column tells its label and values when pointed at; every `every`-th has its label below.
    """
    highest = _tallest(above, lines)
    lowest = -_tallest(below, ()) if below else 0.0
    lowest = min([lowest, *(v for one in lines for v in one.values if v is not None)])
    scale = _Scale(lowest, highest or (0.0 if lowest else 1.0))
    left = scale.left
    wide = min((WIDTH - left - RIGHT) / max(len(labels), 1), WIDEST)
    parts = [_axis(scale, unit), _labels(labels, left, wide, every)]
    for place, label in enumerate(labels):
        x = left + place * wide
        told, drawn = [label], []
        for sign, group in ((1, above), (-1, below)):
            so_far = 0.0
            for series in group:
                value = series.values[place] or 0.0
                if not value:
                    continue
                top, bottom = sorted((_y(scale, sign * so_far), _y(scale, sign * (so_far + value))))
                drawn.append(
                    f'<rect class="{series.mark}" x="{x + wide * 0.08:.1f}" y="{top:.1f}" '
                    f'width="{wide * 0.84:.1f}" height="{max(bottom - top, 0.4):.1f}"/>'
                )
                told.append(f"{series.name}: {_figure(value)} {unit}")
                so_far += value
        for series in lines:
            at = series.values[place]
            if at is not None:
                told.append(f"{series.name}: {_figure(at)} {unit}")
        parts.append(
            f"<g><title>{escape(', '.join(told))}</title>{''.join(drawn)}"
            f'<rect class="hover" x="{x:.1f}" y="{TOP}" width="{wide:.1f}" '
            f'height="{INSIDE_HEIGHT}"/></g>'
        )
    parts += [_line(scale, series, wide) for series in lines]
    if scale.low < 0:
        parts.append(_level(scale, 0.0, "zero"))
    return _svg(ident, title, description, parts)


def curves(
    ident: str,
    title: str,
    description: str,
    found: Sequence[Curve],
    x_unit: str,
    y_unit: str,
    *,
    at: tuple[float, float] | None = None,
) -> Markup:
    """Draw staircases over a common axis, and the point where they met."""
    far = max([x for curve in found for x, _ in curve.steps] or [1.0])
    high = max([y for curve in found for _, y in curve.steps] or [1.0])
    across, up = _Scale(0.0, far), _Scale(0.0, high * 1.05)
    left = up.left
    inside = WIDTH - left - RIGHT
    parts = [_axis(up, y_unit)]
    for tick in across.ticks()[:-1]:
        x = left + across.part(tick) * inside
        parts.append(_text(x, HEIGHT - 10, _figure(tick), "middle"))
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 10, f"{_figure(across.high)} {x_unit}", "end"))
    for curve in found:
        path, before = [], 0.0
        for x, y in curve.steps:
            path.append((before, y))
            path.append((x, y))
            before = x
        points = [f"{left + across.part(x) * inside:.1f},{_y(up, y):.1f}" for x, y in path]
        parts.append(
            f'<polyline class="line {curve.mark}" points="{" ".join(points)}">'
            f"<title>{escape(curve.name)}</title></polyline>"
        )
    if at is not None:
        x, y = left + across.part(at[0]) * inside, _y(up, at[1])
        parts.append(
            f'<line class="guide" x1="{left:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<line class="guide" x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" '
            f'y2="{TOP + INSIDE_HEIGHT}"/><circle class="met" cx="{x:.1f}" cy="{y:.1f}" r="6"/>'
        )
    return _svg(ident, title, description, parts)


def _tallest(stacked: Sequence[Series], lines: Sequence[Series]) -> float:
    sums = [sum(v or 0.0 for v in column) for column in zip(*(s.values for s in stacked))]  # noqa: B905
    over = [v for series in lines for v in series.values if v is not None]
    return max([0.0, *sums, *over])


def _y(scale: _Scale, value: float) -> float:
    return TOP + (1 - scale.part(value)) * INSIDE_HEIGHT


def _line(scale: _Scale, series: Series, wide: float) -> str:
    """Draw a line or steps, broken where a value is missing."""
    runs: list[list[str]] = [[]]
    ends = (0.0, 1.0) if series.shape == "step" else (0.5,)
    for place, value in enumerate(series.values):
        if value is None:
            runs.append([])
        else:
            xs = (scale.left + (place + end) * wide for end in ends)
            runs[-1] += [f"{x:.1f},{_y(scale, value):.1f}" for x in xs]
    return "".join(
        f'<polyline class="line {series.mark}" points="{" ".join(run)}"/>' for run in runs if run
    )


def _axis(scale: _Scale, unit: str) -> str:
    parts = []
    for tick in scale.ticks():
        parts.append(_level(scale, tick, "grid"))
        parts.append(_text(scale.left - 6, _y(scale, tick) + 4, _figure(tick), "end"))
    parts.append(_text(scale.left, TOP - 9, unit, "start", "unit"))
    return "".join(parts)


def _level(scale: _Scale, value: float, mark: str) -> str:
    y = _y(scale, value)
    across = f'x1="{scale.left:.1f}" x2="{WIDTH - RIGHT}"'
    return f'<line class="{mark}" {across} y1="{y:.1f}" y2="{y:.1f}"/>'


def _labels(labels: Sequence[str], left: float, wide: float, every: int) -> str:
    shown: Iterable[tuple[int, str]] = enumerate(labels)
    return "".join(
        _text(
            left + (place + (0 if every > 1 else 0.5)) * wide,
            HEIGHT - 10,
            label,
            "middle",
            "minor" if place // every % 2 else "",
        )
        for place, label in shown
        if place % every == 0
    )


def _text(x: float, y: float, text: str, anchor: str, mark: str = "") -> str:
    mark = f' class="{mark}"' if mark else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{mark}>{escape(text)}</text>'


def _figure(value: float) -> str:
    """Return a value with as many digits as it is worth.

    >>> _figure(1234.5), _figure(12.0), _figure(0.125), _figure(-10_000)
    ('1,234', '12', '0.125', '−10,000')
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 3):g}"
    return text.replace("-", "−")


def _svg(ident: str, title: str, description: str, parts: Iterable[str]) -> Markup:
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{ident}-title {ident}-text">'
        f'<title id="{ident}-title">{escape(title)}</title>'
        f'<desc id="{ident}-text">{escape(description)}</desc>{"".join(parts)}</svg>'
    )

"""Charts as SVG, drawn by hand: small, the same on screen and paper, and light or dark.

Colours are classes (`ink`, `rule`, `c0` to `c7`, each also for what is stroked), so that a page
may set them; `PALETTE` is the style for a chart that stands by itself. The eight are those of
Okabe and Ito, which readers with any colour vision can tell apart. Sizes in px.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, isfinite, log10

LIGHT = {
    "ink": "#24323a", "rule": "#d3dbdf",
    "c0": "#e69f00", "c1": "#0072b2", "c2": "#009e73", "c3": "#8b959b",
    "c4": "#d55e00", "c5": "#56b4e9", "c6": "#cc79a7", "c7": "#b8ad2c",
}  # fmt: skip
DARK = {
    **LIGHT, "ink": "#dfe7ea", "rule": "#3c4a52", "c1": "#4aa3dd", "c3": "#7d8a91",
}  # fmt: skip


def style_of(colours: dict[str, str]) -> str:
    """Return the CSS of a palette."""
    return "".join(
        f".{name}{{fill:{colour}}}.s{name}{{stroke:{colour};fill:none}}"
        for name, colour in colours.items()
    )


PALETTE = f"{style_of(LIGHT)}@media(prefers-color-scheme:dark){{{style_of(DARK)}}}"
FONT = "'Noto Sans CJK JP','Noto Sans JP','IPAexGothic','Hiragino Sans',sans-serif"
WIDTH = 720
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 12, 44
_TICKS = 5
_LABELS = 13


def _svg(width: float, height: float, title: str, body: Sequence[str], style: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" font-family="{FONT}" font-size="11">'
        f"<title>{escape(title)}</title>"
        + (f"<style>{style}</style>" if style else "")
        + "".join(body)
        + "</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 11) -> str:
    return (
        f'<text class="ink" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
        f'font-size="{size}">{escape(text)}</text>'
    )


def _legend(keys: Sequence[tuple[str, int]], at: float) -> list[str]:
    """Return a line that names colours."""
    found = []
    for key, colour in keys:
        found.append(f'<rect class="c{colour}" x="{at:g}" y="4" width="11" height="11"/>')
        found.append(_text(at + 15, 14, key))
        at += 26 + round(sum(12 if ord(letter) > 255 else 6 for letter in key))
    return found


def ticks(low: float, high: float) -> list[float]:
    """Return round values from at most `low` to at least `high`.

    >>> ticks(0, 47)
    [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    """
    span = (high - low) or 1.0
    step = 10.0 ** floor(log10(span / _TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= _TICKS)
    first, last = floor(low / step), ceil(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]


class _Plot:
    """The frame of a chart over labels, with its axes drawn."""

    def __init__(
        self,
        labels: Sequence[str],
        low: float,
        high: float,
        unit: str,
        height: int,
        keys: Sequence[str],
        colours: Sequence[int] = range(8),
        axis: str = "",
    ) -> None:
        self.labels, self.height = labels, height
        self.top = _TOP + (18 if keys else 0) + 14
        self.bottom = height - _BOTTOM + 12 - (16 if axis else 0)
        self.marks = ticks(min(low, 0.0), max(high, 0.0))
        self.step = (WIDTH - _LEFT - _RIGHT) / max(len(labels), 1)
        self.body: list[str] = []
        self.body += _legend([(key, colours[number]) for number, key in enumerate(keys)], _LEFT)
        self.body.append(_text(_LEFT - 6, self.top - 7, unit, "end"))
        digits = max(0, -floor(log10(self.marks[1] - self.marks[0])))
        for mark in self.marks:
            y = self.y(mark)
            heavy = ' stroke-width="1.4"' if mark == 0 else ""
            self.body.append(
                f'<line class="srule" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" '
                f'y2="{y:.1f}"{heavy}/>'
            )
            self.body.append(_text(_LEFT - 6, y + 4, f"{mark:,.{digits}f}", "end"))
        every = next(n for n in (1, 2, 4, 8, 16, 64) if len(labels) / n <= _LABELS)
        for number, label in enumerate(labels):
            if number % every == 0:
                self.body.append(_text(self.x(number), self.bottom + 16, label, "middle"))
        if axis:
            middle = (_LEFT + WIDTH - _RIGHT) / 2
            self.body.append(_text(middle, self.bottom + 34, axis, "middle"))

    def x(self, number: float) -> float:
        """Return the middle of a label's place."""
        return _LEFT + (number + 0.5) * self.step

    def y(self, value: float) -> float:
        """Return a value's height."""
        low, high = self.marks[0], self.marks[-1]
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)


def bars(
    title: str,
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[float]]],
    unit: str,
    stacked: bool = False,
    colours: Sequence[int] = range(8),
    height: int = 260,
    style: str = "",
    axis: str = "",
) -> str:
    """Return a chart of bars, one or several for each label; `colours` by series; `axis` says what
    the labels are."""
    if stacked:
        tops = [sum(max(values[n], 0) for _, values in series) for n in range(len(labels))]
        lows = [sum(min(values[n], 0) for _, values in series) for n in range(len(labels))]
    else:
        tops = lows = [value for _, values in series for value in values]
    keys = [name for name, _ in series] if len(series) > 1 else []
    plot = _Plot(
        labels, min(lows, default=0), max(tops, default=0), unit, height, keys, colours, axis
    )
    room = plot.step * 0.72
    for place in range(len(labels)):
        base = {True: 0.0, False: 0.0}
        for number, (_, values) in enumerate(series):
            value = float(values[place])
            if not value or not isfinite(value):
                continue
            wide = room if stacked else room / len(series)
            x = plot.x(place) - room / 2 + (0 if stacked else number * wide)
            begin = base[value > 0] if stacked else 0.0
            ends = plot.y(begin), plot.y(begin + value)
            base[value > 0] = begin + value
            plot.body.append(
                f'<rect class="c{colours[number]}" x="{x:.1f}" y="{min(ends):.1f}" '
                f'width="{wide:.1f}" '
                f'height="{abs(ends[1] - ends[0]):.1f}"/>'
            )
    return _svg(WIDTH, height, title, plot.body, style)


def lines(
    title: str,
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[float]]],
    unit: str,
    height: int = 240,
    style: str = "",
    axis: str = "",
) -> str:
    """Return a chart of lines; where a value is nan, a line is broken; `axis` says what the labels
    are."""
    values = [value for _, each in series for value in each if isfinite(value)]
    keys = [name for name, _ in series] if len(series) > 1 else []
    low, high = min(values, default=0), max(values, default=0)
    plot = _Plot(labels, low, high, unit, height, keys, axis=axis)
    for number, (_, each) in enumerate(series):
        path, pen = [], "M"
        for place, value in enumerate(each):
            if isfinite(value):
                path.append(f"{pen}{plot.x(place):.1f} {plot.y(value):.1f}")
            pen = "L" if isfinite(value) else "M"
        plot.body.append(f'<path class="sc{number}" stroke-width="2" d="{"".join(path)}"/>')
    return _svg(WIDTH, height, title, plot.body, style)


Flow = tuple[str, str, float, int]
"""From a node, to a node, how much, and its colour's number."""


def sankey(
    title: str,
    columns: Sequence[Sequence[tuple[str, str]]],
    flows: Sequence[Flow],
    keys: Sequence[tuple[str, int]],
    least: float = 0.0,
    height: int = 430,
    style: str = "",
) -> str:
    """Return a Sankey diagram: columns of nodes (key, label), and flows between them.

    A node is as high as what comes in or goes out, whichever is more. A flow may pass a column;
    one below `least` counts, and is not drawn. `keys` name the colours.
    """
    came: dict[str, float] = {}
    left: dict[str, float] = {}
    for begin, end, amount, _ in flows:
        left[begin] = left.get(begin, 0.0) + amount
        came[end] = came.get(end, 0.0) + amount
    size = {key: max(came.get(key, 0.0), left.get(key, 0.0)) for key in {*came, *left}}
    nodes = [[node for node in column if size.get(node[0])] for column in columns]
    gap, top, thick = 12.0, 34.0, 12.0
    tallest = max(sum(size[key] for key, _ in column) for column in nodes)
    scale = (height - top - 8 - gap * max(len(column) - 1 for column in nodes)) / tallest
    body, place, out_at, in_at = [], {}, {}, {}
    margin, last = 150.0, len(nodes) - 1
    for number, column in enumerate(nodes):
        x = margin + (WIDTH - 2 * margin - thick) * number / last
        used = sum(size[key] for key, _ in column) * scale + gap * (len(column) - 1)
        y = top if number in (0, last) else (height - used) / 2
        for key, label in column:
            tall = size[key] * scale
            place[key], out_at[key], in_at[key] = x, y, y
            body.append(
                f'<rect class="ink" x="{x:.1f}" y="{y:.1f}" width="{thick:g}" '
                f'height="{max(tall, 1):.1f}"/>'
            )
            words = f"{label} {size[key]:,.0f}"
            if 0 < number < last:
                body.append(_text(x + thick / 2, y - 5, words, "middle"))
            else:
                at, anchor = (x - 6, "end") if number == 0 else (x + thick + 6, "start")
                body.append(_text(at, y + tall / 2 + 4, words, anchor))
            y += tall + gap
    order = {key: rank for rank, key in enumerate(key for column in nodes for key, _ in column)}
    ribbons = []
    for begin, end, amount, colour in sorted(flows, key=lambda f: (order[f[0]], order[f[1]])):
        tall = amount * scale
        x0, x1 = place[begin] + thick, place[end]
        y0, y1 = out_at[begin] + tall / 2, in_at[end] + tall / 2
        out_at[begin] += tall
        in_at[end] += tall
        if amount < least:
            continue
        middle = (x0 + x1) / 2
        ribbons.append(
            f'<path class="sc{colour}" stroke-opacity="0.55" stroke-width="{max(tall, 0.4):.2f}" '
            f'd="M{x0:.1f} {y0:.1f}C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} '
            f'{x1:.1f} {y1:.1f}"/>'
        )
    body += _legend(keys, 4)
    return _svg(WIDTH, height, title, [*ribbons, *body], style)

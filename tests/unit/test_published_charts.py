"""The published report's charts, measured: bars and lines are as high as the figures say, read by
the axis that is printed beside them. A chart in the text is an image, whose numbers nobody can see.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

REPORT = Path(__file__).resolve().parents[2] / "docs/report"
CHARTS = {
    "energy": ("energy", {"c0": "from_own", "c2": "from_others", "c3": "from_utility"}),
    "energy-by-month": ("energy_by_month", {"c0": "sufficiency_own"}),
    "gain": ("money", {"c0": "gain"}),
    "prices": ("prices", {"c0": "traded"}),
    "price-by-half-hour": ("prices_by_half_hour", {"sc0": "mean_price"}),
    "coincidence": (
        "prices_by_half_hour",
        {"sc0": "exports_day", "sc1": "imports_day", "sc2": "traded_day", "sc3": "met_day"},
    ),
    "battery-time-chart-6": ("states_6", {"c0": "time"}),
    "battery-cycle-chart-6": ("states_6", {"c0": "cycles"}),
    "by-price-chart-6": (
        "by_price_6",
        {
            "sc0": "lfp_running",
            "sc1": "lfp_buying",
            "sc2": "nmc_running",
            "sc3": "nmc_buying",
        },
    ),
}
"""By file: the table that holds a chart's numbers, and the column that each colour draws."""
PIXELS = 0.11
"""Heights are written to a tenth of a pixel."""


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    figures = json.loads((REPORT / "figures.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = figures["tables"]
    return found


class Measured:
    """A chart's file."""

    def __init__(self, text: str) -> None:
        self.root = ElementTree.fromstring(text)
        marks = [
            (float((one.text or "").replace(",", "")), float(one.attrib["y"]) - 4)
            for one in self._all("text")
            if one.get("text-anchor") == "end" and re.fullmatch(r"-?[\d,.]+", one.text or "")
        ]
        (low, bottom), (high, top) = min(marks), max(marks)
        self.unit = (high - low) / (bottom - top)
        self.zero = bottom + low / self.unit

    def _all(self, tag: str) -> list[ElementTree.Element]:
        return [one for one in self.root.iter() if one.tag.endswith("}" + tag)]

    def values(self, colour: str) -> list[float]:
        """Return what is drawn in a colour, in the axis's unit, from left to right."""
        paths = [one.attrib["d"] for one in self._all("path") if one.get("class") == colour]
        heights = [
            self.zero - float(y) for path in paths for y in re.findall(r"[\d.]+ ([\d.]+)", path)
        ]
        heights += [
            float(one.attrib["height"])
            for one in self._all("rect")
            if one.get("class") == colour and one.get("width") != "11"  # the legend's
        ]
        return [height * self.unit for height in heights]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_shows_what_its_table_says(tables, name, language):
    key, colours = CHARTS[name]
    text = (REPORT / f"{name}-{language}.svg").read_text(encoding="utf-8")
    chart = Measured(text)
    for colour, column in colours.items():
        wanted = stated(tables[key], column, bars=colour.startswith("c"))
        drawn = chart.values(colour)
        assert len(drawn) == len(wanted), (column, drawn)
        assert drawn == pytest.approx(wanted, abs=PIXELS * chart.unit), column


def stated(table: dict[str, Any], column: str, bars: bool) -> list[float]:
    """Return a column's numbers, without the row that adds them up; no bar is drawn for 0."""
    place = [one["key"] for one in table["columns"]].index(column)
    rows = [row for row in table["rows"] if row[0] not in ("All offices", "Sum", "In all")]
    found = [row[place] for row in rows if row[place] is not None]
    return [value for value in found if value or not bars]


def test_a_bar_of_another_height_is_seen(tables):
    text = (REPORT / "gain-en.svg").read_text(encoding="utf-8")
    bar = re.search(r'(<rect class="c0"(?![^>]* width="11")[^>]*height=")([\d.]+)', text)
    assert bar
    changed = text.replace(bar[0], f"{bar[1]}{float(bar[2]) + 1:.1f}", 1)
    wanted = stated(tables["money"], "gain", bars=True)
    chart = Measured(changed)
    assert chart.values("c0") != pytest.approx(wanted, abs=PIXELS * chart.unit)

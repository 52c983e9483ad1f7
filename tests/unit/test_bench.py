"""Benches: their list, their bars, and the published figures of a battery on JEPX's prices of 2024.

These are left out where the prices are absent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import __main__ as command
from bench import jepx
from bench.figures import Figure

needs_prices = pytest.mark.skipif(
    not jepx.DATA.exists(),
    reason="JEPX's prices may not be bundled, and are not beside this folder",
)


@needs_prices
def test_perfect_foresight_earns_what_is_published_to_a_hundredth_of_a_yen():
    earned, away = jepx.foresight(jepx.prices()[0])
    assert earned.value == pytest.approx(2_128_330.27, abs=0.01)
    assert away.holds


@needs_prices
def test_wear_aware_plans_of_four_weeks_earn_more_than_any_known_way():
    found = {figure.name: figure for figure in jepx.wear(jepx.prices()[0])}
    for replacement in ("20,000", "40,000"):
        name = f"wear at {replacement} JPY/kWh"
        worth = found[f"{name}: revenue less wear"]
        assert worth.holds
        assert worth.value > found[f"{name}: best flat wear price, in sample"].value
        assert worth.value < found[f"{name}: upper bound by tangents"].value


def test_without_the_prices_the_bench_says_what_it_lacks(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(jepx, "DATA", tmp_path / "none.csv")
    monkeypatch.setattr("sys.argv", ["bench", "jepx"])
    assert command.main() == 1
    assert "JEPX's prices of 2024 must be at" in capsys.readouterr().err


def test_without_a_name_all_benches_are_listed_as_the_docs_have_them(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["bench"])
    monkeypatch.setenv("COLUMNS", "200")
    assert command.main() == 0
    listed = capsys.readouterr().out
    docs = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    for name in command.BENCHES:
        told = command.measured_by(name)
        assert told.endswith(".")
        assert told in listed
        assert f"| `{name}` | {told} |" in docs


def test_every_bench_is_run_by_name():
    modules = (Path(__file__).parents[2] / "bench").glob("*.py")
    with_figures = {path.stem for path in modules if "\ndef figures() ->" in path.read_text()}
    assert with_figures - set(command.BENCHES) == {"backtest"}, "which is a part of plan's"


def test_a_bar_is_the_most_or_the_least():
    assert Figure("time", 2.0, "s", 3.0).holds
    assert not Figure("share", 2.0, "%", 3.0, at_least=True).holds
    assert Figure("share", 3.0, "%", 3.0, at_least=True).holds
    assert Figure("count", 1.0, "").holds is None
    # numpy's truth is none that JSON knows.
    assert Figure("share", np.float64(3.0), "%", 3.0).holds is True

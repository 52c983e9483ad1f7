"""What is shown while something takes its time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from orchestrator.progress import Shown
from orchestrator.replay import scenario_cli
from orchestrator.words import Language


def test_the_time_that_is_left_is_told_from_the_pace_of_the_step_that_runs() -> None:
    """A step of 10 s a piece, then one of 1 s a piece: of ten, five are done."""
    now = [0.0]
    bar = Progress(
        TextColumn("{task.description}"),
        console=Console(quiet=True),
        auto_refresh=False,
        get_time=lambda: now[0],
    )
    shown = Shown(bar, Language.ENGLISH)
    for step, seconds in (("day", 10.0), ("audit", 1.0)):
        for done in range(6):
            shown(step, done, 10)
            now[0] += seconds
        (task,) = bar.tasks
        assert (task.completed, task.total) == (5, 10)
        assert task.time_remaining == 5 * seconds
        assert task.elapsed == 6 * seconds
    assert task.description == "auditing"


def test_a_scenario_counts_as_played_with_the_first_of_its_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bar = Progress(TextColumn("{task.description}"), console=Console(quiet=True))

    @contextmanager
    def shown(language: Language) -> Iterator[Shown]:
        yield Shown(bar, language)

    monkeypatch.setattr(scenario_cli, "progress_bar", shown)
    counts = []

    def playing() -> Iterator[tuple[str, int, Any]]:
        for name, seed in (("many", 1), ("many", 2), ("one", 1)):
            yield name, seed, cast(Any, name)
            counts.append(bar.tasks[0].completed)

    found: Any = scenario_cli._played(playing(), ["one", "many"], Language.JAPANESE)
    assert found == {"one": {1: "one"}, "many": {1: "many", 2: "many"}}
    assert counts == [1, 1, 2]
    assert bar.tasks[0].total == 2
    assert bar.tasks[0].description == "再生済みのシナリオ"

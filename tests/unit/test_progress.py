"""What is shown while something takes its time."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress, TextColumn

from orchestrator.progress import Shown
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

"""What is shown on stderr while something takes its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from orchestrator.words import Language, Phrases, phrase

_Thing = TypeVar("_Thing")

_STEPS: Phrases = {
    "chain": ("starting a chain", "チェーンを起動中"),
    "deploy": ("deploying the market", "市場の契約を配置中"),
    "enrol": ("enrolling the sites", "庁舎を登録中"),
    "day": ("half hours settled", "精算済みコマ"),
    "attest": ("attesting the day's root", "当日のルートを認証中"),
    "again": ("running the kept transactions again", "記録済みの取引を再実行中"),
    "audit": ("auditing", "監査中"),
    "index": ("reading the chain", "チェーンを読込中"),
    "report": ("reporting", "報告書を作成中"),
    "scenario": ("scenarios played", "再生済みのシナリオ"),
    "play": ("days played", "再生済みの日数"),
    "claim": ("claiming days", "償却中(日)"),
    "left": ("asking what is left to claim", "未償却量を照会中"),
    "check": ("asking the chain", "チェーンに照会中"),
    "certify": ("certificates made", "作成済みの証明書"),
    "history": ("half hours of days before", "過去のコマ"),
    "told": ("sites have answered", "応答した拠点"),
    "roots": ("roots of days", "日別ルートを計算中"),
    "prove": ("proofs written", "作成済みの証明ファイル"),
    "trace": ("half hours followed", "追跡済みコマ"),
    "print": ("making the page", "ページを作成中"),
    "check_published": ("holding readings against the chain", "計量値をチェーンと照合中"),
    "plan": ("planning", "計画中"),
}
_LEFT: Phrases = {"left": ("left", "残り")}


@contextmanager
def progress_bar(language: Language = Language.ENGLISH) -> Iterator[Shown]:
    """Show a bar on stderr, if that is a terminal, while the block runs."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn(phrase(_LEFT, language, "left")),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        yield Shown(bar, language)


class Shown:
    """A progress bar that is told steps by name; times are those of the step."""

    def __init__(self, bar: Progress, language: Language) -> None:
        self._bar = bar
        self._language = language
        self._task = bar.add_task("", total=None)
        self._step = ""

    def __call__(self, step: str, done: int, total: int) -> None:
        if step != self._step:
            # What is left is told from how fast this step goes, not the one before.
            self._bar.reset(self._task, description=phrase(_STEPS, self._language, step))
            self._step = step
        self._bar.update(self._task, completed=done, total=total)

    def each(self, step: str, things: Sequence[_Thing]) -> Iterator[_Thing]:
        """Yield some things, and show how many are done with."""
        for number, thing in enumerate(things):
            self(step, number, len(things))
            yield thing
        self(step, len(things), len(things))


@contextmanager
def working(language: Language, step: str) -> Iterator[None]:
    """Say on stderr, if that is a terminal, what is being done while the block runs, where it
    cannot say how far it is."""
    console = Console(stderr=True)
    with console.status(phrase(_STEPS, language, step)) if console.is_terminal else nullcontext():
        yield

"""`yui` alone says: what is here, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.cells import cell_len

from chain.database import opened_to_read
from chain.overview import slot_lines
from chain.store import Store, stored
from energy.errors import YuiError
from energy.japanese import in_language
from energy.lots import Kind
from energy.units import day_of, half_hour, slots_of
from orchestrator.names import SiteNames, names_of
from orchestrator.options import DEFAULT_STORE
from orchestrator.words import Language, Phrases, phrase, short

SERVICE, TERMINAL = "orchestrator.toml", "oracle.toml"
NETWORK = Path(".yui/network/network.json")
GAP = 2
"""Columns between what is said and its command, at least."""
_WORDS: Phrases = {
    "nothing": (
        "Nothing is here yet. A day of seven offices:",
        "まだ何もない。7庁舎の1日を動かす:",
    ),
    "new_network": ("  a network of members' own validators:", "  各庁舎が運営するネットワーク:"),
    "new_service": ("  an orchestrator for a market:", "  市場のオーケストレーター:"),
    "new_terminal": ("  a site's terminal:", "  庁舎の計量端末:"),
    "network": ("A members' network is here. How it is:", "ネットワークがある。その状態:"),
    "service": (
        "An orchestrator's settings are here. Check them:",
        "オーケストレーターの設定がある。点検:",
    ),
    "run": ("  then run it:", "  実行:"),
    "ask": ("  and ask it how it is:", "  実行中の状態:"),
    "terminal": ("A terminal's settings are here. How it is:", "計量端末の設定がある。その状態:"),
    "anew": ("  delete {path} and run it anew:", "  {path}を削除して実行し直す:"),
    "unsettled": (
        "A store without a settled slot is here. A demo from its beginning:",
        "精算済みコマのない記録がある。デモを初めから:",
    ),
    "settled": (
        "A store is here, settled up to {slot}. Its slots:",
        "{slot}まで精算済みの記録がある。コマの一覧:",
    ),
    "trades": ("  what a site traded:", "  庁舎の約定:"),
    "statement": ("  its statement:", "  その供給元証明:"),
    "invoice": ("  its bill:", "  その料金:"),
    "origin": ("  where energy came from:", "  電力の由来をたどる:"),
    "pages": ("  all of it as pages in a browser:", "  すべてをブラウザのページで:"),
    "all": ("All commands:", "すべてのコマンド:"),
}


def what_next(folder: Path, language: Language = Language.ENGLISH) -> Iterator[str]:
    """Yield what is found in a folder, each with the command that goes on from there: the
    commands stand below each other, however long a line before one is."""
    lines = list(_found(folder, language))
    width = max(cell_len(text) for text, command in lines if command)
    for text, command in lines:
        yield f"{text}{' ' * (width + GAP - cell_len(text))}{command}" if command else text


_Line = tuple[str, str]
"""What is said, and its command; none where something is only told."""


def _found(folder: Path, language: Language) -> Iterator[_Line]:
    def line(word: str, command: str, **values: object) -> _Line:
        return phrase(_WORDS, language, word, **values), command

    store, found = folder / DEFAULT_STORE, False
    if store.exists():
        found = True
        yield from _of_store(store, line, language)
    if (folder / NETWORK).exists():
        found = True
        yield line("network", "yui network status")
    if (folder / SERVICE).exists():
        found = True
        yield line("service", "yui orchestrator check")
        yield line("run", "yui orchestrator run")
        yield line("ask", "yui orchestrator status")
    if (folder / TERMINAL).exists():
        found = True
        yield line("terminal", "yui oracle status")
    if not found:
        yield line("nothing", "yui demo")
        yield line("new_network", "yui network create")
        yield line("new_service", "yui orchestrator init")
        yield line("new_terminal", "yui oracle init")
    yield line("all", "yui --help")


def _of_store(path: Path, line: Callable[..., _Line], language: Language) -> Iterator[_Line]:
    try:
        engine = opened_to_read(str(path))
        with stored(engine) as store:
            last = store.last_settled()
            example = _example(store, language)
        engine.dispose()
    except YuiError as error:
        yield in_language(language, str(error)), ""
        yield line("anew", "yui demo", path=path)
        return
    if last is None:
        yield line("unsettled", "yui demo")
        return
    yield line("settled", "yui slots", slot=f"{day_of(last)} {half_hour(last)}")
    if example:
        site, slot = example
        for command in ("trades", "statement", "invoice"):
            yield line(command, f"yui {command} --site {site}")
        yield line("origin", f"yui trace {site} {slot}")
    yield line("pages", "yui web --open")


def _example(store: Store, language: Language) -> tuple[str, str] | None:
    """Return a site and a half hour to ask about, as they are typed: of the newest day that is
    traced, the half hour in which most was traded, and who used another's energy then."""
    traced = store.last_traced()
    if traced is None:
        return None
    lines = [line for line in slot_lines(store, slots_of(day_of(traced))) if line.slot <= traced]
    slot = max(lines, key=lambda line: (line.traded, line.slot)).slot if lines else traced
    rows = store.origins("used", range(slot, slot + 1))
    if not rows:
        return None
    foreign = [
        one for one in rows if one.origin.kind == Kind.GENERATION and one.origin.site != one.site
    ]
    site = (foreign or rows)[0].site
    names: SiteNames = names_of(store)[language]
    when = f"{day_of(slot)} {half_hour(slot)[:5]}"
    name = short(names[site])
    # A shell takes letters as they are, Japanese ones as well.
    return name if name.isalnum() else shlex.quote(name), shlex.quote(when)

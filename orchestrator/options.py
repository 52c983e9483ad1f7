"""What commands share: options, what they mean, and how they are read."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine

from chain.database import opened_to_read
from chain.network.folders import MEMBER_FILE, member_at
from chain.network.profile import PROFILE_FILE, profile_at
from chain.node import NodeChain
from chain.store import Store, opened, stored
from energy.errors import SettingError
from energy.units import half_hour
from orchestrator.dates import day_named, slot_named
from orchestrator.words import Language, short

DEMO_FOLDER = Path(".yui/demo")
DEFAULT_STORE = str(DEMO_FOLDER / "store.sqlite")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Day = Annotated[str | None, typer.Option(help="The day, as 2019-06-04; the store's if not given.")]
SiteName = Annotated[str, typer.Argument(help="The site's name or number.")]
StorePath = Annotated[
    str, typer.Option("--store", help="The store to read: a path, or a postgresql:// URL.")
]
InLanguage = Annotated[Language, typer.Option("--language", help="en or ja.")]

Rpc = Annotated[
    str | None,
    typer.Option(help="A node of the chain, as http://127.0.0.1:8545; the network's if not given."),
]
NetworkPath = Annotated[
    Path | None,
    typer.Option(
        "--network",
        help="The members' network (its folder, a member's own, or its network.json), which says "
        "how deep is final; the network.json beside the manifest if not given.",
    ),
]

When = Annotated[str, typer.Argument(help="A half hour, as '2019-06-04 18:30', a day, or a month.")]

Names = Mapping[str, dict[int, str]]

_STEPS = {
    "chain": "starting a chain",
    "deploy": "deploying the market",
    "enrol": "enrolling the sites",
    "day": "slots settled",
    "attest": "attesting the day's root",
    "again": "running the kept transactions again",
    "audit": "auditing",
    "report": "reporting",
    "claim": "claiming days",
    "certify": "certificates made",
    "history": "half hours of days before",
    "told": "sites have answered",
}


@contextmanager
def progress_bar() -> Iterator[Shown]:
    """Show a bar on stderr while the block runs."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        yield Shown(bar)


class Shown:
    """A progress bar that is told steps by name."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None)

    def __call__(self, step: str, done: int, total: int) -> None:
        self._bar.update(self._task, description=_STEPS[step], completed=done, total=total)


def engine_at(store: str | Path) -> Engine:
    """Open a store that is there, to write to it as well.

    Raises:
        SettingError: if there is none.
        StoreError: if it does not answer.
    """
    _demand(store)
    return opened(str(store))


def reader_at(store: str | Path) -> Engine:
    """Open a store that is there, to read it and no more.

    Raises:
        SettingError, StoreError: as `engine_at`.
    """
    _demand(store)
    return opened_to_read(str(store))


def _demand(store: str | Path) -> None:
    if "://" not in str(store) and not Path(store).exists():
        raise SettingError(f"{store} must be a store (run `yui demo` first), got no such file")


@contextmanager
def store_at(path: str | Path) -> Iterator[tuple[Store, Names]]:
    """Open a store that is there, to read it, with its sites' names by language.

    Raises:
        SettingError, StoreError: as `engine_at`.
    """
    engine = reader_at(path)
    with stored(engine) as store:
        both = {
            int(site): pair for site, pair in json.loads(store.setting("names") or "{}").items()
        }
        yield (
            store,
            {
                "en": {site: pair[0] for site, pair in both.items()},
                "ja": {site: pair[1] for site, pair in both.items()},
            },
        )
    engine.dispose()


def chain_at(
    rpc: str | None,
    network: Path | None,
    manifest: Path | None = None,
    key: bytes | None = None,
    gas_price_wei: int = 0,
) -> NodeChain:
    """Return the chain behind a node, as deep as its network says; `key` pays.

    Without a network, named or beside the manifest, whatever is seen counts as final.

    Raises:
        SettingError: if neither a node nor a network is named.
        ChainError: if no node answers, or one of another chain than the network's.
    """
    if network is None and manifest is not None:
        beside = manifest.parent / PROFILE_FILE
        network = beside if beside.exists() else None
    if network is not None:
        own = network / MEMBER_FILE if network.is_dir() else network.parent / MEMBER_FILE
        url = member_at(own).url if own.exists() else None
        return profile_at(network).chain(rpc or url, key)
    if rpc is None:
        raise SettingError("--rpc or --network must be given, got neither")
    return NodeChain(rpc, key, gas_price_wei)


def with_options(
    made: Callable[..., Any],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of a function, and as its first argument what that returns.

    It may be done again, with another function: the inner one's comes first.
    """
    shared = inspect.signature(made, eval_str=True).parameters

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        parameters = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *shared.values())
        ]

        @wraps(command)
        def run(*outer: Any, **given: Any) -> None:
            command(made(**{name: given.pop(name) for name in shared}), *outer, **given)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorated


def site_number(names: Names, wanted: str) -> int:
    """Return the number of a site that a person names in either language, or by number."""
    for language in names.values():
        for site, name in language.items():
            if wanted.lower() in (str(site), name.lower(), short(name)):
                return site
    known = ", ".join(names["en"].values())
    raise SettingError(f"a site must be one of {known}, got {wanted!r}")


def day_from(text: str) -> date:
    """Return the date that a person names."""
    return day_named(text)


def stored_day(store: Store, day: str | None) -> date:
    """Return the named day, or else the store's."""
    return day_from(day or store.setting("day") or "")


def span_of(text: str) -> range:
    """Return the one slot that a person names, as a range."""
    slot = slot_named(text)
    return range(slot, slot + 1)


def say_what_may_vanish(slots: list[int]) -> None:
    """Say of which half hours the settlement can still vanish while the chain forks."""
    if slots:
        print(f"seen, not final yet: {len(slots)} half hours, from {half_hour(min(slots))} on")


def print_json(value: object) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def write_json(path: Path, content: object) -> None:
    """Write a value as JSON to a file, whose folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

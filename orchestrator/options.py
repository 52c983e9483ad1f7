"""What commands share: options, what they mean, and how they are read."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from sqlalchemy import Engine

from chain.database import opened_to_read
from chain.files import write_whole
from chain.store import Store, opened, stored
from daemon.options import InLanguage as InLanguage
from daemon.options import Json as Json
from daemon.options import print_json as print_json
from energy.errors import SettingError
from orchestrator.dates import day_named
from orchestrator.names import Names, names_of
from orchestrator.words import Language, Phrases, phrase, say_slot

if TYPE_CHECKING:
    from chain.node import NodeChain

DEMO_FOLDER = Path(".yui/demo")
DEFAULT_STORE = str(DEMO_FOLDER / "store.sqlite")

Csv = Annotated[bool, typer.Option("--csv", help="Print CSV instead of tables.")]
SiteName = Annotated[str, typer.Argument(help="The site's name or number.")]
StorePath = Annotated[
    str, typer.Option("--store", help="The store to read: a path, or a postgresql:// URL.")
]

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

WHEN_HELP = "A half hour, as '2019-06-04 18:30', a day, or a month."
When = Annotated[str, typer.Argument(help=WHEN_HELP)]

_VANISHING: Phrases = {
    "vanishing": (
        "seen, not final yet: {count} half hours, from {when} on",
        "精算済み、未確定: {count}コマ({when}以降)",
    )
}


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
        yield store, names_of(store)
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
    # What talks to a node takes a second to load, and most commands read a store alone.
    from chain.network.folders import MEMBER_FILE, member_at
    from chain.network.profile import PROFILE_FILE, profile_at
    from chain.node import NodeChain

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


def day_from(text: str) -> date:
    """Return the date that a person names."""
    return day_named(text)


def say_what_may_vanish(slots: Sequence[int], language: Language) -> None:
    """Say of which half hours the settlement can still vanish while the chain forks."""
    if slots:
        when = say_slot(language, min(slots))
        print(phrase(_VANISHING, language, "vanishing", count=len(slots), when=when))


def folder_of(store: str) -> Path | None:
    """Return where a store's chain, audit and calls lie; None for a database's."""
    return None if "://" in store else Path(store).parent


def write_json(path: Path, content: object) -> None:
    """Write a value as JSON to a file, whole or not at all; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")

"""What `yui` alone says: what is here, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chain.database import opened_to_read
from chain.store import stored
from energy.errors import YuiError
from energy.units import day_of, half_hour
from orchestrator.options import DEFAULT_STORE

SERVICE, TERMINAL = "orchestrator.toml", "oracle.toml"
NETWORK = Path(".yui/network/network.json")


def what_next(folder: Path) -> Iterator[str]:
    """Yield what is found in a folder, each with the command that goes on from there."""
    store, found = folder / DEFAULT_STORE, False
    if store.exists():
        found = True
        yield from _of_store(store)
    if (folder / NETWORK).exists():
        found = True
        yield "A members' network is here. How it is:          yui network status"
    if (folder / SERVICE).exists():
        found = True
        yield "An orchestrator's settings are here. Check them: yui orchestrator check"
        yield "  then run it, and ask it how it is:             yui orchestrator run, status"
    if (folder / TERMINAL).exists():
        found = True
        yield "A terminal's settings are here. How it is:       yui oracle status"
    if not found:
        yield "Nothing is here yet. A day of seven offices, in a minute or two: yui demo"
        yield "  a network of members' own validators:    yui network create"
        yield "  an orchestrator for a market:            yui orchestrator init"
        yield "  a site's terminal:                       yui oracle init"
    yield "All commands: yui --help"


def _of_store(path: Path) -> Iterator[str]:
    try:
        engine = opened_to_read(str(path))
        with stored(engine) as store:
            last = store.last_settled()
        engine.dispose()
    except YuiError as error:
        yield f"{error}"
        yield f"  delete {path} and run it anew:                 yui demo"
        return
    if last is None:
        yield "A store without a settled slot is here. A demo from its beginning: yui demo"
        return
    yield f"A store is here, settled up to {day_of(last)} {half_hour(last)}. Its slots: yui slots"
    yield "  a site's trades, statement, bill:   yui trades, statement, invoice --site Tome"
    yield "  where energy came from:             yui trace Tome '2019-06-04 18:30'"
    yield "  all of it as pages in a browser:    yui web --open"

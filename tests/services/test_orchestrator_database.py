"""An orchestrator whose database, or the disk with its files, is not there when it starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest

from chain.store import opened
from energy.errors import SettingError, StoreAway
from energy.units import SLOT_SECONDS
from orchestrator.service.cli import check
from tests.databases import cluster, running
from tests.orchestrated import Place, check_nothing_lost_or_doubled, wait_for
from tests.services.test_node import KESENNUMA, SLOT

Kind = Callable[[Path], AbstractContextManager[tuple[str, Callable[[], None]]]]
AWAY = ("store-failed", "index")


@contextmanager
def a_disk(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """A disk for store and inbox that is not mounted, and a way to mount it."""
    (folder / "mounted").symlink_to(folder / "disk")
    yield str(folder / "mounted" / "store.sqlite"), (folder / "disk").mkdir


@contextmanager
def a_server(_: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """A PostgreSQL that does not run, and a way to start it."""
    with cluster() as folder:
        server = running(folder)
        yield f"postgresql://yui@/postgres?host={folder}", lambda: server.__enter__()
        server.__exit__(None, None, None)


@pytest.mark.parametrize("kind", [a_disk, a_server])
def test_a_service_that_starts_without_its_database_waits_and_goes_on_when_it_comes(
    place: Place, tmp_path: Path, kind: Kind
) -> None:
    with kind(tmp_path) as (url, come):
        inbox = f'inbox = "{tmp_path}/mounted/inbox.sqlite"' if kind is a_disk else ""
        service = place.service(url, stores=inbox).start()
        wait_for(lambda: AWAY in service.alerts(), place, "it must come up and say so")
        metrics, answer = service.ask("/metrics"), service.post(place.town.orders(SLOT))
        assert metrics is not None
        assert 'yui_orchestrator_alerts{name="store-failed"} 0.0' not in metrics.text
        assert "yui_orchestrator_healthy 0.0" in metrics.text
        assert "alert.raised name=store-failed about=index" in service.log()
        assert (answer.status_code, "must have answered once" in answer.text) == (503, True)
        assert "chain-away" not in service.log(), "the chain is there"
        place.now(place.town.market.rules.gate_of(SLOT) - 60)
        come()
        wait_for(partial(service.give, place.town.orders(SLOT)), place, "orders must be taken")
        wait_for(
            lambda: place.town.market.sequence_of(SLOT, KESENNUMA) == 1, place, "and be posted"
        )
        place.now((SLOT + 1) * SLOT_SECONDS)
        place.town.push(*place.town.readings(SLOT))
        wait_for(lambda: place.settled(SLOT), place, "the slot must be settled")
        wait_for(lambda: not service.alerts(), place, "and nothing is wrong any more")
        assert service.stop() == 0
        check_nothing_lost_or_doubled(place, range(SLOT, SLOT + 1))


def test_a_wrong_password_or_an_unknown_database_ends_at_once_and_one_that_is_away_does_not(
    place: Place,
) -> None:
    with cluster() as folder:
        rules = Path(folder) / "cluster" / "pg_hba.conf"
        rules.write_text("local all yui trust\nlocal all all scram-sha-256\n")

        def url(user: str = "desk:right", database: str = "postgres") -> str:
            return f"postgresql://{user}@/{database}?host={folder}"

        with pytest.raises(StoreAway, match="must be a store that works, got: "):
            opened(url())
        with running(folder):
            with psycopg.connect(host=folder, user="yui", dbname="postgres") as server:
                server.execute("CREATE USER desk PASSWORD 'right'")
                server.execute("GRANT ALL ON SCHEMA public TO desk")
            for wrong, why in (
                (url("desk:wrong"), 'password authentication failed for user "desk"'),
                (url("nobody:right"), 'password authentication failed for user "nobody"'),
                (url(database="none"), 'database "none" does not exist'),
            ):
                with pytest.raises(SettingError) as told:
                    opened(wrong)
                assert "must name a user and a database that PostgreSQL knows" in str(told.value)
                assert why in str(told.value)
                assert "right" not in str(told.value)
            service = place.service(url("desk:wrong")).start()
            wait_for(lambda: not service.runs, place, "it must end")
            assert "[store] url must be a store that can be used: " in service.log()
            assert service.log().splitlines()[-1].startswith("energy.errors.SettingError: ")
            opened(url()).dispose()
            with psycopg.connect(host=folder, user="yui", dbname="postgres") as server:
                server.execute("ALTER USER desk CONNECTION LIMIT 0")
            with pytest.raises(StoreAway, match="too many connections"):
                opened(url())


def files_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """A folder's files, each with when it was changed and what it holds."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != "log"]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def test_to_check_a_service_makes_no_store_and_no_inbox_and_changes_none(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    service = place.service()

    def told() -> str:
        before = files_of(place.folder)
        check(service.settings)
        assert files_of(place.folder) == before
        return capsys.readouterr().out

    place.now(place.town.market.rules.gate_of(SLOT) - 60)
    assert told().count("not there yet; run makes it") == 2
    service.start()
    wait_for(partial(service.give, place.town.orders(SLOT)), place, "orders must be taken")
    assert service.stop() == 0
    said = told()
    assert "ok    store: opens\n" in said
    assert "orders wait" in said
    text, broken = service.settings.read_text(), place.folder / "broken"
    broken.write_text("no inbox")
    nowhere = broken / "store.sqlite"
    for wrong, changed in (
        (broken, text.replace("[run]", f'inbox = "{broken}"\n[run]')),
        (nowhere, re.sub("(?m)^url = .*$", f'url = "{nowhere}"', text)),
    ):
        service.settings.write_text(changed)
        before = files_of(place.folder)
        with pytest.raises(SettingError, match="all must be ok, got 1 wrong"):
            check(service.settings)
        assert files_of(place.folder) == before
        assert f"{wrong} must be " in capsys.readouterr().out

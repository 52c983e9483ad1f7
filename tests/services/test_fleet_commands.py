"""`yui fleet`: making a fleet, listing it, commanding it in bulk, its audit trail."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import delete
from typer.testing import CliRunner

from chain import database
from chain.ports import free_port
from energy.errors import AuditError, LinkError, SettingError
from orchestrator.cli import app
from orchestrator.web.carrying import Carrier
from orchestrator.web.commanding import Command
from tests.broker import running_broker
from vpp.commands import Action
from vpp.link.folders import fleet_at, room_at, site_at
from vpp.link.simulated import simulated_fleet
from vpp.room.room import Room
from vpp.room.store import opened, records
from vpp.room.tables import TRAIL

SITES = 6


def yui(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def told(*words: object, code: int = 0) -> str:
    answer = yui("fleet", *words)
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    assert answer.exit_code == code, answer.output
    return answer.stdout


def made(folder: Path, sites: str) -> str:
    ports = ("--port", free_port(), "--room-port", free_port(), "--bind", "127.0.0.1")
    return told("init", folder, "--sites", sites, *ports)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    made(folder, str(SITES))
    broker = running_broker(folder)
    with running(folder):
        yield folder
    broker.stop()


@contextmanager
def running(folder):
    """The simulated sites, in a thread of their own."""
    up, end = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def sites():
        async with simulated_fleet(folder, range(SITES - 1), 0.5):
            up.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(sites(),))
    thread.start()
    assert up.wait(30)
    yield
    loop.call_soon_threadsafe(end.set)
    thread.join()
    loop.close()


def test_a_fleet_is_made_and_its_keys_are_nobody_elses(tmp_path):
    said = made(tmp_path / "fleet", "3")
    fleet = fleet_at(tmp_path / "fleet")
    assert [each.municipality for each in fleet.sites] == ["Sendai", "Osaki", "Ishinomaki"]
    assert fleet.signer in said
    keys = [*(tmp_path / "fleet").rglob("*.key"), *(tmp_path / "fleet").rglob("signing.*")]
    assert len(keys) == 2 + 1 + 1 + 2 + 3
    for key in keys:
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        secret = key.read_text()
        assert not any(line in said for line in secret.splitlines() if "---" not in line)
    place = site_at(tmp_path / "fleet" / "sites" / "site-2")
    assert place.signers == {fleet.signer}
    with pytest.raises(SettingError, match="no fleet yet"):
        made(tmp_path / "fleet", "3")


def test_a_fleet_is_made_of_a_sites_file_with_their_names(tmp_path):
    example = Path("orchestrator/setting/sites.toml")
    made(tmp_path, str(example))
    found = fleet_at(tmp_path).sites
    assert [each.name for each in found][-1] == "Kesennuma"
    assert found[-1].kind == "pv+battery"
    assert found[0].kind == "pv"
    assert found[-1].name_ja == "気仙沼合同庁舎"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--sites", "0"), "sites"),
        (("--name", "../etc"), "name"),
        (("--sites", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_a_fleet_that_cannot_be_is_refused_and_nothing_made(tmp_path, words, named):
    with pytest.raises(SettingError, match=named):
        told("init", tmp_path / "fleet", *words)
    assert not (tmp_path / "fleet" / "fleet.json").exists()


def test_sites_are_listed_with_how_they_stand(folder):
    listed = json.loads(told("list", "--fleet", folder, "--json"))
    assert [each["state"] for each in listed] == ["alive"] * (SITES - 1) + ["unheard"]
    assert listed[0]["name"] == "Sendai 0"
    assert listed[0]["following"] == "self"
    assert listed[0]["capacity_wh"] == 40_000
    assert listed[0]["age_seconds"] < 30
    assert listed[-1]["age_seconds"] is None
    only = json.loads(told("list", "--fleet", folder, "--json", "--municipality", "osaki"))
    assert {each["site"] for each in only} == {1, 4}
    assert "稼働" in told("list", "--fleet", folder, "--language", "ja")
    assert "never heard" in told("list", "--fleet", folder)


def test_a_command_in_bulk_says_what_came_of_it_at_each_site(folder):
    words = ("--fleet", folder, "--yes", "--json")
    done = json.loads(
        told("charge", *words, "--site", "0,3", "--power", 2.5, "--for", "1h", "--why", "trial")
    )
    assert [each["outcome"] for each in done] == ["taken", "taken"]
    assert done[0]["power_w"] == 2_500
    assert 3_590 < done[0]["ends_at"] - time.time() <= 3_600
    done = json.loads(told("discharge", *words, "--site", "0", "--power", 50, code=3))
    assert done[0]["refused"] == "limit: power must be at most 20000 W, got 50000 W"
    shown = told("hold", "--fleet", folder, "--yes", "--municipality", "Osaki")
    assert "2 taken, 0 refused, 0 without an answer" in shown
    told("limit", *words, "--all", "--power", 0, "--wait", 1, code=3)
    told("resume", *words, "--site", "0,1,3,4")


def test_a_stop_reaches_all_and_who_is_away_when_it_comes_back(folder):
    words = ("--fleet", folder, "--yes")
    done = json.loads(told("stop", *words, "--all", "--json", "--wait", 2, code=3))
    outcomes = [each["outcome"] for each in done]
    assert outcomes == ["taken"] * (SITES - 1) + ["no answer"]
    listed = json.loads(told("list", "--fleet", folder, "--json"))
    assert {each.get("following") for each in listed[:-1]} == {"stop"}

    async def back():
        async with simulated_fleet(folder, [SITES - 1], 0.5) as sites:
            battery = sites[SITES - 1].battery
            async with asyncio.timeout(10):
                while battery.report().following.value != "stop":
                    await asyncio.sleep(0.05)

    asyncio.run(back())
    told("resume", *words, "--site", "0,1,2,3,4")
    listed = json.loads(told("list", "--fleet", folder, "--json"))
    assert {each.get("following") for each in listed[:-1]} == {"self"}


def test_a_dry_run_sends_nothing(folder):
    with records(opened(str(room_at(folder).store))) as read:
        before = len(read.instructions())
    said = told("stop", "--fleet", folder, "--all", "--dry-run")
    assert "stop at 6 sites" in said
    assert "nothing was sent" in said
    chosen = json.loads(told("stop", "--fleet", folder, "--all", "--dry-run", "--json"))
    assert len(chosen) == SITES
    with records(opened(str(room_at(folder).store))) as read:
        assert len(read.instructions()) == before


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("stop",), "selector"),
        (("stop", "--all"), "--yes"),
        (("stop", "--all", "--site", "0"), "--all must stand alone"),
        (("stop", "--site", "Kyoto", "--yes"), "a site"),
        (("hold", "--all", "--for", "soon"), "--for"),
        (("charge", "--all", "--power", "0"), "--power"),
        (("limit", "--all", "--power", "-1"), "--power"),
        (("hold", "--charge-above", "100", "--yes"), "No site"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(folder, words, named):
    with pytest.raises(SettingError, match=named):
        told(*words, "--fleet", folder)


def test_a_broker_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("orchestrator.fleet.commands.CONNECT_SECONDS", 0.5)
    made(tmp_path, "2")
    with pytest.raises(LinkError, match=f"127.0.0.1:{fleet_at(tmp_path).room_port}"):
        told("stop", "--all", "--yes", "--fleet", tmp_path)
    with pytest.raises(SettingError, match="fleet's register"):
        told("list", "--fleet", tmp_path / "none")


def test_watching_gives_a_line_for_each_new_report(folder):
    lines = told("watch", "--fleet", folder, "--json", "--seconds", 4, "--site", "0")
    seen = [json.loads(line) for line in lines.splitlines()]
    assert len(seen) >= 2
    assert {each["site"] for each in seen} == {0}
    assert "Sendai 0" in told("watch", "--fleet", folder, "--seconds", 1.5)


def test_the_trail_says_who_did_what_and_that_nothing_was_taken_out(folder):
    told("hold", "--fleet", folder, "--yes", "--site", "2", "--why", "maintenance")
    found = json.loads(told("trail", "--fleet", folder, "--json"))
    sent = [each for each in found["entries"] if each["kind"] == "sent"][-1]
    assert sent["said"]["why"] == "maintenance"
    assert sent["said"]["by"]
    assert sent["said"]["instructions"][0]["site"] == 2
    assert found["broken_at"] is None
    shown = told("trail", "--fleet", folder, "--head", sent["hash"], "--limit", 400)
    assert "maintenance" in shown
    assert f"The trail is whole: {found['checked']} entries" in shown
    with pytest.raises(AuditError, match="was cut"):
        told("trail", "--fleet", folder, "--head", "ab" * 32)


def test_a_trail_from_which_something_was_taken_is_an_error(tmp_path):
    made(tmp_path, "1")
    told("certificate", "--fleet", tmp_path, "--site", "0")
    engine = opened(str(room_at(tmp_path).store))
    with database.writing(engine) as connection:
        connection.execute(delete(TRAIL).where(TRAIL.c.number == 1))
    with pytest.raises(AuditError, match="entry 1 must be there"):
        told("trail", "--fleet", tmp_path)


def test_certificates_are_listed_renewed_and_revoked(tmp_path):
    made(tmp_path, "2")
    assert "Sendai 0: until" in told("certificate", "--fleet", tmp_path)
    place = tmp_path / "sites" / "site-0"
    before = (place / "site.key").read_text()
    assert "renewed" in told("certificate", "--fleet", tmp_path, "--site", "sendai 0")
    assert (place / "site.key").read_text() != before
    assert stat.S_IMODE((place / "site.key").stat().st_mode) == 0o600
    assert "revoked" in told("certificate", "--fleet", tmp_path, "--site", "1", "--revoke")
    assert "Osaki 1: revoked" in told("certificate", "--fleet", tmp_path)
    told("certificate", "--fleet", tmp_path, "--site", "1")
    assert "Osaki 1: until" in told("certificate", "--fleet", tmp_path)
    for words, named in ((("--site", "9"), "of the fleet"), (("--revoke",), "--site")):
        with pytest.raises(SettingError, match=named):
            told("certificate", "--fleet", tmp_path, *words)


def test_the_room_runs_as_a_service_and_ends_when_told(folder):
    room: Any = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.entry", "vpp", "room", "--fleet", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    try:
        for line in room.stdout:
            if "link.connected" in line:
                break
        now = int(time.time())
        end = time.monotonic() + 20
        while not any(each.heard_at and each.heard_at > now for each in states_of(folder)):
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        room.send_signal(signal.SIGTERM)
        assert room.wait(20) == 0


def states_of(folder):
    engine = opened(str(room_at(folder).store))
    with records(engine) as read:
        found = read.states()
    engine.dispose()
    return found


def test_a_duty_gets_the_room_beside_its_watch(folder):
    from vpp.room.daemon import keep_room

    done: list[Any] = []

    async def duty(room: Room) -> None:
        async with asyncio.timeout(20):
            while not room.alive():
                await asyncio.sleep(0.05)
        done.extend(await room.send([room.instruction(0, Action.HOLD)], "duty", "test"))
        os.kill(os.getpid(), signal.SIGTERM)

    asyncio.run(keep_room(folder, duties=[duty]))
    assert done[0].answer.taken


def test_a_sites_dispatch_opens_the_link_of_its_own_folder_alone(tmp_path):
    from vpp.dispatch.service import link_of

    made(tmp_path, "2")
    site: Any = SimpleNamespace(place=SimpleNamespace(site=1))
    link = link_of(tmp_path / "sites" / "site-1", site)
    assert link.place.site == 1
    assert not link.connected
    with pytest.raises(SettingError, match="must be of site 1, got 0"):
        link_of(tmp_path / "sites" / "site-0", site)


def test_a_command_from_the_pages_goes_the_same_way(folder):
    command = Command(Action.HOLD, 0, 600, "from the page")
    answers = asyncio.run(Carrier(folder).give([1, 2], command, "abe"))
    assert [(each.site, each.outcome) for each in answers] == [(1, "taken"), (2, "taken")]
    said = json.loads(told("trail", "--fleet", folder, "--json"))["entries"]
    sent = [entry["said"] for entry in said if entry["kind"] == "sent"]
    assert ("abe", "from the page") in [(each["by"], each["why"]) for each in sent]


def test_a_command_from_the_pages_without_a_broker_is_told_so(tmp_path, monkeypatch):
    made(tmp_path, "2")
    monkeypatch.setattr("orchestrator.web.carrying.CONNECT_SECONDS", 0.5)
    with pytest.raises(LinkError, match="broker must be reached"):
        asyncio.run(Carrier(tmp_path).give([1], Command(Action.STOP, 0, None, "smoke"), "abe"))

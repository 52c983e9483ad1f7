"""`yui vpp run` as a process, against a simulated site as a process: each killed in the middle."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain.ports import free_port
from energy.errors import SettingError
from energy.units import SLOT_SECONDS
from orchestrator.site_commands import app
from tests.broker import fleet_in, running_broker
from vpp.commands import Action, Answer
from vpp.link.folders import room_at
from vpp.room.room import Room
from vpp.room.store import opened

YUI = (sys.executable, "-m", "orchestrator.entry")
REVERT_SECONDS = 4
PATIENCE = 30.0


@dataclass
class Site:
    """A folder with settings, a simulated site and its dispatch, both processes of their own."""

    folder: Path
    device_port: int
    port: int
    devices: subprocess.Popen[str] | None = None
    daemon: subprocess.Popen[str] | None = None

    @property
    def settings(self) -> str:
        return str(self.folder / "dispatch.toml")

    def start_devices(self) -> None:
        self.devices = subprocess.Popen(
            [
                *YUI,
                *("simulate", "site"),
                *("--port", str(self.device_port), "--pv-kw", "0", "--load-kw", "8"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.devices.stdout is not None
        assert "at 127.0.0.1" in self.devices.stdout.readline()

    def start_daemon(self) -> None:
        self.daemon = subprocess.Popen(
            [*YUI, "vpp", "run", "--settings", self.settings],
            stdout=(self.folder / "journal").open("a"),
            text=True,
        )
        self.until(lambda: self.status() is not None, "the daemon must answer")

    def kill(self, process: subprocess.Popen[str] | None) -> None:
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.wait()

    def status(self) -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status", timeout=2) as page:
                found: dict[str, Any] = json.loads(page.read())
                return found
        except OSError:
            return None

    def told(self, *words: str) -> str:
        done = CliRunner().invoke(app, ["vpp", *words, "--settings", self.settings])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    def shown(self) -> dict[str, Any]:
        """What `yui vpp check` reads of the devices; it writes to none."""
        done = CliRunner().invoke(app, ["vpp", "check", "--json", "--settings", self.settings])
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def until(self, holds: Any, what: str, seconds: float = PATIENCE) -> float:
        begun = time.monotonic()
        while not holds():
            if time.monotonic() - begun > seconds:
                raise AssertionError(
                    f"{what}, within {seconds} s: {self.status()}\n"
                    + (self.folder / "journal").read_text()
                )
            time.sleep(0.1)
        return time.monotonic() - begun

    def follows(self, what: str, power_w: int) -> bool:
        found = self.status()
        return (
            found is not None
            and found["following"] == what
            and found["battery_w"] is not None
            and abs(found["battery_w"] - power_w) < 100
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, free_port(), free_port())
    done = CliRunner().invoke(
        app, ["vpp", "init", "--site", "6", "--name", "気仙沼", "--folder", str(tmp_path)]
    )
    assert done.exit_code == 0
    path = tmp_path / "dispatch.toml"
    text = path.read_text(encoding="utf-8").replace("5020", str(made.device_port))
    text = text.replace("9465", str(made.port)).replace(
        "revert_seconds = 60\nwrite_seconds = 2.0",
        f"revert_seconds = {REVERT_SECONDS}\nwrite_seconds = 0.2",
    )
    text = text.replace("[lost]", "[trust]\nsane_seconds = 1.0\nstale_seconds = 1.5\n\n[lost]")
    text = text.replace("[run]\n", "[run]\ncycle_seconds = 0.2\n")
    path.write_text(text, encoding="utf-8")
    made.start_devices()
    try:
        yield made
    finally:
        for process in (made.daemon, made.devices):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


def plan(site: Site, *plan_wh: int) -> None:
    start = int(time.time()) // SLOT_SECONDS * SLOT_SECONDS
    new = site.folder / "plan.new"
    new.write_text(json.dumps({"starts_at": start, "plan_wh": plan_wh}))
    new.replace(site.folder / "plan.json")


def test_the_daemon_killed_the_battery_is_safe_within_the_revert_time_and_then_goes_on(site: Site):
    site.start_daemon()
    site.told("override", "charge", "5000")
    site.until(lambda: site.follows("override", -5_000), "the override must be followed")
    second = subprocess.run(
        [*YUI, "vpp", "run", "--settings", site.settings], capture_output=True, text=True
    )
    assert second.returncode == 1
    assert "must be free: another yui vpp run commands this battery" in second.stderr
    site.kill(site.daemon)
    killed = time.monotonic()
    held = site.shown()["battery"]["held"]
    assert held["revert_seconds"] == REVERT_SECONDS
    site.until(
        lambda: site.shown()["battery"]["held"]["setpoint"] is None,
        "the device must let go",
        REVERT_SECONDS + 3,
    )
    assert time.monotonic() - killed < REVERT_SECONDS + 3
    site.until(
        lambda: (
            abs(site.shown()["report"]["battery_w"] - 2_000) < 100
            or abs(site.shown()["report"]["battery_w"] - 8_000) < 100
        ),
        "it must cover the load: self-consumption",
    )
    status = json.loads(site.told("status", "--json"))
    assert status["running"] is False
    assert status["override_w"] == -5_000
    site.start_daemon()
    site.until(lambda: site.follows("override", -5_000), "it goes on with what it was told")


def test_the_device_killed_is_told_again_when_it_is_back(site: Site):
    site.start_daemon()
    site.told("override", "discharge", "3000")
    site.until(lambda: site.follows("override", 3_000), "the override must be followed")
    site.kill(site.devices)
    site.until(lambda: (site.status() or {})["following"] == "out", "the device must be out")
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"http://127.0.0.1:{site.port}/health")
    site.start_devices()
    site.until(lambda: site.follows("override", 3_000), "the device must be told again")


def test_a_stop_stays_when_the_daemon_is_killed_and_is_written_without_one(site: Site):
    site.start_daemon()
    plan(site, 2_000, 2_000, 2_000)
    site.until(lambda: (site.status() or {})["following"] == "plan", "the plan must be followed")
    assert "within the second" in site.told("override", "stop")
    site.until(lambda: site.follows("stop", 0), "the stop must be followed")
    site.kill(site.daemon)
    time.sleep(REVERT_SECONDS + 1)
    assert site.shown()["battery"]["held"] == {
        "setpoint": {"least_w": 0, "most_w": 0},
        "revert_seconds": 0,
    }
    assert "yui vpp run will know it" in site.told("override", "release")
    site.start_daemon()
    site.until(lambda: (site.status() or {})["following"] == "plan", "released, the plan goes on")
    site.kill(site.daemon)
    assert "on the device itself" in site.told("override", "stop")
    assert site.shown()["battery"]["held"]["setpoint"] == {"least_w": 0, "most_w": 0}


def told_by_room(folder: Path, action: Action, **more: Any) -> Answer:
    """Tell site 0 something from the control room, and return its answer once power followed."""

    async def sent() -> Answer:
        place = room_at(folder)
        engine = opened(str(place.store))
        try:
            async with Room(place, engine, place.key()).at_work(20) as room:
                (told,) = await room.send(
                    [room.instruction(0, action, **more)],
                    "tanaka",
                    "trial",
                    until_changed=True,
                    patience=20,
                )
        finally:
            engine.dispose()
        assert told.answer is not None
        return told.answer

    return asyncio.run(sent())


def test_the_control_room_is_followed_and_its_loss_leaves_the_battery_to_itself(
    site: Site, tmp_path: Path
):
    fleet = tmp_path / "fleet"
    fleet_in(fleet, 1)
    broker = running_broker(fleet)
    path = Path(site.settings)
    text = path.read_text(encoding="utf-8").replace("number = 6", "number = 0")
    text = text.replace("link_seconds = 60", "link_seconds = 2")
    text = text.replace('# [link]\n# folder = "link" ', '[link]\nfolder = "fleet/sites/site-0" ')
    path.write_text(text, encoding="utf-8")
    try:
        site.start_daemon()
        answer = told_by_room(fleet, Action.DISCHARGE, power_w=4_000)
        assert answer.taken
        assert answer.changed_at is not None
        site.until(lambda: site.follows("command", 4_000), "the command must be followed")
        answer = told_by_room(fleet, Action.DISCHARGE, power_w=15_001)
        assert "must be at most 15000 W (the owner's limit), got 15001 W" in answer.refused
        broker.kill()
        site.until(
            lambda: "link-lost" in str((site.status() or {})["alarms"]), "its loss must be told"
        )
        site.until(lambda: (site.status() or {})["following"] == "self", "nobody is followed")
        assert site.shown()["battery"]["held"]["setpoint"] is None
        site.kill(site.daemon)
        broker.start()
        site.start_daemon()
        site.until(lambda: site.follows("command", 4_000), "the command goes on")
        assert told_by_room(fleet, Action.STOP).taken
        site.until(lambda: site.follows("stop", 0), "the stop must be followed")
    finally:
        broker.stop()


def test_told_to_end_it_lets_the_battery_go_at_once(site: Site):
    site.start_daemon()
    site.told("override", "discharge", "3000", "--minutes", "5")
    site.until(lambda: site.follows("override", 3_000), "the override must be followed")
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{site.port}/metrics").read().decode()
    assert 'yui_dispatch_following{what="override"} 1.0' in metrics
    assert "override" in site.told("status")
    assert site.daemon is not None
    os.kill(site.daemon.pid, signal.SIGTERM)
    assert site.daemon.wait(10) == 0
    assert site.shown()["battery"]["held"]["setpoint"] is None


def test_when_the_daemon_has_died_the_battery_is_let_go_at_once_unless_it_is_stopped(site: Site):
    site.start_daemon()
    site.told("override", "discharge", "3000")
    site.until(lambda: site.follows("override", 3_000), "the override must be followed")
    with pytest.raises(SettingError, match="must be free: another yui vpp run commands"):
        site.told("let-go")
    site.kill(site.daemon)
    assert "let go" in site.told("let-go")
    assert site.shown()["battery"]["held"]["setpoint"] is None
    site.told("override", "stop")
    assert "stopped: it stays so" in site.told("let-go")
    assert site.shown()["battery"]["held"]["setpoint"] == {"least_w": 0, "most_w": 0}


def test_a_check_tells_what_is_wrong_and_writes_nothing(site: Site):
    shown = site.shown()
    assert shown["would"] == "leave it to itself"
    assert shown["reverts"] is True
    assert shown["troubles"] == []
    plan(site, 999_999)
    with pytest.raises(SettingError, match=r"must be at most 7500 Wh \(the owner's limit\)"):
        site.told("check")
    assert site.devices is not None
    assert site.devices.stdin is not None
    print("battery overfull", file=site.devices.stdin, flush=True)
    (site.folder / "plan.json").unlink()
    nonsense = "SoC must be at most 100 %, got 140 %"
    site.until(lambda: nonsense in str(site.shown()["troubles"]), "the nonsense must be told")

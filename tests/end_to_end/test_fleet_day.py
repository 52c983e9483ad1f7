"""A fleet's day, from the joint plan to the calls' reports, over real MQTT, Modbus and a chain."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from energy.errors import SettingError
from orchestrator.cli import app
from orchestrator.fleet_demo.cli import _emptied

BROKER = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """What `yui fleet demo` says of a day of four sites, and where it is."""
    if BROKER is None:
        pytest.skip("Mosquitto is not installed (Debian: apt install mosquitto)")
    folder = tmp_path_factory.mktemp("fleet") / "demo"
    done = CliRunner().invoke(
        app, ["fleet", "demo", "--sites", "4", "--folder", str(folder), "--json"]
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), folder


def test_both_calls_are_served_measured_and_paid(day):
    said, _ = day
    down, up = said["calls"]
    assert (down["call"]["direction"], up["call"]["direction"]) == ("down", "up")
    assert up["settled"]
    assert up["delivered_wh"] >= 0.9 * up["asked_wh"]
    assert up["paid_microyen"] > 0
    for call in said["calls"]:
        assert call["answers"]["refused"] == 0
        lines = call["half_hours"]
        assert sum(line["asked_wh"] for line in lines) == call["asked_wh"]
        parts = ("energy_microyen", "ready_microyen")
        for line in lines:
            paid = sum(line[part] for part in parts) - line["penalty_microyen"]
            assert line["paid_microyen"] == paid


def test_a_site_whose_battery_talks_nonsense_gives_up_its_share_and_is_not_measured(day):
    said, folder = day
    broken = next(each["what"] for each in said["faults"] if "140 %" in each["what"])
    name = broken.partition(":")[0]
    down = said["calls"][0]
    its = [line for line in down["sites"] if line["site"] == name]
    assert its
    assert all(line["meter_actual_wh"] is None for line in its[1:])
    assert not down["settled"]
    shown = CliRunner().invoke(
        app, ["calls", "show", "down-1230", "--calls", str(folder / "calls.sqlite"), "--json"]
    )
    journal = json.loads(shown.stdout)["journal"]
    assert [entry for entry in journal if entry["event"] == "fault"]


def test_the_others_take_over_from_a_site_that_was_killed(day):
    said, folder = day
    killed = next(each["what"] for each in said["faults"] if "killed" in each["what"])
    shown = CliRunner().invoke(
        app, ["calls", "show", "up-1730", "--calls", str(folder / "calls.sqlite"), "--json"]
    )
    journal = json.loads(shown.stdout)["journal"]
    assert "vanished" in [entry["detail"] for entry in journal if entry["event"] == "fault"]
    assert killed.partition(":")[0]


def test_the_broker_was_killed_and_found_again(day):
    said, _ = day
    assert [each["what"] for each in said["faults"] if "broker" in each["what"]] == [
        "the broker is killed",
        "the broker is started again, and all sites have found it",
    ]


def test_what_the_room_said_stands_in_its_trail(day):
    _, folder = day
    done = CliRunner().invoke(app, ["fleet", "trail", "--fleet", str(folder / "fleet"), "--json"])
    assert done.exit_code == 0, done.output
    text = done.stdout
    assert "the day's joint plan" in text
    assert "call up-1730" in text


def test_a_folder_of_other_things_is_not_emptied(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SettingError, match="must be empty or hold a demo"):
        _emptied(tmp_path)
    assert (tmp_path / "thesis.txt").exists()

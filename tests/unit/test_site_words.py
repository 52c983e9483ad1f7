"""What the commands of a site say, in English and Japanese; and that every command does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from energy.errors import SlotNotOver
from energy.language import Language
from energy.records import Quality, Reading
from oracle import screen as terminal_screen
from oracle.outbox import Entry, Episode, State
from oracle.probe import Found, Unit
from oracle.quantity import Incident
from oracle.stage import Stage
from oracle.status import Status
from orchestrator.reference import commands
from orchestrator.site_commands import app
from vpp.commands import Action, Following, Report
from vpp.dispatch import screen as battery_screen
from vpp.dispatch.checking import Checked
from vpp.dispatch.device import BatteryShown, Setpoint
from vpp.dispatch.words import say as say_of_battery

JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
ENGLISH = re.compile(r"(?<![\w-])(?!Wh\b)[A-Za-z][A-Za-z-]+(?![\w-])", re.ASCII)
NAMES = {"SlotNotOver", "index", "slot", "short", "no-timer"}
"""What a refusal and an alarm are called, in every language."""
SLOT = 990_000
DAEMONS = {"network run", "network watch", "orchestrator run", "oracle run", "vpp run", "vpp room"}
"""They write journals, which stay English."""
SILENT = {"network down"}
"""It prints nothing."""


def drawn(view: RenderableType, width: int = 200) -> str:
    """What a terminal of a width shows."""
    console = Console(width=width)
    with console.capture() as captured:
        console.print(view)
    return captured.get()


def terminal() -> Status:
    reading = Reading(SLOT, 3, 1200, 0, 300, 40, 50, 21_000, Quality(3), 1)
    step = Incident("1", "clock-step", "the clock must go on as time does, got a step of +9 s")
    return Status(
        SLOT * 1800,
        dict.fromkeys(State, 2),
        [Entry(reading, State.MADE, "", 0, late=True)],
        [Entry(reading, State.REFUSED, str(SlotNotOver(0, 7)), 0)],
        [SLOT + 1],
        [(SLOT - 1, f"slot {SLOT} must be told within 7 days, got nothing of 1")],
        [Episode(step, 0, 60, 3)],
    )


def battery() -> dict[str, object]:
    return {
        **{"running": True, "site": 3, "name": "", "following": "call", "call": "7"},
        **{"stored_wh": 20_000, "capacity_wh": 40_000, "set_point": None, "target_w": 5},
        **{"battery_w": 5, "imported_w": 6, "generated_w": None},
        **{"charge_w": 100, "discharge_w": 200, "commands_last_hour": 4},
        "ages": {"battery": 0.1, "meter": 0.2, "inverter": None},
        "half_hour": {"slot": SLOT, "planned_wh": 10, "called_wh": 0.0, "delivered_wh": 4.2},
        "alarms": ["short: this half hour must be met, will be missed by 9 Wh or more"],
        "half_hours": [
            {"slot": SLOT, "planned_wh": 5, "called_wh": 1, "delivered_wh": 4, "known": False}
        ],
    }


def check(setpoint: Setpoint | None, following: Following = Following.PLAN) -> Checked:
    report = Report(3, "", "", "battery", 0, following)
    troubles = ("no-timer: the device must have a revert timer, got none",)
    return Checked(BatteryShown(), report, setpoint, True, False, troubles)


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_command_that_prints_for_people_takes_a_language(name: str):
    options = {option for each in dict(commands())[name].params for option in each.opts}
    assert ("--language" in options) is (name not in DAEMONS | SILENT)


@pytest.mark.parametrize(
    "view",
    [
        lambda language: terminal_screen.status_view(terminal(), language),
        lambda language: terminal_screen.probe_view(
            "10.0.0.2:502",
            [Unit(1, (Found(1, 203, None, "W", "12", "W"),), (64001,))],
            {9: "it must answer, silent 30 s"},
            language,
        ),
        lambda language: battery_screen.status_view(battery(), language),
        lambda language: battery_screen.check_view(check(None), language),
        lambda language: battery_screen.check_view(check(Setpoint.exactly(5)), language),
        lambda language: battery_screen.check_view(check(None, Following.OUT), language),
    ],
    ids=["terminal", "probe", "battery", "check", "check-sets", "check-out"],
)
def test_a_site_is_shown_in_one_language_at_a_time(view):
    english, japanese = drawn(view(Language.ENGLISH)), drawn(view(Language.JAPANESE))
    assert not JAPANESE.search(english)
    assert JAPANESE.search(japanese)
    assert set(ENGLISH.findall(japanese)) <= NAMES


@pytest.mark.parametrize("language", list(Language))
def test_a_site_s_readings_are_whole_at_sixty_columns(language: Language):
    shown = drawn(terminal_screen.status_view(terminal(), language), 60)
    assert "…" not in shown
    assert "…" not in drawn(battery_screen.status_view(battery(), language), 60)


def test_whatever_is_followed_or_told_has_its_japanese():
    for each in (*Following, *Action):
        assert say_of_battery(Language.ENGLISH, each.value) == each.value
        assert JAPANESE.search(say_of_battery(Language.JAPANESE, each.value))


def said(*words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--language", "ja"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_owner_takes_the_battery_over_in_japanese(tmp_path: Path):
    assert "に機器を記入し" in said("vpp", "init", "--site", "3", "--folder", str(tmp_path))
    at = ("--settings", str(tmp_path / "dispatch.toml"))
    assert said("vpp", "override", "charge", "3000", "--minutes", "5", *at) == (
        "現地操作: -3000 W、5分間(yui vpp run の起動後)\n"
    )
    shown = said("vpp", "status", *at)
    assert "yui vpp run が応答しないため、保存済みの状態を表示" in shown
    assert re.search(r"現地操作\(W\) +-3000", shown)
    assert said("vpp", "override", "release", *at) == "解除した。yui vpp run の起動時に効く\n"


def test_a_terminal_s_set_up_says_in_japanese_what_to_do_next(tmp_path: Path):
    market = ("--market", "0x" + "ab" * 20, "--chain-id", "31337")
    shown = said("oracle", "init", "--site", "3", *market, "--folder", str(tmp_path))
    assert shown.startswith("庁舎3として登録するアドレス: 0x")
    assert shown.endswith("yui oracle probe、yui oracle run の順に実行\n")


def test_a_simulated_site_is_spoken_to_in_japanese():
    stage = Stage.of(
        pv_kw=1,
        load_kw=1,
        battery_kwh=0,
        battery_kw=0,
        series=None,
        speed=1,
        language=Language.JAPANESE,
    )
    assert "UNIT ok          復旧させる" in stage.obey(["help"])
    assert stage.obey(["show"]).endswith("Wh、故障: なし")
    assert stage.obey(["jump", "60"]) == "60秒進めた"
    assert stage.obey(["meter", "dance"]).startswith("故障は存在するものであること")

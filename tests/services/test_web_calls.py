"""The battery's page names balancing calls: what they wanted is no breach of the plan."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from chain.database import opened_to_read
from energy.errors import SettingError
from energy.units import SLOT_SECONDS
from orchestrator.replay.period import replayed
from orchestrator.replay.plan import Plan
from orchestrator.setting.sites import load_setting
from orchestrator.steering.steering import PLAN
from orchestrator.web.access.access import Access, Policy
from orchestrator.web.app import application
from orchestrator.web.called import planned_for, wanted_of
from orchestrator.web.cli import calls_kept
from orchestrator.web.desk import Desk
from orchestrator.web.viewer import Others
from tests.web import DAY, SLOTS
from vpp.calls.call import Call, Direction, Step
from vpp.calls.kept import Share
from vpp.calls.store import CallStore

BATTERY = 2
"""Kesennuma's number where there are three sites."""
CALLS = [
    {
        "name": "evening-1",
        "direction": "up",
        "start": f"{DAY}T18:00:00+09:00",
        "end": f"{DAY}T20:00:00+09:00",
        "kw": [2, 2, 2, 2],
    }
]
CALLED = SLOTS[36:40]


@pytest.fixture(scope="module")
def called_day(tmp_path_factory):
    """A folder with a replayed day of three offices, and a call in its evening."""
    folder = tmp_path_factory.mktemp("called")
    (folder / "asked.json").write_text(json.dumps(CALLS))
    setting = load_setting()
    chosen = (setting.sites[0], setting.sites[1], setting.sites[6])
    three = replace(setting, sites=tuple(replace(s, number=n) for n, s in enumerate(chosen)))
    plan = Plan(DAY, 1, PLAN, setting.market.mode, "calls", "bundled")
    plan = replace(plan, calls=str(folder / "asked.json"))
    replayed(three, plan, folder / "played", lambda *_: None)
    return folder / "played"


@pytest.fixture(scope="module")
def engine(called_day):
    found = opened_to_read(str(called_day / "store.sqlite"))
    yield found
    found.dispose()


def shown(engine, path="", access=None, **options):
    client = TestClient(application(Desk(engine, load_setting(), **options), access))
    answer = client.get(f"/battery/{BATTERY}{path}", headers={"accept-language": "ja"})
    assert answer.status_code == 200
    return answer


def test_half_hours_that_a_call_changed_are_as_told_and_the_call_is_named(engine, called_day):
    calls = called_day / "calls.json"
    page = shown(engine, ".json", calls=calls).json()
    basis, hours = page["basis"], page["half_hours"]
    assert basis["half_hours_kept_to"] == basis["half_hours_read"] == len(hours)
    (left,) = json.loads(calls.read_text())
    shares, given = left["shares"][str(BATTERY)], left["given_wh"][str(BATTERY)]
    assert [one["called_wh"] for one in hours if one["slot"] in CALLED] == shares
    assert sum(one["called_wh"] for one in hours) == sum(shares) > 3_000
    (call,) = page["calls"]
    assert (call["name"], call["direction"]) == ("evening-1", "up")
    assert call["starts_at"] == f"{DAY}T18:00:00+09:00"
    assert (call["asked_wh"], call["given_wh"]) == (sum(shares), sum(given))
    text = shown(engine, calls=calls).text
    assert "調整指令による上乗せ" in text
    assert "うち4コマは調整指令にも応じた。" in text
    assert "+1.000" in text


def test_without_the_calls_the_same_half_hours_are_seen_to_differ(engine):
    page = shown(engine, ".json").json()
    assert page["basis"]["half_hours_kept_to"] < page["basis"]["half_hours_read"]
    assert page["calls"] == []
    assert "調整指令による上乗せ" not in shown(engine).text


def test_calls_are_kept_from_who_may_not_see_the_office(engine, called_day):
    access = Access(Policy(others=Others.TRADES))
    page = shown(engine, ".json", access, calls=called_day / "calls.json").json()
    assert (page["is_shown"], page["calls"], page["half_hours"]) == (False, [], [])


def test_a_control_rooms_shares_count_for_as_long_as_they_held(tmp_path):
    kept = CallStore.at(str(tmp_path / "calls.sqlite"), durable=False)
    first = CALLED[0] * SLOT_SECONDS
    step = Step(first, first + 3_600, 4_000)
    kept.add(Call("grid-1", Direction.DOWN, (step,), first - 600), first - 600)
    kept.set_shares("grid-1", first - 600, [Share(BATTERY, first, first + 3_600, -4_000)])
    kept.plan("grid-1", {(BATTERY, CALLED[0]): 250, (7, CALLED[0]): 9})
    kept.set_shares("grid-1", first + 900, [Share(7, first + 900, first + 3_600, -4_000)])
    (found,) = wanted_of(kept.engine, BATTERY, SLOTS)
    assert found.call.name == "grid-1"
    assert found.by_slot == {CALLED[0]: -1_000}
    assert found.planned == {CALLED[0]: 250}
    (other,) = wanted_of(kept.engine, 7, SLOTS)
    assert other.by_slot == {CALLED[0]: -1_000, CALLED[1]: -2_000}
    assert wanted_of(kept.engine, BATTERY, range(SLOTS.stop, SLOTS.stop + 48)) == []
    assert planned_for(kept.engine) == []
    kept.engine.dispose()


def test_where_calls_are_kept_is_told_or_found_beside_the_store(called_day, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = str(called_day / "store.sqlite")
    assert calls_kept(None, store) == called_day / "calls.json"
    assert calls_kept(str(called_day / "calls.json"), "elsewhere") == called_day / "calls.json"
    room = tmp_path / "calls.sqlite"
    CallStore.at(str(room), durable=False).engine.dispose()
    found = calls_kept(str(room), store)
    assert wanted_of(found, BATTERY, SLOTS) == []
    assert isinstance(found, Engine)
    found.dispose()
    with pytest.raises(SettingError, match="--calls must be a file of calls"):
        calls_kept("nowhere.json", store)

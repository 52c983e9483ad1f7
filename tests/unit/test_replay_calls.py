"""Balancing calls of a replay: read from a file, split over batteries, noted; and the example."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from energy.errors import SettingError
from energy.units import JST, SLOT_SECONDS, day_of, slots_of
from orchestrator.replay.asked import asked_at, calls_in
from orchestrator.replay.calls import Calls, headroom_of
from orchestrator.replay.example_calls import example_calls
from orchestrator.replay.replay import known_tariffs
from orchestrator.replay.series import SiteSeries
from orchestrator.replay.site import ReplayedSite, replayed_sites
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import load_setting
from orchestrator.steering.steering import NONE, OPEN, OWN_USE, Kept
from vpp.calendar import DayKind, kind_of
from vpp.calls.call import Call, Direction, by_half_hour

DAY = slots_of(date(2019, 6, 4))
SETTING = load_setting()
LOADS, SUN = load_series(), pv_series()
SERIES = [SiteSeries.of(site, LOADS, SUN) for site in SETTING.sites]
BATTERY = SETTING.sites[6].battery


def call(
    name: str,
    first: int,
    count: int,
    kw: float,
    direction: Direction = Direction.UP,
    received_at: int = 0,
    priority: int = 0,
) -> Call:
    start = first * SLOT_SECONDS
    steps = by_half_hour(start, start + count * SLOT_SECONDS, [round(kw * 1_000)])
    return Call(name, direction, steps, received_at or start - 10_800, priority=priority)


def two_sites(how: str = NONE) -> list[ReplayedSite]:
    """Tome and Kesennuma, each with Kesennuma's battery, holding 20 and 10 kWh to give."""
    chosen = [replace(site, battery=BATTERY) for site in SETTING.sites[4:7:2]]
    tariffs = known_tariffs(lambda _: SETTING.tariffs, enacts_daily=False)
    found = replayed_sites(chosen, SERIES[4:7:2], "test", how, tariffs)
    for site, held in zip(found, (20_000, 10_000), strict=True):
        site.remember(DAY.start)
        site.stored_wh += held
    return found


def served(calls: Calls, sites: list[ReplayedSite], slot: int) -> list[int]:
    for site in sites:
        site.begin(slot, OPEN)
    calls.begin(slot, sites)
    asked = [site.called_wh for site in sites]
    for site in sites:
        site.read(slot)
    calls.read(slot, sites)
    return asked


def test_the_fullest_battery_serves_and_what_was_given_is_noted() -> None:
    sites = two_sites()
    calls = Calls([call("evening", DAY[36], 2, 6)])
    assert served(calls, sites, DAY[35]) == [0, 0]
    assert served(calls, sites, DAY[36]) == [3_000, 0]
    assert served(calls, sites, DAY[37]) == [3_000, 0]
    assert served(calls, sites, DAY[38]) == [0, 0]
    (entry,) = calls.to_json()
    assert entry["shares"] == {"4": [3_000, 3_000]}
    assert entry["planned_wh"] == {"4": [0, 0]}
    assert entry["given_wh"] == {"4": [3_000, 3_000]}
    assert entry["steps"] == [[DAY[36] * 1_800, DAY[38] * 1_800, 6_000]]
    assert (sites[0].available_wh, sites[1].available_wh) == (14_000, 10_000)


def test_a_call_beyond_one_battery_is_split_by_power_and_energy() -> None:
    sites = two_sites()
    calls = Calls([call("long", DAY[36], 4, 25)])
    # 20 kWh last for 10 kW, 10 kWh for 5 kW over two hours; the rest from what is left of power.
    found = [served(calls, sites, slot) for slot in DAY[36:40]]
    assert all(sum(each) <= 12_500 for each in found)
    assert [sum(each) for each in zip(*found, strict=True)] == [20_000, 10_000]
    assert sites[0].available_wh == sites[1].available_wh == 0


def test_what_is_planned_is_not_promised_and_a_call_comes_on_top_of_it() -> None:
    sites = two_sites(OWN_USE)
    evening = DAY[40]
    for site in sites:
        site.begin(evening, OPEN)
    steps = call("one", evening, 1, 15).steps
    planned = [site.steering.planned(evening) for site in sites]
    assert min(planned) > 0
    for site, plan_wh in zip(sites, planned, strict=True):
        found = headroom_of(site, Direction.UP, steps)
        assert found.power_w == (15_000 - 2 * plan_wh,)
        assert found.energy_wh == site.available_wh - plan_wh
        # In the dark, downward is what would leave it.
        down = headroom_of(site, Direction.DOWN, steps)
        assert down.power_w == (2 * plan_wh,)
    calls = Calls([call("one", evening, 1, 4)])
    assert served(calls, sites, evening) == [2_000, 0]
    (entry,) = calls.to_json()
    told = entry["planned_wh"]["4"][0]
    assert sites[0].readings[evening].discharged == told + 2_000


def test_downward_a_battery_stores_its_own_sun_and_nothing_else() -> None:
    sites = two_sites()
    noon = DAY[24]
    calls = Calls([call("noon", noon, 1, 100, Direction.DOWN)])
    asked = served(calls, sites, noon)
    assert all(each < 0 for each in asked)
    for site in sites:
        reading = site.readings[noon]
        assert 0 < reading.charged <= reading.generated - reading.consumption
        assert reading.imported == 0
    night = DAY[4]
    calls = Calls([call("night", night, 1, 5, Direction.DOWN)])
    assert served(calls, two_sites(), night) == [0, 0]


def test_a_site_serves_one_call_and_an_opposite_one_rests() -> None:
    sites = two_sites()
    noon = DAY[24]  # with sun to store
    first = call("first", noon, 1, 4, priority=1)
    calls = Calls(
        [
            call("against", noon, 1, 4, Direction.DOWN, priority=2),
            call("second", noon, 1, 4, priority=3),
            first,
        ]
    )
    against = Calls([each for each in calls.calls if each.name == "against"])
    assert sum(served(against, two_sites(), noon)) < 0
    assert served(calls, sites, noon) == [2_000, 2_000]
    by_name = {entry["name"]: entry["shares"] for entry in calls.to_json()}
    assert by_name == {"first": {"4": [2_000]}, "second": {"6": [2_000]}, "against": {}}


def test_a_call_that_comes_late_is_served_from_the_next_half_hour_on() -> None:
    sites = two_sites()
    late = call("late", DAY[36], 2, 4, received_at=DAY[36] * SLOT_SECONDS + 60)
    calls = Calls([late])
    assert served(calls, sites, DAY[36]) == [0, 0]
    assert served(calls, sites, DAY[37]) == [2_000, 0]


def test_of_a_half_hour_in_which_a_call_begins_its_part_counts() -> None:
    start = DAY[36] * SLOT_SECONDS + 900
    steps = by_half_hour(start, start + 1_800, [4_000])
    calls = Calls([Call("quarter", Direction.UP, steps, 0)])
    sites = two_sites()
    assert [served(calls, sites, slot) for slot in DAY[36:38]] == [[1_000, 0], [1_000, 0]]


def test_what_a_call_will_want_is_kept_by_all_batteries_alike() -> None:
    sites = two_sites()
    known = call("known", DAY[36], 2, 8)
    calls = Calls([known, call("down", DAY[37], 2, 8, Direction.DOWN)])
    assert calls.keeps(sites, 4, DAY[29]) is None
    kept = calls.keeps(sites, 4, DAY[30])
    assert isinstance(kept, Kept)
    # From the end of the half hour before it on: 8 kWh, half of it from each.
    assert list(kept.left) == [0] * 5 + [4_000] * 43
    assert list(kept.free) == [0] * 6 + [2_000] * 2 + [0] * 40
    within = calls.keeps(sites, 6, DAY[37])
    assert isinstance(within, Kept)
    assert (within.left[0], within.free[0]) == (2_000, 2_000)
    assert calls.keeps(sites, 6, DAY[38]) is None
    assert calls.keeps(sites, 0, DAY[30]) is None


def test_what_became_of_calls_is_known_again(tmp_path: Path) -> None:
    sites = two_sites()
    one = call("evening", DAY[36], 2, 6)
    calls = Calls([one])
    served(calls, sites, DAY[36])
    calls.write(tmp_path)
    again = Calls([one])
    again.go_on(tmp_path)
    assert again.to_json() == calls.to_json()
    # And the file can be played again as it is.
    text = (tmp_path / "calls.json").read_text()
    assert calls_in(text, "calls.json", DAY) == [one]
    entry = json.loads(text)
    del entry[0]["shares"]
    (tmp_path / "calls.json").write_text(json.dumps(entry))
    with pytest.raises(SettingError, match=r"calls\.json must say what became of the calls"):
        again.go_on(tmp_path)
    (tmp_path / "calls.json").unlink()
    with pytest.raises(SettingError, match=r"calls\.json must be a list of calls, got"):
        again.go_on(tmp_path)


GOOD = {
    "name": "a",
    "direction": "up",
    "start": "2019-06-04T17:00:00+09:00",
    "end": "2019-06-04T19:00:00+09:00",
    "kw": [5, 5, 4, 4],
}


def test_calls_are_read_with_the_moment_at_which_they_came() -> None:
    (found,) = calls_in(json.dumps([GOOD]), "file", DAY)
    assert found.starts_at - found.received_at == 3 * 3_600
    assert found.asked_wh(found.starts_at, found.ends_at) == 9_000
    told = {**GOOD, "received": "2019-06-04T16:50:00+09:00"}
    (late,) = calls_in(json.dumps([told]), "file", DAY)
    assert late.notice_seconds == 600
    assert calls_in(json.dumps([GOOD]), "file", slots_of(date(2019, 6, 5))) == []


def test_a_call_as_it_was_posted_may_say_who_was_to_give_what(tmp_path: Path) -> None:
    file = tmp_path / "asked.json"
    file.write_text(json.dumps([{**GOOD, "shares": {"6": [5, 5, 4, 4]}}, {**GOOD, "name": "b"}]))
    told, untold = asked_at(file)
    assert told.call.starts_at == untold.call.starts_at
    assert (told.shares, untold.shares) == ({6: [5, 5, 4, 4]}, None)
    assert (told.sites({1}), untold.sites({1})) == ({6}, {1})


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[", "file must be JSON, got"),
        ("{}", "file must be a list of calls, got {}"),
        ("[3]", "file, call 1: the document"),
        (json.dumps([GOOD, GOOD]), "file, call 2: a must be named once"),
        (json.dumps([{**GOOD, "kw": -1}]), "file, call 1: kw"),
        (json.dumps([{**GOOD, "steps": []}]), "file, call 1: 'received_at'"),
        (json.dumps([{**GOOD, "received": "16:00"}]), "file, call 1: Invalid isoformat"),
        (json.dumps([{**GOOD, "received": "2019-06-04T16:00"}]), "must say its time zone"),
        (json.dumps([{**GOOD, "received": 7}]), "file, call 1: fromisoformat"),
        (json.dumps([{**GOOD, "shares": {"6": [1]}}]), "shares of site 6 must have a value for"),
        (json.dumps([{**GOOD, "planned_wh": {"6": ["much"] * 4}}]), "call 1: planned_wh.6.0"),
        (json.dumps([{**GOOD, "given_wh": {"-1": [1] * 4}}]), "file, call 1: given_wh.-1"),
    ],
)
def test_a_file_of_calls_that_makes_no_sense_is_refused(text: str, error: str) -> None:
    with pytest.raises(SettingError, match=error):
        calls_in(text, "file", DAY)


def test_the_example_calls_the_days_after_the_highest_use() -> None:
    days = [date(2019, 1, 1), date(2019, 12, 31)]
    text = example_calls(SERIES, days)
    year = range(slots_of(days[0]).start, slots_of(days[1]).stop)
    found = calls_in(text, "example", year)
    assert len(found) == 20
    assert text == example_calls(SERIES, [date(2019, 7, 9)])
    called = [day_of(each.slots.start) for each in found]
    assert called == sorted(called)
    assert {day.month for day in called[:10]} <= {1, 2}
    assert {day.month for day in called[10:]} <= {7, 8}
    assert all(kind_of(day) is DayKind.WORKING for day in called)
    assert {each.asked_wh(each.starts_at, each.ends_at) for each in found} == {10_000}
    hours = {datetime.fromtimestamp(each.starts_at, JST).hour for each in found}
    assert hours == {17}
    # The day before the first of them used more than that before a day that was not called.
    working = [
        day
        for number in range(2, 60)
        if kind_of(day := date.fromordinal(date(2019, 1, 1).toordinal() + number - 1))
        is DayKind.WORKING
    ]
    used = {
        after: sum(each.load(slot) for each in SERIES for slot in slots_of(before))
        for before, after in pairwise(working)
    }
    least = min(used[day] for day in called[:10])
    assert least >= max(energy for day, energy in used.items() if day not in called)

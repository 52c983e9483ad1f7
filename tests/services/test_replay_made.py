"""Replays with balancing calls, and with prices of other sources: the same wherever they stop."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from multiprocessing import active_children, get_context
from pathlib import Path

import pytest

from chain.database import opened
from chain.recorded import RecordedChain
from chain.store import Store, stored
from energy.errors import SettingError
from energy.registry import Tariff
from energy.units import SLOTS_PER_DAY, slot_of_day, slots_of
from orchestrator.replay.period import replayed
from orchestrator.replay.plan import SYNTHETIC, Plan
from orchestrator.replay.prices import LinkedPrices, dated_prices
from orchestrator.replay.town import made_of
from orchestrator.setting.sites import AFTER_METERING, AHEAD, Setting, load_setting, with_mode
from orchestrator.steering.steering import OWN_USE, PLAN, RULE

FIRST, SECOND = date(2019, 5, 7), date(2019, 5, 8)
CALLS = [
    {
        "name": "midnight",
        "direction": "up",
        "start": "2019-05-07T23:00:00+09:00",
        "end": "2019-05-08T01:00:00+09:00",
        "received": "2019-05-07T12:00:00+09:00",
        "kw": 2,
    },
    {
        "name": "noon",
        "direction": "down",
        "start": "2019-05-08T12:00:00+09:00",
        "end": "2019-05-08T12:30:00+09:00",
        "kw": 4,
    },
]


class Stopped(Exception):
    """A replay was stopped."""


def silent(step: str, done: int, total: int) -> None:
    pass


def stops_at(slot: int) -> Callable[[str, int, int], None]:
    def progress(step: str, done: int, total: int) -> None:
        if step == "day" and done == slot:
            raise Stopped

    return progress


def killed_at(slot: int, setting: Setting, asked: Plan, folder: Path) -> None:
    """Play in a process that is killed when it has settled so many half hours; the one that
    indexes beside it ends by itself."""
    said, saying = os.pipe()

    def progress(step: str, done: int, total: int) -> None:
        if step == "day" and done == slot:
            (beside,) = active_children()
            os.write(saying, str(beside.pid).encode())
            os.kill(os.getpid(), signal.SIGKILL)

    process = get_context("fork").Process(target=replayed, args=(setting, asked, folder, progress))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    beside = Path(f"/proc/{os.read(said, 20).decode()}/cmdline")
    # On a busy machine it may only be beginning: it ends once it has begun.
    end = time.monotonic() + 120
    while beside.exists() and beside.read_bytes() and time.monotonic() < end:  # not dead, no zombie
        time.sleep(0.02)
    assert not (beside.exists() and beside.read_bytes())
    os.close(said)
    os.close(saying)


def plan(mode: str, battery: str, days: int = 2) -> Plan:
    return Plan(FIRST, days, battery, mode, "test", "bundled")


def three() -> Setting:
    """Ogawara, Sendai and Kesennuma with its battery: what is asked here needs no more."""
    setting = load_setting()
    chosen = (setting.sites[0], setting.sites[1], setting.sites[6])
    sites = tuple(replace(site, number=number) for number, site in enumerate(chosen))
    return replace(setting, sites=sites)


def tariffs(store: Store, day: date) -> list[Tariff]:
    return [store.tariff(slot, slot_of_day(slot)) for slot in slots_of(day)]


@pytest.mark.parametrize(("mode", "battery"), [(AHEAD, PLAN), (AFTER_METERING, OWN_USE)])
def test_killed_in_the_middle_of_a_call_it_goes_on_to_the_same(
    mode: str, battery: str, tmp_path: Path
) -> None:
    file = tmp_path / "asked.json"
    file.write_text(json.dumps(CALLS))
    asked = replace(plan(mode, battery), calls=str(file))
    setting = with_mode(three(), mode)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    done = replayed(setting, asked, whole, silent)
    killed_at(60, setting, asked, parts)
    assert replayed(setting, asked, parts, silent).findings == done.findings
    assert (parts / "calls.json").read_text() == (whole / "calls.json").read_text()
    ours, theirs = (RecordedChain(where / "chain.sqlite") for where in (parts, whole))
    assert ours.block_hash(ours.height()) == theirs.block_hash(theirs.height())
    up, down = json.loads((whole / "calls.json").read_text())
    if battery == PLAN:  # it knew since noon, and kept the energy
        assert up["given_wh"] == up["shares"] == {"2": [1_000] * 4}
        assert down["given_wh"]["2"][0] > 0
    else:  # what it could store it stores anyhow
        assert down["given_wh"] == {}
    engine = opened(str(whole / "store.sqlite"))
    with stored(engine) as store:
        for entry in (up, down):
            sign = 1 if entry is up else -1
            first = entry["steps"][0][0] // 1800
            pairs = zip(
                entry["planned_wh"].get("2", []), entry["given_wh"].get("2", []), strict=True
            )
            for place, (told, given) in enumerate(pairs):
                (reading,) = store.readings(range(first + place, first + place + 1), 2)
                assert reading.discharged - reading.charged == told + sign * given
                assert reading.charged <= reading.generated
        assert store.setting("calls") == str(file)
    engine.dispose()
    file.write_text(json.dumps(CALLS[:1]))
    with pytest.raises(SettingError, match="one made of other calls"):
        replayed(setting, asked, whole, silent)


def test_prices_of_a_file_change_when_it_says_and_all_is_audited(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(
        "from_date,from_time,selling,buying,fee\n"
        "2019-01-01,00:00,22,8,1\n"
        "2019-05-08,00:00,22,8,1\n"
        "2019-05-08,13:00,30.5,10,1\n"
        "2019-05-08,16:00,22,8,1\n"
    )
    asked = replace(plan(AHEAD, RULE), tariffs=str(file))
    done = replayed(three(), asked, tmp_path / "folder", silent)
    assert done.findings.slots == 96
    engine = opened(str(tmp_path / "folder" / "store.sqlite"))
    with stored(engine) as store:
        flat, dear = Tariff(22_000, 8_000, 1_000), Tariff(30_500, 10_000, 1_000)
        assert tariffs(store, FIRST) == [flat] * SLOTS_PER_DAY
        assert tariffs(store, SECOND) == [*[flat] * 26, *[dear] * 6, *[flat] * 16]
        assert store.setting("tariffs") == str(file)
    engine.dispose()


def test_prices_linked_to_an_exchange_are_enacted_the_day_before(tmp_path: Path) -> None:
    asked = replace(plan(AHEAD, RULE), exchange=SYNTHETIC, markup=6_000)
    folder = tmp_path / "folder"
    with pytest.raises(Stopped):
        replayed(three(), asked, folder, stops_at(70))
    done = replayed(three(), asked, folder, silent)
    assert done.findings.slots == 96
    prices = LinkedPrices(None, 1_000, 6_000)
    engine = opened(str(folder / "store.sqlite"))
    with stored(engine) as store:
        for day in (FIRST, SECOND):
            said = tariffs(store, day)
            assert said == prices(day)
            assert len(set(said)) > 10
            assert all(each.selling == each.buying + 6_000 for each in said)
        assert store.setting("exchange") == "synthetic"
        assert store.setting("tariffs") == "exchange, sold at 6 JPY/kWh more"
    engine.dispose()


def test_series_of_ones_own_are_played(tmp_path: Path) -> None:
    loads = tmp_path / "loads.csv"
    names = [str(site.load_column) for site in load_setting().sites]
    rows = [",".join(["hour_start", *names])]
    rows += [
        ",".join([f"2019-05-{day:02d} {hour:02d}:00", *["3"] * len(names)])
        for day in range(1, 9)
        for hour in range(24)
    ]
    loads.write_text("\n".join(rows))
    own = replace(plan(AHEAD, RULE), loads=str(loads))
    made = made_of(load_setting(), own)
    assert {each.load(slots_of(FIRST)[20]) for each in made.town.series} == {1_500}
    assert own.provenance(made.sun)["loads"] == str(loads)
    with pytest.raises(SettingError, match="must hold 2019-05-09 for it to be played, got 2019-05"):
        made_of(load_setting(), replace(own, days=3))


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        (["2019-01-01,13:00,22,8,1"], "line 2: dates and times must rise, and each date begin"),
        (["2019-01-01,00:00,22,8,1"] * 2, "line 3: dates and times must rise"),
        (["2019-01-01,00:00,9,8,1"], "line 2: selling must be at least .* two fees, 10, got 9"),
        (["2019-01-01,00:10,22,8,1"], "line 2: from_time must be a half hour as 13:30"),
        (["2019-01-01,00:00,22.0001,8,1"], "line 2: selling must be 0 to 16777.215 JPY/kWh"),
        (["2019-01-01,00:00,22,dear,1"], "line 2: buying must be 0 .* got 'dear'"),
        (["2019-13-01,00:00,22,8,1"], "line 2: month must be"),
        (["2019-01-01,00:00,22,8"], "line 2: 5 values must stand here, got 4"),
        ([], "must begin with the columns from_date,from_time"),
    ],
)
def test_a_file_of_prices_that_makes_no_sense_is_refused(
    rows: list[str], error: str, tmp_path: Path
) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("\n".join(["from_date,from_time,selling,buying,fee", *rows]))
    with pytest.raises(SettingError, match=error):
        dated_prices(file)


def test_prices_must_be_there_for_each_day(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("from_date,from_time,selling,buying,fee\n2019-05-08,00:00,22,8,1\n")
    with pytest.raises(SettingError, match="must hold prices from 2019-05-07 or before"):
        made_of(load_setting(), replace(plan(AHEAD, RULE), tariffs=str(file)))
    exchange, row = tmp_path / "exchange.csv", ",".join(["10"] * SLOTS_PER_DAY)
    exchange.write_text(f"date,...\n2019-05-07,{row}\n")
    linked = replace(plan(AHEAD, RULE), exchange=str(exchange))
    with pytest.raises(SettingError, match="a price for each half hour of 2019-05-08, got"):
        made_of(load_setting(), linked)
    made_of(load_setting(), replace(linked, days=1))
    with pytest.raises(SettingError, match="prices must come from one source"):
        made_of(load_setting(), replace(linked, tariffs=str(file)))
    with pytest.raises(SettingError, match="selling must be at least .* got .* JPY/kWh"):
        made_of(load_setting(), replace(linked, exchange=SYNTHETIC, markup=1_000))

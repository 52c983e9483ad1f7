"""A period replayed through the real contracts: the same from the same seed, wherever it stops."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import date
from importlib.resources import files

import pytest

from chain.anvil import anvil
from chain.database import opened
from chain.recorded import RecordedChain
from chain.store import stored
from energy.errors import ChainError, SettingError
from energy.records import Side
from energy.units import slots_of
from orchestrator.auditing.audit import audited
from orchestrator.replay.comparison import grids
from orchestrator.replay.folder import claim
from orchestrator.replay.outcome import Worn
from orchestrator.replay.period import beginning_of, replayed
from orchestrator.replay.plan import Plan, digests
from orchestrator.replay.scenarios import base, no_battery, opposite_weekends, outcome, resampled
from orchestrator.setting.series import LOADS_NAME, PV_NAME, pv_series
from orchestrator.setting.sites import load_setting, with_mode
from orchestrator.steering.steering import NONE, PLAN, RULE
from orchestrator.words import Language

FIRST = date(2019, 5, 7)
DAYS = 2
KESENNUMA = 6


def plan(mode="ahead", battery=PLAN, days=DAYS, agents="truthful"):
    return Plan(FIRST, days, battery, mode, "test", "bundled", agents)


def silent(*_):
    pass


def rows_of(folder):
    engine = opened(str(folder / "store.sqlite"))
    with stored(engine) as store:
        slots = slots_of(FIRST)
        slots = range(slots.start, slots.start + 48 * DAYS)
        found = (
            store.orders(slots),
            store.trades(slots),
            store.readings(slots),
            store.entries(slots),
            store.origins("used", slots),
        )
    engine.dispose()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, replayed(load_setting(), plan(), folder, silent)


def test_a_period_is_settled_attested_and_audited(whole):
    folder, done = whole
    found = done.findings
    assert found.slots == 48 * DAYS
    assert found.readings == 7 * 48 * DAYS
    assert (found.roots, found.attestations) == (DAYS, 7 * DAYS)
    assert found.trades > 0
    orders, trades, readings, entries, _ = rows_of(folder)
    assert len(orders) == found.orders
    assert len(trades) == found.trades
    assert len(readings) == found.readings
    assert sum(microyen for _, _, microyen in entries) == 0


def test_killed_in_the_middle_it_goes_on_to_the_same(whole, tmp_path):
    folder, done = whole
    code = (
        "from tests.services.test_replay import *\n"
        "from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        f"    replayed(load_setting(), plan(), Path({str(tmp_path)!r}), silent)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, str(script)]
    here = {**os.environ, "PYTHONPATH": "."}
    process = subprocess.Popen(command, env=here, start_new_session=True)
    end = time.monotonic() + 60
    while _settled(tmp_path) < 48 and time.monotonic() < end and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert _settled(tmp_path) == 48
    again = replayed(load_setting(), plan(), tmp_path, silent)
    assert again.findings == done.findings
    assert rows_of(tmp_path) == rows_of(folder)
    ours, theirs = (RecordedChain(where / "chain.sqlite") for where in (tmp_path, folder))
    assert ours.block_hash(ours.height()) == theirs.block_hash(theirs.height())


def _settled(folder):
    file = folder / "chain.sqlite"
    if not file.exists():
        return 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as chain:
        try:
            found = chain.execute("select value from chain where name = 'settled'").fetchone()
        except sqlite3.OperationalError:  # it is just being made
            return 0
    return found[0] if found else 0


def test_another_replay_does_not_enter_a_folder(whole):
    folder, _ = whole
    with pytest.raises(SettingError, match="'plan', not 'none'"):
        replayed(load_setting(), plan(battery=NONE), folder, silent)
    kept = json.loads((folder / "replay.json").read_text())
    assert kept["battery"] == PLAN


def test_a_store_says_what_was_played(whole):
    folder, _ = whole
    engine = opened(str(folder / "store.sqlite"))
    with stored(engine) as store:
        said = {name: store.setting(name) for name in plan().provenance(pv_series())}
    engine.dispose()
    assert said == {
        "kind": "replay",
        "agents": "truthful",
        "seed": "test",
        "battery": "plan",
        "mode": "ahead",
        "sites": "bundled",
        "loads": LOADS_NAME,
        "pv": PV_NAME,
        "pv_gap_days": "0",
        "tariffs": "sites file",
        "exchange": "",
        "markup": "",
        "calls": "",
    }
    march = replace(plan(), first=date(2019, 3, 1), days=31)
    assert march.provenance(pv_series())["pv_gap_days"] == "3"  # 12, 13 and 19 March


def test_a_file_that_has_changed_since_is_noticed(tmp_path):
    bundled = files("orchestrator.setting").joinpath("sites.toml").read_text(encoding="utf-8")
    file = tmp_path / "sites.toml"
    file.write_text(bundled, encoding="utf-8")
    own = replace(plan(), sites=str(file))
    claim(tmp_path / "folder", own, digests(own), may_go_on=True)
    # The same text under another name is the same replay.
    claim(tmp_path / "folder", plan(), digests(plan()), may_go_on=True)
    file.write_text(bundled.replace("pv_kw = 40", "pv_kw = 41", 1), encoding="utf-8")
    with pytest.raises(SettingError, match=r"one made of other sites \(SHA-256 \w{12}..., now"):
        claim(tmp_path / "folder", own, digests(own), may_go_on=True)
    for what in ("loads", "pv", "contracts"):
        other = {**digests(plan()), what: "0" * 64}
        with pytest.raises(SettingError, match=f"made of other {what} .*now 000000000000"):
            claim(tmp_path / "folder", plan(), other, may_go_on=True)
    with pytest.raises(SettingError, match="made of other calls .SHA-256 of none, now"):
        claim(tmp_path / "folder", plan(), digests(plan(), "[]"), may_go_on=True)
    (tmp_path / "folder" / "replay.json").write_text("{}")
    with pytest.raises(SettingError, match="does not say what it is made of"):
        claim(tmp_path / "folder", plan(), digests(plan()), may_go_on=True)
    with pytest.raises(SettingError, match=r"lost\.toml must be a file"):
        digests(replace(plan(), sites="lost.toml"))


def test_on_a_node_it_comes_to_the_same_trades(whole, tmp_path):
    folder, _ = whole
    setting = load_setting()
    with anvil(beginning_of(setting, plan(days=1))) as node:
        done = replayed(setting, plan(days=1), tmp_path, silent, node)
        assert audited(node, done.market, done.origin) == done.findings
        with pytest.raises(SettingError, match="hold no replay"):
            replayed(setting, plan(days=1), tmp_path, silent, node)
    first = slots_of(FIRST)
    ours = [trade for trade, _ in rows_of(tmp_path)[1] if trade.slot in first[:46]]
    theirs = [trade for trade, _ in rows_of(folder)[1] if trade.slot in first[:46]]
    assert ours == theirs


def test_after_metering_every_trade_is_delivered(tmp_path):
    setting = with_mode(load_setting(), "after-metering")
    as_asked = plan("after-metering", days=1, agents="fixed-margin")
    done = replayed(setting, as_asked, tmp_path, silent)
    assert done.findings.slots == 48
    orders, trades, *_ = rows_of(tmp_path)
    # Sendai would pay 22 at most, as the utility takes, and wants to gain 1.
    assert {order.price for order in orders if order.site == 1 and order.side is Side.BID} == {
        21_000
    }
    assert trades
    assert all(trade.energy == delivered for trade, delivered in trades)


def test_scenarios_change_what_they_say(tmp_path):
    days = [FIRST, date(2019, 5, 8)]
    as_it_is, without = outcome(base(), days), outcome(no_battery(base()), days)
    assert as_it_is.used_wh == without.used_wh
    assert as_it_is.through_battery_wh > 0 == without.through_battery_wh
    by_rule = outcome(replace(base(), battery=RULE), days)  # it gives all away by the evening
    assert by_rule.self_sufficiency > without.self_sufficiency
    assert outcome(opposite_weekends(base()), days).used_wh != as_it_is.used_wh
    many = outcome(resampled(20)(base()), days)
    assert many.slots == 96
    assert many.orders > as_it_is.orders
    assert outcome(base(), days).to_json() == as_it_is.to_json()
    # What a battery spares shows in what is paid, hardly in what trading gains.
    assert without.with_microyen > as_it_is.with_microyen
    assert without.worn == Worn()
    assert 0 < as_it_is.worn.full_cycles < 1_000
    assert 0.5 < as_it_is.worn.capacity_left < 1
    # Ten years and more for 44 kWh at 30,000 JPY: at most 360 JPY a day.
    assert 0 < as_it_is.worn.microyen < 2 * 362 * 1_000_000
    apart = [FIRST, date(2019, 5, 9)]
    assert len(outcome(base(), apart).stored[KESENNUMA]) == 96


def test_scenarios_are_compared_with_the_setting_and_chance_with_itself():
    days = [FIRST]
    as_it_is, without = outcome(base(), days), outcome(no_battery(base()), days)
    drawn = [outcome(resampled(7, seed)(base()), days) for seed in (1, 2)]
    found = {"as it is": [as_it_is], "no battery": [without], "7 sites drawn": drawn}
    energy, money = grids(found, as_it_is, 1, Language.ENGLISH)
    cells = {row[0]: dict(zip(money.headings, row, strict=True)) for row in money.rows}
    less = "paid less than as it is JPY"
    assert cells["as it is"][less] == cells["7 sites drawn"][less] == "–"
    more = (as_it_is.with_microyen - without.with_microyen) / 1_000_000
    assert cells["no battery"][less] == f"{more:,.0f}"
    assert cells["no battery"]["batteries' wear JPY"] == "–"
    mean, deviation = cells["7 sites drawn"]["paid with Yui JPY"].split(" ± ")
    paid = [one.with_microyen / 1_000_000 for one in drawn]
    assert mean == f"{sum(paid) / 2:,.0f}"
    assert deviation == f"{abs(paid[0] - paid[1]) / 2**0.5:,.0f}"
    assert energy.markdown().splitlines()[1].startswith("| --- | ---: |")
    japanese, _ = grids(found, as_it_is, 1, Language.JAPANESE)
    assert japanese.headings[0] == "シナリオ"


def test_a_scenario_needs_days():
    with pytest.raises(SettingError, match="a day to play"):
        outcome(base(), [])


def test_a_tampered_chain_is_found_by_its_audit(whole, tmp_path):
    folder, _ = whole
    shutil.copy(folder / "chain.sqlite", tmp_path / "chain.sqlite")
    with sqlite3.connect(tmp_path / "chain.sqlite") as file:
        file.execute("update logs set data = x'00' where number = 300")
    with pytest.raises(ChainError, match="must log what the file says"):
        RecordedChain(tmp_path / "chain.sqlite").run_again()

"""One real day, 4 June 2019, from Modbus meters to statements, and what the command line says.

It is run once, ahead of the slots, and all tests look at what it left. Energies in Wh, money
in microyen.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from chain.node import NodeChain
from chain.store import Store, opened
from energy.errors import ChainError, SettingError
from energy.lots import Kind
from energy.registry import NETWORK, UTILITY
from energy.units import slot_of_day, slots_of
from orchestrator.cli import app
from orchestrator.demo import DemoDay, run_day, with_mode
from orchestrator.report import day_report
from orchestrator.setting.sites import AHEAD, Setting, load_setting
from orchestrator.statement import statement_of

DAY = date(2019, 6, 4)
SLOTS = slots_of(DAY)
EVENING = range(SLOTS[36], SLOTS[44])
CHARGING = range(SLOTS[12], SLOTS[21])
"""06:00 to 10:30: then the battery is full."""
KESENNUMA = 6


@pytest.fixture(scope="module")
def setting() -> Setting:
    return with_mode(load_setting(), AHEAD)


class Told:
    """What the day said of its progress."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int]] = []

    def __call__(self, step: str, done: int, total: int) -> None:
        self.steps.append((step, done, total))


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def day(setting: Setting, told: Told, tmp_path_factory: pytest.TempPathFactory) -> DemoDay:
    folder = tmp_path_factory.mktemp("yui") / "day"
    return asyncio.run(run_day(setting, DAY, folder, told))


@pytest.fixture(scope="module")
def engine(day: DemoDay) -> Iterator[Engine]:
    engine = opened(day.store)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> Iterator[Store]:
    with engine.connect() as connection:
        yield Store(connection)


# -- the day -------------------------------------------------------------------------------


def test_all_half_hours_are_settled(store: Store, told: Told, day: DemoDay) -> None:
    assert store.slots() == list(SLOTS)
    assert told.steps[0][0] == "chain"
    assert told.steps[-1] == ("audit", 48, 48)
    assert [done for step, done, _ in told.steps if step == "day"][-1] == 48
    assert day.deployed_by in ("brownie", "web3")


def test_every_meter_was_read_over_modbus(store: Store) -> None:
    readings = store.readings(SLOTS)
    assert [(one.slot, one.site) for one in readings] == [
        (slot, site) for slot in SLOTS for site in range(7)
    ]
    assert not any(one.quality for one in readings)


def test_the_audit_ran_everything_again(store: Store, day: DemoDay) -> None:
    findings = day.findings
    assert findings.slots == 48
    assert findings.readings == 7 * 48
    assert findings.missed == findings.corrections == 0
    assert findings.orders == len(store.orders(SLOTS))
    assert findings.signatures == findings.orders + findings.readings
    trades = store.trades(SLOTS)
    assert findings.trades == len(trades)
    assert findings.flows == len(trades) + len(store.pool(SLOTS))
    assert findings.origin_rows == len(store.origins("used", SLOTS))
    assert findings.balances == 9


def test_offices_trade_when_some_have_sun_to_spare(store: Store) -> None:
    trades = store.trades(SLOTS)
    assert sum(trade.energy for trade, _ in trades) > 100_000
    assert len({trade.seller for trade, _ in trades}) >= 3
    assert len({trade.buyer for trade, _ in trades}) >= 3
    for trade, delivered in trades:
        price = store.price(trade.slot)
        assert price is not None
        assert 8_000 < price < 22_000
        assert delivered is not None
        assert 0 <= delivered <= trade.energy


def test_the_statements_of_each_office_sum_to_what_its_meter_says(store: Store) -> None:
    used = {(one.slot, one.site): one.consumption for one in store.readings(SLOTS)}
    for site in range(7):
        stated: dict[int, int] = defaultdict(int)
        for entry in statement_of(store, site, SLOTS).rows:
            assert entry.used == used[entry.slot, site]
            assert entry.row.origin.kind is not Kind.UNEXPLAINED
            assert entry.row.origin.slot <= entry.slot
            stated[entry.slot] += entry.row.energy
        for slot in SLOTS:
            assert stated[slot] == used[slot, site]


def test_what_kesennuma_uses_in_the_evening_was_generated_on_its_roof_by_day(
    store: Store,
) -> None:
    rows = [entry.row for entry in statement_of(store, KESENNUMA, EVENING).rows]
    kept = [row for row in rows if row.through == KESENNUMA and row.origin.kind is Kind.GENERATION]
    assert {row.origin.site for row in kept} == {KESENNUMA}
    assert {row.origin.slot for row in kept} <= set(CHARGING)
    assert {row.slot for row in kept} >= set(EVENING[1:])
    # Its own roof and what the battery held before are all that it needs.
    assert sum(row.energy for row in kept) > 0.7 * sum(row.energy for row in rows)
    assert all(row.origin.kind is not Kind.GRID for row in rows)


def test_the_battery_sells_to_other_offices_in_the_evening(store: Store) -> None:
    through: dict[int, int] = defaultdict(int)
    for site in range(6):
        for row in store.origins("used", EVENING, site):
            if row.through == KESENNUMA:
                through[site] += row.energy
    assert len(through) >= 2
    assert sum(through.values()) > 1_000


def test_the_battery_gives_in_every_half_hour_of_the_evening(store: Store) -> None:
    given = [one.discharged for one in store.readings(EVENING) if one.site == KESENNUMA]
    assert len(given) == 8
    assert min(given) > 0.9 * max(given)


def test_each_wh_generated_is_used_held_lost_or_sold(store: Store) -> None:
    generated: dict[int, int] = defaultdict(int)
    for one in store.readings(SLOTS):
        generated[one.site] += one.generated
    held: dict[int, int] = defaultdict(int)
    for row in store.holdings().rows():
        if row.origin.kind is Kind.GENERATION:
            held[row.origin.site] += row.energy
    for site in range(7):
        ended = sum(row.energy for _, row in store.destinations(site, SLOTS))
        assert ended + held[site] == generated[site]


def test_money_sums_to_zero_and_no_office_is_far_worse_off(store: Store) -> None:
    entries = store.entries(SLOTS)
    assert sum(amount for _, _, amount in entries) == 0
    for slot in SLOTS:
        assert sum(amount for at, _, amount in entries if at == slot) == 0
    report = day_report(store, SLOTS)
    assert sum(one.with_microyen for one in report.money) == (
        report.utility_microyen + report.network_microyen
    )
    owed = dict.fromkeys((*range(7), UTILITY, NETWORK), 0)
    for _, account, amount in entries:
        owed[account] += amount
    assert [one.with_microyen for one in report.money] == [-owed[site] for site in range(7)]
    assert sum(one.gain_microyen for one in report.money) > 0
    assert 0 < report.self_sufficiency < 1


def test_no_chain_is_left_running(day: DemoDay) -> None:
    log = (Path(day.store).parent / "anvil.log").read_text()
    found = re.search(r"Listening on (127\.0\.0\.1:\d+)", log)
    assert found
    with pytest.raises(ChainError, match="a node must answer"):
        NodeChain(f"http://{found[1]}")


# -- the command line ----------------------------------------------------------------------


def yui(day: DemoDay, *arguments: str) -> str:
    """Return what the command line prints about the day."""
    done = CliRunner().invoke(
        app, [*arguments, "--store", day.store], env={"COLUMNS": "200", "NO_COLOR": "1"}
    )
    assert done.exit_code == 0, done.exception
    return done.stdout


def test_trades_are_listed_in_tables_and_as_json(day: DemoDay, store: Store) -> None:
    rows = json.loads(yui(day, "trades", "--json"))
    trades = store.trades(SLOTS)
    assert [(row["slot"], row["energy_wh"], row["delivered_wh"]) for row in rows] == [
        (trade.slot, trade.energy, delivered) for trade, delivered in trades
    ]
    assert {row["price_milliyen_per_kwh"] for row in rows} == {
        store.price(trade.slot) for trade, _ in trades
    }
    english, japanese = yui(day, "trades"), yui(day, "trades", "--language", "ja")
    assert "Seller" in english
    assert "Kesennuma" in english
    assert "売り手" in japanese
    assert "気仙沼" in japanese


def test_trades_of_one_office_are_found_by_its_name_in_either_language(
    day: DemoDay, setting: Setting
) -> None:
    office = setting.sites[KESENNUMA]
    one, other = (
        yui(day, "trades", "--json", "--site", name) for name in (office.name, office.name_ja)
    )
    assert one == other
    rows = json.loads(one)
    assert rows
    assert all(office.name in (row["seller"], row["buyer"]) for row in rows)


def test_a_statement_names_where_and_when_each_kwh_was_generated(
    day: DemoDay, store: Store
) -> None:
    rows = json.loads(yui(day, "statement", "--site", "kesennuma", "--json"))["rows"]
    readings = [one for one in store.readings(SLOTS) if one.site == KESENNUMA]
    assert sum(row["origin_wh"] for row in rows) == sum(one.consumption for one in readings)
    evening = [row for row in rows if slot_of_day(row["slot"]) in range(36, 44)]
    assert any(row["through_battery"] and row["kind"] == "generation" for row in evening)
    english = yui(day, "statement", "--site", "kesennuma")
    japanese = yui(day, "statement", "--site", "kesennuma", "--language", "ja")
    assert "Tue 4 June 2019" in english
    assert "2019年6月4日(火)" in japanese
    assert "自家太陽光" in japanese


def test_a_statement_of_one_half_hour_holds_only_that(day: DemoDay) -> None:
    rows = json.loads(yui(day, "statement", "--site", "6", "--slot", "2019-06-04 18:30", "--json"))[
        "rows"
    ]
    assert {row["half_hour"] for row in rows} == {"18:30-19:00"}
    assert sum(row["origin_wh"] for row in rows) == rows[0]["consumption_wh"]
    assert "18:30-19:00" in yui(day, "statement", "--site", "6", "--slot", "2019-06-04 18:30")


def test_a_trace_leads_back_to_roofs_and_forward_to_where_it_was_used(
    day: DemoDay, store: Store
) -> None:
    back = yui(day, "trace", "kesennuma", "2019-06-04 18:30")
    assert "generation" in back
    assert "through the battery of" in back
    (reading,) = [
        one for one in store.readings(range(SLOTS[24], SLOTS[25])) if one.site == KESENNUMA
    ]
    assert f"generated {reading.generated}" in (
        forward := yui(day, "trace", "kesennuma", "2019-06-04 12:00", "--forward")
    )
    assert "used at" in forward
    japanese = yui(day, "trace", "kesennuma", "2019-06-04 18:30", "--language", "ja")
    assert "気仙沼" in japanese


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["statement", "--site", "atlantis"], "a site must be one of"),
        (["statement", "--site", "kesennuma", "--day", "yesterday"], "a day must be as 2019-06-04"),
        (
            ["statement", "--site", "kesennuma", "--day", "2019-06-05"],
            "must be final for a statement",
        ),
        (["trace", "kesennuma", "25:00"], "a slot must be a number or a half hour"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(
    day: DemoDay, arguments: list[str], message: str
) -> None:
    done = CliRunner().invoke(app, [*arguments, "--store", day.store])
    assert done.exit_code == 1
    assert isinstance(done.exception, SettingError)
    assert message in str(done.exception)


def test_without_a_store_it_says_what_to_do_first(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["trades", "--store", str(tmp_path / "none.sqlite")])
    assert isinstance(done.exception, SettingError)
    assert "run `yui demo` first" in str(done.exception)

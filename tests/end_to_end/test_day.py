"""One real day, 4 June 2019, from Modbus meters to statements, and what the command line says.

It is run once, ahead of the slots, and all tests look at what it left. Energies in Wh, money
in microyen.
"""

from __future__ import annotations

import asyncio
import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner
from weasyprint import HTML

from chain.attesting import day_tree
from chain.node import NodeChain
from chain.store import Store, opened
from energy.errors import ChainError, SettingError
from energy.lots import Kind
from energy.merkle import leaf_of
from energy.registry import NETWORK, UTILITY
from energy.units import slot_of_day, slots_of
from orchestrator.cli import app
from orchestrator.demo.day import DemoDay, run_day
from orchestrator.setting.sites import AHEAD, Setting, load_setting, with_mode
from orchestrator.statements.day import day_report
from orchestrator.statements.page import html_of
from orchestrator.statements.statement import statement_of
from orchestrator.words import Language

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
    assert day.deployed_by == "brownie"


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
    assert findings.signatures == findings.orders + findings.readings + findings.attestations
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
    assert "seller" in english
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


def test_each_site_attested_the_days_root_by_itself(store: Store, day: DemoDay) -> None:
    assert (day.findings.roots, day.findings.attestations) == (1, 7)
    said = json.loads(yui(day, "statement", "--site", "6", "--json"))
    assert said["roots"] == {"2019-06-04": "0x" + day_tree(store, DAY).root.hex()}
    leaves = {row["leaf"] for row in said["rows"]}
    used = [row for row in store.origins("used", SLOTS) if row.site == KESENNUMA]
    assert leaves == {"0x" + leaf_of(row).hex() for row in used}


def test_what_a_site_paid_is_told_by_component(store: Store) -> None:
    for site in range(7):
        costs = statement_of(store, site, SLOTS).costs
        owed = sum(amount for _, account, amount in store.entries(SLOTS) if account == site)
        assert costs.total == -owed
        trades = [trade for trade, _ in store.trades(SLOTS)]
        assert costs.bought == sum(
            one.energy * (store.price(one.slot) or 0) for one in trades if one.buyer == site
        )
    sendai = statement_of(store, 1, SLOTS)
    assert sendai.costs.bought > 0
    # What it has of other offices: from their roofs, and of the battery's first stock.
    assert sendai.costs.fees == 1_000 * (sendai.energies.offices + sendai.energies.initial)


def test_a_statements_totals_are_those_of_its_rows(day: DemoDay) -> None:
    said = json.loads(yui(day, "statement", "--site", "1", "--month", "2019-06", "--json"))
    energies = said["energies_wh"]
    assert energies["used"] == sum(row["origin_wh"] for row in said["rows"])
    assert energies["used"] == energies["renewable"] + energies["grid"] + energies["initial"]
    through = [row for row in said["rows"] if row["through_battery"]]
    assert energies["through_battery"] == sum(row["origin_wh"] for row in through) > 0
    assert energies["battery_loss"] > 0.1 * energies["through_battery"]
    # The month is not over: its other days are open, and said to be.
    assert len(said["slots_not_final"]) == 26 * 48
    assert "1248 half hours are not final yet" in yui(
        day, "statement", "--site", "1", "--month", "2019-06"
    )


def test_a_statement_is_written_as_csv(day: DemoDay) -> None:
    arguments = ("statement", "--site", "6", "--slot", "2019-06-04 18:30", "--language", "ja")
    lines = list(csv.reader(yui(day, *arguments, "--csv").splitlines()))
    assert lines[0][:3] == ["消費日時", "消費量(kWh)", "電力供給元"]
    assert all(line[0] == "2019年6月4日 18:30-19:00" for line in lines[1:])
    assert sum(float(line[5]) for line in lines[1:]) == pytest.approx(float(lines[1][1]))


@pytest.mark.parametrize("span", [["--slot", "2019-06-04 18:30"], ["--day", "2019-06-04"]])
def test_a_statement_is_printed_on_one_page(
    day: DemoDay, store: Store, tmp_path: Path, span: list[str]
) -> None:
    pdf = tmp_path / "statement.pdf"
    assert yui(day, "statement", "--site", "6", *span, "--pdf", str(pdf)).strip() == str(pdf)
    assert pdf.read_bytes().startswith(b"%PDF")
    slots = SLOTS if span[0] == "--day" else range(SLOTS[37], SLOTS[38])
    names = dict(enumerate("ABCDEFG"))
    roots = {"2019-06-04": "0x" + day_tree(store, DAY).root.hex()}
    page = html_of(statement_of(store, 6, slots), names, Language.JAPANESE, roots)
    assert "電力供給元証明書" in page
    assert roots["2019-06-04"] in page
    assert len(HTML(string=page).render().pages) == 1


def test_where_a_sites_energy_went_sums_to_what_it_generated(day: DemoDay, store: Store) -> None:
    ended = json.loads(yui(day, "statement", "--generator", "Tome", "--json"))
    generated = sum(one.generated for one in store.readings(SLOTS) if one.site == 4)
    assert sum(row["energy_wh"] for row in ended) == generated
    assert {"used", "utility"} <= {row["end"] for row in ended}
    assert "売電" in yui(day, "statement", "--generator", "登米", "--language", "ja")


def test_a_trace_follows_a_range_of_wh(day: DemoDay) -> None:
    slot = "2019-06-04 18:30"
    whole = json.loads(yui(day, "trace", "kesennuma", slot, "--json"))
    parts = [step["energy"] for step in whole["from"] if step["step"] == "part"]
    assert sum(parts) == whole["energy"]
    one = json.loads(
        yui(
            day,
            "trace",
            "kesennuma",
            slot,
            "--from",
            str(parts[0] - 1),
            "--to",
            str(parts[0] + 1),
            "--json",
        )
    )
    assert [step["energy"] for step in one["from"] if step["step"] == "part"] == [1, 1]


def test_a_trace_leads_back_to_roofs_and_forward_to_where_it_was_used(
    day: DemoDay, store: Store
) -> None:
    back = yui(day, "trace", "kesennuma", "2019-06-04 18:30")
    assert "solar" in back
    assert "through the battery of" in back
    (reading,) = [
        one for one in store.readings(range(SLOTS[24], SLOTS[25])) if one.site == KESENNUMA
    ]
    assert f"generated {reading.generated}" in (
        forward := yui(day, "trace", "kesennuma", "2019-06-04 12:00", "--forward")
    )
    assert "kWh used: " in forward
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
        (["trace", "kesennuma", "25:00"], "a half hour must be a slot's number"),
        (["trace", "6", "2019-06-04 18:30", "--to", "9999999"], "a range of Wh must be within 0"),
        (["statement"], "one of --site and --generator must be given"),
        (["statement", "--site", "6", "--month", "2019-13"], "a month must be one of the calendar"),
        (["statement", "--generator", "6", "--pdf", "x.pdf"], "--pdf must go with --site"),
        (
            ["statement", "--site", "6", "--day", "2019-06-04", "--month", "2019-06"],
            "at most one of --slot, --day and --month",
        ),
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

"""What a call came to, from signed readings on a chain: the real contract, a real store.

Three offices answer a call on Friday 14 June 2019, 14:00 to 15:00; the numbers are worked by hand.
Energies in Wh a half hour.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import date

import pytest
from typer.testing import CliRunner

from chain.indexer import indexed
from chain.market import MarketContract
from chain.recorded import RecordedChain
from chain.store import opened, stored
from chain.writer import written
from energy.market import MarketRules
from energy.messages import address_of, sign
from energy.records import Reading
from energy.registry import Ratings, Tariff
from energy.units import SLOT_SECONDS, slots_of
from orchestrator.cli import app
from tests.desk import key
from tests.services.conftest import FreshStore
from tests.steered import Battery, Clock, MemoryRoom
from tests.vtn import check
from vpp.calls.adr_reports import result
from vpp.calls.baseline import ReverseFlow
from vpp.calls.call import Basis, Call, Direction, Product, State, Step
from vpp.calls.desk import Desk
from vpp.calls.evidence import fulfilled
from vpp.calls.store import CallStore

DAY = date(2019, 6, 14)
EARLIER = [date(2019, 6, day) for day in (7, 10, 11, 12, 13)]
FIRST = slots_of(DAY)[28]
WINDOW = range(FIRST, FIRST + 2)
START = FIRST * SLOT_SECONDS
OFFICES = 3
USED = 10_000
"""What each office takes from the grid in a half hour."""
RATINGS = Ratings(40_000, 800, 800, 200, 400, 900)


def readings_of(gives):
    """Sites take 10 kWh on each day before, and on the day as much less as their batteries give."""
    morning = range(FIRST - 10, FIRST - 4)
    found = []
    for day in EARLIER:
        back = slots_of(DAY).start - slots_of(day).start
        found += [
            Reading(slot - back, site, imported=USED)
            for slot in (*morning, *WINDOW)
            for site in range(OFFICES)
        ]
    # In the morning each takes 1 kWh more than usual: so it would have in the afternoon.
    found += [
        Reading(slot, site, imported=USED + 1_000) for slot in morning for site in range(OFFICES)
    ]
    for slot in WINDOW:
        for site in range(OFFICES):
            wh = gives[site]
            if wh is None:
                continue
            flow = USED + 1_000 - wh
            found.append(
                Reading(slot, site, imported=max(flow, 0), exported=max(-flow, 0), discharged=wh)
            )
    return sorted(found, key=lambda each: each.slot)


def pushed(chain, market, readings):
    by_slot: dict[int, list[Reading]] = {}
    for each in readings:
        by_slot.setdefault(each.slot, []).append(each)
    for slot, its in sorted(by_slot.items()):
        chain.set_time(max(chain.now(), (slot + 1) * SLOT_SECONDS))
        signatures = [sign(each, market.domain, key("oracle", each.site)) for each in its]
        market.push(its, signatures)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A chain with the readings of all days but the call's, which each test pushes by itself."""
    first = slots_of(EARLIER[0]).start - 10
    chain = RecordedChain(tmp_path_factory.mktemp("chain") / "chain.sqlite", first * SLOT_SECONDS)
    market = MarketContract.deployed(chain, chain.sender, MarketRules(first, 4, 900, 600, False))
    market.enact_tariff(first + 5, [Tariff(22_000, 8_000, 1_000)] * 48)
    for site in range(OFFICES):
        trader, oracle = address_of(key("trader", site)), address_of(key("oracle", site))
        market.enrol(first + 5, trader, oracle, RATINGS)
    pushed(chain, market, [each for each in readings_of((0, 0, 0)) if each.slot not in WINDOW])
    return chain, market


GIVES = (5_000, 5_000, 3_000)
TERMS = Product(
    "tertiary-2", price_kwh=30_000, price_kw=2_000, penalty=1.5, tolerance=0.1, response_seconds=0
)


def a_call(product=TERMS):
    steps = (Step(START, START + 3600, 30_000),)
    return Call("evening", Direction.UP, steps, START - 600, product)


def served(folder, call):
    """The desk leads the call through, with sites in memory; it is 10 kW a site."""
    clock = Clock(START - 600)
    sites = [Battery(number, clock, load_w=22_000, capacity_wh=60_000) for number in range(OFFICES)]
    for site in sites:
        site.stored_wh = 40_000
    sites[2].gives = 0.6
    store = CallStore.at(str(folder / "calls.sqlite"), durable=False)
    desk = Desk(store, MemoryRoom(sites), planned=lambda site, slot: 0, clock=clock)

    async def hour():
        await desk.receive(call)
        for _ in range(4260 // 20):
            await desk.round()
            await desk.teller.idle()
            for site in sites:
                site.live(20)
            clock.time += 20

    asyncio.run(hour())
    return store


@pytest.fixture(scope="module")
def settled(town, tmp_path_factory):
    folder = tmp_path_factory.mktemp("settled")
    chain, market = town
    calls = served(folder, a_call())
    pushed(chain, market, [each for each in readings_of(GIVES) if each.slot in WINDOW])
    engine = opened(str(folder / "store.sqlite"))
    indexed(engine, chain, market.address)
    with written(engine) as store:
        names = {str(n): [f"Office {n}", f"第{n}庁舎"] for n in range(OFFICES)}
        store.set("names", json.dumps(names))
    return folder, calls, engine


def the_report(settled, **options):
    _, calls, engine = settled
    with stored(engine) as store:
        return fulfilled(calls, store, "evening", **options)


def test_the_report_is_what_the_hand_comes_to(settled):
    report = the_report(settled)
    assert report.kept.state is State.ENDED
    assert report.sites == (0, 1, 2)
    # Baseline: 10 kWh, and 1 kWh for the day. What was less than 11 kWh is delivered.
    for site in range(OFFICES):
        baseline = report.baselines[site]
        assert baseline.adjustment_wh == 1_000
        assert baseline.wh == dict.fromkeys(WINDOW, 11_000)
    assert [line.meter_wh for line in report.lines] == [13_000, 13_000]
    assert [line.plan_wh for line in report.lines] == [13_000, 13_000]
    assert [line.asked_wh for line in report.lines] == [15_000, 15_000]
    # 90 % of 15 kWh is 13.5: 0.5 kWh are missing, 1 kW for a half hour.
    assert [line.missing_wh for line in report.lines] == [500, 500]
    for line in report.lines:
        assert line.energy_microyen == 30_000 * 13_000  # 390 JPY
        assert line.ready_microyen == 2_000 * 30_000  # 60 JPY
        assert line.penalty_microyen == 1.5 * 2_000 * 1_000  # 3 JPY
    assert report.paid_microyen == 2 * 447_000_000
    assert report.settled


def test_each_minute_is_seen_by_the_sites_reports(settled):
    report = the_report(settled)
    assert len(report.minutes) == 60
    middle = report.minutes[30]
    assert (middle.asked_w, middle.sites) == (30_000, 3)
    # 10 + 10 + 6 kW out of batteries; at the meters 22 - 10, 22 - 10 and 22 - 6 kW of 22 usual.
    assert middle.plan_w == pytest.approx(26_000)
    assert middle.meter_w == pytest.approx(26_000)


def test_each_minute_of_each_site_is_there(settled):
    report = the_report(settled)
    assert len(report.site_minutes) == 60 * OFFICES
    weak = next(each for each in report.site_minutes if each.site == 2)
    assert (weak.battery_w, weak.plan_w) == (6_000, 6_000)
    # 26 kW are less than 90 % of 30.
    assert report.reached_seconds is None


def test_a_call_that_nobody_served_is_missing_as_a_whole(tmp_path):
    store = CallStore.at(str(tmp_path / "calls.sqlite"), durable=False)
    store.add(a_call(), START)
    store.set_state("evening", State.ENDED, START + 3600)
    engine = opened(str(tmp_path / "empty.sqlite"))
    with stored(engine) as chain:
        report = fulfilled(store, chain, "evening")
    assert [line.missing_wh for line in report.lines] == [13_500, 13_500]
    assert report.paid_microyen == 2 * (60_000_000 - round(1.5 * 2_000 * 27_000))
    assert report.settled
    engine.dispose()


def test_answers_are_timed(settled):
    answered = the_report(settled).answered
    assert (answered.refused, answered.silent) == (0, 0)
    assert answered.slowest_answer == 0
    # At the beginning of the call, as soon as the desk looks.
    assert answered.first_change == 0


def test_without_readings_a_half_hour_stays_open_and_is_nobodys_fault(town, tmp_path):
    calls = served(tmp_path, a_call())
    engine = opened(str(tmp_path / "empty.sqlite"))
    with stored(engine) as store:
        report = fulfilled(calls, store, "evening")
    assert not report.settled
    assert [line.delivered_wh for line in report.lines] == [None, None]
    assert [line.penalty_microyen for line in report.lines] == [0, 0]
    engine.dispose()


def test_the_command_prints_tables_json_csv_and_a_page(settled, tmp_path):
    folder, _, _ = settled
    stores = ["--calls", str(folder / "calls.sqlite"), "--store", str(folder / "store.sqlite")]

    def run(*arguments):
        answer = CliRunner().invoke(app, ["calls", *arguments])
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    page = tmp_path / "report.md"
    text = run("report", "evening", *stores, "--markdown", str(page))
    assert "Office 2" in text
    assert "894.00" in text
    assert "| Paid, less penalties | 894.00 JPY |" in page.read_text()
    assert "調整指令 evening: 終了" in run("report", "evening", *stores, "--language", "ja")
    whole = json.loads(run("report", "evening", *stores, "--json"))
    assert whole["delivered_wh"] == 26_000
    assert whole["baselines"]["Office 0"]["days"] == [
        "2019-06-10",
        "2019-06-11",
        "2019-06-12",
        "2019-06-13",
    ]
    rows = list(csv.DictReader(io.StringIO(run("report", "evening", *stores, "--csv"))))
    assert [row["delivered_wh"] for row in rows] == ["13000", "13000"]
    rows = list(
        csv.DictReader(io.StringIO(run("report", "evening", *stores, "--csv", "--by", "site")))
    )
    assert rows[0]["meter_baseline_wh"] == "11000"
    assert len(rows) == 2 * OFFICES
    rows = list(
        csv.DictReader(io.StringIO(run("report", "evening", *stores, "--csv", "--by", "minute")))
    )
    assert len(rows) == 60
    text = run("report", "evening", *stores, "--csv", "--by", "site-minute")
    assert len(list(csv.DictReader(io.StringIO(text)))) == 60 * OFFICES
    assert "evening" in run("list", *stores[:2])
    assert json.loads(run("list", *stores[:2], "--json"))[0]["most_w"] == 30_000
    assert "running" in run("show", "evening", *stores)
    assert json.loads(run("show", "evening", *stores, "--json"))["state"] == "ended"
    answer = CliRunner().invoke(app, ["calls", "report", "evening", *stores, "--by", "year"])
    assert "--by must be half-hour, site, minute or site-minute" in str(answer.exception)


def test_the_grid_is_reported_the_same(settled):
    document = result(the_report(settled), {0: "Office 0"}, "miyagi")
    check("reportRequest", document | {"eventID": "e"})
    together = next(r for r in document["resources"] if r["resourceName"] == "AGGREGATED_REPORT")
    assert together["intervals"][0]["payloads"] == [{"type": "DELTA_USAGE", "values": [-13.0]}]
    office = next(r for r in document["resources"] if r["resourceName"] == "Office 0")
    values = {each["type"]: each["values"][0] for each in office["intervals"][0]["payloads"]}
    assert values == {"BASELINE": 11.0, "USAGE": 6.0, "DELTA_USAGE": -5.0}


def test_exports_count_or_not(town, tmp_path):
    chain, market = town
    calls = served(tmp_path, a_call(Product("t", basis=Basis.METER)))
    engine = opened(str(tmp_path / "store.sqlite"))
    indexed(engine, chain, market.address)
    with written(engine) as store:
        # A later revision says that office 0 sent out 4 kWh in the first half hour.
        store.put_readings(
            10**6, [Reading(FIRST, 0, exported=4_000, discharged=15_000, revision=1)]
        )
    with stored(engine) as store:
        counted = fulfilled(calls, store, "evening", ReverseFlow.COUNTED)
        cut = fulfilled(calls, store, "evening", ReverseFlow.CUT)
    for report, delivered in ((counted, 15_000), (cut, 11_000)):
        found = [each.meter for each in report.by_site if (each.slot, each.site) == (FIRST, 0)]
        assert [each.delivered_wh for each in found if each] == [delivered]
    engine.dispose()


def test_the_store_of_calls_is_the_same_on_each_kind_of_database(fresh_store: FreshStore):
    url = fresh_store()
    store = CallStore.at(url)
    store.add(a_call(), START)
    again = CallStore.at(url)
    assert again.call("evening").call == a_call()
    again.write("evening", START, "fault", "why", site=3)
    assert again.journal("evening")[0].site == 3
    battery = Battery(0, Clock(START))
    for _ in range(3):
        again.sample([battery.report()], START)
    (minute,) = again.minutes([0], START, START + 60)
    assert (minute.samples, minute.imported_w) == (3, 3_000)
    again.plan("evening", {(0, FIRST): 5})
    again.plan("evening", {(0, FIRST): 6, (1, FIRST): 7})
    assert again.plans("evening") == {(0, FIRST): 5, (1, FIRST): 7}

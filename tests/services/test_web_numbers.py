"""What stands on the pages in a real browser is what the store says, in both languages."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from bench.serving import serving
from chain.attesting import day_tree
from chain.database import opened_to_read
from chain.store import stored
from energy.lots import Kind
from energy.registry import UTILITY
from orchestrator.setting.sites import load_setting
from orchestrator.statements.day import day_report
from orchestrator.statements.statement import statement_of
from orchestrator.web.desk import Desk
from orchestrator.web.reads import Ref
from orchestrator.web.words import name_of, say
from orchestrator.words import Language
from tests.room import room_of
from tests.web import DAY, KESENNUMA, NOON, SLOTS
from vpp.room.store import Standing, records

CHROMIUM = Path("/usr/bin/chromium")
FACTS = """() => Object.fromEntries([...document.querySelectorAll('.fact')].map(fact => [
  fact.querySelector('dt').textContent.trim(),
  fact.querySelector('dd').firstChild.textContent.trim(),
]))"""
ROWS = """label => [...document.querySelectorAll('[role=region]')]
  .filter(one => one.getAttribute('aria-label') === label)
  .flatMap(one => [...one.querySelectorAll('tbody tr')])
  .map(row => [...row.cells].map(cell => cell.textContent.trim()))"""
pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason="needs Chromium: apt install chromium"
)


class Shown:
    """A page as somebody who reads a language sees it: its facts and rows by their names."""

    def __init__(self, page: Page, address: str, language: Language) -> None:
        self.page, self.address, self.language = page, address, language
        self.facts: dict[str, str] = {}

    def go(self, where: str) -> None:
        self.page.goto(self.address + where)
        self.facts = self.page.evaluate(FACTS)

    def say(self, word: str, **values: object) -> str:
        return say(self.language, word, **values)

    def fact(self, word: str) -> str:
        return self.facts[self.say(word)]

    def row(self, label: str, name: str) -> list[str]:
        """Return the cells of the one row of a name, without it."""
        (found,) = [cells[1:] for cells in self.page.evaluate(ROWS, label) if cells[0] == name]
        return found


def kwh(wh: int, digits: int = 3) -> str:
    return f"{wh / 1000:,.{digits}f}"


def yen(microyen: int, digits: int = 2) -> str:
    return f"{microyen / 1e6:,.{digits}f}".replace("-", "−")


@pytest.fixture(scope="module")
def engine(played_day):
    found = opened_to_read(str(played_day / "store.sqlite"))
    yield found
    found.dispose()


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    found = room_of(str(tmp_path_factory.mktemp("room") / "room.sqlite"), 40, int(time.time()))
    yield found
    found.dispose()


@pytest.fixture(scope="module", params=list(Language))
def shown(request, engine, room, played_day):
    desk = Desk(engine, load_setting(), audit=played_day / "audit.state", room=room)
    with serving(desk) as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(locale=str(request.param))
        yield Shown(page, address, request.param)
        browser.close()


@pytest.fixture(scope="module")
def store(engine):
    with stored(engine) as found:
        yield found


def name(shown: Shown, number: int) -> str:
    site = load_setting().sites[number]
    return name_of(shown.language, Ref(number, site.name, site.name_ja))


def test_the_map_page_has_the_half_hours_sums_and_readings(shown, store):
    shown.go(f"/now?at={NOON}")
    span = range(NOON, NOON + 1)
    report = day_report(store, span)
    assert shown.fact("price") == f"{store.price(NOON) / 1000:.2f}"
    assert shown.fact("traded") == kwh(report.traded_wh)
    assert shown.fact("used") == kwh(report.used_wh)
    assert shown.fact("generated") == kwh(report.generated_wh)
    (reading,) = store.readings(span, KESENNUMA)
    cells = shown.row(shown.say("offices"), name(shown, KESENNUMA))
    assert cells[:7] == [
        kwh(reading.consumption),
        *(kwh(wh) for wh in (reading.generated, reading.imported, reading.exported)),
        *(kwh(wh) for wh in (reading.charged, reading.discharged, reading.stored)),
    ]
    flow = max(store.flows(span), key=lambda flow: flow.energy)
    label = shown.say("flows")
    first = shown.page.evaluate(ROWS, label)[0]
    assert [first[0], first[1], first[3]] == [
        name(shown, flow.seller), name(shown, flow.buyer), kwh(flow.energy),
    ]  # fmt: skip


def test_the_half_hours_page_has_its_price_trades_and_accounts(shown, store):
    shown.go(f"/slot/{NOON}")
    span = range(NOON, NOON + 1)
    trades = store.trades(span)
    assert shown.fact("price") == f"{store.price(NOON) / 1000:.2f}"
    assert shown.fact("traded") == kwh(sum(trade.energy for trade, _ in trades))
    assert shown.fact("delivered") == kwh(sum(done or 0 for _, done in trades))
    assert shown.fact("orders") == str(len(store.orders(span)))
    for account, called in (
        (KESENNUMA, name(shown, KESENNUMA)),
        (UTILITY, {"en": "Utility", "ja": "電力会社"}[shown.language]),
    ):
        owed = sum(microyen for _, _, microyen in store.entries(span, account))
        assert shown.row(shown.say("settlement"), called) == [yen(owed)]
    (reading,) = store.readings(span, KESENNUMA)
    label = f"{shown.say('readings')}, kWh"
    assert shown.row(label, name(shown, KESENNUMA))[0] == kwh(reading.consumption)


def test_the_offices_page_has_its_statements_energies_and_money(shown, store):
    shown.go(f"/site/{KESENNUMA}?day={DAY}")
    statement = statement_of(store, KESENNUMA, SLOTS)
    energies, costs = statement.energies, statement.costs
    generated = sum(reading.generated for reading in store.readings(SLOTS, KESENNUMA))
    assert shown.fact("used") == kwh(energies.used, 1)
    assert shown.fact("generated") == kwh(generated, 1)
    assert shown.fact("renewable") == f"{100 * energies.renewable / energies.used:.1f} %"
    assert shown.fact("received" if costs.total < 0 else "paid") == yen(abs(costs.total), 0)
    money = f"{shown.say('money')}, {shown.say('jpy')}"
    assert shown.row(money, shown.say("bill_fees")) == [yen(costs.fees)]
    came = sum(
        row.energy
        for row in store.origins("used", SLOTS, KESENNUMA)
        if (row.origin.kind, row.origin.site) == (Kind.GENERATION, 0)
    )
    cells = shown.row(f"{shown.say('neighbours')}, kWh", name(shown, 0))
    assert cells[0] == kwh(came)


def test_the_batterys_page_has_what_was_metered(shown, store):
    shown.go(f"/battery/{KESENNUMA}?day={DAY}")
    readings = store.readings(SLOTS, KESENNUMA)
    assert shown.fact("charged") == kwh(sum(one.charged for one in readings), 1)
    assert shown.fact("discharged") == kwh(sum(one.discharged for one in readings), 1)


def test_the_fleets_page_has_what_the_room_knows(shown, room):
    shown.go("/fleet")
    with records(room) as read:
        states = read.states()
    # Since the reports were made, all may have been lost: who was heard of is never unheard.
    unheard = sum(state.standing(time.time()) is Standing.UNHEARD for state in states)
    alive, _, registered = shown.fact("standing_alive").partition(" / ")
    assert int(registered) == len(states)
    assert unheard <= int(shown.fact("standing_lost")) == len(states) - int(alive)
    assert shown.fact("alarms") == str(sum(bool(s.report and s.report.alarms) for s in states))
    state, report = next((s, s.report) for s in states if s.report and s.report.alarms)
    assert report.charge_share is not None
    assert report.battery_w is not None
    called = state.name_ja if shown.language is Language.JAPANESE else state.name
    cells = shown.row(shown.say("fleet"), called)
    assert cells[3].endswith("51 °C")
    assert cells[5] == f"{100 * report.charge_share:.1f} %"
    assert cells[6] == f"{report.battery_w / 1000:.1f}".replace("-", "−")


def test_the_audits_page_has_its_counts_and_the_days_root(shown, store):
    shown.go(f"/audit?day={DAY}")
    assert shown.fact("newest_block") == f"{store.last_block()[0]:,}"
    assert shown.fact("settled_slots") == str(len(store.slots()))
    cells = shown.row(shown.say("checks_of_day"), shown.say("check_ledger"))
    assert cells[0] == f"{len(store.slots(SLOTS))} / {len(SLOTS)}"
    root = "0x" + day_tree(store, DAY).root.hex()
    assert shown.page.get_by_text(root, exact=True).count() == 1
    attested = shown.row(shown.say("attested_by"), name(shown, KESENNUMA))
    assert attested[0] == root[: len(attested[0]) - 1] + "…"

"""The pages over a replayed store: numbers as the store has them, in a real browser as well."""

import socket
import threading
import time
from datetime import date
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Response, sync_playwright
from starlette.testclient import TestClient
from typer.testing import CliRunner

from chain.database import opened
from chain.store import stored
from energy.units import slots_of
from orchestrator.cli import app as program
from orchestrator.replay.period import Plan, replayed
from orchestrator.report import day_report
from orchestrator.setting.sites import load_setting
from orchestrator.steering.steering import RULE
from orchestrator.web.app import application
from orchestrator.web.cli import is_loopback
from orchestrator.web.desk import Desk
from orchestrator.web.pages import PAGES

DAY = date(2019, 6, 4)
SLOTS = slots_of(DAY)
NOON, EVENING = SLOTS[24], SLOTS[37]
CHROMIUM = Path("/usr/bin/chromium")
MOST_BYTES = 200_000
ADDRESSES = (
    f"/now?at={NOON}",
    f"/slot/{EVENING}",
    f"/site/6?day={DAY}",
    "/site/1?month=2019-06",
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    setting = load_setting()
    plan = Plan(DAY, 1, RULE, setting.market.mode, "web", "bundled")
    replayed(setting, plan, folder, lambda *_: None)
    engine = opened(str(folder / "store.sqlite"))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def client(engine):
    return TestClient(application(Desk(engine, load_setting())))


def test_now_shows_the_flows_and_sums_of_the_half_hour(engine, client):
    shown = client.get(f"/now.json?at={NOON}").json()
    with stored(engine) as store:
        span = range(NOON, NOON + 1)
        report = day_report(store, span)
        flows = store.flows(span)
    assert shown["used_wh"] == report.used_wh
    assert shown["generated_wh"] == report.generated_wh
    assert shown["traded_wh"] == report.traded_wh > 0
    assert sum(flow["energy_wh"] for flow in shown["flows"]) == sum(flow.energy for flow in flows)
    assert len(shown["offices"]) == 7


def test_a_half_hour_is_shown_with_its_book_and_its_proof(engine, client):
    shown = client.get(f"/slot/{NOON}.json").json()
    with stored(engine) as store:
        span = range(NOON, NOON + 1)
        orders, price = store.orders(span), store.price(NOON)
        entries = store.entries(span)
    assert len(shown["orders"]) == len(orders)
    assert shown["price_milliyen_per_kwh"] == price
    assert sum(entry["microyen"] for entry in shown["entries"]) == 0
    assert len(shown["entries"]) == len(entries)
    assert shown["proof"]["is_recomputed"] is True
    assert shown["proof"]["is_final"] is True
    page = client.get(f"/slot/{NOON}").text
    assert f"{(price or 0) / 1000:.2f}" in page


def test_an_office_is_shown_by_origin_and_destination(engine, client):
    shown = client.get(f"/site/6.json?day={DAY}").json()
    with stored(engine) as store:
        used = [row for row in store.origins("used", SLOTS) if row.site == 6]
    assert shown["used_wh"] == sum(row.energy for row in used)
    through = sum(row.energy for row in used if row.through is not None)
    assert shown["through_battery_wh"] == through > 0
    month = client.get("/site/6.json?month=2019-06").json()
    assert month["used_wh"] == shown["used_wh"]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(("language", "word"), [("en", "kWh"), ("ja", "庁舎")])
def test_pages_speak_both_languages_and_remember_which(client, address, language, word):
    page = client.get(address, headers={"accept-language": language})
    assert page.status_code == 200
    assert f'<html lang="{language}">' in page.text
    assert word in page.text
    other = "ja" if language == "en" else "en"
    joint = "&" if "?" in address else "?"
    switched = TestClient(client.app).get(f"{address}{joint}language={other}")
    assert f'<html lang="{other}">' in switched.text


@pytest.mark.parametrize("address", ADDRESSES)
def test_each_page_keeps_others_out_and_is_not_sent_twice(client, address):
    page = client.get(address)
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    again = client.get(address, headers={"if-none-match": page.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("address", "status", "told"),
    [
        ("/slot/nonsense", 404, "slot must be a number"),
        ("/site/77", 400, "one of the market"),
        ("/site/0?day=2019-6-4", 400, "day must be as 2019-06-04"),
        ("/site/0?month=2019-13", 400, "month must be as 2019-06"),
        ("/now?at=-1", 400, "must be a number"),
        ("/nowhere", 404, "Not Found"),
        ("/now?language=fr", 400, "language must be one of"),
    ],
)
def test_nonsense_is_answered_by_name(client, address, status, told):
    page = client.get(address)
    assert page.status_code == status
    assert told in page.text.replace("&#39;", "'")


def test_a_half_hour_that_is_not_there_is_empty_and_no_error(client):
    page = client.get(f"/slot/{SLOTS[0] - 4000}")
    assert page.status_code == 200


def test_load_can_be_kept_from_the_pages(engine):
    hidden = TestClient(application(Desk(engine, load_setting(), hides_load=True)))
    readings = hidden.get(f"/slot/{NOON}.json").json()["readings"]
    assert all(reading["used_wh"] is None for reading in readings)
    assert hidden.get(f"/site/6.json?day={DAY}").json()["is_shown"] is False


def test_the_pages_are_for_this_machine_unless_it_is_said():
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("desk.example")
    refused = CliRunner().invoke(program, ["web", "--host", "0.0.0.0"])
    assert "--host must be a loopback address, got 0.0.0.0" in str(refused.exception)
    absent = CliRunner().invoke(program, ["web", "--store", "/nowhere/store.sqlite"])
    assert "must be a store" in str(absent.exception)


@pytest.fixture(scope="module")
def address(engine):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    desk = application(Desk(engine, load_setting()))
    server = uvicorn.Server(uvicorn.Config(desk, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium: apt install chromium")
@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_browser_shows_every_page_without_complaint(address, language):
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for width in (1280, 390):
            walk(browser, address, language, width)
        browser.close()


def walk(browser, address, language, width):
    context = browser.new_context(locale=language, viewport={"width": width, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    answers: list[Response] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda answer: answers.append(answer))
    for where in ADDRESSES:
        answers.clear()
        page.goto(address + where)
        assert sum([len(answer.body()) for answer in answers]) <= MOST_BYTES, where
        assert page.locator("html").get_attribute("lang") == language
        assert page.locator("svg[role=img]").count() >= 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width, where
    assert complaints == []
    context.close()


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium: apt install chromium")
def test_the_day_is_played_by_its_slider(address):
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(locale="en")
        page.goto(f"{address}/now?at={NOON}")
        assert "12:00-12:30" in page.locator("h1").inner_text()
        page.locator("#play").click()
        page.locator("h1", has_text="12:30-13:00").wait_for()
        browser.close()


def test_every_page_is_in_the_list():
    assert [page.name for page in PAGES] == ["now", "slot", "site"]

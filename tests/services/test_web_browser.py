"""The pages in a real browser: whole, light, within reach of keyboard and screen reader."""

import shutil
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, sync_playwright
from sqlalchemy import delete

from bench.serving import serving
from chain import tables
from chain.database import opened, opened_to_read, writing
from chain.writer import written
from energy.units import SLOT_SECONDS
from orchestrator.setting.sites import load_setting
from orchestrator.web.access.access import Access
from orchestrator.web.desk import Desk
from orchestrator.web.viewer import Role
from tests.room import room_of
from tests.web import ADDRESSES, DAY, KESENNUMA, NOON, SLOTS

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
MOST_BYTES = 200_000
PASSWORD = "seven roofs one river"
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
REACH = "a[href], button, input, select, summary, [tabindex='0']"
COUNTED = "reach => [...document.querySelectorAll(reach)].filter(e => e.checkVisibility()).length"
FOCUSED = """() => {
  const one = document.activeElement;
  if (one === document.body) return null;
  const fresh = one.dataset.seen === undefined;
  one.dataset.seen = "yes";
  const style = getComputedStyle(one);
  return [fresh, style.outlineStyle, parseFloat(style.outlineWidth)];
}"""
BEYOND_THE_EDGE = """() => [...document.querySelectorAll('.wide')]
  .filter(one => one.scrollWidth > one.clientWidth).map(one => one.ariaLabel)"""
ALL = (*ADDRESSES, f"/site/{KESENNUMA}/statement?day={DAY}", "/nowhere")

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason="needs Chromium: apt install chromium"
)


@pytest.fixture(scope="module")
def address(played_day, tmp_path_factory):
    engine = opened_to_read(str(played_day / "store.sqlite"))
    room = room_of(str(tmp_path_factory.mktemp("room") / "room.sqlite"), 120, int(time.time()))
    desk = Desk(engine, load_setting(), audit=played_day / "audit.state", room=room)
    with serving(desk) as found:
        yield found
    engine.dispose()
    room.dispose()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_page_is_whole_light_and_without_complaint(browser, address, language):
    context = browser.new_context(locale=language, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    answers: list[Response] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda answer: answers.append(answer))
    for where in ALL:
        answers.clear()
        page.goto(address + where)
        assert 0 < sum([len(answer.body()) for answer in answers]) <= MOST_BYTES, where
        assert page.locator("html").get_attribute("lang") == language
        if where in ADDRESSES:
            assert page.locator("svg[role=img], table").count() >= 1
            assert page.locator("nav [aria-current=page]").count() == 1
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, where
        if where == "/nowhere":
            assert "404" in complaints.pop()  # the browser says itself what was asked of it
        assert complaints == [], where
    context.close()


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: npm ci")
@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_page_keeps_the_rules_of_wcag_22(browser, address, language):
    # The rules are put in by the test: the pages' own policy takes no script but theirs.
    context = browser.new_context(locale=language, bypass_csp=True)
    page = context.new_page()
    for where in ALL:
        page.goto(address + where)
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        page.add_script_tag(path=str(AXE))
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                assert broken_rules(page) == [], (where, language, width, scheme)
    context.close()


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: npm ci")
def test_the_form_for_commands_keeps_them_as_well(browser, played_day, tmp_path):
    room = room_of(str(tmp_path / "room.sqlite"), 60, int(time.time()))
    engine = opened_to_read(str(played_day / "store.sqlite"))
    access = Access()
    user = access.accounts.add("abe", Role.OPERATOR, None)
    access.accounts.set_password(user, PASSWORD)
    with serving(Desk(engine, load_setting(), room=room), access) as desk:
        context = browser.new_context(locale="en", bypass_csp=True)
        page = context.new_page()
        page.goto(f"{desk}/log-in?next=/fleet")
        page.get_by_label("Name").fill("abe")
        page.locator("input[type=password]").fill(PASSWORD)
        page.locator("input[type=password]").press("Enter")
        page.get_by_role("link", name="Command these sites").click()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(BEYOND_THE_EDGE) == []
        for action, power, minutes in (("charge", 1, 1), ("hold", 0, 1), ("stop", 0, 0)):
            page.get_by_label("Action").select_option(action)
            assert page.locator("#power").is_visible() is bool(power)
            assert page.locator("#minutes").is_visible() is bool(minutes)
        page.get_by_label("Action").select_option("charge")
        page.get_by_label("Power, kW").fill("5")
        for action in ("look", "send"):
            if action == "send":
                page.get_by_label("Why").fill("noon")
                page.get_by_role("button", name="Send to 60 sites").click()
                assert "yui fleet charge --all --power 5 --for 30m" in page.content()
            page.add_script_tag(path=str(AXE))
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                assert broken_rules(page) == [], (action, scheme)
        context.close()
    engine.dispose()
    room.dispose()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_fleet_is_read_on_a_narrow_screen_without_scrolling_sideways(
    browser, address, language
):
    page = browser.new_page(locale=language, viewport={"width": 390, "height": 800})
    page.goto(f"{address}/fleet")
    assert page.evaluate(BEYOND_THE_EDGE) == []
    # Laid out as cards, it is a table still to who hears it, and each figure is named to who sees.
    assert page.get_by_role("table").first.get_by_role("rowheader").count() == 50
    cell = page.locator(".cards td.number:not(.nothing)").first
    named = cell.evaluate("one => getComputedStyle(one, '::before').content").strip('"')
    assert named == {"en": "Age", "ja": "経過"}[language]
    page.set_viewport_size({"width": 1280, "height": 800})
    assert cell.evaluate("one => getComputedStyle(one).display") == "table-cell"
    page.close()


def broken_rules(page: Page) -> list[str]:
    """Return what axe-core finds wrong, with the first place of each."""
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", RULES
    )
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]


def test_the_rules_are_really_looked_at(browser, address):
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(address + ADDRESSES[0])
    page.add_script_tag(path=str(AXE))
    page.evaluate("document.querySelector('h1').style.color = '#eee'")
    page.evaluate("document.querySelector('svg.map').removeAttribute('aria-labelledby')")
    page.evaluate("document.querySelector('svg.map > title').remove()")
    found = " ".join(broken_rules(page))
    assert "color-contrast" in found
    assert "svg-img-alt" in found
    context.close()


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser, address):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    for where in ADDRESSES:
        page.goto(address + where)
        wanted = page.evaluate(COUNTED, REACH)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        reached = 0
        for _ in range(3 * wanted):  # the parts of a date take a step each
            focused = page.evaluate(FOCUSED)
            if focused is None:
                break
            fresh, style, width = focused
            reached += fresh
            assert style != "none", where
            assert width >= 2, where
            page.keyboard.press("Tab")
        assert reached == wanted, where
    page.close()


def test_the_first_link_leads_past_the_menu(browser, address):
    page = browser.new_page()
    page.goto(address + ADDRESSES[0])
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.close()


def test_the_day_is_played_by_its_slider(browser, address):
    page = browser.new_page(locale="en")
    page.goto(f"{address}/now?at={NOON}")
    assert "12:00-12:30" in page.locator("h1").inner_text()
    assert page.locator("#at").get_attribute("aria-valuetext") == "Tue 4 June 2019, 12:00-12:30"
    page.locator("#at").focus()
    page.keyboard.press("ArrowRight")
    page.locator("h1", has_text="12:30-13:00").wait_for()
    page.locator('#at[aria-valuetext="Tue 4 June 2019, 12:30-13:00"]').wait_for()
    page.locator("#play").click()
    page.locator("h1", has_text="13:00-13:30").wait_for()
    page.locator("h1", has_text="13:30-14:00").wait_for()
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Play"
    page.close()


def test_the_language_is_switched_and_remembered(browser, address):
    context = browser.new_context(locale="en")
    page = context.new_page()
    page.goto(address + ADDRESSES[1])
    page.get_by_role("link", name="日本語").click()
    assert page.locator("html").get_attribute("lang") == "ja"
    page.goto(address + ADDRESSES[2])
    assert page.locator("html").get_attribute("lang") == "ja"
    context.close()


def test_a_page_renews_itself_when_the_store_grows_and_reaches_what_is_new(
    browser, played_day, tmp_path
):
    shutil.copy(played_day / "store.sqlite", tmp_path / "store.sqlite")
    engine = opened(str(tmp_path / "store.sqlite"))
    with writing(engine) as connection:
        connection.execute(delete(tables.SETTLEMENTS).where(tables.SETTLEMENTS.c.slot > NOON))
    moment = (NOON + 1) * SLOT_SECONDS + 60
    with serving(Desk(engine, load_setting(), clock=lambda: moment)) as live:
        page = browser.new_page(locale="en")
        page.goto(f"{live}/now")
        page.wait_for_function("window.htmx !== undefined")
        slider = page.locator("#at")
        assert slider.get_attribute("max") == slider.input_value() == str(NOON)
        for number, slot in enumerate(range(NOON + 1, SLOTS[-1] + 1)):
            with written(engine) as store:
                row = {"hash": number.to_bytes(32), "time": moment}
                store.put(tables.BLOCKS, 1_000_000 + number, [row])
                settled = {"slot": slot, "delivered": 0, "pooled": 0, "missing": 0}
                store.put(tables.SETTLEMENTS, 1_000_000 + number, [settled])
            page.wait_for_timeout(1_000)
            if slider.get_attribute("max") != str(NOON):
                break
        assert NOON < int(slider.get_attribute("max") or 0) == int(slider.input_value())
        last = page.locator("#live").get_attribute("data-name")
        assert slider.get_attribute("aria-valuetext") == last != "Tue 4 June 2019, 12:00-12:30"
        page.locator("h1", has_text=last).wait_for()
        page.close()
    engine.dispose()


def test_the_fleet_renews_itself_until_it_is_told_to_stand_still(browser, address):
    page = browser.new_page(locale="en")
    page.goto(f"{address}/fleet")
    with page.expect_response(lambda answer: answer.url.endswith("/fleet"), timeout=60_000):
        pass
    page.get_by_role("button", name="Stop updates").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(6_000)
    assert asked == []
    page.get_by_role("button", name="Go on updating").click()
    with page.expect_response(lambda answer: answer.url.endswith("/fleet"), timeout=60_000):
        pass
    page.close()

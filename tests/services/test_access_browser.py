"""Log-in in a real browser: by password without a script, by passkey, in both languages."""

import re
import threading
import time
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import sync_playwright

from bench.desk import fill
from chain.database import opened
from chain.ports import free_port
from orchestrator.setting.sites import load_setting
from orchestrator.web.access.access import Access, Policy, Reading
from orchestrator.web.access.disk import Disk
from orchestrator.web.app import application
from orchestrator.web.desk import Desk
from orchestrator.web.viewer import Role

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = Path("/usr/bin/chromium")
PASSWORD = "seven roofs one river"
pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason="needs Chromium: apt install chromium"
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Pages that need a log-in, with an operator and a member: their address and access."""
    folder = tmp_path_factory.mktemp("browser")
    engine = opened(str(folder / "store.sqlite"))
    fill(engine, 7, 1)
    port = free_port()
    origin = f"http://localhost:{port}"
    policy = Policy(Reading.LOG_IN, origin=origin, hosts=("localhost", "127.0.0.1"))
    access = Access(policy, Disk(folder / "accounts.sqlite"))
    for name, role, site in (("abe", Role.OPERATOR, None), ("sato", Role.MEMBER, 3)):
        access.accounts.set_password(access.accounts.add(name, role, site), PASSWORD)
    app = application(Desk(engine, load_setting()), access)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield origin, access
    server.should_exit = True
    thread.join()
    engine.dispose()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


def log_in(page, origin, name):
    page.goto(f"{origin}/log-in")
    page.locator("#name").fill(name)
    page.locator("#password").fill(PASSWORD)
    page.locator("form button").click()


def complaints_of(page):
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


def test_one_logs_in_and_out_by_password_without_a_script(browser, desk):
    origin, _ = desk
    page = browser.new_context(java_script_enabled=False, locale="en").new_page()
    page.goto(f"{origin}/site/3")
    assert page.locator("h1").inner_text() == "Log in"
    page.locator("#name").fill("sato")
    page.locator("#password").fill("not the one at all")
    page.keyboard.press("Enter")
    page.locator("#told", has_text="Name or password is wrong.").wait_for()
    assert page.locator("#name").input_value() == "sato"
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/site/3")
    page.get_by_role("link", name="Account").click()
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{origin}/site/3")
    assert page.locator("h1").inner_text() == "Log in"
    page.context.close()


def test_a_passkey_is_added_and_is_then_a_log_in(browser, desk):
    origin, access = desk
    page = browser.new_context(locale="en").new_page()
    complaints = complaints_of(page)
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = devices.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    log_in(page, origin, "abe")
    page.goto(f"{origin}/account")
    page.locator("#label").fill("the desk's own")
    page.locator("#passkey-password").fill("not the one at all")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_text("The password until now is another one.").wait_for()
    page.locator("#passkey-password").fill(PASSWORD)
    with page.expect_navigation():
        page.get_by_role("button", name="Add a passkey").click()
    assert access.limits.log_ins("abe", 1)[0].outcome == "added"
    row = page.get_by_role("row", name="the desk's own")
    assert "never" in row.inner_text()
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{origin}/site/3")
    page.get_by_role("button", name="Log in with a passkey").click()
    page.wait_for_url("**/site/3")
    page.goto(f"{origin}/account")
    assert "(passkey)" in page.locator("dl").inner_text()
    assert "never" not in page.get_by_role("row", name="the desk's own").inner_text()
    assert access.limits.log_ins("abe", 1)[0].way == "passkey"
    # A device that does not know its user is no log-in.
    page.get_by_role("button", name="Log out").click()
    wrong = {"authenticatorId": made["authenticatorId"], "isUserVerified": False}
    devices.send("WebAuthn.setUserVerified", wrong)
    page.get_by_role("button", name="Log in with a passkey").click()
    page.get_by_text("The passkey did not work").wait_for()
    page.goto(f"{origin}/account")
    assert page.locator("h1").inner_text() == "Log in"
    devices.send("WebAuthn.setUserVerified", {**wrong, "isUserVerified": True})
    page.get_by_role("button", name="Log in with a passkey").click()
    page.wait_for_url("**/account")
    with page.expect_navigation():
        page.get_by_role("button", name="Remove the desk's own").click()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Log in with a passkey").click()
    page.get_by_text("a passkey must be registered, got an unknown one").wait_for()
    # The browser tells of what was refused on purpose, and of what it cleared at a log-out.
    expected = re.compile("status of 40[13]|Cleared data types")
    assert [one for one in complaints if not expected.search(one)] == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_pages_of_access_can_be_read_and_used_by_everyone(browser, desk, language, scheme):
    origin, access = desk
    context = browser.new_context(
        locale=language, color_scheme=scheme, viewport={"width": 390, "height": 800}
    )
    page = context.new_page()
    complaints = complaints_of(page)
    invitation = access.accounts.invite(access.accounts.user("sato"))
    shown = [f"{origin}/log-in", f"{origin}/invitation/{invitation}"]
    for address in shown:
        page.goto(address)
        check(page, language)
    log_in(page, origin, "abe")
    for address in (f"{origin}/account", f"{origin}/log-ins"):
        page.goto(address)
        check(page, language)
    assert complaints == []
    context.close()


def check(page, language):
    """Nothing that axe-core finds, nothing that is not in the language, nothing beyond the edge."""
    assert page.locator("html").get_attribute("lang") == language
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # The policy of the page lets no other script in: the tool comes by the debugger.
    page.evaluate(AXE.read_text())
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("tags => axe.run({runOnly: tags})", tags)
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []

"""Access: accounts, passwords, sessions, limits, and the guard at the door of the pages."""

import json
import re
import stat
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner
from webauthn.helpers import bytes_to_base64url

from bench.desk import fill
from bench.origin import SLOTS
from chain.database import opened
from chain.store import stored
from energy.errors import SettingError, StoreError
from energy.registry import NETWORK, UTILITY
from energy.units import day_of
from orchestrator.cli import app as program
from orchestrator.setting.sites import load_setting
from orchestrator.web.access import limits, sessions
from orchestrator.web.access.access import Access, Policy, Reading
from orchestrator.web.access.accounts import INVITATION_SECONDS
from orchestrator.web.access.disk import Disk
from orchestrator.web.access.pages import next_of
from orchestrator.web.app import application
from orchestrator.web.cli import is_loopback, policy_of
from orchestrator.web.desk import Desk
from orchestrator.web.drawing import kwh
from orchestrator.web.pages import PAGES
from orchestrator.web.viewer import Others, Role, Viewer
from tests.room import TOWNS, room_of
from vpp.room.keeper import keeping
from vpp.room.store import Registered

ROOT = Path(__file__).resolve().parents[2]
MATRIX = ROOT / "docs" / "access.md"
PASSWORD = "seven roofs one river"
OWN, OTHER, OFFICE = 3, 5, 1
NOW = int(time.time())
SLOT = SLOTS[30]
DAY = day_of(SLOT).isoformat()
BASE = "http://localhost:8480"
POLICY = Policy(origin=BASE, hosts=("localhost", "127.0.0.1", "::1"))


class Clock:
    """A clock that is set."""

    now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    engine = opened(str(tmp_path_factory.mktemp("access") / "store.sqlite"))
    fill(engine, 7, 1)
    yield engine
    engine.dispose()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def access(clock):
    return Access(POLICY, clock=clock)


@pytest.fixture
def client(engine, access):
    return client_of(engine, access)


def client_of(engine, access, base=BASE, room=None):
    clock = time.time if room is None else lambda: NOW
    app = application(Desk(engine, load_setting(), clock, room=room), access)
    return TestClient(app, base_url=base, follow_redirects=False)


def with_user(access, name="sato", role=Role.MEMBER, site=OWN):
    user = access.accounts.add(name, role, site if role is Role.MEMBER else None)
    access.accounts.set_password(user, PASSWORD)
    return access.accounts.user(name)


def token_on(page):
    found = re.search(r'name="token" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def logged_in(client, name="sato", password=PASSWORD, **more):
    token = token_on(client.get("/log-in"))
    values = {"token": token, "name": name, "password": password, **more}
    return client.post("/log-in", data=values)


# -- accounts --------------------------------------------------------------------------------


def test_a_user_is_found_however_the_name_is_typed(access):
    user = with_user(access, "Satō")
    assert access.accounts.named("SATŌ") == user
    with pytest.raises(SettingError, match="a name must not be taken, got 'satō'"):
        access.accounts.add("satō", Role.AUDITOR, None)
    for name in ("", " sato", "a\nb", "x" * 65):
        with pytest.raises(SettingError, match="a name must have 1 to 64 characters"):
            access.accounts.add(name, Role.AUDITOR, None)


def test_a_member_has_an_office_and_nobody_else(access):
    with pytest.raises(SettingError, match="--role member must have a site, got None"):
        access.accounts.add("sato", Role.MEMBER, None)
    with pytest.raises(SettingError, match="--role auditor must have no site, got 3"):
        access.accounts.add("sato", Role.AUDITOR, 3)


def test_a_password_is_kept_as_its_argon2_hash_and_no_token_is_kept_at_all(tmp_path):
    path = tmp_path / "accounts.sqlite"
    access = Access(POLICY, Disk(path))
    user = with_user(access)
    token = access.sessions.begin(user, "password", "127.0.0.1")
    invitation = access.accounts.invite(user)
    kept = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert b"$argon2id$v=19$m=65536,t=3,p=4$" in kept
    for secret in (PASSWORD, token, invitation):
        assert secret.encode() not in kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("short", "12 to 200 characters, got 5"),
        ("x" * 201, "12 to 200 characters, got 201"),
        ("abababababab", "5 different characters or more, got 2"),
        ("sato-sato-12", "more than the user's name"),
    ],
)
def test_a_password_that_is_easily_guessed_is_refused(access, password, told):
    user = with_user(access)
    with pytest.raises(SettingError, match=told):
        access.accounts.set_password(user, password)
    assert access.accounts.has_password(user, PASSWORD)


def test_accounts_of_a_newer_version_are_left_alone(tmp_path):
    path = tmp_path / "accounts.sqlite"
    disk = Disk(path)
    with disk.writing() as file:
        file.execute("PRAGMA user_version = 99")
    disk.close()
    with pytest.raises(StoreError, match="must be of version 1 or before, got 99"):
        Disk(path)
    (tmp_path / "other").write_bytes(b"no database, but a text that is long enough" * 40)
    with pytest.raises(StoreError, match="must be a file of accounts"):
        Disk(tmp_path / "other")


# -- log-in, sessions, log-out ---------------------------------------------------------------


def test_log_in_begins_a_session_and_leads_to_where_one_was(client, access):
    with_user(access)
    answer = logged_in(client, next="/slot/5")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/slot/5"
    set_cookie = answer.headers.get_list("set-cookie")[0]
    assert set_cookie.startswith("yui=")
    assert "HttpOnly" in set_cookie
    assert "SameSite=lax" in set_cookie
    page = client.get("/account")
    assert "sato" in page.text
    assert page.headers["cache-control"] == "no-store"


def test_over_tls_cookies_are_secure_and_bound_to_the_host(engine, clock):
    policy = Policy(origin="https://desk.example", hosts=("desk.example",))
    access = Access(policy, clock=clock)
    with_user(access)
    client = client_of(engine, access, "https://desk.example")
    answer = logged_in(client)
    assert answer.headers.get_list("set-cookie")[0].startswith("__Host-yui=")
    assert all("; Secure" in one for one in answer.headers.get_list("set-cookie"))
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    assert client.get("/account").status_code == 200


def test_a_log_in_never_goes_on_under_a_token_that_the_browser_brought(client, access):
    with_user(access)
    token = token_on(client.get("/log-in", headers={"cookie": "yui=chosen-by-somebody-else"}))
    values = {"token": token, "name": "sato", "password": PASSWORD}
    answer = client.post("/log-in", data=values)
    assert "chosen-by-somebody-else" not in answer.headers["set-cookie"]
    assert access.sessions.of("chosen-by-somebody-else") is None
    first = next(one.value for one in client.cookies.jar if one.name == "yui")
    again = client.get("/account")
    changed = {"old": PASSWORD, "password": PASSWORD + "!", "again": PASSWORD + "!"}
    client.post("/account/password", data={"token": token_on(again), **changed})
    assert next(one.value for one in client.cookies.jar if one.name == "yui") != first


@pytest.mark.parametrize(
    ("wanted", "led"),
    [
        ("/site/3?day=2019-06-04", "/site/3?day=2019-06-04"),
        ("//evil.example/", "/now"),
        ("/\\evil.example", "/now"),
        ("https://evil.example", "/now"),
        ("/log-in?next=/log-in", "/now"),
        ("/a\r\nset-cookie: x", "/now"),
    ],
)
def test_a_log_in_leads_to_no_other_site(client, wanted, led):
    assert next_of(wanted) == led
    page = client.get("/log-in", params={"next": wanted})
    assert f'name="next" value="{led}"' in page.text or "Nobody can log in" in page.text


def test_a_wrong_password_and_an_unknown_name_are_answered_alike(client, access):
    with_user(access)
    wrong, unknown = logged_in(client, password="wrong one"), logged_in(client, name="nobody")
    assert wrong.status_code == unknown.status_code == 401
    assert "Name or password is wrong." in wrong.text
    strip = re.compile(r'value="[^"]*"|data-token="[^"]*"')
    assert strip.sub("", wrong.text) == strip.sub("", unknown.text)
    outcomes = [(one.user, one.outcome) for one in access.limits.log_ins()]
    assert outcomes == [(None, "refused"), ("sato", "refused")]


def test_a_session_ends_when_nobody_is_there_and_after_a_working_day(client, access, clock):
    with_user(access)
    logged_in(client)
    clock.now += sessions.IDLE_SECONDS - 1
    assert client.get("/account").status_code == 200
    clock.now += sessions.IDLE_SECONDS - 1
    assert client.get("/account").status_code == 200
    clock.now += sessions.IDLE_SECONDS
    assert client.get("/account").headers["location"] == "/log-in?next=/account"
    logged_in(client)
    for _ in range(sessions.WHOLE_SECONDS // 1800 - 1):
        clock.now += 1800
        assert client.get("/account").status_code == 200
    clock.now += 1800
    assert client.get("/account").status_code == 303


def test_a_page_that_renews_itself_keeps_no_session_alive(client, access, clock):
    with_user(access)
    logged_in(client)
    for _ in range(2):
        clock.now += sessions.IDLE_SECONDS / 2
        client.get(f"/slot/{SLOT}", headers={"hx-request": "true", "hx-trigger": "live"})
    assert client.get("/account").status_code == 303


def test_what_listens_for_events_keeps_no_session_alive(engine, access, clock):
    with_user(access)
    client = client_of(engine, access)
    client.app.state.desk.is_ending = True  # so that the stream ends with its first line
    logged_in(client)
    for _ in range(2):
        clock.now += sessions.IDLE_SECONDS / 2
        assert "retry: 3000" in client.get("/events").text
    assert client.get("/account").status_code == 303


def test_a_log_out_ends_the_session_also_for_who_kept_its_token(client, access):
    with_user(access)
    logged_in(client)
    kept = next(one.value for one in client.cookies.jar if one.name == "yui")
    token = token_on(client.get("/account"))
    answer = client.post("/log-out", data={"token": token})
    assert answer.headers["clear-site-data"] == '"cache"'
    assert client.get("/account").status_code == 303
    assert access.sessions.of(kept) is None


def test_a_new_password_a_role_and_a_removal_end_the_sessions(client, access):
    user = with_user(access)
    logged_in(client)
    access.accounts.set_role(user, Role.AUDITOR, None)
    assert client.get("/account").status_code == 303
    logged_in(client)
    access.accounts.set_password(user, "another river, other roofs")
    assert client.get("/account").status_code == 303
    logged_in(client, password="another river, other roofs")
    access.accounts.remove(user)
    assert client.get("/account").status_code == 303


def test_one_changes_ones_own_password_by_the_old_one(client, access):
    with_user(access)
    logged_in(client)
    elsewhere = access.sessions.begin(access.accounts.user("sato"), "password", "192.0.2.1")
    new = "eight roofs two rivers"
    values = {"old": "no idea at all", "password": new, "again": new}
    page = client.get("/account")
    assert "Logged in elsewhere as well: 1." in page.text
    refused = client.post("/account/password", data={"token": token_on(page), **values})
    assert refused.status_code == 400
    assert "The password until now is another one." in refused.text
    values["old"] = PASSWORD
    differ = {"token": token_on(page), **values, "again": "x"}
    assert "not the same" in client.post("/account/password", data=differ).text
    short = {"token": token_on(page), **values, "password": "x", "again": "x"}
    assert "12 to 200" in client.post("/account/password", data=short).text
    done = client.post("/account/password", data={"token": token_on(page), **values})
    assert done.headers["location"] == "/account"
    assert client.get("/account").status_code == 200
    assert access.sessions.of(elsewhere) is None
    assert access.accounts.has_password(access.accounts.user("sato"), new)


def test_one_logs_out_everywhere_else(client, access):
    user = with_user(access)
    logged_in(client)
    elsewhere = access.sessions.begin(user, "password", "192.0.2.1")
    client.post("/account/sessions", data={"token": token_on(client.get("/account"))})
    assert access.sessions.of(elsewhere) is None
    assert client.get("/account").status_code == 200


# -- invitations -----------------------------------------------------------------------------


def test_an_invitation_is_good_for_one_password(client, access):
    user = access.accounts.add("sato", Role.MEMBER, OWN)
    assert logged_in(client, password="").status_code == 401
    address = f"/invitation/{access.accounts.invite(user)}"
    page = client.get(address)
    assert "This invitation is for sato." in page.text
    values = {"token": token_on(page), "password": PASSWORD, "again": PASSWORD}
    assert "12 to 200" in client.post(address, data={**values, "password": "", "again": ""}).text
    taken = client.post(address, data=values)
    assert taken.headers["location"] == "/account"
    assert client.get("/account").status_code == 200
    assert client.get(address).status_code == 410


def test_an_invitation_is_void_after_three_days_and_by_the_next_one(client, access, clock):
    user = access.accounts.add("sato", Role.MEMBER, OWN)
    first, second = access.accounts.invite(user), access.accounts.invite(user)
    assert client.get(f"/invitation/{first}").status_code == 410
    assert client.get(f"/invitation/{second}").status_code == 200
    clock.now += INVITATION_SECONDS
    assert client.get(f"/invitation/{second}").status_code == 410


# -- passkeys --------------------------------------------------------------------------------


def with_passkey(access, user, label="telephone"):
    """Keep a passkey as a browser would have made it: its answers are looked at in a real one."""
    credential = f"credential of {label}".encode()
    access.disk.write(
        "INSERT INTO passkeys VALUES (?, ?, ?, 0, ?, ?, NULL)",
        *(credential, user.number, b"key", label, access.clock()),
    )
    (found,) = [one for one in access.passkeys.of(user) if one.label == label]
    return found


def asks_to_add(client, **body):
    headers = {"x-form-token": token_on(client.get("/account"))}
    return client.post("/account/passkeys/ask", json=body, headers=headers)


def test_a_passkey_is_added_only_by_who_knows_the_password(client, access):
    with_user(access)
    logged_in(client)
    for body in ({}, {"password": "no idea at all"}, {"password": 5}):
        refused = asks_to_add(client, **body)
        assert refused.status_code == 403
        assert refused.json()["is"] == "wrong"
    assert "challenge" in asks_to_add(client, password=PASSWORD).json()
    for _ in range(limits.FREE_OF_USER):
        asks_to_add(client, password="a guess")
    assert asks_to_add(client, password=PASSWORD).status_code == 429


def test_a_challenge_to_log_in_is_none_to_add_a_passkey(access):
    user = with_user(access)
    asked = json.loads(access.passkeys.to_log_in(b"browser"))["challenge"]
    told = json.dumps({"type": "webauthn.create", "challenge": asked, "origin": BASE}).encode()
    credential = {"response": {"clientDataJSON": bytes_to_base64url(told)}}
    with pytest.raises(SettingError, match="once, where it is asked"):
        access.passkeys.register(user, b"browser", credential, "planted")
    # It was for something else, and is still there for that.
    with pytest.raises(SettingError, match="a passkey must answer as asked"):
        access.passkeys.log_in(access.accounts, b"browser", credential)


def test_a_log_in_that_is_given_anew_takes_the_passkeys_away(client, access):
    user = with_user(access)
    for give in (
        access.accounts.invite,
        lambda user: access.accounts.set_password(user, PASSWORD + "!"),
    ):
        with_passkey(access, user)
        token = access.sessions.begin(user, "passkey", "192.0.2.1")
        give(user)
        assert access.passkeys.of(user) == []
        assert access.sessions.of(token) is None


def test_one_keeps_ones_passkeys_when_one_changes_the_password(client, access):
    user = with_user(access)
    with_passkey(access, user)
    logged_in(client)
    new = "eight roofs two rivers"
    values = {"old": PASSWORD, "password": new, "again": new}
    client.post("/account/password", data={"token": token_on(client.get("/account")), **values})
    assert access.accounts.has_password(user, new)
    assert len(access.passkeys.of(user)) == 1


def test_that_a_passkey_was_removed_is_in_the_log(client, access):
    user = with_user(access)
    kept = with_passkey(access, user)
    logged_in(client)
    values = {"credential": bytes_to_base64url(kept.credential)}
    page = client.get("/account")
    client.post("/account/passkeys/remove", data={"token": token_on(page), **values})
    assert access.passkeys.of(user) == []
    assert (access.limits.log_ins("sato")[0].way, access.limits.log_ins("sato")[0].outcome) == (
        *("passkey", "removed"),
    )
    assert "removed" in client.get("/account").text


# -- limits ----------------------------------------------------------------------------------


def test_who_guesses_has_to_wait_longer_each_time(client, access, clock):
    with_user(access)
    for _ in range(limits.FREE_OF_USER):
        assert access.limits.attempt("sato", "192.0.2.1") == 0
    for wait in (15, 30, 60, 120, 240, 480, 900, 900):
        assert access.limits.attempt("SATO", "192.0.2.2") == wait + 1
        clock.now += wait
        assert access.limits.attempt("sato", "192.0.2.3") == 0
    held = logged_in(client)
    assert held.status_code == 429
    assert held.headers["retry-after"] == "901"
    assert "Wait 901 seconds" in held.text
    clock.now += 900
    assert logged_in(client).status_code == 303
    assert access.limits.attempt("sato", "192.0.2.1") == 0


def test_an_address_that_tries_many_names_has_to_wait(client, access, clock):
    with_user(access)
    for number in range(limits.FREE_OF_ADDRESS):
        assert access.limits.attempt(f"name{number}", "testclient") == 0
    assert logged_in(client).status_code == 429
    assert access.limits.log_ins()[0].outcome == "held"
    clock.now += limits.FORGOTTEN_SECONDS
    assert logged_in(client).status_code == 303


def test_many_attempts_at_once_are_no_way_around_the_limit(access):
    waits = [access.limits.attempt("sato", "192.0.2.1") for _ in range(50)]
    assert waits.count(0) == limits.FREE_OF_USER


def test_those_of_an_ipv6_subscriber_count_together(access):
    for number in range(limits.FREE_OF_ADDRESS):
        assert access.limits.attempt(None, f"2001:db8::{number:x}") == 0
    assert access.limits.attempt(None, "2001:db8::ffff") > 0
    assert access.limits.attempt(None, "2001:db8:1::1") == 0


# -- the guard -------------------------------------------------------------------------------


POSTS = (
    "/log-in", "/log-in/passkey", "/log-in/passkey/ask", "/log-out", "/invitation/x",
    "/account/password", "/account/sessions", "/account/passkeys", "/account/passkeys/ask",
    "/account/passkeys/remove",
)  # fmt: skip


def test_every_address_that_takes_a_post_is_known_here(client):
    taken = {
        route.path.replace("{invitation}", "x")
        for route in client.app.routes
        if "POST" in (getattr(route, "methods", None) or ())
    }
    assert set(POSTS) <= taken


def test_nothing_is_done_without_a_token_of_the_page(client, access):
    """Every route but those that merely read, also one that is added tomorrow."""
    with_user(access)
    logged_in(client)
    for route in client.app.routes:
        if "POST" not in (getattr(route, "methods", None) or ()):
            continue
        path = re.sub(r"{\w+}", "0", route.path)
        for token in (None, "", "nonsense", access.form_token(b"another session")):
            answer = client.post(path, data={"token": token} if token is not None else {})
            assert answer.status_code == 403, path
            assert "load its page again" in answer.text
        answer = client.post(path, json={}, headers={"x-form-token": "nonsense"})
        assert answer.status_code == 403
        assert "error" in answer.json()


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_of_another_site_is_refused_even_with_the_token(client, access, headers):
    with_user(access)
    values = {"token": token_on(client.get("/log-in")), "name": "sato", "password": PASSWORD}
    refused = client.post("/log-in", data=values, headers=headers)
    assert refused.status_code == 403
    assert "must come from a page of this desk" in refused.text
    fine = {"origin": BASE, "sec-fetch-site": "same-origin"}
    assert client.post("/log-in", data=values, headers=fine).status_code == 303


def test_a_token_of_before_the_log_in_is_none_after_it(client, access):
    with_user(access)
    before = token_on(client.get("/log-in"))
    logged_in(client)
    assert client.post("/log-out", data={"token": before}).status_code == 403


def test_a_body_that_is_too_large_is_refused(client):
    answer = client.post("/log-in", content=b"x" * 70_000)
    assert answer.status_code == 413


def test_a_host_of_another_name_is_refused(engine, access):
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8480", ""):
        answer = client_of(engine, access).get("/now", headers={"host": host})
        assert answer.status_code == 400, host
        assert "the host must be one of localhost, 127.0.0.1, ::1" in answer.text
    for host in ("localhost", "127.0.0.1:8480", "[::1]:8480", "LOCALHOST:1"):
        assert client_of(engine, access).get("/log-in", headers={"host": host}).status_code == 200


ADDRESSES = (
    "/now", "/now.json", "/log-in", "/nowhere", "/static/yui.css", "/slot", "/account", "/log-ins",
)  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_answer_has_the_headers_that_keep_others_out(client, address):
    headers = client.get(address).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "strict-transport-security" not in headers


def test_no_template_needs_what_the_content_security_policy_forbids():
    folder = ROOT / "orchestrator" / "web" / "templates"
    for path in folder.rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|hx-on|hx-vals='js:", text), path
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), path


def test_pages_that_need_a_log_in_lead_there_and_their_data_says_so(engine, clock):
    access = Access(Policy(Reading.LOG_IN, origin=BASE), clock=clock)
    with_user(access)
    client = client_of(engine, access)
    for page in PAGES:
        path = re.sub(r"{\w+}", str(OWN), page.path)
        assert client.get(path).headers["location"].startswith("/log-in?next="), path
        refused = client.get(f"{path}.json")
        assert refused.status_code == 401, path
        assert refused.headers["www-authenticate"].startswith("Cookie ")
    assert client.get("/events").status_code == 401
    assert client.get(f"/site/{OWN}?day={DAY}").headers["location"] == (
        f"/log-in?next=%2Fsite%2F{OWN}%3Fday%3D{DAY}"
    )
    assert client.get("/static/yui.css").status_code == 200
    logged_in(client)
    assert client.get("/now.json").status_code == 200


def test_what_is_kept_for_one_is_never_shown_to_another(engine, access):
    with_user(access)
    with_user(access, "abe", Role.MEMBER, OTHER)
    mine, theirs, nobody = (client_of(engine, access) for _ in range(3))
    mine.app = theirs.app = nobody.app
    logged_in(mine)
    logged_in(theirs, name="abe")
    address = f"/slot/{SLOT}.json"
    seen = [
        {
            one["site"]["number"]
            for one in client.get(address).json()["readings"]
            if one["used_wh"] is not None
        }
        for client in (mine, theirs, nobody, mine)
    ]
    assert seen == [{OWN}, {OTHER}, set(), {OWN}]
    assert "sato" not in mine.get("/now").text


# -- who sees what ---------------------------------------------------------------------------

PEOPLE = ("without a log-in", "member", "operator", "auditor")
LOAD = re.compile(
    r"^(used|generated|imported|exported|charged|discharged|stored|own|office|grid|initial|"
    r"unexplained|used_here|used_there|held|lost|utility|unmetered|renewable|through_battery)_wh$|"
    r"microyen$"
)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A fleet that counts its sites as the market does."""
    room = room_of(str(tmp_path_factory.mktemp("room") / "room.sqlite"), 20, NOW)
    with keeping(room) as keep:
        keep.register([Registered(n, f"Site {n}", TOWNS[n % 5]) for n in range(20)])
    yield room
    room.dispose()


def clients(engine, room, others):
    """A client for each kind of people."""
    access = Access(Policy(others=others, origin=BASE))
    found = {PEOPLE[0]: client_of(engine, access, room=room)}
    for role in Role:
        with_user(access, str(role), role)
        found[str(role)] = client_of(engine, access, room=room)
        assert logged_in(found[str(role)], str(role)).status_code == 303
    return found


@pytest.fixture(scope="module")
def trades_only(engine, room):
    return clients(engine, room, Others.TRADES)


@pytest.fixture(scope="module")
def all_of_all(engine, room):
    return clients(engine, room, Others.ALL)


def addresses():
    """Every page, of the own office and of another."""
    for page in PAGES:
        for site in (OWN, OTHER):
            path = page.path.replace("{site}", str(site)).replace("{slot}", str(SLOT))
            yield page.name, path, f"?day={DAY}" if "{site}" in page.path else f"?at={SLOT}"


def told_of(value, site=None):
    """Yield each figure of load or money that data tells, with the site that it is of."""
    if isinstance(value, dict):
        named = value.get("site") or value.get("account")
        if isinstance(named, dict) and "number" in named:
            site = named["number"]
        for key, one in value.items():
            if site is not None and LOAD.search(key) and one not in (None, 0):
                yield site, key, one
            yield from told_of(one, site)
    elif isinstance(value, list):
        for one in value:
            yield from told_of(one, site)


@pytest.mark.parametrize(("name", "path", "query"), [*addresses()])
@pytest.mark.parametrize("people", PEOPLE)
def test_no_page_and_no_data_tells_the_load_of_who_keeps_it(
    engine, trades_only, people, name, path, query
):
    client = trades_only[people]
    data = client.get(f"{path}.json{query}")
    assert data.status_code == 200
    told = {site for site, _, _ in told_of(data.json()) if site < 7}
    may = {"member": {OWN}, "operator": set(range(7)), "auditor": set(range(7))}.get(people, set())
    assert told <= may, (path, told - may)
    page = client.get(f"{path}{query}")
    assert page.status_code == 200
    if data.json().get("entries"):
        accounts = {one["account"]["number"] for one in data.json()["entries"]}
        assert accounts - may <= {UTILITY, NETWORK}
    if len(may) == 7 or f"/{OWN}" in path:
        return
    figures = set(re.findall(r"(?<![\d.,])[\d,]+\.\d{3}(?!\d)", page.text))
    with stored(engine) as store:
        hidden = [one for one in store.readings(range(SLOT, SLOT + 1)) if one.site not in may]
    assert len(hidden) >= 6
    assert not figures & {kwh(one.consumption) for one in hidden}
    assert not figures & {kwh(one.generated) for one in hidden if one.generated}


@pytest.mark.parametrize("people", PEOPLE)
@pytest.mark.parametrize("file", ["statement", "statement.csv"])
def test_a_statement_is_for_who_may_see_the_office(trades_only, people, file):
    may = {"member": {OWN}, "operator": {OWN, OTHER}, "auditor": {OWN, OTHER}}.get(people, set())
    for site in (OWN, OTHER):
        answer = trades_only[people].get(f"/site/{site}/{file}?day={DAY}")
        assert answer.status_code == (200 if site in may else 403)


@pytest.mark.parametrize(("name", "path", "query"), [*addresses()])
@pytest.mark.parametrize("people", PEOPLE)
def test_where_all_is_for_all_everyone_sees_the_same(all_of_all, people, name, path, query):
    shown = all_of_all[people].get(f"{path}.json{query}").json()
    assert shown == all_of_all["operator"].get(f"{path}.json{query}").json()


def matrix():
    """Yield each row of the matrix in the docs: what, and who may."""
    for line in MATRIX.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and set(cells[1:]) <= {"yes", "no"}:
            yield cells[0], dict(zip(PEOPLE, (cell == "yes" for cell in cells[1:]), strict=True))


def of_fleet(client, site):
    """A site of the fleet as it is shown."""
    shown = client.get("/fleet.json").json()
    return next(one for one in shown["sites"] if one["site"]["number"] == site)


def sees_of_fleet(client, site):
    shown = of_fleet(client, site)
    told = {one["site"]["number"] for one in client.get("/fleet.json").json()["told"]}
    seen = [shown["charge"] is not None, shown["following"] is not None, site in told]
    seen.append(any(":" in alarm for alarm in shown["alarms"]))
    return any(seen)


def sees(client, site):
    return client.get(f"/site/{site}.json?day={DAY}").json()["is_shown"]


PROBES = {
    "the map, prices, order book, trades, flows of the pool": lambda trades, _: bool(
        trades.get(f"/slot/{SLOT}.json").json()["trades"]
    ),
    "the own office: load, origins, account": lambda trades, _: sees(trades, OWN),
    "another office: load, origins, account, with `--others trades`": lambda trades, _: sees(
        trades, OTHER
    ),
    "another office, with `--others all`": lambda _, everything: sees(everything, OTHER),
    "sums over offices of which three or more are hidden": lambda trades, _: (
        trades.get(f"/now.json?at={SLOT}").json()["used_wh"] is not None
    ),
    "the fleet: which sites are alive, and the names of their alarms": lambda trades, _: (
        of_fleet(trades, OTHER)["standing"] is not None
        and of_fleet(trades, OWN)["alarms"][0].partition(":")[0] == "battery"
    ),
    "the own site of the fleet: charge, powers, instructions, what an alarm says": (
        lambda trades, _: sees_of_fleet(trades, OWN)
    ),
    "another site of the fleet, and sums over all, with `--others trades`": lambda trades, _: (
        sees_of_fleet(trades, 8) or trades.get("/fleet.json").json()["stored_wh"] is not None
    ),
    "the own account: password, passkeys, log-ins": lambda trades, _: (
        trades.get("/account").status_code == 200
    ),
    "everyone's log-ins": lambda trades, _: trades.get("/log-ins").status_code == 200,
}


def test_the_matrix_in_the_docs_is_walked_from_end_to_end(trades_only, all_of_all):
    rows = dict(matrix())
    commands = rows.pop("a battery's command")
    assert commands == {
        people: Viewer(Role(people) if people != PEOPLE[0] else None, OWN).may_command
        for people in PEOPLE
    }
    assert set(rows) == set(PROBES)
    for what, may in rows.items():
        for people, expected in may.items():
            found = PROBES[what](trades_only[people], all_of_all[people])
            assert found is expected, (what, people)


def test_a_sum_never_tells_the_load_of_one():
    viewer = Viewer(Role.MEMBER, 0, Others.TRADES)
    assert viewer.sees_sum_of([0])
    assert not viewer.sees_sum_of([0, 1])
    assert not viewer.sees_sum_of([0, 1, 2])
    assert viewer.sees_sum_of([0, 1, 2, 3])
    assert Viewer(Role.AUDITOR, None, Others.TRADES).sees_sum_of([0, 1])


def test_the_common_accounts_of_a_slot_are_a_sum_over_the_offices(tmp_path):
    """All accounts sum to zero: what the utility and the network have, the others have not."""
    for sites, shown in ((2, {OFFICE}), (3, {OFFICE}), (4, {OFFICE, UTILITY, NETWORK})):
        engine = opened(str(tmp_path / f"{sites}.sqlite"))
        fill(engine, sites, 1)
        access = Access(Policy(others=Others.TRADES, origin=BASE))
        with_user(access, site=OFFICE)
        client = client_of(engine, access)
        logged_in(client)
        entries = client.get(f"/slot/{SLOT}.json").json()["entries"]
        assert {one["account"]["number"] for one in entries} == shown, sites
        claimed = client.get(f"/audit.json?day={DAY}").json()["claimed_wh"]
        assert (claimed is None) is (UTILITY not in shown)
        nobody = client_of(engine, access).get(f"/slot/{SLOT}.json").json()["entries"]
        assert bool(nobody) is (sites >= 3)
        engine.dispose()


def test_offices_keep_to_themselves_from_the_first_user_on(engine, access, monkeypatch):
    monkeypatch.setattr("orchestrator.web.access.access.GLANCE_SECONDS", 0.0)
    client = client_of(engine, access)
    assert sees(client, OTHER)
    assert "Log in" not in client.get("/now").text
    with_user(access)
    assert not sees(client, OTHER)
    assert "Log in" in client.get("/now").text


# -- the command line ------------------------------------------------------------------------


def yui(*words, typed=None):
    return CliRunner().invoke(program, ["web", *words], input=typed)


@pytest.fixture
def users(tmp_path):
    def run(*words, typed=None):
        return yui("users", *words, "--accounts", str(tmp_path / "a.sqlite"), typed=typed)

    return run


def test_users_are_managed_at_the_command_line(users, tmp_path):
    added = users("add", "sato", "--role", "member", "--site", "3")
    assert added.exit_code == 0
    token = urlsplit(added.output.splitlines()[-1]).path.rpartition("/")[2]
    access = Access(disk=Disk(tmp_path / "a.sqlite"))
    invited = access.accounts.invited(token)
    assert invited is not None
    assert (invited.name, invited.role, invited.site) == ("sato", Role.MEMBER, 3)
    piped = users("add", "abe", "--role", "operator", "--password", typed=f"{PASSWORD}\n")
    assert piped.output == "abe can log in\n"
    assert access.accounts.has_password(access.accounts.user("abe"), PASSWORD)
    users("password", "sato", typed="another river, other roofs\n")
    assert access.accounts.has_password(access.accounts.user("sato"), "another river, other roofs")
    assert users("role", "sato", "auditor").output == "sato is auditor\n"
    listed = json.loads(users("list", "--json").output)
    assert [(one["name"], one["role"], one["site"]) for one in listed] == [
        ("abe", "operator", None),
        ("sato", "auditor", None),
    ]
    assert "/invitation/" in users("invite", "sato").output
    access.limits.record("sato", "192.0.2.1", "password", "refused")
    assert json.loads(users("log", "--json").output)[0]["outcome"] == "refused"
    assert users("remove", "sato").exit_code == 0
    missing = users("password", "sato", typed="x\n")
    assert str(missing.exception) == "a user must be one of abe, got 'sato'"


def test_a_lost_passkey_is_taken_away_at_the_command_line(users, tmp_path):
    users("add", "sato", "--role", "auditor", "--password", typed=f"{PASSWORD}\n")
    access = Access(disk=Disk(tmp_path / "a.sqlite"))
    user = access.accounts.user("sato")
    lost, kept = with_passkey(access, user, "telephone"), with_passkey(access, user, "desk")
    token = access.sessions.begin(user, "passkey", "192.0.2.1")
    listed = json.loads(users("passkeys", "sato", "--json").output)
    assert [(one["id"], one["label"]) for one in listed] == [
        (lost.short, "telephone"),
        (kept.short, "desk"),
    ]
    wrong = users("passkeys", "sato", "--remove", "telephone")
    assert str(wrong.exception) == (
        f"--remove must be all, or one of {lost.short}, {kept.short}, got 'telephone'"
    )
    done = users("passkeys", "sato", "--remove", lost.short)
    assert done.output == "sato has 1 passkeys, and is logged out everywhere\n"
    assert access.passkeys.of(user) == [kept]
    assert access.sessions.of(token) is None
    assert access.limits.log_ins("sato")[0].outcome == "removed"
    users("passkeys", "sato", "--remove", "all")
    assert access.passkeys.of(user) == []


def test_a_user_whose_password_is_refused_is_not_added(users, tmp_path):
    refused = users("add", "abe", "--role", "operator", "--password", typed="short\n")
    assert "12 to 200 characters" in str(refused.exception)
    assert Access(disk=Disk(tmp_path / "a.sqlite")).accounts.is_empty()


def test_no_command_takes_a_password_as_an_argument():
    text = (ROOT / "docs" / "commands.md").read_text()
    part = text.partition("### `yui web users")[2]
    assert not re.search(r"`--password [A-Z]", part)


def policy(host="127.0.0.1", reading=None, origin=None, certificate=False, users=False):
    return policy_of(host, 8480, reading, None, origin, certificate, users)


def test_pages_are_open_by_default_on_a_loopback_address_only():
    assert policy().reading is Reading.OPEN
    assert policy("::1").origin == "http://localhost:8480"
    assert policy(users=True).reading is Reading.OPEN
    assert policy("0.0.0.0", certificate=True, users=True).reading is Reading.LOG_IN
    behind = policy(origin="https://desk.example", users=True)
    assert behind.reading is Reading.LOG_IN
    assert behind.hosts == ("127.0.0.1", "::1", "desk.example", "localhost")
    assert policy("192.0.2.1", reading=Reading.OPEN).reading is Reading.OPEN


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"host": "0.0.0.0"}, "--host must be a loopback address while there are no users"),
        ({"origin": "https://desk.example"}, "users must be there before https://desk.example"),
        ({"reading": Reading.LOG_IN}, "users must be there for --reading log-in"),
        ({"host": "0.0.0.0", "users": True}, "passwords travel in the clear"),
        ({"origin": "http://desk.example", "users": True}, "passwords travel in the clear"),
        ({"origin": "desk.example", "users": True}, "--origin must be as https://desk.example"),
        ({"origin": "https://a.example/b", "users": True}, "--origin must be as"),
    ],
)
def test_a_desk_that_would_be_open_or_listened_to_is_refused(given, told):
    with pytest.raises(SettingError, match=re.escape(told)):
        policy(**given)


def test_a_desk_without_users_does_not_listen_to_others(tmp_path):
    refused = yui("--host", "0.0.0.0", "--accounts", str(tmp_path / "a.sqlite"))
    assert "--host must be a loopback address while there are no users, got 0.0.0.0" in str(
        refused.exception
    )
    alone = yui("--certificate", "x.pem", "--accounts", str(tmp_path / "a.sqlite"))
    assert "--certificate and --key must be given together" in str(alone.exception)
    assert is_loopback("[::1]")
    assert not is_loopback("desk.example")

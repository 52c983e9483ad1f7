"""What the pages answer when something is wrong, or asked for too often."""

import pytest
from starlette.testclient import TestClient

from bench.desk import fill
from chain.database import opened
from energy.errors import StoreError
from orchestrator.setting.sites import load_setting
from orchestrator.web import answers, prints
from orchestrator.web.access import access
from orchestrator.web.access.access import Access
from orchestrator.web.app import application
from orchestrator.web.desk import Desk
from orchestrator.web.reads import Ref, Source, source_of
from orchestrator.web.viewer import Role, Viewer

JAPANESE = {"accept-language": "ja"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    found = opened(str(tmp_path_factory.mktemp("few") / "store.sqlite"))
    fill(found, 2, 2)
    yield found
    found.dispose()


@pytest.fixture(scope="module")
def day(engine):
    with source_of(engine, load_setting(), 0, Viewer()) as source:
        return source.day_or_last(None)


@pytest.fixture
def few(monkeypatch):
    """A desk at which two statements may be had at once."""
    monkeypatch.setattr(access, "STATEMENTS_AT_ONCE", 2)
    return Access(clock=lambda: 1_000_000.0)


def client_of(engine, people=None, **options):
    app = application(Desk(engine, load_setting()), people)
    return TestClient(app, headers=JAPANESE, **options)


def test_who_asks_for_many_statements_waits_and_those_that_are_kept_cost_nothing(engine, day, few):
    client = client_of(engine, few)
    for _ in range(5):
        assert client.get(f"/site/0/statement?day={day}").status_code == 200
    assert client.get(f"/site/1/statement?day={day}").status_code == 200
    held = client.get(f"/site/1/statement.csv?day={day}")
    assert (held.status_code, held.headers["retry-after"]) == (429, "1")
    assert "1秒後にもう一度試すこと" in held.text
    assert client.get(f"/site/0/statement?day={day}").status_code == 200


def test_who_has_logged_in_is_counted_by_name_and_not_by_address(engine, day, few):
    given = {}
    for name in ("sato", "abe"):
        user = few.accounts.add(name, Role.OPERATOR, None)
        token = few.sessions.begin(user, "password", "testclient")
        client = client_of(engine, few, cookies={few.policy.session_cookie: token})
        addresses = [f"/site/{n}/statement{kind}" for n in (0, 1) for kind in ("", ".csv")]
        given[name] = [client.get(f"{one}?day={day}").status_code for one in addresses]
    assert given == {"sato": [200, 200, 429, 429], "abe": [200, 200, 429, 429]}
    assert few.statements.wait("address testclient") == 0


def test_what_is_not_read_of_an_address_makes_no_other_statement(engine, day, few):
    client = client_of(engine, few)
    for number in range(1, 6):
        address = f"/site/0/statement?month={day:%Y-%m}&day=2019-01-0{number}&x={number}"
        assert client.get(address).status_code == 200


def test_an_office_of_any_name_has_its_file(engine, day, monkeypatch):
    monkeypatch.setattr(Source, "ref", lambda self, site: Ref(site, '登米"\r\nx: y', "登米"))
    found = client_of(engine).get(f"/site/0/statement.csv?day={day}")
    assert found.headers["content-disposition"] == f'attachment; filename="x-y-{day}.csv"'
    monkeypatch.setattr(Source, "ref", lambda self, site: Ref(site, "登米", "登米"))
    found = client_of(engine).get(f"/site/0/statement.csv?day={day}")
    assert found.headers["content-disposition"] == f'attachment; filename="site-0-{day}.csv"'


def test_errors_are_told_in_the_readers_language_and_to_programs_in_english(engine):
    client = client_of(engine)
    page = client.get("/slot?day=2019-13-40")
    assert "日付は2019-06-04のように指定すること" in page.text
    assert "must be" not in page.text
    assert client.get("/now.json?day=2019-13-40").json()["error"].startswith("day must be as")
    english = client.get("/slot?day=2019-13-40", headers={"accept-language": "en"})
    assert "day must be as 2019-06-04" in english.text


def test_a_store_that_fails_is_told_without_saying_where_it_lies(engine, monkeypatch, caplog):
    def failing(*_):
        raise StoreError("/secret/store.sqlite must be a store that works, got: disk I/O error")

    monkeypatch.setattr(answers, "source_of", failing)
    found = client_of(engine).get("/now")
    assert found.status_code == 503
    assert "ストアが応答しない" in found.text
    assert "/secret" not in found.text
    assert "/secret" in caplog.text


def test_what_nobody_foresaw_is_a_page_as_well_and_keeps_others_out(engine, day, monkeypatch):
    def failing(*_, **__):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(prints, "html_of", failing)
    client = client_of(engine, raise_server_exceptions=False)
    found = client.get(f"/site/0/statement?day={day}")
    assert found.status_code == 500
    assert "ページを作成できなかった" in found.text
    assert "no such luck" not in found.text
    assert "default-src 'self'" in found.headers["content-security-policy"]
    assert found.headers["cache-control"] == "no-store"

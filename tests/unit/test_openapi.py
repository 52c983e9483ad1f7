"""The OpenAPI description: valid, of every address, and what every answer keeps to."""

import re
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.testclient import TestClient

from bench.desk import fill
from bench.origin import SLOTS
from chain.database import opened
from energy.units import day_of
from orchestrator.setting.sites import load_setting
from orchestrator.web.access.access import Access, Policy, Reading
from orchestrator.web.app import application
from orchestrator.web.desk import Desk
from orchestrator.web.openapi import ADDRESS, description
from orchestrator.web.pages import PAGES
from orchestrator.web.viewer import Others

DAY = day_of(SLOTS[0])
QUERIES = (
    "",
    f"?day={DAY}",
    f"?month={DAY:%Y-%m}",
    f"?at={SLOTS[20]}",
    f"?day={DAY - timedelta(days=400)}",
    f"?month={DAY - timedelta(days=400):%Y-%m}",
    "?at=0",
)
WRONG = (
    ("?day=2019-6-4", 400),
    ("?day=2019-02-30", 400),
    ("?day=", 400),
    ("?day=２０１９-06-04", 400),
    ("?month=2019-13", 400),
    ("?month=2019-6", 400),
    ("?at=-1", 400),
    ("?at=1.5", 400),
    ("?at=99999999999999999999", 400),
    ("?day=0001-01-01", 404),
    ("?day=9999-12-31", 404),
    ("?month=9999-12", 400),
    ("?month=2999-12", 404),
    ("?month=1000-01", 404),
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    engine = opened(str(tmp_path_factory.mktemp("openapi") / "store.sqlite"))
    fill(engine, 7, 1)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module", params=list(Others))
def client(engine, request):
    access = Access(Policy(others=request.param))
    return TestClient(application(Desk(engine, load_setting()), access))


def checked(answer, path):
    """Return an answer's data, which must be as the description says."""
    responses = description()["paths"][path]["get"]["responses"]
    assert str(answer.status_code) in responses, (path, answer.status_code, answer.text)
    response = responses[str(answer.status_code)]
    if "$ref" in response:
        response = description()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    assert answer.headers["content-type"] == "application/json"
    schema = response["content"]["application/json"]["schema"]
    whole = {**schema, "components": description()["components"]}
    Draft202012Validator(whole).validate(answer.json())
    return answer.json()


def filled(page, site=0):
    return re.sub("{site}", str(site), page.path).replace("{slot}", str(SLOTS[20]))


def test_the_description_is_valid_and_of_every_address(client):
    document = client.get(ADDRESS).json()
    assert document == description()
    OpenAPIV31SpecValidator(document).validate()
    routes = {route.path for route in client.app.routes if route.path.endswith(".json")}
    assert set(document["paths"]) == routes - {ADDRESS}
    assert f'href="{ADDRESS}"' in client.get("/now").text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_answer_is_as_the_description_says(client, page):
    names = {each.name for each in page.parameters}
    seen = set()
    for query in QUERIES:
        if query and query[1:].partition("=")[0] not in names:
            continue
        for site in (0, 3):
            answer = client.get(f"{filled(page, site)}.json{query}")
            checked(answer, f"{page.path}.json")
            seen.add(answer.status_code)
    assert 200 in seen


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_cannot_be_read_or_is_not_there_is_told_by_status(client, page):
    names = {each.name for each in page.parameters if each.place == "query"}
    for query, status in WRONG:
        if query[1:].partition("=")[0] in names:
            answer = client.get(f"{filled(page)}.json{query}")
            assert answer.status_code == status, (query, answer.text)
            assert checked(answer, f"{page.path}.json")["error"]
    if "{" in page.path:
        for wrong in ("999", "1000", "-1", "x", "4294967296", "１"):
            answer = client.get(re.sub("{.*}", wrong, page.path) + ".json")
            if page.name == "slot" and wrong in ("999", "1000"):
                assert answer.status_code == 200
            else:
                assert answer.status_code == 404, wrong
                checked(answer, f"{page.path}.json")


def test_what_needs_a_log_in_says_so_in_the_same_form(engine):
    access = Access(Policy(Reading.LOG_IN))
    client = TestClient(application(Desk(engine, load_setting()), access))
    for page in PAGES:
        answer = client.get(f"{filled(page)}.json")
        assert answer.status_code == 401
        checked(answer, f"{page.path}.json")


def test_another_method_is_answered_by_405_and_nothing_is_done(client):
    for page in PAGES:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = client.request(method, f"{filled(page)}.json")
            assert answer.status_code == 405
            assert "GET" in answer.headers["allow"]

"""The fleet's page over a control room's store: filters, alarms, ages, and who sees what."""

import pytest
from starlette.testclient import TestClient

from chain.database import opened, opened_to_read
from orchestrator.setting.sites import load_setting
from orchestrator.web.access.access import Access, Policy
from orchestrator.web.app import application
from orchestrator.web.desk import Desk
from orchestrator.web.viewer import Others
from tests.room import ALARM, TOWNS, room_of
from vpp.room.store import Standing, records
from vpp.room.tables import STEPS

NOW = 1_760_000_400
SITES = 120


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("room") / "room.sqlite")
    room_of(path, SITES, NOW).dispose()
    engine = opened_to_read(path, STEPS)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    engine = opened(str(tmp_path_factory.mktemp("market") / "store.sqlite"))
    yield engine
    engine.dispose()


def client_of(market, room, **policy):
    desk = Desk(market, load_setting(), clock=lambda: NOW, room=room)
    return TestClient(application(desk, Access(Policy(**policy))))


@pytest.fixture(scope="module")
def client(market, room):
    return client_of(market, room)


def states_of(room):
    with records(room) as read:
        return read.states()


def test_the_fleet_is_counted_and_summed_as_the_room_knows_it(client, room):
    shown = client.get("/fleet.json").json()
    states = states_of(room)
    standings = [state.standing(NOW) for state in states]
    alive = [s.report for s in states if s.standing(NOW) is Standing.ALIVE]
    assert shown["registered"] == shown["matching"] == SITES
    assert shown["alive"] == standings.count(Standing.ALIVE) == len(alive) > 0
    assert shown["lost"] == standings.count(Standing.LOST) > 0
    assert shown["unheard"] == standings.count(Standing.UNHEARD) > 0
    assert shown["battery_w"] == sum(report.battery_w for report in alive)
    assert shown["stored_wh"] == sum(report.stored_wh for report in alive)
    assert shown["discharge_w"] == 15_000 * len(alive)


def test_what_is_wrong_comes_first(client):
    sites = client.get("/fleet.json").json()["sites"]
    assert sites[0]["alarms"] == [ALARM]
    with_alarms = [bool(site["alarms"]) for site in sites]
    assert with_alarms == sorted(with_alarms, reverse=True)
    rest = [site["standing"] == "alive" for site in sites if not site["alarms"]]
    assert rest == sorted(rest)
    page = client.get("/fleet", headers={"accept-language": "en"}).text
    assert ALARM in page
    assert "never heard" in page


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("municipality=Osaki%20City", lambda site: site["municipality"] == "Osaki City"),
        ("type=battery", lambda site: site["kind"] == "battery"),
        ("standing=lost", lambda site: site["standing"] == "lost"),
        ("standing=alarm", lambda site: site["alarms"]),
        ("from=80", lambda site: site["charge"] is not None and site["charge"] >= 0.8),
        ("to=20", lambda site: site["charge"] is not None and site["charge"] <= 0.2),
        (
            "municipality=Tome%20City&type=pv%2Bbattery&from=10&to=90",
            lambda site: (
                (site["municipality"], site["kind"]) == ("Tome City", "pv+battery")
                and 0.1 <= site["charge"] <= 0.9
            ),
        ),
    ],
)
def test_filters_leave_those_sites_and_all_of_them(client, query, holds):
    every = [
        site
        for page in (1, 2, 3)
        for site in client.get(f"/fleet.json?page={page}").json()["sites"]
    ]
    assert len(every) == SITES
    shown = client.get(f"/fleet.json?{query}").json()
    wanted = [site for site in every if holds(site)]
    assert 0 < len(wanted) < SITES
    assert shown["matching"] == len(wanted)
    assert shown["sites"] == wanted[:50]


def test_nonsense_in_filters_is_answered_by_name(client):
    assert client.get("/fleet.json?standing=asleep").json()["error"].startswith("standing must be")
    assert "from must be a number below 101" in client.get("/fleet.json?from=120").json()["error"]
    nothing = client.get("/fleet.json?municipality=Atlantis").json()
    assert (nothing["matching"], nothing["sites"]) == (0, [])
    assert nothing["municipalities"] == sorted(TOWNS)
    assert client.get("/fleet.json?page=99").json()["page"] == 3


def test_instructions_are_shown_with_what_became_of_them(client):
    told = client.get("/fleet.json").json()["told"]
    assert [(one["action"], one["outcome"]) for one in told] == [
        ("discharge", "refused"),
        ("stop", "open"),
        ("charge", "taken"),
    ]
    page = client.get("/fleet", headers={"accept-language": "en"}).text
    assert "limit: state of charge 10 %" in page
    assert "smoke in the hall" in page


def test_figures_are_kept_from_who_may_not_see_loads(market, room):
    hidden = client_of(market, room, others=Others.TRADES).get("/fleet.json").json()
    assert hidden["is_shown"] is False
    assert hidden["told"] == []
    assert hidden["battery_w"] is None
    for site in hidden["sites"]:
        assert site["charge"] is site["battery_w"] is site["imported_w"] is None
    assert hidden["alive"] > 0
    by_charge = client_of(market, room, others=Others.TRADES).get("/fleet.json?from=50").json()
    assert by_charge["matching"] == 0


def test_without_a_room_the_page_says_how_to_set_one_up(market):
    page = client_of(market, None).get("/fleet", headers={"accept-language": "en"}).text
    assert "yui fleet init --sites 20" in page
    assert client_of(market, None).get("/fleet.json").json()["is_set_up"] is False

"""The fleet's page over a control room's store: filters, alarms, ages, and who sees what."""

import re
import shlex
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from chain.database import opened, opened_to_read
from orchestrator.setting.sites import load_setting
from orchestrator.web.access.access import Access, Policy
from orchestrator.web.app import application
from orchestrator.web.commanding import Answered
from orchestrator.web.desk import Desk
from orchestrator.web.draw.fleet import alarm_text
from orchestrator.web.drawing import Pen
from orchestrator.web.viewer import Others, Role
from orchestrator.web.words import knows
from orchestrator.words import Language
from tests.room import ALARM, TOWNS, room_of
from vpp.calls.linked import BY
from vpp.commands import Action, Answer, Instruction
from vpp.dispatch.trust import ALARMS
from vpp.link.setup import counted
from vpp.room.keeper import keeping
from vpp.room.selecting import Selection, chosen
from vpp.room.store import Outcome, Registered, Sent, Standing, records
from vpp.room.tables import STEPS

NOW = 1_760_000_400
SITES = 120
BASE, PASSWORD = "http://localhost:8480", "seven roofs one river"


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
                and 0.1 <= (site["charge"] or 0) <= 0.9
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
    wrong = client.get("/fleet.json?from=120").json()["error"]
    assert wrong.startswith("from must be a number from 0 to 100")
    nothing = client.get("/fleet.json?municipality=Atlantis").json()
    assert (nothing["matching"], nothing["sites"]) == (0, [])
    assert [town["municipality"] for town in nothing["towns"]] == sorted(TOWNS)
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
        assert site["following"] is None
        assert site["call"] == ""
    # An alarm tells by its name that something is wrong; what was measured stays with it.
    assert ALARM == "battery: 51 °C"
    assert hidden["sites"][0]["alarms"] == ["battery"]
    for language in ("en", "ja"):
        headers = {"accept-language": language}
        page = client_of(market, room, others=Others.TRADES).get("/fleet", headers=headers).text
        assert "51 °C" not in page
    assert hidden["alive"] > 0
    by_charge = client_of(market, room, others=Others.TRADES).get("/fleet.json?from=50").json()
    assert by_charge["matching"] == 0


def test_a_member_sees_the_own_site_of_the_fleet_and_no_sum(market, tmp_path):
    room = room_of(str(tmp_path / "room.sqlite"), 20, NOW)
    try:
        # The market's site 3 is the fleet's only if it goes by the same name as well.
        client = visitor(Desk(market, load_setting(), lambda: NOW, room=room), Role.MEMBER)
        other = client.get("/fleet.json").json()
        assert all(site["charge"] is None for site in other["sites"])
        assert other["told"] == []
        with keeping(room) as keep:
            keep.register([Registered(3, "Site 3", TOWNS[3]), Registered(4, "Site 4", TOWNS[4])])
        client = visitor(Desk(market, load_setting(), lambda: NOW, room=room), Role.MEMBER)
        shown = client.get("/fleet.json").json()
        seen = {site["site"]["number"]: site for site in shown["sites"]}
        assert seen[3]["charge"] is not None
        assert seen[3]["alarms"] == [ALARM]
        assert [one["site"]["number"] for one in shown["told"]] == [3]
        assert all(site["charge"] is None for number, site in seen.items() if number != 3)
        assert shown["is_shown"] is False
        assert shown["stored_wh"] is shown["battery_w"] is None
        page = client.get("/fleet", headers={"accept-language": "en"}).text
        assert "cheap noon" in page
        assert "smoke in the hall" not in page
    finally:
        room.dispose()


def test_the_fleet_speaks_japanese_to_who_reads_it(market, tmp_path):
    room = room_of(str(tmp_path / "room.sqlite"), 8, NOW)
    osaki = load_setting().sites[2]
    with keeping(room) as keep:
        keep.register([Registered(n, f"School {n}", osaki.region, "pv+battery") for n in range(8)])
    client = client_of(market, room)
    japanese = client.get("/fleet", headers={"accept-language": "ja"}).text
    assert '<option value="pv+battery">太陽光+蓄電池</option>' in japanese
    assert "分</td>" in japanese
    assert " min</td>" not in japanese
    assert ">pv+battery</td>" not in japanese
    english = client.get("/fleet", headers={"accept-language": "en"}).text
    assert osaki.region_en in english
    assert f">{osaki.region}</td>" not in english
    assert ">solar+battery</td>" in english
    environment = Desk(market, load_setting()).environment
    raised = "short: this half hour must be met, will be missed by 800 Wh or more"
    told = str(alarm_text(Pen(Language.JAPANESE, environment), raised))
    assert told == "計画量の未達見込み: この時間帯の計画に800 Wh以上届かない見込み"
    assert str(alarm_text(Pen(Language.ENGLISH, environment), raised)).endswith("800 Wh or more")
    # What is not known stays as the site says it, and who reads it aloud is told its language.
    unknown = str(alarm_text(Pen(Language.JAPANESE, environment), "battery: smoke"))
    assert unknown == '<span lang="en">battery</span>: <span lang="en">smoke</span>'
    room.dispose()


def test_a_counted_fleet_and_its_calls_are_named_in_japanese(market, tmp_path):
    room = room_of(str(tmp_path / "room.sqlite"), 3, NOW)
    members = counted(3)
    told = Instruction(1, 200, Action.CALL, NOW, NOW + 1_800, NOW + 60, 9_000, call="up-1730")
    typed = Instruction(2, 201, Action.HOLD, NOW, NOW + 1_800, NOW + 60)
    with keeping(room) as keep:
        keep.register(
            [Registered(m.site, m.name, m.municipality, m.kind, m.name_ja) for m in members]
        )
        sent = Outcome.OPEN, None, 4, "{}"
        keep.sent([Sent(told, BY, "call up-1730", NOW, *sent, "of200")])
        keep.sent([Sent(typed, "abe", "call the plumber", NOW, *sent, "of201")])
    client = client_of(market, room)
    japanese = client.get("/fleet", headers={"accept-language": "ja"}).text
    for name in ("大崎 1", "石巻 2", "仙台</option>", "調整指令 up-1730"):
        assert name in japanese
    assert '<span lang="en">call the plumber</span>' in japanese
    assert "call up-1730" not in japanese
    english = client.get("/fleet", headers={"accept-language": "en"}).text
    for name in ("Osaki 1", "Sendai</option>", "call up-1730"):
        assert name in english
    room.dispose()


def test_every_alarm_that_a_site_raises_has_its_words():
    raised = {*ALARMS, "readback", "no-timer", "meter", "inverter", "store-failed", "short", "link"}
    assert all(knows(f"alarm_{name}") for name in (*raised, "link-lost", "chain-lost"))


def test_without_a_room_the_page_says_how_to_set_one_up(market):
    page = client_of(market, None).get("/fleet", headers={"accept-language": "en"}).text
    assert "yui fleet init --sites 20" in page
    assert client_of(market, None).get("/fleet.json").json()["is_set_up"] is False


class RoomsOwn:
    """Carries commands as far as the room's store: what is told is kept there, and taken."""

    def __init__(self, engine):
        self.engine = engine

    async def give(self, sites, command, by):
        with keeping(self.engine) as keep:
            for number, site in enumerate(sites):
                told = Instruction(
                    site, 100 + number, command.action, NOW, NOW + (command.seconds or 60),
                    NOW + 60, command.power_w,
                )  # fmt: skip
                of = f"command{number}"
                keep.sent([Sent(told, by, command.why, NOW, Outcome.OPEN, None, 1, "{}", of)])
                keep.answered([(Answer(site, 100 + number, NOW), of)], NOW)
        return [Answered(site, "taken") for site in sites]


@pytest.fixture
def own_room(tmp_path):
    engine = room_of(str(tmp_path / "room.sqlite"), 20, NOW)
    yield engine
    engine.dispose()


@pytest.fixture
def desk(market, own_room):
    commander = RoomsOwn(own_room)
    return Desk(market, load_setting(), lambda: NOW, room=own_room, commander=commander)


def visitor(desk, role=None):
    """A browser, logged in with a role."""
    access = Access(Policy(origin=BASE, hosts=("localhost",)))
    user = access.accounts.add("abe", Role.OPERATOR, None)
    access.accounts.set_password(user, PASSWORD)
    if role is not None and role is not Role.OPERATOR:
        user = access.accounts.add("other", role, 3 if role is Role.MEMBER else None)
        access.accounts.set_password(user, PASSWORD)
    client = TestClient(application(desk, access), base_url=BASE, follow_redirects=False)
    if role is not None:
        name = "abe" if role is Role.OPERATOR else "other"
        values = {"token": hidden("token", client.get("/log-in")), "name": name}
        assert client.post("/log-in", data={**values, "password": PASSWORD}).status_code == 303
    return client


def hidden(name, page):
    found = re.search(f'name="{name}" value="([^"]*)"', page.text)
    assert found, page.text
    return found[1]


def test_only_operators_come_to_commands(desk):
    stranger = visitor(desk).get("/fleet/command?type=battery")
    assert stranger.headers["location"] == "/log-in?next=/fleet/command%3Ftype%3Dbattery"
    for role in (Role.MEMBER, Role.AUDITOR):
        client = visitor(desk, role)
        assert client.get("/fleet/command").status_code == 403
        assert "/fleet/command" not in client.get("/fleet").text
    assert "/fleet/command?" in visitor(desk, Role.OPERATOR).get("/fleet").text


def test_an_operator_commands_the_sites_that_the_filters_leave(desk, own_room):
    client = visitor(desk, Role.OPERATOR)
    form = client.get("/fleet/command?municipality=Osaki%20City")
    sites = [int(site) for site in hidden("sites", form).split(",")]
    wanted = [state.site for state in states_of(own_room) if state.municipality == "Osaki City"]
    assert sorted(sites) == wanted
    fields = {"token": hidden("token", form), "sites": hidden("sites", form), "action": "charge"}
    fields |= {"power": "7.5", "minutes": "45", "why": "cheap noon"}
    answer = client.post("/fleet/command?municipality=Osaki%20City", data=fields)
    assert answer.status_code == 200
    assert answer.text.count("taken") >= len(wanted)
    with records(own_room) as read:
        told = [sent for sent in read.instructions() if sent.instruction.sequence >= 100]
    assert sorted(sent.instruction.site for sent in told) == wanted
    for sent in told:
        assert (sent.by, sent.why) == ("abe", "cheap noon")
        assert sent.instruction.power_w == 7_500
        assert sent.instruction.ends_at - sent.instruction.starts_at == 45 * 60


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"why": " "}, "a reason must be given"),
        ({"action": "dance"}, "an action must be one of charge"),
        ({"power": "0"}, "power must be from 0.001 to 100000, got 0"),
        ({"power": "much"}, "power must be a number"),
        ({"minutes": "0"}, "minutes must be from 1 to 44640, got 0"),
        ({"sites": "3,999"}, "sites must be some of the fleet"),
        ({"sites": ""}, "sites must be some of the fleet"),
    ],
)
def test_a_command_that_makes_no_sense_is_not_sent(desk, own_room, wrong, told):
    client = visitor(desk, Role.OPERATOR)
    form = client.get("/fleet/command")
    fields = {"token": hidden("token", form), "sites": hidden("sites", form), "action": "charge"}
    fields |= {"power": "7.5", "minutes": "45", "why": "cheap noon", **wrong}
    answer = client.post("/fleet/command", data=fields)
    assert answer.status_code == 400
    assert told in answer.text.replace("&#39;", "'")
    with records(own_room) as read:
        assert all(sent.instruction.sequence < 100 for sent in read.instructions())


def test_the_sites_that_were_shown_stay_those_that_are_meant(desk, own_room):
    """One of them loses its alarm while the form is filled in."""
    client = visitor(desk, Role.OPERATOR)
    form = client.get("/fleet/command?standing=alarm", headers={"accept-language": "en"})
    sites = hidden("sites", form)
    state = next(state for state in states_of(own_room) if str(state.site) in sites.split(","))
    with keeping(own_room) as keep:
        report = replace(state.report, alarms=(), at=state.report.at + 1)
        keep.reported([(report, NOW, True)])
    assert hidden("sites", client.get("/fleet/command?standing=alarm")) != sites
    fields = {"token": hidden("token", form), "sites": sites, "action": "stop", "why": "smoke"}
    answer = client.post("/fleet/command?standing=alarm", data=fields)
    assert answer.status_code == 200
    assert state.name in answer.text
    assert f"Command {len(sites.split(','))} sites" in answer.text
    desk.commander = None
    answer = client.post("/fleet/command?standing=alarm", data=fields)
    assert hidden("sites", answer) == sites
    assert state.name in answer.text


def test_a_command_without_the_forms_token_is_refused(desk):
    client = visitor(desk, Role.OPERATOR)
    fields = {"sites": "1", "action": "stop", "why": "x"}
    assert client.post("/fleet/command", data=fields).status_code == 403


def test_without_a_room_to_carry_it_the_command_line_is_told(market, own_room):
    desk = Desk(market, load_setting(), clock=lambda: NOW, room=own_room)
    client = visitor(desk, Role.OPERATOR)
    asked = [{"standing": "alarm"}, {"from": "0"}, {"to": "100", "type": "battery"}, {}]
    for query in asked:
        form = client.get("/fleet/command", params=query)
        sites = hidden("sites", form)
        fields = {"token": hidden("token", form), "sites": sites, "action": "stop", "why": "smoke"}
        answer = client.post("/fleet/command", params=query, data=fields)
        assert answer.status_code == 400
        typed = re.search("<code>(.*?)</code>", answer.text)
        meant = f"--site {in_order(sites)}" if query else "--all"
        assert typed is not None
        assert typed[1] == f"yui fleet stop {meant} --why smoke"
    # Of all sites that the form showed, one was unchosen: that is no longer the whole fleet.
    some = sites.rpartition(",")[0]
    answer = client.post("/fleet/command", data={**fields, "sites": some})
    assert f"yui fleet stop --site {in_order(some)} --why smoke" in answer.text


def in_order(sites):
    return ",".join(map(str, sorted(map(int, sites.split(",")))))


def test_the_command_line_that_is_told_means_the_sites_that_were_shown(market, own_room):
    desk = Desk(market, load_setting(), clock=lambda: NOW, room=own_room)
    client = visitor(desk, Role.OPERATOR)
    charges = {s.site: s.report.charge_share for s in states_of(own_room) if s.report}
    edge = round(100 * next(share for share in charges.values() if 0.2 < share < 0.8))
    form = client.get("/fleet/command", params={"standing": "alive", "from": str(edge)})
    fields = {"token": hidden("token", form), "sites": hidden("sites", form), "action": "stop"}
    answer = client.post("/fleet/command", data={**fields, "why": "smoke"})
    typed = re.search("<code>(.*?)</code>", answer.text)
    assert typed is not None
    words = shlex.split(typed[1])
    selection = Selection(sites=tuple(words[words.index("--site") + 1].split(",")))
    found = {state.site for state in chosen(states_of(own_room), selection).states}
    shown = set(map(int, hidden("sites", form).split(",")))
    assert 0 < len(shown) < len(states_of(own_room))
    assert found == shown

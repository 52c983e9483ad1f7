"""The pages over a replayed store: their numbers are the store's, and what they refuse."""

import json
import re
import shlex
import shutil
from html import unescape
from unittest.mock import Mock

import numpy as np
import pytest
from sqlalchemy import text
from starlette.testclient import TestClient
from typer.testing import CliRunner

from chain.attesting import day_tree
from chain.database import opened, opened_to_read, writing
from chain.overview import slot_lines
from chain.store import stored
from energy.errors import SettingError, StoreError
from energy.lots import Kind
from orchestrator.auditing.audit import findings_kept
from orchestrator.cli import app as program
from orchestrator.reference import commands
from orchestrator.setting.sites import load_setting
from orchestrator.statements.day import day_report
from orchestrator.statements.statement import as_csv, statement_of
from orchestrator.web import prints, reads
from orchestrator.web.access.access import Access, Policy
from orchestrator.web.app import application
from orchestrator.web.cli import is_loopback, served
from orchestrator.web.desk import Desk
from orchestrator.web.pages import MENU, PAGES
from orchestrator.web.viewer import Others
from orchestrator.web.words import say
from orchestrator.words import Language
from tests.room import room_of
from tests.web import ADDRESSES, DAY, EVENING, KESENNUMA, NOON, SLOTS
from vpp.chemistry import chemistry
from vpp.explain import Why
from vpp.wear import wear_cost

NOW = 1_760_000_400


@pytest.fixture(scope="module")
def engine(played_day):
    found = opened_to_read(str(played_day / "store.sqlite"))
    yield found
    found.dispose()


def client_of(engine, **options):
    return TestClient(application(Desk(engine, load_setting(), **options)))


@pytest.fixture(scope="module")
def client(engine, played_day, tmp_path_factory):
    room = room_of(str(tmp_path_factory.mktemp("room") / "room.sqlite"), 60, NOW)
    yield client_of(engine, clock=lambda: NOW, audit=played_day / "audit.state", room=room)
    room.dispose()


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
        ("/slot/nonsense", 404, "slot must be a number from 0"),
        ("/site/77", 404, "one of the market"),
        ("/site/0?day=2019-6-4", 400, "day must be as 2019-06-04"),
        ("/site/0?month=2019-13", 400, "month must be as 2019-06"),
        ("/now?at=-1", 400, "must be a number"),
        ("/nowhere", 404, "Not Found"),
        ("/now?language=fr", 400, "language must be one of"),
        ("/battery/0", 404, "Ogawara must have a battery"),
        ("/slot?day=2019-06-04&number=48", 400, "number must be a number from 0 to 47"),
        ("/site?site=x", 400, "site must be a number"),
        (f"/slot/{'9' * 5_000}", 404, "slot must be a number"),
        (f"/site/{'9' * 5_000}/statement", 404, "site must be a number"),
        ("/fleet?page=0", 400, "page must be a number from 1"),
        ("/site/0/statement?day=2019-06-09", 400, "must be"),
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
    access = Access(Policy(others=Others.TRADES))
    hidden = TestClient(application(Desk(engine, load_setting()), access))
    readings = hidden.get(f"/slot/{NOON}.json").json()["readings"]
    assert all(reading["used_wh"] is None for reading in readings)
    assert hidden.get(f"/site/6.json?day={DAY}").json()["is_shown"] is False
    battery = hidden.get(f"/battery/6.json?day={DAY}").json()
    assert battery["is_shown"] is False
    assert battery["half_hours"] == battery["days"] == []
    assert hidden.get(f"/site/6/statement?day={DAY}").status_code == 403
    for address in ADDRESSES:
        assert hidden.get(address).status_code == 200


def test_the_pages_are_for_this_machine_unless_it_is_said():
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("desk.example")
    absent = CliRunner().invoke(program, ["web", "--store", "/nowhere/store.sqlite"])
    assert "must be a store" in str(absent.exception)


def test_own_share_is_what_the_utility_did_not_supply(engine, client):
    for slot in (NOON, EVENING, SLOTS[3]):
        shown = client.get(f"/now.json?at={slot}").json()
        with stored(engine) as store:
            entered = store.origins("entered", range(slot, slot + 1))
        utility = sum(row.energy for row in entered if row.origin.kind is Kind.GRID)
        assert shown["utility_wh"] == utility
        share = f"{(1 - utility / shown['used_wh']) * 100:.1f} %"
        assert share in client.get(f"/now?at={slot}").text


def test_a_page_without_its_object_leads_to_where_most_was_traded(engine, client):
    with stored(engine) as store:
        busiest = max(slot_lines(store, SLOTS), key=lambda line: (line.traded, line.slot))
    assert busiest.traded > 0
    assert client.get("/slot").url.path == f"/slot/{busiest.slot}"
    assert client.get("/now.json").json()["slot"] == busiest.slot
    assert client.get(f"/slot?day={DAY}&number=3").url.path == f"/slot/{SLOTS[3]}"
    assert client.get("/site").url.path == "/site/0"
    assert client.get(f"/battery?day={DAY}").url.path == f"/battery/{KESENNUMA}"


def test_a_record_that_is_shorter_than_the_month_says_so_and_calls_nothing_open(client):
    shown = client.get("/site/1.json?month=2019-06").json()
    assert shown["days"] == [str(DAY), str(DAY)]
    assert not shown["is_whole"]
    assert shown["slots_not_final"] == shown["slots_without_reading"] == 0
    page = client.get("/site/1?month=2019-06", headers={"accept-language": "en"}).text
    assert "Tue 4 June 2019 to Tue 4 June 2019 is on record" in page
    assert "not settled yet" not in page


def test_an_office_says_where_it_lies_in_the_readers_language(client):
    english = client.get(f"/site/1?day={DAY}", headers={"accept-language": "en"}).text
    japanese = client.get(f"/site/1?day={DAY}", headers={"accept-language": "ja"}).text
    assert "Sendai City" in english
    assert "仙台市" not in english
    assert "仙台市" in japanese


def test_an_office_has_its_statement_to_print_and_as_a_file(engine, client):
    with stored(engine) as store:
        statement = statement_of(store, KESENNUMA, SLOTS)
        root = "0x" + day_tree(store, DAY).root.hex()
    page = client.get(f"/site/6/statement?day={DAY}", headers={"accept-language": "ja"})
    assert root in page.text
    assert f"{statement.energies.used / 1000:,.3f} kWh" in page.text
    assert "style-src" not in page.headers["content-security-policy"]
    assert "<style" not in page.text
    assert client.get("/print.css").headers["content-type"].startswith("text/css")
    file = client.get(f"/site/6/statement.csv?day={DAY}", headers={"accept-language": "ja"})
    japanese = {site.number: site.name_ja for site in load_setting().sites}
    assert file.text == "\ufeff" + as_csv(statement, japanese, Language.JAPANESE)


def test_a_statement_is_made_once_and_a_days_root_as_well(engine, forged, monkeypatch):
    made, computed = Mock(wraps=statement_of), Mock(wraps=day_tree)
    monkeypatch.setattr(prints, "statement_of", made)
    monkeypatch.setattr(reads, "day_tree", computed)
    client = client_of(engine)
    for language in ("en", "en", "ja", "en"):
        page = client.get(f"/site/6/statement?day={DAY}", headers={"accept-language": language})
        assert page.status_code == 200
        assert page.headers["cache-control"] == "private, no-cache"
    assert made.call_count == 2  # one a language
    for _ in range(2):
        client.get(f"/site/6/statement.csv?day={DAY}")
    assert made.call_count == 3
    again = {"if-none-match": page.headers["etag"]}
    assert client.get(f"/site/6/statement?day={DAY}", headers=again).status_code == 304
    # The root stands, attested by the sites: it is not computed; where it does not, it is, once.
    assert computed.call_count == 0
    with writing(forged) as connection:
        connection.execute(text("DELETE FROM attestations WHERE site < 3"))
    client = client_of(forged)
    month = f"{DAY:%Y-%m}"
    for address in (f"/site/6/statement?day={DAY}", f"/site/5/statement?month={month}"):
        assert root_of(engine) in client.get(address).text
    assert client.get(f"/slot/{NOON}.json").json()["proof"]["day_root"] == root_of(engine)
    assert computed.call_count == 1
    forged.dispose()


def root_of(engine):
    with stored(engine) as store:
        return "0x" + day_tree(store, DAY).root.hex()


def test_a_battery_is_shown_as_planned_and_as_measured(engine, client):
    shown = client.get(f"/battery/{KESENNUMA}.json?day={DAY}").json()
    with stored(engine) as store:
        readings = store.readings(SLOTS, KESENNUMA)
    hours = shown["half_hours"]
    for name, wanted in (
        ("charged", "charged"),
        ("discharged", "discharged"),
        ("stored", "stored"),
    ):
        assert [one[f"{name}_wh"] for one in hours] == [getattr(one, wanted) for one in readings]
    assert shown["charge"] == readings[-1].stored / shown["capacity_wh"]
    assert shown["cycles"] == sum(one.discharged for one in readings) / shown["capacity_wh"] > 0
    basis = shown["basis"]
    assert (basis["how"], basis["is_known"]) == ("plan", True)
    assert basis["half_hours_kept_to"] == basis["half_hours_read"] == len(hours)
    assert all(one["is_kept_to"] for one in hours)
    assert basis["made_by"] == "HiGHS"
    assert shown["basis"]["gap_microyen"] < 10_000
    assert shown["basis"]["days_of_stand_in"] == 28
    assert not shown["basis"]["alarms"]
    planned = [one["planned_stored_wh"] for one in hours]
    assert min(planned) >= shown["minimum_wh"] - 1
    assert max(planned) <= shown["capacity_wh"] + 1
    for one in hours:
        value, below = one["value_milliyen_per_kwh"], one["charge_below_milliyen_per_kwh"]
        assert below <= value <= one["discharge_above_milliyen_per_kwh"]
        if one["why"] in ("surplus", "spread", "own_use"):
            assert one["planned_charged_wh"] + one["planned_discharged_wh"] > 0


def test_a_battery_that_another_steered_is_seen_to_differ(forged):
    """The store says that the rule steered: what it would have told is not what was done."""
    with writing(forged) as connection:
        connection.execute(text("UPDATE settings SET value = 'rule' WHERE name = 'battery'"))
    shown = client_of(forged).get(f"/battery/{KESENNUMA}.json?day={DAY}").json()
    assert shown["basis"]["how"] == "rule"
    assert shown["basis"]["made_by"] is None
    assert 0 < shown["basis"]["half_hours_kept_to"] < shown["basis"]["half_hours_read"]
    assert {one["why"] for one in shown["half_hours"]} == {"rule"}


def test_the_wear_of_a_batterys_days_is_what_rainflow_counts(engine, client):
    shown = client.get(f"/battery/{KESENNUMA}.json?day={DAY}").json()
    with stored(engine) as store:
        stored_wh = [one.stored for one in store.readings(SLOTS, KESENNUMA)]
    one_way = (shown["efficiency_per_mille"] / 1000) ** 0.5
    path = np.array(stored_wh) / 1000 / one_way
    wear = chemistry("lfp").wear(shown["capacity_wh"] / 1000 / one_way)
    cycling = sum(day["cycling_microyen"] for day in shown["days"])
    assert cycling / 1e6 == pytest.approx(wear_cost(wear, path), abs=1e-5)
    assert cycling > 0
    assert shown["worn_microyen"] == cycling + sum(
        day["standing_microyen"] for day in shown["days"]
    )


def test_the_audit_says_what_was_checked_and_by_whom(engine, client, played_day):
    shown = client.get("/audit.json").json()
    assert shown["day"] == str(DAY)
    with stored(engine) as store:
        assert shown["root"] == "0x" + day_tree(store, DAY).root.hex()
    assert [(one["holds"], one["holds"] == one["of"] > 0) for one in shown["checks"]] == [
        (one["of"], True) for one in shown["checks"]
    ]
    (day,) = shown["days"]
    assert day["day"] == str(DAY)
    assert (day["attesting"], day["active"], day["needed"]) == (7, 7, 5)
    assert all(one["agrees"] for one in shown["sites"])
    kept = findings_kept(played_day / "audit.state")
    assert kept is not None
    assert (shown["last_audit"]["block"], shown["last_audit"]["counts"]) == (
        kept[0],
        kept[1].to_json(),
    )


@pytest.fixture
def forged(played_day, tmp_path):
    """A copy of the store, which a test may falsify."""
    shutil.copy(played_day / "store.sqlite", tmp_path / "store.sqlite")
    return opened(str(tmp_path / "store.sqlite"))


@pytest.mark.parametrize(
    ("change", "where", "check"),
    [
        ("UPDATE entries SET microyen = microyen + 1", "account = 0", "ledger"),
        ("UPDATE clearings SET price = price + 1", "price > 0", "recomputed"),
        ("UPDATE flows SET energy = 90000", "kind = 'delivery'", "delivered"),
        ("UPDATE origins SET energy = energy + 1", "part = 'used'", "origins"),
        ("DELETE FROM readings", "site = 2", "readings"),
    ],
)
def test_what_is_false_in_a_store_shows_on_the_audit_page(forged, change, where, check):
    with writing(forged) as connection:
        connection.execute(text(f"{change} WHERE slot = {NOON} AND {where}"))
    shown = client_of(forged).get("/audit.json").json()
    failed = [one["name"] for one in shown["checks"] if one["holds"] != one["of"]]
    assert check in failed
    page = client_of(forged).get("/audit", headers={"accept-language": "en"}).text
    assert ("not all" if check == "readings" else "DOES NOT HOLD") in page
    forged.dispose()


def test_a_root_that_is_not_the_rows_is_named_with_who_attests_it(forged):
    with writing(forged) as connection:
        connection.execute(text("UPDATE attestations SET root = X'00' WHERE site = 3"))
    shown = client_of(forged).get("/audit.json").json()
    assert [one["site"]["number"] for one in shown["sites"] if not one["agrees"]] == [3]
    (day,) = shown["days"]
    assert (day["attesting"], day["dissenting"]) == (6, 1)
    forged.dispose()


def test_what_an_audit_left_may_be_unreadable_or_absent(engine, tmp_path):
    (tmp_path / "audit.state").write_bytes(b"nonsense")
    broken = client_of(engine, audit=tmp_path / "audit.state").get("/audit.json").json()
    assert "must be an audit's state" in broken["audit_problem"]
    absent = client_of(engine, audit=tmp_path / "none").get("/audit.json").json()
    assert absent["last_audit"] is absent["audit_problem"] is None


def shown_commands(client, address="/audit"):
    page = client.get(address, headers={"accept-language": "en"}).text
    listed = page.partition('<dl class="commands">')[2].partition("</dl>")[0]
    return [shlex.split(unescape(line)) for line in re.findall("<code>(.*?)</code>", listed)]


def test_the_commands_that_the_audit_page_shows_are_ones_that_the_program_takes(client):
    known = dict(commands())
    lines = shown_commands(client)
    assert [words[1] for words in lines] == ["audit", "proof", "verify", "trace"]
    for _, name, *rest in lines:
        known[name].make_context(name, list(rest))


def test_the_commands_that_the_audit_page_shows_fit_the_store(played_day, tmp_path, monkeypatch):
    """They are typed as they stand, on another day's store than the demo's."""
    path = tmp_path / "own store.sqlite"
    shutil.copy(played_day / "store.sqlite", path)
    own = opened(str(path))
    with writing(own) as connection:
        names = {
            site.number: [f"{site.name} Office", site.name_ja] for site in load_setting().sites
        }
        values = {"value": json.dumps(names), "name": "names"}
        connection.execute(text("UPDATE settings SET value = :value WHERE name = :name"), values)
    client = client_of(own, served=served(str(path)))
    _, prove, verify, trace = shown_commands(client, f"/audit?day={DAY}")
    assert str(path) in prove
    assert prove[2].endswith(" Office")
    monkeypatch.chdir(tmp_path)
    for words in (prove, trace):
        done = CliRunner().invoke(program, words[1:])
        assert done.exit_code == 0, done.output
    assert (tmp_path / verify[2]).exists()
    # Where nothing is settled there is nothing to prove; and a path is not for everyone.
    assert [words[1] for words in shown_commands(client, "/audit?day=2019-06-09")] == ["audit"]
    access = Access(Policy(others=Others.TRADES))
    desk = Desk(own, load_setting(), served=served(str(path)))
    hidden = TestClient(application(desk, access)).get("/audit").text
    assert str(path) not in hidden
    assert "--store" not in hidden
    own.dispose()


def test_a_reader_of_a_store_cannot_write_it(played_day, tmp_path):
    shutil.copy(played_day / "store.sqlite", tmp_path / "store.sqlite")
    engine = opened_to_read(str(tmp_path / "store.sqlite"))
    with (
        pytest.raises(StoreError, match="readonly"),
        writing(engine) as connection,
    ):
        connection.execute(text("DELETE FROM readings"))
    engine.dispose()
    with pytest.raises(SettingError, match="must be a store, got no such file"):
        opened_to_read(str(tmp_path / "other.sqlite"))


def test_a_store_that_lies_where_nothing_can_be_written_is_read(played_day, tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    shutil.copy(played_day / "store.sqlite", tmp_path / "closed" / "store.sqlite")
    monkeypatch.setattr("os.access", lambda *_: False)  # the tests may run as one who may all
    engine = opened_to_read(str(tmp_path / "closed" / "store.sqlite"))
    with stored(engine) as store:
        assert store.last_settled() == SLOTS[-1]
    engine.dispose()
    assert [path.name for path in (tmp_path / "closed").iterdir()] == ["store.sqlite"]


def test_every_page_is_in_the_list_and_the_menu():
    assert [page.name for page in PAGES] == list(MENU)
    assert {address.split("/")[1].split("?")[0] for address in ADDRESSES} == set(MENU)


@pytest.mark.parametrize("why", Why)
def test_every_reason_of_a_plan_has_its_words(why):
    for language in Language:
        for word in ("why", "whylong"):
            assert say(language, f"{word}_{why.name.lower()}")

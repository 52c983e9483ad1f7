"""A reading that never came, settled without it, on every page that speaks of readings."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from chain.anvil import anvil
from chain.indexer import indexed
from chain.store import stored
from energy.lots import Kind
from energy.records import Quality
from energy.units import SLOT_SECONDS, day_of
from orchestrator.moving.mover import relayed
from orchestrator.setting.sites import load_setting
from orchestrator.statements.page import html_of
from orchestrator.statements.statement import as_csv, statement_of
from orchestrator.web.app import application
from orchestrator.web.desk import Desk
from orchestrator.words import Language
from tests.services.test_node import KESENNUMA, OGAWARA, SENDAI, SLOT, a_town
from tests.unit.test_twin import FIRST_SLOT

MISSED = SLOT + 1
"""Sendai buys in it, and no reading of Sendai comes."""
DAY = day_of(SLOT).isoformat()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A store of two slots: one with all readings, one that was settled without Sendai's."""
    with anvil(FIRST_SLOT * SLOT_SECONDS) as node:
        node.request("anvil_setBlockTimestampInterval", [0])
        town = a_town(node, tmp_path_factory.mktemp("missing"))
        mover = town.mover()
        town.at(town.market.rules.gate_of(SLOT) - 1)
        assert relayed(town.market, town.orders(MISSED)) == []
        town.live(SLOT, mover)
        mover.move(node.now())
        town.at((MISSED + 1) * SLOT_SECONDS)
        town.push(*(one for one in town.readings(MISSED) if one.site != SENDAI))
        mover.move(town.at(town.market.rules.deadline_of(MISSED)))
        indexed(town.store, node, town.market.address)
        yield town.store
        town.store.dispose()


@pytest.fixture(scope="module")
def client(engine):
    now = (MISSED + 2) * SLOT_SECONDS
    return TestClient(application(Desk(engine, load_setting(), clock=lambda: now)))


def test_the_store_has_what_the_settlement_assumed(engine):
    with stored(engine) as store:
        (reading,) = store.readings(range(MISSED, MISSED + 1), SENDAI)
        trades = store.trades(range(MISSED, MISSED + 1), SENDAI)
    assert reading.quality == Quality.ASSUMED
    assert reading.imported == sum(trade.energy for trade, _ in trades) > 0


def test_the_half_hour_names_who_is_missing(client):
    shown = client.get(f"/slot/{MISSED}.json").json()
    assert [one["number"] for one in shown["missing"]] == [SENDAI]
    (row,) = [one for one in shown["readings"] if one["site"]["number"] == SENDAI]
    assert row["quality"] == ["assumed"]
    page = client.get(f"/slot/{MISSED}", headers={"accept-language": "en"}).text
    assert "Missing: Site 1" in page
    assert client.get(f"/slot/{SLOT}.json").json()["missing"] == []


def test_the_map_says_no_reading_and_sums_only_those_that_came(engine, client):
    shown = client.get(f"/now.json?at={MISSED}").json()
    offices = {one["site"]["number"]: one for one in shown["offices"]}
    assert [offices[site]["is_read"] for site in (OGAWARA, SENDAI, KESENNUMA)] == [
        True, False, True,
    ]  # fmt: skip
    assert offices[SENDAI]["used_wh"] is offices[SENDAI]["imported_wh"] is None
    with stored(engine) as store:
        span = range(MISSED, MISSED + 1)
        came = [one for one in store.readings(span) if one.site != SENDAI]
        entered = store.origins("entered", span)
    utility = sum(row.energy for row in entered if row.origin.kind is Kind.GRID)
    assert shown["utility_wh"] == utility
    assert shown["used_wh"] == sum(one.consumption for one in came)
    page = client.get(f"/now?at={MISSED}", headers={"accept-language": "en"}).text
    assert page.count('<span class="badge bad">no reading</span>') == 1


def test_the_office_and_its_statement_count_it(engine, client):
    shown = client.get(f"/site/{SENDAI}.json?day={DAY}").json()
    assert shown["slots_without_reading"] == 1
    assert client.get(f"/site/{OGAWARA}.json?day={DAY}").json()["slots_without_reading"] == 0
    page = client.get(f"/site/{SENDAI}?day={DAY}", headers={"accept-language": "en"}).text
    assert "1 half hours have no reading." in page
    names = {site: f"Site {site}" for site in range(3)}
    with stored(engine) as store:
        statement = statement_of(store, SENDAI, range(SLOT, MISSED + 1))
        assert statement_of(store, OGAWARA, range(SLOT, MISSED + 1)).unread == ()
    assert statement.unread == (MISSED,)
    for language, told in ((Language.ENGLISH, "no reading"), (Language.JAPANESE, "計量値")):
        assert told in html_of(statement, names, language, {})
        *_, last = as_csv(statement, names, language).splitlines()
        assert told in last
    file = client.get(f"/site/{SENDAI}/statement.csv?day={DAY}", headers={"accept-language": "en"})
    assert ",no reading," in file.text
    printed = client.get(f"/site/{SENDAI}/statement?day={DAY}", headers={"accept-language": "en"})
    assert "1 half hours have no reading of this office" in printed.text


def test_the_audit_does_not_count_it_as_come(client):
    shown = client.get(f"/audit.json?day={DAY}").json()
    (check,) = [one for one in shown["checks"] if one["name"] == "readings"]
    assert (check["holds"], check["of"]) == (5, 6)
    page = client.get(f"/audit?day={DAY}", headers={"accept-language": "en"}).text
    assert "5 / 6" in page

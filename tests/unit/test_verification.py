"""The verification report against a computation that shares nothing with it: pandas and DuckDB on
the readings, and the sites file's prices."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import numpy as np
import pandas as pd
import pytest
from coincurve import PrivateKey
from typer.testing import CliRunner

from chain.network.seal import _digest, sealer_of
from energy.errors import ChainError, SettingError
from energy.messages import address_of
from orchestrator.cli import app
from orchestrator.setting.sites import AFTER_METERING
from orchestrator.verification.document import html_of, sections_of, write_report_pdf
from orchestrator.verification.ledger import chain_figures
from orchestrator.verification.money import money_figures
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Section, Voice
from orchestrator.verification.sections_chain import chain_section
from orchestrator.verification.summary import conclusions
from orchestrator.words import Language
from tests.played import BUYING, DAYS, NAMES, SELLING, looked_at, played, table

ROOT = Path(__file__).resolve().parents[2]
SEALERS = (b"\1" * 32, b"\2" * 32)


@pytest.fixture(scope="module")
def english(figures) -> list[Section]:
    return sections_of(figures, Voice(Language.ENGLISH, NAMES))


def test_energy_is_what_pandas_gets_from_the_readings_alone(figures, english, readings):
    readings["used"] = readings.eval("imported + generated + discharged - exported - charged")
    by_site = readings.groupby("site")[["used", "generated", "imported", "exported"]].sum() / 1000
    shown = table(english, "energy").iloc[:-1]
    columns = ["consumption", "generation", "imported", "exported"]
    assert np.allclose(shown[columns].astype(float).to_numpy(), by_site.to_numpy())
    bare = by_site.drop(index=6)  # without a battery, what is not exported is used at once
    kept = (bare["generated"] - bare["exported"]).to_numpy()
    assert np.allclose(shown["from_own"].iloc[:6].astype(float), kept)


def test_what_comes_from_the_utility_is_what_exports_left_of_imports(figures, readings):
    together = readings.groupby("slot")[["imported", "exported"]].sum()
    missing = (together["imported"] - together["exported"]).clip(lower=0).sum()
    surplus = (together["exported"] - together["imported"]).clip(lower=0).sum()
    assert figures.energy.grid.sum() == missing
    assert figures.energy.sold_on.sum() == surplus
    met = together.min(axis=1).sum()
    assert figures.met == pytest.approx(met / together["exported"].sum())


def test_money_without_trading_and_the_whole_gain_follow_from_the_readings_and_the_tariff(
    figures, readings
):
    bill = readings["imported"] * SELLING - readings["exported"] * BUYING
    assert figures.money.without.tolist() == bill.groupby(readings["site"]).sum().tolist()
    together = readings.groupby("slot")[["imported", "exported"]].sum().min(axis=1)
    spread = (SELLING - BUYING) * int(together.sum())
    assert figures.money.gain.sum() + figures.money.network == spread
    assert figures.money.cases["batteries_run"].worth_of_trading == spread
    assert figures.money.utility_without - figures.money.utility == spread


def test_flows_are_those_that_the_trades_allow_and_all_that_can_meet_meets(folder, figures):
    with duckdb.connect() as sql:
        with closing(sqlite3.connect(folder / "store.sqlite")) as store:
            flows = pd.read_sql("select * from flows", store)  # noqa: F841  DuckDB asks for it
            readings = pd.read_sql("select slot, imported, exported from readings", store)
        broken = sql.execute(
            "select count(*) from flows t join flows d using (slot, position, seller, buyer) "
            "where t.kind = 'trade' and d.kind = 'delivery' and d.energy > t.energy"
        ).fetchone()
        unmet = sql.execute(
            "with met as (select slot, least(sum(imported), sum(exported)) as wh from readings "
            "group by slot), flown as (select slot, sum(energy) as wh from flows "
            "where kind <> 'trade' group by slot) select count(*) from met left join flown "
            "using (slot) where met.wh <> coalesce(flown.wh, 0)"
        ).fetchone()
        sums = dict(sql.execute("select kind, sum(energy) from flows group by kind").fetchall())
    assert (broken, unmet) == ((0,), (0,))
    assert len(readings)
    assert figures.money.traded == sums["trade"]
    assert figures.money.delivered == sums["delivery"]


def test_every_settlement_is_computed_again_to_the_microyen_and_a_wrong_one_is_seen(
    figures, copy, tmp_path
):
    assert figures.money.agreeing == figures.money.slots == 48 * DAYS
    copy.execute("update entries set microyen = microyen + 1 where rowid = 100")
    copy.commit()
    assert looked_at(tmp_path).money.agreeing == 48 * DAYS - 1


def test_what_broken_trades_cost_is_what_the_settlements_terms_say(figures):
    """A kWh sold at 12 JPY by site 0 to site 1: not exported, not imported, neither of both."""
    ones = np.ones(3, np.int64)
    flow = np.array([[slot, 0, 1, 1000] for slot in range(3)])
    nothing = np.zeros((0, 4), np.int64)
    facts = replace(
        figures.facts,
        slots=figures.facts.slots[:3],
        sites=2,
        settled=ones == 1,
        meters={name: np.zeros((3, 2), np.int64) for name in figures.facts.meters},
        first_exported=np.array([[0, 0], [1000, 0], [0, 0]]),
        first_imported=np.array([[0, 1000], [0, 0], [0, 0]]),
        selling=22_000 * ones,
        buying=8_000 * ones,
        fee=1_000 * ones,
        price=12_000 * ones,
        entries=np.zeros((3, 4), np.int64),
        corrections=np.zeros((3, 4), np.int64),
        batteries={},
        flows={"trade": flow, "delivery": nothing, "pool": nothing},
    )
    money = money_figures(facts)
    assert money.undelivered.tolist() == [2000, 0]
    assert money.untaken.tolist() == [0, 2000]
    # The seller buys from the utility (22), then in the pool (14.5); the buyer sells to the
    # utility (8), then in the pool at its own price.
    assert (money.lost_to_breaking / 1e6).tolist() == [(22 - 12) + (14.5 - 12), (12 - 8) + 0]


def test_a_fresh_order_voids_what_its_site_had_ordered_before(copy, figures, tmp_path):
    slot = figures.facts.slots[20]
    copy.execute(
        "insert into orders (block, slot, position, site, side, energy, price, sequence, fresh) "
        f"values (9, {slot}, 99, 1, 1, 5, 9000, 2, 1)"
    )
    copy.execute(
        "insert into orders (block, slot, position, site, side, energy, price, sequence, fresh) "
        f"values (9, {slot}, 98, 2, 1, 5, 9000, 2, 0)"
    )
    copy.commit()
    changed = looked_at(tmp_path).facts.ordered[20]
    assert (changed[1], changed[2]) == (5, figures.facts.ordered[20, 2] + 5)


def test_full_cycles_are_half_of_what_the_stored_energy_moved(figures, readings):
    stored_wh = readings[readings["site"] == 6].sort_values("slot")["stored"]
    moved = stored_wh.diff().abs().sum() / 2 / 44_000
    assert figures.batteries[0].full_cycles == pytest.approx(moved)
    assert figures.batteries[0].states.sum() == pytest.approx(1)


def test_prices_by_month_and_step_add_up_to_what_was_traded(figures):
    prices, traded = figures.prices, figures.money.traded
    assert prices.month_names == ["2019-05", "2019-06"]
    for part in (prices.month_energy, prices.yen_energy, prices.half_energy):
        assert part.sum() == traded
    assert 8 <= prices.low <= prices.median <= prices.high <= 22


def test_a_reading_that_was_missed_and_mended_is_counted(copy, figures, tmp_path):
    slot = figures.facts.slots[20]
    copy.execute(
        f"update readings set quality = 128 where slot in ({slot}, {slot + 1}) and site = 2"
    )
    copy.execute(
        "insert into readings (block, slot, site, imported, exported, generated, charged, "
        "discharged, stored, quality, revision) "
        f"select block, slot, site, imported + 10, 0, 0, 0, 0, 0, 1, 1 from readings "
        f"where slot = {slot} and site = 2"
    )
    copy.commit()
    changed = looked_at(tmp_path)
    facts = changed.facts
    assert (facts.missed.sum(), facts.mended.sum()) == (2, 1)
    # The newest reading counts for energy, the first for the settlement.
    assert facts.meters["imported"][20, 2] == facts.first_imported[20, 2] + 10
    say = Voice(Language.ENGLISH, NAMES)
    assert any(text.startswith("2 readings did not come") for text in conclusions(changed, say))


def test_a_period_is_part_of_what_is_settled(folder):
    june = looked_at(folder, "2019-06-01..2019-06-02")
    assert (june.facts.counts["settled"], june.prices.month_names) == (96, ["2019-06"])
    month = looked_at(folder, "2019-06")
    assert (len(month.facts.slots), month.facts.counts["settled"]) == (30 * 48, 96)
    assert month.money.gain.tolist() == june.money.gain.tolist()
    for wrong in ("2020", "2019-13", "yesterday", "2019-06-02..2019-06-01"):
        with pytest.raises(SettingError, match=re.escape(wrong)):
            looked_at(folder, wrong)


def test_conclusions_follow_from_figures_by_their_rules(figures):
    say = Voice(Language.ENGLISH, NAMES)

    def said(changed: Figures) -> str:
        return " ".join(conclusions(changed, say))

    money = figures.money
    for factor, words in ((1000, "brought little"), (1, "Trading")):
        poorer = replace(
            money, without=money.without * factor, paid=money.without * factor - money.gain
        )
        assert words in said(replace(figures, money=poorer, batteries=[]))
    assert "Little could be traded" in said(replace(figures, met=0.2))
    assert "Little could be traded" not in said(replace(figures, met=0.6))
    assert "one weather series" in said(figures)
    assert "one weather series" not in said(replace(figures, alike=0.7))
    loser = money.paid.copy()
    loser[3] = money.without[3] + 1
    assert "Worse off than with the utility alone: Kurihara" in said(
        replace(figures, money=replace(money, paid=loser))
    )
    assert "No office is worse off" in said(
        replace(figures, money=replace(money, paid=money.cases["batteries_own"].alone))
    )


def test_after_metering_nothing_is_forecast(tmp_path):
    figures = looked_at(played(tmp_path, AFTER_METERING, 1))
    assert (figures.orders, figures.foresight) == (None, None)
    assert not figures.money.undelivered.any()
    assert not figures.money.lost_to_breaking.any()
    assert (figures.money.gain >= 0).all()
    section = sections_of(figures, Voice(Language.ENGLISH, NAMES))[5]
    assert section.findings[0].startswith("Orders come after metering")


def test_gas_is_the_straight_line_through_what_is_published():
    cases = json.loads((ROOT / "tests/services/gas.json").read_text())
    few, many = cases["7 sites, steady use"], cases["50 sites, steady use"]
    calm, still = cases["7 sites, no trades"], cases["50 sites, no trades"]
    lines = tomllib.loads((ROOT / "orchestrator/verification/data/gas.toml").read_text())
    for step, (records, gas), (more, dear), trading in (
        ("post", (few["orders"], few["post"]), (many["orders"], many["post"]), None),
        ("clear", (calm["orders"], calm["clear"]), (still["orders"], still["clear"]), "clear"),
        ("read", (1, few["readings"][0]), (50, many["readings"][0]), None),
        ("settle", (7, calm["settle"]), (50, still["settle"]), "settle"),
    ):
        slope = (dear - gas) / (more - records)
        trade = (many[trading] - still[trading]) / many["trades"] if trading else 0
        line = lines[step]
        assert line == {
            "transaction": round(gas - slope * records),
            "record": round(slope),
            "trade": round(trade),
        }
        if trading:  # it foretells the case that it was not drawn through
            foretold = (
                line["transaction"] + line["record"] * records + line["trade"] * few["trades"]
            )
            assert foretold == pytest.approx(few[trading], rel=0.01)


def test_every_phrase_has_both_languages_and_the_same_blanks():
    words = tomllib.loads((ROOT / "orchestrator/verification/data/words.toml").read_text())
    for key, both in words.items():
        assert set(both) == {"en", "ja"}, key
        blanks = [set(re.findall(r"\{(\w+)\}", text)) for text in both.values()]
        assert blanks[0] == blanks[1], key
        assert both["en"].count("\n") == both["ja"].count("\n"), key


@pytest.mark.parametrize("language", Language)
def test_a_page_is_one_file_whose_charts_each_have_their_table(figures, language):
    page = html_of(figures, language, NAMES)
    assert not re.search(r"<script|<link|src=|url\(|href=\"(?!#)", page)
    for section in sections_of(figures, Voice(language, NAMES)):
        assert f'<section id="{section.key}">' in page
        assert section.findings or section.tables
        for chart in section.charts:
            ElementTree.fromstring(chart.svg)
            assert chart.table in [one.key for one in section.tables]
            assert f'id="table-{chart.table}"' in page
        if section.tables:
            assert section.method, section.key
            assert section.again
            assert f'id="how-{section.key}"' in page


def test_the_report_is_printed_as_a_pdf(figures, tmp_path):
    write_report_pdf(figures, Language.JAPANESE, NAMES, tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_the_command_writes_what_it_is_asked_for(folder, tmp_path):
    store = ["report", "--store", str(folder / "store.sqlite")]
    shown = CliRunner().invoke(app, store)
    assert shown.exit_code == 0, shown.output
    assert "Key figures" in shown.output
    asked = ["--markdown", str(tmp_path / "md"), "--csv", str(tmp_path / "csv"), "--json"]
    answer = CliRunner().invoke(app, [*store, *asked, "--co2-factor", "0.5"])
    assert answer.exit_code == 0, answer.output
    report = json.loads(answer.stdout)
    matrix = report["tables"]["matrix"]["rows"]
    text = (tmp_path / "md/report-en.md").read_text()
    for name in re.findall(r"\]\(([\w-]+\.svg)\)", text):
        assert (tmp_path / "md" / name).exists()
    with (tmp_path / "csv/matrix.csv").open() as file:
        assert pd.read_csv(file).iloc[0, 1] == matrix[0][1]
    assert "0.5 kg CO2/kWh" in text
    assert json.loads((tmp_path / "md/figures.json").read_text()) == report
    assert report["given"]["co2_kg_per_kwh"] == 0.5
    assert report["given"]["tariff"] == [
        {"from_slot": report["slots"][0], "selling": SELLING, "buying": BUYING, "fee": 1000}
    ]
    with closing(sqlite3.connect(folder / "store.sqlite")) as kept_in:
        kept = pd.read_sql("select * from readings order by slot, site, revision", kept_in)
    published = pd.read_csv(tmp_path / "md/readings.csv.gz")
    pd.testing.assert_frame_equal(published, kept[published.columns])
    refused = CliRunner().invoke(app, [*store, "--co2-factor", "9"])
    assert isinstance(refused.exception, SettingError)


def test_the_audit_that_was_kept_is_told_and_a_missing_one_too(figures, copy, tmp_path):
    say = Voice(Language.ENGLISH, NAMES)
    assert conclusions(figures, say)[-1].startswith("Audit: nothing wrong up to block")
    assert conclusions(looked_at(tmp_path), say)[-1].startswith("Audit: no result is kept")
    assert figures.chain.transactions
    assert figures.chain.transactions > sum(step.transactions for step in figures.chain.steps)


def sealed(number: int, key: bytes) -> dict[str, object]:
    """A block of a Clique network, as a node tells it."""
    header = {
        **dict.fromkeys(("parentHash", "sha3Uncles", "mixHash"), "0x" + "11" * 32),
        **{f"{name}Root": "0x" + "22" * 32 for name in ("state", "transactions", "receipts")},
        **dict.fromkeys(("difficulty", "gasLimit", "timestamp", "baseFeePerGas"), "0x1"),
        "miner": "0x" + "00" * 20,
        "logsBloom": "0x" + "00" * 256,
        "nonce": "0x" + "00" * 8,
        "gasUsed": "0x0",
        "number": hex(number),
    }
    vanity = bytes(32)
    seal = PrivateKey(key).sign_recoverable(_digest(header, vanity), hasher=None)
    digest = _digest(header, vanity + seal)
    return {**header, "extraData": "0x" + (vanity + seal).hex(), "hash": "0x" + digest.hex()}


@pytest.fixture
def node() -> Iterator[str]:
    """A node of a network with 30 blocks: two of three sealed by one validator. Validators as they
    run are in tests/services/test_network.py."""

    class Node(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            several = asked if isinstance(asked, list) else [asked]
            answers = [
                {"jsonrpc": "2.0", "id": one["id"], "result": self.answer(one)} for one in several
            ]
            answer = answers if isinstance(asked, list) else answers[0]
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def answer(self, asked: dict[str, Any]) -> object:
            if asked["method"] == "eth_getBlockByNumber":
                number = int(asked["params"][0].replace("latest", "0x1e"), 16)
                return sealed(number, SEALERS[number % 3 == 0])
            known = {"eth_blockNumber": "0x1e", "eth_chainId": "0x1b58", "eth_accounts": []}
            return known[asked["method"]]

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_validators_share_is_asked_of_a_node(figures, node):
    chain = chain_figures(figures.facts, 0, None, node)
    assert chain.blocks == 31
    assert chain.sealers
    often, seldom = map(address_of, SEALERS)
    assert chain.sealers == pytest.approx({often.lower(): 2 / 3, seldom.lower(): 1 / 3})
    assert chain.depth == 2
    section = chain_section(replace(figures, chain=chain), Voice(Language.ENGLISH, NAMES))
    assert table([section], "validators")["sealed"].sum() == pytest.approx(100)
    with pytest.raises(ChainError, match="must answer"):
        chain_figures(figures.facts, 0, None, "http://127.0.0.1:9")
    bare = sealed(5, SEALERS[0]) | {"extraData": "0x"}
    assert sealer_of(bare) is None
    assert sealer_of(sealed(5, SEALERS[0]) | {"gasUsed": "0x5"}) is None  # another one's hash

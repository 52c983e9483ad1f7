"""The published report of a year (`docs/report`) against what pandas gets from the readings that
lie beside it, and these against the bundled series: of the report's own code nothing is used.

If it fails after a change of the report's, write the report again, in both languages:
`yui report --store STORE --markdown docs/report [--language ja]`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from energy.units import day_of
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import Site, load_setting
from tests.recount import ALL, ANY, Expected, Recount
from tests.recounted import expected

REPORT = Path(__file__).resolve().parents[2] / "docs/report"
LANGUAGES = ("en", "ja")
SHORT = 24
"""Longer tables are in the figures, but not in the text."""
TINY = 1e-10
"""Of a sum of floats, against the same sum of whole numbers; and of what cancels out, 1,000 times
as much in its unit."""

Table = dict[str, Any]


def figures_in(folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    return figures


def text_in(folder: Path, language: str) -> str:
    return (folder / f"report-{language}.md").read_text(encoding="utf-8")


def printed_in(folder: Path, language: str) -> dict[str, list[list[str]]]:
    """Return the cells of a report's tables, by the keys that `figures.json` has for them: they
    come in the same order."""
    found: list[list[list[str]]] = []
    for block in re.findall(r"(?:^\|.*\n)+", text_in(folder, language), re.MULTILINE):
        lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        found.append([[cell.strip().strip("*") for cell in line] for line in lines[2:]])
    tables = figures_in(folder)["tables"]
    short = [key for key, table in tables.items() if len(table["rows"]) <= SHORT]
    assert len(short) == len(found), f"report-{language}.md must hold {short}"
    return dict(zip(short, found, strict=True))


def digits_of(cell: str) -> int:
    return len(cell.partition(".")[2])


def number_of(cell: str) -> float:
    return float(cell.replace(",", ""))


def says(cell: str, value: float, slack: float = 0.0) -> bool:
    """Say whether a printed number is this value, rounded to the digits that it shows."""
    if not re.fullmatch(r"-?[\d,]+(\.\d+)?", cell):
        return False
    half = 0.5 * 10.0 ** -digits_of(cell)
    return abs(number_of(cell) - value) <= half + slack + TINY * max(1_000, abs(value))


def differences(folder: Path) -> list[str]:
    """Return where a report states something else than its readings say: in its figures, and in
    the text in both languages."""
    recounted = expected(Recount(folder))
    tables = figures_in(folder)["tables"]
    printed = {language: printed_in(folder, language) for language in LANGUAGES}
    found: list[str] = []
    for (key, column), wanted in recounted:
        where = f"{key}.{column}"
        place = [one["key"] for one in tables[key]["columns"]].index(column)
        stated = [row[place] for row in tables[key]["rows"]]
        found += [f"{where}: {text}" for text in unlike(stated, wanted)]
        for language in LANGUAGES:
            if key in printed[language]:
                cells = [row[place] for row in printed[language][key]]
                found += [f"{where} ({language}): {text}" for text in unlike(cells, wanted)]
    return found


def unlike(cells: list[Any], wanted: Expected) -> list[str]:
    found = []
    for row, value in wanted.cells.items():
        among = cells if row == ANY else [cells[int(row)]]
        if not any(same(cell, value, wanted.slack) for cell in among):
            found.append(f"row {row} must be {value}, got {among}")
    return found


def same(cell: Any, value: float, slack: float) -> bool:
    if math.isnan(value):
        return cell in (None, "–")
    if isinstance(cell, str):
        return says(cell, value, slack)
    return cell is not None and abs(cell - value) <= slack + TINY * max(1_000, abs(value))


@pytest.fixture(scope="module")
def recount() -> Recount:
    return Recount(REPORT)


@pytest.fixture(scope="module")
def tables() -> dict[str, Table]:
    tables: dict[str, Table] = figures_in(REPORT)["tables"]
    return tables


def column(table: Table, key: str) -> list[Any]:
    place = [one["key"] for one in table["columns"]].index(key)
    return [row[place] for row in table["rows"]]


@pytest.fixture
def copy(tmp_path) -> Path:
    """The report in a folder where it may be tampered with."""
    folder = tmp_path / "report"
    shutil.copytree(REPORT, folder, ignore=shutil.ignore_patterns("*.svg"))
    return folder


def test_the_report_states_what_pandas_gets_from_its_readings_alone(recount):
    assert differences(REPORT) == []
    # What only trades could tell apart is a trifle here, or the comparison would be a loose one.
    assert recount.slack + recount.stock <= 1e-2 * recount.slots["met"].sum()


def test_a_number_that_was_changed_in_the_text_is_seen(copy):
    path = copy / "report-ja.md"
    used = column(figures_in(copy)["tables"]["energy"], "consumption")[ALL]
    right, wrong = f"**{used:,.0f}**", f"**{used + 1:,.0f}**"
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    found = differences(copy)
    assert [one.partition(":")[0] for one in found] == ["energy.consumption (ja)"]


def test_a_wh_that_was_changed_in_a_reading_is_seen(copy):
    path = copy / "readings.csv.gz"
    header, first, *rest = gzip.decompress(path.read_bytes()).decode().splitlines()
    cells = first.split(",")
    place = header.split(",").index("imported")
    cells[place] = str(int(cells[place]) + 1)
    path.write_bytes(gzip.compress("\n".join([header, ",".join(cells), *rest, ""]).encode()))
    found = {one.partition(":")[0] for one in differences(copy)}
    assert {"energy.consumption", "energy.imported", "money.without"} <= found


def test_a_full_year_is_published_without_a_gap(recount):
    figures = figures_in(REPORT)
    first, last = figures["slots"]
    assert sorted(recount.readings["slot"].unique()) == list(range(first, last + 1))
    assert len(recount.readings) == len(recount.sites) * (last + 1 - first)
    assert recount.days >= 365
    assert (REPORT / "readings.csv.gz").stat().st_size <= 1_500_000


def test_each_days_readings_have_the_hash_that_is_published_beside_them(recount):
    """By hand: 32 bytes a reading, as the chain logs it. One Wh more, and the day's is another."""
    widths = [4, 2, *[4] * 6, 1, 1]
    with gzip.open(REPORT / "readings.csv.gz", "rt") as text:
        rows = [[int(cell) for cell in line.split(",")] for line in text.readlines()[1:]]
    packed: dict[str, bytes] = {}
    for row in rows:
        day = day_of(row[0]).isoformat()
        word = b"".join(cell.to_bytes(wide) for cell, wide in zip(row, widths, strict=True))
        packed[day] = packed.get(day, b"") + word
    days = pd.read_csv(REPORT / "days.csv", index_col="day")
    hashes = {day: hashlib.sha256(words).hexdigest() for day, words in packed.items()}
    assert days["sha256"].to_dict() == hashes
    assert (days["attesting"] == len(recount.sites)).all()
    assert days["readings"].sum() == len(rows)


def test_by_each_strategy_that_leaves_most_so_much_is_left(recount, tables):
    """What the tables of price and spread name as best follows from the table of ten years."""
    for battery in recount.given["batteries"]:
        site, capacity = battery["site"], battery["capacity_wh"] / 1000
        ten = tables[f"outlook_{site}"]
        worth = dict(zip(column(ten, "strategy"), column(ten, "worth_market"), strict=True))
        years = dict(zip(column(ten, "strategy"), column(ten, "years_of_life"), strict=True))
        prices = tables[f"by_price_{site}"]
        for kind in recount.given["chemistries"]:
            known = [name for name in worth if name.endswith(f" · {kind.upper()}")]
            for price, most in zip(
                column(prices, "price"), column(prices, f"{kind}_most"), strict=True
            ):
                idle = years[f"idle · {kind.upper()}"]
                left = [
                    worth[name] - price * capacity * (1 / years[name] - 1 / idle) for name in known
                ]
                assert most == pytest.approx(max(left), abs=1e-6)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_printed_is_what_the_figures_say(tables, language):
    """Every cell of every table, also where readings alone do not give it."""
    for key, rows in printed_in(REPORT, language).items():
        stated = tables[key]["rows"]
        assert [len(row) for row in rows] == [len(row) for row in stated], key
        for cells, values in zip(rows, stated, strict=True):
            for cell, value in zip(cells, values, strict=True):
                if value is None:
                    assert cell == "–", (key, cells)
                elif not isinstance(value, str):
                    assert says(cell, value), (key, cells, value)
                elif language == "en" or re.fullmatch(r"[\d,.]+", value):
                    assert cell.replace("\\|", "|") == value, (key, cells)


def test_sentences_state_the_same_numbers_in_both_languages():
    """Long numbers only: dates and words for small ones are each language's own."""
    figures = figures_in(REPORT)
    bullets = {
        language: [
            line[2:] for line in text_in(REPORT, language).splitlines() if line.startswith("- ")
        ]
        for language in LANGUAGES
    }
    assert bullets["en"] == [text for texts in figures["findings"].values() for text in texts]
    for english, japanese in zip(bullets["en"], bullets["ja"], strict=True):
        long = [
            Counter(re.findall(r"\d+(?:,\d{3})+|\d+\.\d+", text)) for text in (english, japanese)
        ]
        assert long[0] == long[1], (english, japanese)


def test_the_first_page_repeats_what_the_readings_give(recount, tables):
    cells = set(column(tables["key_figures"], "value"))
    total, slots = recount.traced[["used", "generated", "own"]].sum(), recount.slots
    roofs = total["own"] + slots["met"].sum()
    assert {f"{total['used'] / 1000:,.0f}", f"{total['generated'] / 1000:,.0f}"} <= cells
    assert {f"{100 * part / total['used']:.1f}" for part in (total["own"], roofs)} <= cells
    least, most = (slots["met"].sum() + way * recount.slack for way in (-1, 1))
    assert {f"{wh / 1000:,.0f}" for wh in (least, most)} & cells
    found = " ".join(figures_in(REPORT)["findings"]["summary"])
    part = 100 * slots["met"].sum() / slots["exported"].sum()
    assert any(says(number, part) for number in re.findall(r"([\d.]+) %", found))
    assert f" {recount.spread / 1e6:,.0f} " in found


def test_nobody_gains_what_the_readings_do_not_hold(recount, tables):
    """Offices and network together gain exactly (selling - buying price) x what met an import,
    whatever was traded; the offices at most that less the fee on it, in each month too."""
    money, spread = tables["money"], recount.spread / 1e6
    for without, paid, gain in zip(
        column(money, "without"), column(money, "paid"), column(money, "gain"), strict=True
    ):
        assert without - paid == pytest.approx(gain)
    offices, utility, network, rest = column(tables["parties"], "change")
    assert offices == pytest.approx(column(money, "gain")[ALL])
    assert (offices + network, utility, rest) == pytest.approx((spread, -spread, 0), abs=1e-3)
    slots = recount.slots
    kept = slots["met"] * (slots["selling"] - slots["buying"] - slots["fee"]) / 1e6
    kept = kept.groupby(slots["month"]).sum().to_numpy()
    gains = np.array(column(tables["gain_by_month"], "gain")[: len(kept)])
    left = kept - gains
    fees = float((slots["met"] * slots["fee"]).sum()) / 1e6
    assert (left >= -1e-6).all()
    assert left.sum() == pytest.approx(network - fees, abs=1e-3)
    owed = column(tables["terms"], "term_fee")[: len(recount.sites)]
    assert -sum(owed) == pytest.approx(fees, abs=1e-3)


def test_each_row_of_the_matrix_adds_up_to_what_its_roof_generated(recount, tables):
    generated = recount.by_site(recount.readings["generated"], 1000)
    for site in recount.sites:
        _, *cells, entered = tables["matrix"]["rows"][site]
        assert sum(cells) == pytest.approx(entered) == pytest.approx(generated[site])


@pytest.fixture(scope="module")
def sites() -> list[Site]:
    return list(load_setting().sites)


@pytest.fixture(scope="module")
def devices(recount, sites) -> pd.DataFrame:
    """What each office used and generated by the bundled series, beside its readings."""
    loads, sun = load_series(), pv_series()
    days = sorted({day_of(slot) for slot in recount.readings["slot"].unique()})
    slots = sorted(recount.readings["slot"].unique())
    played = [
        pd.DataFrame(
            {
                "slot": slots,
                "site": site.number,
                "load": [wh for day in days for wh in loads.day(str(site.load_column), day)],
                "sun": [wh for day in days for wh in sun.day(site.pv_power, day)],
            }
        )
        for site in sites
    ]
    return recount.readings.merge(pd.concat(played), on=["slot", "site"], validate="1:1")


def test_six_offices_readings_are_their_load_and_roof_to_the_wh(devices, recount):
    bare = devices[~devices["site"].isin([one["site"] for one in recount.given["batteries"]])]
    assert bare["site"].nunique() == 6
    net = bare["sun"] - bare["load"]
    wanted = {
        "generated": bare["sun"],
        "imported": (-net).clip(lower=0),
        "exported": net.clip(lower=0),
        **dict.fromkeys(("charged", "discharged", "stored", "quality", "revision"), 0 * net),
    }
    for name, values in wanted.items():
        assert (bare[name] == values).all(), name


def test_the_battery_moves_energy_and_makes_none(devices, recount):
    """Its office's load and roof are the bundled ones too, and its stock follows from what it
    charged and discharged, within its power and capacity."""
    assert (devices["used"] == devices["load"]).all()
    assert (devices["generated"] == devices["sun"]).all()
    for battery in recount.given["batteries"]:
        rows = devices[devices["site"] == battery["site"]].sort_values("slot")
        gained = rows["charged"] * battery["round_trip_per_mille"] // 1000 - rows["discharged"]
        assert (rows["stored"].diff().iloc[1:] == gained.iloc[1:]).all()
        assert rows["stored"].between(0, battery["capacity_wh"]).all()
        assert rows[["charged", "discharged"]].max().max() <= battery["power_w"] / 2

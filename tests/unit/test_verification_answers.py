"""The report's first page, and how the verdict on a battery turns with what it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import weasyprint

from orchestrator.verification.answers import answers_of
from orchestrator.verification.document import html_of, write_markdown
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Answer, Voice
from orchestrator.verification.sections_turns import turns_section
from orchestrator.verification.storage import AS_RUN, Store, Strategy
from orchestrator.verification.turns import (
    BUYING,
    LIVES,
    RUNNING,
    Assumed,
    assumed,
    best,
    break_even,
    cycles_of_life,
    left,
    years_of_life,
)
from orchestrator.words import Language
from tests.played import NAMES
from vpp.ageing import Outlook
from vpp.chemistry import chemistry

ENGLISH = Voice(Language.ENGLISH, NAMES)


def worn(cycles: float, rest: float) -> Outlook:
    """Ten years that lose these parts; years of life by hand, LFP's rest going by the root."""
    years = (((rest**2 + 4 * cycles * 0.2) ** 0.5 - rest) / (2 * cycles)) ** 2 * 10
    return Outlook(1 - cycles - rest, cycles, rest, 100.0, years, 1.0)


def battery_of(figures: Figures, worth: float, cycles: float = 0.1, rest: float = 0.1) -> Store:
    """10 kWh, 300,000 JPY, that spares 1,000 kWh a year; idle it loses a twentieth in ten years,
    and so lasts 60 years as far as anyone looks."""
    idle = Outlook(0.95, 0.0, 0.05, 0.0, 60.0, 1.0)
    at_rest = {"lfp": idle, "nmc": idle}
    ran = worn(cycles, rest)
    outlooks = {"lfp": ran, "nmc": ran}
    strategies = (
        Strategy("idle", 10.0, 0.0, 0.0, 0.0, at_rest, at_rest),
        Strategy(AS_RUN, 10.0, 0.0, worth, 1_000.0, outlooks, at_rest),
    )
    return replace(figures.batteries[0], strategies=strategies)


def test_a_battery_leaves_its_worth_less_price_over_years(figures):
    """A tenth to cycles and a tenth to rest in ten years: life ends after ten. 300,000 JPY in ten
    years are 30,000 a year, 5,000 of which it would lose idle, in 60."""
    ran = battery_of(figures, 26_000).strategy(AS_RUN)
    now = assumed("lfp")
    assert years_of_life(ran, "lfp", now) == pytest.approx(10)
    assert left(ran, "lfp", BUYING, now) == pytest.approx(26_000 - 30_000)
    assert left(ran, "lfp", RUNNING, now) == pytest.approx(26_000 - 25_000)
    assert left(ran, "lfp", BUYING, replace(now, price=20_000)) == pytest.approx(26_000 - 20_000)
    assert left(ran, "lfp", BUYING, replace(now, dearer=2.0)) == pytest.approx(28_000 - 30_000)
    # Twice the cycles: 0.05 t/10 + 0.1 (t/10)^0.5 = 0.2 at (t/10)^0.5 = 5^0.5 - 1.
    longer = 10 * (5**0.5 - 1) ** 2
    assert years_of_life(ran, "lfp", replace(now, cycles=2.0)) == pytest.approx(longer)


def test_where_the_verdict_turns_nothing_is_left(figures):
    battery = battery_of(figures, 26_000)
    ran, now = battery.strategy(AS_RUN), assumed("lfp")
    for question in (RUNNING, BUYING):
        turn = break_even(battery, "lfp", question)
        assert None not in (turn.price, turn.dearer, turn.years, turn.cycles)

        def at(case: Assumed, question: str = question) -> float:
            return left(ran, "lfp", question, case)

        assert turn.left == at(now)
        assert at(replace(now, price=float(turn.price or 0))) == pytest.approx(0, abs=1e-6)
        assert at(replace(now, dearer=float(turn.dearer or 0))) == pytest.approx(0, abs=1e-6)
        assert at(replace(now, cycles=float(turn.cycles or 0))) == pytest.approx(0, abs=1e-6)
    assert break_even(battery, "lfp", BUYING).price == pytest.approx(26_000)
    assert break_even(battery, "lfp", BUYING).years == pytest.approx(300_000 / 26_000)
    assert break_even(battery, "lfp", RUNNING).price == pytest.approx(30_000 * 26 / 25)
    assert break_even(battery, "lfp", RUNNING).dearer == pytest.approx(-1.0)


def test_what_no_value_turns_is_said_to_have_none(figures):
    """Worth nothing: no price pays. Earning 100 JPY a year, it would have to last 3,000 years."""
    idle = break_even(battery_of(figures, 0.0), "lfp", BUYING)
    assert (idle.price, idle.years, idle.cycles) == (None, None, None)
    assert idle.dearer == pytest.approx(30.0)
    poor = break_even(battery_of(figures, 100.0), "lfp", BUYING)
    assert (poor.years, poor.cycles) == (None, None)
    section = turns_section(replace(figures, batteries=[battery_of(figures, 0.0)]), ENGLISH)
    assert "no more than no value" in section.findings[0]
    assert section.tables[0].shown()[1][3] == "–"


def test_the_strategy_that_leaves_most_is_looked_for_at_each_price(figures):
    battery = battery_of(figures, 26_000)
    now = assumed("lfp")
    assert best(battery, "lfp", now).key == AS_RUN
    assert best(battery, "lfp", replace(now, price=40_000)).key == "idle"


def test_the_tables_hold_what_is_assumed_where_nothing_is_varied(figures):
    """Where a row varies nothing, it says what the table of ten years says."""
    battery: Store = figures.batteries[0]
    ran = battery.strategy(AS_RUN)
    tables = {table.key: table for table in turns_section(figures, ENGLISH).tables}
    lives = tables["by_life_6"]
    place = [column.key for column in lives.columns].index("lfp_running")
    plain: Any = lives.rows[LIVES.index(1.0)][place]
    assert plain == pytest.approx(ran.net("lfp"))
    years: Any = lives.rows[LIVES.index(1.0)][1]
    assert years == pytest.approx(ran.outlooks["lfp"].years_of_life)
    spreads: Any = tables["by_spread_6"].rows
    assert spreads[3][0] == pytest.approx(14.0)
    assert spreads[3][1] == pytest.approx(ran.net("lfp"))
    steps = np.diff([row[1] for row in spreads])
    assert steps == pytest.approx(np.full(7, 2 * ran.spared_kwh))
    assert cycles_of_life("lfp") == pytest.approx(6_000, rel=1e-3)


def answer(figures: Figures, key: str) -> Answer:
    return next(one for one in answers_of(figures, ENGLISH) if one.key == key)


def test_what_a_battery_is_worth_is_told_in_a_verdict(figures):
    """Running costs 25,000 JPY of wear a year, buying 30,000; up to 5 % either way breaks even."""

    def verdict(worth: float) -> str:
        return answer(replace(figures, batteries=[battery_of(figures, worth)]), "battery").verdict

    assert verdict(23_000) == "No."
    assert verdict(24_000).startswith("Running the one that is there breaks even")
    assert verdict(26_200).startswith("Running the one that is there breaks even")
    assert verdict(27_000).startswith("Running the one that is there pays")
    assert verdict(31_000) == "Yes, also to buy one."
    many = replace(figures, batteries=[battery_of(figures, 27_000)] * 2)
    assert "the 2 batteries were worth 54,000 JPY" in answer(many, "battery").because
    assert answer(replace(figures, batteries=[]), "battery").verdict == "Not examined."


def test_whether_trading_is_worth_it_goes_by_the_lesser_part_of_the_bill(figures):
    """Of the net bill: by what the offices are made to have paid, all else as it was."""
    money = figures.money
    bill = money.without

    def verdict(part: float) -> str:
        paid = np.rint(bill - np.abs(bill.sum()) * part / len(bill)).astype(np.int64)
        case = replace(money.cases["batteries_own"], alone=bill)
        cases = {**money.cases, "batteries_own": case}
        return answer(
            replace(figures, money=replace(money, paid=paid, cases=cases)), "trading"
        ).verdict

    assert verdict(-0.01) == "No."
    assert verdict(0.01) == "Hardly."
    assert verdict(0.05).startswith("Somewhat")
    assert verdict(0.12).startswith("Yes")


def test_the_first_page_repeats_figures_of_the_report(figures):
    trading = answer(figures, "trading").because
    gain = figures.money.gain.sum() / 1e6
    assert f" {gain:,.0f} JPY" in trading
    assert f"{100 * figures.met:.0f} %" in trading
    assert f"{gain / 7 / (3 / 365.25):,.0f} JPY a year" in trading
    assert answer(figures, "calls").verdict == "Not examined."
    assert f"{figures.energy.lost.sum() / 1000:,.0f} kWh were lost" in (
        answer(figures, "nature").because
    )


def test_both_languages_answer_with_the_same_numbers(figures):
    """But for the 1 of a kWh or an office, which is each language's own."""
    japanese = answers_of(figures, Voice(Language.JAPANESE, NAMES))
    for one, other in zip(answers_of(figures, ENGLISH), japanese, strict=True):
        found = [
            set(re.findall(r"-?\d+(?:,\d{3})*(?:\.\d+)?", each.because)) - {"1"}
            for each in (one, other)
        ]
        assert found[0] == found[1], (one.because, other.because)


def test_the_answers_stand_before_what_they_rest_on(figures, tmp_path):
    text = write_markdown(figures, Language.ENGLISH, NAMES, tmp_path).read_text(encoding="utf-8")
    order = "> Simulated", "## Is it worth it?", "**Is trading", "## What this rests on"
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def boxes(box: Any) -> Iterator[Any]:
    yield box
    for child in getattr(box, "children", None) or ():
        yield from boxes(child)


@pytest.mark.parametrize("language", Language)
def test_nothing_is_cut_at_the_papers_edge(figures, language):
    page = html_of(figures, language, NAMES, paper=True)
    cut = []
    for number, sheet in enumerate(weasyprint.HTML(string=page).render().pages, start=1):
        paper = sheet._page_box
        edge = paper.margin_left + paper.width + 1
        for box in boxes(paper):
            if type(box).__name__ == "TextBox" and box.position_x + box.width > edge:
                cut.append((number, box.text))
    assert cut == []


def test_nmc_is_charged_its_own_price(figures):
    ran = battery_of(figures, 0.0).strategy(AS_RUN)
    wear = -left(ran, "nmc", BUYING, assumed("nmc"))
    years = years_of_life(ran, "nmc", assumed("nmc"))
    assert wear == pytest.approx(10 * chemistry("nmc").replacement_jpy_per_kwh / years)

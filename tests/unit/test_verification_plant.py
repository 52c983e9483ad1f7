"""What the report says of batteries, of balancing calls, and of where its numbers come from."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain.store import opened, stored
from energy.errors import AuditError, ChainError, SettingError
from energy.units import JST, slots_of
from orchestrator.auditing.audit import audited_again
from orchestrator.cli import app
from orchestrator.replay.asked import asked_at
from orchestrator.verification.calls import CallFigures, call_figures
from orchestrator.verification.document import html_of, sections_of, write_markdown
from orchestrator.verification.queries import query
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Section, Voice
from orchestrator.verification.sections_battery import battery_section
from orchestrator.verification.sections_calls import call_section
from orchestrator.verification.storage import Store, Strategy
from orchestrator.words import Language
from tests.played import DAYS, FIRST, NAMES, looked_at
from vpp.ageing import Outlook
from vpp.calls.call import Basis, Call, Direction, Product, Step
from vpp.calls.document import to_json
from vpp.chemistry import chemistry

SUNDAY = date(2019, 6, 2)
KESENNUMA = 6
ENGLISH = Voice(Language.ENGLISH, NAMES)


def asked_in(figures: Figures, folder: Path, file: Path, slots: range | None = None) -> Figures:
    """The figures with a file's calls held against a store; all else is not looked at anew."""
    facts = replace(figures.facts, slots=slots or figures.facts.slots)
    engine = opened(str(folder / "store.sqlite"))
    with stored(engine) as store:
        calls = call_figures(store.connection, facts, asked_at(file), file.name)
    engine.dispose()
    return replace(figures, calls=calls)


def answers_of(figures: Figures) -> CallFigures:
    assert figures.calls
    return figures.calls


def evening(day: date, hour: int = 18, kw: int = 10, **terms: object) -> Call:
    at = int(datetime(day.year, day.month, day.day, hour, tzinfo=JST).timestamp())
    product = Product(price_kwh=30_000, price_kw=2_000, **terms)  # type: ignore[arg-type]
    steps = (Step(at, at + 3600, kw * 1000),)
    return Call(f"evening-{day}", Direction.UP, steps, at - 3600, product)


def written(path: Path, *entries: dict[str, object]) -> Path:
    path.write_text(json.dumps(entries))
    return path


def metered(folder: Path, slots: range, site: int = KESENNUMA) -> list[tuple[int, int]]:
    """What a site's meter and battery showed in some slots, Wh, as SQL finds it."""
    with closing(sqlite3.connect(folder / "store.sqlite")) as store:
        return store.execute(
            "select imported - exported, discharged - charged from readings "
            f"where site = {site} and slot between {slots[0]} and {slots[-1]} order by slot"
        ).fetchall()


def outlook_of(years: float, lost_to_cycles: float) -> Outlook:
    return Outlook(0.8, lost_to_cycles, 0.1, 100.0, years, 1.0)


def strategy_of(key: str, together: float, years: float, cycles: float = 0.0) -> Strategy:
    """A strategy of a battery of 10 kWh, 1,000 kWh less bought a year; idle, it lasts 40 years."""
    ran, rest = outlook_of(years, cycles), outlook_of(40.0, 0.0)
    kinds = {"lfp": ran, "nmc": ran}, {"lfp": rest, "nmc": rest}
    return Strategy(key, 10.0, 0.0, together, 1_000.0, *kinds)


def test_wear_is_the_price_over_the_years_of_life_and_an_idle_battery_wears_too():
    """10 kWh of LFP at 30,000 JPY: 300,000 JPY. 40 years idle are 7,500 a year, 10 years 30,000.
    A tenth of the capacity lost to cycles in ten years is half of a life of 20 %: 15,000 a year."""
    idle, ran = strategy_of("idle", 0, 40.0), strategy_of("as_run", 25_000, 10.0, 0.1)
    assert idle.wear("lfp") == idle.wear_by_rest("lfp") == 7_500
    assert (idle.wear_beyond_idle("lfp"), idle.net("lfp")) == (0, 0)
    assert ran.wear("lfp") == 30_000
    assert ran.wear_by_cycles("lfp") == pytest.approx(15_000)
    assert ran.wear_by_rest("lfp") == pytest.approx(15_000)
    assert ran.wear_beyond_idle("lfp") == 22_500
    assert ran.net("lfp") == 2_500
    assert ran.wear("nmc") == 35_000


def test_whether_a_battery_paid_is_said_by_chemistry(figures):
    """22,500 JPY a year beyond idle by LFP, 26,250 by NMC: 25,000 JPY pay for one of them only."""

    def found(worth: float) -> str:
        strategies = (strategy_of("idle", 0, 40.0), strategy_of("as_run", worth, 10.0, 0.1))
        one = replace(figures.batteries[0], strategies=strategies)
        return " ".join(battery_section(replace(figures, batteries=[one]), ENGLISH).findings)

    assert "depends on the chemistry" in found(25_000)
    assert "with LFP it did, with NMC it did not" in found(25_000)
    assert "With NMC, most is left by: idle" in found(25_000)
    assert "did not pay for the wear that running it brings" in found(20_000)
    assert "paid for the wear that running it brings, whichever" in found(30_000)


def test_the_outlook_adds_up_column_by_column(figures):
    battery: Store = figures.batteries[0]
    section = battery_section(figures, ENGLISH)
    table = next(one for one in section.tables if one.key == f"outlook_{battery.site}")
    keys = [column.key for column in table.columns]
    rows: list[dict[str, Any]] = [dict(zip(keys, row, strict=True)) for row in table.rows]
    idle = {row["strategy"][-3:]: row for row in rows if row["strategy"].startswith("idle")}
    for row in rows:
        kind = row["strategy"][-3:].lower()
        wear = row["wear_by_cycles"] + row["wear_by_rest"]
        price = chemistry(kind).replacement_jpy_per_kwh * battery.capacity
        assert wear == pytest.approx(price / row["years_of_life"])
        beyond = wear - idle[kind.upper()]["wear_by_rest"]
        assert row["worth_net"] == pytest.approx(row["worth_market"] - beyond)
    assert all(row["wear_by_rest"] > 0 for row in rows)


def test_a_replay_is_called_one_before_any_figure(figures, tmp_path):
    for language, words in (
        (Language.ENGLISH, ["Simulated", "neither of them measured at these offices"]),
        (Language.JAPANESE, ["模擬結果", "いずれも当該庁舎の計測値ではない"]),
    ):
        text = write_markdown(figures, language, NAMES, tmp_path).read_text()
        head = text[: text.index("\n## ")]
        assert all(word in head for word in words)
        assert "zenodo.10955332" in head
        assert "EMHASS" in head
        # The answers are next, and right after them what they rest on, before any table.
        rests = text[: text.index("\n|")].rpartition("\n## ")[0].rpartition("\n## ")[2]
        assert rests.startswith(Voice(language, NAMES)("rests_on"))
        assert figures.provenance.chain[1] in rests
        assert f"--days {DAYS} --mode ahead --battery rule --agents truthful --seed test" in rests
        assert "--markdown docs/report" in rests
        page = html_of(figures, language, NAMES)
        assert all(word in page[: page.index("<section")] for word in words)


def test_a_store_without_provenance_is_called_a_markets_own(folder, tmp_path):
    shutil.copy(folder / "store.sqlite", tmp_path)
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as store:
        store.execute("delete from settings where name not in ('names', 'market', 'battery')")
        store.commit()
    own = looked_at(tmp_path)
    assert not own.provenance.is_replay
    text = write_markdown(own, Language.ENGLISH, NAMES, tmp_path).read_text()
    assert "Simulated" not in text
    assert "a market's own chain" in text
    assert "yui replay --from" not in text
    # A folder that says it is a replay is believed.
    shutil.copy(folder / "replay.json", tmp_path)
    assert looked_at(tmp_path).provenance.is_replay


def test_days_whose_sun_is_a_gap_are_counted(figures):
    settings = {**figures.provenance.settings, "pv_gap_days": "7"}
    gaps = replace(figures, provenance=replace(figures.provenance, settings=settings))
    readings = next(one for one in sections_of(gaps, ENGLISH) if one.key == "readings")
    assert any(text.startswith("On 7 of the replayed days") for text in readings.findings)
    assert not any("gap" in text for one in sections_of(figures, ENGLISH) for text in one.findings)


def test_the_commands_name_what_the_replay_was_told(figures):
    settings = {**figures.provenance.settings, "sites": "my sites.toml", "calls": "asked.json"}
    told = replace(figures.provenance, settings=settings)
    first = figures.facts.slots
    replay, report = told.replayed_by(first, "ja")
    assert "--sites 'my sites.toml'" in replay
    assert "--calls asked.json" in replay
    assert "--loads" not in replay
    assert "--period" not in report
    priced = {"tariffs": "exchange, sold at 6.5 JPY/kWh more", "markup": "6.5"}
    linked = {**settings, "exchange": "synthetic", **priced}
    replay, _ = replace(told, settings=linked).replayed_by(first, "ja")
    assert "--exchange synthetic --calls asked.json --markup 6.5" in replay
    assert "--tariffs" not in replay
    _, part = told.replayed_by(range(first[0], first[0] + 48), "ja")
    assert part.endswith("--period 2019-05-31..2019-05-31")


def test_a_call_is_held_against_the_meter_and_against_the_plan(folder, figures, tmp_path):
    """Sunday, 18:00 to 19:00, 10 kW: only Saturday is like it, and makes the baseline."""
    call = evening(SUNDAY)
    window = call.slots
    planned = [1_000, 2_000]
    file = written(
        tmp_path / "asked.json",
        {**to_json(call), "shares": {"6": [5_000, 5_000]}, "planned_wh": {"6": planned}},
    )
    asked = asked_in(figures, folder, file)
    answer = answers_of(asked).answers[0]
    back = range(window.start - 48, window.stop - 48)
    before, day = metered(folder, back), metered(folder, window)
    morning = range(window.start - 10, window.start - 4)
    usual = metered(folder, range(morning.start - 48, morning.stop - 48))
    seen = metered(folder, morning)
    shift = sum(now[0] - then[0] for now, then in zip(seen, usual, strict=True)) / 6
    by_meter = [round(was + shift) - now for (was, _), (now, _) in zip(before, day, strict=True)]
    by_plan = [given - wh for (_, given), wh in zip(day, planned, strict=True)]
    assert answer.found.asked_wh == 10_000
    assert answer.delivered(Basis.METER) == sum(by_meter)
    assert answer.delivered(Basis.PLAN) == sum(by_plan)
    assert answer.met(Basis.PLAN) == sum(min(max(wh, 0), 5_000) for wh in by_plan)
    assert answer.unread == 0
    assert answer.adjusted == round(shift * 2)
    section = call_section(asked, ENGLISH)
    row: tuple[Any, ...] = section.tables[0].rows[0]
    assert row[:4] == ("2019-06-02 18:00–19:00", "up", 10.0, 10.0)
    assert row[4] == pytest.approx(sum(by_meter) / 1000)
    assert row[6] == pytest.approx(sum(by_plan) / 1000)
    again = query("calls", window)
    with closing(sqlite3.connect(folder / "store.sqlite")) as store:
        shown = [row[2:] for row in store.execute(again) if row[1] == KESENNUMA]
    assert shown == day


def test_a_half_hour_without_a_reading_delivers_nothing_and_is_counted(folder, tmp_path):
    call = evening(SUNDAY)
    shutil.copy(folder / "store.sqlite", tmp_path)
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as store:
        store.execute(
            f"update readings set quality = 128 where site = {KESENNUMA} and slot = {call.slots[0]}"
        )
        store.commit()
    file = written(tmp_path / "calls.json", {**to_json(call), "planned_wh": {"6": [0, 0]}})
    changed = looked_at(tmp_path)  # the file lies beside the store
    answer = answers_of(changed).answers[0]
    assert answer.unread == 1
    assert answers_of(changed).source == file.name
    assert answer.delivered(Basis.PLAN) == metered(folder, call.slots)[1][1]
    section = call_section(changed, ENGLISH)
    assert any("have no reading" in text for text in section.findings)
    assert section.tables[0].rows[-1][-2] == 1


def test_a_call_that_nobody_could_serve_is_missed_in_whole(folder, figures, tmp_path):
    file = written(tmp_path / "c.json", {**to_json(evening(SUNDAY)), "shares": {}})
    asked = asked_in(figures, folder, file)
    answer = answers_of(asked).answers[0]
    assert (answer.delivered(Basis.METER), answer.met(Basis.PLAN)) == (0, 0)
    assert answer.found.penalty_microyen > 0
    row: tuple[Any, ...] = call_section(asked, ENGLISH).tables[0].rows[0]
    assert row[3:9] == (10.0, 0.0, 0.0, 0.0, 0.0, 0)


def test_without_a_file_none_were_asked_and_the_way_to_give_some_is_said(figures):
    section = call_section(figures, ENGLISH)
    assert section.findings[0].startswith("No balancing calls are known")
    assert "--calls" in section.findings[1]


def test_calls_of_other_days_are_not_this_periods(folder, figures, tmp_path):
    file = written(tmp_path / "c.json", to_json(evening(SUNDAY)), to_json(evening(FIRST)))
    part = answers_of(asked_in(figures, folder, file, slots_of(SUNDAY)))
    assert (len(part.answers), part.outside) == (1, 1)
    other = asked_in(figures, folder, file, slots_of(date(2019, 6, 1)))
    assert call_section(other, ENGLISH).findings[0].startswith("No balancing call was asked")


def test_many_calls_are_drawn_by_month(folder, figures, tmp_path):
    entries = [
        {**to_json(evening(day, hour)), "planned_wh": {"6": [0, 0]}}
        for day in (FIRST, SUNDAY)
        for hour in range(6, 20)
    ]
    for number, entry in enumerate(entries):
        entry["name"] = f"call-{number}"
    file = written(tmp_path / "c.json", *entries)
    section = call_section(asked_in(figures, folder, file), ENGLISH)
    months = section.tables[1]
    assert [row[:2] for row in months.rows] == [("May 2019", 14), ("Jun 2019", 14)]
    assert section.charts[0].table == "calls_by_month"
    asked: list[Any] = [row[2] for row in months.rows]
    assert sum(asked) == section.tables[0].rows[-1][3]


def test_whose_calls_they_are_is_said(folder, tmp_path, figures):
    file = written(tmp_path / "c.json", to_json(evening(SUNDAY)))
    asked = asked_in(figures, folder, file)

    def said(**settings: str) -> str:
        of = replace(asked.provenance, settings=settings)
        return " ".join(call_section(replace(asked, provenance=of), ENGLISH).findings)

    assert "did not play them" in said(kind="replay")
    assert "no grid asked for them" in said(kind="replay", calls="c.json")
    assert "the file says" in said()
    assert "the file does not say" in said()  # what was planned


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "must be a list of calls, got {}"),
        ("[", "must be JSON, got"),
        ('[{"name": "x"}]', "call 1: direction: field required, got nothing"),
        ("[3]", "call 1: the document"),
    ],
)
def test_a_file_that_holds_no_calls_is_refused(tmp_path, content, words):
    file = tmp_path / "calls.json"
    file.write_text(content)
    with pytest.raises(SettingError, match=re.escape(words)):
        asked_at(file)


def test_shares_must_fit_the_call_and_the_sites(folder, figures, tmp_path):
    call = to_json(evening(SUNDAY))
    with pytest.raises(SettingError, match="shares of site 6 must have a value for each of 2"):
        asked_at(written(tmp_path / "a.json", {**call, "shares": {"6": [1]}}))
    with pytest.raises(SettingError, match="call 1: shares.6.0"):
        asked_at(written(tmp_path / "b.json", {**call, "shares": {"6": ["much", 1]}}))
    file = written(tmp_path / "c.json", {**call, "shares": {"9": [1, 1]}})
    with pytest.raises(SettingError, match="a site must be 0 to 6, got 9"):
        asked_in(figures, folder, file)


def test_a_replay_is_audited_from_its_folder_and_a_changed_one_is_found_out(folder, tmp_path):
    told = []
    found = audited_again(folder, lambda step, done, total: told.append(step))
    assert (found.slots, found.readings) == (48 * DAYS, 48 * DAYS * 7)
    assert set(told) == {"again", "audit"}
    answer = CliRunner().invoke(app, ["audit", "--folder", str(folder), "--json"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout) == found.to_json()
    shutil.copy(folder / "chain.sqlite", tmp_path)
    with closing(sqlite3.connect(tmp_path / "chain.sqlite")) as chain:
        chain.execute("update transactions set data = substr(data, 1, 40) where number = 30")
        chain.commit()
    with pytest.raises((AuditError, ChainError), match="block"):
        audited_again(tmp_path)


def test_an_audit_is_told_what_to_audit(folder, tmp_path):
    for options in ([], ["--folder", str(folder), "--manifest", "m.json"]):
        refused = CliRunner().invoke(app, ["audit", *options])
        assert "--folder must be given" in str(refused.exception)
    refused = CliRunner().invoke(app, ["audit", "--folder", str(folder), "--rpc", "http://x"])
    assert "must stand alone" in str(refused.exception)
    with pytest.raises(SettingError, match=re.escape("must hold a replay's chain.sqlite")):
        audited_again(tmp_path)


def test_under_each_picture_stand_its_title_and_period(figures, tmp_path):
    text = write_markdown(figures, Language.ENGLISH, NAMES, tmp_path).read_text()
    pictures = re.findall(r"!\[(.+)\]\(.+\)\n\n\*(.+)\*", text)
    assert len(pictures) == text.count("![") > 5
    for title, caption in pictures:
        assert caption.startswith(f"{title}, Fri 31 May 2019 to ")


def test_the_charts_of_a_battery_name_their_axes(figures):
    time, cycles = battery_section(figures, ENGLISH).charts
    assert "state of charge, % of capacity" in time.svg
    assert ">cycles<" in cycles.svg
    assert "depth of the cycle, % of capacity" in cycles.svg


def test_what_sql_cannot_give_has_its_command(figures):
    by_key: dict[str, Section] = {one.key: one for one in sections_of(figures, ENGLISH)}
    assert "tables.outlook_SITE" in by_key["battery"].by_command
    assert "battery_figures" in by_key["battery"].by_command
    page = html_of(figures, Language.ENGLISH, NAMES)
    assert by_key["battery"].by_command in page

"""Whatever the report states adds up, can be got again as it says, and is what an independent
computation gives."""

from __future__ import annotations

import importlib
import sqlite3
import tomllib
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from energy.units import slots_of
from orchestrator.verification.document import sections_of
from orchestrator.verification.energy import DIRECT, STOCK, EnergyFigures, stock_change
from orchestrator.verification.facts import Facts
from orchestrator.verification.foresight import Foresight, foresight_figures, order_figures
from orchestrator.verification.market import price_figures
from orchestrator.verification.queries import query
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Section, Voice
from orchestrator.verification.sections_flow import sankey_flows
from orchestrator.verification.sections_market import forecast_section
from orchestrator.verification.storage import AS_RUN, Strategy
from orchestrator.verification.summary import conclusions
from orchestrator.words import Language
from tests.played import BUYING, DAYS, NAMES, SELLING, looked_at, table

ROOT = Path(__file__).resolve().parents[2]
LATER = "2019-06-01..2019-06-02"
"""Its battery begins with what it took in on 31 May."""
SAY = Voice(Language.ENGLISH, NAMES)
OURS = ("summary", "energy", "flows", "money", "prices", "forecast")


@pytest.fixture(scope="module")
def sections(figures) -> list[Section]:
    return sections_of(figures, SAY)


def numbers(sections: list[Section], key: str) -> np.ndarray:
    """A table's numbers, nan where there is none."""
    return table(sections, key).iloc[:, 1:].astype(float).to_numpy()


def assert_energy_adds_up(energy: EnergyFigures) -> None:
    sites = len(NAMES)
    entered = energy.ends.sum(axis=1)
    assert (entered[:sites] == energy.generation).all()
    assert (energy.ends[:, :sites].sum(axis=0) == energy.consumption).all()
    parts = energy.own + energy.others + energy.grid + energy.rest
    assert (parts == energy.consumption).all()
    assert (energy.month_use[:, 1:].sum(axis=1) == energy.month_use[:, 0]).all()
    by_year = [energy.consumption, energy.own, energy.others, energy.grid, energy.rest]
    assert energy.month_use.sum(axis=0).tolist() == [part.sum() for part in by_year]
    assert energy.ends[:, sites + 1].sum() == energy.lost.sum()


def assert_the_sankey_adds_up(energy: EnergyFigures) -> None:
    came: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for begin, end, wh, _ in sankey_flows(energy):
        left[begin] += wh
        came[end] += wh
    for site, _ in enumerate(NAMES):
        assert left[f"roof{site}"] == energy.generation[site]
        assert came[f"use{site}"] == energy.consumption[site]
        assert came[f"battery{site}"] == left[f"battery{site}"]
    assert came["sold"] == energy.sold_on.sum()
    assert came["lost"] == energy.lost.sum()
    assert left["utility"] == energy.grid.sum()
    began = {begin for begin in left if not begin.startswith("battery")}
    ended = {end for end in came if not end.startswith("battery")}
    assert sum(left[node] for node in began) == sum(came[node] for node in ended)


def test_energy_adds_up_and_so_does_every_node_of_the_picture(figures):
    energy = figures.energy
    assert_energy_adds_up(energy)
    assert_the_sankey_adds_up(energy)
    charged = sum(wh for _, end, wh, _ in sankey_flows(energy) if end == "battery6")
    first = sum(
        wh for (_, origin, on, _), wh in energy.paths.items() if origin == STOCK and on == 6
    )
    assert charged == energy.charged[6] + first
    assert sum(stock_change(energy).values()) >= 0


def test_energy_adds_up_where_a_battery_begins_with_what_it_took_before(folder):
    energy = looked_at(folder, LATER).energy
    assert_energy_adds_up(energy)
    assert_the_sankey_adds_up(energy)


def test_what_a_battery_sold_passes_it_in_the_picture(folder, figures):
    with closing(sqlite3.connect(folder / "store.sqlite")) as store:
        sold = dict(
            store.execute(
                "select coalesce(through, -1), sum(energy) from origins where part = 'utility' "
                "group by through"
            )
        )
    drawn: Counter[int] = Counter()
    for begin, end, wh, _ in sankey_flows(figures.energy):
        if end == "sold":
            drawn[6 if begin == "battery6" else DIRECT] += wh
    assert sold[6] > 0
    assert drawn == sold


def test_tables_add_up(figures, sections):
    matrix = numbers(sections, "matrix")
    assert np.allclose(matrix[:, :-1].sum(axis=1), matrix[:, -1])
    assert np.allclose(matrix[:-1].sum(axis=0), matrix[-1])
    for key, columns in (
        ("energy", slice(0, 8)), ("energy_by_month", slice(0, 5)), ("money", slice(0, 6)),
        ("terms", slice(0, 7)), ("gain_by_month", slice(0, 1)),
    ):  # fmt: skip
        shown = numbers(sections, key)[:, columns]
        assert np.allclose(shown[:-1].sum(axis=0), shown[-1]), key
    through = numbers(sections, "through")[:, [0, 2, 3]]
    assert np.allclose(through[:-1].sum(axis=0), through[-1])
    assert (through[:, 1] <= through[:, 0]).all()
    assert through[-1, 2] == pytest.approx(matrix[-1, len(NAMES) + 1])
    year, months = numbers(sections, "energy")[-1], numbers(sections, "energy_by_month")[-1]
    assert np.allclose(months[:5], year[[0, 4, 5, 6, 7]])
    terms = numbers(sections, "terms")
    assert np.allclose(terms[:, :6].sum(axis=1), terms[:, 6])
    parties = numbers(sections, "parties")
    assert np.allclose(parties[:-1].sum(axis=0), 0)
    assert np.allclose(parties[-1], 0)
    money, gain = numbers(sections, "money"), numbers(sections, "gain_by_month")
    assert gain[-1, 0] == pytest.approx(money[-1, 2])
    assert parties[0].tolist() == pytest.approx([-money[-1, 0], -money[-1, 1], money[-1, 2]])
    assert terms[-1, 1:3].sum() * -1e6 == pytest.approx(figures.money.network - figures.money.fees)
    for key in ("prices", "prices_by_month"):
        traded = numbers(sections, key)[:, {"prices": 0, "prices_by_month": 1}[key]]
        assert traded.sum() * 1000 == pytest.approx(figures.money.traded)


def test_months_add_up_to_the_gain_when_a_reading_comes_late(copy, figures, tmp_path):
    slot = figures.facts.slots[20]
    columns = "block, slot, site, exported, generated, charged, discharged, stored, quality"
    copy.execute(
        f"insert into readings ({columns}, imported, revision) "
        f"select {columns}, imported + 7000, 1 from readings where slot = {slot} and site = 2"
    )
    for account, owed in ((2, -7000 * SELLING), (1000, 7000 * SELLING)):
        copy.execute(
            "insert into entries (block, slot, account, microyen, revision) "
            f"values (9, {slot}, {account}, {owed}, 1)"
        )
    copy.commit()
    money = looked_at(tmp_path).money
    assert money.corrections.tolist() == [0, 0, -7000 * SELLING, 0, 0, 0, 0]
    assert money.paid[2] == figures.money.paid[2] + 7000 * SELLING
    assert money.gain.tolist() == figures.money.gain.tolist()
    assert money.month_gain.tolist() == figures.money.month_gain.tolist()
    assert money.month_gain.sum() == money.gain.sum()


def test_with_batteries_idle_bill_and_peak_are_those_of_load_and_roof(figures, readings):
    net = readings.eval("imported + discharged - exported - charged")
    alone = net.clip(lower=0) * SELLING + net.clip(upper=0) * BUYING
    sums = net.groupby(readings["slot"]).sum()
    together = sums.clip(lower=0).sum() * SELLING + sums.clip(upper=0).sum() * BUYING
    case = figures.money.cases["batteries_idle"]
    assert case.alone.tolist() == alone.groupby(readings["site"]).sum().tolist()
    assert case.together == together
    june = readings["slot"] >= slots_of(date(2019, 6, 1)).start
    for key, imported in (
        ("batteries_idle", net.clip(lower=0)),
        ("batteries_run", readings["imported"]),
    ):
        peaks = imported.groupby([june, readings["site"]]).max().unstack(0)
        assert np.allclose(figures.money.cases[key].peak, peaks.mean(axis=1) * 2 / 1000)


def test_cases_are_worth_what_the_strategies_of_the_battery_are(figures):
    cases, years = figures.money.cases, DAYS / 365.25
    idle = cases["batteries_idle"]
    for key, case in (("as_run", "batteries_run"), ("self_use", "batteries_own")):
        ran = next(one for one in figures.batteries[0].strategies if one.key == key)
        alone = (idle.alone.sum() - cases[case].alone.sum()) / 1e6
        together = (idle.together - cases[case].together) / 1e6
        assert ran.alone * years == pytest.approx(alone, abs=1)
        assert ran.together * years == pytest.approx(together, abs=1)


def test_the_gain_is_a_range_from_the_same_meters_to_own_use_first(figures):
    money = figures.money
    own = money.cases["batteries_own"].alone
    assert (money.gain_over_own_first == own - money.paid).all()
    assert (money.gain_over_own_first[:6] == money.gain[:6]).all()
    less, more = (f"{each.sum() / 1e6:,.0f}" for each in (money.gain_over_own_first, money.gain))
    assert money.gain_over_own_first.sum() < money.gain.sum()
    said = conclusions(figures, SAY)
    assert f"gained {less} to {more} JPY" in said[0]
    assert any(text.startswith("For Kesennuma, which owns a battery") for text in said)
    none = replace(figures, batteries=[], facts=replace(figures.facts, batteries={}))
    assert f"gained {more} JPY together" in conclusions(none, SAY)[0]


def test_who_is_worse_off_and_how_much_it_was_worth_are_judged_by_own_use_first_too(figures):
    cases = figures.money.cases
    own = cases["batteries_own"].alone.copy()
    own[6] = figures.money.paid[6] - 1
    better = {**cases, "batteries_own": replace(cases["batteries_own"], alone=own)}
    changed = replace(figures, money=replace(figures.money, cases=better))
    assert any("Worse off" in text and "Kesennuma" in text for text in conclusions(changed, SAY))
    assert not any("Worse off" in text for text in conclusions(figures, SAY))
    own[6] = figures.money.paid[6] - figures.money.gain[:6].sum() + 1
    assert "brought little" in conclusions(changed, SAY)[0]


def test_a_strategy_is_called_better_only_if_it_leaves_more_after_wear(figures):
    battery = figures.batteries[0]

    def said(together: float, wear: float) -> str:
        """What is concluded where own use first is worth and wears so much more than what ran."""
        ran = next(one for one in battery.strategies if one.key == "as_run")

        class Own(Strategy):
            def wear(self, key: str) -> float:
                return ran.wear(key) + wear

        own = Own(**{**vars(ran), "key": "self_use", "together": ran.together + together})
        others = [one for one in battery.strategies if one.key != "self_use"]
        changed = replace(battery, strategies=(*others, own))
        return " ".join(conclusions(replace(figures, batteries=[changed]), SAY))

    assert "would have left more to offices and network" in said(50_000, 10_000)
    assert "but wear takes that again" in said(50_000, 60_000)
    neither = said(-50_000, 0)
    assert "would have left more" not in neither
    assert "but wear takes" not in neither


def test_orders_of_a_planned_battery_are_no_errors(figures):
    every, some = figures.orders, order_figures(figures.facts, [6])
    assert every.compared.all()
    assert some.compared.tolist() == [True] * 6 + [False]
    assert some.half_absolute.sum() < every.half_absolute.sum()
    with_plan = replace(figures, orders=some)
    shown = sections_of(with_plan, SAY)
    rows = table(shown, "orders")
    assert rows.iloc[6, 1:4].isna().all()
    assert rows.iloc[:6, 1:4].notna().all().all()
    forecast = next(section for section in shown if section.key == "forecast")
    note = next(one.note for one in forecast.tables if one.key == "orders")
    assert "Kesennuma" in note


def made_up(figures: Figures) -> tuple[Facts, np.ndarray, np.ndarray]:
    """Three weeks without a holiday, of two sites, with their load and sun."""
    first = slots_of(date(2019, 6, 3)).start
    slots = range(first, first + 21 * 48)
    shape = (len(slots), 2)
    seed = np.random.default_rng(1)
    load = seed.integers(500, 4_000, shape)
    sun = seed.integers(0, 6_000, shape) * (np.arange(len(slots)) % 48 % 40 > 12)[:, None]
    none = np.zeros(shape, np.int64)
    meters = {
        "imported": load, "generated": sun, "exported": sun, "charged": none, "discharged": none,
    }  # fmt: skip
    facts = replace(
        figures.facts,
        slots=slots,
        sites=2,
        settled=np.ones(len(slots), bool),
        active=~none.astype(bool),
        missed=none.astype(bool),
        meters=meters,
        past=np.zeros((0, 4), np.int64),
    )
    return facts, load, sun


def assert_forecast_as_by_hand(
    found: Foresight, load: np.ndarray, sun: np.ndarray, places: range
) -> None:
    """The rule, from the words of the report: four days alike, seven days, and today's sky."""

    def sun_mean(place: int, site: int) -> int:
        return sum(sun[place - 48 * day, site] for day in range(1, 8)) // 7

    errors: dict[str, list[list[int]]] = {"load": [], "sun": [], "net": []}
    for place in places:
        loads, suns = [], []
        for site in range(2):
            works = place // 48 % 7 < 5  # a Monday was the first
            days = (place - 48 * day for day in range(1, 29))
            alike = [at for at in days if at >= 0 and (at // 48 % 7 < 5) == works]
            loads.append(sum(load[at, site] for at in alike[:4]) // 4)
            newest = range(place - 2, place - 6, -1)
            sky = [at for at in newest if at // 48 == place // 48]
            expected = sum(sun_mean(at, site) for at in sky)
            mean = sun_mean(place, site)
            if expected >= 200:
                mean = mean * min(sum(sun[at, site] for at in sky) * 1000 // expected, 2000) // 1000
            suns.append(mean)
        errors["load"].append([loads[n] - load[place, n] for n in range(2)])
        errors["sun"].append([suns[n] - sun[place, n] for n in range(2)])
        errors["net"].append(
            [suns[n] - loads[n] - sun[place, n] + load[place, n] for n in range(2)]
        )
    for key, of in (("load", found.load), ("sun", found.generation), ("net", found.net)):
        error = np.array(errors[key])
        every = np.column_stack([error, error.sum(axis=1)])
        assert np.allclose(of.error, np.abs(every).mean(axis=0)), key
        assert np.allclose(of.bias, every.mean(axis=0)), key


def test_a_forecast_error_is_that_of_the_rule_on_readings_that_were_known(figures):
    facts, load, sun = made_up(figures)
    found = foresight_figures(facts)
    assert found is not None
    assert (found.counted, found.every) == (7 * 48, 1)
    assert_forecast_as_by_hand(found, load, sun, range(14 * 48, 21 * 48))
    assert np.allclose(found.load.mean[:2], load[14 * 48 :].mean(axis=0))


def test_a_forecast_looks_back_beyond_the_period(figures):
    facts, load, sun = made_up(figures)
    cut = 14 * 48
    past = [
        (place - cut, site, load[place, site], sun[place, site])
        for place in range(cut)
        for site in range(2)
    ]
    later = replace(
        facts,
        slots=facts.slots[cut:],
        settled=facts.settled[cut:],
        active=facts.active[cut:],
        missed=facts.missed[cut:],
        meters={name: meter[cut:] for name, meter in facts.meters.items()},
        past=np.array(past),
    )
    found = foresight_figures(later)
    assert found is not None
    assert_forecast_as_by_hand(found, load, sun, range(cut, 21 * 48))


def test_a_forecast_error_needs_two_weeks_and_many_sites_are_sampled(figures, monkeypatch):
    assert figures.foresight is None
    section = sections_of(figures, SAY)[OURS.index("forecast")]
    assert section.findings[0].startswith("No forecast error is stated")
    facts, _, _ = made_up(figures)
    monkeypatch.setattr("orchestrator.verification.foresight.MOST", 14 * 48)
    found = foresight_figures(facts)
    assert found is not None
    assert (found.every, found.counted) == (3, 2 * 48)
    shown = forecast_section(replace(figures, foresight=found), Voice(Language.ENGLISH, ["A", "B"]))
    assert any("for one day in 3 only" in text for text in shown.findings)
    assert len(table([shown], "forecast")) == 3


def test_the_past_of_a_later_period_is_what_readings_say(folder, readings):
    past = looked_at(folder, LATER).facts.past
    before = readings[readings["slot"] < slots_of(date(2019, 6, 1)).start]
    used = before.eval("imported + generated + discharged - exported - charged")
    assert len(past) == len(before) == 48 * 7
    assert past[:, 0].min() == -48
    assert past[:, 0].max() == -1
    assert past[:, 2].sum() == used.sum()
    assert past[:, 3].sum() == before["generated"].sum()


def test_quotes_are_those_of_the_orders_and_set_prices_are_called_so(folder, figures):
    with closing(sqlite3.connect(folder / "store.sqlite")) as store:
        orders = pd.read_sql("select * from orders where energy > 0", store)
    for side, quotes in ((1, figures.prices.asks), (0, figures.prices.bids)):
        of_side = orders[orders["side"] == side].groupby("site")["price"]
        found = pd.DataFrame({"least": of_side.min(), "most": of_side.max(), "n": of_side.size()})
        for site, one in enumerate(quotes):
            if site in found.index:
                expected = found.loc[site]
                assert (one.least, one.most) == (expected["least"] / 1e3, expected["most"] / 1e3)
                assert one.orders == expected["n"]
            else:
                assert one.orders == 0
    assert figures.prices.quoting_set_prices == figures.prices.quoting
    said = "These prices are no finding about a market"
    assert any(text.startswith(said) for text in conclusions(figures, SAY))
    live = figures.facts.live.copy()
    live[:, 4] += np.arange(len(live)) % 50
    many = replace(figures, prices=price_figures(replace(figures.facts, live=live)))
    assert not many.prices.quoting_set_prices
    assert not any(text.startswith(said) for text in conclusions(many, SAY))


def test_a_fresh_order_voids_earlier_ones_in_the_query_too(copy, figures, tmp_path):
    slot = figures.facts.slots[20]
    copy.execute(
        "insert into orders (block, slot, position, site, side, energy, price, sequence, fresh) "
        f"values (9, {slot}, 99, 1, 1, 5, 9000, 2, 1)"
    )
    copy.commit()
    changed = looked_at(tmp_path)
    assert changed.orders is not None
    assert changed.facts.ordered[20, 1] == 5
    again = copy.execute(query("orders", changed.facts.slots)).fetchall()
    assert np.allclose([row[1] for row in again], changed.orders.mean_absolute * 48 * DAYS)


@pytest.mark.parametrize(
    "key",
    [
        "energy", "energy_by_month", "through", "money", "parties", "squares", "peaks",
        "gain_by_month", "prices", "prices_by_half_hour", "prices_by_month", "orders",
    ],
)  # fmt: skip
def test_a_query_that_is_shown_gives_the_table_that_is_shown(folder, figures, sections, key):
    with closing(sqlite3.connect(folder / "store.sqlite")) as store:
        again = pd.read_sql(query(key, figures.facts.slots), store)
    found = again.iloc[:, 1:].astype(float).to_numpy()
    shown = numbers(sections, key)
    wh, slots = 1e3, 48 * DAYS
    if key == "energy":
        expected, got = shown[:-1, :7], found / wh
    elif key == "energy_by_month":
        expected, got = shown[:-1, :4], found / wh
    elif key == "through":
        expected, got = shown[:-1, [0, 2, 3]], found / wh
    elif key == "money":
        expected, got = shown[:-1, :2], found / 1e6
    elif key == "parties":
        assert again["party"].tolist() == [0, 1000, 1001]
        expected, got = shown[:3, [1]], found / 1e6
    elif key == "squares":
        expected, got = shown[:2, :2].ravel(), again.iloc[0].to_numpy() / 1e6
    elif key == "peaks":
        expected, got = shown[:, :2], found / wh
    elif key == "gain_by_month":
        expected, got = shown[:-1], found / 1e6
    elif key == "prices":
        expected, got = shown[shown[:, 1] > 0], found / [wh, 1]
    elif key == "prices_by_half_hour":
        expected, got = shown, found / [wh, *[wh * DAYS] * 4]
        assert np.allclose(got[:, 0], expected[:, 0], atol=1e-3, equal_nan=True)
        expected, got = expected[:, 1:], got[:, 1:]
    elif key == "prices_by_month":
        expected, got = shown, found / [wh, wh, 1]
        assert np.allclose(got[:, 0], expected[:, 0], atol=1e-3)
        expected, got = expected[:, 1:], got[:, 1:]
    else:
        expected, got = shown[:-1, [0, 1, 3, 4]], found / [wh * slots, wh * slots, wh, wh]
    assert got.shape == expected.shape
    assert np.allclose(got, expected)


def test_the_queries_of_flows_and_quotes_give_their_tables(folder, figures):
    slots, sites = figures.facts.slots, len(NAMES)
    with closing(sqlite3.connect(folder / "store.sqlite")) as store:
        flows = store.execute(query("matrix", slots)).fetchall()
        quotes = store.execute(query("quotes", slots)).fetchall()
    ends = np.zeros_like(figures.energy.ends)
    entered = np.zeros(len(ends), np.int64)
    columns = {"utility": sites, "lost": sites + 1, "unmetered": sites + 3}
    for kind, made, part, used, energy in flows:
        row = made if kind == 0 else sites + (kind > 1)
        if part == "entered":
            entered[row] += energy
        else:
            ends[row, used if part == "used" else columns[part]] += energy
    ends[:, sites + 2] = entered - ends.sum(axis=1)
    assert (ends == figures.energy.ends).all()
    for site, side, count, least, mean, most, prices in quotes:
        one = (figures.prices.asks if side else figures.prices.bids)[site]
        assert (one.orders, one.least, one.most) == (count, least / 1e3, most / 1e3)
        assert one.mean == pytest.approx(mean / 1e3, abs=1e-3)
        assert one.prices == prices
    assert sum(row[2] for row in quotes) == len(figures.facts.live)


def test_the_other_queries_give_what_batteries_moved_and_what_is_missed(folder, figures):
    slots = figures.facts.slots
    with closing(sqlite3.connect(folder / "store.sqlite")) as store:
        moved = store.execute(query("battery", slots)).fetchall()
        missed = store.execute(query("readings", slots)).fetchall()
        bought = store.execute(query("carbon", slots)).fetchall()
        turned = store.execute(query("turns", slots)).fetchall()
    battery = figures.batteries[0]
    ran, a_year = battery.strategy(AS_RUN), 365.25 / (len(slots) / 48)
    ((site, worth, spared),) = turned
    assert site == battery.site
    assert worth / 1e6 * a_year == pytest.approx(ran.together)
    assert spared / 1e3 * a_year == pytest.approx(ran.spared_kwh)
    assert moved == [(6, round(battery.charged * 1000), round(battery.discharged * 1000))]
    assert missed == []
    assert [energy for _, energy in bought] == figures.energy.grid.tolist()


def test_every_table_of_energy_and_money_says_how_it_is_got_again(sections):
    kept = tomllib.loads((ROOT / "orchestrator/verification/data/queries.toml").read_text())
    for section in sections[: len(OURS)]:
        assert section.key in OURS
        for one in section.tables:
            assert f"tables.{one.key}" in section.again
            assert one.key in kept["sql"] or one.key in kept["functions"]
            assert one.title
            assert section.method
    for text in kept["functions"].values():
        name = text.split(":")[0].split(",")[0]
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))

"""The bundled year loses no Wh on its way into half hours, and invents none."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.errors import SettingError
from energy.units import slots_of
from orchestrator.setting.series import LoadSeries, PvSeries, halved, load_series, pv_series

YEAR = [date(2019, 1, 1) + timedelta(days=number) for number in range(365)]
GAPS = [(2, 28), (2, 29), (3, 12), (3, 13), (3, 19), (11, 25), (12, 23)]


@pytest.fixture(scope="module")
def loads() -> LoadSeries:
    return load_series()


@pytest.fixture(scope="module")
def roof() -> PvSeries:
    return pv_series()


def rows(name):
    text = files("orchestrator.setting").joinpath(name).read_text()
    return list(csv.DictReader(text.splitlines()))


@given(before=st.integers(0, 10**6), hour=st.integers(0, 10**6), after=st.integers(0, 10**6))
def test_two_half_hours_hold_exactly_the_hour(before, hour, after):
    first, second = halved(before, hour, after)
    assert first + second == hour
    assert first >= 0
    assert second >= 0


@given(hour=st.integers(0, 10**6), step=st.integers(-1000, 1000))
def test_a_rising_hour_has_the_larger_half_last(hour, step):
    first, second = halved(10**6 + hour - step, 10**6 + hour, 10**6 + hour + step)
    assert (second - first > 1) <= (step > 0)
    assert (first - second > 1) <= (step < 0)


def test_each_measured_hour_keeps_its_energy_to_the_wh(loads):
    measured = rows("office_load_2019_hourly_kwh.csv")
    assert len(measured) == 8760
    for column in loads.hours:
        halves = [wh for day in YEAR for wh in loads.day(column, day)]
        hours = [first + second for first, second in zip(halves[::2], halves[1::2], strict=True)]
        assert hours == [round(float(row[column]) * 1000) for row in measured]


def test_a_slots_load_is_its_place_in_the_day(loads):
    day = date(2019, 6, 4)
    assert tuple(loads.load("sendai", slot) for slot in slots_of(day)) == loads.day("sendai", day)
    assert sum(loads.day("sendai", day)) == 701_600


def test_a_day_or_column_that_is_not_there_is_named(loads):
    with pytest.raises(SettingError, match="within 2019-01-01 and 2019-12-31, got 2020-01-01"):
        loads.day("sendai", date(2020, 1, 1))
    with pytest.raises(SettingError, match="one of ogawara, .*, got 'tokyo'"):
        loads.day("tokyo", date(2019, 1, 1))


def test_a_day_is_played_by_the_same_month_and_day(roof):
    by_day: dict[str, list[str]] = {}
    for row in rows("pv_2024_30min_per_unit.csv"):
        by_day.setdefault(row["slot_start"][:10], []).append(row["per_unit_of_peak"])
    for day, source in ((date(2019, 1, 1), "2025-01-01"), (date(2019, 6, 4), "2024-06-04")):
        expected = [round(float(part) * 10_000) * 4 // 2 for part in by_day[source]]
        assert list(roof.day(400, day)) == expected
        assert sum(expected) > 10_000


def test_a_roof_generates_most_at_noon_and_nothing_at_night(roof):
    june = [roof.day(800, day) for day in YEAR if day.month == 6]
    mean = [sum(halves) / len(june) for halves in zip(*june, strict=True)]
    assert 20 <= mean.index(max(mean)) <= 26
    assert not any(mean[number] for number in (*range(6), *range(42, 48)))


def test_a_roof_never_generates_more_than_its_rating(roof):
    assert max(wh for day in YEAR for wh in roof.day(400, day)) == 400 * 50


def test_a_roof_has_about_1180_full_load_hours(roof):
    assert sum(sum(roof.day(10, day)) for day in YEAR) / 1000 == pytest.approx(1180, rel=0.02)


def test_a_slots_generation_is_its_place_in_the_day(roof):
    day = date(2019, 6, 4)
    assert tuple(roof.generation(400, slot) for slot in slots_of(day)) == roof.day(400, day)


def test_the_gaps_of_the_source_stay_gaps(roof):
    assert [day for day in YEAR if roof.has_gap(day)] == [
        date(2019, month, day) for month, day in GAPS if (month, day) != (2, 29)
    ]
    assert roof.has_gap(date(2020, 2, 29))
    assert set(roof.day(800, date(2019, 11, 25))) == {0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hour,a\n", "must begin with the column hour_start"),
        ("hour_start,a\n", "and hold rows"),
        ("hour_start,a\n2019-01-01 00:00:00,1\n", "for whole days"),
        ("hour_start,a\n2019-01-01 00:00:00,1,2\n", "line 2: 2 values must stand here"),
        ("hour_start,a\nyesterday,1\n", "line 2: Invalid isoformat"),
        (
            "hour_start,a\n2019-01-01 00:00:00,1\n2019-01-01 02:00:00,1\n",
            "line 3: 2019-01-01 01:00:00 must follow, got 2019-01-01 02:00:00",
        ),
    ],
)
def test_a_broken_series_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "loads.csv").write_text(text)
    with pytest.raises(SettingError, match=message):
        load_series(tmp_path / "loads.csv")


@pytest.mark.parametrize("value", ["", "-1", "nan", "much"])
def test_a_value_that_is_no_energy_is_named_with_its_line(tmp_path, value):
    hours = [f"2019-01-01 {hour:02d}:00:00,{value if hour == 5 else 1}" for hour in range(24)]
    (tmp_path / "loads.csv").write_text("\n".join(["hour_start,a", *hours]))
    with pytest.raises(SettingError, match="line 7: a number from 0 must stand here"):
        load_series(tmp_path / "loads.csv")


def test_a_part_above_the_peak_is_refused(tmp_path):
    (tmp_path / "pv.csv").write_text("slot_start,part\n2024-02-28 21:00:00,1.0001\n")
    with pytest.raises(SettingError, match="line 2: a part must be at most 1, got 1.0001"):
        pv_series(tmp_path / "pv.csv")


def test_a_year_with_missing_days_is_refused(tmp_path):
    (tmp_path / "pv.csv").write_text("slot_start,part\n2024-02-28 21:00:00,0.5\n")
    with pytest.raises(SettingError, match="each day of one year, got 1 days"):
        pv_series(tmp_path / "pv.csv")

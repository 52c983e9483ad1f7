"""The standard baseline, High 4 of 5 with same-day adjustment: worked by hand.

The call is on Friday 14 June 2019, 14:00 to 15:00. Energies in Wh a half hour.
"""

from __future__ import annotations

import doctest
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from energy.units import slots_of
from vpp.calls.baseline import Baseline, LeftOut, ReverseFlow, high_4_of_5

DAY = date(2019, 6, 14)
FIRST = 28
"""14:00 in half hours of the day."""
WINDOW = range(slots_of(DAY)[FIRST], slots_of(DAY)[FIRST] + 2)
HOURS_BEFORE = range(FIRST - 10, FIRST - 4)
WEEK = {
    date(2019, 6, 7): 10_000,
    date(2019, 6, 10): 11_000,
    date(2019, 6, 11): 9_000,
    date(2019, 6, 12): 12_000,
    date(2019, 6, 13): 8_000,
}


def flows(days: dict[date, int], today: int | None = 9_000) -> dict[int, int]:
    """A flow that is the same all day; of the day itself only up to noon."""
    found = {slot: wh for day, wh in days.items() for slot in slots_of(day)}
    if today is not None:
        found |= {slots_of(DAY)[number]: today for number in range(24)}
    return found


def standard(*arguments: Any, **options: Any) -> Baseline:
    found = high_4_of_5(*arguments, **options)
    assert found is not None
    return found


def test_the_four_highest_of_the_five_most_recent_working_days_are_averaged():
    baseline = standard(flows(WEEK, today=None), WINDOW)
    # 10, 11, 9 and 12 kWh; the 13th has the lowest mean.
    assert baseline.wh == dict.fromkeys(WINDOW, 10_500)
    assert baseline.days == tuple(day for day in sorted(WEEK) if day != date(2019, 6, 13))
    assert baseline.considered == tuple(sorted(WEEK))
    assert baseline.adjustment_wh is None


def test_the_day_itself_moves_it_by_its_mean_difference_from_5_to_2_hours_before():
    readings = flows(WEEK)
    # From 09:00 to 12:00 it uses 12, 12, 12, 12, 13 and 14 kWh where 10.5 are usual: 2 more.
    for number, wh in zip(HOURS_BEFORE, (12_000,) * 4 + (13_000, 14_000), strict=True):
        readings[slots_of(DAY)[number]] = wh
    # What is nearer to the call does not count: a site could know of it.
    for number in range(FIRST - 4, FIRST + 2):
        readings[slots_of(DAY)[number]] = 90_000
    baseline = standard(readings, WINDOW)
    assert baseline.adjustment_wh == pytest.approx(2_000)
    assert baseline.wh == dict.fromkeys(WINDOW, 12_500)


def test_each_half_hour_has_its_own_average():
    readings = flows(WEEK, today=None)
    for number, day in enumerate(WEEK):
        readings[slots_of(day)[FIRST + 1]] = 20_000 + 1_000 * number
    baseline = standard(readings, WINDOW)
    # The means of the window now are 15, 16, 15.5, 17.5 and 16: the 7th is the lowest.
    assert baseline.days == tuple(day for day in sorted(WEEK) if day != date(2019, 6, 7))
    assert list(baseline.wh.values()) == [10_000, 22_500]


def test_days_with_a_call_and_weekends_are_passed_over_for_older_ones():
    days = WEEK | {date(2019, 6, 6): 13_000, date(2019, 6, 8): 50_000, date(2019, 6, 9): 50_000}
    baseline = standard(flows(days, today=None), WINDOW, called={date(2019, 6, 12)})
    assert date(2019, 6, 6) in baseline.days
    assert baseline.left_out[date(2019, 6, 12)] is LeftOut.CALLED
    assert baseline.wh[WINDOW[0]] == (13_000 + 11_000 + 10_000 + 9_000) // 4


def test_a_day_far_below_the_others_is_passed_over_for_an_older_one():
    days = WEEK | {date(2019, 6, 13): 1_000, date(2019, 6, 6): 13_000}
    baseline = standard(flows(days, today=None), WINDOW)
    # The five have a mean of 8.6 kWh, and a quarter of that is 2.15.
    assert baseline.left_out[date(2019, 6, 13)] is LeftOut.LOW
    assert baseline.considered[0] == date(2019, 6, 6)
    assert baseline.wh[WINDOW[0]] == (13_000 + 12_000 + 11_000 + 10_000) // 4


def test_with_four_days_within_thirty_all_four_count():
    days = dict(list(WEEK.items())[1:])
    baseline = standard(flows(days, today=None), WINDOW)
    assert baseline.wh[WINDOW[0]] == (11_000 + 9_000 + 12_000 + 8_000) // 4
    assert not baseline.filled_up


def test_with_fewer_the_highest_days_with_a_call_fill_up_the_four():
    called = {date(2019, 6, 11), date(2019, 6, 12), date(2019, 6, 13)}
    baseline = standard(flows(WEEK, today=None), WINDOW, called)
    assert baseline.filled_up
    assert set(baseline.days) == {
        date(2019, 6, 7),
        date(2019, 6, 10),
        date(2019, 6, 11),
        date(2019, 6, 12),
    }


def test_a_day_older_than_thirty_is_not_taken():
    days = {DAY - timedelta(days=back): 5_000 for back in range(31, 60)}
    assert high_4_of_5(flows(days), WINDOW) is None


def test_a_day_whose_readings_are_missing_is_passed_over():
    readings = flows(WEEK | {date(2019, 6, 6): 13_000}, today=None)
    del readings[slots_of(date(2019, 6, 12))[FIRST]]
    baseline = standard(readings, WINDOW)
    assert baseline.left_out[date(2019, 6, 12)] is LeftOut.UNREAD
    assert date(2019, 6, 6) in baseline.days


def test_on_a_sunday_the_two_highest_of_three_days_off_are_averaged():
    sunday = date(2019, 6, 16)
    window = range(slots_of(sunday)[FIRST], slots_of(sunday)[FIRST] + 2)
    off = {date(2019, 6, 15): 3_000, date(2019, 6, 9): 5_000, date(2019, 6, 8): 4_000}
    readings = {
        slot: wh for day, wh in (WEEK | off | {DAY: 9_000}).items() for slot in slots_of(day)
    }
    baseline = standard(readings, window)
    assert baseline.wh == dict.fromkeys(window, 4_500)
    assert baseline.days == (date(2019, 6, 8), date(2019, 6, 9))


def test_exports_count_below_zero_or_not_at_all():
    days = dict.fromkeys(WEEK, -4000)
    readings = flows(days, today=-6_000)
    counted = standard(readings, WINDOW)
    assert counted.wh == dict.fromkeys(WINDOW, -6_000)
    assert counted.counted(-7_000) == -7_000
    cut = standard(readings, WINDOW, reverse=ReverseFlow.CUT)
    assert cut.wh == dict.fromkeys(WINDOW, 0)
    assert cut.counted(-7_000) == 0


def test_a_cut_baseline_is_not_moved_below_zero():
    cut = standard(flows(WEEK, today=-9_000), WINDOW, reverse=ReverseFlow.CUT)
    assert cut.adjustment_wh == pytest.approx(-10_500)
    assert cut.wh == dict.fromkeys(WINDOW, 0)


def test_a_call_over_midnight_takes_the_hours_after_it_from_the_days_after():
    late = range(slots_of(DAY)[47], slots_of(DAY)[47] + 2)
    readings = flows(WEEK, today=None)
    for day in WEEK:
        readings |= {slots_of(day + timedelta(days=1))[0]: 2_000}
    baseline = standard(readings, late)
    assert list(baseline.wh.values()) == [10_500, 2_000]


def test_the_worked_example_of_the_page_holds():
    page = Path(__file__).resolve().parents[2] / "docs" / "calls.md"
    done = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert done.attempted > 5
    assert done.failed == 0

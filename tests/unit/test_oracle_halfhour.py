"""Half hours from running totals."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.errors import ReadingImpossible
from energy.records import Quality, Reading
from oracle.halfhour import boundary_at, reading_of, reconciled
from oracle.totals import Total

SLOT = 1000
START, END = SLOT * 1800, (SLOT + 1) * 1800


def line(*points: tuple[int, int], **marks: bool) -> list[Total]:
    """Totals from (seconds after the slot's start, Wh); the marks are the last one's."""
    totals = [Total(START + seconds, wh * 1000) for seconds, wh in points]
    last = totals[-1]
    return [*totals[:-1], Total(last.time_seconds, last.milliwatthours, **marks)]


def test_samples_at_both_boundaries_make_a_measured_reading():
    reading = reading_of(
        SLOT,
        3,
        {
            "imported": line((0, 100), (1800, 600)),
            "exported": line((0, 50), (1800, 50)),
            "generated": line((0, 0), (1800, 900)),
            "charged": line((0, 0), (1800, 400)),
            "discharged": line((0, 70), (1800, 70)),
            "stored": line((0, 1000), (1800, 1360)),
        },
    )
    assert reading == Reading(SLOT, 3, 500, 0, 900, 400, 0, 1360, Quality.MEASURED)
    assert reading.consumption == 1000


def test_a_boundary_between_samples_is_interpolated_in_proportion():
    reading = reading_of(SLOT, 0, {"imported": line((-100, 0), (100, 200), (1800, 400))})
    assert reading == Reading(SLOT, 0, imported=300, quality=Quality.INTERPOLATED)


def test_the_part_of_a_watt_hour_is_left_to_the_next_half_hour():
    totals = [Total(START, 900), Total(END, 2_100), Total(END + 1800, 3_000)]
    assert reading_of(SLOT, 0, {"imported": totals[:2]}) == Reading(SLOT, 0, imported=2)
    assert reading_of(SLOT + 1, 0, {"imported": totals[1:]}) == Reading(SLOT + 1, 0, imported=1)


def test_a_boundary_in_a_long_gap_is_partial_as_well():
    reading = reading_of(SLOT, 0, {"imported": line((0, 0), (1600, 90), (2000, 130))})
    assert reading == Reading(SLOT, 0, imported=110, quality=Quality.INTERPOLATED | Quality.PARTIAL)


def test_energy_left_out_makes_the_reading_partial():
    totals = {"imported": [*line((0, 0), (900, 90), broken=True), *line((1800, 130))]}
    reading = reading_of(SLOT, 0, totals)
    assert reading == Reading(SLOT, 0, imported=130, quality=Quality.PARTIAL)
    neighbour = {"imported": [*line((-60, 0), (0, 90), broken=True), *line((1800, 130))]}
    assert reading_of(SLOT, 0, neighbour) == Reading(SLOT, 0, imported=40)


def test_integrated_power_is_said_to_be():
    reading = reading_of(SLOT, 0, {"imported": line((0, 0), (1800, 10), integrated=True)})
    assert reading == Reading(SLOT, 0, imported=10, quality=Quality.INTEGRATED)


def test_there_is_no_reading_before_every_quantity_told_its_end():
    told, waiting = line((0, 0), (1800, 5)), line((0, 0), (1799, 5))
    assert reading_of(SLOT, 0, {"imported": told, "exported": waiting}) is None
    assert reading_of(SLOT, 0, {"imported": told, "stored": waiting}) is None
    assert reading_of(SLOT, 0, {"imported": told, "exported": []}) is None


def test_there_never_is_a_reading_of_a_slot_whose_start_was_not_seen():
    with pytest.raises(
        ReadingImpossible,
        match=f"slot 1000 must begin with a sample of imported at or before {START} s, "
        f"got the first at {START + 1} s",
    ):
        reading_of(SLOT, 0, {"imported": line((1, 0), (1800, 5))})


@pytest.mark.parametrize(
    ("reading", "generated"),
    [
        (Reading(0, 0, exported=1000, generated=960), 1000),
        (Reading(0, 0, exported=10_000, discharged=2_000, generated=7_921), 8_000),
        (Reading(0, 0, imported=500, charged=2_000, generated=1_460), 1_500),
        (Reading(0, 0, imported=500, exported=100, charged=450, generated=60), 100),
    ],
)
def test_generation_is_raised_to_what_the_meter_says(reading: Reading, generated: int):
    raised = reconciled(reading)
    assert raised.generated == generated
    assert raised.quality == Quality.RECONCILED
    assert raised.exported <= raised.generated + raised.discharged
    assert raised.consumption >= 0


def test_a_reading_that_balances_stays_as_it_is():
    reading = Reading(0, 0, imported=10, exported=5, generated=5)
    assert reconciled(reading) is reading


@pytest.mark.parametrize(
    "reading",
    [
        Reading(0, 0, exported=1000, generated=949),
        Reading(0, 0, exported=10_000, generated=9_899),
        Reading(0, 0, imported=500, charged=2_000, generated=1_449),
    ],
)
def test_more_disagreement_than_the_tolerance_makes_no_reading(reading: Reading):
    with pytest.raises(ReadingImpossible, match="generated must be at least"):
        reconciled(reading)


energies = st.integers(0, 30_000)


@given(energies, energies, energies, energies, energies)
def test_law_a_reading_balances_or_is_none(
    imported: int, exported: int, generated: int, charged: int, discharged: int
):
    reading = Reading(0, 0, imported, exported, generated, charged, discharged)
    try:
        kept = reconciled(reading)
    except ReadingImpossible:
        assert reading.consumption < 0 or exported > generated + discharged
        return
    assert kept.exported <= kept.generated + kept.discharged
    assert kept.consumption >= 0
    assert 0 <= kept.generated - generated <= max(50, kept.generated // 100)


@st.composite
def histories(draw: st.DrawFn) -> list[Total]:
    """Totals at any times, that only grow; from before a slot to after some later one."""
    times = sorted(draw(st.sets(st.integers(0, 20_000), max_size=25)))
    times = [-1, *times, draw(st.integers(20_001, 30_000))]
    total, totals = draw(st.integers(0, 10**9)), []
    for time in times:
        total += draw(st.integers(0, 10_000_000))
        totals.append(Total(START + time, total))
    return totals


@given(histories())
def test_law_half_hours_add_up_to_the_counters_advance(history: list[Total]):
    """The sum of half hours is the accumulator's advance, to the Wh, across any gaps."""
    readings = []
    slot = SLOT
    while (reading := reading_of(slot, 0, {"imported": around(history, slot)})) is not None:
        readings.append(reading)
        slot += 1
    first, last = boundary_at(history, START), boundary_at(history, slot * 1800)
    assert first is not None
    assert last is not None
    assert len(readings) == (history[-1].time_seconds - START) // 1800
    assert sum(reading.imported for reading in readings) == last.wh - first.wh
    for exact in (total for total in history if total.time_seconds % 1800 == 0):
        boundary = boundary_at(history, exact.time_seconds)
        assert boundary is not None
        assert boundary.wh == exact.milliwatthours // 1000
    assert all(reading.imported >= 0 for reading in readings)
    assert all(before.slot + 1 == after.slot for before, after in pairwise(readings))


def around(history: list[Total], slot: int) -> list[Total]:
    """What the outbox gives for a slot."""
    start, end = slot * 1800, (slot + 1) * 1800
    first = max(total.time_seconds for total in history if total.time_seconds <= start)
    later = [total.time_seconds for total in history if total.time_seconds >= end]
    last = min(later, default=end)
    return [total for total in history if first <= total.time_seconds <= last]

"""Counters that roll over, fall silent, are exchanged or show nonsense."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from oracle.totals import Counter, Total, Track, advance_of, followed

CEILING_W = 60_000
ROLL_32 = 1 << 32


def counter(raw: int, scale: int = 0) -> Counter:
    """A 32-bit counter that shows `raw`, in 10**scale Wh."""
    step = 10 ** (scale + 3)
    return Counter(raw % ROLL_32 * step, ROLL_32 * step, step)


def follow(*shown: tuple[int, Counter | None]) -> tuple[list[Total | None], list[str | None]]:
    """Follow samples (time, counter); return the total after each and what was wrong."""
    track, totals, faults = Track(), [], []
    for time, each in shown:
        track, fault = followed(track, time, each, None, CEILING_W)
        totals.append(track.total)
        faults.append(fault.detail if fault else None)
    return totals, faults


def test_the_total_begins_where_the_counter_stands():
    totals, faults = follow((0, counter(7_000)))
    assert totals == [Total(0, 7_000_000)]
    assert faults == [None]


def test_a_counter_rolls_over_at_its_width():
    totals, faults = follow((0, counter(ROLL_32 - 300)), (60, counter(200)))
    assert totals[1] == Total(60, (ROLL_32 + 200) * 1000)
    assert faults == [None, None]


def test_silence_is_caught_up():
    totals, faults = follow((0, counter(100)), (60, None), (120, None), (180, counter(400)))
    assert totals == [Total(0, 100_000)] * 3 + [Total(180, 400_000)]
    assert faults == [None] * 4


def test_one_sample_of_nonsense_leaves_no_trace():
    for nonsense in (counter(ROLL_32 - 1), counter(5), counter(1000, scale=1)):
        totals, faults = follow((0, counter(1000)), (60, nonsense), (120, counter(1900)))
        assert totals[1] == Total(0, 1_000_000)
        assert totals[2] == Total(120, 1_900_000)
        assert faults[1] is not None
        assert "must go on from 1000 Wh within 60000 W" in faults[1]


def test_an_exchanged_meter_counts_on_without_its_jump():
    totals, faults = follow(
        (0, counter(1_000_000)),
        (60, counter(1_000_500)),
        (120, counter(20)),
        (180, counter(320)),
        (240, counter(620)),
    )
    assert [total.milliwatthours for total in totals if total] == [
        1_000_000_000,
        1_000_500_000,
        1_000_500_000,
        1_000_800_000,
        1_001_100_000,
    ]
    assert [total.broken for total in totals if total] == [False, False, False, True, False]
    assert "got another that goes on from 20 Wh" in (faults[3] or "")


def test_a_counter_at_zero_is_not_believed_until_it_moves():
    totals, faults = follow(
        (0, counter(5000)), (60, counter(0)), (120, counter(0)), (180, counter(5100))
    )
    assert totals[2] == Total(0, 5_000_000)
    assert totals[3] == Total(180, 5_100_000)
    assert "got 0 after 5000 Wh" in (faults[1] or "")


def test_a_new_counter_may_stand_at_zero():
    totals, faults = follow((0, counter(0)), (60, counter(0)), (120, counter(3)))
    assert totals[2] == Total(120, 3_000)
    assert faults == [None] * 3


def test_a_changed_scale_factor_invents_nothing():
    totals, faults = follow(
        (0, counter(123_456)),
        (60, counter(12_345, scale=1)),  # the same energy, told shorter
        (120, counter(12_346, scale=1)),
        (180, counter(123_470)),
    )
    assert [total.milliwatthours for total in totals if total] == [
        123_456_000,
        123_456_000,
        123_460_000,
        123_470_000,
    ]
    assert faults == [None] * 4


def test_a_clock_that_goes_back_is_named_and_waited_for():
    totals, faults = follow((600, counter(10)), (0, counter(20)), (660, counter(30)))
    assert faults == [None, "the clock must go on from 600, got 0 s", None]
    assert totals[2] == Total(660, 30_000)


def test_a_second_sample_in_the_same_second_changes_nothing():
    totals, faults = follow((600, counter(10)), (600, counter(20)))
    assert totals[1] == Total(600, 10_000)
    assert faults[1] is None


def test_a_gap_in_which_a_counter_may_have_rolled_over_unseen_is_not_guessed():
    short = Counter(0, ROLL_32, 1)  # rolls over at 4.3 MWh
    assert advance_of(short, replace(short, value=500), 60, CEILING_W) == 500
    assert advance_of(short, replace(short, value=500), 100 * 3600, CEILING_W) is None


def test_power_is_integrated_only_where_no_counter_ever_answered():
    track = Track()
    for time, power_w in ((0, 1000), (60, 3000), (120, 3000)):
        track, _ = followed(track, time, None, power_w, CEILING_W)
    assert track.total == Total(120, (2000 * 60 + 3000 * 60) * 1000 // 3600, integrated=True)
    track, _ = followed(track, 180, counter(5), 3000, CEILING_W)
    assert track.total == Total(180, (2000 * 60 + 3000 * 120) * 1000 // 3600, integrated=True)
    before = track.total
    track, _ = followed(track, 240, None, 3000, CEILING_W)
    assert track.total == before
    track, _ = followed(track, 300, counter(95), 3000, CEILING_W)
    assert track.total == Total(300, before.milliwatthours + 90_000)


def test_power_is_not_integrated_over_a_gap():
    track, _ = followed(Track(), 0, None, 1000, CEILING_W)
    track, _ = followed(track, 3600, None, 1000, CEILING_W)
    assert track.total == Total(3600, 0, broken=True, integrated=True)


def test_a_counter_that_takes_over_from_unknown_power_says_that_something_is_missing():
    track, _ = followed(Track(), 0, None, 1000, CEILING_W)
    track, _ = followed(track, 60, counter(9), None, CEILING_W)
    assert track.total == Total(60, 0, broken=True)


def test_a_counter_that_stands_still_while_power_flows_waits_until_it_moves():
    track, oddities = Track(), []
    for minute in range(10):
        track, oddity = followed(track, minute * 60, counter(1000), 3000, CEILING_W)
        oddities.append(oddity.kind if oddity else None)
    # 100 Wh by power are not yet believed; then the total waits.
    assert oddities == [None] * 3 + ["counter-stuck"] * 7
    assert track.total == Total(120, 1_000_000)
    track, oddity = followed(track, 600, counter(1500), 3000, CEILING_W)
    assert oddity is None
    assert track.total == Total(600, 1_500_000)
    assert track.idle_mwh == 0


def test_a_coarse_counter_may_stand_still_for_its_step():
    track, oddity = Track(), None
    for minute in range(60):
        track, oddity = followed(track, minute * 60, counter(7, scale=3), 3000, CEILING_W)
        assert oddity is None


steps = st.lists(
    st.tuples(
        st.integers(1, 4000),  # seconds to the next sample
        st.integers(0, 1000),  # of what the ceiling allows in them, per mille
        st.sampled_from(["told", "told", "told", "silent", "nonsense", "coarser"]),
    ),
    max_size=30,
)


@given(start=st.integers(1, ROLL_32 - 1), steps=steps)
def test_law_the_total_advances_as_the_device_did(start: int, steps: list[tuple[int, int, str]]):
    """Whatever is lost on the way, once the counter tells again the total is exact."""
    time, energy_wh, track = 0, 0, Track()
    track, _ = followed(track, time, counter(start), None, CEILING_W)
    after_nonsense = False
    for seconds, per_mille, kind in steps:
        time += seconds
        energy_wh += CEILING_W * seconds // 3600 * per_mille // 1000
        raw = (start + energy_wh) % ROLL_32
        if raw < 10 or (kind == "nonsense" and after_nonsense):
            kind = "silent"
        shown = {
            "told": counter(raw),
            "silent": None,
            "nonsense": counter(raw + ROLL_32 // 2),
            "coarser": counter(raw // 10, scale=1) if start + energy_wh < ROLL_32 else None,
        }[kind]
        before = track.total
        track, _ = followed(track, time, shown, None, CEILING_W)
        assert before is not None
        assert track.total is not None
        assert track.total.milliwatthours >= before.milliwatthours
        if kind == "told":
            assert track.total == Total(time, (start + energy_wh) * 1000)
        after_nonsense = kind == "nonsense" or (after_nonsense and kind == "silent")

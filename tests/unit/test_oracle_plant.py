"""The simulated site's physics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.plant import FULL_RATE, Battery, Controls, Flows, Plant, advanced, energy_between

BATTERY = Battery(44_000, 15_000, efficiency=900)


def after_slot(
    load_wh: int, generation_wh: int, controls: Controls | None = None, stored_wh: int = 20_000
) -> Plant:
    plant = Plant(0, content=stored_wh * 1000)
    return advanced(plant, 1800, load_wh, generation_wh, BATTERY, controls)


def test_a_site_without_battery_imports_its_deficit_and_exports_its_surplus():
    assert advanced(Plant(0), 1800, 500, 200).last == Flows(imported=300, generated=200)
    assert advanced(Plant(0), 1800, 200, 500).last == Flows(exported=300, generated=500)


def test_the_battery_takes_the_surplus_and_covers_the_deficit():
    assert after_slot(1_000, 4_000).last == Flows(generated=4_000, charged=3_000)
    assert after_slot(4_000, 1_000).last == Flows(generated=1_000, discharged=3_000)


def test_the_battery_keeps_to_its_power():
    assert after_slot(0, 10_000).last == Flows(exported=2_500, generated=10_000, charged=7_500)
    assert after_slot(10_000, 0).last == Flows(imported=2_500, discharged=7_500)


def test_a_full_battery_takes_nothing_and_an_empty_one_gives_nothing():
    assert after_slot(0, 5_000, stored_wh=44_000).last.charged == 0
    assert after_slot(5_000, 0, stored_wh=0).last.discharged == 0


def test_a_round_trip_gives_back_what_the_efficiency_says():
    plant = Plant(0)
    for _ in range(4):
        plant = advanced(plant, 1800, 0, 5_000, BATTERY)
    assert plant.stored_wh == 4 * 5_000 * 900 // 1000
    for _ in range(4):
        plant = advanced(plant, 1800, 7_000, 0, BATTERY)
    assert plant.counters.discharged == 18_000
    assert plant.stored_wh == 0


def test_the_reserve_is_left():
    plant = after_slot(10_000, 0, Controls(reserve=4_000), stored_wh=18_000)
    assert plant.stored_wh == 17_600
    assert plant.last == Flows(imported=9_600, discharged=400)


def test_a_charge_limit_applies_only_when_its_bit_is_set():
    rate = Controls(charge_rate=2_000)
    limit = Controls(limits_charge=True, charge_rate=2_000)
    assert after_slot(0, 5_000, rate).last.charged == 5_000
    assert after_slot(0, 5_000, limit).last.charged == 1_500


def test_a_discharge_limit_of_zero_holds_the_battery():
    hold = Controls(limits_discharge=True, discharge_rate=0)
    assert after_slot(5_000, 0, hold).last == Flows(imported=5_000)


def test_a_negative_charge_rate_forces_discharge_even_into_the_network():
    forced = Controls(limits_charge=True, charge_rate=-4_000)
    assert after_slot(1_000, 0, forced).last == Flows(exported=2_000, discharged=3_000)


def test_a_negative_discharge_rate_forces_charge_from_the_network_where_allowed():
    forced = Controls(limits_discharge=True, discharge_rate=-4_000, charges_from_grid=True)
    assert after_slot(1_000, 500, forced).last == Flows(
        imported=3_500, generated=500, charged=3_000
    )
    solar = Controls(limits_discharge=True, discharge_rate=-4_000)
    assert after_slot(1_000, 500, solar).last == Flows(imported=500, generated=500)


def test_limits_that_exclude_each_other_hold_the_battery():
    both = Controls(True, True, charge_rate=-4_000, discharge_rate=-4_000)
    assert after_slot(1_000, 0, both).last == Flows(imported=1_000)


def test_limits_fall_away_when_their_time_is_over():
    hold = Controls(limits_discharge=True, discharge_rate=0, revert_seconds=60)
    assert hold.reverted(59) == hold
    assert not hold.reverted(60).limits_discharge


def test_a_time_of_nothing_is_refused():
    with pytest.raises(ValueError, match="must advance by more than 0 s, got 0 s"):
        advanced(Plant(0), 0, 0, 0)


rates = st.integers(-FULL_RATE, FULL_RATE)
controls = st.builds(
    Controls, st.booleans(), st.booleans(), rates, rates, st.integers(0, FULL_RATE), st.booleans()
)
steps = st.tuples(st.integers(1, 1800), st.integers(0, 20_000), st.integers(0, 40_000), controls)


@given(st.integers(0, 44_000), st.integers(700, 1000), st.lists(steps, max_size=40))
def test_law_no_energy_comes_from_nowhere(
    stored_wh: int, efficiency: int, steps: list[tuple[int, int, int, Controls]]
):
    battery = Battery(44_000, 15_000, efficiency)
    plant, loads = Plant(0, content=stored_wh * 1000), 0
    for seconds, load_wh, generation_wh, control in steps:
        most_wh = energy_between(battery.power_w, plant.time_seconds, seconds)
        plant = advanced(plant, seconds, load_wh, generation_wh, battery, control)
        loads += load_wh
        counters = plant.counters
        assert 0 <= plant.content <= battery.capacity_wh * 1000
        assert plant.last.charged + plant.last.discharged <= most_wh
        assert min(plant.last.imported, plant.last.exported) == 0
        if not control.charges_from_grid:
            assert plant.last.charged <= max(generation_wh - load_wh, 0)
        assert loads == (
            counters.imported
            + counters.generated
            + counters.discharged
            - counters.exported
            - counters.charged
        )
        assert plant.content == (
            stored_wh * 1000 + counters.charged * efficiency - counters.discharged * 1000
        )

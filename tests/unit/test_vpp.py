"""The battery's rule by the hour, and what its commands are on the wire. Energies in Wh."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.units import slots_of
from field.sunspec import MODELS, Block, registers_from
from oracle.plant import Battery, Controls, battery_energy
from vpp.control import setpoint_of
from vpp.dispatch.sunspec import writes_of
from vpp.rule import BatterySize, Command, Mode, called_flows, command_for, expected_flows

DAY = slots_of(date(2019, 6, 4))
KESENNUMA = BatterySize(capacity_wh=44_000, power_w=15_000, efficiency=900)


def settings_of(command: Command, rated_w: int) -> dict[str, int]:
    """What is written of model 124 for a command, rates in 0.01 %."""
    points = {"WChaMax": rated_w, "WChaMax_SF": 0, "InOutWRte_SF": -2, "ChaGriSet": 0}
    block = Block(MODELS[124], 40000, tuple(registers_from(124, points)))
    writes = writes_of(block, setpoint_of(command), 0, False, "battery")
    return {name: number for write in writes for name, number in write.points.items()}


def test_the_day_has_its_hours() -> None:
    modes = [command_for(slot, 10_000, KESENNUMA).mode for slot in DAY]
    hold, store, give = Mode.HOLD, Mode.STORE, Mode.DISCHARGE
    assert modes == [hold] * 12 + [store] * 22 + [hold] * 2 + [give] * 8 + [hold] * 4


def test_in_the_evening_what_is_held_is_spread_evenly_and_given_to_the_last() -> None:
    stored, given = 20_001, []
    for slot in DAY[36:44]:
        command = command_for(slot, stored, KESENNUMA)
        _, discharged = expected_flows(command, 0, stored, KESENNUMA)
        given.append(discharged)
        stored -= discharged
    assert given == [2_501] + [2_500] * 7
    assert stored == 0


def test_an_empty_battery_is_told_to_hold() -> None:
    assert command_for(DAY[40], 0, KESENNUMA) == Command(Mode.HOLD)


def test_no_discharge_is_beyond_the_batterys_power() -> None:
    assert command_for(DAY[43], 44_000, KESENNUMA) == Command(Mode.DISCHARGE, 15_000)


@pytest.mark.parametrize(
    ("surplus", "stored", "flows"),
    [
        (3_000, 0, (3_000, 0)),
        (-3_000, 10_000, (0, 0)),
        (30_000, 0, (7_500, 0)),
        (7_000, 43_100, (1_000, 0)),
        (7_000, 44_000, (0, 0)),
    ],
)
def test_storing_takes_the_surplus_as_far_as_power_and_room_go(
    surplus: int, stored: int, flows: tuple[int, int]
) -> None:
    assert expected_flows(Command(Mode.STORE), surplus, stored, KESENNUMA) == flows


@pytest.mark.parametrize(
    ("command", "surplus", "stored", "flows"),
    [
        (Command(Mode.STORE, 4_000), 9_000, 0, (2_000, 0)),
        (Command(Mode.STORE, 4_000), 900, 0, (900, 0)),
        (Command(Mode.SERVE), -3_000, 10_000, (0, 3_000)),
        (Command(Mode.SERVE, 4_000), -3_000, 10_000, (0, 2_000)),
        (Command(Mode.SERVE), -3_000, 700, (0, 700)),
        (Command(Mode.SERVE), 3_000, 10_000, (0, 0)),
        (Command(Mode.OWN, 4_000), 9_000, 10_000, (7_500, 0)),
        (Command(Mode.OWN, 4_000), -3_000, 10_000, (0, 2_000)),
        (Command(Mode.OWN, 0), -3_000, 0, (0, 0)),
    ],
)
def test_storing_and_serving_keep_to_the_power_that_they_are_told(
    command: Command, surplus: int, stored: int, flows: tuple[int, int]
) -> None:
    assert expected_flows(command, surplus, stored, KESENNUMA) == flows


@pytest.mark.parametrize(
    ("flows", "called", "surplus", "stored", "given"),
    [
        ((0, 2_000), 2_500, -9_000, 20_000, (0, 4_500)),
        ((0, 7_000), 2_500, -9_000, 20_000, (0, 7_500)),  # its power
        ((0, 2_000), 2_500, -9_000, 3_000, (0, 3_000)),  # what it holds
        ((3_000, 0), 2_000, 3_000, 20_000, (1_000, 0)),  # it stores less
        ((3_000, 0), 5_000, 3_000, 20_000, (0, 2_000)),
        ((0, 2_000), -1_500, -9_000, 20_000, (0, 500)),
        ((0, 2_000), -5_000, -9_000, 20_000, (0, 0)),  # never from the network
        ((0, 2_000), -5_000, 2_500, 20_000, (2_500, 0)),
        ((0, 0), -5_000, 9_000, 43_100, (1_000, 0)),  # its room
        ((0, 0), 0, 9_000, 20_000, (0, 0)),
    ],
)
def test_a_call_comes_on_top_as_far_as_power_store_and_sun_reach(
    flows: tuple[int, int], called: int, surplus: int, stored: int, given: tuple[int, int]
) -> None:
    assert called_flows(flows, called, surplus, stored, KESENNUMA) == given


def test_holding_moves_nothing() -> None:
    assert expected_flows(Command(Mode.HOLD), 9_000, 9_000, KESENNUMA) == (0, 0)


@pytest.mark.parametrize(
    ("command", "charge", "discharge"),
    [
        (Command(Mode.STORE), 10_000, 0),
        (Command(Mode.STORE, 6_000), 4_000, 0),
        (Command(Mode.SERVE), 0, 10_000),
        (Command(Mode.SERVE, 6_000), 0, 4_000),
        (Command(Mode.OWN, 6_000), 10_000, 4_000),
        (Command(Mode.HOLD), 0, 0),
        (Command(Mode.DISCHARGE, 15_000), -10_000, 10_000),
        (Command(Mode.DISCHARGE, 6_000), -4_000, 4_000),
        (Command(Mode.DISCHARGE, 99_000), -10_000, 10_000),
        (Command(Mode.DISCHARGE, 1), 0, 0),
    ],
)
def test_settings_limit_both_ways_and_never_charge_from_the_network(
    command: Command, charge: int, discharge: int
) -> None:
    assert settings_of(command, 15_000) == {
        "InWRte": charge,
        "OutWRte": discharge,
        "ChaGriSet": 0,
        "StorCtl_Mod": 3,
    }


@pytest.mark.parametrize("power_w", range(4_990, 5_010))
def test_whatever_the_power_a_discharge_is_forced(power_w: int) -> None:
    told = settings_of(Command(Mode.DISCHARGE, power_w), KESENNUMA.power_w)
    controls = Controls(
        limits_charge=True,
        limits_discharge=True,
        charge_rate=told["InWRte"],
        discharge_rate=told["OutWRte"],
    )
    plant = Battery(KESENNUMA.capacity_wh, KESENNUMA.power_w, KESENNUMA.efficiency)
    for surplus in (-9_000, 0, 9_000):
        energy = battery_energy(plant, controls, 20_000_000, surplus, 7_500)
        assert energy == -(told["OutWRte"] * 7_500 // 10_000)
        assert power_w // 2 - 2 <= -energy <= power_w // 2


@given(
    st.sampled_from(DAY),
    st.integers(0, 44_000),
    st.integers(-20_000, 20_000),
)
def test_a_battery_so_set_does_what_the_rule_expects(slot: int, stored: int, surplus: int) -> None:
    """But for what a rate in 0.01 % (0.75 Wh) cannot express, rounded down twice."""
    command = command_for(slot, stored, KESENNUMA)
    told = settings_of(command, KESENNUMA.power_w)
    controls = Controls(
        limits_charge=True,
        limits_discharge=True,
        charge_rate=told["InWRte"],
        discharge_rate=told["OutWRte"],
    )
    plant = Battery(KESENNUMA.capacity_wh, KESENNUMA.power_w, KESENNUMA.efficiency)
    energy = battery_energy(plant, controls, stored * 1_000, surplus, 7_500)
    charged, discharged = expected_flows(command, surplus, stored, KESENNUMA)
    assert abs(energy - (charged - discharged)) <= 2

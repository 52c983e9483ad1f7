"""Commands to a simulated battery over Modbus TCP: what it is told, and what it then does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from energy.errors import DeviceError
from energy.units import SLOT_SECONDS
from oracle.plant import Battery, Controls, Flows
from oracle.simulator import BATTERY, INVERTER, Fault, SiteSimulator
from vpp.control import BatteryControl
from vpp.rule import Command, Mode

START = 1_000 * SLOT_SECONDS
KESENNUMA = Battery(44_000, 15_000, efficiency=900, initial_wh=20_000)
REVERT = 2 * SLOT_SECONDS


class StuckAt(SiteSimulator):
    """A device that says yes to every command, and holds another discharge rate."""

    async def _answer(self, *arguments: Any) -> Any:
        answer = await super()._answer(*arguments)
        self.controls = replace(self.controls, discharge_rate=1_234)
        return answer


def play(
    scene: Callable[[SiteSimulator, BatteryControl], Awaitable[None]],
    load: int = 4_000,
    generation: int = 0,
    kind: type[SiteSimulator] = SiteSimulator,
    unit: int = BATTERY,
) -> None:
    """Play a scene at a site with this load and generation in every slot, Wh."""

    async def played() -> None:
        site = kind(lambda _: load, lambda _: generation, KESENNUMA, start_seconds=START)
        async with site:
            control = BatteryControl("127.0.0.1", site.port, unit)
            try:
                await scene(site, control)
            finally:
                control.close()

    asyncio.run(played())


def in_a_slot(site: SiteSimulator) -> Flows:
    """Let one slot pass and return what flowed in it."""
    site.advance(site.plant.time_seconds + SLOT_SECONDS)
    return site.plant.last


def test_told_to_store_it_takes_the_surplus_and_gives_nothing() -> None:
    async def scene(site: SiteSimulator, control: BatteryControl) -> None:
        await control.send(Command(Mode.STORE), REVERT)
        assert in_a_slot(site) == Flows(generated=9_000, charged=5_000)

    play(scene, generation=9_000)

    async def without_sun(site: SiteSimulator, control: BatteryControl) -> None:
        await control.send(Command(Mode.STORE), REVERT)
        assert in_a_slot(site) == Flows(imported=4_000), "neither from nor to the network"

    play(without_sun)


def test_told_to_discharge_it_gives_that_much_even_into_the_network() -> None:
    async def scene(site: SiteSimulator, control: BatteryControl) -> None:
        await control.send(Command(Mode.DISCHARGE, 12_000), REVERT)
        assert in_a_slot(site) == Flows(exported=2_000, discharged=6_000)

    play(scene)

    async def large_load(site: SiteSimulator, control: BatteryControl) -> None:
        await control.send(Command(Mode.DISCHARGE, 6_000), REVERT)
        assert in_a_slot(site) == Flows(imported=6_000, discharged=3_000), "and no more"

    play(large_load, load=9_000)


def test_told_to_hold_it_stands_still() -> None:
    async def scene(site: SiteSimulator, control: BatteryControl) -> None:
        await control.send(Command(Mode.HOLD), REVERT)
        assert in_a_slot(site) == Flows(exported=5_000, generated=9_000)
        assert site.plant.stored_wh == 20_000

    play(scene, generation=9_000)


def test_without_another_command_the_device_goes_back_to_self_consumption() -> None:
    async def scene(site: SiteSimulator, control: BatteryControl) -> None:
        await control.send(Command(Mode.HOLD), REVERT)
        assert site.controls.revert_seconds == REVERT
        assert in_a_slot(site).discharged == 0
        await control.send(Command(Mode.HOLD), REVERT)
        assert [in_a_slot(site).discharged for _ in range(3)] == [0, 0, 4_000]

    play(scene)


def test_a_command_replaces_the_one_before() -> None:
    async def scene(site: SiteSimulator, control: BatteryControl) -> None:
        await control.send(Command(Mode.DISCHARGE, 15_000), REVERT)
        await control.send(Command(Mode.STORE), REVERT)
        assert site.controls == Controls(
            limits_charge=True,
            limits_discharge=True,
            discharge_rate=0,
            revert_seconds=REVERT,
            commanded_seconds=START,
        )

    play(scene)


def test_a_device_that_holds_something_else_afterwards_is_an_error() -> None:
    async def scene(site: SiteSimulator, control: BatteryControl) -> None:
        with pytest.raises(DeviceError, match=r"must hold OutWRte = 0, got 1234"):
            await control.send(Command(Mode.STORE), REVERT)

    play(scene, kind=StuckAt)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault.EXCEPTION, "must"),
        (Fault.NOT_IMPLEMENTED, r"must state WChaMax above 0 W, got None"),
    ],
)
def test_a_faulty_device_is_an_error(fault: Fault, message: str) -> None:
    async def scene(site: SiteSimulator, control: BatteryControl) -> None:
        site.break_(BATTERY, fault)
        with pytest.raises(DeviceError, match=message):
            await control.send(Command(Mode.HOLD), REVERT)
        site.mend(BATTERY)
        await control.send(Command(Mode.HOLD), REVERT)

    play(scene)


def test_a_device_that_is_no_battery_is_an_error() -> None:
    async def scene(site: SiteSimulator, control: BatteryControl) -> None:
        with pytest.raises(DeviceError, match=r"unit 2 must have model 124, got none"):
            await control.send(Command(Mode.HOLD), REVERT)

    play(scene, unit=INVERTER)


def test_a_device_that_is_not_there_is_an_error() -> None:
    async def scene(site: SiteSimulator, control: BatteryControl) -> None:
        await site.stop()
        with pytest.raises(DeviceError, match=r"127.0.0.1:\d+ must accept a connection"):
            await control.send(Command(Mode.HOLD), REVERT)

    play(scene)

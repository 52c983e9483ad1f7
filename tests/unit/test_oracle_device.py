"""What a device's registers tell, and what they cannot tell."""

from __future__ import annotations

import pytest

from energy.errors import DeviceError, ReadingImpossible
from field.modbus import Tcp
from field.storage import stored_of
from field.sunspec import MODELS, Block, registers_from
from oracle.device import Device, SiteDevices, sample_of
from oracle.halfhour import reading_of
from oracle.models import counter_of, shown_by
from oracle.quantity import Shown
from oracle.totals import Counter, Total


def block(number: int, **values: int | None) -> Block:
    return Block(MODELS[number], 40002, tuple(registers_from(number, values)))


def test_a_counter_has_the_width_and_step_of_its_registers():
    assert counter_of(block(203, TotWhImp=5, TotWh_SF=0), "TotWhImp") == Counter(
        5_000, 2**32 * 1000, 1000
    )
    assert counter_of(block(714, DCWhInj=5, DCWH_SF=-1), "DCWhInj") == Counter(
        500, 2**64 * 100, 100
    )


def test_a_counter_without_scale_factor_is_none():
    assert counter_of(block(203, TotWhImp=5), "TotWhImp") is None


def test_a_counter_finer_than_a_milliwatt_hour_is_refused():
    with pytest.raises(DeviceError, match="TotWhImp's scale factor must be at least -3, got -4"):
        counter_of(block(203, TotWhImp=5, TotWh_SF=-4), "TotWhImp")


def test_a_counter_beyond_all_sense_is_refused():
    with pytest.raises(DeviceError, match="DCWhInj must be below 1000000000000000 Wh, got 10000"):
        counter_of(block(714, DCWhInj=10**16, DCWH_SF=0), "DCWhInj")


def test_one_counter_of_nonsense_does_not_take_the_other_with_it():
    shown = shown_by("meter", [block(203, TotWhImp=5, TotWh_SF=0, W=1)])
    assert set(shown.counters) == {"imported", "exported"}
    shown = shown_by("battery", [block(714, DCWhInj=5, DCWH_SF=0), block(713, WHAvail=1, WH_SF=0)])
    assert set(shown.counters) == {"discharged"}
    assert [str(error) for error in shown.errors] == [
        "DCWhAbs must be a value, got 'not implemented'"
    ]
    assert shown.stored_wh == 1


def test_of_two_models_of_a_kind_the_first_counts():
    first, second = block(103, WH=5, WH_SF=0), block(103, WH=9, WH_SF=0)
    assert shown_by("inverter", [first, second]).counters["generated"].value == 5_000


@pytest.mark.parametrize(
    ("capacity", "base", "stored_wh"),
    [
        ({"WHRtg": 44_000, "WHAvail": 21_950, "WH_SF": 0}, {}, 21_950),
        ({"WHRtg": 4_400, "WH_SF": 1, "SoC": 5_000, "Pct_SF": -2}, {}, 22_000),
        ({}, {"WHRtg": 4_400, "WHRtg_SF": 1, "SoC": 25, "SoC_SF": 0}, 11_000),
        ({"WHRtg": 1, "WH_SF": 0}, {"WHRtg": 100, "WHRtg_SF": 0, "SoC": 99, "SoC_SF": 0}, 99),
    ],
)
def test_the_stored_energy_is_the_first_that_is_told(
    capacity: dict[str, int], base: dict[str, int], stored_wh: int
):
    assert stored_of({713: block(713, **capacity), 802: block(802, **base)}) == stored_wh


def test_a_battery_that_tells_no_stored_energy_is_named():
    with pytest.raises(DeviceError, match="must be in model 713 or 802, got 'not implemented'"):
        stored_of({802: block(802)})


def test_more_stored_than_the_rating_is_refused():
    with pytest.raises(DeviceError, match="WHAvail must be at most WHRtg 44000 Wh, got 44001 Wh"):
        stored_of({713: block(713, WHRtg=44_000, WHAvail=44_001, WH_SF=0)})


def test_a_site_has_counters_for_what_is_fitted():
    here = Tcp("127.0.0.1")
    meter, inverter = Device("meter", here, 1, 50_000), Device("inverter", here, 2, 40_000)
    assert SiteDevices((meter,)).ceilings_w == {"meter.imported": 50_000, "meter.exported": 50_000}
    assert SiteDevices((meter, inverter)).ceilings_w["inverter.generated"] == 40_000
    assert set(SiteDevices((meter, Device("battery", here, 3, 15_000))).keys) == {
        "meter.imported",
        "meter.exported",
        "battery.charged",
        "battery.discharged",
        "battery.stored",
    }


@pytest.mark.parametrize("stored_wh", [-5, 2**32, 10**30])
def test_more_or_less_stored_than_a_reading_can_hold_is_nonsense(stored_wh: int):
    battery = Device("battery", Tcp("127.0.0.1"), 3, 15_000)
    sample = sample_of(1800, {battery: Shown(stored_wh=stored_wh)})
    assert sample.stored_wh == {}
    assert [str(each) for each in sample.incidents] == [
        f"battery: stored must be at least 0 Wh and below {2**32} Wh, got {stored_wh} Wh"
    ]


def test_what_all_batteries_store_fits_a_reading_or_there_is_none():
    totals = [Total(0, 2**31 * 1000), Total(3600, 2**31 * 1000)]
    stored = {"one.stored": totals, "other.stored": totals}
    with pytest.raises(
        ReadingImpossible, match="slot 1: stored must be below 4294967296 Wh, got 4294967296"
    ):
        reading_of(1, 0, stored)

"""ECHONET Lite's frames and values, by the specification's examples and at their edges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.errors import DeviceError
from field.echonet import (
    PANEL_METER,
    SMART_METER,
    Frame,
    codes_from,
    frame_from,
    instances_from,
    map_of,
    meter_shown,
    power_settings,
    signed,
    storage_shown,
    unsigned,
)


def test_a_frame_is_that_of_the_specification():
    asked = Frame(1, 0x05FF01, 0x027D01, 0x62, ((0xE4, b""),))
    assert asked.to_bytes().hex() == "1081000105ff01027d016201e400"


@given(
    st.integers(0, 0xFFFF),
    st.lists(st.tuples(st.integers(0x80, 0xFF), st.binary(max_size=20)), max_size=8),
)
def test_a_frame_comes_back_as_it_went(transaction, properties):
    frame = Frame(transaction, 0x05FF01, 0x0EF001, 0x61, tuple(properties))
    assert frame_from(frame.to_bytes()) == frame


@pytest.mark.parametrize(
    "packet",
    ["", "1081000105ff01027d016201e4", "1082000105ff01027d01620100ff", "10810001" + "00" * 9],
)
def test_what_is_no_frame_is_refused(packet):
    with pytest.raises(DeviceError, match="a frame must"):
        frame_from(bytes.fromhex(packet))


@given(st.sets(st.integers(0x80, 0xFF), max_size=60))
def test_a_map_comes_back_as_it_went(codes):
    assert codes_from(map_of(sorted(codes))) == codes


def test_a_map_of_bits_is_that_of_a_battery_on_the_market():
    # 0x9F of a battery as it was recorded; the count leads, then sixteen bytes of bits.
    recorded = bytes.fromhex("17" + "05" * 1 + "00" * 15)
    assert codes_from(recorded) == {0x80, 0xA0}


def test_a_node_lists_its_objects():
    assert instances_from(bytes.fromhex("02027d01028801")) == [0x027D01, 0x028801]


@pytest.mark.parametrize(
    ("value", "whole", "with_sign"),
    [
        ("", None, None),
        ("7ffffffe", 0x7FFFFFFE, None),
        ("7fffffff", 0x7FFFFFFF, None),
        ("80000000", 0x80000000, None),
        ("fffffffe", None, -2),
        ("ffffffff", None, -1),
        ("fffff448", 0xFFFFF448, -3_000),
        ("64", 100, 100),
    ],
)
def test_marks_for_no_data_are_none(value, whole, with_sign):
    properties = {0xD3: bytes.fromhex(value)}
    assert unsigned(properties, 0xD3) == whole
    assert signed(properties, 0xD3) == with_sign


def test_a_meters_unit_coefficient_and_digits_count():
    told = {0xE0: 1234, 0xE3: 5, 0xD3: 20, 0xD7: 6}
    properties = {code: number.to_bytes(4) for code, number in told.items()}
    shown = meter_shown(SMART_METER, properties | {0xE1: b"\x02", 0xE7: b"\0\0\0\x09"})
    assert shown.power_w == 9
    assert shown.imported is not None
    assert shown.imported.value_wh == 1234 * 10 * 20
    assert shown.imported.step_wh == 200
    assert shown.imported.span_wh == 200 * 10**6


@pytest.mark.parametrize(("unit", "wh"), [(0, 1_000), (4, 0.1), (0x0A, 10_000), (0x0D, 10**7)])
def test_a_panel_meter_counts_in_its_unit(unit, wh):
    shown = meter_shown(PANEL_METER, {0xC0: b"\0\0\0\x0a", 0xC2: bytes([unit])})
    assert shown.imported is not None
    assert float(shown.imported.value_wh) == pytest.approx(10 * wh)
    assert shown.exported is None


def test_a_unit_that_there_is_not_is_refused():
    with pytest.raises(DeviceError, match=r"0xE1\) must be one that there is, got 0x09"):
        meter_shown(SMART_METER, {0xE0: b"\0\0\0\1", 0xE1: b"\x09"})


def test_stock_is_taken_from_percent_where_nothing_else_is_told():
    shown = storage_shown({0xD0: (10_000).to_bytes(4), 0xE4: b"\x37"})
    assert (shown.stored_wh, shown.capacity_wh) == (5_500, 10_000)


def test_a_power_that_cannot_be_set_is_refused():
    with pytest.raises(DeviceError, match="0xDA must be one that can be set"):
        power_settings(500, {0xEC})

"""Devices without SunSpec: what a map must say, and what registers then tell."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from daemon.table import Table
from energy.errors import SettingError
from oracle.registermap import RegisterMap, load_map, map_from, shown_by
from oracle.totals import Counter


def table(**changes: Any) -> dict[str, Any]:
    value = {"quantity": "imported", "register": 0x48, "type": "uint32", "unit": "kWh"}
    return {"registers": "holding", "value": [{**value, **changes}]}


def mapped(content: dict[str, Any]) -> RegisterMap:
    return map_from("m", Table("m:", content))


def registers(start: int, packed: bytes) -> dict[int, int]:
    words = [int.from_bytes(packed[at : at + 2]) for at in range(0, len(packed), 2)]
    return dict(enumerate(words, start))


@pytest.mark.parametrize(
    ("name", "held", "imported", "power_w"),
    [
        (
            "float-kwh-meter",
            registers(0x34, struct.pack(">f", -1234.6))
            | registers(0x48, struct.pack(">ff", 1234.5, 0.25)),
            Counter(1_234_500_000, 10**21, 122),
            -1235,
        ),
        (
            "tenth-kwh-meter",
            {0x28: 0xCFC6, 0x29: 0xFFFF, 0x34: 0x0001, 0x35: 0x0002, 0x4E: 5, 0x4F: 0},
            Counter(0x20001 * 100_000, 10**7 * 100_000, 100_000),
            -1235,
        ),
    ],
)
def test_the_bundled_maps_read_their_meters(
    name: str, held: dict[int, int], imported: Counter, power_w: int
):
    shown = shown_by(load_map(name), held.__getitem__)
    assert shown.counters["imported"] == imported
    assert shown.power_w == power_w
    assert shown.errors == ()
    assert set(shown.counters) == {"imported", "exported"}


def test_the_low_word_may_come_first():
    low = {**table(type="uint64", unit="Wh"), "word_order": "low-first"}
    shown = shown_by(mapped(low), registers(0x48, bytes.fromhex("0004000300020001")).get)  # type: ignore[arg-type]
    assert shown.counters["imported"].value == 0x0001_0002_0003_0004 * 1000


def test_what_a_device_calls_absent_is_no_value():
    device = mapped(table(absent=0xFFFF_FFFF))
    shown = shown_by(device, lambda _: 0xFFFF)
    assert shown.counters == {}
    assert [error.kind for error in shown.errors] == ["not-implemented"]  # type: ignore[attr-defined]
    nan = mapped(table(type="float32"))
    shown = shown_by(nan, registers(0x48, struct.pack(">f", float("nan"))).__getitem__)
    assert [str(error) for error in shown.errors] == ["imported must be a value, got NaN"]


def test_a_float_grows_coarse_as_it_grows():
    device = mapped(table(type="float32", unit="Wh"))
    far = shown_by(device, registers(0x48, struct.pack(">f", 2.0**25)).__getitem__)
    assert far.counters["imported"].step == 4_000
    assert Fraction(far.counters["imported"].value) == 2**25 * 1000


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({**table(), "registers": "coils"}, "registers must be one of holding, input, got 'coils'"),
        ({**table(), "regsters": 1}, "regsters must be a setting that there is, got 1"),
        ({"registers": "input"}, "value must be one table or more"),
        (table(quantity="voltage"), "value 1: quantity must be one of .*, got 'voltage'"),
        (table(register=0xFFFF), "value 1: register must be 0 to 65534, got 65535"),
        (table(register=-1), "value 1: register must be 0 to 65534, got -1"),
        (table(type="acc32"), "value 1: type must be one of .*, got 'acc32'"),
        (table(unit="kW"), "value 1: unit must be one of Wh, kWh, MWh, got 'kW'"),
        (table(scale="-1"), "value 1: scale must be a number above 0"),
        (
            table(scale="0.0000001"),
            "scale must make steps of whole milliwatt-hours, got '0.0000001 kWh'",
        ),
        (table(rolls_over_at=2**32), "rolls_over_at must be 1 to 4294967295"),
        (
            {
                "registers": "input",
                "value": [*table()["value"], *table(quantity="exported", register=0x49)["value"]],
            },
            "registers of exported must not overlap those of imported, got 73 and 72",
        ),
        (
            {"registers": "input", "value": [*table()["value"], *table(register=0x60)["value"]]},
            "imported must be there once, got two",
        ),
    ],
)
def test_a_map_that_cannot_be_is_refused_with_file_key_and_value(broken: dict[str, Any], told: str):
    with pytest.raises(SettingError, match=f"^my.toml: ?.*{told}"):
        map_from("my.toml", Table("my.toml:", broken))


def test_a_map_must_tell_what_its_role_must():
    with pytest.raises(
        SettingError, match="quantity of a inverter must be one of generated, power"
    ):
        mapped(table()).check("inverter")
    with pytest.raises(SettingError, match="a battery's map must have stored and a counter"):
        mapped(table(quantity="charged")).check("battery")
    mapped(table()).check("meter")


def test_a_map_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SettingError, match="nowhere.toml must be a readable register map, got: "):
        load_map("nowhere.toml", tmp_path)

"""SunSpec's registers: what they mean, and what they do not."""

from __future__ import annotations

import pytest

from energy.errors import DeviceError, SettingError
from field.sunspec import (
    BASES,
    END,
    MARKER,
    MODELS,
    Block,
    Location,
    block_of,
    discovery,
    raw_of,
    registers_from,
    registers_of,
    scale_of,
    text_of,
    value_of,
    write_of,
)


def block(number: int, address: int = 40000, **values: int | str | None) -> Block:
    registers = registers_from(number, values)
    return block_of(Location(number, address, len(registers) - 2), registers)


def explored(registers: dict[int, list[int]]) -> list[Location]:
    """Discover a device that refuses every address that is not the start of a list."""
    steps = discovery()
    wanted = next(steps)
    while True:
        address, count = wanted
        answer = next(
            (
                words[address - begin :][:count]
                for begin, words in registers.items()
                if begin <= address and address - begin + count <= len(words)
            ),
            None,
        )
        try:
            wanted = steps.send(answer)
        except StopIteration as end:
            return end.value


def test_tables_are_without_gap_or_overlap():
    for model in MODELS.values():
        offset = 2
        for point in model.points.values():
            assert point.offset == offset, (model.number, point.name)
            assert point.scale is None or model.points[point.scale].kind == "sunssf"
            offset += point.registers


def test_tables_have_the_lengths_of_the_standard():
    lengths = {number: model.length for number, model in MODELS.items()}
    assert lengths == {
        1: 66,
        **dict.fromkeys((101, 102, 103), 50),
        **dict.fromkeys((111, 112, 113), 60),
        124: 24,
        **dict.fromkeys((201, 202, 203, 204), 105),
        **dict.fromkeys((211, 212, 213, 214), 124),
        701: 153,
        702: 50,
        704: 57,
        713: 7,
        714: 18,
        802: 62,
    }


def test_a_value_takes_the_scale_factor_read_with_it():
    assert value_of(block(103, W=-123, W_SF=2), "W") == -12_300
    assert value_of(block(103, W=12345, W_SF=-1), "W") == 1235  # rounded half up
    assert value_of(block(103, W=12345, W_SF=-1), "W", digits=1) == 12345


def test_long_values_put_the_higher_word_first():
    energies = block(714, DCWhInj=0x0001_0002_0003_0004, DCWH_SF=0)
    assert energies.registers[7:11] == (1, 2, 3, 4)
    assert raw_of(energies, "DCWhInj") == 0x0001_0002_0003_0004


@pytest.mark.parametrize(
    ("number", "name", "word"),
    [
        (103, "W", 0x8000),
        (713, "SoC", 0xFFFF),
        (103, "St", 0xFFFF),
        (802, "NCyc", 0xFFFF_FFFF),
        (714, "DCWhAbs", 0xFFFF_FFFF_FFFF_FFFF),
        (203, "TotVAhExp", 0),
    ],
)
def test_what_is_not_implemented_is_no_value(number: int, name: str, word: int):
    empty = block(number)
    point = MODELS[number].points[name]
    held = 0
    for register in empty.registers[point.offset : point.offset + point.registers]:
        held = held << 16 | register
    assert held == word
    assert raw_of(empty, name) is None
    assert value_of(empty, name) is None


def test_a_value_whose_scale_factor_is_not_implemented_is_none():
    assert value_of(block(103, W=100, W_SF=None), "W") is None


def test_zero_is_a_count_where_the_accumulator_is_mandatory():
    assert value_of(block(203, TotWhExp=0, TotWh_SF=0), "TotWhExp") == 0


def test_an_impossible_scale_factor_is_refused_with_its_value():
    with pytest.raises(DeviceError, match="103 W_SF must be .* from -10 to 10, got 37"):
        scale_of(block(103, W=1, W_SF=37), "W")


def test_points_beyond_a_shorter_model_are_absent():
    whole = registers_from(713, {"WHAvail": 5, "Pct_SF": -2, "SoC": 100})
    short = block_of(Location(713, 40000, 6), [713, 6, *whole[2:8]])
    assert raw_of(short, "WHAvail") == 5
    assert value_of(short, "SoC") is None


def test_texts_end_at_the_first_zero():
    assert text_of(block(1, Mn="Yui", SN=""), "Mn") == "Yui"
    assert text_of(block(1, Mn="Yui", SN=""), "SN") is None


def test_a_command_is_scaled_as_the_device_scales():
    held = block(124, 40070, InWRte=10000, InOutWRte_SF=-2)
    assert write_of(held, "InWRte", -40) == (40083, [0x10000 - 4000])
    assert write_of(held, "InWRte", 125, digits=1) == (40083, [1250])


def test_a_command_that_does_not_fit_or_may_not_be_written_is_refused():
    held = block(124, 40070, InWRte=10000, InOutWRte_SF=-2, ChaState_SF=0)
    with pytest.raises(SettingError, match="InWRte must fit int16, got 40000"):
        write_of(held, "InWRte", 400)
    with pytest.raises(SettingError, match="124 ChaState must be a point that .* lets write"):
        write_of(held, "ChaState", 50)
    with pytest.raises(SettingError, match="MinRsvPct must fit uint16, got 65535"):
        registers_of(MODELS[124].points["MinRsvPct"], 0xFFFF)


@pytest.mark.parametrize("base", BASES)
def test_models_are_found_at_every_base_and_unknown_ones_are_passed_over(base: int):
    words = [*MARKER, *registers_from(1, {}), 64999, 3, 7, 7, 7, *registers_from(103, {}), END, 0]
    assert explored({base: words}) == [
        Location(1, base + 2, 66),
        Location(64999, base + 70, 3),
        Location(103, base + 75, 50),
    ]


def test_a_device_without_marker_is_refused():
    with pytest.raises(DeviceError, match="must begin with SunS"):
        explored({40000: [1, 2, 3, 4]})


def test_a_chain_that_does_not_end_is_refused():
    with pytest.raises(DeviceError, match="must end with 65535, got no register 40070"):
        explored({40000: [*MARKER, *registers_from(1, {})]})
    with pytest.raises(DeviceError, match="must end within 256 models, got 256"):
        explored({0: [*MARKER] + [1, 0] * 1000})


def test_another_model_at_a_known_place_is_refused():
    with pytest.raises(DeviceError, match="40002 must begin model 103 of length 50, got 203 105"):
        block_of(Location(103, 40002, 50), registers_from(203, {}))

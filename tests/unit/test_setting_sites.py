"""The sites file is read into whole units, and what is wrong in it is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from energy.errors import SettingError
from energy.registry import Ratings, Tariff
from energy.units import slot_from
from orchestrator.setting.series import load_series
from orchestrator.setting.sites import Setting, load_setting

BUNDLED = files("orchestrator.setting").joinpath("sites.toml").read_text()


@pytest.fixture
def setting() -> Setting:
    return load_setting()


@pytest.fixture
def reads(tmp_path):
    """Read the bundled file with some text replaced."""

    def read(*changes: tuple[str, str]) -> Setting:
        text = BUNDLED
        for before, after in changes:
            assert before in text
            text = text.replace(before, after, 1)
        (tmp_path / "sites.toml").write_text(text)
        return load_setting(tmp_path / "sites.toml")

    return read


def test_the_seven_offices_stand_in_their_order(setting):
    assert [site.name for site in setting.sites] == [
        *("Ogawara", "Sendai", "Osaki", "Kurihara", "Tome", "Ishinomaki", "Kesennuma")
    ]
    assert [site.number for site in setting.sites] == list(range(7))
    assert [site.pv_power for site in setting.sites] == [400, 400, 400, 800, 800, 400, 800]


def test_only_kesennuma_has_a_battery(setting):
    *others, kesennuma = setting.sites
    assert all(site.battery is None for site in others)
    assert kesennuma.ratings == Ratings(
        order_energy=50_000,
        import_power=1_000,
        generation_power=800,
        battery_power=150,
        battery_capacity=440,
        battery_efficiency=900,
    )
    assert kesennuma.battery.capacity_wh == 44_000
    assert kesennuma.battery.minimum_wh == 4_400


def test_the_agents_limits_differ_and_lie_between_the_utilitys_prices(setting):
    (tariff,) = set(setting.tariffs)
    assert tariff == Tariff(selling=22_000, buying=8_000, fee=1_000)
    for limits in ([site.ask for site in setting.sites], [site.bid for site in setting.sites]):
        assert len(set(limits)) == 7
        assert all(tariff.buying < limit <= tariff.selling for limit in limits)
    assert setting.sites[4].ask == 9_500


def test_a_contract_power_is_the_years_highest_half_hour_and_a_margin(setting):
    loads = load_series()
    days = [loads.first_day + timedelta(days=number) for number in range(365)]
    for site in setting.sites:
        peak_wh = max(wh for day in days for wh in loads.day(site.load_column, day))
        assert site.contract_power == -(-peak_wh * 2 * 115 // (5_000 * 100)) * 50
        assert site.contract_power <= site.connection_power


def test_the_gate_follows_the_mode(setting):
    ahead = setting.market.rules(first_slot=1_000)
    after = replace(setting.market, mode="after-metering").rules(first_slot=1_000)
    assert ahead.gate_of(1_000) == 1_000 * 1800 - 600
    assert after.gate_of(1_000) == 1_001 * 1800 + 3600 + 1800
    assert (ahead.first_slot, ahead.horizon) == (1_000, 48)


def test_a_first_slot_is_read_as_japan_time(reads, setting):
    named = reads(('# first_slot = "2026', 'first_slot = "2026'))
    assert named.market.first_slot == slot_from("2026-04-01 00:00")
    assert setting.market.first_slot is None


def test_a_band_changes_its_half_hours_only(reads):
    band = '[[tariff.band]]\nfrom = "22:00"\nuntil = "24:00"\nselling_jpy_per_kwh = 18.5\n'
    tariffs = reads(("# The sites, in", f"{band}# The sites, in")).tariffs
    assert set(tariffs[:44]) == {Tariff(22_000, 8_000, 1_000)}
    assert set(tariffs[44:]) == {Tariff(18_500, 8_000, 1_000)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("pv_kw = 40", "pv_kw = -4"), r"site Ogawara, pv_kw must be a number from 0 to 6553.5"),
        (("pv_kw = 40", "pv_kw = 40.25"), "pv_kw must .* in steps of 0.1, got 40.25"),
        (("pv_kw = 40", "pv_kw = nan"), "pv_kw must .* got NaN"),
        (("pv_kw = 40", "pv_kw = true"), "pv_kw must be a number .* got True"),
        (("pv_kw = 40", 'pv_kw = "40"'), "pv_kw must be a number .* got '40'"),
        (("pv_kw = 40", "pv_kw = 80"), "pv_kw must be within connection_kw, got 80"),
        (("pv_kw = 40\n", ""), "site Ogawara, pv_kw must be given"),
        (("pv_kw = 40", "pv_kv = 40\npv_kw = 40"), "pv_kv must be a known key, one of ask_"),
        (("bid_jpy_per_kwh = 20", "bid_jpy_per_kwh = 20.0005"), "bid_.* steps of 0.001, got 20.0"),
        (('name = "Sendai"', 'name = "Osaki"'), "site.name must be of one site only, got 'Osaki'"),
        (('name = "Sendai"', 'name = ""'), "name must be a text, got ''"),
        (('mode = "ahead"', 'mode = "behind"'), "mode must be one of ahead, after-metering, got"),
        (("horizon_slots = 48", "horizon_slots = 0"), "market, horizon_slots .* 1 to 768, whole"),
        (("horizon_slots = 48", "horizon_slots = 4.5"), "horizon_slots must .* whole, got 4.5"),
        (('# first_slot = "2026-04-01 00:00', 'first_slot = "2026-04-01 00:10'), "half hour"),
        (("selling_jpy_per_kwh = 22", "selling_jpy_per_kwh = 9.9"), "two fees, 10, got 9.9"),
        (("minimum_charge_kwh = 4.4", "minimum_charge_kwh = 44"), "battery, minimum.* below"),
        (("round_trip_per_mille = 900", "round_trip_per_mille = 1001"), "from 1 to 1000"),
        (("[market]", "[[market]]"), "market must be a table"),
        (("[market]", "[market"), "must be a TOML file"),
    ],
)
def test_what_is_wrong_is_named_with_its_value(reads, change, message):
    with pytest.raises(SettingError, match=message) as error:
        reads(change)
    assert "sites.toml" in str(error.value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('from = "08:10"\nuntil = "09:00"', "band 1, from must be a time"),
        ('from = "08:00"\nuntil = "24:30"', "until must be a time"),
        ('from = "08:00"\nuntil = "08:00"', "until must be later than `from`"),
        ('from = "08:00"\nuntil = "09:00"\nbuying_jpy_per_kwh = 21', "two fees, 23, got 22"),
        (
            'from = "08:00"\nuntil = "10:00"\n[[tariff.band]]\nfrom = "09:00"\nuntil = "11:00"',
            "band 2, from must not begin within another band",
        ),
    ],
)
def test_an_impossible_band_is_named(reads, lines, message):
    with pytest.raises(SettingError, match=message):
        reads(("# The sites, in", f"[[tariff.band]]\n{lines}\n# The sites, in"))


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(SettingError, match=r"nowhere\.toml must exist"):
        load_setting(Path("nowhere.toml"))


def test_a_file_without_sites_is_refused(tmp_path):
    (tmp_path / "none.toml").write_text(BUNDLED.partition("[[site]]")[0])
    with pytest.raises(SettingError, match="site must be given 1 to 1000 times, got 0"):
        load_setting(tmp_path / "none.toml")

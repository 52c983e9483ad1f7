"""A terminal's settings: what is read, and what is refused by file, key and value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chain.network.folders import create, join, new_member
from energy.errors import SettingError
from field.modbus import Serial, Tcp
from oracle.settings import load_settings
from oracle.template import Place, place_of, settings_text

MARKET = "0x" + "22" * 20
WHOLE = """
[site]
number = 6
[chain]
rpc = "http://127.0.0.1:8545"
market = "0x2222222222222222222222222222222222222222"
chain_id = 31337
[key]
keystore = "oracle.json"
passphrase = "passphrase"
[[device]]
role = "meter"
host = "192.168.1.10"
ceiling_w = 80_000
[[device]]
role = "inverter"
name = "roof"
serial = "/dev/ttyUSB0"
baud = 19_200
parity = "E"
unit = 7
ceiling_w = 60_000
"""


def loaded(folder: Path, text: str):
    path = folder / "oracle.toml"
    path.write_text(text)
    return load_settings(path)


def test_what_is_left_out_has_a_safe_default(tmp_path: Path):
    settings = loaded(tmp_path, WHOLE)
    assert settings.site == 6
    assert settings.chain.market == MARKET
    assert settings.chain.confirmations == 4
    assert settings.outbox == tmp_path / "outbox.sqlite"
    assert (settings.sample_seconds, settings.keep_days, settings.port) == (10, 30, 9464)
    meter, roof = settings.devices.devices
    assert (meter.name, meter.address, meter.unit) == ("meter", Tcp("192.168.1.10", 502), 1)
    assert roof.address == Serial("/dev/ttyUSB0", 19_200, "E", 1)
    assert set(settings.devices.keys) == {"meter.imported", "meter.exported", "roof.generated"}


def test_a_deployments_manifest_may_name_the_market(tmp_path: Path):
    manifest = {"chain_id": 5, "contracts": {"Market": {"address": MARKET}}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    text = WHOLE.replace(f'market = "{MARKET}"', 'manifest = "manifest.json"')
    assert loaded(tmp_path, text.replace("chain_id = 31337\n", "")).chain.chain_id == 5
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(SettingError, match="manifest.json must be a deployment's manifest"):
        loaded(tmp_path, text)


def test_the_members_network_tells_its_chain_and_how_deep_is_final(tmp_path: Path):
    members = [new_member(tmp_path / name, name, port=at) for at, name in enumerate("abc", 1)]
    create(tmp_path / "net", "x", members, 7_001, 1)
    text = WHOLE.replace("chain_id = 31337", 'network = "net/network.json"')
    chain = loaded(tmp_path, text).chain
    assert (chain.chain_id, chain.confirmations) == (7_001, 2)
    with pytest.raises(SettingError, match="confirmations must be given, or network, not both"):
        loaded(tmp_path, text.replace("[key]", "confirmations = 0\n[key]"))


def test_init_takes_chain_depth_node_and_market_from_the_members_network(tmp_path: Path):
    members = [new_member(tmp_path / name, name, port=at) for at, name in enumerate("abc", 1)]
    net = tmp_path / "net"
    create(net, "x", members, 7_001, 1)
    with pytest.raises(SettingError, match="--market must be given"):
        place_of(None, None, None, net)
    manifest = {"chain_id": 7_001, "contracts": {"Market": {"address": MARKET}}}
    (net / "manifest.json").write_text(json.dumps(manifest))
    place = place_of(None, None, None, net)
    assert place == Place("http://127.0.0.1:8545", MARKET, 7_001, net / "network.json")
    chain = loaded(tmp_path, settings_text(0, place, None)).chain
    assert (chain.chain_id, chain.confirmations) == (7_001, 2)
    join(tmp_path / "b", net)
    assert place_of(MARKET, None, None, tmp_path / "b").rpc == members[1].url
    with pytest.raises(SettingError, match="--chain-id must be left out, or be the network's 7001"):
        place_of(MARKET, 5, None, net)
    with pytest.raises(SettingError, match="--chain-id or --network must be given"):
        place_of(MARKET, None, None, None)


def test_what_init_writes_is_read(tmp_path: Path):
    settings = loaded(tmp_path, settings_text(3, Place("http://10.0.0.1:8545", MARKET, 7), None))
    assert settings.site == 3
    assert [device.role for device in settings.devices.devices] == ["meter", "inverter", "battery"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("number = 6", "number = 1000", r"\[site\] number must be 0 to 999, got 1000"),
        ("number = 6", 'number = "6"', r"\[site\] number must be a whole number, got '6'"),
        ("number = 6", "number = true", r"\[site\] number must be a whole number, got True"),
        ("number = 6", "", r"\[site\] number must be there, got None"),
        (
            "number = 6",
            "number = 6\nnubmer = 7",
            r"\[site\] nubmer must be a setting that there is",
        ),
        ("[site]\nnumber = 6", "", r"\[site\] must be there"),
        ("http://", "ftp://", r"\[chain\] rpc must be an address that begins with http://"),
        ("0x2222", "0x22", r"\[chain\] market must be an address .* got '0x22"),
        ("chain_id = 31337", "", r"\[chain\] chain_id must be the number of the chain"),
        ('passphrase = "passphrase"', "", r"\[key\] passphrase must be given, or credential"),
        ('role = "inverter"', 'role = "roof"', "device 2: role must be one of meter, inverter"),
        ('role = "meter"', 'role = "inverter"', "device: a site must have a meter, got none"),
        ('name = "roof"', 'name = "meter"', "device: a device's name must be its own, got 2 of"),
        ("unit = 7", "unit = 248", "device 2: unit must be 1 to 247, got 248"),
        ("unit = 7", "unit = 7\nreversed = true", "device 2: a reversed device must be a meter"),
        ("unit = 7", 'unit = 7\nhost = "x"', "device 2: host must be given, or serial, not both"),
        ("unit = 7", 'unit = 7\nmap = "none.toml"', "device 2: .*none.toml must be a readable"),
        ("unit = 7", 'unit = 7\nmap = "float-kwh-meter"', "quantity of a inverter must be one of"),
        ("unit = 7", "unit = ", "must be a readable settings file, got: "),
    ],
)
def test_what_is_wrong_is_named_by_file_key_and_value(
    tmp_path: Path, old: str, new: str, told: str
):
    with pytest.raises(SettingError, match=f"oracle.toml.*{told}"):
        loaded(tmp_path, WHOLE.replace(old, new))

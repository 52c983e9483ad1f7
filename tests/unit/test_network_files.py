"""A network's files: keys that are never written over, a profile that is checked, a genesis."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.contract import interface
from chain.evm import EvmChain
from chain.network.folders import create, join, member_at, new_member, with_member
from chain.network.genesis import COIN, genesis
from chain.network.keys import key_at, new_key
from chain.network.node import MemberNode
from chain.network.profile import Member, Profile, majority_of, profile_at
from chain.network.units import compose_file, service_unit
from chain.safe import LIBRARY, address_of_safe
from energy.errors import SettingError
from energy.messages import address_of

NAMES = ("ogawara", "sendai", "osaki", "kurihara", "tome", "ishinomaki", "kesennuma")


def members_in(folder: Path, names: tuple[str, ...] = NAMES) -> list[Member]:
    return [
        new_member(folder / "members" / name, name, port=30303 + at)
        for at, name in enumerate(names)
    ]


@pytest.fixture
def network(tmp_path: Path) -> tuple[Path, Profile]:
    folder = tmp_path / "net"
    return folder, create(folder, "miyagi", members_in(folder), 7_001, 5)


def test_seven_members_make_a_block_final_four_deep_and_five_of_them_sign(network):
    folder, profile = network
    assert (profile.depth, profile.threshold) == (4, 5)
    assert json.loads((folder / "network.json").read_text())["depth"] == 4
    assert profile_at(folder) == profile == profile_at(folder / "members" / "tome")
    assert [majority_of(n) for n in range(1, 8)] == [1, 2, 2, 3, 3, 4, 4]


def test_a_member_has_a_folder_of_its_own_that_nobody_else_can_read(network):
    folder, profile = network
    own = folder / "members" / "sendai"
    member = profile.member("sendai")
    assert member_at(own) == member
    assert address_of(key_at(own / "validator.json")) == member.validator
    assert address_of(key_at(own / "council.json")) == member.council
    for secret in ("validator.json", "validator.passphrase", "council.json", "node.key"):
        assert stat.S_IMODE((own / secret).stat().st_mode) == 0o600
    peers = (own / "geth.toml").read_text()
    assert peers.count("enode://") == len(NAMES) - 1
    assert member.enode not in peers
    public = (folder / "network.json").read_text() + (folder / "genesis.json").read_text()
    for passphrase in folder.rglob("*.passphrase"):
        assert passphrase.read_text().strip() not in public


def test_the_genesis_seals_by_the_members_and_funds_them_the_accounts_and_the_council(network):
    folder, profile = network
    first = json.loads((folder / "genesis.json").read_text())
    sealers = sorted(member.validator[2:].lower() for member in profile.members)
    assert first["extraData"] == "0x" + "00" * 32 + "".join(sealers) + "00" * 65
    assert first["config"]["clique"] == {"period": 5, "epoch": 30_000}
    assert first["config"]["londonBlock"] == 0
    assert "shanghaiTime" not in first["config"]
    for address in (*profile.validators, *profile.accounts.values()):
        assert int(first["alloc"][address]["balance"], 16) == 1_000 * COIN
    assert int(first["alloc"][profile.safe]["balance"], 16) == 1_000_000 * COIN
    assert set(profile.accounts) == {"deployer", "relay"}


def test_the_councils_contracts_in_the_genesis_are_what_their_published_code_creates():
    alloc = genesis(1, 1, [], {}, 0)["alloc"]
    for contract in LIBRARY:
        assert alloc[contract.address]["code"] == "0x" + contract.runtime.hex()
    chain = EvmChain(1_600_000_000)
    for contract in LIBRARY:
        address, _ = chain.deploy(interface(contract.name).bytecode)
        assert chain.code_at(address).rstrip(b"\0") == contract.runtime.rstrip(b"\0")
        for slot, value in contract.storage:
            assert chain.storage_at(address, slot) == value
        if not contract.storage:
            assert chain.storage_at(address, 4) == 0


def test_the_councils_address_depends_on_who_sits_in_it_and_not_on_their_order():
    owners = ["0x" + f"{n:040x}" for n in range(1, 8)]
    assert address_of_safe(owners, 5) == address_of_safe(owners[::-1], 5)
    assert address_of_safe(owners, 5) != address_of_safe(owners, 4)
    assert address_of_safe(owners, 5) != address_of_safe(owners[1:], 5)


def test_keys_stay_where_members_made_them(tmp_path):
    made = [
        new_member(tmp_path / "hosts" / name, name, f"10.0.0.{at}", rpc_port=8545)
        for at, name in enumerate(("a", "b", "c"))
    ]
    profile = create(tmp_path / "net", "three", made, 9, 5)
    assert not (tmp_path / "net" / "members").exists()
    own = tmp_path / "hosts" / "b"
    assert join(own, tmp_path / "net") == profile
    assert "@10.0.0.0:30303" in (own / "geth.toml").read_text()
    stranger = tmp_path / "hosts" / "d"
    new_member(stranger, "b", "10.0.0.9")
    with pytest.raises(SettingError, match="member b must be in"):
        join(stranger, tmp_path / "net")


def test_no_key_is_written_over(network):
    folder, _ = network
    with pytest.raises(SettingError, match="must hold no member yet"):
        new_member(folder / "members" / "tome", "tome")
    with pytest.raises(SettingError, match="must not be there yet: a key is never overwritten"):
        new_key(folder / "accounts", "relay")
    with pytest.raises(SettingError, match="must hold no network yet"):
        create(folder, "again", members_in(folder / "x"), 1, 1)


def test_impossible_networks_are_refused(tmp_path):
    three = members_in(tmp_path, ("a", "b", "c"))
    for change, said in (
        ({"members": []}, "must have members"),
        ({"members": [three[0], three[0]]}, "each member's name must be its own"),
        (
            {"members": [three[0], replace(three[1], validator=three[0].validator)]},
            "each member's validator must be its own",
        ),
        (
            {"members": [three[0], replace(three[1], port=three[0].port)]},
            "each member's address must be its own",
        ),
        ({"chain_id": 0}, "a chain id must be from 1"),
        ({"period_seconds": 0}, "a block period must be from 1 to 60 s, got 0 s"),
        ({"threshold": 1}, "the council's threshold must be from 2 to 3, got 1"),
        ({"threshold": 4}, "the council's threshold must be from 2 to 3, got 4"),
    ):
        arguments: dict[str, Any] = {
            **{"members": three, "chain_id": 1, "period_seconds": 1},
            **change,
        }
        with pytest.raises(SettingError, match=said):
            create(tmp_path / "net", "x", **arguments)


def test_a_profile_that_was_tampered_with_is_refused(network):
    folder, profile = network
    values = json.loads((folder / "network.json").read_text())
    for changed, said in (
        ({**values, "depth": 1}, "must state the depth of 7 validators, 4, got 1"),
        ({key: value for key, value in values.items() if key != "safe"}, "must be a network's"),
        ([], "must be a network's profile"),
    ):
        (folder / "network.json").write_text(json.dumps(changed))
        with pytest.raises(SettingError, match=said):
            profile_at(folder)
    with pytest.raises(SettingError, match="a member must be one of ogawara"):
        profile.member("nobody")


def test_a_member_that_moves_or_comes_is_known_by_its_new_place(network):
    _, profile = network
    moved = replace(profile.member("tome"), host="10.0.0.5")
    assert with_member(profile, moved).member("tome").host == "10.0.0.5"
    assert len(with_member(profile, moved).members) == 7
    with pytest.raises(SettingError, match="each member's council key must be its own"):
        with_member(profile, replace(moved, name="other", validator="0x1", node="ab", port=1))


def test_addresses_are_called_by_name(network):
    _, profile = network
    member = profile.members[0]
    assert profile.name_of(member.validator.lower()) == "ogawara"
    assert profile.name_of(member.council) == "ogawara (council)"
    assert profile.name_of(profile.accounts["relay"]) == "relay"
    assert profile.name_of(profile.safe) == "council"
    assert profile.name_of("0x12") == "0x12"


def test_a_keystore_opens_with_its_own_passphrase_only(tmp_path):
    address = new_key(tmp_path, "a")
    new_key(tmp_path, "b")
    assert address_of(key_at(tmp_path / "a.json")) == address
    with pytest.raises(SettingError, match=r"a\.json must open with"):
        key_at(tmp_path / "a.json", tmp_path / "b.passphrase")
    with pytest.raises(SettingError, match="must open with"):
        key_at(tmp_path / "none.json")


def test_a_path_too_long_for_a_socket_is_named(tmp_path):
    folder = tmp_path / ("long" * 20) / "net"
    create(folder, "x", members_in(folder, ("a",)), 1, 1)
    with pytest.raises(SettingError, match="must be at most 90 bytes"):
        MemberNode(folder / "members" / "a")


def test_a_host_is_given_a_service_and_a_compose_file(network):
    folder, profile = network
    unit = service_unit(folder / "members" / "tome")
    assert f"yui network run {folder}/members/tome" in unit
    assert "KillSignal=SIGINT" in unit
    compose = compose_file(profile.member("tome"))
    assert "geth@v1.13.15" in compose
    assert "network_mode: host" in compose

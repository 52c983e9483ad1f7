"""`yui network` and `yui council` without a network that runs: what they make, say and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chain.network.client import cache_folder, geth_program
from chain.network.profile import genesis_hash, profile_at
from energy.errors import ChainError, SettingError
from orchestrator.cli import app


def yui(*arguments: object) -> str:
    words = [str(each) for each in arguments]
    return CliRunner().invoke(app, words, catch_exceptions=False).output


def test_members_make_their_keys_and_one_makes_the_network_without_learning_any(tmp_path):
    for at, name in enumerate(("a", "b", "c")):
        said = yui("network", "member", name, "--folder", tmp_path / name, "--host", f"10.0.0.{at}")
        assert "off line" in said
    files = [word for name in "abc" for word in ("--member-file", tmp_path / name / "member.json")]
    oracle = "0x" + "12" * 20
    network = tmp_path / "net"
    said = yui(
        *("network", "create", "--network", network, *files, "--name", "miyagi"),
        *("--chain-id", 9, "--fund", f"oracle-a={oracle}"),
    )
    assert "chain 9, 3 members, final 2 blocks deep" in said
    profile = profile_at(network)
    assert profile.accounts["oracle-a"].lower() == oracle
    assert not (network / "members").exists()
    said = yui("network", "join", tmp_path / "b", "--network", network)
    assert "2 peers" in said
    assert genesis_hash(network) in said
    assert "ExecStart=" in (tmp_path / "b" / "yui-validator.service").read_text()
    assert "@10.0.0.2:30303" in (tmp_path / "b" / "geth.toml").read_text()
    assert profile.safe in (network / "deploy.env").read_text()


def test_networks_and_councils_speak_japanese(tmp_path):
    ja = ("--language", "ja")
    network, own = tmp_path / "net", tmp_path / "a"
    assert "切り離して保管" in yui("network", "member", "a", "--folder", own, *ja)
    yui("network", "member", "b", "--folder", tmp_path / "b", "--port", 41_100)
    files = [word for name in "ab" for word in ("--member-file", tmp_path / name / "member.json")]
    assert "メンバー2、2ブロックで確定" in yui(
        "network", "create", "--network", network, *files, *ja
    )
    assert "相手ノード1" in yui("network", "join", own, "--network", network, *ja)
    said = yui("network", "status", "--network", own, *ja)
    assert "メンバー" in said
    assert "停止" in said
    yui("network", "member", "c", "--folder", tmp_path / "c", "--port", 41_200)
    said = yui("network", "peer", tmp_path / "c" / "member.json", "--network", network, *ja)
    assert "c(127.0.0.1:41200)を知っている" in said
    assert "検証者2" in yui("network", "refresh", "--network", network, "--from", own, *ja)


def test_who_made_a_network_for_others_renews_the_profile_from_one_of_them(tmp_path):
    network, own = tmp_path / "net", tmp_path / "a"
    for at, name in enumerate("abc"):
        yui("network", "member", name, "--folder", tmp_path / name, "--port", 41_000 + at)
    files = [word for name in "ab" for word in ("--member-file", tmp_path / name / "member.json")]
    yui("network", "create", "--network", network, *files)
    yui("network", "join", own, "--network", network)
    said = yui("network", "peer", tmp_path / "c" / "member.json", "--network", network)
    assert "knows c at 127.0.0.1:41002" in said
    yui("network", "peer", tmp_path / "c" / "member.json", "--network", own)
    profile = profile_at(own)
    profile.with_validators(tuple(each.validator for each in profile.members)).write(own)
    said = yui("network", "refresh", "--network", network, "--from", own)
    assert said == "3 validators, final 2 blocks deep\n"
    assert len(profile_at(network).validators) == 3
    yui("network", "create", "--network", tmp_path / "other", "--members", "x,y")
    with pytest.raises(SettingError, match="--from must be of chain 7001 with council"):
        yui("network", "refresh", "--network", network, "--from", tmp_path / "other")


def test_names_are_by_default_those_of_the_sites(tmp_path):
    yui("network", "create", "--network", tmp_path / "net", "--first-port", 41_000)
    profile = profile_at(tmp_path / "net")
    assert [each.name for each in profile.members][0::6] == ["ogawara", "kesennuma"]
    assert (profile.members[6].port, profile.members[6].rpc_port) == (41_012, 41_013)
    assert profile.period_seconds == 5


def test_a_peer_that_moved_is_known_to_every_node_here(tmp_path):
    network = tmp_path / "net"
    yui("network", "create", "--network", network, "--members", "a,b", "--first-port", 41_000)
    moved = json.loads((network / "members" / "b" / "member.json").read_text())
    (tmp_path / "b.json").write_text(json.dumps({**moved, "host": "10.0.0.7"}))
    said = yui("network", "peer", tmp_path / "b.json", "--network", network)
    assert "a knows b at 10.0.0.7" in said
    assert "@10.0.0.7:" in (network / "members" / "a" / "geth.toml").read_text()


def test_what_is_impossible_is_said_in_a_sentence(tmp_path):
    network = tmp_path / "net"
    with pytest.raises(SettingError, match="--fund must be as oracle-sendai=0x"):
        yui("network", "create", "--network", network, "--members", "a,b", "--fund", "x=5")
    yui("network", "create", "--network", network, "--members", "a,b", "--first-port", 41_000)
    here = ("--network", network)
    for words, error, said in (
        (("network", "vote", *here), SettingError, "one of --add and --remove"),
        (("network", "vote", *here, "--add", "x", "--as", "a"), SettingError, "a member must be"),
        (("network", "vote", *here, "--add", "a", "--as", "z"), SettingError, "voters must be"),
        (("network", "vote", *here, "--add", "a"), ChainError, "a node of .* must run here"),
        (("network", "refresh", *here), ChainError, "a node of .* must run here"),
        (("network", "funds", *here), ChainError, "a node of .* must run here"),
        (("network", "status", "--network", tmp_path), SettingError, "must be a network"),
        (("council", "show", tmp_path / "x", *here), SettingError, "must be a proposal"),
        (("demo", "--network", "moon"), SettingError, "--network must be one of anvil, poa"),
    ):
        with pytest.raises(error, match=said):
            yui(*words)
    shown = json.loads(yui("network", "status", *here, "--json"))
    assert [each["height"] for each in shown] == [None, None]


def test_a_missing_client_is_said_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("YUI_CACHE", str(tmp_path))
    monkeypatch.delenv("YUI_GETH", raising=False)
    assert cache_folder() == tmp_path
    with pytest.raises(ChainError, match=r"geth 1\.13\.15 must be on the PATH .* `make geth`"):
        geth_program()
    with pytest.raises(ChainError, match="with a clock that can be set"):
        geth_program(trial=True)
    other = Path(tmp_path / "geth")
    other.write_text("#!/bin/sh\necho Version: 1.14.0-stable\n")
    other.chmod(0o755)
    monkeypatch.setenv("YUI_GETH", str(other))
    with pytest.raises(ChainError, match=r"must be geth 1\.13\.15, got 1\.14\.0-stable"):
        geth_program()

"""The files by which hosts run a member's node name what is there, and nothing else."""

from __future__ import annotations

import configparser
import itertools
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from chain.network.client import PACKAGE, geth_program
from chain.network.folders import create, new_member
from chain.network.node import MemberNode
from energy.errors import ChainError
from orchestrator.reference import commands

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A member's own folder, as `yui network join` leaves it."""
    folder = tmp_path / "net" / "members" / "tome"
    create(tmp_path / "net", "x", [new_member(folder, "tome", port=41_000)], 7_001, 5)
    return folder


@pytest.fixture
def unit(own: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(own / "yui-validator.service")
    return parser


def test_the_service_runs_the_command_that_runs_a_node(unit, own):
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    assert Path(program).exists()
    assert words == ["network", "run", str(own)]
    dict(commands())["network run"].make_context("run", words[2:])
    assert unit["Service"]["ReadWritePaths"] == str(own)
    assert own.is_dir()


def test_systemd_takes_the_service(own):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze must be on the PATH, and is not")
    done = subprocess.run(
        ["systemd-analyze", "verify", own / "yui-validator.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_compose_file_runs_the_same_command_in_the_folder_beside_it(own):
    (service,) = yaml.safe_load((own / "compose.yaml").read_text())["services"].values()
    program, *words = service["command"]
    assert (program, words) == ("yui", ["network", "run", "/member"])
    assert service["volumes"] == [".:/member"]
    assert service["network_mode"] == "host"
    assert "41000" in (own / "compose.yaml").read_text()
    lines = service["build"]["dockerfile_inline"].splitlines()
    assert f"RUN go install {PACKAGE}" in lines
    (extra,) = [line.split("[")[1].split("]")[0] for line in lines if "/src[" in line]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extra in project["optional-dependencies"]
    assert "yui" in project["scripts"]


def test_every_file_that_the_node_is_started_with_is_there(own):
    command = MemberNode.command
    try:
        words = command(MemberNode(own))
    except ChainError as error:
        pytest.skip(str(error))
    value = dict(itertools.pairwise(words))
    for option in ("--config", "--nodekey", "--password"):
        assert (own / value[option]).exists(), option
    assert value["--port"] == "41000"
    assert '"enode://' not in (own / "geth.toml").read_text(), "a network of one has no peers"


def test_the_client_takes_every_flag_that_it_is_started_with(own):
    try:
        program = geth_program()
    except ChainError as error:
        pytest.skip(str(error))
    told = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    for word in MemberNode(own).command():
        if word.startswith("--"):
            assert word in told, word

"""The systemd units in `deploy/`: their commands are the program's, and none is hardened less."""

from pathlib import Path

import pytest

from orchestrator.reference import commands

UNITS = sorted((Path(__file__).resolve().parents[2] / "deploy").glob("*.service"))
HARDENED = {
    "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes",
    "ProtectKernelModules=yes", "ProtectKernelTunables=yes", "ProtectControlGroups=yes",
    "RestrictNamespaces=yes", "LockPersonality=yes", "CapabilityBoundingSet=", "DynamicUser=yes",
    "SystemCallFilter=@system-service", "UMask=0077", "Restart=always", "DevicePolicy=closed",
}  # fmt: skip


def test_each_service_has_its_unit():
    named = {unit.stem for unit in UNITS}
    assert {"yui-oracle", "yui-orchestrator", "yui-web"} <= named


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_runs_a_command_that_the_program_takes(unit):
    lines = unit.read_text().splitlines()
    (start,) = [line.partition("=")[2] for line in lines if line.startswith("ExecStart=")]
    program, *words = start.split()
    assert program == "/opt/yui/bin/yui"
    known = dict(commands())
    depth = next(n for n in (3, 2, 1) if " ".join(words[:n]) in known)
    name, rest = " ".join(words[:depth]), words[depth:]
    assert known[name].make_context(name, rest)
    for credential in [line for line in lines if line.startswith("LoadCredential=")]:
        assert credential.count(":/etc/yui/") == 1


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_no_unit_may_more_than_it_needs(unit):
    assert set(unit.read_text().splitlines()) >= HARDENED

"""What `yui oracle` loads is what the extra `site` installs, and nothing of a developer's."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, requires

import pytest
from packaging.requirements import Requirement

ALONE = """
import sys
refused = set(sys.argv[1].split(","))

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: (
    None if name.partition(".")[0] in refused else found(name, package)
)
sys.meta_path.insert(0, Refused())
sys.argv = ["yui", *sys.argv[2:]]
from orchestrator.entry import main
main()
"""


def installed_with(extra: str) -> set[str]:
    """The distributions that an extra installs, with all that these ask for."""
    found: set[str] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [("yui", (extra,))]
    while waiting:
        name, extras = waiting.pop()
        for text in requires(name) or ():
            requirement = Requirement(text)
            environments = [{"extra": each} for each in extras] or [{"extra": ""}]
            marker = requirement.marker
            if marker is not None and not any(marker.evaluate(each) for each in environments):
                continue
            try:
                distribution(requirement.name)
            except PackageNotFoundError:
                continue
            if requirement.name not in found:
                found.add(requirement.name)
                waiting.append((requirement.name, tuple(requirement.extras)))
    return found


@pytest.fixture(scope="module")
def others() -> str:
    """The packages here that the extra does not install."""
    names = {normal(name) for name in installed_with("site")} | {"yui"}
    found = {
        top
        for top, distributions in packages_distributions().items()
        if not any(normal(each) in names for each in distributions)
    }
    assert {"brownie", "scipy", "numpy", "pytest"} <= found
    return ",".join(sorted(found))


def normal(name: str) -> str:
    return name.lower().replace("_", "-")


def alone(others: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ALONE, others, *words], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", ["init", "probe", "run", "status", "retry", "correct"])
def test_each_command_of_the_terminal_runs_without_the_operators_packages(
    others: str, command: str
):
    done = alone(others, "oracle", command, "--help")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["init", "check", "run", "let-go", "status", "override"])
def test_each_command_of_the_battery_runs_without_the_operators_packages(others: str, command: str):
    done = alone(others, "vpp", command, "--help")
    assert done.returncode == 0, done.stderr


def test_a_terminal_starts_and_says_what_it_misses(others: str, tmp_path):
    done = alone(others, "oracle", "run", "--settings", str(tmp_path / "none.toml"))
    assert done.returncode == 1
    assert "none.toml must be a readable settings file" in done.stderr


def test_without_the_operators_packages_there_are_the_sites_commands(others: str):
    done = alone(others, "--help")
    assert done.returncode == 0, done.stderr
    assert "simulate" in done.stdout
    assert "statement" not in done.stdout


def test_the_guard_refuses_what_is_not_of_the_extra(others: str):
    asking = ALONE.replace("from orchestrator.entry import main", "import scipy")
    done = subprocess.run(
        [sys.executable, "-c", asking, others], capture_output=True, text=True, check=False
    )
    assert "No module named 'scipy'" in done.stderr

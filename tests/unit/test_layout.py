"""Who may import whom, what an installation needs, and what no file may hold."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    "energy",
    "chain",
    "daemon",
    "field",
    "oracle",
    "vpp",
    "orchestrator",
    "deploy",
    "bench",
    "tests",
)
MAY_IMPORT = {
    "energy": set(),
    "chain": {"energy"},
    "daemon": {"energy"},
    "field": {"energy", "daemon"},
    "oracle": {"energy", "chain", "daemon", "field"},
    "vpp": {"energy", "chain", "daemon", "field"},
    "orchestrator": {"energy", "chain", "daemon", "field", "oracle", "vpp"},
    "deploy": {"energy", "chain", "orchestrator"},
    "bench": {"energy", "chain", "daemon", "field", "oracle", "vpp", "orchestrator"},
    "tests": {"energy", "chain", "daemon", "field", "oracle", "vpp", "orchestrator", "bench"},
}


@cache
def modules() -> dict[str, Path]:
    """Every Python file of the project by module name."""
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for file in files
    }


@cache
def imports(module: str) -> frozenset[str]:
    """The dotted names that a module imports, wherever in it."""
    package = module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(names)


def reached(folders: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """All that folders import, directly or through the project: (module, what it imports)."""
    waiting = [
        module
        for module in modules()
        if any(f"{module}.".startswith(f"{folder}.") for folder in folders)
    ]
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module in seen or module not in modules():
            continue
        seen.add(module)
        parts = module.split(".")
        waiting.extend(".".join(parts[:length]) for length in range(1, len(parts)))
        for name in imports(module):
            yield module, name
            waiting.append(name)


def requirements(*extras: str) -> set[str]:
    """The distributions that an installation with some extras asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    texts = [*project["dependencies"], *(text for extra in extras for text in optional[extra])]
    return {normal(re.split(r"[\[<>=~!; ]", text)[0]) for text in texts}


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def undeclared(folders: tuple[str, ...], declared: set[str]) -> set[str]:
    """The imports of other people's packages that no declared distribution provides."""
    provided = packages_distributions()
    return {
        f"{module} imports {top}"
        for module, name in reached(folders)
        if (top := name.split(".")[0]) in provided and top not in FOLDERS
        if not declared & {normal(distribution) for distribution in provided[top]}
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_what_lies_below_it(folder):
    allowed = MAY_IMPORT[folder] | {folder}
    strays = {
        f"{module} imports {name}"
        for module in modules()
        if module.split(".")[0] == folder
        for name in imports(module)
        if name.split(".")[0] in set(FOLDERS) - allowed
    }
    assert not strays


def test_only_deployment_and_contract_tests_import_brownie():
    users = {
        module
        for module in modules()
        if any(name.split(".")[0] == "brownie" for name in imports(module))
    }
    assert "deploy.deploy" in users
    assert not {user for user in users if not user.startswith(("deploy.", "tests.contracts"))}


def test_a_sites_terminal_needs_only_what_the_site_extra_installs():
    folders = ("energy", "field", "oracle", "vpp.dispatch", "vpp.link")
    assert not undeclared((*folders, "orchestrator.site_commands"), requirements("site"))


def test_the_operators_desk_needs_only_what_the_operator_extra_installs():
    assert not undeclared(("orchestrator", "vpp"), requirements("operator"))


def test_brownie_is_installed_for_development_only():
    assert "eth-brownie" in requirements("development")
    assert "eth-brownie" not in requirements("site", "operator")


def test_an_undeclared_import_would_be_seen():
    assert undeclared(("deploy",), requirements("site", "operator"))


def project_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("git lists no files here")
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def holding(pattern: str, files: list[Path]) -> list[str]:
    """Where files hold a pattern: path, line, what stands there."""
    found = []
    for file in files:
        text = file.read_bytes()
        if b"\0" in text:
            continue
        for number, line in enumerate(text.decode(errors="replace").splitlines(), 1):
            if match := re.search(pattern, line):
                found.append(f"{file.relative_to(ROOT)}:{number}: {match[0]}")
    return found


MACHINE_PATH = r"(?<![\w.~/-])/(?:home|root|Users|work)/\w+"
REGISTRY = r"registry\.npmjs|files\.python" + r"hosted|pypi\.org/simple"


def test_no_file_holds_a_path_of_somebodys_machine():
    files = [file for file in project_files() if file != Path(__file__)]
    assert not holding(MACHINE_PATH, files)


def test_no_file_names_a_package_registry():
    files = [file for file in project_files() if file != Path(__file__)]
    assert not holding(REGISTRY, files)


def test_the_locks_say_what_and_not_from_where():
    locks = [ROOT / "requirements.lock", ROOT / "package-lock.json"]
    assert not holding(r"resolved|index-url|find-links|@ file:|file://", locks)
    assert not holding(r"https?://", locks[:1])


def test_every_locked_python_package_has_its_hashes():
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text())
    packages = [entry for entry in entries if "==" in entry.split("\n")[0]]
    assert len(packages) > 50
    assert not [entry for entry in packages if "--hash=sha256:" not in entry]


def test_every_requirement_is_locked():
    locked = {
        normal(line.split("==")[0])
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if re.match(r"\w[^ ]*==", line)
    }
    assert requirements("site", "operator", "development") <= locked

"""`docs/contracts.md` is what the compiled interfaces say, and they leave nothing unsaid."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def checked(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "deploy/contracts_page.py", "--check"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path) -> Path:
    """A place with the page, its program and the compiled interfaces, to be changed."""
    (tmp_path / "build" / "contracts").mkdir(parents=True)
    for name in (
        *("deploy/contracts_page.py", "docs/contracts.md"),
        *(f"build/contracts/{name}.json" for name in ("IMarket", "IRegistry", "IOrigin")),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    assert checked(tmp_path).returncode == 0
    return tmp_path


def change(root: Path, interface: str, old: str, new: str) -> None:
    """Change what a compiled interface's comments say."""
    path = root / "build" / "contracts" / f"{interface}.json"
    text = path.read_text()
    build = json.loads(text)
    tree = json.dumps(build["ast"])
    assert tree.count(old) == 1
    path.write_text(json.dumps(build | {"ast": json.loads(tree.replace(old, new))}))


def test_the_contracts_page_is_current_and_complete():
    check = checked(ROOT)
    assert check.returncode == 0, check.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "@notice A slot was settled.",
            "@dev A slot was settled.",
            "IMarket.Settled must have a notice, got none\n",
        ),
        (
            "@param bids Indices",
            "@param asks Indices",
            "IMarket.clear must say what `bids` is (@param), got nothing\n",
        ),
        (
            "@notice A slot was settled.",
            "@notice A slot is settled.",
            "docs/contracts.md must be current: run make abi\n",
        ),
    ],
    ids=["no notice", "no word on a parameter", "other words"],
)
def test_what_an_interface_leaves_unsaid_is_named(copy, old, new, message):
    change(copy, "IMarket", old, new)
    check = checked(copy)
    assert check.returncode == 1
    assert check.stderr == message

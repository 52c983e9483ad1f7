"""Schemathesis against `yui web`: every address of the data, asked all that its description allows.

`make openapi-test` gives it an environment of its own in `.yui/`, since brownie pins a hypothesis
that is too old for it, and a replayed day with its audit and a control room's store, so that every
page has something to show. It ends with schemathesis' exit code, or says why there is none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from urllib.request import urlopen

from bench.readers import served
from tests.room import room_of
from tests.web import played

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".yui" / "schemathesis"
PACKAGE = "schemathesis==4.32.5"
EXAMPLES = "100"
ROOM_SITES = 120


def main() -> int:
    """Return 0 if every answer was as described."""
    program = ENVIRONMENT / "bin" / "schemathesis"
    if not program.exists() and not _installed():
        print(f"{PACKAGE} could not be installed: the package registry must be reached once")
        return 1
    with tempfile.TemporaryDirectory(prefix="yui-openapi-") as folder:
        played(Path(folder))
        room = Path(folder) / "room.sqlite"
        room_of(str(room), ROOM_SITES, int(time.time())).dispose()
        with served(Path(folder) / "store.sqlite", "--room", str(room)) as (port, _):
            _look(port)
            command = [str(program), "run", f"http://localhost:{port}/openapi.json"]
            command += ["--checks", "all", "--max-examples", EXAMPLES, "--wait-for-schema", "60"]
            # What it remembers of a run is no concern of the next one.
            return subprocess.run([*command, *sys.argv[1:]], cwd=folder, check=False).returncode


def _look(port: int) -> None:
    """See that no page is empty: what is described is then really sent."""
    for page, wanted in (("fleet", "sites"), ("fleet", "told"), ("audit", "last_audit")):
        with urlopen(f"http://localhost:{port}/{page}.json", timeout=60) as answer:
            if not json.load(answer)[wanted]:
                raise SystemExit(f"/{page}.json must have {wanted} to be looked at, got none")


def _installed() -> bool:
    print(f"{PACKAGE} into {ENVIRONMENT.relative_to(ROOT)} ...", flush=True)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    install = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    options = ["--no-input", "--disable-pip-version-check", PACKAGE]
    return subprocess.run([*install, *options], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())

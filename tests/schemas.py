"""Schemathesis against `yui web`: every address of the data, asked all that its description allows.

`make openapi-test` gives it an environment of its own in `.yui/`, since brownie pins a hypothesis
that is too old for it, and a store of seven sites over two days. It ends with schemathesis' exit
code, or says why there is none.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from bench.desk import fill
from bench.readers import served
from chain.store import opened

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".yui" / "schemathesis"
PACKAGE = "schemathesis==4.32.5"
EXAMPLES = "100"


def main() -> int:
    """Return 0 if every answer was as described."""
    program = ENVIRONMENT / "bin" / "schemathesis"
    if not program.exists() and not _installed():
        print(f"{PACKAGE} could not be installed: the package registry must be reached once")
        return 1
    with tempfile.TemporaryDirectory(prefix="yui-openapi-") as folder:
        path = Path(folder) / "store.sqlite"
        engine = opened(str(path))
        fill(engine, 7, 2)
        engine.dispose()
        with served(path) as (port, _):
            command = [str(program), "run", f"http://localhost:{port}/openapi.json"]
            command += ["--checks", "all", "--max-examples", EXAMPLES, "--wait-for-schema", "60"]
            # What it remembers of a run is no concern of the next one.
            return subprocess.run([*command, *sys.argv[1:]], cwd=folder, check=False).returncode


def _installed() -> bool:
    print(f"{PACKAGE} into {ENVIRONMENT.relative_to(ROOT)} ...", flush=True)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    install = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    options = ["--no-input", "--disable-pip-version-check", PACKAGE]
    return subprocess.run([*install, *options], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())

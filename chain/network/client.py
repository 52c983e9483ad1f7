"""The validators' client: geth 1.13.15, the last that seals Clique, found or built once.

    python -m chain.network.client            build it, if it is not there
    python -m chain.network.client --trial    the same with a clock that can be set

The *trial* build is for tests and demonstrations: geth as it is, on a Go standard library whose
wall clock is moved by the number in the file that `YUI_CLOCK` names (8 bytes, seconds, of the
machine's byte order). A day of half hours then needs no day. Left unset, the clock is the
machine's. It is for no real network.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from energy.errors import ChainError

VERSION = "1.13.15"
PACKAGE = f"github.com/ethereum/go-ethereum/cmd/geth@v{VERSION}"
_CLOCK = """\
package time

import (
	"syscall"
	"unsafe"
)

var clockOffset *int64

func init() {
	path, named := syscall.Getenv("YUI_CLOCK")
	if !named {
		return
	}
	file, err := syscall.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		panic("YUI_CLOCK must name a readable file, got " + path)
	}
	page, err := syscall.Mmap(file, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic("YUI_CLOCK must name a file of 8 bytes, got " + path)
	}
	clockOffset = (*int64)(unsafe.Pointer(&page[0]))
}

func offsetSeconds() int64 {
	if clockOffset == nil {
		return 0
	}
	return *clockOffset
}
"""


def cache_folder() -> Path:
    """Return where built clients are kept: `YUI_CACHE`, or the user's cache folder."""
    named = os.environ.get("YUI_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "yui"


def geth_program(trial: bool = False) -> str:
    """Return the path of the client: `YUI_GETH`, PATH, or what was built before.

    A trial client is taken where no other is, since its clock stands right unless it is set;
    with `trial`, nothing else will do.

    Raises:
        ChainError: if there is none.
    """
    if not trial:
        named = os.environ.get("YUI_GETH") or shutil.which("geth")
        if named:
            _check_version(named)
            return named
    built = [_built(True)] if trial else [_built(False), _built(True)]
    for path in built:
        if path.exists():
            return str(path)
    raise ChainError(
        f"geth {VERSION} must be on the PATH or named by YUI_GETH, or be built once with Go by "
        f"`make geth`, got none{' with a clock that can be set' if trial else ''}"
    )


def build(trial: bool = False) -> Path:
    """Build the client into the cache, unless it is there; return its path.

    Raises:
        ChainError: if there is no Go, or the build fails.
    """
    path = _built(trial)
    if path.exists():
        return path
    go = shutil.which("go")
    if go is None:
        raise ChainError(f"Go must be installed to build geth {VERSION}, got none on the PATH")
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        # New linkers refuse what a dependency of geth refers to, unless they are told not to.
        command = [go, "install", "-trimpath", "-ldflags=-checklinkname=0"]
        if trial:
            command.append(f"-overlay={_clock_overlay(go, Path(folder))}")
        done = subprocess.run(
            [*command, PACKAGE],
            env={**os.environ, "GOBIN": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise ChainError(f"go must build geth {VERSION}, got {last}")
        # Whole or not at all, whoever else builds at the same time.
        (Path(folder) / "geth").replace(path)
    return path


def _built(trial: bool) -> Path:
    return cache_folder() / f"geth-{VERSION}{'-trial' if trial else ''}"


def _check_version(program: str) -> None:
    try:
        said = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise ChainError(f"{program} must be geth {VERSION}, got {error}") from error
    found = re.search(r"^Version: (\S+)", said.stdout, re.MULTILINE)
    if found is None or not found[1].startswith(VERSION):
        raise ChainError(f"{program} must be geth {VERSION}, got {found[1] if found else 'none'}")


def _clock_overlay(go: str, folder: Path) -> Path:
    """Write what the compiler is to take instead of Go's own `time.Now`."""
    root = subprocess.run([go, "env", "GOROOT"], capture_output=True, text=True, check=True)
    package = Path(root.stdout.strip()) / "src" / "time"
    text, count = re.subn(
        r"(?<=\tsec, nsec, mono := )(runtimeNow|now)\(\)\n",
        r"\1()\n\tsec += offsetSeconds()\n",
        (package / "time.go").read_text(),
    )
    if count != 1:
        raise ChainError(f"Go's time.Now must read the clock once, got {count} times")
    (folder / "time.go").write_text(text)
    (folder / "offset.go").write_text(_CLOCK)
    replaced = {
        str(package / "time.go"): str(folder / "time.go"),
        str(package / "yui_offset.go"): str(folder / "offset.go"),
    }
    overlay = folder / "overlay.json"
    overlay.write_text(json.dumps({"Replace": replaced}))
    return overlay


if __name__ == "__main__":
    wants_trial = sys.argv[1:] == ["--trial"]
    if not _built(wants_trial).exists():
        print(f"Building geth {VERSION} into {cache_folder()}, two or three minutes ...")
    try:
        print(build(wants_trial))
    except ChainError as problem:
        sys.exit(str(problem))

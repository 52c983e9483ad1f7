"""Files there whole or not at all: killed writers, two at once, a full disk, who may read."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from chain.files import write_secret, write_whole
from energy.errors import SettingError

PAGE, PAGES = 4096, 256
KILLS = 8

# Writes 1 MiB of one letter after the other, and says after each that it is done.
OVER = """
import itertools, sys
from pathlib import Path
from chain.files import write_whole
for turn in itertools.count():
    write_whole(Path(sys.argv[1]), "abcdefgh"[turn % 8] * int(sys.argv[2]))
    print(turn, flush=True)
"""
ANEW = """
import itertools, sys
from pathlib import Path
from chain.files import write_secret
for turn in itertools.count():
    write_secret(Path(sys.argv[1]) / f"{turn}.key", "k" * int(sys.argv[2]))
    print(turn, flush=True)
"""


class Writer:
    """A process that writes without end, until it is killed."""

    def __init__(self, program: str, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(path), str(PAGE * PAGES)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def turns(self, number: int) -> None:
        """Wait until it has written so often."""
        assert self.process.stdout
        for _ in range(number):
            assert self.process.stdout.readline(), "the writer must not end by itself"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def is_whole(content: str, letters: str = "abcdefgh") -> bool:
    return len(content) == PAGE * PAGES and content[0] in letters and len(set(content)) == 1


def killed(program: str, path: Path, check: Callable[[], None]) -> None:
    """Kill writers at instants that no clock chooses: after some turns and some reads."""
    chance = random.Random(7)
    for run in range(KILLS):
        writer = Writer(program, path / str(run))
        try:
            writer.turns(chance.randrange(1, 6))
            for _ in range(chance.randrange(4)):
                check()
        finally:
            writer.kill()
        check()


def test_whoever_reads_a_file_finds_it_whole_wherever_its_writer_was_killed(tmp_path: Path):
    def check() -> None:
        for file in tmp_path.glob("[0-9]*"):
            assert is_whole(file.read_text()), file

    killed(OVER, tmp_path, check)
    assert len(list(tmp_path.glob("[0-9]*"))) == KILLS


def test_a_key_is_there_whole_or_not_at_all_wherever_its_writer_was_killed(tmp_path: Path):
    seen: set[Path] = set()

    def check() -> None:
        for file in set(tmp_path.glob("*/*.key")) - seen:
            assert is_whole(file.read_text(), "k"), file
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            seen.add(file)

    killed(ANEW, tmp_path, check)
    assert len(seen) >= KILLS


def test_two_who_write_one_file_at_once_do_not_mix(tmp_path: Path):
    path = tmp_path / "plan.json"
    writers = [Writer(OVER, path) for _ in range(2)]
    try:
        for _ in range(20):
            for writer in writers:
                writer.turns(1)
                assert is_whole(path.read_text())
    finally:
        for writer in writers:
            writer.kill()


def test_where_the_disk_refuses_the_old_file_stays_and_no_draft(tmp_path: Path):
    path = tmp_path / "plan.json"
    write_whole(path, "old")
    with (
        patch("os.fsync", side_effect=OSError(28, "No space left on device")),
        pytest.raises(OSError, match="No space left"),
    ):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_is_never_overwritten_and_a_refusal_leaves_nothing(tmp_path: Path):
    path = tmp_path / "made" / "site.key"
    write_secret(path, "first\n")
    with pytest.raises(SettingError, match="must not be there yet: a key is never overwritten"):
        write_secret(path, "second\n")
    assert path.read_text() == "first\n"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(SettingError, match="must be a file that can be written, got"):
        write_secret(path / "below" / "a.key", "third\n")


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_who_may_read_a_file_is_as_asked_whatever_the_umask(tmp_path: Path, mask: int):
    before = os.umask(mask)
    try:
        write_secret(tmp_path / "key", "k")
        write_whole(tmp_path / "key2", "k", mode=0o600)
        write_whole(tmp_path / "plan", "p", mode=0o644)
        write_whole(tmp_path / "table", b"t")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"key": 0o600, "key2": 0o600, "plan": 0o644, "table": 0o666 & ~mask}

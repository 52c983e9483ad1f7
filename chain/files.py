"""Files that are there whole or not at all, whatever ends the program that writes them.

The content goes to a draft beside the file, from there to the disk, and only then gets the file's
name, in one step. Each draft has a name of its own, so that two who write at once do not mix; one
who is killed may leave it behind, as `.NAME.XXXXXXXX.new`, and nobody reads it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from energy.errors import SettingError


def write_whole(path: Path, content: str | bytes, mode: int | None = None) -> None:
    """Write a file: whoever reads finds the old one whole, or the new one.

    Text is written as UTF-8. `mode` says who may read it; without, it is as any new file's.

    Raises:
        OSError: if it cannot be written; the old one stays.
    """
    with _draft(path, content, mode) as draft:
        draft.replace(path)


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read and that was not there before; its folder is made.

    Raises:
        SettingError: if it is there, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _draft(path, text, 0o600) as draft:
            path.hardlink_to(draft)  # unlike a renaming, never takes another's place
            draft.unlink()
        _keep_names(path.parent)
    except FileExistsError as error:
        raise SettingError(f"{path} must not be there yet: a key is never overwritten") from error
    except OSError as error:
        raise SettingError(f"{path} must be a file that can be written, got {error}") from error


@contextmanager
def _draft(path: Path, content: str | bytes, mode: int | None) -> Iterator[Path]:
    """Have the content on disk under a name beside the path, to be given the path's."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(os.open(draft, flags, 0o666 if mode is None else mode), "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)  # whatever the umask
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _keep_names(folder: Path) -> None:
    """Have a folder's names on disk as well: a key whose address is told must outlast the power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

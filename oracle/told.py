"""What a user is told of an error: one line, in English or Japanese."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise

from energy.errors import YuiError
from energy.japanese import in_japanese, told_in_japanese


def wants_japanese(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Return whether a command line asks for Japanese, or else the user's locale.

    >>> wants_japanese(["slots", "--language", "ja"], {}), wants_japanese([], {"LANG": "ja_JP"})
    (True, True)
    >>> wants_japanese(["slots", "--language=en"], {"LANG": "ja_JP.UTF-8"})
    False
    """
    for here, after in pairwise([*arguments, ""]):
        name, _, value = here.partition("=")
        if name == "--language":
            return (value or after) == "ja"
    # The first of them that is set decides, as for any program (POSIX, 8.2).
    locale = next(filter(None, map(environment.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return locale.startswith("ja")


def told(error: YuiError, japanese: bool) -> str:
    """Return an error's line."""
    return told_in_japanese(error) if japanese else str(error)


def of_the_system(error: OSError, japanese: bool) -> str:
    """Say what the system refused, and of which file, if it was one."""
    if error.filename is not None and error.strerror:
        line = f"{os.fsdecode(error.filename)}: {error.strerror}"
    else:
        line = f"{type(error).__name__}: {first_line(error)}"
    return in_japanese(line) if japanese else line


def first_line(error: Exception) -> str:
    """Return the beginning of what an error says."""
    return (str(error).strip() or "no more is known").splitlines()[0][:200]

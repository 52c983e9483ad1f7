"""Why something of another's failed, in a few words for the end of an error's sentence."""

from __future__ import annotations

LONGEST = 200
"""Letters that another program's words may have."""


def reason_of(error: BaseException) -> str:
    """Return what an error of Python's or another program's says, in one line.

    Where the system refused something, however deep below, its own words; a missing key by name.

    >>> reason_of(FileNotFoundError(2, "No such file or directory", "x")), reason_of(KeyError("id"))
    ('No such file or directory', 'no id')
    """
    beneath: BaseException | None = error
    while beneath is not None:
        if isinstance(beneath, OSError) and beneath.strerror:
            return beneath.strerror
        beneath = beneath.__cause__ or beneath.__context__
    if isinstance(error, KeyError):
        return f"no {error.args[0]}"
    return (str(error).strip() or type(error).__name__).splitlines()[0][:LONGEST]

"""What a daemon says of itself: one event a line, fixed words and `key=value`.

Nothing secret is ever given to it.
"""

from __future__ import annotations

import json
import logging
import sys


def said(event: str, **values: object) -> str:
    """Return an event with its values as one line.

    >>> said("reading.sent", slot=1000, remark="two words")
    'reading.sent slot=1000 remark="two words"'
    """
    return " ".join([event, *(f"{key}={_spelled(value)}" for key, value in values.items())])


def _spelled(value: object) -> str:
    text = str(value)
    plain = text and not any(each.isspace() or each in '"=' for each in text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def log_to_stdout(log: logging.Logger) -> None:
    """Write a journal to standard output; under systemd the time is the journal's own."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False

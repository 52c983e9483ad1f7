"""What sites, stores and these pages say in English when something is wrong, in Japanese.

A site's alarm and an error are sentences, kept and sent in English: `<what> must <be so>, got
<value>`. A Japanese page knows them by their pattern. One that it does not know stays as it is.
"""

from __future__ import annotations

import re
from functools import cache
from string import Formatter

from orchestrator.web.told_by_pages import ERRORS, NAMES
from orchestrator.web.told_by_sites import ALARMS

PARTS = "; "
"""Between several sentences of one alarm."""


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((_pattern(english), japanese) for english, japanese in (*ERRORS, *ALARMS))


def _pattern(template: str) -> re.Pattern[str]:
    """Return what matches a template with something in each of its places."""
    parts = []
    for literal, name, _, _ in Formatter().parse(template):
        parts.append(re.escape(literal))
        if name is not None:
            parts.append(f"(?P<{name}>.+?)")
    return re.compile("".join(parts), re.DOTALL)


def in_japanese(text: str) -> str | None:
    """Return an error, or why an alarm was raised, in Japanese; None if it is not known.

    >>> in_japanese("power must be at most 15000 W, got 99000 W")
    '出力は15000 W以下のはずだが99000 W'
    >>> in_japanese("it must answer, silent 90 s; power must be told, got none")
    '90秒間応答なし。出力の値がない'
    >>> in_japanese("whatever else")
    """
    for pattern, japanese in _patterns():
        found = pattern.fullmatch(text)
        if found:
            values = {
                name: NAMES.get(value, value) if name == "name" else _within(value)
                for name, value in found.groupdict().items()
            }
            return japanese.format(**values)
    if PARTS in text:
        each = [in_japanese(part) for part in text.split(PARTS)]
        if all(part is not None for part in each):
            return "。".join(part for part in each if part)
    return None


def _within(value: str) -> str:
    """Return what stands in a place: a sentence of its own, or else a value as it is."""
    return in_japanese(value) or value

"""What an error says, in Japanese.

An error is raised with a sentence in English, at the place that knows what is wrong. Each folder's
`errors.ja.toml` pairs the sentences of that folder with Japanese ones; `{}` stands for a value, and
`{1}` for the second where Japanese has another order. A sentence is known again by its fixed
words, so that it does not matter where it comes from: an error just raised, a refusal that the
chain answered with, a reason that a store, another process or a site at the end of the link kept as
text. A value that is such a sentence itself is put into Japanese as well.
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec

from energy.errors import YuiError, refusals
from energy.language import Language

PACKAGES = ("energy", "chain", "daemon", "field", "oracle", "vpp", "orchestrator")
"""Those that are installed are asked; a site has no orchestrator."""
CATALOGUE = "errors.ja.toml"
LONGEST = 400
"""Letters from which on a value is nobody's sentence, and is not looked into."""


def told_in_japanese(error: YuiError) -> str:
    """Return an error's line in Japanese: what kind it is, then what it says.

    >>> from energy.errors import NotCleared
    >>> told_in_japanese(NotCleared(7))
    '契約が拒否: NotCleared: 注文のあるコマは、精算の前に約定していること (slot=7)'
    """
    return f"{error.kind_ja}: {in_japanese(str(error))}"


def in_japanese(sentence: str) -> str:
    """Return a sentence that an error, a refusal or an alarm says, in Japanese.

    What no catalogue knows stays as it is: a name, a number, another program's words.

    >>> in_japanese("my.toml: port must be 1 to 9, got 12")
    'my.toml: portは1から9までであること(実際: 12)'
    """
    return _best(sentence)[1]


def in_language(language: Language, sentence: str) -> str:
    """Return what an error, a refusal or an alarm says, in a language."""
    return in_japanese(sentence) if language is Language.JAPANESE else sentence


@lru_cache(maxsize=1024)
def _best(sentence: str) -> tuple[int, str]:
    """Return the Japanese by which most letters of a sentence are known, and how many they are."""
    best = (0, 0, sentence)
    for phrase in phrases():
        values = phrase.values_in(sentence)
        if values is None:
            continue
        told = [_best(value) if len(value) < LONGEST else (0, value) for value in values]
        known = phrase.fixed + sum(letters for letters, _ in told)
        if (known, phrase.fixed) > best[:2]:
            best = known, phrase.fixed, phrase.japanese.format(*(value for _, value in told))
    return best[0], best[2]


class Phrase:
    """A sentence in both languages, with `{}` for each value."""

    def __init__(self, english: str, japanese: str) -> None:
        self.english, self.japanese = english, japanese
        parts = english.split("{}")
        self.fixed = sum(map(len, parts))
        """How many letters are no value's."""
        self._parts = parts

    def values_in(self, sentence: str) -> tuple[str, ...] | None:
        """Return the values of a sentence that is this one; None if it is another.

        Each value ends where the words after it first come: if they come in order at all, they do
        so there. Nothing is tried twice, for strangers choose values, such as a page's address.
        """
        if len(self._parts) == 1:
            return () if sentence == self.english else None
        first, *middle, last = self._parts
        at, end = len(first), len(sentence) - len(last)
        if not sentence.startswith(first) or not sentence.endswith(last):
            return None
        values = []
        for part in middle:
            found = sentence.find(part, at, end)
            if found < 0:
                return None
            values.append(sentence[at:found])
            at = found + len(part)
        return (*values, sentence[at:end]) if at <= end else None


@lru_cache(maxsize=1)
def phrases() -> tuple[Phrase, ...]:
    """Return all that is known in both languages; read once, when first something is told."""
    known: dict[str, str] = {}
    for package in PACKAGES:
        known.update(catalogue_of(package))
    for refusal in refusals():
        values = ", ".join(f"{field.name}={{}}" for field in fields(refusal))
        tail = f" ({values})" if values else ""
        name, japanese = refusal.__name__, known[refusal.rule]
        known[f"{name}: {refusal.rule}{tail}"] = f"{name}: {japanese}{tail}"
    return tuple(Phrase(english, japanese) for english, japanese in known.items())


def catalogue_of(package: str) -> dict[str, str]:
    """Return a folder's sentences, the Japanese by the English; none where it is not installed."""
    if find_spec(package) is None:
        return {}
    return tomllib.loads((files(package) / CATALOGUE).read_text(encoding="utf-8"))

"""The two languages of what people read, and phrases in both."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Language(StrEnum):
    """A language of the output."""

    ENGLISH = "en"
    JAPANESE = "ja"


Phrases = Mapping[str, tuple[str, str]]
"""Phrases by word, in English and Japanese."""


def phrase(table: Phrases, language: Language, word: str, **values: object) -> str:
    """Return a phrase of a table in a language, with values filled in.

    >>> phrase({"sites": ("{n} sites", "{n}拠点")}, Language.JAPANESE, "sites", n=7)
    '7拠点'
    """
    english, japanese = table[word]
    return (japanese if language is Language.JAPANESE else english).format(**values)

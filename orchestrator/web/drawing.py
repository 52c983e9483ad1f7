"""The pen: how figures, names and times are written in a language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from energy.japanese import in_language
from orchestrator.web import words
from orchestrator.web.reads import Ref
from orchestrator.words import Language

DASH = "–"


def kwh(wh: int | None, digits: int = 3) -> str:
    """Return energy in kWh as text.

    >>> kwh(12345), kwh(None), kwh(1234567, 1)
    ('12.345', '–', '1,234.6')
    """
    return DASH if wh is None else f"{wh / 1000:,.{digits}f}"


def signed_kwh(wh: int, digits: int = 3) -> str:
    """Return energy in kWh as text, with the sign that people read.

    >>> signed_kwh(2500), signed_kwh(-2500), signed_kwh(0)
    ('+2.500', '−2.500', '0.000')
    """
    return f"{'+' if wh > 0 else '−' if wh < 0 else ''}{kwh(abs(wh), digits)}"


def price(milliyen: int | float | None) -> str:
    """Return a price in JPY/kWh as text.

    >>> price(14500), price(None)
    ('14.50', '–')
    """
    return DASH if milliyen is None else f"{milliyen / 1000:,.2f}"


def yen(microyen: int, digits: int = 2) -> str:
    """Return money in JPY as text, with the sign that people read.

    >>> yen(-12345678), yen(0), yen(-1, 0)
    ('−12.35', '0.00', '0')
    """
    text = f"{abs(microyen) / 1e6:,.{digits}f}"
    return f"−{text}" if microyen < 0 and text.strip("0,.") else text


def percent(part: float | None) -> str:
    """Return a part of one as per cent.

    >>> percent(0.4185), percent(None)
    ('41.9 %', '–')
    """
    return DASH if part is None else f"{part * 100:.1f} %"


def clock(moment: str) -> str:
    """Return the hour of an ISO time.

    >>> clock("2019-06-04T09:20:00+09:00")
    '09:20'
    """
    return f"{datetime.fromisoformat(moment):%H:%M}"


@dataclass(frozen=True)
class Pen:
    """Draws in a language."""

    language: Language
    environment: Environment

    def say(self, word: str, **values: object) -> str:
        """Return a phrase."""
        return words.say(self.language, word, **values)

    def knows(self, word: str) -> bool:
        """Return whether there is a phrase."""
        return words.knows(word)

    def name(self, ref: Ref) -> str:
        """Return an office's name, short."""
        return words.name_of(self.language, ref)

    def full_name(self, ref: Ref) -> str:
        """Return an office's name."""
        return ref.ja if self.language is Language.JAPANESE else ref.en

    def when(self, slot: int) -> str:
        """Return a slot's day and half hour."""
        return words.say_when(self.language, slot)

    def explained(self, text: str) -> str | Markup:
        """Return an error, or why an alarm was raised."""
        return self.foreign(in_language(self.language, text))

    def foreign(self, text: str) -> str | Markup:
        """Return a text marked as of the language that its letters are of, where a page is not."""
        is_japanese = any(ord(letter) > 0x2E7F for letter in text)
        written = Language.JAPANESE if is_japanese else Language.ENGLISH
        if written is self.language or not any(letter.isalpha() for letter in text):
            return text
        return Markup('<span lang="{}">{}</span>').format(written, text)

    def words(self) -> dict[str, Any]:
        """Return what every template may say."""
        return {
            "say": self.say,
            "name": self.name,
            "full_name": self.full_name,
            "explained": self.explained,
            "say_day": lambda slot: self.when(slot).rsplit(" ", 1)[0],
            "kwh": kwh,
            "price": price,
            "yen": yen,
            "percent": percent,
            "clock": clock,
        }

"""TOML tables whose keys are taken one by one, each error naming file, key, value and limit."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from energy.errors import SettingError


def load_table(path: Path, what: str) -> Table:
    """Read a TOML file.

    Raises:
        SettingError: if it cannot be read or is no TOML.
    """
    try:
        return Table(f"{path}:", tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SettingError(f"{path} must be a readable {what}, got: {error}") from error


Kind = TypeVar("Kind")
_MISSING = object()
_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


class Table:
    """A table of a settings file, whose keys are taken one by one."""

    def __init__(self, where: str, content: Any) -> None:
        self.where = where
        if not isinstance(content, Mapping):
            raise SettingError(f"{where} must be a table, got {content!r}")
        self._content = dict(content)

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def names(self) -> list[str]:
        """Return the keys that have not been taken."""
        return list(self._content)

    def error(self, key: str, expected: str, got: object) -> SettingError:
        """Return the error that a key must be something else."""
        return SettingError(f"{self.where} {key} must {expected}, got {got!r}")

    def take(self, key: str, kind: type[Kind], default: Any = _MISSING) -> Kind:
        """Take a key's value; the default, if there is one, where it is missing."""
        held = self._content.pop(key, default)
        if held is _MISSING:
            raise self.error(key, "be there", None)
        if not isinstance(held, kind) or (isinstance(held, bool) and kind is not bool):
            raise self.error(key, f"be {_NAMES.get(kind, 'tables ([[...]])')}", held)
        return held

    def part(self, key: str, default: Any = _MISSING) -> Table:
        """Take a table within this one."""
        held = self._content.pop(key, default)
        if held is _MISSING:
            raise self.error(f"[{key}]", "be there", None)
        return Table(f"{self.where} [{key}]", held)

    def whole(self, key: str, least: int, most: int, default: Any = _MISSING) -> int:
        """Take a whole number within limits."""
        held = self.take(key, int, default)
        if not least <= held <= most:
            raise self.error(key, f"be {least} to {most}", held)
        return held

    def whole_or_none(self, key: str, least: int, most: int) -> int | None:
        """Take a whole number within limits, None where it is missing."""
        return self.whole(key, least, most) if key in self._content else None

    def tables(self, key: str) -> list[Table]:
        """Take the tables of an array, of which there must be one; each knows its place."""
        held = self.take(key, list, [])
        if not held:
            raise self.error(key, "be one table or more ([[...]])", None)
        return [Table(f"{self.where} {key} {at}:", entry) for at, entry in enumerate(held, 1)]

    def number(self, key: str, least: float, most: float, default: float) -> float:
        """Take a number within limits."""
        held = float(self.take(key, (int, float), default))  # type: ignore[arg-type]
        if not least <= held <= most:
            raise self.error(key, f"be {least} to {most}", held)
        return held

    def text(self, key: str, default: Any = _MISSING) -> str:
        """Take a text."""
        return self.take(key, str, default)

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a list of texts, empty where it is missing."""
        held = self.take(key, list, [])
        if not all(isinstance(each, str) for each in held):
            raise self.error(key, "be a list of texts", held)
        return tuple(held)

    def flag(self, key: str, default: bool = False) -> bool:
        """Take true or false, false where it is missing and nothing else is said."""
        return self.take(key, bool, default)

    def one_of(self, key: str, allowed: Sequence[str], default: Any = _MISSING) -> Any:
        """Take one of some texts."""
        held = self.text(key, default)
        if held not in allowed:
            raise self.error(key, f"be one of {', '.join(allowed)}", held)
        return held

    def refuse_unknown(self) -> None:
        """Refuse what has not been taken: a key that is misspelt is not passed over."""
        for key, held in self._content.items():
            raise self.error(key, "be a setting that there is", held)

"""What is wrong now, by name: told in the journal when it begins and when it is over."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from daemon.journal import said

log = logging.getLogger("yui.dispatch")
# Only a daemon has a journal; a check tells what it found.
log.addHandler(logging.NullHandler())


class Alarms:
    """The alarms that are on, each with why."""

    def __init__(self) -> None:
        self._on: dict[str, str] = {}

    def set(self, name: str, why: str) -> None:
        """Let an alarm be on for a reason, or off for none."""
        if why and name not in self._on:
            log.warning(said("alarm", of=name, why=why))
        elif not why and name in self._on:
            log.info(said("alarm.over", of=name))
        if why:
            self._on[name] = why
        else:
            self._on.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        """Their names, in order."""
        return iter(sorted(self._on))

    def __len__(self) -> int:
        return len(self._on)

    @property
    def texts(self) -> tuple[str, ...]:
        """Each as a report carries it: its name, then why."""
        return tuple(f"{name}: {self._on[name]}" for name in self)

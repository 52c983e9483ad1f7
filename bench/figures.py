"""A measured figure and the bar that it is held against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, in a unit; `bar` is the most that it may be, None if there is none."""

    name: str
    value: float
    unit: str
    bar: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the bar holds; None without one."""
        return None if self.bar is None else self.value <= self.bar

"""What calls need of the control room that carries them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from vpp.commands import Answer, Instruction, Report

Planned = Callable[[int, int], int | None]
"""What leaves a site's battery by its plan in a slot, Wh: of (site, slot); None if not planned."""


class Room(Protocol):
    """The sites, by whatever link."""

    async def send(self, instructions: Sequence[Instruction]) -> list[Answer]:
        """Give instructions to sites; return the answers of those that answered in time."""
        ...

    def states(self) -> list[Report]:
        """Return the last that is known of each site."""
        ...


def unplanned(site: int, slot: int) -> int | None:
    """Return that nothing is planned."""
    return None

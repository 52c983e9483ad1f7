"""Commands of the pages' operators, carried to the sites by the fleet's own link.

The process then holds the control room's signing key: `yui web --fleet` says so. It holds no
member's key.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.web.commanding import Answered, Command
from vpp.link.folders import room_at
from vpp.room.room import Room
from vpp.room.store import opened

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 10.0
ENDLESS_SECONDS = 60
"""What an instruction without an end says of its end: nobody asks."""


class Carrier:
    """The `Commander` of a fleet's folder.

    Raises:
        SettingError: if there is no fleet, or its key does not open.
    """

    def __init__(self, folder: Path) -> None:
        self._place = room_at(folder)
        self._key = self._place.key()

    async def give(self, sites: Sequence[int], command: Command, by: str) -> list[Answered]:
        """Sign and send a command; what is not answered in time stays open in the room.

        Raises:
            LinkError: if the broker cannot be reached.
            StoreError: if the room's store takes nothing, and it is no stop.
        """
        engine = opened(str(self._place.store))
        try:
            async with Room(self._place, engine, self._key).at_work(CONNECT_SECONDS) as room:
                told = [
                    room.instruction(
                        site,
                        command.action,
                        lasts=command.seconds or ENDLESS_SECONDS,
                        power_w=command.power_w,
                    )
                    for site in sites
                ]
                answers = await room.send(told, by, command.why, patience=ANSWER_SECONDS)
        finally:
            engine.dispose()
        return [
            Answered(
                each.instruction.site,
                each.outcome.value,
                each.answer.refused if each.answer else "",
            )
            for each in answers
        ]

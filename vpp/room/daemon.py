"""The control room as a service: it keeps watch, and does whatever duties it is given beside."""

from __future__ import annotations

import asyncio
import fcntl
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from daemon.told import until_told
from energy.errors import SettingError
from vpp.link.folders import room_at
from vpp.room.room import Room
from vpp.room.store import LOST_SECONDS, opened

log = logging.getLogger("yui.room")
Duty = Callable[[Room], Awaitable[None]]
"""Something that a room does until it is cancelled, beside keeping watch."""


async def keep_room(
    folder: Path,
    store: str | None = None,
    duties: Sequence[Duty] = (),
    lost_seconds: float = LOST_SECONDS,
) -> None:
    """Keep the control room of a fleet's folder until SIGINT or SIGTERM.

    Raises:
        SettingError: if there is no fleet, or another room keeps watch over it.
        StoreError: if the store does not open.
    """
    place = room_at(folder)
    key = place.key()
    with _only_one(folder / "room" / "watch.lock"):
        engine = opened(store or str(place.store))
        try:
            room = Room(place, engine, key, watch=True, lost_seconds=lost_seconds)
            await _until_told(room, (Room.run, *duties))
        finally:
            engine.dispose()


async def _until_told(room: Room, duties: Sequence[Duty]) -> None:
    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for duty in duties:
                group.create_task(_done(duty, room))

    await until_told(all_of_them(), log)


async def _done(duty: Duty, room: Room) -> None:
    await duty(room)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingError(
                f"one room at a time must keep watch, got another that holds {path}"
            ) from None
        yield

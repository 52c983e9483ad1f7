"""Running until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any

from daemon.health import notify
from daemon.journal import said


async def until_told(work: Coroutine[Any, Any, None], log: logging.Logger) -> None:
    """Do something until the process is told to end; it then ends by being cancelled.

    Raises:
        YuiError: the first that ended a duty, of however many at once.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info(said("stopped"))
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    finally:
        notify("STOPPING=1")

"""How often somebody may ask for what takes long to make: so many at once, then one at a time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from math import ceil

MOST_KNOWN = 10_000


class Pace:
    """A bucket for each one who asks: it holds `at_once`, and one more comes in `seconds`.

    It is kept in memory: who waits for a restart has waited long enough.
    """

    def __init__(
        self, at_once: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._at_once, self._seconds, self._clock = at_once, seconds, clock
        self._free_at: OrderedDict[str, float] = OrderedDict()
        """When each one's bucket will be full again."""

    def wait(self, who: str) -> int:
        """Count a request; return how many seconds it has to wait, 0 if it may go on.

        One that has to wait is not counted.
        """
        now = self._clock()
        full_at = max(self._free_at.get(who, now), now) + self._seconds
        beyond = full_at - now - self._at_once * self._seconds
        if beyond > 1e-9:
            return ceil(beyond)
        self._free_at[who] = full_at
        self._free_at.move_to_end(who)
        while len(self._free_at) > MOST_KNOWN:
            self._free_at.popitem(last=False)
        return 0

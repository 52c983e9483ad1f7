"""The site's clock against the chain's: how far apart they may be.

The newest block's time tells one side at once: no honest validator dates a block ahead, so a
clock behind it is slow. A clock ahead of it may only mean that no block came for a while; it
is judged by a block that has just come.

Units: seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

WARN_SECONDS = 10
REFUSE_SECONDS = 60
"""A terminal whose clock is off by more signs nothing."""


@dataclass
class ClockWatch:
    """What is known of the drift, from blocks as they come.

    `drift_seconds` is above zero where the site's clock is ahead, None before it is known.
    """

    drift_seconds: int | None = None
    _block: int | None = field(default=None, repr=False)
    _asked_seconds: int = field(default=0, repr=False)

    def observe(self, now_seconds: int, block: int, block_seconds: int) -> None:
        """Take in the newest block at a moment of the site's clock.

        >>> watch = ClockWatch()
        >>> watch.observe(1000, 7, 1012)    # a block from the future: the clock is slow
        >>> watch.drift_seconds
        -12
        >>> watch.observe(1015, 7, 1012)    # no new block: nothing is known of being ahead
        >>> watch.drift_seconds
        0
        >>> watch.observe(1120, 8, 1022)    # it came within the last 105 s
        >>> watch.drift_seconds
        0
        >>> watch.observe(1130, 9, 1029)    # it came within the last 10 s
        >>> watch.drift_seconds
        91
        """
        ahead = now_seconds - block_seconds
        if ahead <= 0:
            self.drift_seconds = ahead
        elif self._block is None:
            self.drift_seconds = self.drift_seconds or 0
        elif block != self._block:
            since_asked = max(now_seconds - self._asked_seconds, 0)
            self.drift_seconds = max(ahead - since_asked, 0)
        elif self.drift_seconds is None or self.drift_seconds < 0:
            self.drift_seconds = 0
        self._block, self._asked_seconds = block, now_seconds

    @property
    def warns(self) -> bool:
        """Whether the drift is worth a warning."""
        return abs(self.drift_seconds or 0) > WARN_SECONDS

    @property
    def refuses(self) -> bool:
        """Whether nothing may be signed."""
        return abs(self.drift_seconds or 0) > REFUSE_SECONDS

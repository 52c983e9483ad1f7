"""Who is looking at a page, and what they may see."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who reads. With `hides_load`, no office's own meter readings are shown."""

    hides_load: bool = False

    def sees_load_of(self, site: int) -> bool:
        """Return whether the load of a site, half hour by half hour, may be shown."""
        return not self.hides_load

"""Who is looking at a page, and what that one may see and do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a user is."""

    MEMBER = "member"
    """An office's energy manager: sees the office's own load in detail."""
    OPERATOR = "operator"
    """Runs the desk: sees all, and commands batteries."""
    AUDITOR = "auditor"
    """Sees all, and changes nothing."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """A user, or somebody who is not logged in (`name` None).

    `own_detail_only`: load detail is for an office itself, operators and auditors.
    """

    name: str | None = None
    role: Role | None = None
    site: int | None = None
    own_detail_only: bool = False

    def sees_load_of(self, site: int) -> bool:
        """Return whether the load of a site, half hour by half hour, may be shown."""
        if not self.own_detail_only or self.role in (Role.OPERATOR, Role.AUDITOR):
            return True
        return self.role is Role.MEMBER and self.site == site

    @property
    def may_command(self) -> bool:
        """Whether batteries may be commanded."""
        return self.role is Role.OPERATOR

"""Who is looking at a page, and what they may see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

FEWEST_HIDDEN = 3
"""A sum over fewer offices than these whose load is hidden would tell the load of one."""


class Role(StrEnum):
    """What a user is."""

    MEMBER = "member"
    """An office's energy manager."""
    OPERATOR = "operator"
    AUDITOR = "auditor"


class Others(StrEnum):
    """What members, and readers without a log-in, see of offices that are not theirs."""

    TRADES = "trades"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who reads: `role` is None without a log-in, `site` is a member's own office."""

    role: Role | None = None
    site: int | None = None
    others: Others = Others.ALL

    @property
    def sees_everything(self) -> bool:
        """Whether nothing is kept from who looks."""
        return self.others is Others.ALL or self.role in (Role.OPERATOR, Role.AUDITOR)

    def sees_load_of(self, site: int) -> bool:
        """Return whether a site's meter readings may be shown, and what follows from them.

        That is also the origin of what it used, and its account, as bought and sold are known.
        """
        return self.sees_everything or (self.role is Role.MEMBER and site == self.site)

    def sees_sum_of(self, sites: Collection[int]) -> bool:
        """Return whether a sum over sites' readings may be shown: it must tell of no hidden one."""
        hidden = sum(not self.sees_load_of(site) for site in sites)
        return hidden == 0 or hidden >= FEWEST_HIDDEN

    @property
    def may_command(self) -> bool:
        """Whether what they ask for may move a battery."""
        return self.role is Role.OPERATOR

    @property
    def sees_log_ins(self) -> bool:
        """Whether everyone's log-ins may be shown, beside their own."""
        return self.role in (Role.OPERATOR, Role.AUDITOR)

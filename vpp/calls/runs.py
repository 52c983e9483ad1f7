"""A site's shares of a call in the order of time, and what of them the site must know now.

Units: W; time in unix seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vpp.calls.call import Step
from vpp.calls.kept import Share, Told


@dataclass(frozen=True, slots=True)
class Run:
    """A time for which a share stays the same."""

    starts_at: int
    ends_at: int
    power_w: int

    def is_told(self, told: Told, call: str, now: int) -> bool:
        """Whether an instruction that a site holds says the same."""
        return (
            told.call == call
            and told.power_w == self.power_w
            and told.ends_at == self.ends_at
            and told.starts_at <= max(self.starts_at, now)
        )


def run_at(shares: Sequence[Share], now: int) -> Run | None:
    """Return the run that holds at a moment, or else the next one; None if nothing comes.

    A site holds one instruction of a call at a time: it is told of a run when the one before is
    over.
    """
    runs: list[Run] = []
    for share in sorted(shares, key=lambda each: each.starts_at):
        if runs and (runs[-1].ends_at, runs[-1].power_w) == (share.starts_at, share.power_w):
            runs[-1] = Run(runs[-1].starts_at, share.ends_at, share.power_w)
        else:
            runs.append(Run(share.starts_at, share.ends_at, share.power_w))
    return next((run for run in runs if run.ends_at > now and run.power_w), None)


def shares_of(
    shares: Sequence[Share], steps: Sequence[Step], sign: int
) -> dict[int, tuple[int, ...]]:
    """Return what each site gives in some steps by its shares of a sign, without the sign."""
    found: dict[int, list[int]] = {}
    for number, step in enumerate(steps):
        for share in shares:
            meets = share.starts_at < step.ends_at and step.starts_at < share.ends_at
            if meets and share.power_w * sign > 0:
                found.setdefault(share.site, [0] * len(steps))[number] = abs(share.power_w)
    return {site: tuple(powers) for site, powers in found.items()}

"""Which sites serve which call: live calls one after the other, by rank.

A site serves one call at a time. A call of the opposite direction that stands behind another rests
as long as both last: whoever has the higher rank is served, nothing is netted.

Units: W; time in unix seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from vpp.calls.call import Call, Step
from vpp.calls.kept import Share
from vpp.calls.reserve import Caution, headroom
from vpp.calls.room import Planned
from vpp.calls.runs import shares_of
from vpp.calls.split import Candidate, split
from vpp.commands import Report


@dataclass(frozen=True)
class Allotment:
    """What of a call each site is to give from now on, and what is missing at most, W."""

    shares: tuple[Share, ...]
    missing_w: int

    @property
    def sites(self) -> frozenset[int]:
        """The sites that serve."""
        return frozenset(share.site for share in self.shares)


@dataclass(frozen=True)
class Known:
    """What an allotment goes by: how the sites stand, what is planned, what they give already.

    `excluded` sites are asked for nothing. Sites that give less than they are asked for are counted
    at what they give, W (`counted`). `gives` is what of a site's power belongs to a call now.
    """

    now: int
    reports: Sequence[Report]
    planned: Planned
    caution: Caution
    excluded: Collection[int] = ()
    counted: Mapping[int, int] = field(default_factory=dict)
    gives: Mapping[int, int] = field(default_factory=dict)


def steps_left(call: Call, before: Sequence[Call], now: int) -> list[Step]:
    """Return what is left of a call, less the times of calls before it that go the other way."""
    steps = list(call.steps_from(now))
    for other in before:
        if other.direction is call.direction:
            continue
        cut = []
        for step in steps:
            for start, end in (
                (step.starts_at, min(step.ends_at, other.starts_at)),
                (max(step.starts_at, other.ends_at), step.ends_at),
            ):
                if start < end:
                    cut.append(Step(start, end, step.power_w))
        steps = cut
    return steps


def overlap(call: Call, other: Call) -> bool:
    """Return whether two calls share some time."""
    return other.starts_at < call.ends_at and call.starts_at < other.ends_at


def busy_sites(call: Call, taken: Sequence[Share], now: int) -> frozenset[int]:
    """Return the sites that other calls hold while a call lasts."""
    start = max(now, call.starts_at)
    return frozenset(
        each.site for each in taken if each.ends_at > start and each.starts_at < call.ends_at
    )


def allotted(
    call: Call,
    steps: Sequence[Step],
    known: Known,
    current: Sequence[Share],
    busy: Collection[int],
    costs: Mapping[int, float],
    wanted: Mapping[int, tuple[int, ...]],
) -> Allotment:
    """Return who gives what of a call in the steps that are left of it.

    Sites keep what they give (`current`); where none does, what the fleet's plan has `wanted` of
    them comes first. The rest goes by `costs`.
    """
    sign = call.direction.sign
    given = shares_of(current, steps, sign)
    if not any(any(powers) for powers in given.values()):
        given = dict(wanted)
    candidates = []
    for report in known.reports:
        if report.site in busy or report.site in known.excluded:
            continue
        room = headroom(
            report,
            call.direction,
            steps,
            known.now,
            known.planned,
            known.caution,
            known.gives.get(report.site, 0),
        )
        candidates.append(
            Candidate(
                report.site,
                room,
                costs.get(report.site, 0.0),
                given.get(report.site, ()),
                known.counted.get(report.site),
            )
        )
    found = split(steps, candidates)
    shares = tuple(
        Share(site, step.starts_at, step.ends_at, sign * power)
        for site, powers in sorted(found.shares.items())
        for step, power in zip(steps, powers, strict=True)
        if power
    )
    return Allotment(shares, max(found.missing_w, default=0))

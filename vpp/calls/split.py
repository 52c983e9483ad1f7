"""A call split over sites: the cheapest first, each as evenly as it can.

What sites give already, or what the fleet's plan wants of them, is kept as far as they still can.
For the rest they stand on each other in the order of what a kWh from them costs, each up to the
power that it can give all the time: so all but the last ones hold one power throughout, and need
one instruction. What is then missing is taken from power that sites have for a part of the time.

Units: W, Wh, JPY/kWh.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vpp.calls.call import Call, Direction, Step
from vpp.calls.reserve import Headroom
from vpp.commands import Report

Costs = Callable[[Call, Sequence[Step], Sequence[Report]], Mapping[int, float]]
"""What one kWh more from each site costs in a call's steps, JPY; only the order counts."""
LEAST_W = 50
"""A share below this is not worth an instruction."""


@dataclass(frozen=True)
class Candidate:
    """A site that may take part. `wanted` is what it gives the call already, or what the fleet's
    plan would have it give, W by step. One that gives less than it is asked for is asked on, and
    `counts` at that, W."""

    site: int
    headroom: Headroom
    cost: float
    wanted: tuple[int, ...] = ()
    counts: int | None = None


@dataclass(frozen=True)
class Split:
    """Each site's power by step, and what no site could give."""

    shares: Mapping[int, tuple[int, ...]]
    missing_w: tuple[int, ...]


def split(steps: Sequence[Step], candidates: Sequence[Candidate]) -> Split:
    """Return who gives how much in each step: first what is wanted, then the cheapest."""
    order = sorted(candidates, key=lambda each: (each.cost, each.site))
    missing = [step.power_w for step in steps]
    shares = {each.site: [0] * len(steps) for each in order}
    everyone = [list(each.headroom.power_w) for each in order]
    even = [[each.headroom.level(steps)] * len(steps) for each in order]
    wanted = [list(each.wanted) or [0] * len(steps) for each in order]
    for limits in (wanted, even, everyone):
        for each, most in zip(order, limits, strict=True):
            if not any(missing):
                break
            if each.counts is not None and limits is not wanted:
                continue
            given = shares[each.site]
            left = each.headroom.energy_wh * 3600 - _watt_seconds(steps, given)
            extra = []
            for number, step in enumerate(steps):
                seconds = step.ends_at - step.starts_at
                room = min(most[number], each.headroom.power_w[number]) - given[number]
                power = max(min(room, missing[number], left // seconds), 0)
                left -= power * seconds
                extra.append(power)
            for number, power in enumerate(_taken(missing, extra, each.counts)):
                given[number] += power
    return Split(
        {site: tuple(powers) for site, powers in shares.items() if any(powers)}, tuple(missing)
    )


def _taken(missing: list[int], most: Sequence[int], counts: int | None) -> list[int]:
    """Return what of the most is needed, and take off from what is missing what of it counts."""
    taken = []
    for number, power in enumerate(most):
        wanted = min(power, missing[number])
        # A crumb is given only where it is all that is missing.
        wanted = 0 if wanted < LEAST_W and wanted < missing[number] else wanted
        missing[number] -= wanted if counts is None else min(wanted, counts)
        taken.append(wanted)
    return taken


def _watt_seconds(steps: Sequence[Step], powers: Sequence[int]) -> int:
    spans = (step.ends_at - step.starts_at for step in steps)
    return sum(power * span for power, span in zip(powers, spans, strict=True))


def by_charge(call: Call, steps: Sequence[Step], reports: Sequence[Report]) -> dict[int, float]:
    """Return costs where no plan says any: the fullest battery gives first, the emptiest takes."""
    return {
        report.site: -(report.charge_share or 0.0) * (1 if call.direction is Direction.UP else -1)
        for report in reports
    }

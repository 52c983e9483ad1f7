"""Balancing calls of a period: what was asked, and what the chain's readings say was delivered.

The contracts keep no calls. They come from a file, with what each site was to give and what its
battery was planned to give, if that is known (`orchestrator.replay.asked`).

Energies in Wh, money in microyen. Deliveries count in the direction of the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from chain.store import Store
from energy.errors import SettingError
from energy.units import SLOT_SECONDS, day_of
from orchestrator.replay.asked import Asked
from orchestrator.verification.facts import Facts
from vpp.calls.call import Basis, Call, State
from vpp.calls.evidence import metered
from vpp.calls.fulfilment import Fulfilment, fulfilment
from vpp.calls.kept import Kept, Share


@dataclass(frozen=True)
class Answer:
    """What a call came to by the chain's readings."""

    found: Fulfilment
    unread: int
    """Half hours of its sites without a reading: they count as having delivered nothing."""

    @property
    def call(self) -> Call:
        """The call."""
        return self.found.call

    def delivered(self, basis: Basis) -> int | None:
        """Return what was delivered against a baseline; None where nothing is known by it."""
        if not self.found.sites:
            return 0
        known = [wh for wh in self._by_slot(basis) if wh is not None]
        return sum(known) if known else None

    def met(self, basis: Basis) -> int | None:
        """Return the part of the asked that was met: each half hour at least 0, at most asked."""
        if self.delivered(basis) is None:
            return None
        pairs = zip(self._by_slot(basis), self.found.lines, strict=True)
        return sum(min(max(wh or 0, 0), line.asked_wh) for wh, line in pairs)

    @property
    def adjusted(self) -> int:
        """What the baselines' same-day adjustment makes of the delivery by the meters."""
        found, call = self.found, self.call
        each = [one.adjustment_wh or 0.0 for one in found.baselines.values() if one]
        return round(call.direction.sign * sum(each) * len(call.slots))

    def _by_slot(self, basis: Basis) -> list[int | None]:
        by_meter = basis is Basis.METER
        return [line.meter_wh if by_meter else line.plan_wh for line in self.found.lines]


@dataclass(frozen=True)
class CallFigures:
    """The calls of a period, in order of time; `outside` counts those of the file that are not."""

    source: str
    answers: tuple[Answer, ...]
    outside: int

    def total(self, basis: Basis, met: bool = False) -> int | None:
        """Return what all calls came to against a baseline, Wh; None where none is known by it."""
        each = [one.met(basis) if met else one.delivered(basis) for one in self.answers]
        known = [wh for wh in each if wh is not None]
        return sum(known) if known else None

    def asked(self, basis: Basis | None = None) -> int:
        """Return all that was asked, of calls that are measured against a baseline if one is
        named, Wh."""
        return sum(
            one.found.asked_wh
            for one in self.answers
            if basis is None or one.delivered(basis) is not None
        )


def call_figures(
    connection: Connection, facts: Facts, asked: Sequence[Asked], source: str
) -> CallFigures:
    """Hold a period's calls against the chain's readings."""
    within = [one for one in asked if one.call.slots.start in facts.slots]
    for one in within:
        strange = [site for site in one.sites(()) if site not in range(facts.sites)]
        if strange:
            raise SettingError(
                f"{source}: call {one.call.name}: a site must be 0 to {facts.sites - 1}, "
                f"got {strange[0]}"
            )
    store = Store(connection)
    answers = [_answer(store, facts, one, asked) for one in within]
    answers.sort(key=lambda one: (one.call.starts_at, one.call.name))
    return CallFigures(source, tuple(answers), len(asked) - len(within))


def _answer(store: Store, facts: Facts, one: Asked, every: Sequence[Asked]) -> Answer:
    call, sites = one.call, one.sites(facts.batteries)
    called: dict[int, set[date]] = {}
    for other in every:
        if other is not one:
            for site in other.sites(facts.batteries):
                called.setdefault(site, set()).update(map(day_of, other.call.slots))
    readings, baselines = metered(store, call, sites, called)
    plans = {
        (site, slot): wh
        for site, values in one.planned.items()
        for slot, wh in zip(call.slots, values, strict=True)
    }
    told = one.shares or {}
    shares = [share for site in sites for share in _shares(call, site, told.get(site))]
    kept = Kept(call, State.ENDED, call.ends_at)
    found = fulfilment(kept, shares, readings, baselines, plans, (), ())
    return Answer(found, len(sites) * len(call.slots) - len(readings))


def _shares(call: Call, site: int, values: Sequence[int] | None) -> list[Share]:
    """Return a site's shares by half hour; of no power where the file says none."""
    shares = []
    for slot, wh in zip(call.slots, values or [0] * len(call.slots), strict=True):
        start = max(slot * SLOT_SECONDS, call.starts_at)
        end = min((slot + 1) * SLOT_SECONDS, call.ends_at)
        shares.append(Share(site, start, end, round(wh * 3600 / (end - start))))
    return shares

"""What a call came to: asked, delivered, paid, each half hour and minute, site by site.

A delivery is measured against two baselines side by side, and paid by the one that the product
names. At the meter: what flowed less than the standard baseline says. By plan: what the battery
gave more than it was planned to. Both are of signed readings; only the minutes are of what sites
reported meanwhile.

Units: Wh, W, microyen; time in unix seconds. Deliveries count in the direction of the call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from energy.records import Reading
from energy.units import SLOT_SECONDS
from vpp.calls.baseline import Baseline
from vpp.calls.call import Basis, Call
from vpp.calls.kept import Kept, Minute, Share, Told

HALF_HOURS_IN_HOUR = 3600 // SLOT_SECONDS


@dataclass(frozen=True, slots=True)
class Measured:
    """What would have been and what was, Wh in a half hour, and what that delivers."""

    baseline_wh: int
    actual_wh: int
    delivered_wh: int


@dataclass(frozen=True, slots=True)
class SiteSlot:
    """A site's half hour; a measure is None where the reading, or the baseline, is missing."""

    site: int
    slot: int
    asked_wh: int
    meter: Measured | None
    plan: Measured | None

    def by(self, basis: Basis) -> Measured | None:
        """Return the measure against a baseline."""
        return self.meter if basis is Basis.METER else self.plan


@dataclass(frozen=True, slots=True)
class SlotLine:
    """A half hour of all sites. `unmeasured` counts the sites that could not be measured on the
    product's basis: they count as having delivered nothing."""

    slot: int
    asked_wh: int
    meter_wh: int | None
    plan_wh: int | None
    delivered_wh: int | None
    unmeasured: int
    missing_wh: int
    energy_microyen: int
    ready_microyen: int
    penalty_microyen: int

    @property
    def paid_microyen(self) -> int:
        """What is paid for it, less the penalty."""
        return self.energy_microyen + self.ready_microyen - self.penalty_microyen


@dataclass(frozen=True, slots=True)
class MinuteLine:
    """A minute (unix seconds // 60) of the sites that reported in it, mean W."""

    minute: int
    asked_w: int
    sites: int
    meter_w: float | None
    plan_w: float | None


@dataclass(frozen=True, slots=True)
class SiteMinute:
    """A site's minute, mean W: what it reported, and what that delivers."""

    minute: int
    site: int
    battery_w: float
    imported_w: float
    meter_w: float | None
    plan_w: float | None

    def by(self, basis: Basis) -> float | None:
        """Return what it delivers against a baseline."""
        return self.meter_w if basis is Basis.METER else self.plan_w


@dataclass(frozen=True, slots=True)
class Answered:
    """How the sites answered their instructions, of which each may have had several.

    In seconds: an answer after its instruction was sent, a change of power after the call came, or
    the site's share began if that was later."""

    told: int
    taken: int
    refused: int
    silent: int
    slowest_answer: float | None
    first_change: float | None
    last_change: float | None


@dataclass(frozen=True)
class Fulfilment:
    """A call's report. `settled` says that every half hour of every site is measured."""

    kept: Kept
    sites: tuple[int, ...]
    lines: tuple[SlotLine, ...]
    by_site: tuple[SiteSlot, ...]
    minutes: tuple[MinuteLine, ...]
    site_minutes: tuple[SiteMinute, ...]
    baselines: Mapping[int, Baseline | None]
    answered: Answered

    @property
    def call(self) -> Call:
        """The call."""
        return self.kept.call

    @property
    def asked_wh(self) -> int:
        """All that was asked for."""
        return sum(line.asked_wh for line in self.lines)

    @property
    def delivered_wh(self) -> int:
        """All that was delivered, on the product's basis."""
        return sum(line.delivered_wh or 0 for line in self.lines)

    @property
    def paid_microyen(self) -> int:
        """What is paid, less penalties."""
        return sum(line.paid_microyen for line in self.lines)

    @property
    def penalty_microyen(self) -> int:
        """All penalties."""
        return sum(line.penalty_microyen for line in self.lines)

    @property
    def reached_seconds(self) -> int | None:
        """How long after the call came, or began if that was later, the asked less the tolerance
        was delivered, by the sites' reports to the minute; None if it never was."""
        product = self.call.product
        from_on = max(self.call.received_at, self.call.starts_at)
        for line in self.minutes:
            delivered = line.meter_w if product.basis is Basis.METER else line.plan_w
            if delivered is not None and delivered >= line.asked_w * (1 - product.tolerance):
                return max((line.minute + 1) * 60 - from_on, 0)
        return None

    @property
    def settled(self) -> bool:
        """Whether it is over and nothing is missing."""
        return not self.kept.state.is_live and not any(line.unmeasured for line in self.lines)


def fulfilment(
    kept: Kept,
    shares: Sequence[Share],
    readings: Mapping[tuple[int, int], Reading],
    baselines: Mapping[int, Baseline | None],
    plans: Mapping[tuple[int, int], int],
    minutes: Sequence[Minute],
    told: Sequence[Told],
) -> Fulfilment:
    """Return a call's report.

    `readings` and `plans` are by (site, slot), `baselines` by site. Every site that was ever to
    serve the call counts in all of its half hours.
    """
    call = kept.call
    sites = tuple(sorted({share.site for share in shares}))
    by_site = tuple(
        _site_slot(call, site, slot, shares, readings, baselines, plans)
        for slot in call.slots
        for site in sites
    )
    lines = tuple(
        _line(kept, slot, [each for each in by_site if each.slot == slot]) for slot in call.slots
    )
    site_minutes = tuple(
        _site_minute(call, each, baselines.get(each.site), plans) for each in minutes
    )
    return Fulfilment(
        kept=kept,
        sites=sites,
        lines=lines,
        by_site=by_site,
        minutes=tuple(_minutes(kept, site_minutes)),
        site_minutes=site_minutes,
        baselines=baselines,
        answered=_answered(call, told),
    )


def _site_slot(
    call: Call,
    site: int,
    slot: int,
    shares: Sequence[Share],
    readings: Mapping[tuple[int, int], Reading],
    baselines: Mapping[int, Baseline | None],
    plans: Mapping[tuple[int, int], int],
) -> SiteSlot:
    start, end = slot * SLOT_SECONDS, (slot + 1) * SLOT_SECONDS
    asked = sum(
        abs(share.power_w) * max(min(share.ends_at, end) - max(share.starts_at, start), 0)
        for share in shares
        if share.site == site
    )
    sign = call.direction.sign
    meter = plan = None
    reading, baseline = readings.get((site, slot)), baselines.get(site)
    if reading is not None and baseline is not None:
        flow = baseline.counted(reading.imported - reading.exported)
        meter = Measured(baseline.wh[slot], flow, sign * (baseline.wh[slot] - flow))
    planned = plans.get((site, slot))
    if reading is not None and planned is not None:
        given = reading.discharged - reading.charged
        plan = Measured(planned, given, sign * (given - planned))
    return SiteSlot(site, slot, asked // 3600, meter, plan)


def _line(kept: Kept, slot: int, of_sites: Sequence[SiteSlot]) -> SlotLine:
    call, product = kept.call, kept.call.product
    start, end = slot * SLOT_SECONDS, min((slot + 1) * SLOT_SECONDS, kept.ended_at)
    asked = call.asked_wh(start, end)
    sums = {
        basis: [found.delivered_wh for each in of_sites if (found := each.by(basis))]
        for basis in Basis
    }
    totals = {basis: sum(found) if found else None for basis, found in sums.items()}
    delivered = totals[product.basis]
    owed_from = max(start, call.received_at + product.response_seconds)
    owed = call.asked_wh(owed_from, end) * (1 - product.tolerance)
    missing = 0 if delivered is None and of_sites else max(round(owed) - (delivered or 0), 0)
    return SlotLine(
        slot=slot,
        asked_wh=asked,
        meter_wh=totals[Basis.METER],
        plan_wh=totals[Basis.PLAN],
        delivered_wh=delivered,
        unmeasured=len(of_sites) - len(sums[product.basis]),
        missing_wh=missing,
        energy_microyen=product.price_kwh * min(max(delivered or 0, 0), asked),
        ready_microyen=product.price_kw * asked * HALF_HOURS_IN_HOUR,
        penalty_microyen=round(product.penalty * product.price_kw * missing * HALF_HOURS_IN_HOUR),
    )


def _site_minute(
    call: Call, of: Minute, baseline: Baseline | None, plans: Mapping[tuple[int, int], int]
) -> SiteMinute:
    sign, slot = call.direction.sign, of.minute * 60 // SLOT_SECONDS
    planned = plans.get((of.site, slot))
    meter = plan = None
    if baseline is not None and slot in baseline.wh:
        usual = baseline.wh[slot] * HALF_HOURS_IN_HOUR
        meter = float(sign * (usual - baseline.counted(of.imported_w)))
    if planned is not None:
        plan = sign * (of.battery_w - planned * HALF_HOURS_IN_HOUR)
    return SiteMinute(of.minute, of.site, of.battery_w, of.imported_w, meter, plan)


def _minutes(kept: Kept, of_sites: Sequence[SiteMinute]) -> list[MinuteLine]:
    call = kept.call
    seen: dict[int, list[SiteMinute]] = {}
    for each in of_sites:
        seen.setdefault(each.minute, []).append(each)
    lines = []
    for minute in range(call.starts_at // 60, -(-kept.ended_at // 60)):
        its = seen.get(minute, [])
        meter = [each.meter_w for each in its if each.meter_w is not None]
        plan = [each.plan_w for each in its if each.plan_w is not None]
        lines.append(
            MinuteLine(
                minute,
                call.asked_w(max(minute * 60, call.starts_at)),
                len(its),
                sum(meter) if meter else None,
                sum(plan) if plan else None,
            )
        )
    return lines


def _answered(call: Call, told: Sequence[Told]) -> Answered:
    asked = [each for each in told if each.power_w]
    answers = [each.answered_at - each.sent_at for each in asked if each.answered_at is not None]
    changes = [
        each.changed_at - max(call.received_at, each.starts_at)
        for each in asked
        if each.changed_at is not None
    ]
    return Answered(
        told=len(asked),
        taken=sum(each.taken for each in asked),
        refused=sum(bool(each.refused) for each in asked),
        silent=sum(each.answered_at is None for each in asked),
        slowest_answer=max(answers, default=None),
        first_change=min(changes, default=None),
        last_change=max(changes, default=None),
    )

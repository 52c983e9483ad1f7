"""*Now*: what flows between the offices in a half hour, and when the next gate closes.

Energies in Wh, prices in 0.001 JPY/kWh, degrees of WGS 84.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from energy.records import Reading
from energy.units import SLOT_SECONDS, day_of, half_hour, slot_at, slots_of, start_of
from orchestrator.web.reads import Ref, Source


@dataclass(frozen=True, slots=True)
class Office:
    """An office on the map. Its figures are None without a reading, or where they are not to be
    seen; those of a battery, without one."""

    site: Ref
    latitude: float | None
    longitude: float | None
    used_wh: int | None
    generated_wh: int | None
    imported_wh: int | None
    exported_wh: int | None
    charged_wh: int | None
    discharged_wh: int | None
    stored_wh: int | None
    capacity_wh: int | None
    is_read: bool

    @property
    def charge(self) -> float | None:
        """The state of charge, 0 to 1."""
        if self.stored_wh is None or not self.capacity_wh:
            return None
        return min(self.stored_wh / self.capacity_wh, 1.0)


@dataclass(frozen=True, slots=True)
class Flow:
    """What flowed, or before the settlement was traded, from an office to another."""

    kind: str
    """`trade`, `delivery` or `pool`."""
    seller: Ref
    buyer: Ref
    energy_wh: int


@dataclass(frozen=True, slots=True)
class Gate:
    """A slot whose orders close next, and when (ISO 8601)."""

    slot: int
    half_hour: str
    closes_at: str
    seconds_left: int


@dataclass(frozen=True, slots=True)
class Now:
    """A half hour as it is or was."""

    slot: int
    day: str
    half_hour: str
    is_live: bool
    is_settled: bool
    is_final: bool
    first_slot: int
    last_slot: int
    price_milliyen_per_kwh: int | None
    trades: int
    traded_wh: int
    delivered_wh: int
    used_wh: int | None
    generated_wh: int | None
    utility_wh: int | None
    """These are sums over the offices whose reading has come."""
    offices: tuple[Office, ...]
    flows: tuple[Flow, ...]
    next_gate: Gate | None

    @property
    def own_share(self) -> float | None:
        """The part of the consumption that did not come from the utility, 0 to 1."""
        if not self.used_wh or self.utility_wh is None:
            return None
        return max(1 - self.utility_wh / self.used_wh, 0.0)


def now_view(source: Source, slot: int | None, day: date | None = None) -> Now:
    """Return a half hour; if none is asked for, the newest settled one, or where nothing is live
    (a day is asked for, or the store is a record) the one in which most was traded."""
    is_live = slot is None and day is None and not source.is_record
    slot = slot if slot is not None else None if is_live else source.busiest(day)
    slot = source.slot_or_last(slot)
    span = range(slot, slot + 1)
    store = source.store
    readings = {reading.site: reading for reading in source.measured(span)}
    trades = store.trades(span)
    is_settled = bool(store.entries(span))
    terms = store.sites_at(slot)
    offices = tuple(
        _office(source, site, readings.get(site), 100 * terms[site]["battery_capacity"])
        for site in terms
    )
    if is_settled:
        flows = [Flow("delivery", *_ends(source, trade), done or 0) for trade, done in trades]
        flows += [Flow("pool", *_ends(source, one), one.energy) for one in store.pool(span)]
    else:
        flows = [Flow("trade", *_ends(source, trade), trade.energy) for trade, _ in trades]
    imported = sum(reading.imported for reading in readings.values())
    moved = sum(flow.energy_wh for flow in flows if flow.buyer.number in readings)
    is_summed = bool(readings) and source.viewer.sees_sum_of(readings)
    whole = slots_of(day_of(slot))
    return Now(
        slot=slot,
        day=day_of(slot).isoformat(),
        half_hour=half_hour(slot),
        is_live=is_live,
        is_settled=is_settled,
        is_final=slot in store.final_slots(span),
        first_slot=whole.start,
        last_slot=min(whole.stop - 1, max(source.last_settled or slot, slot)),
        price_milliyen_per_kwh=store.price(slot),
        trades=len(trades),
        traded_wh=sum(trade.energy for trade, _ in trades),
        delivered_wh=sum(done or 0 for _, done in trades),
        used_wh=sum(one.consumption for one in readings.values()) if is_summed else None,
        generated_wh=sum(one.generated for one in readings.values()) if is_summed else None,
        utility_wh=max(imported - moved, 0) if is_summed and is_settled else None,
        offices=offices,
        flows=tuple(flow for flow in flows if flow.energy_wh),
        next_gate=_next_gate(source, source.moment if is_live else slot * SLOT_SECONDS),
    )


def _ends(source: Source, flow: object) -> tuple[Ref, Ref]:
    return source.ref(flow.seller), source.ref(flow.buyer)  # type: ignore[attr-defined]


def _office(source: Source, site: int, reading: Reading | None, capacity: int) -> Office:
    described = source.described(site)
    place = described.place if described else None
    seen = reading if source.viewer.sees_load_of(site) else None
    has_battery = capacity > 0 and seen is not None
    return Office(
        site=source.ref(site),
        latitude=place.latitude if place else None,
        longitude=place.longitude if place else None,
        used_wh=seen.consumption if seen else None,
        generated_wh=seen.generated if seen else None,
        imported_wh=seen.imported if seen else None,
        exported_wh=seen.exported if seen else None,
        charged_wh=seen.charged if seen and has_battery else None,
        discharged_wh=seen.discharged if seen and has_battery else None,
        stored_wh=seen.stored if seen and has_battery else None,
        capacity_wh=capacity or None,
        is_read=reading is not None,
    )


def _next_gate(source: Source, moment: int) -> Gate | None:
    rules = source.setting.market.rules(0)
    slot = slot_at(moment) - 4
    while rules.gate_of(slot) <= moment:
        slot += 1
    closes = rules.gate_of(slot)
    when = start_of(0).fromtimestamp(closes, tz=start_of(0).tzinfo)
    return Gate(slot, half_hour(slot), when.isoformat(), closes - moment)

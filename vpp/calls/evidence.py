"""A call's report from what is kept: signed readings on the chain, shares and minutes in the store.

Nothing here asks a site or a device: whoever holds both stores comes to the same report.
"""

from __future__ import annotations

from chain.store import Store
from energy.records import Reading
from energy.units import SLOTS_PER_DAY, day_of
from vpp.calls.baseline import DAYS_BACK, Baseline, ReverseFlow, high_4_of_5
from vpp.calls.fulfilment import Fulfilment, fulfilment
from vpp.calls.store import CallStore


def fulfilled(
    calls: CallStore, chain: Store, name: str, reverse: ReverseFlow = ReverseFlow.COUNTED
) -> Fulfilment:
    """Return the report of a call, as far as its readings are on the chain.

    Raises:
        SettingError: if there is no call of that name.
        StoreError: if a store does not answer.
    """
    kept = calls.call(name)
    window = kept.call.slots
    shares = calls.shares(name)
    sites = sorted({share.site for share in shares})
    called = calls.days_served(but=name)
    baselines: dict[int, Baseline | None] = {}
    readings: dict[tuple[int, int], Reading] = {}
    for site in sites:
        span = range(window.start - (DAYS_BACK + 1) * SLOTS_PER_DAY, window.stop)
        # A later revision replaces an earlier one: they come in that order.
        its: dict[int, Reading] = {each.slot: each for each in chain.readings(span, site)}
        flow = {slot: each.imported - each.exported for slot, each in its.items()}
        days = {day for day in called.get(site, ()) if day != day_of(window.start)}
        baselines[site] = high_4_of_5(flow, window, days, reverse)
        readings |= {(site, slot): each for slot, each in its.items() if slot in window}
    minutes = calls.minutes(sites, kept.call.starts_at, kept.ended_at)
    return fulfilment(
        kept, shares, readings, baselines, calls.plans(name), minutes, calls.told(name)
    )

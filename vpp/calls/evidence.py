"""A call's report from what is kept: signed readings on the chain, shares and minutes in the store.

Nothing here asks a site or a device: whoever holds both stores comes to the same report.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date

from chain.store import Store
from energy.market import is_assumed
from energy.records import Reading
from energy.units import SLOTS_PER_DAY, day_of
from vpp.calls.baseline import DAYS_BACK, Baseline, ReverseFlow, high_4_of_5
from vpp.calls.call import Call
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
    shares = calls.shares(name)
    sites = {share.site for share in shares}
    minutes = calls.minutes(sorted(sites), kept.call.starts_at, kept.ended_at)
    readings, baselines = metered(chain, kept.call, sites, calls.days_served(but=name), reverse)
    return fulfilment(
        kept, shares, readings, baselines, calls.plans(name), minutes, calls.told(name)
    )


def metered(
    chain: Store,
    call: Call,
    sites: Iterable[int],
    called: Mapping[int, Collection[date]],
    reverse: ReverseFlow = ReverseFlow.COUNTED,
) -> tuple[dict[tuple[int, int], Reading], dict[int, Baseline | None]]:
    """Return sites' signed readings in a call by (site, slot), and their baselines.

    `called` are the days on which a site answered other calls. What the contract assumed for want
    of a reading is none.

    Raises:
        StoreError: if the store does not answer.
    """
    window = call.slots
    baselines: dict[int, Baseline | None] = {}
    readings: dict[tuple[int, int], Reading] = {}
    for site in sorted(sites):
        span = range(window.start - (DAYS_BACK + 1) * SLOTS_PER_DAY, window.stop)
        # A later revision replaces an earlier one: they come in that order.
        found = {each.slot: each for each in chain.readings(span, site)}
        its = {slot: each for slot, each in found.items() if not is_assumed(each)}
        flow = {slot: each.imported - each.exported for slot, each in its.items()}
        days = {day for day in called.get(site, ()) if day != day_of(window.start)}
        baselines[site] = high_4_of_5(flow, window, days, reverse)
        readings |= {(site, slot): each for slot, each in its.items() if slot in window}
    return readings, baselines

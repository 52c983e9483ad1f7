"""What a battery earns its office in the market, by who steers it, against the battery resting.

A year of the sites file's offices ahead of each slot, by the rules of the market alone
(`orchestrator.trading.rehearsal`): agents quote on forecasts, the book is cleared, the battery
does what it is told, and the slot is settled. What the office is owed is compared with the same
year in which its battery rests. Wear is rainflow's over the path at the chemistry's replacement,
and the calendar's for what is held beyond what is held at rest. What all offices and the network
gain together is what the utility gets less. `YUI_YEAR_DAYS` plays fewer
days. What could be earned if the market were known: `bench.foresight`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import date

import numpy as np

from bench.figures import Figure
from bench.foresight import foreseen
from energy.units import MICROYEN_PER_YEN, SLOTS_PER_DAY, slots_of
from orchestrator.replay.replay import known_tariffs
from orchestrator.replay.series import SiteSeries
from orchestrator.replay.site import ReplayedSite, replayed_sites
from orchestrator.setting.series import load_series, pv_series
from orchestrator.setting.sites import load_setting
from orchestrator.steering.steering import NONE, STEERINGS
from orchestrator.trading.rehearsal import Rehearsed, rehearsed
from vpp.ageing import outlook
from vpp.chemistry import Chemistry, chemistry
from vpp.model import HALF_HOUR, Array
from vpp.wear import life_used

FIRST, YEAR = date(2019, 1, 1), 365
CHEMISTRY = "lfp"


@dataclass(frozen=True)
class Played:
    """What came of it: JPY that the battery's office was owed, JPY that the utility was owed, what
    was stored after each slot (kWh to deliver), the processor's seconds, and how it went."""

    owed: float
    utility: float
    stored: Array
    seconds: float
    owner: ReplayedSite
    slots: list[Rehearsed]


def figures() -> list[Figure]:
    """Play the days with each."""
    days = int(os.environ.get("YUI_YEAR_DAYS", YEAR))
    setting = load_setting()
    battery = next(site.battery for site in setting.sites if site.battery)
    size, of_kind = battery.capacity_wh / 1000, chemistry(CHEMISTRY)
    resting = played(NONE, days)
    found = []
    for how in (each for each in STEERINGS if each != NONE):
        done = played(how, days)
        gained = done.owed - resting.owed
        cycles, held = worn(done.stored, size, of_kind)
        left = outlook(done.stored, days, size, of_kind)
        title = f"{days} days by the {how}"
        found += [
            Figure(f"{title}: gained by the battery's office", gained, "JPY"),
            Figure(f"{title}: wear by cycles", cycles, "JPY"),
            Figure(f"{title}: wear by energy held", held, "JPY"),
            Figure(f"{title}: gained less wear", gained - cycles - held, "JPY"),
            Figure(
                f"{title}: gained by all and the network", resting.utility - done.utility, "JPY"
            ),
            Figure(f"{title}: whole cycles", left.full_cycles_a_year * days / 365.25, "count"),
            Figure(f"{title}: capacity after ten such years", 100 * left.capacity_left, "%"),
            Figure(f"{title}: processor time", done.seconds, "s"),
        ]
    owner = resting.owner
    assert owner.size
    gained, path = foreseen(
        resting.slots, owner.site.number, owner.limits, owner.size, of_kind.rests()[0].price
    )
    cycles, held = worn(path, size, of_kind)
    title = f"{days} days with the market foreseen"
    return [
        *found,
        Figure(f"{title}: gained by the battery's office", gained, "JPY"),
        Figure(f"{title}: wear by cycles", cycles, "JPY"),
        Figure(f"{title}: wear by energy held", held, "JPY"),
        Figure(f"{title}: gained less wear", gained - cycles - held, "JPY"),
    ]


def worn(stored: Array, size: float, kind: Chemistry) -> tuple[float, float]:
    """Return what a path wears by cycles, and by energy held beyond what it begins with, JPY."""
    cycles = life_used(kind.cycle, stored, size) * kind.replacement_jpy_per_kwh * size
    (rest,) = kind.rests()
    return cycles, float((stored - stored[0]).sum()) * HALF_HOUR * rest.price


def played(how: str, days: int, first: date = FIRST) -> Played:
    """Play some days with batteries steered so."""
    setting, loads, sun = load_setting(), load_series(), pv_series()
    series = [SiteSeries.of(site, loads, sun) for site in setting.sites]
    tariffs = known_tariffs(lambda _: setting.tariffs, enacts_daily=False)
    sites = replayed_sites(setting.sites, series, "bench", how, tariffs)
    owner = next(site for site in sites if site.site.battery)
    start = slots_of(first).start
    for site in sites:
        site.remember(start)
    owed = utility = 0
    stored, kept = [owner.stored_wh], []
    began = time.process_time()
    slots = range(start, start + days * SLOTS_PER_DAY)
    for slot in rehearsed(sites, lambda _: setting.tariffs, slots):
        *_, of_utility, _ = slot.settlement.entries
        owed += slot.settlement.entries[owner.site.number]
        utility += of_utility
        stored.append(owner.stored_wh)
        kept.append(slot)
    return Played(
        owed / MICROYEN_PER_YEN,
        utility / MICROYEN_PER_YEN,
        np.array(stored) / 1000,
        time.process_time() - began,
        owner,
        kept,
    )

"""A synthetic fleet of any size, resampled from the bundled year by a seed.

No fleet of thousands is public, so each site is drawn, in this order, from the real series:

- region: one of three; the sites of a region play the same day of PV (same sky), up to 10 days from
  the day asked for, each with its own dust of up to 5 %;
- load: one of the seven offices, a day of the same kind (working or not) up to 28 days away, scaled
  so that the sites' means are log-normal (median 6 kWh in a half hour, sigma 0.6);
- PV: a peak of 0.5 to 2 times the day's mean power times four;
- battery: one to three hours of the day's highest load, at 0.25 to 0.5 of its capacity an hour,
  93-97 % each way, 10 % never used, half charged more or less, wear of 3-9 JPY for a kWh through;
- tariff: a third each flat, by time of day, and market-linked (the bundled synthetic prices plus
  5), each up to 5 % off; surplus is sold at 8, or at the market's price; two in five sites pay for
  the highest demand as well, of which nine tenths of the day's highest load are reached already;
- connection: 1.5 times what load, roof and battery can ask of it.

The fleet's caps and its reserve are parts of what the sites would do without any: see `synthetic`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from energy.errors import SettingError
from energy.units import SLOTS_PER_DAY, slots_of
from orchestrator.setting.series import LoadSeries, PvSeries, load_series, pv_series
from vpp.calendar import kind_of
from vpp.fleet.limits import Pool, scaled
from vpp.fleet.model import Fleet, Member
from vpp.model import Array, Battery, Demand, Problem, Reserve, Tier, Wear
from vpp.prices import price_days

REGIONS = ("Sendai", "Osaki", "Ishinomaki")
SKY_DAYS, LOAD_DAYS = 10, 28
WH, POWER_UNIT = 1_000.0, 10_000
MEDIAN_KWH, SPREAD = 6.0, 0.6
FLAT_PRICE, SOLD_PRICE, MARKUP = 22.0, 8.0, 5.0
BY_TIME = np.repeat([15.0, 25.0, 20.0, 30.0, 15.0], [14, 6, 12, 12, 4])
"""JPY/kWh: night to 07:00, morning, day, evening from 16:00, night from 22:00."""
EVENING = np.arange(34, 40)
"""Slots of the day in which reserve is sold: 17:00 to 20:00."""
RESERVE_PRICE, RESERVE_HOURS = 4.0, 1.0
SITES_LIMIT = 100_000


@dataclass(frozen=True)
class Limits:
    """The fleet's limits as parts: of its highest import and export without a battery, and the
    reserve sold in the evening of all batteries' power."""

    imported: float = 0.6
    exported: float = 0.3
    reserve: float = 0.15

    def tighter(self, times: float) -> Limits:
        """Return limits so many times as tight: caps divided, reserve multiplied."""
        return Limits(self.imported / times, self.exported / times, self.reserve * times)


def synthetic(
    sites: int, day: date, seed: int, limits: Limits | None = None, noise: float = 0.0
) -> Fleet:
    """Return a fleet for a day of 2019.

    `noise` is the standard deviation, as a part, by which each site's load, PV and prices are off:
    the same fleet as it looked before (or will look later), drawn apart from the rest.

    Raises:
        SettingError: if there cannot be that many sites, or the day is not within the series.
    """
    if not 1 <= sites <= SITES_LIMIT:
        raise SettingError(f"sites must be from 1 to {SITES_LIMIT}, got {sites}")
    chance = np.random.default_rng(seed)
    source = _Source(day, chance)
    members = [source.member(number) for number in range(sites)]
    fleet = Fleet(tuple(members))
    if limits is not None:
        fleet = _limited(fleet, limits)
    if noise:
        fleet = replace(fleet, members=tuple(_blurred(m, noise, chance) for m in fleet.members))
    return fleet


def municipality(name: str) -> str:
    """Return the region of a synthetic site, by its name."""
    return name.rpartition(" ")[0]


def pooled(fleet: Fleet) -> Fleet:
    """Return the same fleet whose reserve is sold region by region, by its batteries' power."""
    reserve = fleet.reserve_up
    if reserve is None:
        return fleet
    regions: dict[str, list[int]] = {}
    for number, member in enumerate(fleet.members):
        regions.setdefault(municipality(member.name), []).append(number)
    power = fleet.power_kw
    pools = tuple(
        Pool(
            region,
            "up",
            scaled(reserve, float(power[numbers].sum() / power.sum())),
            frozenset(fleet.members[number].name for number in numbers),
        )
        for region, numbers in sorted(regions.items())
    )
    return replace(fleet, reserve_up=None, pools=pools)


class _Source:
    """Draws sites of a day."""

    def __init__(self, day: date, chance: np.random.Generator) -> None:
        loads, sun = load_series(), pv_series()
        first, prices = price_days()
        if not (loads.first_day <= day <= loads.last_day and 0 <= (day - first).days < len(prices)):
            raise SettingError(
                f"a day must be within {loads.first_day} and {loads.last_day}, got {day}"
            )
        self.chance = chance
        self.first_slot = slots_of(day).start
        self.market = np.asarray(prices[(day - first).days])
        self.loads = [
            np.array(loads.day(column, each)) / WH
            for column in loads.hours
            for each in _days_like(day, loads)
        ]
        self.skies = [self._sky(day, sun) for _ in REGIONS]

    def _sky(self, day: date, sun: PvSeries) -> Array:
        near = [day + timedelta(days=n) for n in range(-SKY_DAYS, SKY_DAYS + 1)]
        days = [each for each in near if not sun.has_gap(each)]
        chosen = days[int(self.chance.integers(len(days)))]
        # kWh of a half hour for each kW of the roof.
        return np.array(sun.day(POWER_UNIT, chosen)) / (POWER_UNIT / 10) / WH

    def member(self, number: int) -> Member:
        chance = self.chance
        region = int(chance.integers(len(REGIONS)))
        load = self.loads[int(chance.integers(len(self.loads)))]
        load = load * (MEDIAN_KWH * chance.lognormal(0, SPREAD) / load.mean())
        mean_kw, top_kw = 2 * load.mean(), 2 * load.max()
        pv_kw = 4 * mean_kw * chance.uniform(0.5, 2.0)
        pv = self.skies[region] * pv_kw * chance.uniform(0.95, 1.0)
        capacity = top_kw * chance.uniform(1.0, 3.0)
        power = capacity * chance.uniform(0.25, 0.5)
        into, out = chance.uniform(0.93, 0.97, 2)
        initial = capacity * chance.uniform(0.3, 0.7)
        wear = Wear((0.0,), (2 * chance.uniform(3.0, 9.0),))
        kind, off = int(chance.integers(3)), chance.uniform(0.95, 1.05)
        bought = (np.full(SLOTS_PER_DAY, FLAT_PRICE), BY_TIME, self.market + MARKUP)[kind] * off
        sold = self.market if kind == 2 else np.full(SLOTS_PER_DAY, SOLD_PRICE)
        # A month's charge for a kW, of a day.
        demand = Demand(chance.uniform(40, 70), 0.9 * top_kw) if chance.random() < 0.4 else None
        reach = 1.5 * (top_kw + pv_kw + power)
        battery = Battery(
            "battery", capacity, power, power, initial, float(into), float(out), 0.1 * capacity,
            end_value=float(np.mean(sold)), wear=wear,
        )  # fmt: skip
        problem = Problem(
            load_kwh=load,
            pv_kwh=pv,
            purchases=(Tier("bought", bought),),
            sales=(Tier("sold", np.minimum(sold * min(off, 1.0), bought)),),
            batteries=(battery,),
            import_kw=reach,
            export_kw=reach,
            demand=demand,
            first_slot=self.first_slot,
        )
        return Member(f"{REGIONS[region]} {number}", problem)


def _days_like(day: date, loads: LoadSeries) -> list[date]:
    near = (day + timedelta(days=n) for n in range(-LOAD_DAYS, LOAD_DAYS + 1))
    inside = [each for each in near if loads.first_day <= each <= loads.last_day]
    return [each for each in inside if kind_of(each) == kind_of(day)]


def _limited(fleet: Fleet, limits: Limits) -> Fleet:
    problems = [member.problem for member in fleet.members]
    net = np.sum([problem.net_load_kwh for problem in problems], axis=0) / fleet.hours
    batteries = [battery for problem in problems for battery in problem.batteries]
    power = sum(float(np.max(battery.discharge_kw)) for battery in batteries)
    sold = np.zeros(fleet.slots)
    sold[EVENING] = limits.reserve * power
    return replace(
        fleet,
        import_kw=limits.imported * max(float(net.max()), 0.0),
        export_kw=limits.exported * max(float(-net.min()), 0.0),
        reserve_up=Reserve(
            np.where(sold > 0, RESERVE_PRICE, 0.0),
            RESERVE_HOURS,
            sold,
            np.where(sold > 0, 2 * sold, np.inf),
        ),
    )


def _blurred(member: Member, noise: float, chance: np.random.Generator) -> Member:
    problem, slots = member.problem, member.problem.slots

    def off(series: Array) -> Array:
        return np.asarray(series) * np.maximum(1 + chance.normal(0, noise, slots), 0)

    (bought,), (sold,) = problem.purchases, problem.sales
    price = off(np.asarray(bought.price))
    return replace(
        member,
        problem=replace(
            problem,
            load_kwh=off(np.asarray(problem.load_kwh)),
            pv_kwh=off(np.asarray(problem.pv_kwh)),
            purchases=(replace(bought, price=price),),
            sales=(replace(sold, price=np.minimum(off(np.asarray(sold.price)), price)),),
        ),
    )

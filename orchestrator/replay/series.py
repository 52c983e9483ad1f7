"""What happens at a site of a replay, slot by slot: the bundled year, or what is made of it.

Energy in Wh.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from energy.errors import SettingError
from energy.units import SLOTS_PER_DAY, day_of, slot_of_day, slots_of
from orchestrator.setting.series import LoadSeries, PvSeries
from orchestrator.setting.sites import Site
from vpp.calendar import works_on


@dataclass(frozen=True, eq=False)
class SiteSeries:
    """A site's load and roof. `shift_days` plays the load of that many days later, which lays
    its weekend elsewhere; `scale` multiplies the load, per mille."""

    loads: LoadSeries
    sun: PvSeries
    column: str
    pv_power: int
    shift_days: int = 0
    scale: int = 1000

    @classmethod
    def of(cls, site: Site, loads: LoadSeries, sun: PvSeries) -> SiteSeries:
        """Return the series that the sites file names for a site.

        Raises:
            SettingError: if it names none.
        """
        if site.load_column is None:
            raise SettingError(f"site {site.name} must name a load_column to be played, got none")
        return cls(loads, sun, site.load_column, site.pv_power)

    @property
    def first_slot(self) -> int:
        """The first slot that the loads hold."""
        return slots_of(self.loads.first_day).start

    def works_on(self, slot: int) -> bool:
        """Say whether a slot lies on one of the site's working days."""
        return works_on(slot + self.shift_days * SLOTS_PER_DAY)

    def load(self, slot: int) -> int:
        """Return what the site uses in a slot.

        Raises:
            SettingError: if the loads cannot play its day.
        """
        return _load_day(self, day_of(slot))[slot_of_day(slot)]

    def generation(self, slot: int) -> int:
        """Return what its roof generates in a slot."""
        return _sun_day(self, day_of(slot))[slot_of_day(slot)]


@lru_cache(maxsize=4096)
def _load_day(series: SiteSeries, day: date) -> tuple[int, ...]:
    played = day + timedelta(days=series.shift_days)
    first, last = series.loads.first_day, series.loads.last_day
    if played > last:  # the year begins again, on the same day of the week
        played -= timedelta(days=364)
    if played < first:
        played += timedelta(days=364)
    if not first <= played <= last:
        raise SettingError(f"loads must hold {day} for it to be played, got {first} to {last}")
    return tuple(
        energy * series.scale // 1000 for energy in series.loads.day(series.column, played)
    )


@lru_cache(maxsize=4096)
def _sun_day(series: SiteSeries, day: date) -> tuple[int, ...]:
    return series.sun.day(series.pv_power, day)

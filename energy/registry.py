"""Who takes part, and at what prices: from which slot on. The twin of `contracts/Registry.sol`.

What is true of a slot never changes later: every change takes effect from a slot beyond the
order horizon, and earlier versions stay. A change replaces what was planned of the same site,
or of the tariff, for its slot or later.

| A site is  | by                | and then                                  |
| ---------- | ----------------- | ----------------------------------------- |
| active     | `enrol`, `amend`  | orders, meters, counts for the allowance  |
| suspended  | `suspend`         | takes no part until it is amended         |
| retired    | `retire`          | takes no part, for good                   |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from eth_utils.address import to_checksum_address

from energy import errors
from energy.units import SITE_LIMIT, SLOT_SECONDS, slot_of_day

UTILITY = 1000
"""Account of the utility."""
NETWORK = 1001
"""Account of the network, to which fees are owed."""

WH_PER_POWER_UNIT = 50
"""0.1 kW for half an hour."""
WH_PER_CAPACITY_UNIT = 100
"""0.1 kWh."""
MOST_ORDER_ENERGY = 0xFFFF * WH_PER_POWER_UNIT
MOST_PLANS = 64
"""Slots for which changes may be planned at a time."""
MOST_LEAD = 17_568
"""How many slots beyond the earliest a change may be planned: a year."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """The utility's two prices and the network's fee in a slot of the day, 0.001 JPY/kWh."""

    selling: int
    buying: int
    fee: int

    @property
    def middle(self) -> int:
        """The price at which long and short meet in the pool.

        >>> Tariff(selling=22_000, buying=8_000, fee=1_000).middle
        14500
        """
        return (self.buying + self.selling - self.fee) // 2

    def to_word(self) -> int:
        """Return the tariff's 72 bits."""
        return self.selling << 48 | self.buying << 24 | self.fee


@dataclass(frozen=True, slots=True)
class Ratings:
    """What is physically possible at a site, and its battery.

    `order_energy` in Wh; powers in 0.1 kW; capacity in 0.1 kWh; efficiency of a round trip in
    per mille. Battery fields are 0 without a battery.
    """

    order_energy: int
    import_power: int
    generation_power: int
    battery_power: int = 0
    battery_capacity: int = 0
    battery_efficiency: int = 0

    @property
    def import_limit(self) -> int:
        """Most Wh imported in a slot."""
        return self.import_power * WH_PER_POWER_UNIT

    @property
    def generation_limit(self) -> int:
        """Most Wh generated in a slot."""
        return self.generation_power * WH_PER_POWER_UNIT

    @property
    def battery_limit(self) -> int:
        """Most Wh charged or discharged in a slot."""
        return self.battery_power * WH_PER_POWER_UNIT

    @property
    def capacity_limit(self) -> int:
        """Most Wh stored."""
        return self.battery_capacity * WH_PER_CAPACITY_UNIT


NO_RATINGS = Ratings(0, 0, 0)


@dataclass(frozen=True, slots=True)
class SiteTerms:
    """A site from a slot on: its keys (addresses) and ratings; no keys if it takes no part."""

    from_slot: int
    trader: str | None
    oracle: str | None
    ratings: Ratings


@dataclass(frozen=True, slots=True)
class TariffTerms:
    """The prices of a day's 48 half hours, from a slot on."""

    from_slot: int
    tariffs: tuple[Tariff, ...]


@dataclass
class Registry:
    """The versions of sites and tariffs, oldest first."""

    horizon: int
    owner: str
    sites: list[list[SiteTerms]] = field(default_factory=list)
    tariffs: list[TariffTerms] = field(default_factory=list)
    retired: set[int] = field(default_factory=set)
    plans: set[int] = field(default_factory=set)
    """Slots from which anything changes."""

    def change_owner(self, sender: str, owner: str) -> None:
        """Hand the registry to another owner."""
        self.check_owner(sender)
        if not int(owner, 16):
            raise errors.OwnerMissing()
        self.owner = owner

    def enrol(
        self, now: int, sender: str, from_slot: int, trader: str, oracle: str, ratings: Ratings
    ) -> int:
        """Enrol a site from a slot on and return its id; `now` in unix seconds."""
        self.check_owner(sender)
        site = len(self.sites)
        if site >= SITE_LIMIT:
            raise errors.SettingBeyondLimit(site, SITE_LIMIT - 1)
        version = self._active_terms(now, site, from_slot, trader, oracle, ratings)
        self.sites.append([version])
        return site

    def amend(
        self,
        now: int,
        sender: str,
        site: int,
        from_slot: int,
        trader: str,
        oracle: str,
        ratings: Ratings,
    ) -> None:
        """Rotate a site's keys, change its ratings, or resume it, from a slot on."""
        self.check_owner(sender)
        self._check_enrolled(site)
        version = self._active_terms(now, site, from_slot, trader, oracle, ratings)
        self.sites[site] = _planned(self.sites[site], version)

    def suspend(self, now: int, sender: str, site: int, from_slot: int) -> None:
        """Let a site take no part from a slot on, until it is amended."""
        self.check_owner(sender)
        self._check_enrolled(site)
        self._plan(now, from_slot)
        version = SiteTerms(from_slot, None, None, NO_RATINGS)
        self.sites[site] = _planned(self.sites[site], version)

    def retire(self, now: int, sender: str, site: int, from_slot: int) -> None:
        """Let a site take no part from a slot on, for good."""
        self.suspend(now, sender, site, from_slot)
        self.retired.add(site)

    def enact_tariff(
        self, now: int, sender: str, from_slot: int, tariffs: Sequence[Tariff]
    ) -> None:
        """Enact prices and fee for the 48 half hours of a Japan-time day."""
        self.check_owner(sender)
        for number, tariff in enumerate(tariffs):
            least = tariff.buying + 2 * tariff.fee
            if tariff.selling < least:
                raise errors.TariffImpossible(number, tariff.selling, least)
        self._plan(now, from_slot)
        self.tariffs = _planned(self.tariffs, TariffTerms(from_slot, tuple(tariffs)))

    def site_at(self, site: int, slot: int) -> SiteTerms | None:
        """Return a site's keys and ratings in a slot; None where it takes no part."""
        version = _version_at(self.sites[site], slot) if site < len(self.sites) else None
        return version if version and version.trader else None

    def enrolled_at(self, slot: int) -> int:
        """Return how many sites are enrolled in a slot, active or not: ids below this number."""
        begun = (site for site, versions in enumerate(self.sites) if versions[0].from_slot <= slot)
        return max(begun, default=-1) + 1

    def active_at(self, slot: int) -> list[int]:
        """Return the sites that take part in a slot."""
        return [site for site in range(len(self.sites)) if self.site_at(site, slot)]

    def tariff_at(self, slot: int) -> Tariff:
        """Return the prices of a slot; 0 before the first tariff."""
        version = _version_at(self.tariffs, slot)
        return version.tariffs[slot_of_day(slot)] if version else Tariff(0, 0, 0)

    def check_owner(self, sender: str) -> None:
        """Raise `NotOwner` for anyone else."""
        if sender.lower() != self.owner.lower():
            raise errors.NotOwner(sender)

    def _check_enrolled(self, site: int) -> None:
        if site >= len(self.sites):
            raise errors.NotEnrolled(site)
        if site in self.retired:
            raise errors.AlreadyRetired(site)

    def _plan(self, now: int, from_slot: int) -> None:
        earliest = now // SLOT_SECONDS + self.horizon + 1
        if from_slot < earliest:
            raise errors.TooSoon(from_slot, earliest)
        if from_slot > earliest + MOST_LEAD:
            raise errors.SettingBeyondLimit(from_slot, earliest + MOST_LEAD)
        planned = sum(slot >= earliest for slot in self.plans)
        if from_slot not in self.plans and planned >= MOST_PLANS:
            raise errors.TooManyPlans(MOST_PLANS)
        self.plans.add(from_slot)

    def _active_terms(
        self, now: int, site: int, from_slot: int, trader: str, oracle: str, ratings: Ratings
    ) -> SiteTerms:
        if not int(trader, 16) or not int(oracle, 16):
            raise errors.KeyMissing(site)
        if ratings.order_energy > MOST_ORDER_ENERGY:
            raise errors.SettingBeyondLimit(ratings.order_energy, MOST_ORDER_ENERGY)
        if ratings.battery_efficiency > 1000:
            raise errors.SettingBeyondLimit(ratings.battery_efficiency, 1000)
        self._plan(now, from_slot)
        trader, oracle = to_checksum_address(trader), to_checksum_address(oracle)
        return SiteTerms(from_slot, trader, oracle, ratings)


Version = TypeVar("Version", bound=SiteTerms | TariffTerms)


def _planned(versions: Sequence[Version], version: Version) -> list[Version]:
    """Add a version, which replaces those that were planned for its slot or later."""
    begun: list[Version] = [other for other in versions if other.from_slot < version.from_slot]
    return [*begun, version]


def _version_at(versions: Sequence[Version], slot: int) -> Version | None:
    for version in reversed(versions):
        if version.from_slot <= slot:
            return version
    return None

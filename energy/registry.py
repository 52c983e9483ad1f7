"""Who takes part, and at what prices: from which slot on. The twin of `contracts/Registry.sol`.

What is true of a slot never changes later: every change takes effect from a slot beyond the
order horizon, and earlier versions stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from energy import errors
from energy.units import SITE_LIMIT, SLOT_LIMIT, SLOT_SECONDS, SLOTS_PER_DAY, slot_of_day

UTILITY = 1000
"""Account of the utility."""
NETWORK = 1001
"""Account of the network, to which fees are owed."""

WH_PER_POWER_UNIT = 50
"""0.1 kW for half an hour."""
WH_PER_CAPACITY_UNIT = 100
"""0.1 kWh."""
MOST_ORDER_ENERGY = 0xFFFF * WH_PER_POWER_UNIT


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


@dataclass(frozen=True, slots=True)
class SiteTerms:
    """A site from a slot on: its keys (addresses) and ratings; no keys if it takes no part."""

    from_slot: int
    trader: str | None
    oracle: str | None
    ratings: Ratings


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for all sites from a slot on."""

    from_slot: int
    sites: int
    active: frozenset[int]
    tariffs: tuple[Tariff, ...]


_NOTHING = Terms(0, 0, frozenset(), (Tariff(0, 0, 0),) * SLOTS_PER_DAY)


@dataclass
class Registry:
    """The versions of sites and terms, oldest first."""

    horizon: int
    owner: str
    terms: list[Terms] = field(default_factory=lambda: [_NOTHING])
    sites: list[list[SiteTerms]] = field(default_factory=list)

    def change_owner(self, sender: str, owner: str) -> None:
        """Hand the registry to another owner."""
        self._check_owner(sender)
        self.owner = owner

    def enrol(
        self, now: int, sender: str, from_slot: int, trader: str, oracle: str, ratings: Ratings
    ) -> int:
        """Enrol a site from a slot on and return its id; `now` in unix seconds."""
        self._check_owner(sender)
        site = len(self.sites)
        if site >= SITE_LIMIT:
            raise errors.SettingBeyondLimit(site, SITE_LIMIT - 1)
        active = self.terms[-1].active | {site}
        terms = self._next_terms(now, from_slot, site + 1, active, self.terms[-1].tariffs)
        version = self._site_terms(site, from_slot, trader, oracle, ratings)
        self.terms.append(terms)
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
        """Change a site's keys or ratings from a slot on; a retired site is active again."""
        self._check_owner(sender)
        self._check_enrolled(site)
        active = self.terms[-1].active | {site}
        terms = self._next_terms(now, from_slot, len(self.sites), active, self.terms[-1].tariffs)
        version = self._site_terms(site, from_slot, trader, oracle, ratings)
        self.terms.append(terms)
        self.sites[site].append(version)

    def retire(self, now: int, sender: str, site: int, from_slot: int) -> None:
        """Let a site take no part from a slot on."""
        self._check_owner(sender)
        self._check_enrolled(site)
        active = self.terms[-1].active - {site}
        self.terms.append(
            self._next_terms(now, from_slot, len(self.sites), active, self.terms[-1].tariffs)
        )
        self.sites[site].append(SiteTerms(from_slot, None, None, Ratings(0, 0, 0)))

    def enact_tariff(
        self, now: int, sender: str, from_slot: int, tariffs: Sequence[Tariff]
    ) -> None:
        """Enact prices and fee for the 48 half hours of a Japan-time day."""
        self._check_owner(sender)
        for number, tariff in enumerate(tariffs):
            least = tariff.buying + 2 * tariff.fee
            if tariff.selling < least:
                raise errors.TariffImpossible(number, tariff.selling, least)
        last = self.terms[-1]
        self.terms.append(self._next_terms(now, from_slot, last.sites, last.active, tuple(tariffs)))

    def terms_at(self, slot: int) -> Terms:
        """Return what holds for all sites in a slot."""
        return next(terms for terms in reversed(self.terms) if terms.from_slot <= slot)

    def site_at(self, site: int, slot: int) -> SiteTerms | None:
        """Return a site's keys and ratings in a slot; None where it takes no part."""
        if site >= len(self.sites):
            return None
        for version in reversed(self.sites[site]):
            if version.from_slot <= slot:
                return version if version.trader else None
        return None

    def tariff_at(self, slot: int) -> Tariff:
        """Return the prices of a slot."""
        return self.terms_at(slot).tariffs[slot_of_day(slot)]

    def _check_owner(self, sender: str) -> None:
        if sender.lower() != self.owner.lower():
            raise errors.NotOwner(sender)

    def _check_enrolled(self, site: int) -> None:
        if site >= len(self.sites):
            raise errors.SettingBeyondLimit(site, SITE_LIMIT - 1)

    def _next_terms(
        self,
        now: int,
        from_slot: int,
        sites: int,
        active: frozenset[int],
        tariffs: tuple[Tariff, ...],
    ) -> Terms:
        earliest = max(now // SLOT_SECONDS + self.horizon + 1, self.terms[-1].from_slot)
        if from_slot < earliest:
            raise errors.TooSoon(from_slot, earliest)
        if from_slot >= SLOT_LIMIT:
            raise errors.SettingBeyondLimit(from_slot, SLOT_LIMIT - 1)
        return Terms(from_slot, sites, active, tariffs)

    def _site_terms(
        self, site: int, from_slot: int, trader: str, oracle: str, ratings: Ratings
    ) -> SiteTerms:
        if not int(trader, 16) or not int(oracle, 16):
            raise errors.KeyMissing(site)
        if ratings.order_energy > MOST_ORDER_ENERGY:
            raise errors.SettingBeyondLimit(ratings.order_energy, MOST_ORDER_ENERGY)
        if ratings.battery_efficiency > 1000:
            raise errors.SettingBeyondLimit(ratings.battery_efficiency, 1000)
        return SiteTerms(from_slot, trader, oracle, ratings)

"""What the pages read of a store: the one place that knows the store's functions.

Energy in Wh, prices in 0.001 JPY/kWh, money in microyen, times in unix seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine

from chain.attesting import day_tree
from chain.overview import slot_lines
from chain.store import Store, Tariffs, stored
from energy.attestation import day_number
from energy.errors import SettingError
from energy.records import Reading
from energy.registry import Tariff
from energy.units import SLOT_SECONDS, SLOTS_PER_DAY, day_of, slot_at, slots_of
from orchestrator.names import kept_names, unnamed
from orchestrator.setting.sites import Setting, Site
from orchestrator.statements.day import measured, newest
from orchestrator.web.called import Origin
from orchestrator.web.viewer import Viewer

FIRST_YEAR, LAST_YEAR = 1971, 2199
LAST_SLOT = slots_of(date(LAST_YEAR, 12, 31))[-1]
RECORD_SECONDS = 2 * 86_400
"""A store whose last settled slot lies further back is a record: there is nothing live in it."""


class NotThere(SettingError):
    """An address names what is not there."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A site or an account, by number and by name in both languages."""

    number: int
    en: str
    ja: str


class Source:
    """A store within one transaction, with the sites file, the time, who is looking, and where
    they are: the file that the chain's last audit left, the control room's store, where balancing
    calls are kept, how a command names the store, and the roots of final days that were computed
    before."""

    def __init__(
        self,
        store: Store,
        setting: Setting,
        now: int,
        viewer: Viewer,
        audit: Path | None = None,
        room: Engine | None = None,
        calls: Origin | None = None,
        served: str | None = None,
        kept_roots: dict[date, str] | None = None,
    ) -> None:
        self.store = store
        self.now = now
        self.viewer = viewer
        self.audit = audit
        self.room = room
        self.calls = calls
        self.served = served
        self._kept_roots = {} if kept_roots is None else kept_roots
        self._setting = setting

    @cached_property
    def setting(self) -> Setting:
        """The sites file, with the mode that the store was made in."""
        mode = self.store.setting("mode") or self._setting.market.mode
        return replace(self._setting, market=replace(self._setting.market, mode=mode))

    @cached_property
    def names(self) -> dict[int, tuple[str, str]]:
        """Each site's name in English and Japanese."""
        return kept_names(self.store)

    def ref(self, site: int) -> Ref:
        """Return a site by number and names."""
        return Ref(site, *(self.names.get(site) or unnamed(site)))

    def described(self, site: int) -> Site | None:
        """Return what the sites file says of a site, if it is the one of that name."""
        name = self.names.get(site, ("", ""))[0]
        return next((one for one in self._setting.sites if one.name == name), None)

    @cached_property
    def last_settled(self) -> int | None:
        """The newest settled slot; None before the first."""
        return self.store.last_settled()

    @property
    def is_record(self) -> bool:
        """Whether the store is of the past, with nothing live in it."""
        last = self.last_settled
        return last is not None and (last + 1) * SLOT_SECONDS < self.now - RECORD_SECONDS

    @cached_property
    def moment(self) -> int:
        """The time that the store is at: now, or where a record ends."""
        last = self.last_settled
        return (last + 1) * SLOT_SECONDS if self.is_record and last is not None else self.now

    def slot_or_last(self, slot: int | None) -> int:
        """Return a slot that is asked for, or else the newest settled one."""
        if slot is not None:
            return slot
        last = self.last_settled
        return slot_at(self.now) if last is None else last

    def busiest(self, day: date | None) -> int:
        """Return the settled half hour of a day in which most was traded: of the newest settled
        day if none is asked for, and its last half hour if nothing was."""
        day = self.day_or_last(day)
        lines = slot_lines(self.store, slots_of(day))
        settled = [line for line in lines if line.delivered is not None]
        if not settled:
            return slots_of(day)[0]
        best = max(settled, key=lambda line: (line.traded, line.slot))
        return best.slot

    @cached_property
    def days(self) -> tuple[date, date] | None:
        """The first and the newest day of which the store holds anything; None if there is none."""
        first, last = self.store.first_slot(), self.last_settled
        return None if first is None or last is None else (day_of(first), day_of(last))

    def day_or_last(self, day: date | None) -> date:
        """Return a day that is asked for, or else the newest settled one."""
        return day or day_of(self.slot_or_last(None))

    def recorded(self, slots: range) -> range:
        """Return those of some slots that are over and that the store can know of."""
        first = self.store.first_slot()
        begin = slots.stop if first is None else max(slots.start, first)
        return range(begin, max(begin, min(slots.stop, slot_at(self.moment))))

    def readings(self, slots: range, site: int | None = None) -> list[Reading]:
        """Return the newest readings of some slots, by slot and site, also those that were
        assumed."""
        return newest(self.store.readings(slots, site))

    def measured(self, slots: range, site: int | None = None) -> list[Reading]:
        """Return the newest readings of some slots that have come, by slot and site."""
        return measured(self.store.readings(slots, site))

    def tariff(self, slot: int) -> Tariff:
        """Return the tariff of a slot."""
        return self.tariffs.at(slot)

    @cached_property
    def tariffs(self) -> Tariffs:
        """The tariff as it changed."""
        return self.store.tariffs()

    def prices(self, slots: range) -> Mapping[int, int]:
        """Return the prices of the cleared ones among some slots."""
        found = {slot: self.store.price(slot) for slot in slots}
        return {slot: price for slot, price in found.items() if price is not None}

    def money(self, slots: range, account: int) -> dict[int, int]:
        """Return what an account is owed for each of some slots, corrections included."""
        owed: dict[int, int] = {}
        for slot, _, microyen in self.store.entries(slots, account):
            owed[slot] = owed.get(slot, 0) + microyen
        return owed

    def sites(self, slot: int) -> list[int]:
        """Return the sites that take part in a slot."""
        return list(self.store.sites_at(slot))

    def roots(self, slots: range) -> dict[str, str]:
        """Return the root of each day of some slots that is settled to its end."""
        days = dict.fromkeys(map(day_of, [*slots[::SLOTS_PER_DAY], *slots[-1:]]))
        found = {day.isoformat(): self.root(day) for day in days}
        return {day: root for day, root in found.items() if root is not None}

    def root(self, day: date) -> str | None:
        """Return the root of a day's rows: the one that enough sites attest, or else, if the day
        is settled to its end, the one that its rows have.

        A tree of all that all sites used takes long: of a day that is final it is computed once.
        """
        if day in self._kept_roots:
            return self._kept_roots[day]
        standing = self._standing_root(day)
        if standing is not None:
            return "0x" + standing.hex()
        try:
            root = "0x" + day_tree(self.store, day).root.hex()
        except SettingError:
            return None
        slots = slots_of(day)
        if len(self.store.final_slots(slots)) == len(self.store.slots(slots)):
            self._kept_roots[day] = root
        return root

    def _standing_root(self, day: date) -> bytes | None:
        number = day_number(day)
        said = Counter(self.store.roots(range(number, number + 1)).get(number, {}).values())
        if not said:
            return None
        (root, attesting), active = said.most_common(1)[0], len(self.sites(slots_of(day)[-1]))
        return root if attesting >= needed_of(active) else None

    def check_site(self, site: int) -> None:
        """Raise `SettingError` unless the site is one of the market's."""
        if site not in self.names and site not in self.store.sites_at(2**32 - 1):
            raise NotThere(f"a site must be one of the market's, got {site}")


def needed_of(active: int) -> int:
    """Return how many of the active sites have to attest a root so that it stands: two thirds.

    >>> [needed_of(active) for active in (1, 3, 7)]
    [1, 2, 5]
    """
    return -(-2 * active // 3)


@contextmanager
def source_of(
    engine: Engine,
    setting: Setting,
    now: int,
    viewer: Viewer,
    audit: Path | None = None,
    room: Engine | None = None,
    calls: Origin | None = None,
    served: str | None = None,
    kept_roots: dict[date, str] | None = None,
) -> Iterator[Source]:
    """Read a store within one transaction."""
    with stored(engine) as store:
        yield Source(store, setting, now, viewer, audit, room, calls, served, kept_roots)


def check_year(day: date) -> None:
    """Raise `NotThere` for a day that no slot has, or that is nobody's concern."""
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise NotThere(f"a day must be of {FIRST_YEAR} to {LAST_YEAR}, got {day}")


def days_of_month(month: str) -> range:
    """Return the slots of a month, given as 2019-06.

    >>> len(days_of_month("2019-06")) // 48
    30
    """
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError as error:
        raise SettingError(f"a month must be as 2019-06, got {month!r}") from error
    check_year(first)
    later = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return range(slots_of(first).start, slots_of(later).start)

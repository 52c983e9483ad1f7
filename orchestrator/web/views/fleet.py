"""*Fleet*: all sites of all municipalities as the control room knows them, filtered, with what is
wrong and how old each report is.

Powers in W, energies in Wh; what leaves a battery is positive, import at the meter is positive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from energy.units import JST
from orchestrator.web.reads import Ref, Source
from vpp.room.store import Outcome, Sent, Standing, State, records

PAGE_SITES = 50
"""Sites on a page."""
TOLD = 20
"""The newest instructions that are shown."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which sites are asked for; None: all. Charges are per cent of the capacity."""

    municipality: str | None = None
    kind: str | None = None
    standing: str | None = None
    """`alive`, `lost`, `unheard`, or `alarm`: alive or not, with something wrong."""
    charge_from: int | None = None
    charge_to: int | None = None

    def take(self, site: FleetSite) -> bool:
        """Return whether a site is among them. One whose charge is not known, only if no charge
        is asked for."""
        if self.municipality not in (None, site.municipality) or self.kind not in (None, site.kind):
            return False
        if self.standing == "alarm" and not site.alarms:
            return False
        if self.standing not in (None, "alarm", site.standing):
            return False
        if self.charge_from is None and self.charge_to is None:
            return True
        if site.charge is None:
            return False
        per_cent = site.charge * 100
        most = 100 if self.charge_to is None else self.charge_to
        return (self.charge_from or 0) <= per_cent <= most


@dataclass(frozen=True, slots=True)
class FleetSite:
    """A site as its last report says; figures are None where it said none, or where they are not
    to be seen."""

    site: Ref
    municipality: str
    """As the fleet's register has it, and filters ask for it; its names are in `Town`."""
    kind: str
    standing: str
    age_seconds: int | None
    charge: float | None
    stored_wh: int | None
    capacity_wh: int | None
    battery_w: int | None
    generated_w: int | None
    imported_w: int | None
    target_w: int | None
    charge_w: int | None
    """The most that it may be told to charge with now."""
    discharge_w: int | None
    following: str | None
    call: str
    alarms: tuple[str, ...]
    """Each its name, then a colon and why; the name alone where figures are not to be seen."""


@dataclass(frozen=True, slots=True)
class Town:
    """A municipality: as the fleet's register has it, and its names as far as they are known."""

    municipality: str
    en: str
    ja: str


@dataclass(frozen=True, slots=True)
class Told:
    """An instruction that went out, by whom and why, and what became of it."""

    site: Ref
    action: str
    power_w: int
    made_at: str
    until: str
    by: str
    why: str
    outcome: str
    refused: str


@dataclass(frozen=True, slots=True)
class FleetPage:
    """The fleet now. Without `is_set_up` there is no control room whose store could be read."""

    is_set_up: bool
    is_shown: bool
    """Whether the powers, energies and instructions of all are for who looks; a member sees those
    of the own site, and no sum."""
    at: str | None
    filters: Filters
    towns: tuple[Town, ...]
    kinds: tuple[str, ...]
    registered: int
    alive: int
    lost: int
    unheard: int
    with_alarms: int
    """These count all sites; the sums below those that the filters leave and that are alive."""
    matching: int
    stored_wh: int | None
    capacity_wh: int | None
    battery_w: int | None
    charge_w: int | None
    discharge_w: int | None
    page: int
    pages: int
    sites: tuple[FleetSite, ...]
    told: tuple[Told, ...]


def fleet_view(source: Source, filters: Filters, page: int = 1) -> FleetPage:
    """Return the sites that filters leave, those with something wrong first, a page of them."""
    now = source.now
    states: list[State] = []
    sent: list[Sent] = []
    is_shown = source.viewer.sees_everything
    if source.room is not None:
        with records(source.room) as read:
            states = read.states()
            if is_shown:
                sent = read.instructions(limit=TOLD)
            elif own := [state.site for state in states if _is_shown(source, state)]:
                sent = read.instructions(site=own[0], limit=TOLD)
    sites = [_site(source, state) for state in states]
    matching = _matching(sites, filters)
    summed = [site for site in matching if is_shown and site.standing == Standing.ALIVE.value]
    pages = max(-(-len(matching) // PAGE_SITES), 1)
    page = min(page, pages)
    names = {site.site.number: site.site for site in sites}
    counts = Counter(site.standing for site in sites)
    return FleetPage(
        is_set_up=source.room is not None,
        is_shown=is_shown,
        at=datetime.fromtimestamp(now, JST).isoformat() if source.room else None,
        filters=filters,
        towns=towns_of(source, sites),
        kinds=tuple(sorted({site.kind for site in sites})),
        registered=len(sites),
        alive=counts[Standing.ALIVE.value],
        lost=counts[Standing.LOST.value],
        unheard=counts[Standing.UNHEARD.value],
        with_alarms=sum(bool(site.alarms) for site in sites),
        matching=len(matching),
        stored_wh=_sum([site.stored_wh for site in summed]),
        capacity_wh=_sum([site.capacity_wh for site in summed]),
        battery_w=_sum([site.battery_w for site in summed]),
        charge_w=_sum([site.charge_w for site in summed]),
        discharge_w=_sum([site.discharge_w for site in summed]),
        page=page,
        pages=pages,
        sites=tuple(matching[(page - 1) * PAGE_SITES : page * PAGE_SITES]),
        told=tuple(_told(one, names) for one in sent),
    )


def matching_sites(source: Source, filters: Filters) -> list[FleetSite]:
    """Return all sites that filters leave, as who looks may see them."""
    if source.room is None:
        return []
    with records(source.room) as read:
        states = read.states()
    return _matching([_site(source, state) for state in states], filters)


def _matching(sites: Sequence[FleetSite], filters: Filters) -> list[FleetSite]:
    """Return those that filters leave, what is wrong first."""
    return sorted(filter(filters.take, sites), key=_urgency)


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _urgency(site: FleetSite) -> tuple[bool, bool, str, str]:
    fine = site.standing == Standing.ALIVE.value
    return not site.alarms, fine, site.municipality, site.site.en


def _ref(state: State) -> Ref:
    return Ref(state.site, state.name, state.name_ja or state.name)


def _is_shown(source: Source, state: State) -> bool:
    """Return whether a site's figures are for who looks.

    A member's office is known by number and name: a fleet may count its sites otherwise than the
    market does.
    """
    viewer = source.viewer
    return viewer.sees_everything or (
        viewer.sees_load_of(state.site) and source.ref(state.site).en == state.name
    )


_KINDS_OF_TOWNS = (" City", " Town", " Village")
"""What a register may leave out, as in Japanese the last letter: 仙台市, 仙台."""


def towns_of(source: Source, sites: Sequence[FleetSite]) -> tuple[Town, ...]:
    """Return the municipalities of sites, with their names where the sites file has them."""
    known: dict[str, tuple[str, str]] = {}
    for site in source.setting.sites:
        pair = (site.region_en or site.region, site.region)
        known |= dict.fromkeys(pair, pair)
        if pair[0].endswith(_KINDS_OF_TOWNS):
            brief = (pair[0].rpartition(" ")[0], pair[1][:-1])
            known |= dict.fromkeys(brief, brief)
    names = sorted({site.municipality for site in sites})
    return tuple(Town(one, *known.get(one, (one, one))) for one in names)


def _site(source: Source, state: State) -> FleetSite:
    now, report = source.now, state.report
    age, shown = state.age(now), report if _is_shown(source, state) else None
    alarms = report.alarms if report else ()
    return FleetSite(
        site=_ref(state),
        municipality=state.municipality,
        kind=state.kind,
        standing=state.standing(now).value,
        age_seconds=None if age is None else round(age),
        charge=shown.charge_share if shown else None,
        stored_wh=shown.stored_wh if shown else None,
        capacity_wh=shown.capacity_wh if shown else None,
        battery_w=shown.battery_w if shown else None,
        generated_w=shown.generated_w if shown else None,
        imported_w=shown.imported_w if shown else None,
        target_w=shown.target_w if shown else None,
        charge_w=shown.charge_w if shown else None,
        discharge_w=shown.discharge_w if shown else None,
        following=shown.following.value if shown else None,
        call=shown.call if shown else "",
        alarms=alarms if shown else tuple(alarm.partition(":")[0] for alarm in alarms),
    )


def unnamed(site: int) -> Ref:
    """Return a site that the register does not have any more."""
    return Ref(site, f"Site {site}", f"拠点{site}")


def _told(sent: Sent, names: dict[int, Ref]) -> Told:
    told = sent.instruction
    open_ended = sent.outcome is Outcome.OPEN
    return Told(
        names.get(told.site, unnamed(told.site)),
        told.action.value,
        told.power_w,
        datetime.fromtimestamp(sent.made_at, JST).isoformat(timespec="seconds"),
        datetime.fromtimestamp(told.expires_at if open_ended else told.ends_at, JST).isoformat(),
        sent.by,
        sent.why,
        sent.outcome.value,
        sent.answer.refused if sent.answer else "",
    )

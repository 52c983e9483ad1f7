"""*Audit*: what was checked and by whom: the last audit of the chain, each day's root and who
attests it, and what this page computes again of a day.

Money in microyen, times ISO 8601.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from chain.attesting import day_tree
from energy.attestation import date_of, day_number
from energy.attested import ROOT_BYTES
from energy.errors import SettingError
from energy.lots import Kind
from energy.units import JST, day_of, slots_of
from orchestrator.auditing.audit import findings_kept
from orchestrator.web.reads import Ref, Source, days_of_month, needed_of
from orchestrator.web.views.slot import is_recomputed


@dataclass(frozen=True, slots=True)
class DayRoot:
    """A day of the month: how far it is, and how its sites stand to its root."""

    day: str
    settled_slots: int
    final_slots: int
    root: str | None
    """The root that most sites attest, 24 bytes as the chain keeps it; None: nobody yet."""
    attesting: int
    dissenting: int
    active: int
    needed: int
    """Two thirds of the active sites, rounded up: from so many it stands."""

    @property
    def stands(self) -> bool:
        """Whether enough sites attest it."""
        return self.root is not None and self.attesting >= self.needed


@dataclass(frozen=True, slots=True)
class SiteRoot:
    """What a site attests of the day, and whether that is what this page computes."""

    site: Ref
    root: str | None
    agrees: bool | None


@dataclass(frozen=True, slots=True)
class Check:
    """A rule, looked at again from the store: how many of how many hold; none of none: nothing
    to look at yet."""

    name: str
    holds: int
    of: int

    @property
    def is_fine(self) -> bool:
        """Whether all hold."""
        return self.holds == self.of


@dataclass(frozen=True, slots=True)
class LastAudit:
    """An audit of the chain that ended well: up to which block, and what it counted."""

    block: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Example:
    """A half hour of the day of which a site's use can be proved and traced."""

    site: Ref
    slot: int


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A market's month and a day of it, as an auditor asks."""

    market: str | None
    chain_id: int | None
    origin: str | None
    newest_block: int | None
    newest_block_at: str | None
    final_block: int
    settled_slots: int
    final_slots: int
    last_audit: LastAudit | None
    audit_problem: str | None
    """Why what is kept of an audit cannot be read."""
    month: str
    days: tuple[DayRoot, ...]
    day: str
    root: str | None
    """The day's root, computed again from its rows."""
    sites: tuple[SiteRoot, ...]
    checks: tuple[Check, ...]
    claimed_wh: int | None
    """None where the sum would tell of an office that is not to be seen."""
    example: Example | None
    store: str | None
    """The store that is looked at, as a command names it; None if it is the usual one, or where
    it lies is no concern of who looks."""


def audit_view(source: Source, day: date | None, month: str | None, kept: Path | None) -> AuditPage:
    """Return what can be said of a month, and of a day of it.

    Of a month the newest day that has a root is looked at, if no day is asked for. `kept` is the
    file that an audit left.
    """
    days = _days(source, month or f"{source.day_or_last(day):%Y-%m}")
    rooted = [one.day for one in days if one.root] or [one.day for one in days]
    the_day = day or (date.fromisoformat(rooted[-1]) if rooted else source.day_or_last(None))
    store = source.store
    last = store.last_block()
    chain_id, _, market = (store.setting("market") or "").partition(":")
    root = _computed(source, the_day)
    sites = _sites(source, the_day, root)
    found, problem = _kept(kept)
    newest_at = store.block_time(last[0]) if last else None
    settled = store.slots()
    return AuditPage(
        market=market or None,
        chain_id=int(chain_id) if chain_id else None,
        origin=store.setting("origin"),
        newest_block=last[0] if last else None,
        newest_block_at=datetime.fromtimestamp(newest_at, JST).isoformat() if newest_at else None,
        final_block=store.final_block(),
        settled_slots=len(settled),
        final_slots=len(store.final_slots(range(settled[0], settled[-1] + 1))) if settled else 0,
        last_audit=found,
        audit_problem=problem,
        month=month or f"{the_day:%Y-%m}",
        days=tuple(days),
        day=the_day.isoformat(),
        root="0x" + root.hex() if root else None,
        sites=sites,
        checks=_checks(source, the_day, sites),
        claimed_wh=store.claimed(range(day_number(the_day), day_number(the_day) + 1))
        if source.viewer.sees_sum_of([one.site.number for one in sites])
        else None,
        example=_example(source, the_day),
        store=source.served if source.viewer.sees_everything else None,
    )


def _days(source: Source, month: str) -> list[DayRoot]:
    slots = source.recorded(days_of_month(month))
    if not slots:
        return []
    settled = Counter(day_of(slot) for slot in source.store.slots(slots))
    final = Counter(day_of(slot) for slot in source.store.final_slots(slots))
    first, last = day_number(day_of(slots[0])), day_number(day_of(slots[-1]))
    roots = source.store.roots(range(first, last + 1))
    sites = source.store.sites()
    found = []
    for number in range(first, last + 1):
        day = date_of(number)
        active = [site for site, row in sites.all_at(slots_of(day)[-1]).items() if row["trader"]]
        said = Counter(root[:ROOT_BYTES] for root in roots.get(number, {}).values())
        best = said.most_common(1)[0] if said else None
        found.append(
            DayRoot(
                day.isoformat(),
                settled[day],
                final[day],
                "0x" + best[0].hex() if best else None,
                best[1] if best else 0,
                sum(said.values()) - (best[1] if best else 0),
                len(active),
                needed_of(len(active)),
            )
        )
    return found


def _computed(source: Source, day: date) -> bytes | None:
    try:
        return day_tree(source.store, day).root
    except SettingError:
        return None  # the day is not over, or not settled


def _sites(source: Source, day: date, root: bytes | None) -> tuple[SiteRoot, ...]:
    number = day_number(day)
    roots = source.store.roots(range(number, number + 1)).get(number, {})
    found = []
    for site in source.sites(slots_of(day)[-1]):
        said = roots.get(site)
        agrees = None if said is None or root is None else said[:ROOT_BYTES] == root[:ROOT_BYTES]
        shown = "0x" + said[:ROOT_BYTES].hex() if said else None
        found.append(SiteRoot(source.ref(site), shown, agrees))
    return tuple(found)


def _checks(source: Source, day: date, sites: tuple[SiteRoot, ...]) -> tuple[Check, ...]:
    slots = slots_of(day)
    store = source.store
    settled = set(store.slots(slots))
    sums: Counter[int] = Counter()
    for slot, _, microyen in store.entries(slots):
        sums[slot] += microyen
    cleared = list(store.prices(slots))
    orders = {slot: store.orders(range(slot, slot + 1)) for slot in cleared}
    came = source.measured(slots)
    meters = {(one.slot, one.site): one for one in source.readings(slots)}
    sent: Counter[tuple[int, int]] = Counter()
    for flow in store.flows(slots):
        sent[flow.slot, flow.seller] += flow.energy
    used: Counter[tuple[int, int]] = Counter()
    for row in store.origins("used", slots):
        used[row.slot, row.site] += row.energy
    # A correction after the settlement changes no row: any reading that there was will do.
    said: dict[tuple[int, int], set[int]] = {}
    for one in store.readings(slots):
        said.setdefault((one.slot, one.site), set()).add(one.consumption)
    expected = sum(len(source.sites(slot)) for slot in settled)
    return (
        Check("readings", sum(one.slot in settled for one in came), expected),
        Check(
            "recomputed",
            sum(bool(is_recomputed(source, slot, orders[slot])) for slot in cleared),
            len(cleared),
        ),
        Check("ledger", sum(not sums[slot] for slot in settled), len(settled)),
        Check(
            "delivered",
            sum(key in meters and energy <= meters[key].exported for key, energy in sent.items()),
            len(sent),
        ),
        Check("origins", sum(wh in said.get(key, set()) for key, wh in used.items()), len(used)),
        Check("final", len(store.final_slots(slots)), len(settled)),
        Check("roots", sum(bool(one.agrees) for one in sites), len(sites)),
    )


def _example(source: Source, day: date) -> Example | None:
    """Return where a site used what came from another's roof, through a battery if there is such;
    of those, one that who looks may see, if there is one."""
    traced = source.store.last_traced()
    if traced is None:
        return None
    slots = slots_of(day)
    rows = source.store.origins("used", range(slots.start, min(slots.stop, traced + 1)))
    named = [row for row in rows if row.site in source.names]
    best = max(
        named,
        key=lambda row: (
            source.viewer.sees_load_of(row.site),
            row.through is not None,
            row.origin.kind is Kind.GENERATION and row.origin.site != row.site,
            row.energy,
        ),
        default=None,
    )
    return Example(source.ref(best.site), best.slot) if best else None


def _kept(kept: Path | None) -> tuple[LastAudit | None, str | None]:
    if kept is None:
        return None, None
    try:
        found = findings_kept(kept)
    except SettingError as error:
        return None, str(error)
    return (LastAudit(found[0], found[1].to_json()) if found else None), None

"""Laws of the origin engine on generated slots, and a second engine that moves single Wh.

The second engine keeps a battery as a list of tokens, one a Wh, and pours tokens one by one;
it shares nothing with `energy.origin` but the records and the names of origins.
`YUI_ORIGIN_SITE_SLOTS` says over how many site-slots the laws are held.
"""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.lots import Kind, Lots, Origin
from energy.origin import trace
from energy.records import Quality, Reading, Trade
from energy.rows import End, Holdings, SlotOrigins, ends

TABLES = ("used", "entered", "charged", "drawn", "lost", "utility", "unmetered")
FIRST_SLOT = 1_000
SITE_SLOTS = int(os.environ.get("YUI_ORIGIN_SITE_SLOTS", "20000"))

Choose = Callable[[int, int], int]
"""Choose an integer between two bounds, both included."""
Wh = Counter[tuple[object, ...]]


@dataclass(frozen=True)
class Facts:
    """What is known of a slot."""

    slot: int
    sites: dict[int, int | None]
    readings: list[Reading]
    flows: list[Trade]

    @property
    def metered(self) -> dict[int, Reading]:
        return {r.site: r for r in self.readings if not r.quality & Quality.ASSUMED}

    def flowing(self, seller: int | None = None, buyer: int | None = None) -> int:
        return sum(
            flow.energy
            for flow in self.flows
            if seller in (None, flow.seller) and buyer in (None, flow.buyer)
        )


def slots_of_facts(choose: Choose, count: int, site_count: int, top: int) -> list[Facts]:
    """Make up slots that follow each other; energies are about `top` Wh."""

    def energy() -> int:
        return choose(0, top) if choose(0, 3) else 0

    def efficiency() -> int | None:
        return (None, 1000, 900, choose(1, 999))[choose(0, 3)]

    sites = {site: efficiency() for site in range(site_count)}
    made = []
    for slot in range(FIRST_SLOT, FIRST_SLOT + count):
        if not choose(0, 15):
            changed = choose(0, site_count - 1)
            if not choose(0, 1) and len(sites) > 1:
                sites.pop(changed, None)
            else:
                sites[changed] = efficiency()
        made.append(_facts(choose, slot, dict(sites), energy))
    return made


def _facts(
    choose: Choose, slot: int, sites: dict[int, int | None], energy: Callable[[], int]
) -> Facts:
    readings = []
    for site, efficiency in sites.items():
        read = choose(0, 11)
        if read == 0:
            continue
        if read == 1:
            readings.append(Reading(slot, site, energy(), quality=Quality.ASSUMED))
            continue
        generated = energy()
        battery = bool(efficiency) or not choose(0, 7)
        charged, discharged, stored = (energy(), energy(), energy() * 3) if battery else (0, 0, 0)
        exported = min(energy(), generated + discharged)
        short = exported + charged - generated - discharged
        imported = max(short, 0) + energy()
        readings.append(
            Reading(slot, site, imported, exported, generated, charged, discharged, stored)
        )
    exports = {r.site: r.exported for r in readings if r.exported}
    imports = {r.site: r.imported for r in readings if r.imported}
    imports |= {site: energy() for site in sites if site not in {r.site for r in readings}}
    flows = []
    for _ in range(choose(0, 6)):
        if exports and imports:
            seller = list(exports)[choose(0, len(exports) - 1)]
            buyer = list(imports)[choose(0, len(imports) - 1)]
            moved = choose(0, min(exports[seller], imports[buyer]))
            exports[seller] -= moved
            imports[buyer] -= moved
            flows.append(Trade(slot, seller, buyer, moved))
    return Facts(slot, sites, readings, flows)


@st.composite
def made_up_slots(draw: Callable[..., int]) -> list[Facts]:
    return slots_of_facts(
        lambda low, high: draw(st.integers(low, high)),
        count=draw(st.integers(1, 5)),
        site_count=draw(st.integers(1, 3)),
        top=draw(st.integers(1, 25)),
    )


def traced(
    many: list[Facts], holdings: Holdings | None = None
) -> Iterator[tuple[Facts, Holdings, SlotOrigins, Holdings]]:
    """Trace slots one after the other: facts, holdings before, rows, holdings after."""
    before = holdings or Holdings()
    for facts in many:
        after, slot = trace(before, facts.slot, facts.sites, facts.readings, facts.flows)
        yield facts, before, slot, after
        before = after


def wh(slot: SlotOrigins, *tables: str) -> Wh:
    """Return the Wh of rows by table, site, origin and last battery."""
    return Counter(
        {
            (table, row.site, row.origin, row.through): row.energy
            for table in tables
            for row in getattr(slot, table)
        }
    )


def content(holdings: Holdings) -> Counter[tuple[int, Origin]]:
    """Return the Wh held by battery and origin."""
    held: Counter[tuple[int, Origin]] = Counter()
    for site, lots in holdings.batteries.items():
        for origin, energy in lots:
            held[site, origin] += energy
    return held


# --- laws -----------------------------------------------------------------------------------


def law_consumption_is_the_sum_of_its_origins(facts: Facts, slot: SlotOrigins) -> None:
    """What a site used, summed by origin, equals what its meter says."""
    used: Counter[int] = Counter()
    for row in slot.used:
        used[row.site] += row.energy
    assert +used == +Counter({site: r.consumption for site, r in facts.metered.items()})


def law_charged_is_drawn_lost_or_held(
    facts: Facts, before: Holdings, slot: SlotOrigins, after: Holdings
) -> None:
    """charged = drawn + lost + held for each battery and origin."""
    balance = content(before)
    for row in slot.charged:
        balance[row.site, row.origin] += row.energy
    for row in slot.entered:
        if row.origin.kind == Kind.INITIAL:
            balance[row.site, row.origin] += row.energy
    for row in (*slot.drawn, *slot.lost):
        balance[row.site, row.origin] -= row.energy
    assert min(balance.values(), default=0) >= 0
    assert +balance == content(after)
    for site, reading in facts.metered.items():
        assert sum(r.energy for r in slot.charged if r.site == site) == reading.charged
        unexplained = Origin(Kind.UNEXPLAINED, site, facts.slot)
        assert reading.discharged == sum(r.energy for r in slot.drawn if r.site == site) + sum(
            r.energy for r in slot.entered if r.origin == unexplained
        )


def law_a_battery_holds_no_more_than_it_measures(facts: Facts, after: Holdings) -> None:
    """What is held after a slot is at most ceil(stored x 1000 / e)."""
    for site, reading in facts.metered.items():
        efficiency = facts.sites[site]
        held = sum(lot.energy for lot in after.batteries.get(site, ()))
        assert held <= (ceil(Fraction(reading.stored * 1000, efficiency)) if efficiency else 0)


def law_entries_are_what_the_meters_say(facts: Facts, slot: SlotOrigins) -> None:
    """Generation enters as measured, and from the grid what the flows leave of the import."""
    expected: Counter[Origin] = Counter()
    for site, r in facts.metered.items():
        expected[Origin(Kind.GENERATION, site, facts.slot)] = r.generated
        expected[Origin(Kind.GRID, site, facts.slot)] = r.imported - facts.flowing(buyer=site)
    measured = (Kind.GENERATION, Kind.GRID)
    assert +expected == Counter(
        {row.origin: row.energy for row in slot.entered if row.origin.kind in measured}
    )


def law_imports_are_what_the_flows_say(facts: Facts, slot: SlotOrigins) -> None:
    """What reaches a site from another one is what flowed; the rest goes to the utility."""
    arrived: Counter[tuple[int, int]] = Counter()
    for row in (*slot.used, *slot.charged, *slot.unmetered):
        source = row.origin.site if row.through is None else row.through
        if source != row.site:
            arrived[source, row.site] += row.energy
    flowed: Counter[tuple[int, int]] = Counter()
    for flow in facts.flows:
        if flow.seller != flow.buyer:
            flowed[flow.seller, flow.buyer] += flow.energy
    assert arrived == +flowed
    exported: Counter[int] = Counter()
    for row in slot.utility:
        exported[row.site] += row.energy
    assert exported == +Counter(
        {site: r.exported - facts.flowing(seller=site) for site, r in facts.metered.items()}
    )


def law_no_circle(facts: Facts, slot: SlotOrigins) -> None:
    """What leaves a site was generated there in the slot or comes from its battery."""
    for row in (*slot.used, *slot.charged, *slot.unmetered, *slot.utility):
        assert row.origin.slot <= facts.slot
        if row.through is None:
            assert row.origin.slot == facts.slot
            if row.origin.kind == Kind.GRID:
                assert row.origin.site == row.site
                assert row not in slot.utility
            else:
                assert row.origin.kind == Kind.GENERATION
        elif row.origin.slot == facts.slot:
            # Through a battery within a slot: its own roof, or what it cannot explain.
            assert row.origin.site == row.through
            assert row.origin.kind != Kind.GRID
    for row in slot.utility:
        assert row.site == (row.origin.site if row.through is None else row.through)


def law_each_wh_ends_once(slots: list[SlotOrigins], after: Holdings) -> None:
    """Each Wh that entered is used here, used there, held, lost, exported or unmetered."""
    entered: Counter[Origin] = Counter()
    for slot in slots:
        for row in slot.entered:
            entered[row.origin] += row.energy
    ended = {origin: sum(by_end.values()) for origin, by_end in ends(slots, after).items()}
    assert ended == dict(entered)
    for origin, by_end in ends(slots, after).items():
        for end, site in by_end:
            assert end != End.USED_HERE or site == origin.site
            assert end != End.USED_THERE or site != origin.site


def assert_laws(many: list[Facts]) -> None:
    slots = []
    after = Holdings()
    for facts, before, slot, after in traced(many):
        law_consumption_is_the_sum_of_its_origins(facts, slot)
        law_charged_is_drawn_lost_or_held(facts, before, slot, after)
        law_a_battery_holds_no_more_than_it_measures(facts, after)
        law_entries_are_what_the_meters_say(facts, slot)
        law_imports_are_what_the_flows_say(facts, slot)
        law_no_circle(facts, slot)
        assert set(slot.unread) == set(facts.sites) - set(facts.metered)
        assert min((row.energy for table in TABLES for row in getattr(slot, table)), default=1) > 0
        slots.append(slot)
    law_each_wh_ends_once(slots, after)


@settings(max_examples=100, deadline=None)
@given(made_up_slots())
def test_the_laws_hold(many: list[Facts]) -> None:
    assert_laws(many)


def test_the_laws_hold_over_long_runs_of_many_sites() -> None:
    for seed in range(-(-SITE_SLOTS // (60 * 7))):
        assert_laws(slots_of_facts(random.Random(seed).randint, 60, 7, 10 ** (1 + seed % 5)))


@settings(max_examples=50, deadline=None)
@given(made_up_slots(), st.randoms())
def test_a_trace_resumed_at_any_slot_gives_the_same_rows(
    many: list[Facts], rng: random.Random
) -> None:
    straight = list(traced(many))
    at = rng.randrange(len(many))
    saved = Holdings.from_json(straight[at][1].to_json())
    for facts in many[at:]:
        rng.shuffle(facts.readings)
    resumed = list(traced(many[at:], saved))
    assert [step[2:] for step in resumed] == [step[2:] for step in straight[at:]]


# --- the second engine ----------------------------------------------------------------------

Token = tuple[Origin, int | None]


def largest(limit: int, room: int, efficiency: int) -> int:
    """Return the largest delivery up to `limit` that consumes no more than `room` Wh."""
    delivery = 0
    while delivery < limit and ceil(Fraction((delivery + 1) * 1000, efficiency)) <= room:
        delivery += 1
    return delivery


def by_tokens(
    batteries: dict[int, list[Origin]], facts: Facts
) -> tuple[dict[int, list[Origin]], Wh]:
    """Trace a slot Wh by Wh; return what the batteries hold, and the rows as Wh."""
    count: Wh = Counter()
    batteries = {site: list(held) for site, held in batteries.items()}
    for site in list(batteries):
        if not facts.sites.get(site):
            count.update(("lost", site, origin, None) for origin in batteries.pop(site))
    shelves: dict[int, list[str]] = {}
    exports: dict[int, list[Token]] = defaultdict(list)
    charged: dict[int, list[Origin]] = defaultdict(list)

    def put(site: int, token: Token) -> None:
        shelf = shelves[site].pop(0)
        count[shelf, site, *token] += 1
        if shelf == "charged":
            charged[site].append(token[0])

    for site, r in facts.metered.items():
        efficiency = facts.sites[site]
        sun = Origin(Kind.GENERATION, site, facts.slot)
        count["entered", site, sun, None] += r.generated
        discharge: list[Token] = []
        passed = 0
        if efficiency:
            if site not in batteries:
                rate = Fraction(1000, efficiency)
                before = ceil(r.stored * rate) - r.charged + ceil(r.discharged * rate)
                batteries[site] = [Origin(Kind.INITIAL, site, facts.slot)] * max(0, before)
                count.update(("entered", site, origin, None) for origin in batteries[site])
            held = batteries[site]
            local = r.generated + r.discharged - r.exported
            first = largest(r.discharged, len(held), efficiency)
            room = min(r.charged, r.generated, local)
            second = largest(r.discharged - first, room, efficiency)
            passed = ceil(Fraction(second * 1000, efficiency))
            count["charged", site, sun, None] += passed
            for delivery, tokens in (
                (first, held[: ceil(Fraction(first * 1000, efficiency))]),
                (second, [sun] * passed),
            ):
                for number, origin in enumerate(tokens):
                    step, next_step = (
                        floor(Fraction(delivery * n, len(tokens))) for n in (number, number + 1)
                    )
                    if step < next_step:
                        discharge.append((origin, site))
                        count["drawn", site, origin, site] += 1
                    else:
                        count["lost", site, origin, None] += 1
            del held[: ceil(Fraction(first * 1000, efficiency))]
        unknown = (Origin(Kind.UNEXPLAINED, site, facts.slot), site)
        while len(discharge) < r.discharged:
            discharge.append(unknown)
            count["entered", site, *unknown] += 1
        shelves[site] = ["used"] * r.consumption + ["charged"] * (r.charged - passed)
        sources: list[Token] = [(sun, None)] * (r.generated - passed) + discharge
        while len(sources) > r.exported:
            put(site, sources.pop(0))
        exports[site] = sources

    arriving: dict[int, list[Token]] = defaultdict(list)
    for flow in facts.flows:
        for _ in range(flow.energy):
            arriving[flow.buyer].append(exports[flow.seller].pop(0))
    for site, left in exports.items():
        count.update(("utility", site, *token) for token in left)
    for site, arrived in arriving.items():
        if site not in facts.metered:
            count.update(("unmetered", site, *token) for token in arrived)
    for site, r in facts.metered.items():
        bought: Token = (Origin(Kind.GRID, site, facts.slot), None)
        for token in arriving[site]:
            put(site, token)
        for _ in range(r.imported - len(arriving[site])):
            put(site, bought)
            count["entered", site, *bought] += 1
        assert shelves[site] == []
        efficiency = facts.sites[site]
        full = batteries.get(site, []) + charged[site]
        while len(full) > (ceil(Fraction(r.stored * 1000, efficiency)) if efficiency else 0):
            count["lost", site, full.pop(0), None] += 1
        if efficiency:
            batteries[site] = full
    return batteries, +count


def tokens_of(lots: Lots) -> list[Origin]:
    return [origin for origin, energy in lots for _ in range(energy)]


def assert_same_as_by_tokens(many: list[Facts]) -> None:
    batteries: dict[int, list[Origin]] = {}
    for facts, _, slot, after in traced(many):
        batteries, counted = by_tokens(batteries, facts)
        assert wh(slot, *TABLES) == counted
        assert {site: tokens_of(lots) for site, lots in after.batteries.items()} == batteries


@settings(max_examples=100, deadline=None)
@given(made_up_slots())
def test_single_wh_moved_one_by_one_give_the_same_rows(many: list[Facts]) -> None:
    assert_same_as_by_tokens(many)


@pytest.mark.parametrize("seed", range(20))
def test_single_wh_give_the_same_rows_over_long_runs(seed: int) -> None:
    assert_same_as_by_tokens(slots_of_facts(random.Random(seed).randint, 40, 4, 5 + seed * 5))

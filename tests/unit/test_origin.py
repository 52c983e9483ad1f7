"""The origin engine on worked examples: each number can be followed by hand."""

from __future__ import annotations

from datetime import date

import pytest

from energy.errors import AuditError, SettingError
from energy.lots import Kind, Lot, Origin
from energy.origin import trace
from energy.records import Quality, Reading, Trade
from energy.rows import End, Holdings, Row, SlotOrigins, ends
from energy.units import slots_of

OGAWARA, SENDAI, TOME, KESENNUMA = 0, 1, 4, 6
NOON = slots_of(date(2019, 6, 4))[24]
SITES = {OGAWARA: None, SENDAI: None, TOME: None, KESENNUMA: 900}
EMPTY_BATTERY = Holdings(NOON - 1, {KESENNUMA: ()})


def roof(site: int, slot: int = NOON) -> Origin:
    return Origin(Kind.GENERATION, site, slot)


def grid(site: int, slot: int = NOON) -> Origin:
    return Origin(Kind.GRID, site, slot)


def trace_kesennuma(
    reading: Reading, holdings: Holdings = EMPTY_BATTERY, efficiency: int | None = 900
) -> tuple[Holdings, SlotOrigins]:
    return trace(holdings, NOON, {KESENNUMA: efficiency}, [reading], [])


def test_noon_energy_of_tome_lights_kesennuma_in_the_evening_through_its_battery() -> None:
    evening = NOON + 1
    at_noon = [
        Reading(NOON, TOME, exported=10_500, generated=12_000),
        Reading(NOON, KESENNUMA, imported=11_000, charged=10_000, stored=9_000),
    ]
    bought = [Trade(NOON, TOME, KESENNUMA, 10_500)]
    holdings, noon = trace(EMPTY_BATTERY, NOON, SITES, at_noon, bought)
    # Kesennuma uses 1,000 Wh, first in the pour; 9,500 of Tome's Wh and 500 of the grid's
    # are left for its battery.
    assert noon.used == (
        Row(NOON, TOME, 1_500, roof(TOME)),
        Row(NOON, KESENNUMA, 1_000, roof(TOME)),
    )
    assert noon.charged == (
        Row(NOON, KESENNUMA, 9_500, roof(TOME)),
        Row(NOON, KESENNUMA, 500, grid(KESENNUMA)),
    )
    assert holdings.batteries == {KESENNUMA: (Lot(roof(TOME), 9_500), Lot(grid(KESENNUMA), 500))}
    # 8,100 Wh delivered consume 9,000 Wh of the oldest lot.
    in_the_evening = [Reading(evening, KESENNUMA, discharged=8_100, stored=900)]
    holdings, later = trace(holdings, evening, SITES, in_the_evening, [])
    assert later.used == (Row(evening, KESENNUMA, 8_100, roof(TOME), KESENNUMA),)
    assert later.lost == (Row(evening, KESENNUMA, 900, roof(TOME)),)
    assert ends([noon, later], holdings)[roof(TOME)] == {
        (End.USED_HERE, TOME): 1_500,
        (End.USED_THERE, KESENNUMA): 1_000 + 8_100,
        (End.LOST, KESENNUMA): 900,
        (End.HELD, KESENNUMA): 500,
    }


def test_stored_energy_that_is_sold_keeps_its_origin_when_it_reaches_the_buyer() -> None:
    holdings = Holdings(NOON - 1, {KESENNUMA: (Lot(roof(TOME, NOON - 9), 1_000),)})
    readings = [
        Reading(NOON, KESENNUMA, exported=900, discharged=900),
        Reading(NOON, SENDAI, imported=600),
    ]
    flows = [Trade(NOON, KESENNUMA, SENDAI, 600)]
    _, slot = trace(holdings, NOON, SITES, readings, flows)
    assert slot.used == (Row(NOON, SENDAI, 600, roof(TOME, NOON - 9), KESENNUMA),)
    assert slot.utility == (Row(NOON, KESENNUMA, 300, roof(TOME, NOON - 9), KESENNUMA),)


def test_the_last_of_two_batteries_is_named() -> None:
    sites = {TOME: 800, KESENNUMA: 900}
    noon = roof(OGAWARA, NOON - 9)
    holdings = Holdings(NOON - 1, {TOME: (Lot(noon, 100),), KESENNUMA: ()})
    holdings, first = trace(
        holdings,
        NOON,
        sites,
        [
            Reading(NOON, TOME, exported=80, discharged=80),
            Reading(NOON, KESENNUMA, imported=80, charged=80, stored=72),
        ],
        [Trade(NOON, TOME, KESENNUMA, 80)],
    )
    assert first.charged == (Row(NOON, KESENNUMA, 80, noon, TOME),)
    _, second = trace(holdings, NOON + 1, sites, [Reading(NOON + 1, KESENNUMA, discharged=72)], [])
    assert second.used == (Row(NOON + 1, KESENNUMA, 72, noon, KESENNUMA),)


def test_generation_is_poured_before_discharge_and_consumption_before_charge() -> None:
    # L = 30 + 18 - 8 = 40: generation 30 and discharge 10 into consumption 35, charge 5;
    # the export is the discharge's last 8; the import of 5 fills the rest of the charge.
    holdings = Holdings(NOON - 1, {KESENNUMA: (Lot(roof(TOME, NOON - 9), 100),)})
    reading = Reading(
        NOON,
        KESENNUMA,
        imported=5,
        exported=8,
        generated=30,
        charged=10,
        discharged=18,
        stored=99,
    )
    assert reading.consumption == 35
    after, slot = trace_kesennuma(reading, holdings)
    stored_at_noon = roof(TOME, NOON - 9)
    assert slot.used == (
        Row(NOON, KESENNUMA, 30, roof(KESENNUMA)),
        Row(NOON, KESENNUMA, 5, stored_at_noon, KESENNUMA),
    )
    assert slot.charged == (
        Row(NOON, KESENNUMA, 5, stored_at_noon, KESENNUMA),
        Row(NOON, KESENNUMA, 5, grid(KESENNUMA)),
    )
    assert slot.utility == (Row(NOON, KESENNUMA, 8, stored_at_noon, KESENNUMA),)
    assert after.batteries[KESENNUMA] == (
        Lot(stored_at_noon, 85),
        Lot(grid(KESENNUMA), 5),
    )


def test_exports_and_imports_are_split_over_flows_in_their_order() -> None:
    holdings = Holdings(NOON - 1, {KESENNUMA: (Lot(grid(KESENNUMA, NOON - 9), 100),)})
    readings = [
        Reading(NOON, KESENNUMA, exported=100, generated=60, discharged=45, stored=45),
        Reading(NOON, TOME, exported=20, generated=20),
        Reading(NOON, SENDAI, imported=90),
        Reading(NOON, OGAWARA, imported=40),
    ]
    flows = [
        Trade(NOON, KESENNUMA, SENDAI, 50),
        Trade(NOON, TOME, SENDAI, 15),
        Trade(NOON, KESENNUMA, OGAWARA, 30),
    ]
    _, slot = trace(holdings, NOON, SITES, readings, flows)
    stored = grid(KESENNUMA, NOON - 9)
    assert slot.used == (
        Row(NOON, OGAWARA, 5, roof(KESENNUMA)),
        Row(NOON, OGAWARA, 25, stored, KESENNUMA),
        Row(NOON, OGAWARA, 10, grid(OGAWARA)),
        Row(NOON, SENDAI, 50, roof(KESENNUMA)),
        Row(NOON, SENDAI, 15, roof(TOME)),
        Row(NOON, SENDAI, 25, grid(SENDAI)),
        Row(NOON, KESENNUMA, 5, roof(KESENNUMA)),
    )
    assert slot.utility == (
        Row(NOON, TOME, 5, roof(TOME)),
        Row(NOON, KESENNUMA, 20, stored, KESENNUMA),
    )


def test_a_site_that_meets_itself_in_the_pool_uses_its_own_generation() -> None:
    readings = [Reading(NOON, TOME, imported=10, exported=10, generated=10)]
    _, slot = trace(EMPTY_BATTERY, NOON, SITES, readings, [Trade(NOON, TOME, TOME, 7)])
    assert slot.used == (Row(NOON, TOME, 7, roof(TOME)), Row(NOON, TOME, 3, grid(TOME)))
    assert slot.utility == (Row(NOON, TOME, 3, roof(TOME)),)


def test_delivered_energy_is_split_over_lots_by_cumulative_rounding() -> None:
    # 13 Wh at 900 per mille consume 15: three lots of 5 deliver 13*5//15 = 4,
    # 13*10//15 - 4 = 4 and 13 - 8 = 5.
    lots = tuple(Lot(roof(TOME, NOON - age), 5) for age in (9, 8, 7, 6))
    after, slot = trace_kesennuma(
        Reading(NOON, KESENNUMA, discharged=13, stored=4), Holdings(NOON - 1, {KESENNUMA: lots})
    )
    assert [row.energy for row in slot.used] == [4, 4, 5]
    assert [row.energy for row in slot.lost] == [1, 1]
    assert after.batteries[KESENNUMA] == lots[3:]


def test_a_discharge_beyond_the_lots_passes_through_from_generation_then_is_unexplained() -> None:
    # Lots of 10 deliver 9. Of the generation min(charged, generated, L) = min(20, 30, 50) = 20
    # can deliver 18. The last 3 of the discharge of 30 are unexplained.
    holdings = Holdings(NOON - 1, {KESENNUMA: (Lot(roof(TOME, NOON - 9), 10),)})
    reading = Reading(
        NOON, KESENNUMA, exported=10, generated=30, charged=20, discharged=30, imported=0
    )
    after, slot = trace_kesennuma(reading, holdings)
    unexplained = Origin(Kind.UNEXPLAINED, KESENNUMA, NOON)
    assert slot.drawn == (
        Row(NOON, KESENNUMA, 9, roof(TOME, NOON - 9), KESENNUMA),
        Row(NOON, KESENNUMA, 18, roof(KESENNUMA), KESENNUMA),
    )
    assert slot.lost == (
        Row(NOON, KESENNUMA, 1, roof(TOME, NOON - 9)),
        Row(NOON, KESENNUMA, 2, roof(KESENNUMA)),
    )
    assert slot.charged == (Row(NOON, KESENNUMA, 20, roof(KESENNUMA)),)
    assert slot.used == (
        Row(NOON, KESENNUMA, 10, roof(KESENNUMA)),
        Row(NOON, KESENNUMA, 9, roof(TOME, NOON - 9), KESENNUMA),
        Row(NOON, KESENNUMA, 11, roof(KESENNUMA), KESENNUMA),
    )
    assert slot.utility == (
        Row(NOON, KESENNUMA, 7, roof(KESENNUMA), KESENNUMA),
        Row(NOON, KESENNUMA, 3, unexplained, KESENNUMA),
    )
    assert Row(NOON, KESENNUMA, 3, unexplained) in [
        Row(row.slot, row.site, row.energy, row.origin) for row in slot.entered
    ]
    assert after.batteries[KESENNUMA] == ()


def test_what_is_held_beyond_the_measured_charge_is_lost_oldest_first() -> None:
    lots = (Lot(roof(TOME, NOON - 9), 60), Lot(roof(TOME, NOON - 8), 60))
    after, slot = trace_kesennuma(
        Reading(NOON, KESENNUMA, stored=46), Holdings(NOON - 1, {KESENNUMA: lots})
    )
    # 46 Wh that can be delivered stand for ceil(46 * 1000 / 900) = 52 Wh of lots.
    assert slot.lost == (
        Row(NOON, KESENNUMA, 60, roof(TOME, NOON - 9)),
        Row(NOON, KESENNUMA, 8, roof(TOME, NOON - 8)),
    )
    assert after.batteries[KESENNUMA] == (Lot(roof(TOME, NOON - 8), 52),)


def test_the_stock_at_the_first_reading_is_initial_and_what_is_charged_then_is_not() -> None:
    reading = Reading(NOON, KESENNUMA, imported=100, charged=100, discharged=90, stored=900)
    after, slot = trace_kesennuma(reading, Holdings())
    initial = Origin(Kind.INITIAL, KESENNUMA, NOON)
    # ceil(900 / 0.9) - 100 + ceil(90 / 0.9)
    assert Row(NOON, KESENNUMA, 1_000, initial) in slot.entered
    assert slot.used == (Row(NOON, KESENNUMA, 90, initial, KESENNUMA),)
    assert slot.lost == (Row(NOON, KESENNUMA, 10, initial),)
    assert after.batteries[KESENNUMA] == (Lot(initial, 900), Lot(grid(KESENNUMA), 100))


def test_a_battery_once_read_empty_has_no_initial_stock_later() -> None:
    holdings, _ = trace_kesennuma(Reading(NOON, KESENNUMA), Holdings())
    reading = Reading(NOON + 1, KESENNUMA, imported=0, discharged=5, stored=50)
    _, slot = trace(holdings, NOON + 1, {KESENNUMA: 900}, [reading], [])
    assert [row.origin.kind for row in slot.used] == [Kind.UNEXPLAINED]


@pytest.mark.parametrize("absent", [[], [Reading(NOON, SENDAI, 70, quality=Quality.ASSUMED)]])
def test_a_site_without_a_reading_is_named_and_has_no_rows(absent: list[Reading]) -> None:
    readings = [Reading(NOON, TOME, exported=70, generated=70), *absent]
    sites = {SENDAI: None, TOME: None, KESENNUMA: 900}
    holdings = Holdings(NOON - 1, {KESENNUMA: (Lot(roof(TOME, NOON - 9), 10),)})
    after, slot = trace(holdings, NOON, sites, readings, [Trade(NOON, TOME, SENDAI, 70)])
    assert slot.unread == (SENDAI, KESENNUMA)
    assert slot.used == ()
    assert slot.unmetered == (Row(NOON, SENDAI, 70, roof(TOME)),)
    assert after.batteries == holdings.batteries
    assert ends([slot], after)[roof(TOME)] == {(End.UNMETERED, SENDAI): 70}


@pytest.mark.parametrize("sites", [{TOME: None}, {TOME: None, KESENNUMA: None}])
def test_a_battery_that_is_gone_loses_what_it_held(sites: dict[int, int | None]) -> None:
    holdings = Holdings(NOON - 1, {KESENNUMA: (Lot(roof(TOME, NOON - 9), 10),)})
    after, slot = trace(holdings, NOON, sites, [], [])
    assert slot.lost == (Row(NOON, KESENNUMA, 10, roof(TOME, NOON - 9)),)
    assert after.batteries == {}


def test_a_battery_that_comes_back_has_its_first_reading_again() -> None:
    away, _ = trace(EMPTY_BATTERY, NOON, {}, [], [])
    reading = Reading(NOON + 1, KESENNUMA, stored=90)
    back, _ = trace(away, NOON + 1, {KESENNUMA: 900}, [reading], [])
    initial = Origin(Kind.INITIAL, KESENNUMA, NOON + 1)
    assert back.batteries[KESENNUMA] == (Lot(initial, 100),)


def test_a_battery_without_an_efficiency_loses_its_charge_and_explains_no_discharge() -> None:
    reading = Reading(NOON, KESENNUMA, imported=10, charged=4, discharged=3, stored=99)
    after, slot = trace_kesennuma(reading, Holdings(), efficiency=0)
    assert slot.lost == (Row(NOON, KESENNUMA, 4, grid(KESENNUMA)),)
    assert {row.origin.kind: row.energy for row in slot.used} == {
        Kind.UNEXPLAINED: 3,
        Kind.GRID: 6,
    }
    assert after.batteries == {}


def test_holdings_are_saved_and_read_back() -> None:
    reading = Reading(NOON, KESENNUMA, imported=10, charged=10, stored=900)
    holdings, _ = trace_kesennuma(reading, Holdings())
    read = Holdings.from_json(holdings.to_json())
    assert read == holdings
    assert read.rows() == [
        Row(NOON, KESENNUMA, 990, Origin(Kind.INITIAL, KESENNUMA, NOON)),
        Row(NOON, KESENNUMA, 10, grid(KESENNUMA)),
    ]
    assert Holdings.from_json(Holdings().to_json()) == Holdings()
    assert Holdings().rows() == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"slot":1,"batteries":{"6":[[9,0,0,1]]}}', '{"slot":1,"batteries":7}']
)
def test_holdings_that_nobody_saved_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="saved holdings must be as written"):
        Holdings.from_json(text)


@pytest.mark.parametrize(
    ("reading", "told"),
    [
        (Reading(NOON + 1, TOME), f"a reading's slot must be {NOON}, got {NOON + 1}"),
        (Reading(NOON, 9), f"a reading's site must be active in slot {NOON}, got site 9"),
        (Reading(NOON, TOME, exported=3, generated=2), "must be at most 2, got 3 Wh"),
        (Reading(NOON, TOME, charged=3, generated=2), "must be at least 0, got -1 Wh"),
        (Reading(NOON, KESENNUMA), "must be at most 1000, got 1001 per mille"),
        (Reading(NOON, OGAWARA), "site 0 must have one reading"),
    ],
)
def test_a_reading_that_cannot_be_is_named(reading: Reading, told: str) -> None:
    sites = {OGAWARA: None, TOME: None, KESENNUMA: 1_001}
    with pytest.raises(AuditError, match=told):
        trace(Holdings(), NOON, sites, [Reading(NOON, OGAWARA), reading], [])


@pytest.mark.parametrize(
    ("flow", "told"),
    [
        (Trade(NOON + 1, TOME, OGAWARA, 1), f"a flow's slot must be {NOON}, got {NOON + 1}"),
        (Trade(NOON, TOME, 9, 1), f"a flow's buyer must be active in slot {NOON}, got 9"),
        (Trade(NOON, SENDAI, OGAWARA, 1), "flows from site 1 .* must be at most 0, got 1 Wh"),
        (Trade(NOON, TOME, KESENNUMA, 3), "flows from site 4 .* must be at most 8, got 9 Wh"),
        (Trade(NOON, TOME, OGAWARA, 2), "flows to site 0 .* must be at most 7, got 8 Wh"),
    ],
)
def test_a_flow_that_cannot_be_is_named(flow: Trade, told: str) -> None:
    readings = [
        Reading(NOON, TOME, exported=8, generated=9),
        Reading(NOON, OGAWARA, imported=7),
        Reading(NOON, KESENNUMA, imported=7),
    ]
    with pytest.raises(AuditError, match=told):
        trace(Holdings(), NOON, SITES, readings, [Trade(NOON, TOME, OGAWARA, 6), flow])


def test_a_slot_out_of_order_is_refused() -> None:
    with pytest.raises(AuditError, match=f"the slot to trace must be {NOON}, got {NOON + 1}"):
        trace(EMPTY_BATTERY, NOON + 1, SITES, [], [])

"""Where each Wh came from, and where it went: readings and settled flows in, rows out.

Energies are Wh, efficiencies per mille, all integers. `trace` is a pure function from what
the batteries held before a slot to what they hold after it, and the slot's rows; whoever
keeps the `Holdings` of a slot can go on from there, or go back to it.

In a slot every site's energy is poured, stream into vessels, each vessel filled before the next:

    generation, then discharge  ->  the first L of (consumption, then charge), then the export
    export                      ->  outgoing flows in order, then the utility
    incoming flows in order,
      then the utility          ->  the rest of (consumption, then charge)

with L = generated + discharged - exported. A discharge comes from the lots held at the
slot's start, then straight through from the same slot's generation, and beyond that is
unexplained (see `_discharge`). All exports are composed before any import, and an export
holds nothing imported in its slot: there is no circle.

What happens when something is out of the ordinary:

- *A site without a reading* (or with one that settlement assumed) has no rows and is named
  in `unread`; its battery's lots stay as they are. What flowed to it is `unmetered`.
- *A slot that was never settled*, as a later one took its place in the ring, is traced with no
  reading and no flow: it can hold neither an order nor a reading.
- *A first reading of a battery* finds the lots of `lots.initial_charge`, of kind initial.
- *A battery or site that is gone* (no efficiency, or no longer among the active sites) loses
  what it held. If it comes back, that is a first reading again.
- *A battery exchanged for another one*: if it holds less, the difference is lost; if it
  holds more, that is unexplained when it is discharged.
- *A battery without a registered efficiency* loses what it charges; its discharge is
  unexplained.
- *A correction after settlement* changes no row: flows and rows are those of the readings
  that the slot was settled with, as the correction is between its site and the utility alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from energy.errors import AuditError
from energy.lots import (
    Kind,
    Lot,
    Lots,
    Origin,
    add,
    charge_for,
    delivery_of,
    draw,
    initial_charge,
    take,
    total,
)
from energy.records import Quality, Reading, Trade
from energy.rows import Holdings, Row, SlotOrigins


class _Piece(NamedTuple):
    """Wh on their way: their origin and the battery they last left."""

    origin: Origin
    through: int | None
    energy: int


class _Poured(NamedTuple):
    """A site of which generation and discharge are poured, and imports are not."""

    exports: list[list[_Piece]]
    charge: list[_Piece]
    lots: Lots
    unfilled: tuple[int, int]
    """What is left of (consumption, charge), in Wh."""


def trace(
    holdings: Holdings,
    slot: int,
    sites: Mapping[int, int | None],
    readings: Iterable[Reading],
    flows: Sequence[Trade],
) -> tuple[Holdings, SlotOrigins]:
    """Trace a slot: return what the batteries hold after it, and its rows.

    `slot` is the one after `holdings.slot`. `sites` gives every active site's round-trip
    efficiency in per mille (None or 0 without a battery), `readings` those that the slot was
    settled with, in any order, `flows` what moved between sites: the trades' deliveries in
    their order, then the pool's. What the flows leave of imports and exports is the utility's.

    Raises:
        AuditError: if the facts contradict each other: another slot, an unknown site, a
            second reading, more energy out of a site than in, a flow beyond what its seller
            exported or its buyer imported.
    """
    if holdings.slot is not None and slot != holdings.slot + 1:
        raise AuditError(f"the slot to trace must be {holdings.slot + 1}, got {slot}")
    metered = _metered(slot, sites, readings)
    sales, bought = _sales_and_purchases(slot, sites, metered, flows)
    batteries = dict(holdings.batteries)
    rows = _Rows(slot)

    poured: dict[int, _Poured] = {}
    moved: dict[int, list[_Piece]] = {}
    for site, reading in metered.items():
        sold = [flows[index].energy for index in sales[site]]
        poured[site] = _pour_local(reading, sites[site] or 0, batteries.get(site), sold, rows)
        *delivered, to_utility = poured[site].exports
        moved.update(zip(sales[site], delivered, strict=True))
        rows.put("utility", site, to_utility)

    incoming: dict[int, list[_Piece]] = defaultdict(list)
    for index, flow in enumerate(flows):
        if not flow.energy:
            continue
        if flow.buyer in metered:
            incoming[flow.buyer] += moved[index]
        else:
            rows.put("unmetered", flow.buyer, moved[index])

    for site, reading in metered.items():
        grid = _Piece(Origin(Kind.GRID, site, slot), None, reading.imported - bought[site])
        rows.put("entered", site, [grid])
        imports = [*incoming[site], grid]
        batteries[site] = _pour_import(reading, sites[site] or 0, poured[site], imports, rows)

    for site in [site for site in batteries if not sites.get(site)]:
        rows.put_lots("lost", site, batteries.pop(site))
    unread = tuple(sorted(set(sites) - set(metered)))
    return Holdings(slot, batteries), rows.gathered(unread)


def _metered(
    slot: int, sites: Mapping[int, int | None], readings: Iterable[Reading]
) -> dict[int, Reading]:
    """Return the measured readings by site."""
    metered: dict[int, Reading] = {}
    for reading in readings:
        site = reading.site
        if reading.slot != slot:
            raise AuditError(f"a reading's slot must be {slot}, got {reading.slot}")
        if site not in sites:
            raise AuditError(f"a reading's site must be active in slot {slot}, got site {site}")
        if site in metered:
            raise AuditError(f"site {site} must have one reading in slot {slot}, got two")
        if (sites[site] or 0) > 1000:
            raise AuditError(
                f"the efficiency of site {site} must be at most 1000, got {sites[site]} per mille"
            )
        if reading.exported > reading.generated + reading.discharged:
            raise AuditError(
                f"the export of site {site} in slot {slot} must be at most "
                f"{reading.generated + reading.discharged}, got {reading.exported} Wh"
            )
        if reading.consumption < 0:
            raise AuditError(
                f"the consumption of site {site} in slot {slot} must be at least 0, "
                f"got {reading.consumption} Wh"
            )
        if not reading.quality & Quality.ASSUMED:
            metered[site] = reading
    return metered


def _sales_and_purchases(
    slot: int,
    sites: Mapping[int, int | None],
    metered: Mapping[int, Reading],
    flows: Sequence[Trade],
) -> tuple[dict[int, list[int]], dict[int, int]]:
    """Return each seller's flows, as indices in their order, and each buyer's Wh."""
    sales: dict[int, list[int]] = defaultdict(list)
    sold: dict[int, int] = defaultdict(int)
    bought: dict[int, int] = defaultdict(int)
    for index, flow in enumerate(flows):
        if flow.slot != slot:
            raise AuditError(f"a flow's slot must be {slot}, got {flow.slot}")
        if not flow.energy:
            continue
        if flow.buyer not in sites:
            raise AuditError(f"a flow's buyer must be active in slot {slot}, got {flow.buyer}")
        sales[flow.seller].append(index)
        sold[flow.seller] += flow.energy
        bought[flow.buyer] += flow.energy
    for site, energy in sold.items():
        exported = metered[site].exported if site in metered else 0
        if energy > exported:
            raise AuditError(
                f"the flows from site {site} in slot {slot} must be at most {exported}, "
                f"got {energy} Wh"
            )
    for site, energy in bought.items():
        if site in metered and energy > metered[site].imported:
            raise AuditError(
                f"the flows to site {site} in slot {slot} must be at most "
                f"{metered[site].imported}, got {energy} Wh"
            )
    return sales, bought


def _pour_local(
    reading: Reading, efficiency: int, held: Lots | None, sold: Sequence[int], rows: _Rows
) -> _Poured:
    """Pour a site's generation and discharge; `sold` are its outgoing flows in order."""
    site, slot = reading.site, reading.slot
    if held is None:
        held = _found(reading, efficiency)
        rows.put_lots("entered", site, held)
    roof = Origin(Kind.GENERATION, site, slot)
    rows.put("entered", site, [_Piece(roof, None, reading.generated)])

    local = reading.generated + reading.discharged - reading.exported
    discharge, lots, passed = _discharge(reading, local, efficiency, held, rows)
    local -= passed
    to_charge = reading.charged - passed
    own_use = min(reading.consumption, local)
    own_charge = local - own_use
    used, charge, *exports = _pour(
        [_Piece(roof, None, reading.generated - passed), *discharge],
        [own_use, own_charge, *sold, reading.exported - sum(sold)],
    )
    rows.put("used", site, used)
    rows.put("charged", site, charge)
    return _Poured(exports, charge, lots, (reading.consumption - own_use, to_charge - own_charge))


def _pour_import(
    reading: Reading, efficiency: int, poured: _Poured, imports: list[_Piece], rows: _Rows
) -> Lots:
    """Pour a site's imports into what is left, and return what its battery holds then."""
    used, charge = _pour(imports, poured.unfilled)
    rows.put("used", reading.site, used)
    rows.put("charged", reading.site, charge)
    lots = add(
        poured.lots, [Lot(origin, energy) for origin, _, energy in (*poured.charge, *charge)]
    )
    beyond = total(lots) - charge_for(reading.stored, efficiency)
    if beyond <= 0:
        return lots
    lost, kept = take(lots, beyond)
    rows.put_lots("lost", reading.site, lost)
    return kept


def _found(reading: Reading, efficiency: int) -> Lots:
    """Return the lots of a battery before its first reading."""
    energy = initial_charge(reading.stored, reading.charged, reading.discharged, efficiency)
    return (Lot(Origin(Kind.INITIAL, reading.site, reading.slot), energy),) if energy else ()


def _discharge(
    reading: Reading, local: int, efficiency: int, held: Lots, rows: _Rows
) -> tuple[list[_Piece], Lots, int]:
    """Compose a discharge; return it, the lots left, and the generation that passed through.

    First from the lots held at the slot's start, then straight through: generation that was
    charged and discharged in the slot, which is taken from both. The rest is unexplained.
    """
    if not reading.discharged:
        return [], held, 0
    site, slot = reading.site, reading.slot
    roof = Origin(Kind.GENERATION, site, slot)
    from_lots = min(reading.discharged, delivery_of(total(held), efficiency))
    drawn = draw(held, from_lots, efficiency)
    could_pass = min(reading.charged, reading.generated, local)
    through = min(reading.discharged - from_lots, delivery_of(could_pass, efficiency))
    passed = charge_for(through, efficiency)
    delivered = [*drawn.delivered, Lot(roof, through)]
    rows.put("charged", site, [_Piece(roof, None, passed)])
    rows.put_lots("lost", site, [*drawn.lost, Lot(roof, passed - through)])
    discharge = [_Piece(origin, site, energy) for origin, energy in delivered]
    rows.put("drawn", site, discharge)
    unexplained = _Piece(
        Origin(Kind.UNEXPLAINED, site, slot), site, reading.discharged - from_lots - through
    )
    rows.put("entered", site, [unexplained])
    return [*discharge, unexplained], drawn.kept, passed


def _pour(pieces: Iterable[_Piece], sizes: Sequence[int]) -> list[list[_Piece]]:
    """Pour a stream into vessels, each filled before the next; together they hold it all."""
    vessels: list[list[_Piece]] = [[] for _ in sizes]
    index, room = 0, sizes[0]
    for origin, through, energy in pieces:
        while energy:
            while not room:
                index += 1
                room = sizes[index]
            part = min(energy, room)
            vessels[index].append(_Piece(origin, through, part))
            energy -= part
            room -= part
    return vessels


class _Rows:
    """The rows of a slot while it is traced: Wh by site, origin and last battery."""

    def __init__(self, slot: int) -> None:
        self._slot = slot
        self._tables: dict[str, dict[tuple[int, Origin, int | None], int]] = defaultdict(dict)

    def put(self, table: str, site: int, pieces: Iterable[_Piece]) -> None:
        """Add Wh to a site's rows; Wh that differ in nothing become one row."""
        energies = self._tables[table]
        for origin, through, energy in pieces:
            if energy:
                key = site, origin, through
                energies[key] = energies.get(key, 0) + energy

    def put_lots(self, table: str, site: int, lots: Iterable[Lot]) -> None:
        """Add lots to a battery's rows."""
        self.put(table, site, [_Piece(origin, None, energy) for origin, energy in lots])

    def gathered(self, unread: tuple[int, ...]) -> SlotOrigins:
        """Return the finished rows, by site and then in the order they were put."""
        return SlotOrigins(
            self._slot,
            **{
                table: tuple(
                    Row(self._slot, site, energy, origin, through)
                    for (site, origin, through), energy in sorted(
                        self._tables[table].items(), key=lambda row: row[0][0]
                    )
                )
                for table in ("used", "entered", "charged", "drawn", "lost", "utility", "unmetered")
            },
            unread=unread,
        )

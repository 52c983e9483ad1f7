"""A site's statement: for every kWh used, where and when it was generated, and what it cost.

The form is that of the 2019-2021 trial's handout: consumption (date, half hour, kWh) and its
origin (supplier, place, date, half hour, kWh), with the last battery that it came through.
Energy in Wh, money in microyen.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter

from chain.store import Store
from energy.errors import SettingError
from energy.lots import Kind, charge_for
from energy.merkle import leaf_of
from energy.rows import Row
from energy.units import kwh
from orchestrator.names import called
from orchestrator.statements.day import measured
from orchestrator.when import when
from orchestrator.words import Language, say, say_slot, short


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One origin of what a site used in a slot; `used` is the slot's whole consumption, Wh."""

    slot: int
    site: int
    used: int
    row: Row

    def to_json(self, names: Mapping[int, str]) -> dict[str, object]:
        """Return the row with site names and half hours, energies in Wh."""
        origin = self.row.origin
        return {
            "site": names[self.site],
            **when(self.slot),
            "consumption_wh": self.used,
            "kind": origin.kind.name.lower(),
            "origin_site": names[origin.site] if origin.kind != Kind.GRID else None,
            **when(origin.slot, "origin_"),
            "origin_wh": self.row.energy,
            "through_battery": None if self.row.through is None else names[self.row.through],
            "leaf": "0x" + leaf_of(self.row).hex(),
        }


@dataclass(frozen=True, slots=True)
class Energies:
    """A statement's totals, Wh."""

    used: int
    own_roof: int
    offices: int
    grid: int
    initial: int
    unexplained: int
    through_battery: int
    battery_loss: int
    """What the last batteries lost to deliver what came through them."""

    @property
    def renewable(self) -> int:
        """What offices generated. The utility's energy is not known to be any."""
        return self.own_roof + self.offices


@dataclass(frozen=True, slots=True)
class Costs:
    """What a site paid, by component, microyen; negative what it received."""

    bought: int
    """Trades, price between buyers and sellers, whether delivered or not."""
    sold: int
    fees: int
    """The network's, for each Wh that came from another office."""
    rest: int
    """The utility and the pool: what was metered beyond the trades, and broken trades."""
    corrections: int

    @property
    def total(self) -> int:
        """All together."""
        return self.bought + self.sold + self.fees + self.rest + self.corrections


@dataclass(frozen=True, slots=True)
class Statement:
    """What a site used in some slots, by origin."""

    site: int
    slots: range
    rows: tuple[StatementRow, ...]
    unread: tuple[int, ...]
    """The slots in which the site has no reading."""
    open: tuple[int, ...]
    """The slots that are not final yet: they, or slots before them, are not settled."""
    energies: Energies
    costs: Costs

    def to_json(self, names: Mapping[int, str]) -> dict[str, object]:
        """Return rows and totals, energies in Wh, money in microyen."""
        return {
            "site": names[self.site],
            "rows": [row.to_json(names) for row in self.rows],
            "slots_without_reading": list(self.unread),
            "slots_not_final": list(self.open),
            "energies_wh": {**asdict(self.energies), "renewable": self.energies.renewable},
            "costs_microyen": {**asdict(self.costs), "total": self.costs.total},
        }


def statement_of(store: Store, site: int, slots: range) -> Statement:
    """Return a site's statement for some slots.

    Raises:
        SettingError: if none of the slots is final, or the site used nothing in those that are.
    """
    traced = store.last_traced()
    final = range(slots.start, min(slots.stop, (traced or -1) + 1))
    if not final:
        until = "none" if traced is None else f"final up to {_when(traced)}"
        raise SettingError(
            f"the half hours from {_when(slots[0])} to {_when(slots[-1])} must be final for a "
            f"statement (they and all before them settled), got {until}"
        )
    rows = store.origins("used", final, site)
    if not rows:
        raise SettingError(
            f"site {called(store, site)} must have used energy in a settled half hour from "
            f"{_when(slots[0])} to {_when(slots[-1])}, got none"
        )
    used: dict[int, int] = {}
    for row in rows:
        used[row.slot] = used.get(row.slot, 0) + row.energy
    return Statement(
        site,
        slots,
        tuple(StatementRow(row.slot, site, used[row.slot], row) for row in rows),
        unread=unread_of(store, site, final),
        open=tuple(range(final.stop, slots.stop)),
        energies=_energies(store, site, rows),
        costs=_costs(store, site, final),
    )


def unread_of(store: Store, site: int, slots: range) -> tuple[int, ...]:
    """Return the traced ones of some slots in which a site took part and no reading of it came."""
    read = {reading.slot for reading in measured(store.readings(slots, site))}
    sites = store.sites()
    return tuple(
        slot
        for slot in store.traced(slots)
        if slot not in read and (sites.at(site, slot) or {}).get("trader")
    )


def _energies(store: Store, site: int, rows: Sequence[Row]) -> Energies:
    def of(kind: Kind) -> int:
        return sum(row.energy for row in rows if row.origin.kind == kind)

    own = sum(row.energy for row in rows if row.origin[:2] == (Kind.GENERATION, site))
    sites = store.sites()
    loss = 0
    for row in rows:
        if row.through is not None and row.origin.kind != Kind.UNEXPLAINED:
            battery = sites.at(row.through, row.slot) or {}
            efficiency = battery.get("battery_efficiency") or 0
            loss += max(charge_for(row.energy, efficiency) - row.energy, 0)
    return Energies(
        used=sum(row.energy for row in rows),
        own_roof=own,
        offices=of(Kind.GENERATION) - own,
        grid=of(Kind.GRID),
        initial=of(Kind.INITIAL),
        unexplained=of(Kind.UNEXPLAINED),
        through_battery=sum(row.energy for row in rows if row.through is not None),
        battery_loss=loss,
    )


def _costs(store: Store, site: int, slots: range) -> Costs:
    bought = sold = fees = 0
    prices, tariffs = store.prices(slots), store.tariffs()
    for trade, _ in store.trades(slots, site):
        amount = trade.energy * prices[trade.slot]
        bought += amount if trade.buyer == site else 0
        sold -= amount if trade.seller == site else 0
    for flow in store.flows(slots, site):
        if flow.buyer == site and flow.seller != site:
            fees += flow.energy * tariffs.at(flow.slot).fee
    owed, corrected = store.owed(site, slots)
    return Costs(bought, sold, fees, -owed - bought - sold - fees, -corrected)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where energy of a site and slot went: `end` as in `SlotOrigins`, or held."""

    end: str
    row: Row

    def to_json(self, names: Mapping[int, str]) -> dict[str, object]:
        """Return it with site names and half hours, energies in Wh."""
        row = self.row
        return {
            "generated_at": names[row.origin.site],
            **when(row.origin.slot, "generated_"),
            "energy_wh": row.energy,
            "end": self.end,
            "site": names[row.site],
            **when(row.slot),
            "through_battery": None if row.through is None else names[row.through],
        }


def destinations_of(store: Store, site: int, slots: range) -> list[Destination]:
    """Return where the energy went that a site generated in some slots.

    Raises:
        SettingError: if it generated nothing in a settled slot of them.
    """
    found = [Destination(end, row) for end, row in store.destinations(site, slots)]
    found += [
        Destination("held", row)
        for row in store.holdings().rows()
        if row.origin[:2] == (Kind.GENERATION, site) and row.origin.slot in slots
    ]
    if not found:
        raise SettingError(
            f"site {called(store, site)} must have generated energy in a settled half hour from "
            f"{_when(slots[0])} to {_when(slots[-1])}, got none"
        )
    return sorted(found, key=lambda one: (one.row.origin.slot, one.row.slot))


def columns(language: Language) -> list[str]:
    """Return the statement's column titles."""
    words = ("consumed_at", "consumption", "source", "origin_site", "generated_at", "generation")
    return [say(language, word) for word in (*words, "through")]


def cells(
    rows: Sequence[StatementRow], names: Mapping[int, str], language: Language, whole: bool = False
) -> list[list[str]]:
    """Return the statement's cells; what repeats within a slot is written once, unless `whole`."""
    table = []
    last = None
    for entry in rows:
        origin, through = entry.row.origin, entry.row.through
        first = whole or entry.slot != last
        last = entry.slot
        is_grid = origin.kind == Kind.GRID
        kind = origin.kind.name
        if origin.kind == Kind.GENERATION:
            kind = "own" if origin.site == entry.site else "office"
        table.append(
            [
                say_slot(language, entry.slot) if first else "",
                f"{kwh(entry.used):.3f}" if first else "",
                say(language, kind),
                "" if is_grid else short(names[origin.site]),
                say_slot(language, origin.slot),
                f"{kwh(entry.row.energy):.3f}",
                "" if through is None else say(language, "battery_of", site=short(names[through])),
            ]
        )
    return table


def as_csv(statement: Statement, names: Mapping[int, str], language: Language) -> str:
    """Return the statement's rows as CSV, as the table has them, nothing left out.

    A slot without a reading has a row that says so.
    """
    rows = [
        *zip(
            (entry.slot for entry in statement.rows),
            cells(statement.rows, names, language, whole=True),
            strict=True,
        ),
        *(
            (slot, [say_slot(language, slot), "", say(language, "no_reading"), *[""] * 4])
            for slot in statement.unread
        ),
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(language))
    writer.writerows(row for _, row in sorted(rows, key=itemgetter(0)))
    return text.getvalue()


def totals(statement: Statement, language: Language) -> list[tuple[str, str, str]]:
    """Return the totals to show: what it is, kWh, share of consumption."""
    energies = statement.energies
    shown = (
        ("used", energies.used),
        ("own", energies.own_roof),
        ("office", energies.offices),
        ("GRID", energies.grid),
        ("INITIAL", energies.initial),
        ("UNEXPLAINED", energies.unexplained),
        ("renewable", energies.renewable),
        ("region_share", energies.renewable),
        ("through_share", energies.through_battery),
        ("loss_share", energies.battery_loss),
    )
    return [
        (say(language, word), f"{kwh(wh):,.3f}", f"{wh / energies.used:.1%}")
        for word, wh in shown
        if wh or word not in ("INITIAL", "UNEXPLAINED")
    ]


def cost_lines(statement: Statement, language: Language) -> list[tuple[str, str]]:
    """Return the costs to show: what it is, JPY."""
    costs = statement.costs
    shown = (
        ("cost_bought", costs.bought),
        ("cost_sold", costs.sold),
        ("cost_fees", costs.fees),
        ("cost_rest", costs.rest),
        ("cost_corrections", costs.corrections),
        ("total", costs.total),
    )
    return [(say(language, word), f"{microyen / 1e6:,.2f}") for word, microyen in shown]


def _when(slot: int) -> str:
    return say_slot(Language.ENGLISH, slot)

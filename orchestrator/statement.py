"""A site's statement: for every kWh used, where and when it was generated.

The form is that of the 2019-2021 trial's handout: consumption (date, half hour, kWh) and its
origin (supplier, place, date, half hour, kWh), with the last battery that it came through.
Energy in Wh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chain.store import Store
from energy.errors import SettingError
from energy.lots import Kind
from energy.rows import Row
from energy.units import half_hour, kwh
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
            "slot": self.slot,
            "half_hour": half_hour(self.slot),
            "consumption_wh": self.used,
            "kind": origin.kind.name.lower(),
            "origin_site": names[origin.site] if origin.kind != Kind.GRID else None,
            "origin_slot": origin.slot,
            "origin_half_hour": half_hour(origin.slot),
            "origin_wh": self.row.energy,
            "through_battery": None if self.row.through is None else names[self.row.through],
        }


def statement_of(store: Store, site: int, slots: range) -> list[StatementRow]:
    """Return the rows of a site's consumption in some slots, by slot, then as poured.

    Raises:
        SettingError: if none of the slots is settled and traced.
    """
    rows = store.origins("used", slots, site)
    if not rows:
        raise SettingError(
            f"site {site} must have used energy in a settled slot of {slots.start} to "
            f"{slots.stop - 1}, got none"
        )
    used: dict[int, int] = {}
    for row in rows:
        used[row.slot] = used.get(row.slot, 0) + row.energy
    return [StatementRow(row.slot, site, used[row.slot], row) for row in rows]


def columns(language: Language) -> list[str]:
    """Return the statement's column titles."""
    words = ("consumed_at", "consumption", "source", "origin_site", "generated_at", "generation")
    return [say(language, word) for word in (*words, "through")]


def cells(
    rows: Sequence[StatementRow], names: Mapping[int, str], language: Language
) -> list[list[str]]:
    """Return the statement's cells; what repeats within a slot is written once."""
    table = []
    last = None
    for entry in rows:
        origin, through = entry.row.origin, entry.row.through
        first = entry.slot != last
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

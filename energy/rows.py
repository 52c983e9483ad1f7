"""A slot's Wh by origin: what was used, charged, lost, held; and where each Wh ended.

Energies are Wh. `energy.origin` makes these records.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from energy.errors import SettingError
from energy.lots import Kind, Lot, Lots, Origin


@dataclass(frozen=True, slots=True)
class Row:
    """Wh of one origin at a site in a slot, and the site of the last battery they left.

    `through` is None if the Wh came from where they entered the market without a battery.
    """

    slot: int
    site: int
    energy: int
    origin: Origin
    through: int | None = None


@dataclass(frozen=True, slots=True)
class SlotOrigins:
    """What a slot's Wh were and became, by origin; rows by site, then in the order poured.

    For each origin, over all slots: entered = used + utility + lost + unmetered + held.
    For each battery and origin: charged, and what was found at first = drawn + lost + held.
    """

    slot: int
    used: tuple[Row, ...]
    """The consumption of each site: the statement's rows."""
    entered: tuple[Row, ...]
    """Generated, bought from the utility, found in a battery, unexplained: by `origin.kind`."""
    charged: tuple[Row, ...]
    """What a site's battery took in; `through` is the battery before it."""
    drawn: tuple[Row, ...]
    """What a site's battery delivered, after its loss and without what is unexplained."""
    lost: tuple[Row, ...]
    """What a site's battery lost: converting, standing, or because it is gone."""
    utility: tuple[Row, ...]
    """What a site exported to the utility."""
    unmetered: tuple[Row, ...]
    """What flowed to a site that has no reading."""
    unread: tuple[int, ...]
    """The active sites without a reading."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What every battery read so far holds at the end of a slot, by origin.

    `slot` is the last one traced, None before the first. A battery read and found empty has
    no lots; one never read is absent.
    """

    slot: int | None = None
    batteries: Mapping[int, Lots] = field(default_factory=dict)

    def rows(self) -> list[Row]:
        """Return the lots as rows of the last slot, by site and oldest first."""
        if self.slot is None:
            return []
        return [
            Row(self.slot, site, lot.energy, lot.origin)
            for site, lots in sorted(self.batteries.items())
            for lot in lots
        ]

    def to_json(self) -> str:
        """Return the holdings as text from which `from_json` goes on."""
        batteries = {
            str(site): [[*lot.origin, lot.energy] for lot in lots]
            for site, lots in sorted(self.batteries.items())
        }
        return json.dumps({"slot": self.slot, "batteries": batteries}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Holdings:
        """Read holdings that `to_json` wrote.

        Raises:
            SettingError: if the text is anything else.
        """
        try:
            saved = json.loads(text)
            batteries = {
                int(site): tuple(
                    Lot(Origin(Kind(kind), origin_site, origin_slot), energy)
                    for kind, origin_site, origin_slot, energy in lots
                )
                for site, lots in saved["batteries"].items()
            }
            return cls(saved["slot"], batteries)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SettingError(f"saved holdings must be as written, got {text[:60]!r}") from error


class End(StrEnum):
    """What became of a Wh; the site that goes with it is where."""

    USED_HERE = "used here"
    USED_THERE = "used there"
    HELD = "held"
    LOST = "lost"
    UTILITY = "utility"
    UNMETERED = "unmetered"


def ends(
    slots: Iterable[SlotOrigins], holdings: Holdings
) -> dict[Origin, dict[tuple[End, int], int]]:
    """Return what became of each origin: Wh by end and site.

    `holdings` are those after the last of the slots. The Wh of an origin that entered within
    the slots sum to what entered; of an older one only what ended within them is seen. The
    site is the one that used, held, lost or exported the Wh, or has no reading.
    """
    found: dict[Origin, dict[tuple[End, int], int]] = defaultdict(lambda: defaultdict(int))
    for slot in slots:
        for row in slot.used:
            end = End.USED_HERE if row.site == row.origin.site else End.USED_THERE
            found[row.origin][end, row.site] += row.energy
        for end, rows in (
            (End.LOST, slot.lost),
            (End.UTILITY, slot.utility),
            (End.UNMETERED, slot.unmetered),
        ):
            for row in rows:
                found[row.origin][end, row.site] += row.energy
    for row in holdings.rows():
        found[row.origin][End.HELD, row.site] += row.energy
    return {origin: dict(ended) for origin, ended in found.items()}

"""A published report computed again by pandas from the readings beside it, by the definitions that
the report prints: nothing here shares code with what made it.

Energy in Wh and money in microyen until they are compared. What needs orders or trades (who bought
from whom, at what price) is not here: readings do not say it.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

WH_PER_KWH, MICROYEN = 1_000, 1_000_000
SLOT_SECONDS, SLOTS_PER_DAY = 1_800, 48
DAYS_PER_YEAR = 365.25
ASSUMED = 128
"""Quality from which a reading is the settlement's assumption."""
ALL = -1
"""The row of a table that adds the others up: its last."""
ANY = "any row"
"""Where a table names its rows by words alone."""

Cells = dict[int | str, float]
"""What should stand in a column, by row."""


@dataclass(frozen=True)
class Expected:
    """A column's cells, and how far each may be off where readings alone leave that open."""

    cells: Cells
    slack: float = 0.0


class Recount:
    """The readings of a report's folder, and what follows from them."""

    def __init__(self, folder: Path) -> None:
        stated = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
        self.given: dict[str, Any] = stated["given"]
        readings = pd.read_csv(folder / "readings.csv.gz")
        self.first = readings.drop_duplicates(["slot", "site"], keep="first")
        newest = readings.sort_values("revision").drop_duplicates(["slot", "site"], keep="last")
        self.readings = newest.sort_values(["slot", "site"], ignore_index=True)
        self.readings["used"] = self.readings.eval(
            "imported + generated + discharged - exported - charged"
        )
        self.sites = sorted(self.readings["site"].unique().tolist())
        self.days = self.readings["slot"].nunique() / SLOTS_PER_DAY

    @cached_property
    def traced(self) -> pd.DataFrame:
        """The readings with what the origin rule makes of each: `own`, used from the own roof;
        `through`, of it after the own battery; `lost` in the battery, `lost_own` of it from the
        own roof; `stock`, used here from the battery's first stock; `strange`, what was exported of
        it, and what was bought, charged, and given again."""
        sizes = {one["site"]: one["round_trip_per_mille"] for one in self.given["batteries"]}
        parts = [traced(rows, sizes.get(site, 0)) for site, rows in self.readings.groupby("site")]
        return pd.concat(parts).sort_values(["slot", "site"], ignore_index=True)

    @cached_property
    def slots(self) -> pd.DataFrame:
        """By slot, all sites together: their meters, and the tariff. `met` is what the market
        could place at most: the lesser of all exports and all imports."""
        columns = ["imported", "exported", "used", "own"]
        slots = self.traced.groupby("slot")[columns].sum()
        slots["met"] = slots[["imported", "exported"]].min(axis=1)
        slots["bought"] = slots["imported"] - slots["met"]
        slots["sold"] = slots["exported"] - slots["met"]
        tariff = pd.DataFrame(self.given["tariff"]).rename(columns={"from_slot": "slot"})
        slots = pd.merge_asof(slots.reset_index(), tariff, on="slot")
        start = pd.to_datetime(slots["slot"] * SLOT_SECONDS, unit="s") + pd.Timedelta(hours=9)
        slots["month"] = start.dt.strftime("%Y-%m")
        slots["half"] = start.dt.hour * 2 + start.dt.minute // 30
        return slots

    @property
    def slack(self) -> float:
        """Wh whose origin at the user only trades tell: a battery's first stock that was exported,
        what was bought and charged. What others' roofs gave may be off by so much."""
        return float(self.traced["strange"].sum())

    @property
    def stock(self) -> float:
        """Wh used from a battery's first stock: of no roof, and not of the utility."""
        return float(self.traced["stock"].sum())

    def bills(self, imported: pd.Series, exported: pd.Series) -> pd.Series:
        """Return what each reading costs with the utility alone."""
        prices = self.readings[["slot"]].merge(self.slots, on="slot")
        return prices["selling"] * imported - prices["buying"] * exported

    def together(self, net: pd.Series) -> float:
        """Return what all pay the utility if exports serve imports within the half hour; `net` is
        each reading's import less export."""
        sums = net.groupby(self.readings["slot"]).sum().to_numpy()
        slots = self.slots
        paid = slots["selling"] * sums.clip(min=0) + slots["buying"] * sums.clip(max=0)
        return float(paid.sum())

    def by_site(self, values: pd.Series, per: float) -> Cells:
        """Return sums by site and of all."""
        sums = values.groupby(self.readings["site"]).sum() / per
        return {**sums.to_dict(), ALL: float(sums.sum())}

    @property
    def spread(self) -> float:
        """The most that offices and network together can gain by trading: for each Wh that met an
        import, the utility's selling less its buying price."""
        slots = self.slots
        return float((slots["met"] * (slots["selling"] - slots["buying"])).sum())


def traced(rows: pd.DataFrame, efficiency: int) -> pd.DataFrame:
    """Return a site's readings with columns by the origin rule (`docs/origin.md`).

    Generation, then discharge, pour into the first L = generated + discharged - exported Wh of
    (used, then charged), the rest into export; import into what is left. A battery gives what it
    holds longest first, d Wh for ceil(1000 d / efficiency) held.
    """
    lots: deque[list[Any]] = deque()
    found = []
    for number, row in enumerate(rows.itertuples(index=False)):
        inside = row.generated + row.discharged - row.exported
        roof = min(row.generated, inside)
        used_roof = min(roof, row.used)
        charged_roof = roof - used_roof
        used_battery = min(inside - roof, row.used - used_roof)
        own, through, lost, lost_own, stock, strange = used_roof, 0, 0, 0, 0, 0
        if efficiency:
            assert not (row.charged and row.discharged), "straight through a battery: not traced"
            drawn = held_for(row.discharged, efficiency)
            if number == 0:
                first = held_for(row.stored, efficiency) - row.charged + drawn
                lots.append(["first", max(first, 0)])
            taken = given = 0
            for origin, energy in oldest(lots, drawn):
                taken += energy
                out = row.discharged * taken // drawn - given
                lost, lost_own = lost + energy - out, lost_own + (energy - out) * (origin == "roof")
                here = min(out, max(used_battery - given, 0))
                given += out
                through += here
                own += here * (origin == "roof")
                stock += here * (origin == "first")
                strange += (out - here) * (origin != "roof")
            bought = row.charged - charged_roof
            lots.extend([["roof", charged_roof], ["bought", bought]])
            strange += bought
            beyond = sum(energy for _, energy in lots) - held_for(row.stored, efficiency)
            for origin, energy in oldest(lots, max(beyond, 0)):
                lost, lost_own = lost + energy, lost_own + energy * (origin == "roof")
        found.append((own, through, lost, lost_own, stock, strange))
    names = ["own", "through", "lost", "lost_own", "stock", "strange"]
    return rows.join(pd.DataFrame(found, columns=names, index=rows.index))


def held_for(delivered: int, efficiency: int) -> int:
    """Return the Wh held that a delivery uses up, rounded up."""
    return -(-delivered * 1000 // efficiency)


def oldest(lots: deque[list[Any]], energy: int) -> list[tuple[str, int]]:
    """Take the oldest Wh out of lots of (origin, Wh)."""
    out = []
    while energy and lots:
        part = min(energy, lots[0][1])
        out.append((lots[0][0], part))
        energy -= part
        lots[0][1] -= part
        if not lots[0][1]:
            lots.popleft()
    return out

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

import holidays
import numpy as np
import pandas as pd

WH_PER_KWH, MICROYEN = 1_000, 1_000_000
SLOT_SECONDS, SLOTS_PER_DAY = 1_800, 48
DAYS_PER_YEAR = 365.25
HOLIDAYS = holidays.country_holidays("JP")
ASSUMED = 128
"""Quality from which a reading is the settlement's assumption."""
ALL = -1
"""The row of a table that adds the others up: its last."""
ANY = "any row"
"""Where a table names its rows by words alone."""

Cells = dict[int | str, float]
"""What should stand in a column, by row; nan where the report must say that there is none."""


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

    @cached_property
    def own_first(self) -> pd.Series:
        """Each reading's net import if batteries took what the roof has left, and gave it back as
        soon as their office needs it; from the lowest charge seen on."""
        net = self.readings["used"] - self.readings["generated"]
        for one in self.given["batteries"]:
            at = self.readings["site"] == one["site"]
            stored = self.readings.loc[at & (self.readings["quality"] < ASSUMED), "stored"]
            room, most = one["capacity_wh"] - stored.min(), one["power_w"] / 2
            kept, efficiency, left = 0.0, one["round_trip_per_mille"] / 1000, []
            for need in net[at]:
                charged = min(max(-need, 0), most, (room - kept) / efficiency)
                given = min(max(need, 0), most, kept)
                kept += charged * efficiency - given
                left.append(round(need + charged - given))
            net[at] = left
        return net

    def peaks(self, imported: pd.Series) -> Cells:
        """Return the mean of the months' highest imports by site, kW."""
        month = self.readings[["slot"]].merge(self.slots[["slot", "month"]], on="slot")["month"]
        highest = imported.groupby([self.readings["site"], month]).max()
        return dict(2 * highest.groupby("site").mean() / WH_PER_KWH)

    @cached_property
    def forecast(self) -> dict[str, np.ndarray]:
        """What a forecast from past readings was off by, by half hour and site, from the third week
        on, and what came: by the rule in words that the report prints.

        Asked only of a period in which no reading is missing.
        """
        load, sun = (
            self.readings.pivot(index="slot", columns="site", values=name).to_numpy()
            for name in ("used", "generated")
        )
        first = pd.Timestamp(self.slots["slot"].iloc[0] * SLOT_SECONDS, unit="s")
        dates = pd.date_range(first + pd.Timedelta(hours=9), periods=len(load) // SLOTS_PER_DAY)
        works = [works_on(day) for day in dates]
        loads, suns = np.zeros_like(load), np.zeros_like(sun)
        means = np.zeros_like(sun)
        for place in range(7 * SLOTS_PER_DAY, len(sun)):
            means[place] = sun[place - 7 * SLOTS_PER_DAY : place : SLOTS_PER_DAY].sum(axis=0) // 7
        start = 14 * SLOTS_PER_DAY
        for place in range(start, len(load)):
            today = place // SLOTS_PER_DAY
            alike = [day for day in range(today - 1, max(today - 29, -1), -1)
                     if works[day] == works[today]][:4]  # fmt: skip
            half = place % SLOTS_PER_DAY
            past = load[[day * SLOTS_PER_DAY + half for day in alike]]
            loads[place] = past.sum(axis=0) // len(alike)
            # Of today's sky, the four newest half hours that are over when orders are sent.
            sky = slice(max(place - 5, today * SLOTS_PER_DAY), max(place - 1, 0))
            expected, seen = means[sky].sum(axis=0), sun[sky].sum(axis=0)
            brightness = np.where(
                expected >= 200, np.minimum(seen * 1000 // np.maximum(expected, 1), 2000), 1000
            )
            suns[place] = means[place] * brightness // 1000
        return {
            "load": (loads - load)[start:],
            "sun": (suns - sun)[start:],
            "net": (suns - loads - sun + load)[start:],
            "load_came": load[start:],
            "sun_came": sun[start:],
        }

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


def works_on(day: pd.Timestamp) -> bool:
    """Return whether offices work on a day: no weekend, holiday, New Year or Obon."""
    closed = (day.month, day.day) in {(12, 29), (12, 30), (12, 31), (1, 1), (1, 2), (1, 3),
                                      (8, 13), (8, 14), (8, 15)}  # fmt: skip
    return day.weekday() < 5 and not closed and day.date() not in HOLIDAYS


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

"""What lies beside a published report so that anyone can compute it again without this program:
the readings that it was made from, as the chain holds them, and what it states, not rounded.

`readings.csv.gz` has a row for each reading of a settled half hour, in Wh; of one that was amended
the later revision counts. `docs/report/README.md` says what the columns mean.
"""

from __future__ import annotations

import csv
from gzip import GzipFile
from io import TextIOWrapper
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, select

from chain.tables import READINGS
from orchestrator.options import write_json
from orchestrator.verification.carbon import Factor
from orchestrator.verification.facts import ENERGIES, Facts

READINGS_FILE, FIGURES_FILE = "readings.csv.gz", "figures.json"
COLUMNS = ("slot", "site", *ENERGIES, "quality", "revision")
_WH_PER_UNIT = 100
"""Of powers and capacities as the chain registers them, in 0.1 kW and 0.1 kWh."""


def given_of(facts: Facts, factor: Factor) -> dict[str, object]:
    """Return what figures rest on beside readings: the tariff enacted (0.001 JPY/kWh, each row
    until the next), the batteries registered, and the CO2 factor."""
    prices = np.stack([facts.selling, facts.buying, facts.fee], axis=1)[facts.settled]
    slots = np.arange(facts.slots.start, facts.slots.stop)[facts.settled]
    begins = (np.diff(prices, axis=0, prepend=-1) != 0).any(axis=1)
    return {
        "tariff": [
            dict(zip(("from_slot", "selling", "buying", "fee"), (slot, *row), strict=True))
            for slot, row in zip(slots[begins].tolist(), prices[begins].tolist(), strict=True)
        ],
        "batteries": [
            {
                "site": site,
                "power_w": power * _WH_PER_UNIT,
                "capacity_wh": capacity * _WH_PER_UNIT,
                "round_trip_per_mille": efficiency,
            }
            for site, (power, capacity, efficiency) in sorted(facts.batteries.items())
        ],
        "co2_kg_per_kwh": factor.kg_per_kwh,
    }


def write_data(
    connection: Connection, facts: Facts, stated: dict[str, object], folder: Path
) -> list[Path]:
    """Write a period's readings and what its report states to a folder; return the files."""
    readings, figures = folder / READINGS_FILE, folder / FIGURES_FILE
    columns = [READINGS.c[name] for name in COLUMNS]
    inside = READINGS.c.slot.between(facts.slots[0], facts.slots[-1])
    order = READINGS.c.slot, READINGS.c.site, READINGS.c.revision
    # Without name and time of making, so that the same readings give the same file.
    with (
        readings.open("wb") as file,
        GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        TextIOWrapper(packed, encoding="ascii", newline="") as text,
    ):
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(
            tuple(row)
            for row in connection.execute(select(*columns).where(inside).order_by(*order))
            if facts.settled[row[0] - facts.slots.start]
        )
    write_json(figures, stated)
    return [readings, figures]

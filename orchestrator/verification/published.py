"""What lies beside a published report so that anyone can compute it again without this program:
the readings that it was made from, as the chain holds them, and what it states, not rounded.

`readings.csv.gz` has a row for each reading of a settled half hour, in Wh; of one that was amended
the later revision counts. `days.csv` ties them to the chain (`published_check`).
`docs/report/README.md` says what the columns mean.
"""

from __future__ import annotations

import csv
import shutil
from dataclasses import asdict
from gzip import GzipFile
from io import TextIOWrapper
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, select

from chain.store import Store
from chain.tables import READINGS
from energy.attestation import date_of, day_number
from energy.records import Reading
from energy.units import day_of
from orchestrator.options import write_json
from orchestrator.replay.asked import FILE
from orchestrator.verification.carbon import Factor
from orchestrator.verification.facts import Facts
from orchestrator.verification.published_check import (
    COLUMNS,
    DAY_COLUMNS,
    DAYS_FILE,
    FIGURES_FILE,
    READINGS_FILE,
    days_of,
    reading_of,
)
from vpp.chemistry import chemistries

_WH_PER_UNIT = 100
"""Of powers and capacities as the chain registers them, in 0.1 kW and 0.1 kWh."""


def given_of(facts: Facts, factor: Factor) -> dict[str, object]:
    """Return what figures rest on beside readings: the tariff enacted (0.001 JPY/kWh, each row
    until the next), the batteries registered, what chemistries wear by (`vpp/data/chemistry.toml`),
    and the CO2 factor."""
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
        "chemistries": {
            key: {
                "end_of_life": one.end_of_life,
                "replacement_jpy_per_kwh": one.replacement_jpy_per_kwh,
                "cycle": asdict(one.cycle),
                "calendar": asdict(one.calendar),
            }
            for key, one in sorted(chemistries().items())
        },
        "co2_kg_per_kwh": factor.kg_per_kwh,
    }


def write_data(
    connection: Connection,
    facts: Facts,
    stated: dict[str, object],
    folder: Path,
    calls: Path | None = None,
) -> list[Path]:
    """Write a period's readings with each day's hash, what its report states, and the balancing
    calls that it was made with, to a folder; return the files."""
    readings, days, figures = (folder / name for name in (READINGS_FILE, DAYS_FILE, FIGURES_FILE))
    store = Store(connection)
    known = [
        reading
        for reading in _readings(connection, facts.slots)
        if facts.settled[reading.slot - facts.slots.start]
    ]
    # Without name and time of making, so that the same readings give the same file.
    with (
        readings.open("wb") as file,
        GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        TextIOWrapper(packed, encoding="ascii", newline="") as text,
    ):
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([int(getattr(each, name)) for name in COLUMNS] for each in known)
    numbers = range(day_number(day_of(facts.slots[0])), day_number(day_of(facts.slots[-1])) + 1)
    roots = {date_of(day): list(by_site.values()) for day, by_site in store.roots(numbers).items()}
    with days.open("w", encoding="ascii", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(DAY_COLUMNS)
        for day in days_of(known, roots):
            writer.writerow([day.day, day.readings, day.sha256, day.root, day.attesting])
    write_json(figures, stated)
    written = [readings, days, figures]
    if calls is not None:
        written.append(folder / FILE)
        if calls.resolve() != written[-1].resolve():
            shutil.copyfile(calls, written[-1])
    return written


def _readings(connection: Connection, slots: range) -> list[Reading]:
    """Return all readings of some slots, those that were amended later too, by slot, site and
    revision."""
    columns = [READINGS.c[name] for name in COLUMNS]
    inside = READINGS.c.slot.between(slots[0], slots[-1])
    order = READINGS.c.slot, READINGS.c.site, READINGS.c.revision
    found = connection.execute(select(*columns).where(inside).order_by(*order))
    return [reading_of(row) for row in found]

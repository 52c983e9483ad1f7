"""The example list of balancing calls, by a stated rule.

In winter (January and February) and in summer (July and August), the ten working days before which
all sites together used the most on a working day: 5 kW up from 17:00 to 19:00, told three hours
before. So the rule knows no more than a utility does on the evening before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from energy.units import JST, slots_of
from orchestrator.replay.series import SiteSeries
from vpp.calendar import DayKind, kind_of

SEASONS = {"winter": (1, 2), "summer": (7, 8)}
DAYS = 10
FROM, UNTIL, KW = time(17), time(19), 5.0


def example_calls(series: Sequence[SiteSeries], days: Sequence[date]) -> str:
    """Return the calls of the years that some days lie in, as a JSON list of documents."""
    found = []
    for year in sorted({day.year for day in days}):
        for months in SEASONS.values():
            found += sorted(_highest(series, year, months))
    entries = [
        {
            "name": f"example-{day.isoformat()}",
            "direction": "up",
            "start": datetime.combine(day, FROM, JST).isoformat(),
            "end": datetime.combine(day, UNTIL, JST).isoformat(),
            "kw": KW,
        }
        for day in found
    ]
    return json.dumps(entries, indent=1)


def _highest(series: Sequence[SiteSeries], year: int, months: tuple[int, int]) -> list[date]:
    first, last = date(year, months[0], 1), date(year, months[1] + 1, 1) - timedelta(days=1)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    working = [day for day in days if kind_of(day) is DayKind.WORKING]
    used = {
        day: sum(each.load(slot) for each in series for slot in slots_of(before))
        for before, day in pairwise(working)
    }
    return sorted(used, key=lambda day: (-used[day], day))[:DAYS]

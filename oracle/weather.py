"""What a simulated site uses and generates: a day's curve, or a series of one's own.

Units: Wh in a slot, W in a second.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from math import pi, sin
from pathlib import Path
from random import Random

from energy.errors import SettingError
from energy.units import SLOTS_PER_DAY, slot_of_day, slots_of

Series = Callable[[int], int]
Noise = Callable[[int, int, int], tuple[int, int]]
EPOCH = date(1970, 1, 2)
"""A day that a series begins on, and every so many days after and before."""

_SUNRISE, _SUNSET = 12, 36
_OPEN, _CLOSED = 16, 38
_NIGHT_PER_MILLE = 250


def clear_sky(peak_w: int) -> Series:
    """Return the generation of a roof on a clear day: half a sine from six to six.

    >>> clear_sky(40_000)(6)    # noon in Japan
    19957
    """

    def generation(slot: int) -> int:
        place = slot_of_day(slot)
        if not _SUNRISE <= place < _SUNSET:
            return 0
        share = sin(pi * (place - _SUNRISE + 0.5) / (_SUNSET - _SUNRISE))
        return int(peak_w / 2 * share)

    return generation


def office(peak_w: int) -> Series:
    """Return the load of an office: full from eight to seven, a quarter at night.

    >>> office(20_000)(6), office(20_000)(30)
    (10000, 2500)
    """

    def load(slot: int) -> int:
        busy = _OPEN <= slot_of_day(slot) < _CLOSED
        return peak_w // 2 if busy else peak_w * _NIGHT_PER_MILLE // 2000

    return load


def gusts(seed: int, load_share: float = 0.25, cloud_share: float = 0.7) -> Noise:
    """Return what machines and clouds make of a load and of the sun, second by second.

    Up to `load_share` more or less is used, slowly and by jerks; clouds of some minutes take up to
    `cloud_share` of the sun. The same seed gives the same.
    """

    def at(second: int, load_w: int, generation_w: int) -> tuple[int, int]:
        use = 0.6 * _wave(f"{seed} slow", second, 240) + 0.4 * _wave(f"{seed} jerk", second, 6)
        cloud = max(_wave(f"{seed} cloud", second, 90), 0.0)
        return int(load_w * (1 + load_share * use)), int(generation_w * (1 - cloud_share * cloud))

    return at


def _wave(name: str, second: int, period: int) -> float:
    """Return a random curve, from -1 to 1, straight between knots so many seconds apart."""
    place, begun = divmod(second, period)
    share = begun / period
    return _knot(name, place) * (1 - share) + _knot(name, place + 1) * share


@lru_cache(maxsize=1024)
def _knot(name: str, place: int) -> float:
    return Random(f"{name} {place}").uniform(-1, 1)


def series_from(path: Path) -> tuple[Series, Series]:
    """Return load and generation from a CSV file with `load_wh` and `generation_wh`.

    Its rows are the half hours of a day in Japan, or of several, played over and over.

    Raises:
        SettingError: naming the file, the row, and what was expected.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError) as error:
        raise SettingError(f"{path} must be a readable series, got {error}") from error
    if not rows or len(rows) % SLOTS_PER_DAY:
        raise SettingError(
            f"{path} must have the {SLOTS_PER_DAY} half hours of whole days, got {len(rows)} rows"
        )
    columns: list[list[int]] = []
    for name in ("load_wh", "generation_wh"):
        column = []
        for number, row in enumerate(rows, 2):
            text = row.get(name) or ""
            if not text.isdecimal():
                raise SettingError(f"{path} line {number}: {name} must be whole Wh, got {text!r}")
            column.append(int(text))
        columns.append(column)
    load, generation = columns
    first = slots_of(EPOCH).start
    return (
        lambda slot: load[(slot - first) % len(load)],
        lambda slot: generation[(slot - first) % len(generation)],
    )
